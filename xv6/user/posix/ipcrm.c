// ipcrm -m ID | -M KEY ...: removes segments of shared memory.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

static int usage(void) {
  fprintf(stderr, "usage: ipcrm -m ID | -M KEY ...\n");
  return 2;
}

// 1 when it failed, and that is said.
static int forget(const char *word, int by_key) {
  char *end;
  long number = strtol(word, &end, 0);

  if (*word == 0 || *end) {
    fprintf(stderr, "ipcrm: %s: not a number\n", word);
    return 1;
  }
  int id = by_key ? shmget((key_t)number, 0, 0) : (int)number;
  if (id < 0 || shmctl(id, IPC_RMID, NULL) < 0) {
    fprintf(stderr, "ipcrm: %s %s: %s\n", by_key ? "key" : "id", word, strerror(errno));
    return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  int failed = 0;

  if (argc < 3 || argc % 2 == 0)
    return usage();
  for (int i = 1; i < argc; i += 2) {
    if (strcmp(argv[i], "-m") != 0 && strcmp(argv[i], "-M") != 0)
      return usage();
    failed |= forget(argv[i + 1], argv[i][1] == 'M');
  }
  return failed;
}
