// Tests: exec: what it passes on, what it refuses, and what it leaves alone.
#include "user/usertests.h"

// Offsets in an ELF-64 file (System V ABI, "ELF-64 Object File Format").
enum { E_MACHINE = 18, E_ENTRY = 24, E_PHOFF = 32, E_PHNUM = 56, EHSIZE = 64,
       P_TYPE = 0, P_FLAGS = 4, P_OFFSET = 8, P_VADDR = 16, P_FILESZ = 32,
       P_MEMSZ = 40, PHENTSIZE = 56, PT_LOAD = 1 };

static uchar *image;          // of a small program, in memory
static int image_size;

static void load_image(void) {
  int fd = open_must("/echo", O_RDONLY);

  image_size = size_of("/echo");
  image = malloc(image_size);
  must(image && read(fd, image, image_size) == image_size);
  close(fd);
}

static uchar *first_segment(void) {
  uchar *p = image + *(uint64 *)(image + E_PHOFF);

  while (*(uint *)p != PT_LOAD)
    p += PHENTSIZE;
  return p;
}

static void set64(uchar *at, uint64 value) {
  memcpy(at, &value, sizeof(value));
}

static char *echo_argv[] = {"echo", 0};

static void must_refuse(const char *path) {
  must(exec(path, echo_argv) == -1);
}

static void must_refuse_image(void) {
  make_file("bad", image, image_size);
  must_refuse("bad");
}

static void refuse_what_is_no_program(void) {
  must_refuse("none");
  must_refuse("/");
  must_refuse("/console");
  make_file("empty", "", 0);
  must_refuse("empty");
  make_file("script", "echo hello\n", 11);
  must_refuse("script");
  load_image();
  for (int n = 1; n < EHSIZE; n += 9) {
    make_file("short", image, n);
    must_refuse("short");
  }
  image[1] ^= 1;
  must_refuse_image();
}

static void refuse_bad_segments(void) {
  static const struct { int field; uint64 value; } changes[] = {
    {P_VADDR, 1}, {P_VADDR, -4096UL}, {P_VADDR, MAXVA}, {P_VADDR, KERNBASE},
    {P_VADDR, TRAPFRAME}, {P_VADDR, 1UL << 63}, {P_MEMSZ, 8}, {P_MEMSZ, -1UL},
    {P_MEMSZ, 1UL << 40}, {P_MEMSZ, 1UL << 63}, {P_FILESZ, 1UL << 20},
    {P_FILESZ, -1UL}, {P_OFFSET, 1UL << 20}, {P_OFFSET, 0xfffffff0}, {P_OFFSET, 1UL << 63},
  };

  load_image();
  for (int i = 0; i < LENGTH(changes); i++) {
    uchar *field = first_segment() + changes[i].field;
    uint64 good = *(uint64 *)field;

    set64(field, changes[i].value);
    if (changes[i].field == P_FILESZ)
      set64(first_segment() + P_MEMSZ, changes[i].value);
    must_refuse_image();
    set64(field, good);
    if (changes[i].field == P_FILESZ)
      set64(first_segment() + P_MEMSZ, good);
  }
  set64(image + E_PHOFF, 1UL << 30);
  must_refuse_image();
}

static void run_bad(void) {
  close(1);                   // should it come to life, it is not heard
  exec("bad", echo_argv);
}

static int mutant;

static void kill_it_late(void) {
  sleep(20);
  kill(mutant);
}

// What begins somewhere else may also go round there for ever.
static void run_for_a_while(void) {
  mutant = begin(run_bad);
  int late = begin(kill_it_late);

  if (wait(0) == mutant)
    kill(late);
  must(wait(0) > 0);
}

static void run_mutants(void) {
  load_image();
  for (int i = 0; i < 150; i++) {
    uchar saved[EHSIZE + 3 * PHENTSIZE];
    memcpy(saved, image, sizeof(saved));
    for (int k = random_below(4); k >= 0; k--)
      image[4 + random_below(sizeof(saved) - 4)] = random_below(3) ? random_below(256) : 255;
    make_file("bad", image, image_size);
    run_for_a_while();
    memcpy(image, saved, sizeof(saved));
  }
}

static void entry_outside(void) {
  static const uint64 entries[] = {1UL << 20, KERNBASE, TRAMPOLINE, TRAPFRAME, MAXVA, -4UL};

  load_image();
  for (int i = 0; i < LENGTH(entries); i++) {
    set64(image + E_ENTRY, entries[i]);
    make_file("bad", image, image_size);
    must(status_of(run_bad) != 0);
  }
}

// Runs this program with its arguments and output in the file "out".
static void run_into_file(char **argv) {
  int pid = must_fork();
  if (pid == 0) {
    close(1);
    must(open("out", O_CREATE | O_TRUNC | O_WRONLY) == 1);
    exec("/echo", argv);
    exit(99);
  }
  must(reap() == 0);
}

