// cat [FILE...]: copies the files, or the standard input, to the output.
#include "kernel/fcntl.h"
#include "user/user.h"

// 0 when all of fd went to the output.
static int copy(int fd, const char *name) {
  static char buf[4096];
  int n;

  do
    n = read(fd, buf, sizeof(buf));
  while (n > 0 && write(1, buf, n) == n);
  if (n != 0)
    fprintf(2, n < 0 ? "cat: cannot read %s\n" : "cat: cannot write %s\n", name);
  return n != 0;
}

int main(int argc, char **argv) {
  int failed = 0;

  if (argc < 2)
    return copy(0, "the standard input");
  for (int i = 1; i < argc; i++) {
    int fd = open(argv[i], O_RDONLY);
    failed |= copy(fd, argv[i]);
    close(fd);
  }
  return failed;
}
