// shrimpscene NAME: brings a kernel to the points where its page tables tell most, one after the other.
//
// At each it prints `@NONCE point NAME ROLE=PID...` and waits for a line on the console, while all others stand still: the
// host looks meanwhile. NONCE is new in each run, and the name of this program's file, which is argv[0]. It never writes to
// FRY or SHRIMP. `@NONCE cannot WHAT` says that it could not go on, `@NONCE skip PID WHY` that this kernel has no such point.
#include "calls.h"

static volatile int __attribute__((section(".bss.flag"))) letgone; // the first word of our data: the host writes it

static const char *self; // what this program's file is called

static char line[256]; // what print() collects, written at once: others may print too
static int length;

static void print(const char *s) {
  while (*s && length < sizeof(line))
    line[length++] = *s++;
}

static void number(int n) {
  char digits[12], *at = digits + sizeof(digits);
  *--at = 0;
  do
    *--at = '0' + n % 10;
  while (n /= 10);
  print(at);
}

static void flush(void) {
  print("\n");
  write(1, line, length);
  length = 0;
}

static void point(const char *name) {
  print("@" NONCE " point ");
  print(name);
}

static void role(const char *name, int pid) {
  print(" ");
  print(name);
  print("=");
  number(pid);
}

// Ends what point() began: the host looks now.
static void look(void) {
  char c = 0;
  flush();
  while (read(0, &c, 1) == 1 && c != '\n')
    ;
}

static void __attribute__((noreturn)) cannot(const char *what) {
  print("@" NONCE " cannot ");
  print(what);
  flush();
  exit(1);
}

static void skip(const char *why) {
  print("@" NONCE " skip ");
  number(getpid());
  print(" ");
  print(why);
  look();
}

static void connect(int *end) {
  if (pipe(end) < 0)
    cannot("pipe");
}

static int child(void (*does)(void)) {
  int pid = fork();
  if (pid < 0)
    cannot("fork");
  if (pid == 0) {
    does();
    exit(0);
  }
  return pid;
}

static void nothing(void) {}

// The pid of the next who tells. All who could must have been started since connect(ready).
static int told(void) {
  int pid;
  if (ready[1]) {
    close(ready[1]);
    ready[1] = 0;
  }
  if (read(ready[0], &pid, sizeof(pid)) != sizeof(pid))
    cannot("go on: a process that should stand still has ended");
  return pid;
}

static void begin(void) {
  if (ready[0])
    close(ready[0]);
  connect(ready);
}

// New processes that stand still, on frames that others may have left.
static void newcomers(void) {
  begin();
  for (int i = 0; i < 3; i++)
    child(stand);
  for (int i = 0; i < 3; i++)
    told();
}

static void letgo(void) {
  close(hold[1]);
  while (wait() > 0)
    ;
}

// Fills frames with what is not zero, and gives them back.
static void soil(void) {
  enum { BYTES = 8 << 20 };
  long *from = (long *)sbrk(BYTES, ATONCE);
  if (from == (long *)-1)
    return;
  for (long *at = from; at < from + BYTES / sizeof(long); at++)
    *at = 0x7368726d70;
}

static void withchild(void) {
  child(stand);
  stand();
  wait();
}

// In user mode until the host says so, or until it is killed; every trap of it is the timer's.
static void runs(void) {
  letgone = 0; // in a frame of its own from now on, whatever fork shares
  tell();
  while (!letgone)
    ;
}

static void family(void) {
  child(soil);
  wait();
  begin();
  int first = child(withchild), second = child(stand), third = 0;
  for (int i = 0; i < 3; i++) {
    int pid = told();
    if (pid != first && pid != second)
      third = pid;
  }
  point("family");
  role("parent", getpid());
  role("child", first);
  role("sibling", second);
  role("grandchild", third);
  look();
  begin();
  int runner = child(runs);
  told();
  point("running");
  role("parent", getpid());
  role("runner", runner);
  look();
  if (TYPED)
    kill(runner);
  letgo();
}

