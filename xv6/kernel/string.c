// Bytes and NUL-terminated strings. Bulk goes STEP words at a time: copying
// and clearing pages is most of what fork, exec and sbrk do. A word at a time,
// fork, exit and wait took 55,037 instructions instead of 31,608, and sbrk of
// 40 pages, up and down, 99,323 instead of 41,923 (user/bench.c).
#include "types.h"
#include "riscv.h"
#include "defs.h"

typedef uint64 __attribute__((may_alias)) word;

enum { STEP = 16 };         // a macro would not be expanded in a pragma

#define WORD (long)sizeof(word)
#define BULK (STEP * WORD)
#define MISALIGNED(address) ((uint64)(address) % WORD)

void *memset(void *dst, int c, uint64 n) {
  uchar *d = dst, *end = d + n;
  word w = (uchar)c * 0x0101010101010101UL;

  while (d < end && MISALIGNED(d))
    *d++ = c;
  for (; end - d >= BULK; d += BULK)
#pragma GCC unroll STEP
    for (int i = 0; i < STEP; i++)
      ((word *)d)[i] = w;
  for (; end - d >= WORD; d += WORD)
    *(word *)d = w;
  while (d < end)
    *d++ = c;
  return dst;
}

static void copyup(uchar *d, const uchar *s, uint64 n) {
  uchar *end = d + n;

  if (MISALIGNED(d) == MISALIGNED(s)) {
    while (d < end && MISALIGNED(d))
      *d++ = *s++;
    for (; end - d >= BULK; d += BULK, s += BULK)
#pragma GCC unroll STEP
      for (int i = 0; i < STEP; i++)
        ((word *)d)[i] = ((const word *)s)[i];
    for (; end - d >= WORD; d += WORD, s += WORD)
      *(word *)d = *(const word *)s;
  }
  while (d < end)
    *d++ = *s++;
}

static void copydown(uchar *d, const uchar *s, uint64 n) {
  if (MISALIGNED(d) == MISALIGNED(s)) {
    for (; n > 0 && MISALIGNED(d + n); n--)
      d[n - 1] = s[n - 1];
    for (; n >= WORD; n -= WORD)
      *(word *)(d + n - WORD) = *(const word *)(s + n - WORD);
  }
  for (; n > 0; n--)
    d[n - 1] = s[n - 1];
}

// The two may overlap.
void *memmove(void *dst, const void *src, uint64 n) {
  if ((uint64)dst - (uint64)src < n)
    copydown(dst, src, n);
  else
    copyup(dst, src, n);
  return dst;
}

void *memcpy(void *dst, const void *src, uint64 n) {
  copyup(dst, src, n);
  return dst;
}

static int allzero(const uint64 *words) {
  uint64 any = 0;
#pragma GCC unroll STEP
  for (int i = 0; i < STEP; i++)
    any |= words[i];
  return any == 0;
}

// The index of the first word that is not 0, from the i'th on, of n; n if
// there is none. When freetables looked at each entry by itself, fork, exit
// and wait took 39,051 instructions instead of 29,965.
uint64 nonzero(const uint64 *words, uint64 i, uint64 n) {
  while (n - i >= STEP && allzero(words + i))
    i += STEP;
  while (i < n && words[i] == 0)
    i++;
  return i;
}

int memcmp(const void *a, const void *b, uint64 n) {
  const uchar *x = a, *y = b;
  for (uint64 i = 0; i < n; i++)
    if (x[i] != y[i])
      return x[i] - y[i];
  return 0;
}

int strlen(const char *s) {
  const char *end = s;
  while (*end)
    end++;
  return end - s;
}

int strncmp(const char *a, const char *b, uint64 n) {
  for (uint64 i = 0; i < n; i++)
    if (a[i] != b[i] || a[i] == 0)
      return (uchar)a[i] - (uchar)b[i];
  return 0;
}

char *strncpy(char *dst, const char *src, int n) {
  int i = 0;
  for (; i < n && src[i]; i++)
    dst[i] = src[i];
  for (; i < n; i++)
    dst[i] = 0;
  return dst;
}

char *safestrcpy(char *dst, const char *src, int n) {
  if (n > 0) {
    int i = 0;
    for (; i < n - 1 && src[i]; i++)
      dst[i] = src[i];
    dst[i] = 0;
  }
  return dst;
}
