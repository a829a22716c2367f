// Strings, beside user/string.c's.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *memchr(const void *s, int c, size_t n) {
  for (const unsigned char *at = s; n > 0; n--, at++)
    if (*at == (unsigned char)c)
      return (void *)at;
  return NULL;
}

size_t strnlen(const char *s, size_t n) {
  const char *end = memchr(s, 0, n);
  return end ? (size_t)(end - s) : n;
}

char *strncpy(char *to, const char *from, size_t n) {
  size_t length = strnlen(from, n);

  memcpy(to, from, length);
  memset(to + length, 0, n - length);
  return to;
}

char *strcat(char *to, const char *from) {
  strcpy(to + strlen(to), from);
  return to;
}

char *strncat(char *to, const char *from, size_t n) {
  char *end = to + strlen(to);
  size_t length = strnlen(from, n);

  memcpy(end, from, length);
  end[length] = 0;
  return to;
}

int strncmp(const char *a, const char *b, size_t n) {
  for (; n > 0 && *a == *b && *a; n--, a++, b++)
    ;
  return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

char *strrchr(const char *s, int c) {
  const char *found = NULL;

  for (const char *at = s; (at = strchr(at, c)); at++) {
    found = at;
    if (*at == 0)
      break;
  }
  return (char *)found;
}

char *strstr(const char *s, const char *what) {
  size_t n = strlen(what);

  for (;; s++) {
    if (strncmp(s, what, n) == 0)
      return (char *)s;
    if (*s == 0)
      return NULL;
  }
}

size_t strspn(const char *s, const char *accept) {
  const char *at = s;
  while (*at && strchr(accept, *at))
    at++;
  return at - s;
}

size_t strcspn(const char *s, const char *reject) {
  const char *at = s;
  while (*at && !strchr(reject, *at))
    at++;
  return at - s;
}

char *strtok(char *s, const char *separators) {
  static char *rest = "";

  if (s == NULL)
    s = rest;
  s += strspn(s, separators);
  if (*s == 0) {
    rest = s;
    return NULL;
  }
  rest = s + strcspn(s, separators);
  if (*rest)
    *rest++ = 0;
  return s;
}

char *strdup(const char *s) {
  char *copy = malloc(strlen(s) + 1);
  if (copy == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  return strcpy(copy, s);
}
