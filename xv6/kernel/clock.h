// What machine mode keeps for each hart: its timer and its doorbell.
#pragma once

// ACLINT, "SiFive CLINT" in QEMU: registers of 4 and 8 bytes for each hart.
#define CLINT_MSIP(hart) (CLINT + 4 * (hart))
#define CLINT_MTIMECMP(hart) (CLINT + 0x4000 + 8 * (hart))
#define CLINT_MTIME (CLINT + 0xbff8)

#define TICK 1000000        // mtime runs at 10 MHz: ten ticks a second

// Offsets in struct clock.
#define CLOCK_SAVE 0
#define CLOCK_CMP 16
#define CLOCK_MSIP 24
#define CLOCK_DUE 32
#define CLOCK_INTERVAL 40
#define CLOCK_FIRED 48

#ifndef __ASSEMBLER__

struct clock {
  uint64 save[2];           // machinevec's registers
  volatile uint64 *cmp;     // this hart's mtimecmp
  volatile uint32 *msip;    // its software interrupt
  uint64 due;               // mtime of the next tick
  uint64 interval;
  volatile uint64 fired;    // ticks so far
};

extern struct clock clocks[NCPU];

#endif