static void forking(void) {
  begin();
  point("armed");
  look();
  int pid = child(stand);
  told();
  point("forked");
  role("parent", getpid());
  role("child", pid);
  look();
  letgo();
}

static void childfirst(void) {
  begin();
  int sibling = child(stand);
  told();
  child(nothing);
  wait();
  point("child-gone");
  role("parent", getpid());
  role("sibling", sibling);
  look();
  newcomers();
  point("child-replaced");
  role("parent", getpid());
  role("sibling", sibling);
  look();
  letgo();
}

static int go[2], alive[2];

// Has a child, and exits when it is told to.
static void dies(void) {
  char c;
  if (fork() == 0) {
    close(go[1]);
    close(alive[1]);
    stand();
    exit(0);
  }
  close(hold[1]);
  close(ready[1]);
  close(go[1]);
  read(go[0], &c, 1);
}

static void orphan(void) {
  char c;
  begin();
  connect(go);
  connect(alive);
  int parent = child(dies);
  close(alive[1]);
  int orphan = told();
  point("parent-there");
  role("parent", parent);
  role("orphan", orphan);
  look();
  close(go[1]);
  while (read(alive[0], &c, 1) > 0)
    ;
  point("parent-zombie");
  role("parent", parent);
  role("orphan", orphan);
  look();
  wait();
  point("parent-gone");
  role("orphan", orphan);
  look();
  newcomers();
  point("parent-replaced");
  role("orphan", orphan);
  look();
  letgo();
}

// Leaves zombies that nobody has waited for, and a child that lives on.
static void crowded(void) {
  char c;
  connect(alive);
  for (int i = 0; i < 3; i++)
    child(nothing);
  close(alive[1]);
  while (read(alive[0], &c, 1) > 0)
    ;
  dies();
}

// Whoever waits for the parent, and the first process, which waits for the zombies, let go of one frame.
static void counting(void) {
  begin();
  connect(go);
  int parent = child(crowded), orphan = told();
  point("counted");
  role("parent", parent);
  role("orphan", orphan);
  look();
  close(go[1]);
  wait();
  point("counts-kept");
  role("orphan", orphan);
  look();
  letgo();
}

static const char *ends(int *end, char *text) {
  text[0] = 'a' + end[0];
  text[1] = 'a' + end[1];
  return text;
}

static void execs(void) {
  char text[3] = {0};
  const char *argv[] = {self, "execed", ends(hold, text), 0};
  begin();
  int pid = child(stand);
  told();
  point("exec-before");
  role("process", getpid());
  role("child", pid);
  look();
  exec(self, argv);
  cannot("exec itself");
}

static void execed(char **argv) {
  hold[0] = argv[2][0] - 'a';
  hold[1] = argv[2][1] - 'a';
  point("exec-after");
  role("process", getpid());
  look();
  letgo();
}

static void execing(void) {
  child(execs);
  close(hold[1]);
  wait();
}

static void faults(void) {
  *(volatile char *)-1L = 0;
}

static void killing(void) {
  begin();
  int pid = child(withchild);
  int first = told(), second = told();
  if (kill(pid) < 0 || kill(first + second - pid) < 0) {
    skip("kill fails here: nobody is killed asleep");
    letgo();
    return;
  }
  close(hold[1]);
  wait();
  connect(hold);
  child(faults);
  wait();
  newcomers();
  point("killed");
  role("parent", getpid());
  look();
  letgo();
}

// Memory runs out: one process has it all, and gives it back page by page while another tries; and the rest before the
// host looks, so that it need not read so many entries.
static int ask[2], answer[2], attempt[2], result[2];

static void take(void) {
  for (int size = 1 << 20; size >= 1 << 12; size >>= 4)
    for (char *got; (got = sbrk(size, ATONCE)) != (char *)-1;)
      for (char *page = got; page < got + size; page += 1 << 12)
        *page = 1;
}

static void hog(void) {
  char order, *start = sbrk(0, ATONCE);
  close(ask[1]);
  close(attempt[1]);
  close(result[1]);
  while (read(ask[0], &order, 1) == 1) {
    if (order == 't')
      take();
    else
      sbrk(order == 'g' ? -(1 << 12) : start - sbrk(0, ATONCE), ATONCE);
    write(answer[1], &order, 1);
  }
}

