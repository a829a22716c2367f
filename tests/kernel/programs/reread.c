// reread: makes the longest file that there can be and reads it; and again for
// each line from the console. Says when it has.
#include "kernel/types.h"
#include "kernel/fcntl.h"
#include "kernel/fs.h"
#include "user/user.h"

int main(void) {
  static char block[BSIZE];
  char c = 0;
  int fd = open("longest", O_CREATE | O_WRONLY);

  for (int i = 0; i < MAXFILE; i++)
    if (write(fd, block, BSIZE) != BSIZE)
      c = 'x';
  close(fd);
  for (int times = 0; c != 'x'; times++) {
    int n = 0;
    fd = open("longest", O_RDONLY);
    while (read(fd, block, BSIZE) == BSIZE)
      n++;
    close(fd);
    printf("reread: %d blocks, %d\n", n, times);
    do
      if (read(0, &c, 1) != 1)
        c = 'x';
    while (c != '\n' && c != 'x');
  }
  unlink("longest");
  exit(0);
}
