"""Edits that make of our sources kernels that keep and count their frames in ways of their own."""

from __future__ import annotations

from trees import Edit

BUFFERS: list[Edit] = [     # the data of each buffer is a frame, and only cache.buf[i].data says so
    ("kernel/buf.h", r"uchar data\[BSIZE\][^;]*;", "uchar *data;"),
    ("kernel/bio.c", r"initsleeplock\(&b->lock, .buffer.\);\n", r"\g<0>    b->data = kalloc();\n"),
    ("kernel/log.c", r"  log\.header\.dev = dev;\n", r"\g<0>  log.header.data = kalloc();\n"),
    ("kernel/*.c", r"\bcache\.(\w+)\b", r"bcache.\1"),
    ("kernel/bio.c", r"\} cache;", "} bcache;")]

LAZY_BUFFERS: list[Edit] = [    # the same, from when a buffer is first used
    *BUFFERS[:1], *BUFFERS[2:],
    ("kernel/bio.c", r"  if \(!b->valid\) \{\n|(?=  memset\(b->data, 0, BSIZE\))", r"\g<0>  if (b->data == 0)\n    b->data = kzalloc();\n")]

COUNTED_TWICE: list[Edit] = [   # one count is the allocator's, another each mapping's
    ("kernel/kalloc.c", r"\*refsof\(r\) = 1;", "*refsof(r) = 2;"),
    ("kernel/kalloc.c", r"if \(--\*refs == 0\)\n", "if (--*refs == 1 && !(*refs = 0))\n")]

COUNTED_BEHIND: list[Edit] = [("kernel/kalloc.c", r"\(a - KERNBASE\) / PGSIZE", "(a - (uint64)end) / PGSIZE")]

COUNTED_BY_POINTER: list[Edit] = [      # the counts are in the first frames behind the image, which are never freed
    ("kernel/kalloc.c", r"ushort refs\[NFRAMES\];", "ushort *ref_count;"),
    ("kernel/kalloc.c", r"&kmem.refs\[\(a - KERNBASE\) / PGSIZE\]", "&kmem.ref_count[(a - PGROUNDUP((uint64)end)) / PGSIZE]"),
    ("kernel/kalloc.c", r"  for \(uint64 pa = PHYSTOP - PGSIZE; pa >= \(uint64\)end;", """  kmem.ref_count = (ushort *)PGROUNDUP((uint64)end);
  memset(kmem.ref_count, 0, NFRAMES * sizeof(ushort));
  for (uint64 pa = PHYSTOP - PGSIZE; pa >= (uint64)(kmem.ref_count + NFRAMES);""")]

BLOCKS: list[Edit] = [      # eight frames in a row, of which the first is known
    ("kernel/kalloc.c", r"\Z", "static char *arena;\nvoid reserve(void) {\n  arena = kalloc();\n"
     "  for (int i = 1; i < 8; i++)\n    if ((char *)kalloc() != arena + i * PGSIZE)\n      panic(\"reserve\");\n"
     "  __atomic_store_n(&arena, arena, __ATOMIC_RELAXED);\n}\n"),
    ("kernel/defs.h", r"void kinit\(void\);", r"\g<0>\nvoid reserve(void);"),
    ("kernel/main.c", r"  kvminit\(\);\n", r"  reserve();\n\g<0>")]

POOL: list[Edit] = [        # 3584 frames at the end of RAM are handed out by a counter, and never given back: kernel stacks
    ("kernel/kalloc.c", r"pa = PHYSTOP - PGSIZE;", "pa = PHYSTOP - 3585L * PGSIZE;"),
    ("kernel/kalloc.c", r"\Z", "static int next;\nvoid *poolalloc(void) {\n"
     "  return next < 3584 ? (void *)(PHYSTOP - 3584L * PGSIZE + next++ * PGSIZE) : 0;\n}\n"),
    ("kernel/defs.h", r"void kinit\(void\);", r"\g<0>\nvoid *poolalloc(void);"),
    ("kernel/vm.c", r"void \*stack = kalloc\(\);", "void *stack = poolalloc();")]

BUMP: list[Edit] = [        # frames that nobody has had yet are not on the list: a pointer says where they begin
    ("kernel/kalloc.c", r"  for \(uint64 pa = PHYSTOP - PGSIZE;.*\n.*\n", "  kmem.unused = (char *)PGROUNDUP((uint64)end);\n"),
    ("kernel/kalloc.c", r"  struct run \*freelist;", r"\g<0>\n  char *unused;"),
    ("kernel/kalloc.c", r"(  struct run \*r = kmem\.freelist;\n)  if \(r == 0\)\n    return 0;\n",
     r"\1  if (r == 0 && kmem.unused < (char *)PHYSTOP) {\n    r = (struct run *)kmem.unused;\n    r->next = 0;\n"
     r"    kmem.unused += PGSIZE;\n  }\n  if (r == 0)\n    return 0;\n")]

KEPT_FRY: list[Edit] = [    # a slot keeps its FRY, zeroed then, for its next process, which takes another if an orphan still maps it
    ("kernel/kalloc.c", r"\Z", "int kshared(void *pa) {\n  acquire(&kmem.lock);\n  int n = *refsof(pa);\n"
     "  release(&kmem.lock);\n  return n > 1;\n}\n"),
    ("kernel/defs.h", r"void kinit\(void\);", r"\g<0>\nint kshared(void *pa);"),
    ("kernel/proc.c", r"  if \(p->fry\)\n    kfree\(p->fry\);\n", ""),
    ("kernel/proc.c", r"p->fry = p->shrimp = 0;", "p->shrimp = 0;"),
    ("kernel/proc.c", r"  p->fry = kzalloc\(\);",
     "  if (p->fry && kshared(p->fry)) {\n    kfree(p->fry);\n    p->fry = 0;\n  }\n"
     "  if (p->fry)\n    memset(p->fry, 0, PGSIZE);\n  else\n    p->fry = kzalloc();")]

FRY_BELOW: list[Edit] = [   # FRY is below SHRIMP, and all that is bounded is bounded by FRY
    ("kernel/memlayout.h", r"#define FRY .*\n#define SHRIMP .*\n", "#define SHRIMP (TRAPFRAME - PGSIZE)\n#define FRY (SHRIMP - PGSIZE)\n"),
    ("kernel/proc.c", r"uvmunmap\(pagetable, SHRIMP, \(MAXVA - SHRIMP\)", "uvmunmap(pagetable, FRY, (MAXVA - FRY)"),
    ("kernel/*.c", r"> SHRIMP\b", "> FRY"), ("kernel/shm.c", r"([:=]) SHRIMP\b", r"\1 FRY")]
BOUND_AT_SHRIMP: list[Edit] = [*FRY_BELOW[:2]]

UNBOUNDED: list[Edit] = [("kernel/sysproc.c", r"  if \(p->sz \+ n > heaplimit\(p\)\)\n    return -1;\n", "")]
