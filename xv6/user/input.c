// Library calls made of several system calls.
#include "kernel/types.h"
#include "kernel/stat.h"
#include "kernel/fcntl.h"
#include "user/user.h"

// Reads byte by byte: what follows the newline belongs to the next reader
// of descriptor 0, which may be another process.
char *gets(char *buf, int max) {
  int n = 0;
  char c = 0;

  while (n < max - 1 && c != '\n' && c != '\r' && read(0, &c, 1) == 1)
    buf[n++] = c;
  if (max > 0)
    buf[n] = 0;
  return buf;
}

int stat(const char *path, struct stat *st) {
  int fd = open(path, O_RDONLY);
  int r = fd < 0 ? -1 : fstat(fd, st);

  if (fd >= 0)
    close(fd);
  return r;
}
