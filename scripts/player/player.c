// The player: does, one by one, what the host tells it, in any process of a family.
//
// The first, without arguments, conducts: the host writes commands into its mailbox, through the file that is the
// machine's RAM, and reads the answers there. It passes a command on to the member that it is for, through that member's
// pipe, and the answer back. A member that has nothing to do sleeps in read(). exec's arguments name the member and the
// pipes. Nothing is printed, and nothing of the kernel's tree is needed but the numbers of its system calls.
#include "calls.h"

#ifndef TYPED
#define TYPED 0
#endif

enum { MEMBERS = 5, HELPER = MEMBERS, CROWD, ANSWERS, PIPES };

// Who is told.
enum { CONDUCTOR = PIPES, NOBODY };

typedef struct {
  long what, a, b, c;
} Command;

typedef struct {
  long said[4];
} Answer;

typedef struct {
  long to, waits;
  Command command;
  Answer answer;
} Letter;

enum { LETTERS = 8 };

// The host sets number last, and we done. TYPED: in a run that is recorded nobody may write to memory, so that on standard input
// there is a line that says how many letters come, and a line of six numbers for each, in hex; only the answers are in the
// mailbox. There is a member fewer then: all descriptors are in use.
typedef struct {
  volatile long number;
  long n;
  Letter letters[LETTERS];
  volatile long done;
} Mail;

Mail __attribute__((section(".mail"))) mail;

static int ends[PIPES][2];
static const char *program;
static const char other[] = OTHER; // the same program by another name
static const char broken[] = BROKEN; // the same, but its last segment cannot be loaded
static const char data[] = DATA;     // a file of two pages

// The compiler calls it to copy a struct.
void *memcpy(void *to, const void *from, unsigned long n) {
  for (unsigned long i = 0; i < n; i++)
    ((char *)to)[i] = ((const char *)from)[i];
  return to;
}

static int all(int (*some)(int, void *, int), int end, void *data, int n) {
  for (int done = 0; done < n;) {
    int more = some(end, (char *)data + done, n - done);
    if (more <= 0)
      return 0;
    done += more;
  }
  return 1;
}

static int put(int end, void *data, int n) { return write(end, data, n); }

static int get(int end, void *data, int n) { return read(end, data, n); }

static void answer(Answer said) { all(put, ends[ANSWERS][1], &said, sizeof(said)); }

static void __attribute__((noreturn)) obey(int slot);

// The pipe through which it passes something to itself: that by which it is told what to do, or is answered, and has been. A crowd
// stands at another.
static int *own(int slot) { return ends[slot < MEMBERS ? slot : ANSWERS]; }

// The letters of its slot and of its pipes, for exec.
static const char *letters(int slot, char *text) {
  *text++ = 'a' + slot;
  for (int i = 0; i < PIPES; i++)
    for (int end = 0; end < 2; end++)
      *text++ = 'a' + ends[i][end];
  *text = 0;
  return text;
}

// at: where the other name is to stand, and after it the argument, or 0 for this program's by its own.
static long runs(int slot, char *at) {
  char text[2 + 2 * PIPES], *place = at ? at + 16 : text;
  const char *argv[] = {program, place, 0};
  letters(slot, place);
  for (int i = 0; at && i < 16; i++)
    at[i] = i < NAME ? other[i] : 0;
  return exec(at ? at : program, argv);
}

// n 0: there is no such file. 1: arguments that fill a page but for what points to them, as the stack has no room for. 2: one
// that is nowhere. 3: a directory. 4: arguments for which no kernel has room. 5: a path that is nowhere. 6: arguments that are
// nowhere. 7: a file whose last segment has more bytes in the file than in memory.
static long runsinvain(long n) {
  enum { MANY = 300 };
  static char much[2040];
  static const char *many[MANY + 1];
  const char *argv[] = {program, much, much, 0}, *few[] = {program, 0};
  for (int i = 0; i < sizeof(much) - 1; i++)
    much[i] = 'x';
  if (n == 1 || n == 2) {
    argv[2] = n == 2 ? (const char *)-4096L : much;
    return exec(program, argv);
  }
  if (n >= 5)
    return exec(n == 5 ? (const char *)-4096L : n == 6 ? program : broken, n == 6 ? (const char **)-4096L : few);
  for (int i = 0; i <= MANY; i++)
    many[i] = i < MANY ? "x" : 0;
  return exec(n == 3 ? "/" : "nosuchfile", n == 4 ? many : few);
}

static long kin; // children that stand still

