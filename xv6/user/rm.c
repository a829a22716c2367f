// rm NAME...: removes names of files, and empty directories.
#include "user/each.h"

int main(int argc, char **argv) {
  return for_each_argument(argv, unlink);
}
