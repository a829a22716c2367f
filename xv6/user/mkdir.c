// mkdir NAME...: makes directories.
#include "user/each.h"

int main(int argc, char **argv) {
  return for_each_argument(argv, mkdir);
}
