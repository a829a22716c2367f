// wc [FILE...]: lines, words and bytes of each.
#include "kernel/fcntl.h"
#include "user/user.h"

struct count {
  int lines, words, bytes;
};

// -1 when fd cannot be read.
static int count(int fd, struct count *c) {
  static char buf[4096];
  int n, between = 1;         // words, at the last byte seen

  while ((n = read(fd, buf, sizeof(buf))) > 0) {
    c->bytes += n;
    for (int i = 0; i < n; i++) {
      int space = buf[i] == ' ' || (buf[i] >= '\t' && buf[i] <= '\r');
      c->lines += buf[i] == '\n';
      c->words += between && !space;
      between = space;
    }
  }
  return n;
}

static int report(int fd, const char *name) {
  struct count c = {0};

  if (fd < 0 || count(fd, &c) < 0) {
    fprintf(2, "wc: cannot read %s\n", name);
    return 1;
  }
  printf("%d %d %d %s\n", c.lines, c.words, c.bytes, name);
  return 0;
}

int main(int argc, char **argv) {
  int failed = 0;

  if (argc < 2)
    return report(0, "");
  for (int i = 1; i < argc; i++) {
    int fd = open(argv[i], O_RDONLY);
    failed |= report(fd, argv[i]);
    close(fd);
  }
  return failed;
}
