// What each file offers the others. A function's contract stands over its
// body; here stands what a caller must know to choose it.
#pragma once

struct buf;
struct context;
struct cpu;
struct file;
struct inode;
struct pipe;
struct proc;
struct sleeplock;
struct spinlock;
struct stat;
struct superblock;

#define NELEM(x) (int)(sizeof(x) / sizeof((x)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
// Keeps x until here, so that a debugger sees it at every line above; costs a
// register.
#define VISIBLE(x) asm volatile("" : : "r"(x))

// string.c: whole words wherever both ends are aligned
void *memset(void *dst, int c, uint64 n);
void *memmove(void *dst, const void *src, uint64 n);
void *memcpy(void *dst, const void *src, uint64 n);
int memcmp(const void *a, const void *b, uint64 n);
uint64 nonzero(const uint64 *words, uint64 i, uint64 n); // first one from i on, or n
int strlen(const char *s);
int strncmp(const char *a, const char *b, uint64 n);
char *strncpy(char *dst, const char *src, int n);   // pads with NUL
char *safestrcpy(char *dst, const char *src, int n); // always terminates

// printf.c
void printfinit(void);
int printf(char *fmt, ...) __attribute__((format(printf, 1, 2)));
void panic(char *why) __attribute__((noreturn)); // prints "panic: why", stops every hart
void halt(void) __attribute__((noreturn)); // this hart, for good
extern volatile int panicked;

// uart.c
void uartinit(void);
void uartintr(void);
void uartputc(int c);          // sleeps while the transmitter is full
void uartputc_sync(int c);     // polls: for printf, echo and panic
int uartgetc(void);            // -1 when nothing waits

// console.c
void consoleinit(void);
void consoleintr(int c);
void consputc(int c);

// plic.c
void plicinit(void);
void plicinithart(void);
int plic_claim(void);          // 0 when nothing is pending
void plic_complete(int irq);

// kalloc.c: 4096-byte frames, counted
void kinit(void);
void *kalloc(void);            // one reference, contents undefined; 0 when none is left
void *kzalloc(void);           // the same, zeroed
void kdup(void *pa);           // one more reference
void kfree(void *pa);          // one less; the last frees it

// vm.c
void kvminit(void);
void kvminithart(void);
pte_t *walk(pagetable_t pagetable, uint64 va, int alloc);
int mappages(pagetable_t pagetable, uint64 va, uint64 size, uint64 pa, int perm);
pagetable_t uvmcreate(void);
uint64 uvmalloc(pagetable_t pagetable, uint64 oldsz, uint64 newsz, int perm);
uint64 uvmdealloc(pagetable_t pagetable, uint64 oldsz, uint64 newsz);
int uvmcopy(pagetable_t old, pagetable_t new, uint64 sz);
void uvmunmap(pagetable_t pagetable, uint64 va, uint64 npages, int do_free);
void uvmfree(pagetable_t pagetable, uint64 sz);
void uvmclear(pagetable_t pagetable, uint64 va);   // takes PTE_U away: a guard page
int copyout(pagetable_t pagetable, uint64 dstva, const void *src, uint64 len);
int copyin(pagetable_t pagetable, void *dst, uint64 srcva, uint64 len);
int copyinstr(pagetable_t pagetable, char *dst, uint64 srcva, uint64 max);
// dst (src) is a user address of the calling process or a kernel address.
int either_copyout(int user_dst, uint64 dst, const void *src, uint64 len);
int either_copyin(void *dst, int user_src, uint64 src, uint64 len);
char *reach(int user, uint64 addr, pte_t need, uint64 *n);
int uvmtouch(pagetable_t pagetable, uint64 va); // the page a lazy sbrk promised

// spinlock.c
void initlock(struct spinlock *lk, char *name);
void acquire(struct spinlock *lk);
void release(struct spinlock *lk);
int holding(struct spinlock *lk);
struct cpu *push_off(void);
void pop_off(void);

// sleeplock.c
void initsleeplock(struct sleeplock *lk, char *name);
void acquiresleep(struct sleeplock *lk);
void releasesleep(struct sleeplock *lk);