static long crowd(long n) {
  char c;
  for (kin = 0; kin < n; kin++) {
    int pid = fork();
    if (pid < 0)
      break;
    if (pid == 0) {
      read(ends[CROWD][0], &c, 1);
      exit(0);
    }
  }
  return kin;
}

// Each of n generations has a child, and waits for it when it goes.
static long chain(long n) {
  char c;
  for (long left = n; left > 0; left--) {
    int pid = fork();
    if (pid < 0)
      return n - left;
    if (pid > 0 && left == n) {
      kin = 1;
      return n;
    }
    if (pid > 0 || left == 1) {
      read(ends[CROWD][0], &c, 1);
      wait();
      exit(0);
    }
  }
  return n;
}

static long disperse(long n) {
  char c = 0;
  long gone = 0;
  for (long i = 0; i < n; i++)
    write(ends[CROWD][1], &c, 1);
  while (gone < kin && wait() > 0)
    gone++;
  return gone == kin ? n : gone;
}

enum { WRONG = 1 << 20 }; // the status of a child that has not found a page as it should be

// Each child writes to its own page, passes what is at that place of its parent's through a pipe and back, and exits with another
// status. How many found both as they should be.
static long churn(long n, long place, int *way) {
  volatile long *mine = (long *)(FRY + place), *parents = (long *)(SHRIMP + place);
  long was = *mine;
  for (long i = 0; i < n; i++) {
    int status = WRONG, right = i - n / 2, pid = fork();
    if (pid == 0) {
      *mine = i;
      write(way[1], (void *)parents, sizeof(*parents));
      read(way[0], (void *)parents, sizeof(*parents));
      exit(*mine != i || *parents != was ? WRONG : right);
    }
    if (pid < 0 || call(SYS_wait, (long)&status, 0, 0) != pid || status != right)
      return i;
  }
  return n;
}

// Of n children the first closes no descriptor, the second one, and so on; each forks one that looks at both pages. How many
// found them as they should be.
static long bare(long n, long place) {
  volatile long *mine = (long *)(FRY + place), *parents = (long *)(SHRIMP + place);
  for (long i = 0; i < n; i++) {
    int status = WRONG, pid = fork();
    if (pid == 0) {
      *mine = i;
      for (int end = 0; end < i; end++)
        close(end);
      pid = fork();
      if (pid == 0) {
        *mine = ~i;
        exit(*mine != ~i || *parents != i);
      }
      exit(pid < 0 || call(SYS_wait, (long)&status, 0, 0) != pid || status);
    }
    if (pid < 0 || call(SYS_wait, (long)&status, 0, 0) != pid || status)
      return i;
  }
  return n;
}

// The file of data, opened. All descriptors are in use, and only who conducts reads answers.
static int opened(int how) {
  close(ends[ANSWERS][0]);
  return open(data, how);
}

static long readfile(char *to, int n) {
  int file = opened(0), done = file < 0 ? -1 : read(file, to, n);
  close(file);
  return done;
}

// said[0]: how many bytes were written; said[1]: how many of them the file has.
static Answer writefile(char *from, int n) {
  enum { WRITE_ONLY = 1 };
  static char some[512];
  Answer said = {{0}};
  int file = opened(WRITE_ONLY);
  said.said[0] = file < 0 ? -1 : write(file, from, n);
  close(file);
  file = opened(0);
  for (int at = 0; at < n && read(file, some, sizeof(some)) == sizeof(some); at += sizeof(some))
    for (int i = 0; i < sizeof(some); i++)
      said.said[1] += some[i] == from[at + i];
  close(file);
  return said;
}

// For so many ticks, where there is a call for that.
static void doze(int ticks) {
#if defined(SYS_sleep)
  call(SYS_sleep, ticks, 0, 0);
#elif defined(SYS_pause)
  call(SYS_pause, ticks, 0, 0);
#endif
}

// -2 where there is no such device.
static long console(char *at, long n, int writes) {
  enum { READ_WRITE = 2 };
  close(ends[ANSWERS][0]);
  int file = open("console", READ_WRITE);
  long done = file < 0 ? -2 : writes ? write(file, at, n) : read(file, at, n);
  close(file);
  return done;
}

