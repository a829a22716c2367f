// stressfs: several processes write files of their own at once, so that the
// log and the disk are never idle, and check what they read back.
#include "kernel/fcntl.h"
#include "user/user.h"

#define WRITERS 5
#define ROUNDS 4
#define BLOCKS 20

static char block[512];

// 0 when all that was written came back.
static int write_and_read(char *name, char fill) {
  int bad = 0;
  int fd = open(name, O_CREATE | O_TRUNC | O_WRONLY);

  memset(block, fill, sizeof(block));
  for (int i = 0; i < BLOCKS; i++)
    bad |= write(fd, block, sizeof(block)) != sizeof(block);
  close(fd);

  fd = open(name, O_RDONLY);
  for (int i = 0; i < BLOCKS; i++) {
    memset(block, 0, sizeof(block));
    bad |= read(fd, block, sizeof(block)) != sizeof(block);
    bad |= block[0] != fill || memcmp(block, block + 1, sizeof(block) - 1) != 0;
  }
  bad |= read(fd, block, 1) != 0;
  close(fd);
  return bad;
}

static int worker(int k) {
  char name[] = "stressfs0";
  int bad = 0;

  name[sizeof(name) - 2] += k;
  for (int round = 0; round < ROUNDS; round++)
    bad |= write_and_read(name, 'a' + k + round);
  bad |= unlink(name) < 0;
  return bad;
}

int main(void) {
  int status, bad = 0;

  printf("stressfs starting\n");
  for (int k = 0; k < WRITERS; k++)
    if (fork() == 0)
      exit(worker(k));
  for (int k = 0; k < WRITERS; k++)
    bad |= wait(&status) < 0 || status != 0;
  printf(bad ? "stressfs: FAIL\n" : "stressfs: OK\n");
  return bad;
}
