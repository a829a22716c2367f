// Bytes and NUL-terminated strings. Bulk goes many words at a time: copying
// and clearing pages is most of what fork, exec and sbrk do.
#include "types.h"
#include "riscv.h"
#include "defs.h"

typedef uint64 __attribute__((may_alias)) word;

#define WORD (long)sizeof(word)
#define BULK (16 * WORD)
#define MISALIGNED(address) ((uint64)(address) % WORD)

void *memset(void *dst, int c, uint64 n) {
  uchar *d = dst, *end = d + n;
  word w = (uchar)c * 0x0101010101010101UL;

  while (d < end && MISALIGNED(d))
    *d++ = c;
  for (; end - d >= BULK; d += BULK) {
    word *p = (word *)d;
    p[0] = p[1] = p[2] = p[3] = p[4] = p[5] = p[6] = p[7] = w;
    p[8] = p[9] = p[10] = p[11] = p[12] = p[13] = p[14] = p[15] = w;
  }
  for (; end - d >= WORD; d += WORD)
    *(word *)d = w;
  while (d < end)
    *d++ = c;
  return dst;
}

// Loads before stores: a hart need not wait for each word in turn.
#define COPY4(i)                                                                \
  do {                                                                          \
    word w0 = from[i], w1 = from[i + 1], w2 = from[i + 2], w3 = from[i + 3];    \
    to[i] = w0, to[i + 1] = w1, to[i + 2] = w2, to[i + 3] = w3;                 \
  } while (0)

static void copyup(uchar *d, const uchar *s, uint64 n) {
  uchar *end = d + n;

  if (MISALIGNED(d) == MISALIGNED(s)) {
    while (d < end && MISALIGNED(d))
      *d++ = *s++;
    for (; end - d >= BULK; d += BULK, s += BULK) {
      word *to = (word *)d;
      const word *from = (const word *)s;
      COPY4(0);
      COPY4(4);
      COPY4(8);
      COPY4(12);
    }
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
