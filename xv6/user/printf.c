// Formatted output. A call gathers its text and writes it in pieces as large
// as the buffer, so that short lines of several processes do not mix.
#include <stdarg.h>
#include "user/user.h"

struct sink {
  int fd;
  uint n;
  char text[128];
};

static void flush(struct sink *out) {
  write(out->fd, out->text, out->n);
  out->n = 0;
}

static void put(struct sink *out, char c) {
  if (out->n == sizeof(out->text))
    flush(out);
  out->text[out->n++] = c;
}

static void put_string(struct sink *out, const char *s) {
  for (s = s ? s : "(null)"; *s; s++)
    put(out, *s);
}

// value in the given base, with zeros in front up to width digits.
static void put_number(struct sink *out, uint64 value, uint base, int width) {
  char digits[20];            // 2^64 - 1 has 20 in decimal
  int n = 0;

  for (; value || n < width; value /= base)
    digits[n++] = "0123456789abcdef"[value % base];
  while (n > 0)
    put(out, digits[--n]);
}

static void format(int fd, const char *f, va_list args) {
  struct sink out = {.fd = fd};

  for (; *f; f++) {
    if (*f != '%') {
      put(&out, *f);
      continue;
    }
    int wide = 0;
    while (*++f == 'l')
      wide = 1;
    if (*f == 0)
      break;

    switch (*f) {
    case 'd': {
      long v = wide ? va_arg(args, long) : va_arg(args, int);
      if (v < 0)
        put(&out, '-');
      put_number(&out, v < 0 ? -(uint64)v : (uint64)v, 10, 1);
      break;
    }
    case 'u':
    case 'x': {
      uint64 v = wide ? va_arg(args, uint64) : va_arg(args, uint);
      put_number(&out, v, *f == 'x' ? 16 : 10, 1);
      break;
    }
    case 'p':
      put_string(&out, "0x");
      put_number(&out, va_arg(args, uint64), 16, 16);
      break;
    case 's':
      put_string(&out, va_arg(args, const char *));
      break;
    case 'c':
      put(&out, va_arg(args, int));
      break;
    case '%':
      put(&out, '%');
      break;
    default:                  // not ours: show it as it stands
      put(&out, '%');
      put(&out, *f);
    }
  }
  flush(&out);
}

void fprintf(int fd, const char *f, ...) {
  va_list args;

  va_start(args, f);
  format(fd, f, args);
  va_end(args);
}

void printf(const char *f, ...) {
  va_list args;

  va_start(args, f);
  format(1, f, args);
  va_end(args);
}
