// For programs that do one thing to each of their arguments.
#pragma once

#include "user/user.h"

// Calls act on each word after argv[0] and says which failed. The exit status.
static inline int for_each_argument(char **argv, int (*act)(const char *)) {
  int failed = 0;

  if (argv[1] == 0) {
    fprintf(2, "usage: %s NAME...\n", argv[0]);
    return 1;
  }
  for (char **word = argv + 1; *word; word++) {
    if (act(*word) < 0) {
      fprintf(2, "%s: %s: failed\n", argv[0], *word);
      failed = 1;
    }
  }
  return failed;
}
