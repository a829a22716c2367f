// dir.c's paths over inodes made up here: random trees, random paths, and a
// walk of our own that says where each leads.
#include "kernel_names.h"
#include "kernel/types.h"
#include "kernel/riscv.h"
#include "kernel/param.h"
#include "kernel/spinlock.h"
#include "kernel/sleeplock.h"
#include "kernel/fs.h"
#include "kernel/stat.h"
#include "kernel/buf.h"
#include "kernel/file.h"
#include "kernel/proc.h"
#include "kernel/defs.h"

static struct proc *host_myproc(void);
#define myproc host_myproc
#include "kernel/dir.c"
#include "host.h"

#define INODES 12
#define ENTRIES 20

static struct inode inodes[INODES];     // from ROOTINO on
static struct buf *blocks[INODES];      // a directory's only block, not beyond its size
static int locks, pins, references;
static struct proc self;

static struct proc *host_myproc(void) {
  return &self;
}

struct inode *iget(uint dev, uint inum) {
  must(dev == ROOTDEV && inum >= ROOTINO && inum < INODES);
  references++;
  return &inodes[inum];
}

struct inode *idup(struct inode *ip) {
  references++;
  return ip;
}

void ilock(struct inode *ip) {
  must(++locks == 1);
}

void iunlockput(struct inode *ip) {
  locks--;
  references--;
}

struct buf *ibread(struct inode *ip, uint n) {
  must(locks > 0 && n == 0);
  pins++;
  return blocks[ip->inum];
}

void bunpin(struct buf **run, uint n) {
  must(n == 1 && pins > 0);
  pins--;
}

int writei(struct inode *ip, int user_src, uint64 src, uint off, uint n) {
  must(!user_src && off + n <= BSIZE && off <= ip->size);
  memcpy(blocks[ip->inum]->data + off, (void *)src, n);
  if (off + n > ip->size)
    ip->size = off + n;
  return n;
}

// The kernel's own are tested by string.c.
int kernel_strncmp(const char *a, const char *b, uint64 n) {
  return strncmp(a, b, n);
}

char *kernel_strncpy(char *dst, const char *src, int n) {
  return strncpy(dst, src, n);
}

void *kernel_memset(void *dst, int c, uint64 n) {
  return memset(dst, c, n);
}

void *kernel_memmove(void *dst, const void *src, uint64 n) {
  return memmove(dst, src, n);
}

static const char *const names[] = {"a", "b", "ab", "fourteen-bytes", "fourteen-bytes-and-more", "x", ".", "..", "..."};

static const char *a_name(void) {
  return names[below(sizeof(names) / sizeof(names[0]))];
}

// What a directory calls name, by a plain look at its bytes; 0 for nothing.
static uint named(uint inum, const char *name) {
  if (inodes[inum].type != T_DIR || (inodes[inum].nlink == 0 && strcmp(name, ".") != 0))
    return 0;
  struct dirent *d = (struct dirent *)blocks[inum]->data;
  for (uint i = 0; i < inodes[inum].size / sizeof(*d); i++)
    if (d[i].inum && strncmp(d[i].name, name, DIRSIZ) == 0)
      return d[i].inum;
  return 0;
}

static void make_tree(void) {
  for (uint i = ROOTINO; i < INODES; i++) {
    blocks[i] = blocks[i] ? blocks[i] : calloc(1, sizeof(struct buf));
    inodes[i] = (struct inode){.dev = ROOTDEV, .inum = i, .type = i == ROOTINO || below(3) ? T_DIR : T_FILE,
                               .nlink = i == ROOTINO || below(8)};
  }
  for (uint i = ROOTINO; i < INODES; i++)
    for (int n = 0; n < ENTRIES && inodes[i].type == T_DIR; n++) {
      const char *name = n == 0 ? "." : n == 1 ? ".." : a_name();
      uint to = n == 0 ? i : ROOTINO + below(INODES - ROOTINO);
      char copy[32];
      strcpy(copy, name);
      int there = named(i, name) != 0;
      ilock(&inodes[i]);
      must((dirlink(&inodes[i], copy, to) == 0) == (!there && inodes[i].nlink > 0));
      locks--;
    }
}

static void follow_one(void) {
  char path[MAXPATH] = "", first[MAXPATH], last[32] = "", name[DIRSIZ + 1] = "";
  uint at = ROOTINO, before = 0;
  int n = below(5), dead = 0;

  self.cwd = &inodes[ROOTINO + below(INODES - ROOTINO)];
  if (below(2))
    strcpy(path, below(2) ? "/" : "///");
  else
    at = self.cwd->inum;
  for (int i = 0; i < n; i++) {
    const char *one = a_name();
    strcat(path, one);
    strcat(path, i < n - 1 || below(3) == 0 ? below(4) ? "/" : "//" : "");
    memset(last, 0, sizeof(last));
    strncpy(last, one, DIRSIZ);
    dead |= i > 0 && before == 0;
    before = at;
    at = before && !dead ? named(before, one) : 0;
  }

  char *exact = strdup(path);   // so that a byte beyond its end is not ours
  strcpy(first, path);
  references = 0;
  struct inode *ip = namei(exact);
  must(locks == 0 && pins == 0 && references == (ip != 0));
  must(n == 0 || (ip ? ip->inum : 0) == at);

  references = 0;
  ip = nameiparent(exact, name);
  must(locks == 0 && pins == 0 && references == (ip != 0) && strcmp(exact, first) == 0);
  must((ip ? ip->inum : 0) == (n ? before : 0));
  if (ip)
    must(strcmp(name, last) == 0);
  free(exact);
}

int main(int argc, char **argv) {
  seed_random(argc > 1 ? atoi(argv[1]) : 0);
  for (int tree = 0; tree < 100; tree++) {
    make_tree();
    for (int i = 0; i < 300; i++)
      follow_one();
  }
  return 0;
}
