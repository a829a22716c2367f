// The console: lines, edited as they are typed, for whoever reads; bytes, as
// they are, from whoever writes.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "fs.h"
#include "file.h"
#include "proc.h"
#include "defs.h"

#define INPUT_BUF 128
#define CONTROL(letter) ((letter) - '@')
#define DELETE 0x7f
#define ERASE 0x100         // for consputc: the last character goes

// Input, counted from the start: what is before read has been read, what is
// before line may be, what is before typed can still be edited.
static struct {
  struct spinlock lock;
  char buf[INPUT_BUF];
  uint read;
  uint line;
  uint typed;
} input;

// On the screen, without waiting; for the kernel's messages and for echo.
void consputc(int c) {
  if (c != ERASE)
    uartputc_sync(c);
  else
    for (char *s = "\b \b"; *s; s++)
      uartputc_sync(*s);
}

// Fewer than n when the rest cannot be read.
static int consolewrite(int user, uint64 from, int n) {
  char part[64], *next = part, *end = part;

  for (int done = 0; done < n; done++) {
    if (next == end) {
      next = part;
      end = part + MIN(sizeof(part), (uint64)(n - done));
      if (either_copyin(part, user, from + done, end - part) < 0)
        return done;
    }
    uartputc(*next++);
  }
  return n;
}

// At most one line. ^D ends a line without being part of it: alone it reads
// as 0 bytes, the end.
static int consoleread(int user, uint64 to, int n) {
  int done = 0;
  char c = 0;

  acquire(&input.lock);
  while (done < n && c != '\n') {
    if (input.read == input.line) {
      if (killed(myproc())) {
        release(&input.lock);
        return -1;
      }
      sleep(&input.read, &input.lock);
      continue;
    }
    c = input.buf[input.read % INPUT_BUF];
    if (c == CONTROL('D') && done > 0)
      break;                // stays, as the end for the next read
    input.read++;
    if (c == CONTROL('D'))
      break;
    if (either_copyout(user, to + done, &c, 1) < 0) {
      done = done ? done : -1;
      break;
    }
    done++;
  }
  release(&input.lock);
  return done;
}

// Takes the last character back, unless it belongs to a line that is done.
static int erase(void) {
  if (input.typed == input.line)
    return 0;
  input.typed--;
  consputc(ERASE);
  return 1;
}

// What finds no room is lost; what takes the last of it ends a line.
static void type(int c) {
  uint room = INPUT_BUF - (input.typed - input.read);

  if (room == 0 || c == 0)
    return;
  if (c == '\r')
    c = '\n';
  input.buf[input.typed % INPUT_BUF] = c;
  input.typed++;
  consputc(c);
  if (room > 1 && c != CONTROL('D') && c != '\n')
    return;
  input.line = input.typed;
  wakeup(&input.read);
}

// A character has been typed.
void consoleintr(int c) {
  acquire(&input.lock);
  switch (c) {
  case CONTROL('P'):
    procdump();
    break;
  case CONTROL('U'):
    while (erase())
      ;
    break;
  case CONTROL('H'):
  case DELETE:
    erase();
    break;
  default:
    type(c);
  }
  release(&input.lock);
}

void consoleinit(void) {
  initlock(&input.lock, "console");
  uartinit();
  devsw[CONSOLE] = (struct devsw){.read = consoleread, .write = consolewrite};
}
