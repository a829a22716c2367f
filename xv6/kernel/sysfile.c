// The file system's calls: arguments checked, descriptors resolved, and
// everything that one call changes put into one operation of the log.

#include "types.h"
#include "riscv.h"
#include "param.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "fs.h"
#include "stat.h"
#include "fcntl.h"
#include "file.h"
#include "proc.h"
#include "defs.h"

#define MAXLINK 32767       // what dinode.nlink can count

// The open file that argument n is a descriptor of; 0 if it is none.
static struct file *argfile(int n) {
  int fd = argument(n);
  return fd >= 0 && fd < NOFILE ? myproc()->ofile[fd] : 0;
}

// The caller's lowest unused descriptor, now f's; -1 when all are used,
// and f is still the caller's to close.
static int install(struct file *f) {
  struct file **slot = myproc()->ofile;
  for (int fd = 0; fd < NOFILE; fd++) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a system call has a process
    if (slot[fd] == 0) {
      slot[fd] = f;
      return fd;
    }
  }
  return -1;
}

// Takes fd away from the caller without closing its file.
static struct file *uninstall(int fd) {
  struct file *f = myproc()->ofile[fd];
  myproc()->ofile[fd] = 0;
  return f;
}

uint64 sys_dup(void) {
  struct file *f = argfile(0);
  if (f == 0)
    return -1;
  int fd = install(f);
  if (fd >= 0)
    filedup(f);
  return fd;
}

uint64 sys_read(void) {
  struct file *f = argfile(0);
  return f ? fileread(f, argument(1), argument(2)) : -1;
}

uint64 sys_write(void) {
  struct file *f = argfile(0);
  return f ? filewrite(f, argument(1), argument(2)) : -1;
}

uint64 sys_close(void) {
  if (argfile(0) == 0)
    return -1;
  fileclose(uninstall(argument(0)));
  return 0;
}

uint64 sys_fstat(void) {
  struct file *f = argfile(0);
  return f ? filestat(f, argument(1)) : -1;
}

// Makes name an entry of dp for ip, which is no directory: none may have
// two names. dp is locked, ip is not. Inside an operation.
static int link_inode(struct inode *dp, char *name, struct inode *ip) {
  int result = -1;

  if (dp->type != T_DIR || dp->dev != ip->dev)
    return -1;
  ilock(ip);
  // nlink is 0 if the old name went away meanwhile.
  if (ip->nlink > 0 && ip->nlink < MAXLINK &&
      dirlink(dp, name, ip->inum) == 0) {
    ip->nlink++;
    iupdate(ip);
    result = 0;
  }
  iunlock(ip);
  return result;
}

// Does a reference lead to a directory? ip is not locked.
static int is_dir(struct inode *ip) {
  ilock(ip);
  int yes = ip->type == T_DIR;
  iunlock(ip);
  return yes;
}

uint64 sys_link(void) {
  char old[MAXPATH], new[MAXPATH], name[DIRSIZ];
  int result = -1;

  if (argstr(0, old, MAXPATH) < 0 || argstr(1, new, MAXPATH) < 0)
    return -1;
  begin_op();
  struct inode *ip = namei(old);
  if (ip) {
    struct inode *dp = is_dir(ip) ? 0 : nameiparent(new, name);
    if (dp) {
      ilock(dp);
      result = link_inode(dp, name, ip);
      iunlockput(dp);
    }
    iput(ip);
  }
  end_op();
  return result;
}

// Removes the entry at off of dp and the name it gave ip. Both are locked.
static int unlink_inode(struct inode *dp, struct inode *ip, uint off) {
  if (ip->type == T_DIR && !dirempty(ip))
    return -1;
  if (dirclear(dp, off) < 0)
    return -1;
  if (ip->type == T_DIR) {  // its ".."
    dp->nlink--;
    iupdate(dp);
  }
  ip->nlink--;
  iupdate(ip);
  return 0;
}

uint64 sys_unlink(void) {
  char path[MAXPATH], name[DIRSIZ];
  int result = -1;
  uint off;

  if (argstr(0, path, MAXPATH) < 0)
    return -1;
  begin_op();
  struct inode *dp = nameiparent(path, name);
  if (dp) {
    ilock(dp);
    struct inode *ip = 0;
    if (namecmp(name, ".") != 0 && namecmp(name, "..") != 0)
      ip = dirlookup(dp, name, &off);
    if (ip) {
      ilock(ip);
      result = unlink_inode(dp, ip, off);
      iunlockput(ip);
    }
    iunlockput(dp);
  }
  end_op();
  return result;
}

// Enters the new inode ip in dp, and what a directory has from the start
// in ip. Both are locked. On failure neither dp nor ip's name count is
// left changed on behalf of the other.
static int settle(struct inode *dp, char *name, struct inode *ip) {
  if (ip->type == T_DIR &&
      (dp->nlink == MAXLINK || dirlink(ip, ".", ip->inum) < 0 ||
       dirlink(ip, "..", dp->inum) < 0))
    return -1;
  if (dirlink(dp, name, ip->inum) < 0)
    return -1;
  if (ip->type == T_DIR) {  // the ".."
    dp->nlink++;
    iupdate(dp);
  }
  return 0;
}

// A new inode that dp, which is locked, calls name. Locked; 0 if anything
// is lacking, and then nothing stays.
static struct inode *make_inode(struct inode *dp, char *name, short type,
                                short major, short minor) {
  struct inode *ip = ialloc(dp->dev, type);
  if (ip == 0)
    return 0;
  ilock(ip);
  ip->major = major;
  ip->minor = minor;
  ip->nlink = 1;
  if (settle(dp, name, ip) < 0) {
    ip->nlink = 0;          // iput frees it
    iunlockput(ip);
    return 0;
  }
  iupdate(ip);
  return ip;
}

