// Tests: Shrimpy's pages among everything else a process does. What the pages
// themselves promise is shrimptest's subject. A kernel without them passes.
#include "user/shrimp.h"
#include "user/usertests.h"

static void touch_pages(void) {
  fry[0] = 1;
  shrimp[0] = 1;
}

// Ends the test well on another kernel.
static void need_shrimpy(void) {
  if (status_of(touch_pages) != 0)
    exit(0);
}

static void heap_does_not_move_pages(void) {
  need_shrimpy();
  fry[0] = 41;
  char *start = sbrk(0);
  for (int i = 0; i < 10; i++) {
    must(sbrk(100 * PGSIZE) != (char *)-1);
    must(sbrk(-90 * PGSIZE) != (char *)-1);
  }
  must(fry[0] == 41);
  must(sbrk(start - sbrk(0)) != (char *)-1);
  must(fry[0] == 41);
}

static void heap_stops_below(void) {
  need_shrimpy();
  fry[1] = 42;
  for (int step = 1 << 30; step >= PGSIZE; step /= 2)
    while (sbrklazy(step) != (char *)-1)
      ;
  must((uint64)sbrk(0) <= SHRIMP && fry[1] == 42);
  must(sbrk(PGSIZE) == (char *)-1);
}

static void grow_shrimp(void) {
  shrimp[2]++;
}

static void many_generations(void) {
  need_shrimpy();
  for (int i = 0; i < 200; i++)
    must_work(grow_shrimp);
  must(fry[2] == 200);
}

static void chain(int length) {
  if (length == 0)
    return;
  fry[3] = length;
  int pid = must_fork();
  if (pid == 0) {
    must((int)shrimp[3] == length && fry[3] == 0);
    chain(length - 1);
    shrimp[4] = fry[4] + 1;
    exit(0);
  }
  must(reap() == 0);
}

static void deep_family(void) {
  need_shrimpy();
  chain(20);
  must(fry[4] == 20);
}

static int gate[2];

static void read_page_at_end(void) {
  char c;

  close(gate[1]);
  must(read(gate[0], &c, 1) == 0);
  must(shrimp[5] == 55);
}

static void leave_children(void) {
  fry[5] = 55;
  for (int i = 0; i < 5; i++)
    begin(read_page_at_end);
}

static void orphans_of_many_parents(void) {
  int before = free_pages();

  need_shrimpy();
  must_pipe(gate);
  for (int i = 0; i < 8; i++)
    must_work(leave_children);
  must_work(heap_does_not_move_pages);
  close(gate[1]);
  close(gate[0]);
  must(free_pages_return(before));
}

static void path_in_page(void) {
  need_shrimpy();
  char *path = (char *)FRY + PGSIZE - 2;
  strcpy(path, "p");
  make_file(path, path, 1);
  must(exists("p"));
  path[1] = 'p';              // now it would end behind the page
  must(open(path, O_RDONLY) == -1);
  int fd = open_must("f", O_CREATE | O_RDWR);
  must(write(fd, (char *)FRY, PGSIZE + 1) != PGSIZE + 1);
}

const struct test shrimp_tests[] = {
  {"heap-does-not-move-pages", heap_does_not_move_pages,
   "sbrk leaves the page where and as it is"},
  {"heap-stops-below", heap_stops_below,
   "the heap ends below the pages at the latest"},
  {"many-generations", many_generations,
   "two hundred children write to one page in turn"},
  {"deep-family", deep_family,
   "twenty generations, each with a page for the next"},
  {"orphans-of-many-parents", orphans_of_many_parents,
   "pages outlive their owners and are freed after the last reader"},
  {"path-in-page", path_in_page,
   "calls use the page up to its last byte"},
  {0},
};
