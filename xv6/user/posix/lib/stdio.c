// Streams without buffers, and formats (C11 7.21.6.1, but for floating point).
// What a call prints is written in pieces as large as a sink's text, so that
// short lines of several processes do not mix.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static FILE streams[] = {{0, 0}, {1, 0}, {2, 0}};

FILE *const stdin = &streams[0], *const stdout = &streams[1], *const stderr = &streams[2];

struct sink {
  int fd;                    // where it goes, or -1: into memory at to
  int failed;
  char *to;
  size_t room;               // there
  size_t n;                  // all that was put
  size_t held;               // of it in text
  char text[128];
};

static void flush(struct sink *out) {
  if (out->held && write(out->fd, out->text, out->held) != (ssize_t)out->held)
    out->failed = 1;
  out->held = 0;
}

static void put(struct sink *out, char c) {
  if (out->fd < 0) {
    if (out->n < out->room)
      out->to[out->n] = c;
  } else {
    if (out->held == sizeof(out->text))
      flush(out);
    out->text[out->held++] = c;
  }
  out->n++;
}

static void put_all(struct sink *out, const char *s, size_t n) {
  while (n-- > 0)
    put(out, *s++);
}

static void put_many(struct sink *out, char c, long n) {
  while (n-- > 0)
    put(out, c);
}

// One conversion: %, flags, width, precision, length.
struct spec {
  int left, plus, space, alternate, zero;
  long width;
  long precision;            // -1: none
  int bytes;                 // of the argument: char is 1, long 8
};

// In a field: blanks, then the prefix, zeros and s; or blanks at the end.
static void put_field(struct sink *out, const struct spec *f, const char *prefix, long zeros,
                      const char *s, long n) {
  long blanks = f->width - (long)strlen(prefix) - zeros - n;

  if (!f->left)
    put_many(out, ' ', blanks);
  put_all(out, prefix, strlen(prefix));
  put_many(out, '0', zeros);
  put_all(out, s, n);
  if (f->left)
    put_many(out, ' ', blanks);
}

static void put_number(struct sink *out, const struct spec *f, unsigned long value,
                       unsigned base, const char *digits, const char *prefix) {
  char text[24];             // 2^64 - 1 has 22 digits in octal
  char *end = text + sizeof(text), *s = end;
  long zeros = 0;

  for (; value; value /= base)
    *--s = digits[value % base];
  if (f->precision >= 0)
    zeros = f->precision - (end - s);
  else if (f->zero && !f->left)
    zeros = f->width - (long)strlen(prefix) - (end - s);
  if (s == end && f->precision < 0 && zeros <= 0)
    zeros = 1;               // 0 has a digit
  if (f->alternate && base == 8 && zeros <= 0)
    zeros = 1;
  put_field(out, f, prefix, zeros > 0 ? zeros : 0, s, end - s);
}

static void put_signed(struct sink *out, const struct spec *f, long value) {
  const char *sign = f->plus ? "+" : f->space ? " " : "";

  if (value < 0)
    put_number(out, f, -(unsigned long)value, 10, "0123456789", "-");
  else
    put_number(out, f, value, 10, "0123456789", sign);
}

static void put_string(struct sink *out, const struct spec *f, const char *s) {
  if (s == NULL)
    s = "(null)";
  put_field(out, f, "", 0, s, f->precision < 0 ? strlen(s) : strnlen(s, f->precision));
}

// As glibc prints it.
static void put_pointer(struct sink *out, struct spec *f, const void *p) {
  if (p == NULL)
    put_field(out, f, "", 0, "(nil)", 5);
  else
    put_number(out, f, (uintptr_t)p, 16, "0123456789abcdef", "0x");
}

static const char *parse_flags(const char *s, struct spec *f) {
  for (;; s++) {
    if (*s == '-')
      f->left = 1;
    else if (*s == '+')
      f->plus = 1;
    else if (*s == ' ')
      f->space = 1;
    else if (*s == '#')
      f->alternate = 1;
    else if (*s == '0')
      f->zero = 1;
    else
      return s;
  }
}

static const char *parse_count(const char *s, long *count) {
  for (*count = 0; *s >= '0' && *s <= '9'; s++)
    *count = *count * 10 + (*s - '0');
  return s;
}

static const char *parse_length(const char *s, struct spec *f) {
  f->bytes = sizeof(int);
  for (; *s && strchr("hlzjt", *s); s++)
    f->bytes = *s != 'h' ? (int)sizeof(long) : f->bytes == 2 ? 1 : 2;
  return s;
}

// An argument of so many bytes, as its type says.
static long as_signed(long value, int bytes) {
  return bytes == 1 ? (signed char)value : bytes == 2 ? (short)value : value;
}

static unsigned long as_unsigned(unsigned long value, int bytes) {
  return bytes == 8 ? value : value & ((1UL << 8 * bytes) - 1);
}

struct arguments {
  va_list left;
};

static long next_number(struct arguments *args, int bytes) {
  return bytes == sizeof(long) ? va_arg(args->left, long) : va_arg(args->left, int);
}

