// ELF64, as far as exec reads it (System V ABI, chapters 4 and 5).
#pragma once

// The file begins with it.
struct elfhdr {
  uchar ident[4];                    // ELFMAG
  uchar class, data, identversion, pad[9];
  ushort type, machine;
  uint version;
  uint64 entry;                      // the first instruction's address
  uint64 phoff, shoff;               // where the tables are: programs, sections
  uint flags;
  ushort ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

#define ELFMAG "\x7f" "ELF"
#define ELFCLASS64 2
#define EM_RISCV 243

// An entry of the program table: what is to be in memory.
struct proghdr {
  uint type, flags;
  uint64 off;                        // in the file
  uint64 vaddr, paddr;
  uint64 filesz, memsz;              // zeroes after filesz
  uint64 align;
};

#define PT_LOAD 1
#define PF_X 1
#define PF_W 2
