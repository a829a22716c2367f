// Standard input and output, without buffers: what a call prints has been
// written when it returns, so it stands in order with what write() writes.
#pragma once

#include <stdarg.h>
#include <stddef.h>

#define EOF (-1)
#define BUFSIZ 1024

typedef struct stream {
  int fd;
  int ended;                 // nothing more to read
} FILE;

extern FILE *const stdin, *const stdout, *const stderr;

// %d %i %u %o %x %X %c %s %p %%, with flags, width, precision, hh h l ll z j t.
// Not among them: floating point, %n.
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fprintf(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
int sprintf(char *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
int snprintf(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vprintf(const char *format, va_list args);
int vfprintf(FILE *stream, const char *format, va_list args);
int vsnprintf(char *to, size_t size, const char *format, va_list args);

int puts(const char *s);
int fputs(const char *s, FILE *stream);
int fputc(int c, FILE *stream);
int putc(int c, FILE *stream);
int putchar(int c);
void perror(const char *what);
int fflush(FILE *stream);

int fgetc(FILE *stream);
int getc(FILE *stream);
int getchar(void);
char *fgets(char *line, int size, FILE *stream);
int feof(FILE *stream);
int fileno(FILE *stream);
