#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void abort(void) {
  _exit(134);                // as a shell tells of SIGABRT
}

void *calloc(size_t n, size_t bytes) {
  void *block = bytes && n > (size_t)-1 / bytes ? NULL : malloc(n * bytes);
  return block ? memset(block, 0, n * bytes) : NULL;
}

// The value of a digit or letter; 36 of what is neither.
static unsigned digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;                 // the small one
  return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 36;
}

// A number without sign at s, in a base that 0 leaves to its prefix; *end is
// behind it, or NULL where there is none. ULONG_MAX and *over where it is larger.
static unsigned long magnitude(const char *s, const char **end, int base, int *over) {
  unsigned long value = 0;

  int prefix = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && digit(s[2]) < 16;
  if ((base == 0 || base == 16) && prefix) {
    s += 2;
    base = 16;
  } else if (base == 0) {
    base = *s == '0' ? 8 : 10;
  }
  const char *start = s;
  for (unsigned next; (next = digit(*s)) < (unsigned)base; s++) {
    if (*over || value > (ULONG_MAX - next) / base)
      *over = 1;
    value = value * base + next;
  }
  *end = s == start ? NULL : s;
  return *over ? ULONG_MAX : value;
}

// The sign and magnitude of the number that s begins with; its end for the caller.
static unsigned long scan(const char *s, char **end, int base, int *minus, int *over) {
  const char *behind, *at = s + strspn(s, " \t\n\v\f\r");

  *over = 0;
  *minus = *at == '-';
  at += *at == '-' || *at == '+';
  unsigned long value = magnitude(at, &behind, base, over);
  if (end)
    *end = (char *)(behind ? behind : s);
  return value;
}

long strtol(const char *s, char **end, int base) {
  int minus, over;
  unsigned long value = scan(s, end, base, &minus, &over);

  if (over || value > (unsigned long)LONG_MAX + minus) {
    errno = ERANGE;
    return minus ? LONG_MIN : LONG_MAX;
  }
  return (long)(minus ? -value : value);
}

unsigned long strtoul(const char *s, char **end, int base) {
  int minus, over;
  unsigned long value = scan(s, end, base, &minus, &over);

  if (over)
    errno = ERANGE;
  return minus && !over ? -value : value;
}

long atol(const char *s) {
  return strtol(s, NULL, 10);
}

int abs(int n) {
  return n < 0 ? -n : n;
}

static unsigned long state = 1;

void srand(unsigned seed) {
  state = seed;
}

// Knuth's MMIX generator (The Art of Computer Programming 3.3.4), its high bits.
int rand(void) {
  state = state * 6364136223846793005UL + 1442695040888963407UL;
  return state >> 33;
}
