// cat [FILE...]: copies the files, or the standard input, to the output.
#include "kernel/fcntl.h"
#include "user/user.h"

// 0 when all of fd was copied.
static int copy(int fd, const char *name) {
  static char buf[4096];
  int n;

  while ((n = read(fd, buf, sizeof(buf))) > 0) {
    if (write(1, buf, n) != n) {
      fprintf(2, "cat: cannot write\n");
      return 1;
    }
  }
  if (n < 0)
    fprintf(2, "cat: cannot read %s\n", name);
  return n < 0;
}

int main(int argc, char **argv) {
  int failed = 0;

  if (argc < 2)
    return copy(0, "the standard input");
  for (int i = 1; i < argc; i++) {
    int fd = open(argv[i], O_RDONLY);
    if (fd < 0) {
      fprintf(2, "cat: cannot open %s\n", argv[i]);
      failed = 1;
      continue;
    }
    failed |= copy(fd, argv[i]);
    close(fd);
  }
  return failed;
}