static int ordered(char order) {
  return write(ask[1], &order, 1) == 1 && read(answer[0], &order, 1) == 1;
}

static void tries(void) {
  char c, text[3] = {0};
  const char *argv[] = {self, "loaded", ends(result, text), 0};
  close(ask[1]);
  close(answer[1]);
  close(attempt[1]);
  while (read(attempt[0], &c, 1) == 1) {
    exec(self, argv);
    write(result[1], "f", 1);
  }
}

static void loaded(char **argv) {
  write(argv[2][1] - 'a', "d", 1);
}

static int forked(void) {
  int pid = fork();
  if (pid == 0)
    exit(0);
  return pid > 0 && wait() == pid;
}

static int ranexec(void) {
  char c = 0;
  return write(attempt[1], "", 1) == 1 && read(result[0], &c, 1) == 1 && c == 'd';
}

// Until it works: each time one more page is free than the last.
static void untilitworks(int (*works)(void)) {
  for (int freed = 0; freed < 500; freed++)
    if (works() || !ordered('g'))
      return;
}

static void memory(void) {
  if (sbrk(0, ATONCE) == (char *)-1) {
    skip("sbrk fails here: memory does not run out");
    return;
  }
  connect(ask);
  connect(answer);
  connect(attempt);
  connect(result);
  int trier = child(tries), owner = child(hog);
  close(answer[1]);
  close(result[1]);
  if (!ordered('t')) {
    skip("this kernel gives memory lazily, and kills who touches too much");
  } else {
    ordered('e');
    point("memory-full");
    role("owner", owner);
    look();
    ordered('t');
    untilitworks(forked);
    ordered('e');
    point("memory-fork");
    role("owner", owner);
    look();
    ordered('t');
    untilitworks(ranexec);
    ordered('e');
    point("memory-exec");
    role("owner", owner);
    role("trier", trier);
    look();
  }
  close(ask[1]);
  close(attempt[1]);
  letgo();
}

// As much as the kernel promises, where promises cost nothing, and then more that comes at once, which goes by another bound
// perhaps. No xv6 has more than MAXVA: who is promised that has met no bound. Steps are counted, too, for a kernel whose sizes
// wrap around. Whether it has got anything.
static int highest(void) {
  enum { STEPS = 300 }; // of 1 GiB: beyond MAXVA
  const unsigned long maxva = 1L << 38;
  if (sbrk(1 << 30, LAZILY) == (char *)-1)
    return 0;
  for (int size = 1 << 30; size > 0; size >>= 1)
    for (int n = 0; n < STEPS && (unsigned long)sbrk(size, LAZILY) < maxva; n++)
      ;
  sbrk(1 << 12, ATONCE);
  sbrk(1, ATONCE);
  return 1;
}

static void grows(void) {
  highest();
  stand();
}

// From there, where what is above the heap is next to what goes.
static void shrinks(void) {
  if (highest())
    for (int n = 1; n < 1 << 15; n <<= 12)
      sbrk(-n, ATONCE);
  stand();
}

// Programs that end where TRAPFRAME begins, and one, two and three pages below. A kernel that gives all memory at once runs out
// of it before it comes to its bound: one is enough for that.
static void loadshigh(void) {
  static const char *const high[] = {HIGH "a", HIGH "b", HIGH "c", HIGH "d"};
  char one[3] = {0}, other[3] = {0};
  const char *argv[] = {high[0], ends(hold, one), ends(ready, other), 0};
  int n = sbrk(1 << 30, LAZILY) != (char *)-1 ? 4 : 1;
  for (int i = 0; i < n; i++)
    exec(high[i], argv);
  stand();
}

static void heap(void) {
  begin();
  int grown = child(grows);
  told();
  point("heap");
  role("grown", grown);
  look();
  begin();
  int shrunk = child(shrinks);
  told();
  begin();
  int high = child(loadshigh); // a kernel without a bound may panic here
  told();
  point("loaded");
  role("grown", grown);
  role("shrunk", shrunk);
  role("high", high);
  look();
  letgo();
}

