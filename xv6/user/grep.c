// grep PATTERN [FILE...]: the lines that match. In a pattern ^ at the start
// and $ at the end anchor it, . is any character, x* any number of x.
//
// The pattern is a row of at most MAXATOM atoms. A set of positions in it is
// one word, bit i meaning "atoms before i have matched", so a line costs time
// in proportion to its length whatever the pattern.
#include "kernel/fcntl.h"
#include "user/user.h"

#define MAXATOM 63

struct pattern {
  int n;                      // atoms
  int from_start, to_end;     // anchored
  uint64 accepts[256];        // bit i: atom i accepts the character
  uint64 starred;             // bit i: atom i is followed by *
};

static struct pattern pattern;

// -1 when there are too many atoms.
static int compile(const char *text) {
  struct pattern *p = &pattern;

  if (*text == '^') {
    p->from_start = 1;
    text++;
  }
  for (; *text; text++) {
    if (text[0] == '$' && text[1] == 0) {
      p->to_end = 1;
      break;
    }
    if (p->n == MAXATOM)
      return -1;
    uint64 bit = 1UL << p->n++;
    if (*text == '.')
      for (int c = 0; c < 256; c++)
        p->accepts[c] |= bit;
    else
      p->accepts[(uchar)*text] |= bit;
    if (text[1] == '*') {
      p->starred |= bit;
      text++;
    }
  }
  return 0;
}

// A starred atom may be passed without a character.
static uint64 pass_stars(uint64 at) {
  uint64 next;

  while ((next = at | (at & pattern.starred) << 1) != at)
    at = next;
  return at;
}

static int matches(const char *line, int n) {
  struct pattern *p = &pattern;
  uint64 done = 1UL << p->n;
  uint64 at = pass_stars(1);

  for (int i = 0; i < n; i++) {
    if (at & done && !p->to_end)
      return 1;
    uint64 hit = at & p->accepts[(uchar)line[i]];
    at = (hit & p->starred) | (hit & ~p->starred) << 1;
    if (!p->from_start)
      at |= 1;
    at = pass_stars(at);
  }
  return (at & done) != 0;
}

// The file so far unsearched: size bytes of room, n of them filled.
struct window {
  char *text;
  int size, n;
};

// Prints the matching lines among the first n bytes and drops all it has
// seen; a line without its end stays, unless this is the file's last.
static int search_lines(struct window *w, int last) {
  int found = 0, start = 0;

  for (int i = 0; i < w->n; i++) {
    if (w->text[i] != '\n')
      continue;
    if (matches(w->text + start, i - start)) {
      write(1, w->text + start, i + 1 - start);
      found = 1;
    }
    start = i + 1;
  }
  if (last && start < w->n && matches(w->text + start, w->n - start)) {
    write(1, w->text + start, w->n - start);
    found = 1;
  }
  w->n -= start;
  memmove(w->text, w->text + start, w->n);
  return found;
}

static void make_room(struct window *w) {
  if (w->n < w->size)
    return;
  char *larger = malloc(w->size * 2);
  if (!larger) {
    fprintf(2, "grep: a line is too long\n");
    exit(2);
  }
  memcpy(larger, w->text, w->n);
  free(w->text);
  w->text = larger;
  w->size *= 2;
}

// 1 when a line matched, 0 when none did.
static int search(int fd) {
  struct window w = {.text = malloc(4096), .size = 4096};
  int n, found = 0;

  do {
    make_room(&w);
    n = read(fd, w.text + w.n, w.size - w.n);
    w.n += n > 0 ? n : 0;
    found |= search_lines(&w, n <= 0);
  } while (n > 0);
  free(w.text);
  return found;
}

// Exit status: 0 a line matched, 1 none did, 2 something went wrong.
int main(int argc, char **argv) {
  int found = 0, failed = 0;

  if (argc < 2 || compile(argv[1]) < 0) {
    fprintf(2, argc < 2 ? "usage: grep PATTERN [FILE...]\n"
                        : "grep: the pattern is too long\n");
    return 2;
  }
  if (argc == 2)
    return !search(0);
  for (int i = 2; i < argc; i++) {
    int fd = open(argv[i], O_RDONLY);
    if (fd < 0) {
      fprintf(2, "grep: cannot open %s\n", argv[i]);
      failed = 1;
      continue;
    }
    found |= search(fd);
    close(fd);
  }
  return failed ? 2 : !found;
}