// The inode of path, made if it is not there. What is there serves only if
// a file is wanted, and then a device does too. Locked; 0 on failure.
// Inside an operation.
static struct inode *create(char *path, short type, short major,
                            short minor) {
  char name[DIRSIZ];

  struct inode *dp = nameiparent(path, name);
  if (dp == 0)
    return 0;
  ilock(dp);
  struct inode *ip = dirlookup(dp, name, 0);
  if (ip == 0) {
    if (dp->type == T_DIR)
      ip = make_inode(dp, name, type, major, minor);
    iunlockput(dp);
    return ip;
  }
  iunlockput(dp);           // before ip, which may be dp's ".."
  ilock(ip);
  if (type == T_FILE && ip->type != T_DIR)
    return ip;
  iunlockput(ip);
  return 0;
}

// The inode that open is to open, locked; 0 if it may not be opened so.
// Inside an operation.
static struct inode *open_inode(char *path, int mode) {
  if (mode & O_CREATE)
    return create(path, T_FILE, 0, 0);
  struct inode *ip = namei(path);
  if (ip == 0)
    return 0;
  ilock(ip);
  if (ip->type == T_DIR && mode != O_RDONLY) {
    iunlockput(ip);
    return 0;
  }
  return ip;
}

// Makes f an open file on ip, which is locked and whose reference becomes
// f's. -1, ip's reference still the caller's, if no such device can be.
static int attach_inode(struct file *f, struct inode *ip, int mode) {
  if (ip->type == T_DEVICE && (ip->major < 0 || ip->major >= NDEV))
    return -1;
  if (ip->type == T_FILE && (mode & O_TRUNC))
    itrunc(ip);
  f->ip = ip;
  f->off = 0;
  f->major = ip->major;
  f->readable = !(mode & O_WRONLY);
  f->writable = (mode & (O_WRONLY | O_RDWR)) != 0;
  f->type = ip->type == T_DEVICE ? FD_DEVICE : FD_INODE;
  return 0;
}

uint64 sys_open(void) {
  char path[MAXPATH];
  int mode = argument(1);

  if (argstr(0, path, MAXPATH) < 0)
    return -1;
  // First what can run out, so that a failing open creates nothing.
  struct file *f = filealloc();
  if (f == 0)
    return -1;
  int fd = install(f);
  int ok = 0;
  if (fd >= 0) {
    begin_op();
    struct inode *ip = open_inode(path, mode);
    if (ip) {
      ok = attach_inode(f, ip, mode) == 0;
      iunlock(ip);
      if (!ok)
        iput(ip);
    }
    end_op();
    if (!ok)
      uninstall(fd);
  }
  if (!ok) {
    fileclose(f);
    return -1;
  }
  return fd;
}

// mkdir and mknod: a new inode that must not be there yet.
static uint64 make_node(char *path, short type, short major, short minor) {
  begin_op();
  struct inode *ip = create(path, type, major, minor);
  if (ip)
    iunlockput(ip);
  end_op();
  return ip ? 0 : -1;
}

uint64 sys_mkdir(void) {
  char path[MAXPATH];

  if (argstr(0, path, MAXPATH) < 0)
    return -1;
  return make_node(path, T_DIR, 0, 0);
}

uint64 sys_mknod(void) {
  char path[MAXPATH];

  if (argstr(0, path, MAXPATH) < 0)
    return -1;
  return make_node(path, T_DEVICE, argument(1), argument(2));
}

uint64 sys_chdir(void) {
  char path[MAXPATH];
  int result = -1;

  if (argstr(0, path, MAXPATH) < 0)
    return -1;
  begin_op();
  struct inode *leave = namei(path);
  if (leave && is_dir(leave)) {
    struct inode *enter = leave;
    leave = myproc()->cwd;
    myproc()->cwd = enter;
    result = 0;
  }
  if (leave)
    iput(leave);
  end_op();
  return result;
}

// Copies the user's argument strings one after the other to room, which has
// n bytes, and points argv at them, 0 after the last. 0, or -1 if an address
// is bad or they do not fit.
static int fetch_args(uint64 uargv, char *room, int n, char *argv[MAXARG]) {
  for (int i = 0; i < MAXARG; i++) {
    uint64 uarg;
    if (fetchaddr(uargv + i * sizeof(uint64), &uarg) < 0)
      return -1;
    argv[i] = 0;
    if (uarg == 0)
      return 0;
    int len = fetchstr(uarg, room, n);
    if (len < 0)
      return -1;
    argv[i] = room;
    room += len + 1;
    n -= len + 1;
  }
  return -1;
}

// One frame is room enough: it is all that a user stack holds.
_Static_assert(USERSTACK == 1, "arguments may be longer than a frame");

uint64 sys_exec(void) {
  char path[MAXPATH], *argv[MAXARG];

  if (argstr(0, path, MAXPATH) < 0)
    return -1;
  char *room = kalloc();
  if (room == 0)
    return -1;
  int result = -1;
  if (fetch_args(argument(1), room, PGSIZE, argv) == 0)
    result = exec(path, argv);
  kfree(room);
  return result;
}

uint64 sys_pipe(void) {
  struct file *end[2];
  int fd[2];

  if (pipealloc(&end[0], &end[1]) < 0)
    return -1;
  fd[0] = install(end[0]);
  fd[1] = install(end[1]);
  if (fd[0] >= 0 && fd[1] >= 0 &&
      copyout(myproc()->pagetable, argument(0), fd, sizeof(fd)) == 0)
    return 0;
  for (int i = 0; i < 2; i++) {
    if (fd[i] >= 0)
      uninstall(fd[i]);
    fileclose(end[i]);
  }
  return -1;
}