#ifdef HAS_SEGMENTS
enum { KEY = 0x5348, PAGE = 1 << 12 };

static int twopages, threepages; // segments
static long two, three;          // where they are attached

// Has them as its parent has, until it is told to let go of them.
static void writes(void) {
  int pid = getpid();
  char c;
  *(volatile char *)two = 1; // and no other page: that one is there all the same
  write(ready[1], &pid, sizeof(pid));
  read(go[0], &c, 1);
  shmdt(two);
  shmdt(three);
  stand();
}

static void reads(void) {
  shmdt(two);
  shmdt(three);
  shmat(twopages, 0, SHM_RDONLY);
  child(stand);
  stand();
  wait();
}

static void runs_another(void) {
  char one[3] = {0}, other[3] = {0};
  const char *argv[] = {self, "stands", ends(hold, one), ends(ready, other), 0};
  exec(self, argv);
}

static void stands(char **argv) {
  for (int end = 0; end < 2; end++) {
    hold[end] = argv[2][end] - 'a';
    ready[end] = argv[3][end] - 'a';
  }
  stand();
}

// Heap and segments in each other's way: no page of a heap that was promised is there yet.
static void crowds(void) {
  long top = ((long)sbrk(0, ATONCE) + PAGE - 1) & -PAGE;
  shmdt(three);
  if (sbrk(4 * PAGE, LAZILY) != (char *)-1) {
    shmat(threepages, top, 0);
    top = ((long)sbrk(0, ATONCE) + PAGE - 1) & -PAGE;
  }
  shmat(twopages, top, 0);
  sbrk(2 * PAGE, LAZILY);
  stand();
}

static void segments(void) {
  twopages = shmget(KEY, PAGE + 1, IPC_CREAT | 0600);
  threepages = shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600);
  shmget(KEY, PAGE + 1, IPC_CREAT | 0600);
  if (twopages < 0 || threepages < 0 || (two = shmat(twopages, 0, 0)) < 0 || (three = shmat(threepages, 0, 0)) < 0) {
    skip("shmget or shmat fails here: no segments are played");
    return;
  }
  begin();
  connect(go);
  int writer = child(writes), reader = child(reads), execed = child(runs_another), grower = child(crowds), heir = 0;
  for (int i = 0; i < 5; i++) {
    int pid = told();
    if (pid != writer && pid != reader && pid != execed && pid != grower)
      heir = pid;
  }
  point("attached");
  role("parent", getpid());
  role("writer", writer);
  role("reader", reader);
  role("heir", heir);
  role("execed", execed);
  role("grower", grower);
  look();
  write(go[1], "", 1);
  told();
  shmdt(two);
  shmdt(three);
  shmctl(twopages, IPC_RMID);
  shmctl(threepages, IPC_RMID);
  point("removed");
  role("parent", getpid());
  role("writer", writer);
  role("reader", reader);
  role("heir", heir);
  look();
  letgo();
}
#endif

static int is(const char *a, const char *b) {
  while (*a && *a == *b)
    a++, b++;
  return *a == *b;
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "";
  self = argv[0];

  if (is(name, "execed") || is(name, "loaded")) {
    (name[0] == 'e' ? execed : loaded)(argv);
    return 0;
  }
#ifdef HAS_SEGMENTS
  if (is(name, "stands")) {
    stands(argv);
    return 0;
  }
#endif
  connect(hold);
  if (is(name, "family"))
    family();
  else if (is(name, "fork"))
    forking();
  else if (is(name, "child"))
    childfirst();
  else if (is(name, "orphan"))
    orphan();
  else if (is(name, "count"))
    counting();
  else if (is(name, "exec"))
    execing();
  else if (is(name, "kill"))
    killing();
  else if (is(name, "memory"))
    memory();
#ifdef HAS_SEGMENTS
  else if (is(name, "segments"))
    segments();
#endif
  else if (is(name, "heap"))
    heap();
  else
    cannot("play: its argv[1] is not what was typed; look at how exec passes arguments");
  return 0;
}
