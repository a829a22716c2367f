// Notes for each 8 bytes of RAM which store was the last: the pc, the hart,
// and a number. Beside it, for each hart, a ring of the kernel's calls and
// returns, by which whoever reads it finds the callers.
// gdb/shrimpy/kernel/who.py reads the file and has its layout.
//
// Most machines run one store after another, so what a store costs decides.
// A word has one note of 8 bytes; a hart counts its own stores, without a
// lock (synchronise()); and stores of the kernel that follow each other, over the
// same base register, are one call (struct run).
//
// out=PATH,ram=START-END,text=START-END: the kernel's code is text, and it
// sees most of RAM at its physical addresses.
#include <pthread.h>

#include "common.h"

#define RING 65536           // calls and returns, of a hart
#define RETURN (1ull << 63)  // beside the pc of one
#define N_PLACES ((1 << 18) - 2)
#define PLACE_SHIFT 46       // of a word's note: the store's place, from 1 on,
#define HART_SHIFT 43        // the hart, and the number
#define NUMBER ((1ull << HART_SHIFT) - 1)
#define LONGEST 32           // stores of a run
#define N_RUNS (1 << 16)

struct step {
  uint64_t before;           // stores
  uint64_t pc;
};

struct ring {
  uint64_t n;                // since the start
  uint64_t stores;           // the number of the hart's last one
  uint64_t unused[6];
  struct step steps[RING];
};

static struct file {
  uint64_t clock;
  uint64_t unused[511];
  uint64_t places[N_PLACES]; // 1 + pc of what stores, by its hash
  struct ring rings[MAX_HARTS];
  uint64_t words[];          // 0: no store
} *file;

// Stores to the same base register, one after another: a callback of the
// first notes them all. Where one of the others faults, what follows it was
// noted too soon.
struct run {
  struct run *next;          // of the same hash
  int64_t n;
  struct at {
    uint64_t place;
    int64_t offset;          // from where the first one stores
    int64_t size;
  } stores[LONGEST];
  // If the first one's address is aligned and
  bool is_whole;             // each store is in one word of 8 bytes:
  bool is_ascending;         // each in the word after the one before it
  int64_t lowest, highest;   // offsets
  int64_t words[LONGEST];    // from the first one's
  uint64_t notes[LONGEST];   // without hart, numbered from 1 on
};

static struct range ram, text;
static bool is_alone;        // the machine has one hart
static struct run *runs[N_RUNS]; // by a hash of their first place
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static inline void note(struct ring *own, uint64_t hart, uint64_t at, uint64_t place, int size) {
  uint64_t note = place << PLACE_SHIFT | hart << HART_SHIFT;
  file->words[at / 8] = note | (++own->stores & NUMBER);
  if (at % 8 + size > 8 && at + 8 < ram.end - ram.start)
    file->words[at / 8 + 1] = note | (++own->stores & NUMBER);
}

// Where a virtual address is not the physical one.
static void note_translated(unsigned int hart, meminfo info, uint64_t va, uint64_t place, int size) {
  struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, va);
  if (!where || qemu_plugin_hwaddr_is_io(where))
    return;
  uint64_t pa = qemu_plugin_hwaddr_phys_addr(where);
  if (within(ram, pa))
    note(&file->rings[hart], hart, pa - ram.start, place, size);
}

static void user_stores(unsigned int hart, meminfo info, uint64_t va, void *place) {
  note_translated(hart, info, va, (uint64_t)place, 1 << qemu_plugin_mem_size_shift(info));
}

static inline void note_of_kernel(unsigned int hart, meminfo info, uint64_t va, uint64_t place, int size) {
  if (within(ram, va))
    note(&file->rings[hart], hart, va - ram.start, place, size);
  else
    note_translated(hart, info, va, place, size);
}

static void kernel_stores(unsigned int hart, meminfo info, uint64_t va, void *place) {
  note_of_kernel(hart, info, va, (uint64_t)place, 1 << qemu_plugin_mem_size_shift(info));
}

static void stores_in_a_row(unsigned int hart, meminfo info, uint64_t va, void *data) {
  const struct run *run = data;
  if (va % 8 || !run->is_whole || !within(ram, va + run->lowest) || !within(ram, va + run->highest)) {
    for (const struct at *one = run->stores; one < run->stores + run->n; one++)
      note_of_kernel(hart, info, va + one->offset, one->place, one->size);
    return;
  }
  uint64_t *restrict words = &file->words[(va - ram.start) / 8];
  uint64_t before = (uint64_t)hart << HART_SHIFT | (file->rings[hart].stores & NUMBER);
  if (run->is_ascending)
    for (int64_t i = 0; i < run->n; i++)
      words[i] = run->notes[i] + before;
  else
    for (int64_t i = 0; i < run->n; i++)
      words[run->words[i]] = run->notes[i] + before;
  file->rings[hart].stores += run->n;
}

static void steps(unsigned int hart, void *pc) {
  struct ring *own = &file->rings[hart];
  own->steps[own->n % RING] = (struct step){own->stores, (uint64_t)pc};
  own->n++;
}

