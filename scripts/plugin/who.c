// Notes for each 8 bytes of RAM which store was the last: the pc, the hart,
// and how many stores of all harts came before. Beside it, for each hart, a
// ring of the kernel's calls and returns, by which whoever reads it finds the
// callers. gdb/shrimpy/kernel/who.py reads the file and has its layout.
//
// out=PATH,ram=START-END,text=START-END: the kernel's code is text, and it
// sees RAM at its physical addresses.
#include "common.h"

#define RING 65536           // calls and returns, of a hart
#define RETURN (1ull << 63)  // beside the pc of one
#define HART_SHIFT 56        // beside the pc of a store

struct step {
  uint64_t before;           // stores
  uint64_t pc;
};

struct ring {
  uint64_t n;                // since the start
  uint64_t unused[7];
  struct step steps[RING];
};

struct last {
  uint64_t pc;               // and hart + 1; 0: none
  uint64_t number;
};

static struct file {
  uint64_t n;                // stores
  uint64_t unused[511];
  struct ring rings[MAX_HARTS];
  struct last words[];
} *file;

static struct range ram, text;

static inline void note(unsigned int hart, uint64_t at, uint64_t pc) {
  struct last *word = &file->words[at / 8];
  word->number = __atomic_add_fetch(&file->n, 1, __ATOMIC_RELAXED);
  word->pc = pc | (uint64_t)(hart + 1) << HART_SHIFT;
}

static inline void note_all(unsigned int hart, meminfo info, uint64_t pa, uint64_t pc) {
  if (!within(ram, pa))
    return;
  uint64_t at = pa - ram.start;
  note(hart, at, pc);
  if (at % 8 && at % 8 + (1 << qemu_plugin_mem_size_shift(info)) > 8 && pa + 8 < ram.end)
    note(hart, at + 8, pc);
}

static void kernel_stores(unsigned int hart, meminfo info, uint64_t va, void *pc) {
  note_all(hart, info, va, (uint64_t)pc);
}

static void user_stores(unsigned int hart, meminfo info, uint64_t va, void *pc) {
  struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, va);
  if (where && !qemu_plugin_hwaddr_is_io(where))
    note_all(hart, info, qemu_plugin_hwaddr_phys_addr(where), (uint64_t)pc);
}

static void steps(unsigned int hart, void *pc) {
  struct ring *ring = &file->rings[hart];
  ring->steps[ring->n % RING] = (struct step){__atomic_load_n(&file->n, __ATOMIC_RELAXED), (uint64_t)pc};
  __atomic_store_n(&ring->n, ring->n + 1, __ATOMIC_RELEASE);
}

static void translate(plugin_id id, struct qemu_plugin_tb *block) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
    uint64_t pc = qemu_plugin_insn_vaddr(insn);
    uint32_t word = bits(insn);
    bool in_kernel = within(text, pc);
    if (may_store(word))
      qemu_plugin_register_vcpu_mem_cb(insn, in_kernel ? kernel_stores : user_stores, NO_REGISTERS, WRITES, (void *)pc);
    if (in_kernel && (is_call(word) || is_return(word)))
      qemu_plugin_register_vcpu_insn_exec_cb(insn, steps, NO_REGISTERS, (void *)(pc | (is_return(word) ? RETURN : 0)));
  }
}

int qemu_plugin_install(plugin_id id, const struct info *info, int n, char **arguments) {
  size_t size;
  ram = range_argument(n, arguments, "ram");
  text = range_argument(n, arguments, "text");
  file = mapped(argument(n, arguments, "out"), &size);
  if (info->n_vcpus > MAX_HARTS || size < sizeof(*file) + (ram.end - ram.start) / 8 * sizeof(struct last)) {
    fprintf(stderr, "plugin: its file is too small for this machine\n");
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  return 0;
}
