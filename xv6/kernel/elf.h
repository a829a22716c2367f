// ELF64, as far as exec reads it (System V ABI, chapters 4 and 5).
#pragma once

#define ELF_MAGIC 0x464c457fU        // "\x7fELF", little-endian
#define ELF_CLASS64 2
#define ELF_MACHINE_RISCV 243
#define ELF_PROG_LOAD 1
#define ELF_PROG_FLAG_EXEC 1
#define ELF_PROG_FLAG_WRITE 2

struct elfhdr {
  uint magic;
  uchar class;
  uchar data;
  uchar identversion;
  uchar pad[9];
  ushort type;
  ushort machine;
  uint version;
  uint64 entry;                      // the first instruction
  uint64 phoff;                      // where the program headers are
  uint64 shoff;
  uint flags;
  ushort ehsize;
  ushort phentsize;
  ushort phnum;
  ushort shentsize;
  ushort shnum;
  ushort shstrndx;
};

struct proghdr {
  uint type;
  uint flags;
  uint64 off;                        // in the file
  uint64 vaddr;
  uint64 paddr;
  uint64 filesz;
  uint64 memsz;                      // zeroes after filesz
  uint64 align;
};
