// The heap: blocks laid end to end, each knowing its own size and its left
// neighbour's, so that a freed block joins free neighbours at once. Free
// blocks are in bins by size: bin i holds sizes in [2^i, 2^(i+1)) units.
#include "user/user.h"

#define UNIT 16               // what sizes are counted in, and the alignment
#define NBIN 28               // a size is under 2^28 units: 4 GiB
#define CHUNK (32 * 1024 / UNIT) // least growth of the heap, in units

struct block {                // one unit; the memory that malloc gives follows
  uint size;                  // units, this header among them
  uint left;                  // the left neighbour's size; 0 at the start of a run
  uint used;
  uint pad;
};

struct links {                // in a free block's memory
  struct block *next, *prev;
};

static struct block *bins[NBIN];
static struct block *fence;   // the used block of one unit that ends the last run

static inline struct links *links(struct block *b) {
  return (struct links *)(b + 1);
}

static int bin_of(uint size) {
  int i = 0;

  while (size >>= 1)
    i++;
  return i;
}

static void bin_add(struct block *b) {
  struct block **head = &bins[bin_of(b->size)];

  b->used = 0;
  *links(b) = (struct links){.next = *head};
  if (*head)
    links(*head)->prev = b;
  *head = b;
}

static void bin_remove(struct block *b) {
  struct links *l = links(b);

  if (l->prev)
    links(l->prev)->next = l->next;
  else
    bins[bin_of(b->size)] = l->next;
  if (l->next)
    links(l->next)->prev = l->prev;
}

static void set_size(struct block *b, uint size) {
  b->size = size;
  b[size].left = size;
}

// Frees b, which is in no bin, together with its free neighbours.
static void release(struct block *b) {
  struct block *right = b + b->size;

  if (!right->used) {
    bin_remove(right);
    set_size(b, b->size + right->size);
  }
  if (b->left && !(b - b->left)->used) {
    b -= b->left;
    bin_remove(b);
    set_size(b, b->size + b[b->size].size);
  }
  bin_add(b);
}

// Adds a free block of at least size units. 0 when the kernel has no memory.
static int grow(uint size) {
  uint units = (size + 1 > CHUNK ? size + 1 : CHUNK);
  struct block *b = (struct block *)sbrk(units * UNIT);

  if (b == (struct block *)-1)
    return 0;
  if (fence && fence + 1 == b) { // right after the last run: the fence moves up
    b = fence;
  } else {
    // Somebody else called sbrk in between, or this is the first time.
    uint skip = -(uint64)b % UNIT;
    b = (struct block *)((char *)b + skip);
    b->left = 0;
    units -= 1 + (skip > 0);
  }
  set_size(b, units);
  fence = b + units;
  fence->size = fence->used = 1;
  release(b);
  return 1;
}

// A free block of at least size units, the tightest of its bin; taken out.
static struct block *take(uint size) {
  for (int i = bin_of(size); i < NBIN; i++) {
    struct block *best = 0;

    for (struct block *b = bins[i]; b; b = links(b)->next)
      if (b->size >= size && (!best || b->size < best->size))
        best = b;
    if (best) {
      bin_remove(best);
      return best;
    }
  }
  return 0;
}

void *malloc(uint64 bytes) {
  uint size = (bytes + UNIT - 1) / UNIT + 1;

  if (bytes > 0x7fffffff - CHUNK * UNIT)
    return 0;                 // more than one sbrk can ask for
  if (size < 2)
    size = 2;                 // room for the links once it is freed

  struct block *b = take(size);
  if (!b && grow(size))
    b = take(size);
  if (!b)
    return 0;
  if (b->size >= size + 2) {
    struct block *rest = b + size;
    uint over = b->size - size;

    set_size(b, size);
    set_size(rest, over);
    bin_add(rest);
  }
  b->used = 1;
  return b + 1;
}

void free(void *p) {
  if (p)
    release((struct block *)p - 1);
}
