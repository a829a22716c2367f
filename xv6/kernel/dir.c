// Directories and path names. A directory is a file of struct dirent; who
// changes one holds its inode's lock.

#include "types.h"
#include "riscv.h"
#include "param.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "fs.h"
#include "stat.h"
#include "buf.h"
#include "file.h"
#include "proc.h"
#include "defs.h"

// An entry as two words, so that a name is compared in two steps. The
// padding makes equal names equal words.
union entry {
  struct dirent d;
  uint64 word[2];
};
_Static_assert(sizeof(union entry) == sizeof(struct dirent), "16 bytes");

#define EPB (BSIZE / sizeof(struct dirent)) // entries in a block

int namecmp(const char *a, const char *b) {
  return strncmp(a, b, DIRSIZ);
}

static union entry make_entry(const char *name, uint inum) {
  union entry e;
  e.d.inum = inum;
  strncpy(e.d.name, name, DIRSIZ);
  return e;
}

static int is_unused(const union entry *e, const union entry *key) {
  return e->d.inum == 0;
}

static int is_used(const union entry *e, const union entry *key) {
  return e->d.inum != 0;
}

static int has_name(const union entry *e, const union entry *key) {
  return e->word[1] == key->word[1] &&
         (e->word[0] ^ key->word[0]) >> 16 == 0 && e->d.inum != 0;
}

// The offset of the first entry, from the i'th on, that is what is asked
// for, with its inode number in *inum; the directory's size if there is
// none. dp is locked.
static uint find(struct inode *dp, uint i,
                 int (*wanted)(const union entry *, const union entry *),
                 const union entry *key, uint *inum) {
  uint n = dp->size / sizeof(struct dirent);

  while (i < n) {
    struct buf *b = ibread(dp, i / EPB);
    uint stop = MIN(n, (i / EPB + 1) * EPB);
    for (; i < stop; i++) {
      const union entry *e = (union entry *)b->data + i % EPB;
      if (!wanted(e, key))
        continue;
      *inum = e->d.inum;
      bunpin(&b, 1);
      return i * sizeof(struct dirent);
    }
    bunpin(&b, 1);
  }
  return dp->size;
}

// Does dp hold nothing but "." and ".."? dp is locked.
int dirempty(struct inode *dp) {
  uint inum;
  return find(dp, 2, is_used, 0, &inum) == dp->size;
}

// The inode that dp calls name, referenced and not locked, and in *poff,
// unless poff is 0, where the entry is. 0 if there is none, or the inode
// table is full. A directory that was removed while in use has no entry but
// ".": its ".." may be someone else by now. dp is locked and need not be a
// directory.
struct inode *dirlookup(struct inode *dp, char *name, uint *poff) {
  union entry key = make_entry(name, 0);
  uint inum;

  if (dp->type != T_DIR || (dp->nlink == 0 && namecmp(name, ".") != 0))
    return 0;
  uint off = find(dp, 0, has_name, &key, &inum);
  if (off == dp->size)
    return 0;
  if (poff)
    *poff = off;
  return iget(dp->dev, inum);
}

static int write_entry(struct inode *dp, uint off, union entry e) {
  return writei(dp, 0, (uint64)&e, off, sizeof(e)) == sizeof(e) ? 0 : -1;
}

// Enters name in dp for inode inum. -1 if dp has that name already, is no
// directory or a removed one, or cannot grow. dp is locked; inside an
// operation.
int dirlink(struct inode *dp, char *name, uint inum) {
  union entry e = make_entry(name, inum);
  uint other;

  if (dp->type != T_DIR || dp->nlink == 0)
    return -1;
  if (find(dp, 0, has_name, &e, &other) != dp->size)
    return -1;
  return write_entry(dp, find(dp, 0, is_unused, 0, &other), e);
}

// Takes out the entry at off; -1 if that fails. dp is locked; inside an
// operation.
int dirclear(struct inode *dp, uint off) {
  return write_entry(dp, off, make_entry("", 0));
}

static char *skip_slashes(char *path) {
  while (*path == '/')
    path++;
  return path;
}

// Copies the element that path begins with to name, cut at DIRSIZ bytes
// and not terminated then. Returns the next element, or the path's end.
static char *split(char *path, char *name) {
  int len = 0;
  while (path[len] && path[len] != '/')
    len++;
  memset(name, 0, DIRSIZ);
  memmove(name, path, MIN(len, DIRSIZ));
  return skip_slashes(path + len);
}

// Follows path to its last element, or, given last, to the directory that
// would hold it, and copies that element there. "" is the current directory.
// The inode is referenced and not locked; 0 if the path leads nowhere.
// Inside an operation.
static struct inode *follow(char *path, char *last) {
  char name[DIRSIZ];
  int absolute = *path == '/';

  path = skip_slashes(path);
  if (last && *path == 0)   // neither the root nor "" has a last element
    return 0;
  struct inode *ip = absolute ? iget(ROOTDEV, ROOTINO) : idup(myproc()->cwd);
  while (ip && *path) {
    char *rest = split(path, name);
    if (last && *rest == 0)
      break;
    ilock(ip);
    struct inode *child = dirlookup(ip, name, 0);
    iunlockput(ip);
    ip = child;
    path = rest;
  }
  if (ip && last)
    memmove(last, name, DIRSIZ);
  return ip;
}

struct inode *namei(char *path) {
  return follow(path, 0);
}

// name has room for DIRSIZ bytes. What is returned need not be a directory:
// dirlookup and dirlink see to that.
struct inode *nameiparent(char *path, char *name) {
  return follow(path, name);
}