// A conversion that begins after its %; where it ends.
static const char *parse(const char *s, struct spec *f, struct arguments *args) {
  *f = (struct spec){.precision = -1};
  s = parse_flags(s, f);
  if (*s == '*') {
    f->width = va_arg(args->left, int);
    f->left |= f->width < 0;
    f->width = f->width < 0 ? -f->width : f->width;
    s++;
  } else {
    s = parse_count(s, &f->width);
  }
  if (*s == '.') {
    s++;
    if (*s == '*') {
      f->precision = va_arg(args->left, int);
      s++;
    } else {
      s = parse_count(s, &f->precision);
    }
  }
  return parse_length(s, f);
}

static void convert(struct sink *out, char kind, struct spec *f, struct arguments *args) {
  char c;

  switch (kind) {
  case 'd':
  case 'i':
    put_signed(out, f, as_signed(next_number(args, f->bytes), f->bytes));
    break;
  case 'u':
    put_number(out, f, as_unsigned(next_number(args, f->bytes), f->bytes), 10, "0123456789", "");
    break;
  case 'o':
    put_number(out, f, as_unsigned(next_number(args, f->bytes), f->bytes), 8, "01234567", "");
    break;
  case 'x':
  case 'X': {
    unsigned long value = as_unsigned(next_number(args, f->bytes), f->bytes);
    const char *prefix = !f->alternate || value == 0 ? "" : kind == 'x' ? "0x" : "0X";
    put_number(out, f, value, 16, kind == 'x' ? "0123456789abcdef" : "0123456789ABCDEF", prefix);
    break;
  }
  case 'c':
    c = (char)va_arg(args->left, int);
    put_field(out, f, "", 0, &c, 1);
    break;
  case 's':
    put_string(out, f, va_arg(args->left, const char *));
    break;
  case 'p':
    put_pointer(out, f, va_arg(args->left, void *));
    break;
  default:                   // %%, or not ours: shown as it stands
    if (kind != '%')
      put(out, '%');
    put(out, kind);
  }
}

static int format(struct sink *out, const char *s, va_list given) {
  struct arguments args;

  va_copy(args.left, given);
  for (; *s; s++) {
    if (*s != '%') {
      put(out, *s);
      continue;
    }
    struct spec f;
    s = parse(s + 1, &f, &args);
    if (*s == 0)
      break;
    convert(out, *s, &f, &args);
  }
  va_end(args.left);
  if (out->fd >= 0)
    flush(out);
  return out->failed ? -1 : (int)out->n;
}

int vfprintf(FILE *stream, const char *s, va_list args) {
  struct sink out = {.fd = stream->fd};
  return format(&out, s, args);
}

int vsnprintf(char *to, size_t size, const char *s, va_list args) {
  struct sink out = {.fd = -1, .to = to, .room = size ? size - 1 : 0};
  int n = format(&out, s, args);

  if (size)
    to[out.n < out.room ? out.n : out.room] = 0;
  return n;
}

int vprintf(const char *s, va_list args) {
  return vfprintf(stdout, s, args);
}

int printf(const char *s, ...) {
  va_list args;

  va_start(args, s);
  int n = vprintf(s, args);
  va_end(args);
  return n;
}

int fprintf(FILE *stream, const char *s, ...) {
  va_list args;

  va_start(args, s);
  int n = vfprintf(stream, s, args);
  va_end(args);
  return n;
}

int snprintf(char *to, size_t size, const char *s, ...) {
  va_list args;

  va_start(args, s);
  int n = vsnprintf(to, size, s, args);
  va_end(args);
  return n;
}

int sprintf(char *to, const char *s, ...) {
  va_list args;

  va_start(args, s);
  int n = vsnprintf(to, (size_t)-1 >> 1, s, args);
  va_end(args);
  return n;
}

int fputs(const char *s, FILE *stream) {
  return fprintf(stream, "%s", s) < 0 ? EOF : 0;
}

int puts(const char *s) {
  return printf("%s\n", s) < 0 ? EOF : 0;
}

int fputc(int c, FILE *stream) {
  unsigned char byte = c;
  return write(stream->fd, &byte, 1) == 1 ? byte : EOF;
}

int putc(int c, FILE *stream) {
  return fputc(c, stream);
}

int putchar(int c) {
  return fputc(c, stdout);
}

int fflush(FILE *stream) {
  return 0;                  // nothing is held back
}

int fgetc(FILE *stream) {
  unsigned char byte;

  if (read(stream->fd, &byte, 1) == 1)
    return byte;
  stream->ended = 1;
  return EOF;
}

int getc(FILE *stream) {
  return fgetc(stream);
}

int getchar(void) {
  return fgetc(stdin);
}

char *fgets(char *line, int size, FILE *stream) {
  int n = 0, c = 0;

  while (n + 1 < size && c != '\n' && (c = fgetc(stream)) != EOF)
    line[n++] = (char)c;
  if (n == 0)
    return NULL;
  line[n] = 0;
  return line;
}

int feof(FILE *stream) {
  return stream->ended;
}

int fileno(FILE *stream) {
  return stream->fd;
}
