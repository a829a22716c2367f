// Bytes and strings: a word at a time where source and target line up.
#include "user/user.h"

#define WORD sizeof(uint64)
#define ODD(p) ((uint64)(p) % WORD)

void *memcpy(void *dst, const void *src, uint64 n) {
  char *d = dst;
  const char *s = src;

  if (ODD(d) == ODD(s)) {
    for (; n > 0 && ODD(d); n--)
      *d++ = *s++;
    for (; n >= 4 * WORD; n -= 4 * WORD, d += 4 * WORD, s += 4 * WORD) {
      uint64 *to = (uint64 *)d;
      const uint64 *from = (const uint64 *)s;
      uint64 w0 = from[0], w1 = from[1], w2 = from[2], w3 = from[3];
      to[0] = w0;
      to[1] = w1;
      to[2] = w2;
      to[3] = w3;
    }
    for (; n >= WORD; n -= WORD, d += WORD, s += WORD)
      *(uint64 *)d = *(const uint64 *)s;
  }
  while (n-- > 0)
    *d++ = *s++;
  return dst;
}

void *memmove(void *dst, const void *src, uint64 n) {
  char *d = dst;
  const char *s = src;

  // Going up is safe unless dst begins inside src.
  if ((uint64)(d - s) >= n)
    return memcpy(dst, src, n);
  while (n-- > 0)
    d[n] = s[n];
  return dst;
}

void *memset(void *dst, int c, uint64 n) {
  char *d = dst;
  uint64 word = (uchar)c * 0x0101010101010101UL;

  for (; n > 0 && ODD(d); n--)
    *d++ = c;
  for (; n >= WORD; n -= WORD, d += WORD)
    *(uint64 *)d = word;
  while (n-- > 0)
    *d++ = c;
  return dst;
}

int memcmp(const void *a, const void *b, uint64 n) {
  const uchar *x = a, *y = b;

  for (uint64 i = 0; i < n; i++)
    if (x[i] != y[i])
      return x[i] - y[i];
  return 0;
}

uint64 strlen(const char *s) {
  const char *end = s;

  while (*end)
    end++;
  return end - s;
}

char *strcpy(char *dst, const char *src) {
  return memcpy(dst, src, strlen(src) + 1);
}

char *strchr(const char *s, int c) {
  for (;; s++) {
    if (*s == (char)c)
      return (char *)s;
    if (*s == 0)
      return 0;
  }
}

int strcmp(const char *a, const char *b) {
  uint i = 0;

  while (a[i] == b[i] && a[i])
    i++;
  return (uchar)a[i] - (uchar)b[i];
}

int atoi(const char *s) {
  int sign = *s == '-' ? -1 : 1;
  uint n = 0;

  if (*s == '-' || *s == '+')
    s++;
  for (uint digit; (digit = *s - '0') < 10; s++)
    n = n * 10 + digit;
  return sign * (int)n;
}
