// string.c against plain loops, with every alignment, up to the very ends of
// buffers, which the address sanitizer watches.
#include "kernel_names.h"
#include "kernel/string.c"
#include "host.h"

#define MOST 700

static uchar *filled(int n) {
  uchar *data = malloc(n);
  for (int i = 0; i < n; i++)
    data[i] = random64();
  return data;
}

static void move_within(void) {
  int n = 1 + below(MOST), from = below(n), to = below(n), len = below(n - (from > to ? from : to) + 1);
  uchar *ours = filled(n), *theirs = malloc(n);
  memcpy(theirs, ours, n);
  must(kernel_memmove(ours + to, ours + from, len) == ours + to);
  memmove(theirs + to, theirs + from, len);
  must(memcmp(ours, theirs, n) == 0);
  free(ours);
  free(theirs);
}

static void copy_and_set(void) {
  int n = 1 + below(MOST), skip = below(n), c = below(256);
  uchar *from = filled(n), *to = filled(n), *theirs = malloc(n);
  memcpy(theirs, to, n);
  kernel_memcpy(to + skip, from, n - skip);
  memcpy(theirs + skip, from, n - skip);
  must(memcmp(to, theirs, n) == 0);
  must((kernel_memcmp(to + skip, from, n - skip) == 0) && kernel_memcmp(to, theirs, n) == 0);
  int len = below(n - skip + 1);
  kernel_memset(to + skip, c, len);
  memset(theirs + skip, c, len);
  must(memcmp(to, theirs, n) == 0);
  free(from);
  free(to);
  free(theirs);
}

static void strings(void) {
  int n = 1 + below(20), room = 1 + below(20);
  char *s = malloc(n), *to = malloc(room), *theirs = malloc(room);
  for (int i = 0; i < n; i++)
    s[i] = i == n - 1 ? 0 : 'a' + below(3);
  must(kernel_strlen(s) == (int)strlen(s));
  must(safestrcpy(to, s, room) == to);
  must((int)strlen(to) == (n - 1 < room - 1 ? n - 1 : room - 1) && strncmp(to, s, strlen(to)) == 0);
  kernel_strncpy(to, s, room);
  strncpy(theirs, s, room);
  must(memcmp(to, theirs, room) == 0);
  int len = n < room ? n : room, ours = kernel_strncmp(to, s, len), libc = strncmp(to, s, len);
  must((ours < 0) == (libc < 0) && (ours > 0) == (libc > 0));
  free(s);
  free(to);
  free(theirs);
}

int main(int argc, char **argv) {
  seed_random(argc > 1 ? atoi(argv[1]) : 0);
  for (int i = 0; i < 20000; i++) {
    move_within();
    copy_and_set();
    strings();
  }
  return 0;
}