// A hart's own count becomes the machine's where harts synchronise: then what
// one hart has stored before has smaller numbers than what another stores
// after (Lamport's clock).
static void synchronise(unsigned int hart, void *unused) {
  (void)unused;
  uint64_t *own = &file->rings[hart].stores;
  uint64_t now = __atomic_load_n(&file->clock, __ATOMIC_ACQUIRE);
  while (now < *own && !__atomic_compare_exchange_n(&file->clock, &now, *own, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
    ;
  if (now > *own)
    *own = now;
}

static void atomics(unsigned int hart, meminfo info, uint64_t va, void *place) {
  kernel_stores(hart, info, va, place);
  synchronise(hart, 0);
}

static uint32_t hash(uint64_t pc) {
  return pc * 0x9e3779b97f4a7c15u >> 32;
}

// The number of an instruction's place, from 1 on; of all that find no room:
// N_PLACES + 1.
static uint64_t place_of(uint64_t pc) {
  for (uint32_t i = 0, h = hash(pc); i < N_PLACES; i++, h++) {
    uint64_t *place = &file->places[h % N_PLACES], none = 0;
    if (__atomic_compare_exchange_n(place, &none, pc + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) || none == pc + 1)
      return 1 + h % N_PLACES;
  }
  return 1 + N_PLACES;
}

// Fills in what follows from the stores of a run.
static void prepare(struct run *run) {
  run->is_whole = run->is_ascending = true;
  run->lowest = run->highest = 0;
  for (int64_t i = 0; i < run->n; i++) {
    struct at *one = &run->stores[i];
    run->words[i] = one->offset >> 3;
    run->notes[i] = (one->place << PLACE_SHIFT) + i + 1;
    run->is_whole &= (uint64_t)one->offset % 8 + one->size <= 8;
    run->is_ascending &= run->words[i] == i;
    run->lowest = one->offset < run->lowest ? one->offset : run->lowest;
    run->highest = one->offset > run->highest ? one->offset : run->highest;
  }
}

// A run that is kept: code is translated again and again.
static struct run *kept(const struct run *wanted) {
  pthread_mutex_lock(&making);
  struct run **chain = &runs[hash(wanted->stores[0].place) % N_RUNS], *run = *chain;
  size_t size = wanted->n * sizeof(struct at);
  while (run && (run->n != wanted->n || memcmp(run->stores, wanted->stores, size)))
    run = run->next;
  if (!run && (run = malloc(sizeof(*run)))) {
    *run = *wanted;
    run->next = *chain;
    *chain = run;
    prepare(run);
  }
  pthread_mutex_unlock(&making);
  return run;
}

// What is translated, as far as stores that may become a run are concerned.
struct open {
  struct qemu_plugin_insn *first;
  struct store store;        // the first
  struct run run;
};

static void close_run(struct open *open) {
  void *place = (void *)open->run.stores[0].place;
  struct run *run = open->run.n > 1 ? kept(&open->run) : 0;
  if (open->run.n > 0)
    qemu_plugin_register_vcpu_mem_cb(open->first, run ? stores_in_a_row : kernel_stores, NO_REGISTERS, WRITES, run ? run : place);
  open->run.n = 0;
}

static void add_to_run(struct open *open, struct qemu_plugin_insn *insn, struct store store, uint64_t place) {
  if (open->run.n == LONGEST || store.base != open->store.base)
    close_run(open);
  if (open->run.n == 0) {
    open->first = insn;
    open->store = store;
  }
  open->run.stores[open->run.n++] = (struct at){place, store.offset - open->store.offset, store.size};
}

static void watch_kernel(struct open *open, struct qemu_plugin_insn *insn, uint64_t pc, uint32_t word) {
  struct store store;
  if (decode_store(word, &store)) {
    add_to_run(open, insn, store, place_of(pc));
    return;
  }
  if (may_store(word) || may_write(word, open->store.base))
    close_run(open);
  if (may_store(word))
    qemu_plugin_register_vcpu_mem_cb(insn, is_alone ? kernel_stores : atomics, NO_REGISTERS, WRITES, (void *)place_of(pc));
  if (!is_alone && (is_atomic(word) || is_fence(word)))
    qemu_plugin_register_vcpu_insn_exec_cb(insn, synchronise, NO_REGISTERS, 0);
  if (is_call(word) || is_return(word))
    qemu_plugin_register_vcpu_insn_exec_cb(insn, steps, NO_REGISTERS, (void *)(pc | (is_return(word) ? RETURN : 0)));
}

static void translate(plugin_id id, struct qemu_plugin_tb *block) {
  (void)id;
  struct open open = {0};
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
    struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
    uint64_t pc = qemu_plugin_insn_vaddr(insn);
    uint32_t word = bits(insn);
    if (within(text, pc))
      watch_kernel(&open, insn, pc, word);
    else if (may_store(word))
      qemu_plugin_register_vcpu_mem_cb(insn, user_stores, NO_REGISTERS, WRITES, (void *)place_of(pc));
  }
  close_run(&open);
}

int qemu_plugin_install(plugin_id id, const struct info *info, int n, char **arguments) {
  size_t size;
  ram = range_argument(n, arguments, "ram");
  text = range_argument(n, arguments, "text");
  file = mapped(argument(n, arguments, "out"), &size);
  is_alone = info->n_vcpus == 1;
  if (info->n_vcpus > MAX_HARTS || size < sizeof(*file) + (ram.end - ram.start) / 8 * sizeof(file->words[0])) {
    fprintf(stderr, "plugin: its file is too small for this machine\n");
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  return 0;
}
