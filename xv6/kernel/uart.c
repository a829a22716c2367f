// The serial port: a 16550 without flow control. Output waits in a ring
// while the transmitter is busy.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "memlayout.h"
#include "proc.h"
#include "defs.h"

// Registers, and the bits of them that are used.
enum { DATA, IER, FCR, LCR, LSR = 5 };
#define IER_RX 1
#define IER_TX 2
#define FCR_ENABLE 1
#define FCR_CLEAR 6         // both FIFOs
#define LCR_8BITS 3
#define LCR_DLAB 0x80       // DATA and IER are the divisor, low byte and high
#define DIVISOR 2           // 115200 baud of QEMU's 3.6864 MHz
#define LSR_RX 1            // a byte has come
#define LSR_TX 0x20         // a byte may go

#define RING 64

static struct {
  struct spinlock lock;
  char ring[RING];
  uint64 put;               // bytes ever put into it; put - sent wait
  uint64 sent;
} tx;

static volatile uchar *const uart = (volatile uchar *)UART0;

void uartinit(void) {
  initlock(&tx.lock, "uart");
  uart[FCR] = FCR_ENABLE | FCR_CLEAR;
  uart[LCR] = LCR_8BITS | LCR_DLAB;
  uart[IER] = DIVISOR >> 8;
  uart[DATA] = DIVISOR & 0xff;
  uart[LCR] = LCR_8BITS;
  uart[IER] = IER_RX;
}

// Sends what the transmitter takes. It interrupts only while bytes wait.
// tx.lock must be held.
static void drain(void) {
  int full = tx.put - tx.sent == RING;
  while (tx.sent != tx.put && uart[LSR] & LSR_TX)
    uart[DATA] = tx.ring[tx.sent++ % RING];
  uart[IER] = tx.sent == tx.put ? IER_RX : IER_RX | IER_TX;
  if (full && tx.put - tx.sent < RING)
    wakeup(&tx);            // nobody waits unless it was full
}

void uartputc(int c) {
  acquire(&tx.lock);
  while (tx.put - tx.sent == RING)
    sleep(&tx, &tx.lock);
  tx.ring[tx.put++ % RING] = c;
  drain();
  release(&tx.lock);
}

void uartputc_sync(int c) {
  push_off();
  while ((uart[LSR] & LSR_TX) == 0)
    ;
  uart[DATA] = c;
  pop_off();
}

int uartgetc(void) {
  return uart[LSR] & LSR_RX ? uart[DATA] : -1;
}

void uartintr(void) {
  for (int c; (c = uartgetc()) != -1;)
    consoleintr(c);
  acquire(&tx.lock);
  drain();
  release(&tx.lock);
}