static void arguments_arrive(void) {
  static char *argv[] = {"echo", "one", "", "two  words", "x", 0};
  static const char expected[] = "one  two  words x\n";

  run_into_file(argv);
  int fd = open_must("out", O_RDONLY);
  must(read(fd, scratch, 100) == sizeof(expected) - 1);
  must(memcmp(scratch, expected, sizeof(expected) - 1) == 0);
}

static void most_arguments(void) {
  static char *argv[MAXARG + 2];

  for (int i = 0; i < MAXARG + 1; i++)
    argv[i] = "word";
  must(exec("/echo", argv) == -1);
  argv[MAXARG] = 0;
  must(exec("/echo", argv) == -1);
  argv[MAXARG - 1] = 0;
  run_into_file(argv);
  must(size_of("out") == (MAXARG - 2) * 5);
}

static void largest_arguments(void) {
  static char *argv[MAXARG];

  memset(scratch, 'x', sizeof(scratch));
  scratch[sizeof(scratch) - 1] = 0;
  argv[0] = "echo";
  argv[1] = scratch;          // more than a page
  must(exec("/echo", argv) == -1);
  for (int i = 1; i < MAXARG - 1; i++)
    argv[i] = scratch + sizeof(scratch) - 300; // together more than the stack
  must(exec("/echo", argv) == -1);
  argv[1] = scratch + sizeof(scratch) - 2001;
  argv[2] = 0;
  run_into_file(argv);
  must(size_of("out") == 2001);
}

static void exec_without_arguments(void) {
  static char *argv[] = {0};

  run_into_file(argv);
}

// A program of ours says where its descriptors are; exec keeps them all.
static void descriptors_stay_open(void) {
  static char *argv[] = {"cat", 0};

  make_file("in", "through", 7);
  int pid = must_fork();
  if (pid == 0) {
    close(0);
    close(1);
    must(open("in", O_RDONLY) == 0 && open("out", O_CREATE | O_WRONLY) == 1);
    exec("/cat", argv);
    exit(99);
  }
  must(reap() == 0 && size_of("out") == 7);
}

static void relative_to_directory(void) {
  static char *argv[] = {"e", 0};

  must(mkdir("d") == 0 && link("/echo", "d/e") == 0 && chdir("d") == 0);
  int pid = must_fork();
  if (pid == 0) {
    close(1);
    must(open("out", O_CREATE | O_WRONLY) == 1);
    exec("../d/e", argv);
    exit(99);
  }
  must(reap() == 0 && size_of("out") == 1);
}

static void failing_leaves_all_as_it_was(void) {
  char *heap = sbrk(PGSIZE);
  int fd = open_must("f", O_CREATE | O_RDWR);

  heap[5] = 'h';
  for (int i = 0; i < 50; i++)
    must_refuse("f");
  must(heap[5] == 'h' && sbrk(0) == heap + PGSIZE && write(fd, "x", 1) == 1);
}

static int exec_silently(void) {
  close(1);
  return exec("/echo", echo_argv) != -1;
}

static void memory_runs_out(void) {
  starve(exec_silently);
}

static void exec_echo(void) {
  close(1);
  exec("/echo", echo_argv);
  exit(99);
}

static void exec_often(void) {
  for (int i = 0; i < 100; i++)
    must_work(exec_echo);
}

static void exec_side_by_side(void) {
  for (int i = 0; i < 4; i++)
    begin(exec_often);
  for (int i = 0; i < 4; i++)
    must(reap() == 0);
}

const struct test exec_tests[] = {
  {"refuse-what-is-no-program", refuse_what_is_no_program,
   "directories, devices, text and truncated programs"},
  {"refuse-bad-segments", refuse_bad_segments,
   "program headers whose sizes and addresses cannot be"},
  {"run-mutants", run_mutants,
   "programs with random headers run, fail or die, and the kernel does not"},
  {"entry-outside", entry_outside,
   "a program that starts nowhere is killed"},
  {"arguments-arrive", arguments_arrive,
   "words are passed as they are, empty ones too"},
  {"most-arguments", most_arguments,
   "MAXARG - 1 words are passed and MAXARG refused"},
  {"largest-arguments", largest_arguments,
   "words together larger than the stack are refused"},
  {"exec-without-arguments", exec_without_arguments,
   "no words at all"},
  {"descriptors-stay-open", descriptors_stay_open,
   "exec keeps the open files"},
  {"relative-to-directory", relative_to_directory,
   "programs are found by relative paths"},
  {"failing-leaves-all-as-it-was", failing_leaves_all_as_it_was,
   "memory and files survive an exec that fails"},
  {"exec-memory-runs-out", memory_runs_out,
   "exec fails cleanly at each of its allocations"},
  {"exec-side-by-side", exec_side_by_side,
   "several processes exec the same file", 1},
  {0},
};
