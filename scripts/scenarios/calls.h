// System calls of the kernel under test, and what the programs here say to the host and to each other.
//
// Only the numbers are that kernel's, from its own syscall.h: the calling convention is every xv6-riscv's, so no
// library of the tree is needed, whatever it is called there.
#pragma once

#ifndef SYS_fork
#define SYS_fork 1
#endif
#ifndef SYS_exit
#define SYS_exit 2
#endif
#ifndef SYS_wait
#define SYS_wait 3
#endif
#ifndef SYS_pipe
#define SYS_pipe 4
#endif
#ifndef SYS_read
#define SYS_read 5
#endif
#ifndef SYS_kill
#define SYS_kill 6
#endif
#ifndef SYS_exec
#define SYS_exec 7
#endif
#ifndef SYS_getpid
#define SYS_getpid 11
#endif
#ifndef SYS_sbrk
#define SYS_sbrk 12
#endif
#ifndef SYS_open
#define SYS_open 15
#endif
#ifndef SYS_write
#define SYS_write 16
#endif
#ifndef SYS_close
#define SYS_close 21
#endif

static long call(long number, long a, long b, long c) {
  register long a0 asm("a0") = a, a1 asm("a1") = b, a2 asm("a2") = c, a7 asm("a7") = number;
  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}

static inline int fork(void) { return call(SYS_fork, 0, 0, 0); }
static inline int wait(void) { return call(SYS_wait, 0, 0, 0); }
static inline int pipe(int *end) { return call(SYS_pipe, (long)end, 0, 0); }
static inline int read(int fd, void *to, int n) { return call(SYS_read, fd, (long)to, n); }
static inline int write(int fd, const void *from, int n) { return call(SYS_write, fd, (long)from, n); }
static inline int open(const char *path, int how) { return call(SYS_open, (long)path, how, 0); }
static inline int close(int fd) { return call(SYS_close, fd, 0, 0); }
static inline int kill(int pid) { return call(SYS_kill, pid, 0, 0); }
static inline int exec(const char *path, const char **argv) { return call(SYS_exec, (long)path, (long)argv, 0); }
static inline int fstat(int fd, void *to) {
#ifdef SYS_fstat
  return call(SYS_fstat, fd, (long)to, 0);
#else
  return -1;
#endif
}
static inline int getpid(void) { return call(SYS_getpid, 0, 0, 0); }

// Newer kernels take in a second argument whether the pages come at once or when they are touched.
enum { ATONCE = 1, LAZILY = 2 };
static inline char *sbrk(int n, int how) { return (char *)call(SYS_sbrk, n, how, 0); }

// System V's, which no xv6 has: only where its header gives all of them numbers. Negative is an error.
#if defined(SYS_shmget) && defined(SYS_shmat) && defined(SYS_shmdt) && defined(SYS_shmctl)
#define HAS_SEGMENTS
enum { IPC_PRIVATE = 0, IPC_CREAT = 01000, IPC_RMID = 0, SHM_RDONLY = 010000 };
static inline int shmget(int key, long size, int flags) { return call(SYS_shmget, key, size, flags); }
static inline long shmat(int id, long at, int flags) { return call(SYS_shmat, id, at, flags); }
static inline int shmdt(long at) { return call(SYS_shmdt, at, 0, 0); }
static inline int shmctl(int id, int command) { return call(SYS_shmctl, id, command, 0); }
#endif

static inline void __attribute__((noreturn)) exit(int status) {
  for (;;)
    call(SYS_exit, status, 0, 0);
}

static int hold[2];  // nothing is written to it: who stands still reads it until the last writer closes
static int ready[2]; // the pids of those who have come to where they should be

static void tell(void) {
  int pid = getpid();
  write(ready[1], &pid, sizeof(pid));
  close(ready[1]);
}

// Until the scenario lets go.
static void stand(void) {
  char c;
  close(hold[1]);
  tell();
  while (read(hold[0], &c, 1) > 0)
    ;
}

// Where exec enters: a0 and a1 are main's arguments already.
int main(int argc, char **argv);
void __attribute__((section(".text.start"), noreturn)) start(int argc, char **argv) {
  exit(main(argc, argv));
}
