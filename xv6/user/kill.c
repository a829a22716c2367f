// kill PID...: ends processes.
#include "user/each.h"

static int kill_named(const char *pid) {
  return kill(atoi(pid));
}

int main(int argc, char **argv) {
  return for_each_argument(argv, kill_named);
}