// Whether fstat() fills at, of 8 words, as it fills a buffer of this program's. pipe() leaves two descriptors there. All that is
// asked for besides changes nothing, or fails.
static long calls(volatile long *at) {
  long here[8], differ = 0;
  for (int i = 0; i < 8; i++)
    here[i] = at[i];
  int file = opened(0);
  fstat(file, here);
  fstat(file, (void *)at);
  for (int i = 0; i < 8; i++)
    differ += at[i] != here[i];
  close(ends[HELPER][1]); // only who conducts writes to it
#ifdef SYS_dup
  close(call(SYS_dup, file, 0, 0));
#endif
  close(file);
  if (pipe((int *)at) == 0)
    for (int end = 0; end < 2; end++)
      close(((volatile int *)at)[end]);
  open("nosuchfile", 0);
  close(-1);
  kill(-1);
  kill(1 << 30);
#ifdef SYS_uptime
  call(SYS_uptime, 0, 0, 0);
#endif
#ifdef SYS_chdir
  call(SYS_chdir, (long)"/", 0, 0);
  call(SYS_chdir, (long)"nosuchfile", 0, 0);
#endif
#ifdef SYS_unlink
  call(SYS_unlink, (long)"nosuchfile", 0, 0);
#endif
#ifdef SYS_link
  call(SYS_link, (long)"nosuchfile", (long)"neither", 0);
#endif
#ifdef SYS_mkdir
  call(SYS_mkdir, (long)"nosuch/directory", 0, 0);
#endif
#ifdef SYS_mknod
  call(SYS_mknod, (long)"nosuch/device", 1, 0);
#endif
  doze(1);
  return differ == 0;
}

static long grow(long n) {
  long was = (long)sbrk(n, ATONCE);
  if (was != -1 && n > 0 && n < 1 << 24)
    for (long at = was; at < was + n; at += 4096)
      *(volatile char *)at = 1;
  return was;
}

static long growlazily(long n) {
  long was = (long)sbrk(n, LAZILY);
  for (long at = was; was != -1 && at < was + n; at += 2 * 4096)
    *(volatile char *)at = 1;
  return was;
}

static long heap; // where it began, of the one who takes memory

static long take(void) {
  heap = heap ? heap : (long)sbrk(0, ATONCE);
  for (long size = 1 << 20; size >= 1 << 12; size >>= 4)
    for (char *got; (got = sbrk(size, ATONCE)) != (char *)-1;)
      for (char *page = got; page < got + size; page += 1 << 12)
        *page = 1;
  return heap;
}

static Answer does(Command it, int slot) {
  volatile long *word = (long *)it.a;
  Answer said = {{0}};
  long two[2], rest[3];
  int status = 0, *place = &status, *way = own(slot);

  switch (it.what) {
  case 'f':
    said.said[0] = fork();
    if (said.said[0] == 0)
      obey(it.a);
    break;
  case 'X':
    if (fork() > 0)
      exit(it.b);
    answer((Answer){{getpid()}});
    obey(it.a);
  case 'e':
    said.said[0] = runs(slot, (char *)it.a);
    break;
  case 'E':
    said.said[0] = runsinvain(it.a);
    break;
  case 'x':
    exit(it.a);
  case 'w':
    place = it.a ? (int *)it.a : &status;
    said.said[0] = call(SYS_wait, (long)place, 0, 0);
    said.said[1] = *place;
    break;
  case 'k':
    said.said[0] = kill(it.a);
    break;
  case 'K':
    kill(getpid());
    exit(it.a);
  case 'z': // until it is killed
    for (;;)
      doze(1000);
  case 'i':
    asm volatile(".word 0");
    break;
  case 'j':
    *word = it.b; // ret
    ((void (*)(void))word)();
    break;
  case 'B':
    said.said[0] = growlazily(it.a);
    break;
  case 'q':
    said.said[0] = console((char *)it.a, it.c, it.b);
    break;
  case 'l':
    said.said[0] = *word;
    break;
  case 's':
    *word = it.b;
    break;
  case 'r':
    two[0] = it.b;
    two[1] = it.b + 1;
    write(way[1], two, it.c);
    said.said[0] = read(way[0], (void *)it.a, it.c);
    if (said.said[0] != it.c) { // however much it has taken, one more byte is there
      write(way[1], two, 1);
      read(way[0], rest, sizeof(rest));
    }
    break;
  case 'W':
    said.said[0] = write(way[1], (void *)it.a, it.c);
    if (said.said[0] == it.c) {
      read(way[0], &said.said[1], said.said[0]);
      break;
    }
    write(way[1], two, 1);
    read(way[0], rest, sizeof(rest));
    said.said[1] = rest[0];
    break;
  case 'v':
    said.said[0] = call(SYS_wait, -4096, 0, 0);
    break;
  case 'b':
    said.said[0] = grow(it.a);
    break;
  case 'c':
    said.said[0] = crowd(it.a);
    break;
  case 'C':
    said.said[0] = chain(it.a);
    break;
  case 'd':
    said.said[0] = disperse(it.a);
    break;
  case 'n':
    said.said[0] = churn(it.a, it.b, way);
    break;
  case 'O':
    said.said[0] = bare(it.a, it.b);
    break;
  case 'o': // whoever else reads
    for (; said.said[0] < it.a; said.said[0]++)
      write(ends[CROWD][1], &status, 1);
    break;
  case 'F':
    said.said[0] = readfile((char *)it.a, it.c);
    break;
  case 'P':
    said = writefile((char *)it.a, it.c);
    break;
  case 'm':
    said.said[0] = calls((long *)it.a);
    break;
  case 'u': // FRY, and SHRIMP if a is not negative: what word a, or ~a, holds; then c into the words from b on
    for (int i = 0; i < (it.a < 0 ? 1 : 2); i++) {
      volatile long *page = (long *)(i ? SHRIMP : FRY);
      said.said[i] = page[it.a < 0 ? ~it.a : it.a];
      page[it.b + i] = it.c + i;
    }
    break;
  case 'h': // in user mode, until the host has changed the word
    while (*word == it.b)
      ;
    said.said[0] = *word;
    break;
  case 't':
    said.said[0] = take();
    break;
  case 'g': // a frame
    said.said[0] = (long)sbrk(-4096, ATONCE);
    break;
  case 'G': // the rest
    said.said[0] = (long)sbrk(heap - (long)sbrk(0, ATONCE), ATONCE);
    break;
#ifdef SYS_shmget // System V's segments: sysvipc(7), shmget(2), shmat(2), shmctl(2)
  case 'S': // key, size, flags
    said.said[0] = shmget(it.a, it.b, it.c);
    break;
  case 'A': // identifier, address, flags
    said.said[0] = shmat(it.a, it.b, it.c);
    break;
  case 'D': // address
    said.said[0] = shmdt(it.a);
    break;
  case 'R': // identifier
    said.said[0] = shmctl(it.a, IPC_RMID);
    break;
#endif
  case 'U': // what the word at a holds, and the one a page above; if b, then c and c + 1 into those at b and a page above
    for (int i = 0; i < 2; i++) {
      said.said[i] = *(volatile long *)(it.a + i * 4096);
      if (it.b)
        *(volatile long *)(it.b + i * 4096) = it.c + i;
    }
    break;
  case 'p':
    said.said[0] = getpid();
    break;
  }
  return said;
}

