// After the kernel's piece: libc by its own names, and in place of panic
// something that a test can see.
#pragma once

#undef memset
#undef memmove
#undef memcpy
#undef memcmp
#undef strlen
#undef strncmp
#undef strncpy
#undef printf
#undef exit

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

static jmp_buf on_panic;
static int panics_expected;

#define must(what) ((what) ? (void)0 : wrong(__FILE__, __LINE__, #what))

static void wrong(const char *file, int line, const char *what) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
  exit(1);
}

void panic(char *why) {
  if (!panics_expected) {
    fprintf(stderr, "panic: %s\n", why);
    exit(1);
  }
  longjmp(on_panic, 1);
}

// Does it panic?
#define panics(call) (panics_expected = 1, setjmp(on_panic) ? (panics_expected = 0, 1) : ((call), panics_expected = 0))
