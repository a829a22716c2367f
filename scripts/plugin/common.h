// What both plugins have: their file, which the launcher has made as large as
// it is to be, and the instructions of RISC-V that they tell apart.
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu.h"

#define MAX_HARTS 8

struct range {
  uint64_t start, end;
};

static inline bool within(struct range r, uint64_t at) {
  return at - r.start < r.end - r.start;
}

// The value of NAME=VALUE among the arguments; exits with a line without it.
static inline const char *argument(int n, char **arguments, const char *name) {
  size_t length = strlen(name);
  for (int i = 0; i < n; i++)
    if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=')
      return arguments[i] + length + 1;
  fprintf(stderr, "plugin: no %s=\n", name);
  exit(1);
}

// NAME=START-END, in hexadecimal.
static inline struct range range_argument(int n, char **arguments, const char *name) {
  char *rest;
  uint64_t start = strtoull(argument(n, arguments, name), &rest, 16);
  return (struct range){start, *rest ? strtoull(rest + 1, 0, 16) : start};
}

static inline uint64_t number_argument(int n, char **arguments, const char *name) {
  return range_argument(n, arguments, name).start;
}

// All of a file, shared with whoever reads it; exits with a line where it
// cannot be.
static inline void *mapped(const char *path, size_t *size) {
  struct stat status;
  int file = open(path, O_RDWR);
  if (file >= 0 && fstat(file, &status) == 0) {
    *size = status.st_size;
    void *at = mmap(0, *size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED)
      return at;
  }
  perror(path);
  exit(1);
}

static inline uint32_t bits(const struct qemu_plugin_insn *insn) {
  uint32_t word = 0;
#if API < 3
  memcpy(&word, qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));
#else
  qemu_plugin_insn_data(insn, &word, sizeof(word));
  if (qemu_plugin_insn_size(insn) == 2)
    word &= 0xffff;
#endif
  return word;
}

// "RISC-V Unprivileged" 2.5.1: rd is ra. c.jalr: 16.4.
static inline bool is_call(uint32_t insn) {
  bool compressed = (insn & 0xf07f) == 0x9002 && (insn & 0xf80) != 0;
  return (insn & 0xfff) == 0x0ef || (insn & 0xfff) == 0x0e7 || compressed;
}

static inline bool is_return(uint32_t insn) {
  return insn == 0x8067 || insn == 0x8082;
}

// Any that may store: store, store-fp, amo; of the compressed, quadrants 0 and
// 2, funct3 from 5 on.
static inline bool may_store(uint32_t insn) {
  uint32_t opcode = insn & 0x7f;
  if ((insn & 3) == 3)
    return opcode == 0x23 || opcode == 0x27 || opcode == 0x2f;
  return (insn & 3) != 1 && (insn >> 13 & 7) >= 5;
}

// lr, sc and all amo.
static inline bool is_atomic(uint32_t insn) {
  return (insn & 0x7f) == 0x2f;
}

// "RISC-V Unprivileged" 2.7.
static inline bool is_fence(uint32_t insn) {
  return (insn & 0x7f) == 0x0f;
}

// What a store is encoded with. offset, size in bytes.
struct store {
  int base;                  // register
  int offset;
  int size;
};

// The bits of an instruction from one on, moved to where an offset has them.
static inline int field(uint32_t insn, int from, int n, int to) {
  return (insn >> from & ((1 << n) - 1)) << to;
}

// False for what is none of sb, sh, sw, sd, fsw, fsd; of the compressed:
// 16.3, for RV64.
static inline bool decode_store(uint32_t insn, struct store *store) {
  int funct3 = insn >> 12 & 7, compressed = insn >> 13 & 7;
  if ((insn & 0x7f) == 0x23 || (insn & 0x7f) == 0x27) {
    *store = (struct store){field(insn, 15, 5, 0), ((int32_t)insn >> 25) * 32 | field(insn, 7, 5, 0), 1 << funct3};
    return funct3 < 4 && ((insn & 0x7f) == 0x23 || funct3 >= 2);
  }
  if ((insn & 3) == 3 || (insn & 3) == 1 || compressed < 5)
    return false;
  bool is_word = compressed == 6;
  *store = (struct store){.base = 2, .size = is_word ? 4 : 8};
  if ((insn & 3) == 2)       // over the stack pointer
    store->offset = is_word ? field(insn, 9, 4, 2) | field(insn, 7, 2, 6) : field(insn, 10, 3, 3) | field(insn, 7, 3, 6);
  else {
    store->base = 8 + field(insn, 7, 3, 0);
    store->offset = field(insn, 10, 3, 3) | (is_word ? field(insn, 6, 1, 2) | field(insn, 5, 1, 6) : field(insn, 5, 2, 6));
  }
  return true;
}

// Whether an instruction that is no store may write a register: false only
// where it does not.
static inline bool may_write(uint32_t insn, int reg) {
  bool is_rd = field(insn, 7, 5, 0) == reg;
  switch (insn & 3) {
  case 3:
    return is_rd;
  case 0:
    return 8 + field(insn, 2, 3, 0) == reg;
  default:
    return is_rd || 8 + field(insn, 7, 3, 0) == reg;
  }
}