// swtch.S
void swtch(struct context *save, struct context *load);

// sched.c
int cpuid(void);
void schedinit(void);
void scheduler(void) __attribute__((noreturn));
void sched(void);
void yield(void);
void setrunnable(struct proc *p);
void sleep(void *chan, struct spinlock *lk); // atomically releases lk; holds it again on return
void wakeup(void *chan);
void endsleep(struct proc *p, void *chan);
void kick(int hart);
void kickall(void);            // interrupts every other hart

// proc.c
void procinit(void);
void userinit(void);
int fork(void);
void exit(int status) __attribute__((noreturn));
int wait(uint64 addr);
int kill(int pid);
int killed(struct proc *p);
void setkilled(struct proc *p);
int growproc(int n);
pagetable_t proc_pagetable(struct proc *p);
void proc_freepagetable(pagetable_t pagetable, uint64 sz);
void procdump(void);           // ^P: every process, on the console

// exec.c
int exec(char *path, char **argv); // argv: kernel strings, 0 at the end

// trap.c
extern uint ticks;
extern struct spinlock tickslock;
void trapinit(void);
void trapinithart(void);
void enteruser(void) __attribute__((noreturn));

// syscall.c: arguments of the system call being made
uint64 argument(int n);        // 0 to 5
int argstr(int n, char *buf, int max);     // the length, or -1
int fetchaddr(uint64 addr, uint64 *word);
int fetchstr(uint64 addr, char *buf, int max);
void syscall(struct proc *p);

// virtio_disk.c
void virtio_disk_init(void);
void virtio_disk_rw(struct buf *b, int write); // sleeps until done
void virtio_disk_start(struct buf *b, uint blockno, int write);
void virtio_disk_wait(struct buf *b);
void virtio_disk_intr(void);

// bio.c
void binit(void);
struct buf *bread(uint dev, uint blockno); // locked
struct buf *bzeroed(uint dev, uint blockno); // locked, zeroed, not read from the disk
void brelse(struct buf *b);
void bpin(struct buf *b);
uint bshare(uint dev, const uint *list, uint n, struct buf **run); // not locked
void bunpin(struct buf **run, uint n);

// log.c
void initlog(int dev, struct superblock *sb);
void begin_op(void);
void end_op(void);
void log_write(struct buf *b);

// fs.c
void fsinit(int dev);          // by the first process: it sleeps
void iinit(void);
struct inode *ialloc(uint dev, short type); // 0 when none is left
struct inode *idup(struct inode *ip);
void ilock(struct inode *ip);
void iunlock(struct inode *ip);
void iput(struct inode *ip);   // inside a transaction
void iunlockput(struct inode *ip);
void iupdate(struct inode *ip);
void itrunc(struct inode *ip);
void stati(struct inode *ip, struct stat *st);
int readi(struct inode *ip, int user_dst, uint64 dst, uint off, uint n);
int writei(struct inode *ip, int user_src, uint64 src, uint off, uint n);
int writemax(uint off);        // bytes one operation may write at off
struct inode *iget(uint dev, uint inum); // 0 when the table is full
struct buf *ibread(struct inode *ip, uint n); // to read until bunpin; ip is locked

// dir.c
int namecmp(const char *a, const char *b);
struct inode *dirlookup(struct inode *dp, char *name, uint *poff);
int dirlink(struct inode *dp, char *name, uint inum);
int dirclear(struct inode *dp, uint off);
int dirempty(struct inode *dp);
struct inode *namei(char *path);
struct inode *nameiparent(char *path, char *name);

// file.c
void fileinit(void);
struct file *filealloc(void);
struct file *filedup(struct file *f);
void fileclose(struct file *f);
int fileread(struct file *f, uint64 addr, int n);
int filewrite(struct file *f, uint64 addr, int n);
int filestat(struct file *f, uint64 addr);

// pipe.c
int pipealloc(struct file **rf, struct file **wf);
void pipeclose(struct pipe *pi, int writable);
int piperead(struct pipe *pi, uint64 addr, int n);
int pipewrite(struct pipe *pi, uint64 addr, int n);
