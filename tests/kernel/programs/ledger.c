// ledger write FROM: for ever, entry after entry, from that number on: makes a
// file under another name, takes the file with the entry's name away and gives
// that name to the new one; says so when all of this is done.
// ledger check LAST: are the last entries up to that number there, whole? The
// one after it, which may have been in the making, may have spoilt one.
#include "kernel/types.h"
#include "kernel/fcntl.h"
#include "user/user.h"

#define KEPT 5              // entries that are on the disk at a time
#define WORDS 256
#define MOST 20             // blocks of WORDS in an entry

static uint block[WORDS];

static char *name_of(uint n) {
  static char name[] = "ledger0";
  name[sizeof(name) - 2] = '0' + n % KEPT;
  return name;
}

static uint blocks_of(uint n) {
  return n * 7 % MOST + 1;
}

static void fill(uint n, uint i) {
  for (uint k = 0; k < WORDS; k++)
    block[k] = (n * MOST + i) * WORDS + k;
}

static int write_entry(uint n) {
  int fd = open("draft", O_CREATE | O_TRUNC | O_WRONLY), good = fd >= 0;

  for (uint i = 0; good && i < blocks_of(n); i++) {
    fill(n, i);
    good = write(fd, block, sizeof(block)) == sizeof(block);
  }
  close(fd);
  unlink(name_of(n));
  return good && link("draft", name_of(n)) == 0 && unlink("draft") == 0;
}

static int is_entry(uint n) {
  static uint found[WORDS];
  int fd = open(name_of(n), O_RDONLY), good = fd >= 0;

  for (uint i = 0; good && i < blocks_of(n); i++) {
    fill(n, i);
    good = read(fd, found, sizeof(found)) == sizeof(found) && memcmp(found, block, sizeof(block)) == 0;
  }
  good = good && read(fd, found, 1) == 0;
  close(fd);
  return good;
}

int main(int argc, char **argv) {
  uint n = argc == 3 ? atoi(argv[2]) : 0;

  if (argc == 3 && strcmp(argv[1], "write") == 0) {
    for (; write_entry(n); n++)
      printf("ledger: %d written\n", n);
    printf("ledger: cannot write %d\n", n);
  }
  if (argc == 3 && strcmp(argv[1], "check") == 0) {
    uint first = n >= KEPT ? n - KEPT + 2 : 1; // the next one is written where n - KEPT + 1 was
    for (; first <= n; first++)
      if (!is_entry(first)) {
        printf("ledger: %d is not as it was written\n", first);
        return 1;
      }
    printf("ledger: right\n");
    return 0;
  }
  return 2;
}
