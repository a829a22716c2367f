// The kernel's voice: printf and panic, on the console, without waiting.
#include <stdarg.h>
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

volatile int panicked;       // 1 + the hart that panicked
static struct spinlock line; // keeps the output of one printf together

void printfinit(void) {
  initlock(&line, "printf");
}

static void putstring(const char *s) {
  while (*s)
    consputc(*s++);
}

static void putnumber(uint64 value, uint base, int negative) {
  char digits[24];
  char *at = digits + sizeof(digits);

  *--at = 0;
  do
    *--at = "0123456789abcdef"[value % base];
  while (value /= base);
  if (negative)
    *--at = '-';
  putstring(at);
}

// One conversion; wide when an l stood before it.
static void convert(char kind, int wide, va_list *ap) {
  switch (kind) {
  case 'd': {
    long value = wide ? va_arg(*ap, long) : va_arg(*ap, int);
    putnumber(value < 0 ? -(uint64)value : (uint64)value, 10, value < 0);
    break;
  }
  case 'u':
  case 'x':
    putnumber(wide ? va_arg(*ap, uint64) : va_arg(*ap, uint), kind == 'u' ? 10 : 16, 0);
    break;
  case 'p':
    putstring("0x");
    putnumber(va_arg(*ap, uint64), 16, 0);
    break;
  case 's': {
    const char *s = va_arg(*ap, const char *);
    putstring(s ? s : "(null)");
    break;
  }
  case 'c':
    consputc(va_arg(*ap, int));
    break;
  default:
    consputc(kind);
  }
}

// %d %u %x, each with l for 64 bits; %p %s %c %%.
int printf(char *fmt, ...) {
  int alone = panicked == 1 + cpuid(); // the lock's holder may have halted
  va_list ap;

  if (!alone)
    acquire(&line);
  va_start(ap, fmt);
  for (; *fmt; fmt++) {
    if (*fmt != '%') {
      consputc(*fmt);
      continue;
    }
    int wide = 0;
    while (*++fmt == 'l')
      wide = 1;
    if (*fmt == 0)
      break;
    convert(*fmt, wide, &ap);
  }
  va_end(ap);
  if (!alone)
    release(&line);
  return 0;
}

// Return addresses, innermost first: each frame holds its caller's frame
// pointer and return address below where its own points.
static void backtrace(uint64 *frame) {
  uint64 page = PGROUNDDOWN((uint64)frame - 1);
  for (int depth = 0; depth < 12 && frame; depth++) {
    if (PGROUNDDOWN((uint64)frame - 1) != page || (uint64)frame % sizeof(*frame))
      return;
    printf("  from %p\n", (void *)frame[-1]);
    frame = (uint64 *)frame[-2];
  }
}

// This hart does nothing more; after a panic, for whoever looks at memory.
void halt(void) {
  csr_clear(sstatus, SSTATUS_SIE);
  for (;;)
    asm volatile("wfi");
}

void panic(char *why) {
  int none = 0;

  csr_clear(sstatus, SSTATUS_SIE);
  if (!__atomic_compare_exchange_n(&panicked, &none, 1 + cpuid(), 0, __ATOMIC_SEQ_CST,
                                   __ATOMIC_SEQ_CST))
    halt();                  // one report is enough
  kickall();
  printf("panic: %s\n", why);
  backtrace(__builtin_frame_address(0));
  halt();
}
