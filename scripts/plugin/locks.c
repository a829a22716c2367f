// Notes which instructions of the kernel access which of its variables, and
// which spinlocks the hart holds then. Whoever reads the file decides what
// that means: gdb/shrimpy/kernel/accesses.py, which has its layout.
//
// A hart holds a lock from the store in acquire() that follows the swap, to
// the lock's struct, up to that in release() to the word that was swapped:
// what else is stored there may lie near another lock that is held. Nothing
// is noted before a program traps for the first time, of atomic instructions,
// and in the functions that skip names.
//
// out=PATH,text=,data=,acquire=,release=START-END,first=PC,skip=START-END:...
#include "common.h"

#define N_SEEN (1 << 18)     // of a hart
#define N_SLOTS (2 * N_SEEN)
#define MAX_HELD 5
#define MAX_SKIPPED 16
#define LOCK_BYTES 64        // no struct spinlock is larger

enum { STORE = 1 };

struct seen {
  uint32_t pc;               // from text.start
  uint32_t at;               // from data.start
  uint32_t n;                // how often, times 2, and STORE
  int32_t held[MAX_HELD];    // the locks, outermost first, in words of 4 from data.start - 4; 0: no more
};

struct hart {
  uint32_t n;                // of seen
  uint32_t n_lost;           // that found no room
  uint32_t n_acquired;
  uint32_t unused[1021];
  struct seen seen[N_SEEN];
};

static struct file {
  struct hart harts[MAX_HARTS];
} *file;

static struct {
  uint64_t swapped;          // the lock that acquire() has tried last
  int n_held;
  uint64_t held[MAX_HELD];
  uint32_t slots[N_SLOTS];   // by hash: 1 + where in seen; 0: none
} own[MAX_HARTS];

static struct range text, data, acquiring, releasing, skipped[MAX_SKIPPED];
static uint64_t first;       // the function that handles a program's traps
static bool is_up;           // it was called
static int n_skipped;

// A lock outside the variables, as in a pipe's frame, counts as one, too.
static int32_t lock_word(uint64_t lock) {
  return (int64_t)(lock - data.start) / 4 + 1;
}

static void hold(unsigned int hart, uint64_t lock) {
  if (own[hart].n_held < MAX_HELD)
    own[hart].held[own[hart].n_held++] = lock;
  file->harts[hart].n_acquired++;
}

static void acquires(unsigned int hart, meminfo info, uint64_t va, void *is_swap) {
  (void)info;
  if (is_swap)
    own[hart].swapped = va;
  else if (own[hart].swapped && va - own[hart].swapped < LOCK_BYTES) {
    hold(hart, own[hart].swapped);
    own[hart].swapped = 0;
  }
}

static void releases(unsigned int hart, meminfo info, uint64_t va, void *unused) {
  (void)info;
  (void)unused;
  int i = 0;
  while (i < own[hart].n_held && own[hart].held[i] != va)
    i++;
  if (i == own[hart].n_held)
    return;
  own[hart].n_held--;
  for (; i < own[hart].n_held; i++)
    own[hart].held[i] = own[hart].held[i + 1];
}

static uint32_t hash(const struct seen *one) {
  uint64_t h = one->pc * 0x9e3779b97f4a7c15u ^ one->at * 0xc2b2ae3d27d4eb4fu ^ one->n;
  for (int i = 0; i < MAX_HELD; i++)
    h = (h ^ (uint32_t)one->held[i]) * 0x9e3779b97f4a7c15u;
  return h >> 32;
}

static bool same(const struct seen *a, const struct seen *b) {
  return a->pc == b->pc && a->at == b->at && (a->n & STORE) == (b->n & STORE) &&
         memcmp(a->held, b->held, sizeof(a->held)) == 0;
}

static void note(unsigned int hart, struct seen one) {
  struct hart *to = &file->harts[hart];
  for (uint32_t i = hash(&one);; i++) {
    uint32_t *slot = &own[hart].slots[i % N_SLOTS];
    if (*slot && !same(&to->seen[*slot - 1], &one))
      continue;
    if (*slot) {
      if (to->seen[*slot - 1].n < UINT32_MAX - 2)
        to->seen[*slot - 1].n += 2;
    } else if (to->n == N_SEEN) {
      to->n_lost++;
    } else {
      one.n += 2;
      to->seen[to->n] = one;
      *slot = to->n + 1;
      __atomic_store_n(&to->n, to->n + 1, __ATOMIC_RELEASE);
    }
    return;
  }
}

static void accesses(unsigned int hart, meminfo info, uint64_t va, void *pc) {
  if (!is_up || !within(data, va))
    return;
  struct seen one = {.pc = (uint64_t)pc - text.start, .at = va - data.start, .n = qemu_plugin_mem_is_store(info) ? STORE : 0};
  for (int i = 0; i < own[hart].n_held; i++)
    one.held[i] = lock_word(own[hart].held[i]);
  note(hart, one);
}

static void comes_up(unsigned int hart, void *unused) {
  (void)hart;
  (void)unused;
  is_up = true;
}

static bool is_skipped(uint64_t pc) {
  for (int i = 0; i < n_skipped; i++)
    if (within(skipped[i], pc))
      return true;
  return false;
}

static void watch(struct qemu_plugin_insn *insn, uint64_t pc) {
  uint32_t word = bits(insn);
  if (pc == first)
    qemu_plugin_register_vcpu_insn_exec_cb(insn, comes_up, NO_REGISTERS, 0);
  if (within(acquiring, pc) && may_store(word))
    qemu_plugin_register_vcpu_mem_cb(insn, acquires, NO_REGISTERS, WRITES, is_atomic(word) ? insn : 0);
  else if (within(releasing, pc) && may_store(word))
    qemu_plugin_register_vcpu_mem_cb(insn, releases, NO_REGISTERS, WRITES, 0);
  else if (!is_atomic(word) && !is_skipped(pc))
    qemu_plugin_register_vcpu_mem_cb(insn, accesses, NO_REGISTERS, BOTH, (void *)pc);
}

static void translate(plugin_id id, struct qemu_plugin_tb *block) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
    uint64_t pc = qemu_plugin_insn_vaddr(insn);
    if (within(text, pc))
      watch(insn, pc);
  }
}

static void skip(const char *said) {
  while (*said && n_skipped < MAX_SKIPPED) {
    char *rest;
    uint64_t start = strtoull(said, &rest, 16);
    skipped[n_skipped++] = (struct range){start, strtoull(rest + (*rest == '-'), &rest, 16)};
    said = rest + (*rest == ':');
  }
}

int qemu_plugin_install(plugin_id id, const struct info *info, int n, char **arguments) {
  size_t size;
  text = range_argument(n, arguments, "text");
  data = range_argument(n, arguments, "data");
  acquiring = range_argument(n, arguments, "acquire");
  releasing = range_argument(n, arguments, "release");
  first = number_argument(n, arguments, "first");
  skip(argument(n, arguments, "skip"));
  file = mapped(argument(n, arguments, "out"), &size);
  if (info->n_vcpus > MAX_HARTS || size < sizeof(*file)) {
    fprintf(stderr, "plugin: its file is too small for this machine\n");
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  return 0;
}