static void obey(int slot) {
  Command it;
  while (all(get, ends[slot][0], &it, sizeof(it)))
    answer(does(it, slot));
  exit(1);
}

#if TYPED
static int is_over; // the line

// The next of the line, or 0: each key costs the run a while.
static long number(void) {
  long found = 0;
  for (char c; !is_over && read(0, &c, 1) == 1 && c != ' ';) {
    is_over = c == '\n';
    if (!is_over)
      found = found << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return found;
}

static void await(void) {
  is_over = 0;
  mail.n = number();
  for (Letter *it = mail.letters; it < mail.letters + mail.n; it++) {
    is_over = 0;
    it->to = number();
    it->waits = number();
    it->command.what = number();
    it->command.a = number();
    it->command.b = number();
    it->command.c = number();
  }
  mail.number++;
}
#else
static void await(void) {
  while (mail.number == mail.done)
    ;
  asm volatile("fence" ::: "memory"); // the letters have come meanwhile
}
#endif

static void deliver(Letter *it) {
  Answer said;
  if (it->to == CONDUCTOR) {
    it->answer = does(it->command, it->to);
    return;
  }
  if (it->to != NOBODY)
    all(put, ends[it->to][1], &it->command, sizeof(it->command));
  if (it->waits) {
    all(get, ends[ANSWERS][0], &said, sizeof(said));
    it->answer = said;
  }
}

static void conduct(void) {
  mail.letters[0].answer = (Answer){{getpid()}};
  for (;;) {
    await();
    for (int i = 0; i < mail.n; i++)
      deliver(&mail.letters[i]);
    asm volatile("fence" ::: "memory"); // the answers before that they are there
    mail.done = mail.number;
  }
}

int main(int argc, char **argv) {
  program = argv[0];
  if (argc > 1) {
    const char *at = argv[1];
    int slot = *at++ - 'a';
    for (int i = 0; i < PIPES; i++)
      for (int end = 0; end < 2; end++)
        ends[i][end] = *at++ - 'a';
    answer((Answer){{getpid()}});
    obey(slot);
  }
  for (int end = TYPED; end < 3; end++)
    close(end);
  for (int i = 0; i < PIPES; i++)
    if (!(TYPED && i == MEMBERS - 1) && pipe(ends[i]) < 0)
      return 1;
  if (fork() == 0)
    obey(HELPER);
  conduct();
  return 1;
}
