// System calls as POSIX has them, by xv6's.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"

#define TICKS 10             // a second

int errno;

// The kernel's -errno. xv6's own calls return -1 and do not say why: then it
// is what most often makes them fail.
long __result(long returned, int likely) {
  if (returned >= 0 || returned < -4095)
    return returned;
  errno = returned == -1 ? likely : (int)-returned;
  return -1;
}

// Children that waitpid has met while it waited for another.

static struct child {
  pid_t pid;                 // 0: no child
  int status;
} met[64];

pid_t fork(void) {
  pid_t pid = __result(__call(SYS_fork), EAGAIN);
  if (pid == 0)
    memset(met, 0, sizeof(met)); // they are its parent's
  return pid;
}

pid_t getpid(void) {
  return __call(SYS_getpid);
}

void _exit(int status) {
  for (;;)
    __call(SYS_exit, status & 0xff);
}

void exit(int status) {
  _exit(status);
}

int execv(const char *path, char *const argv[]) {
  return __result(__call(SYS_exec, path, argv), ENOENT);
}

ssize_t read(int fd, void *to, size_t n) {
  return __result(__call(SYS_read, fd, to, n), EBADF);
}

ssize_t write(int fd, const void *from, size_t n) {
  return __result(__call(SYS_write, fd, from, n), EBADF);
}

int close(int fd) {
  return __result(__call(SYS_close, fd), EBADF);
}

int dup(int fd) {
  return __result(__call(SYS_dup, fd), EBADF);
}

int pipe(int fd[2]) {
  return __result(__call(SYS_pipe, fd), EMFILE);
}

int link(const char *old, const char *new) {
  return __result(__call(SYS_link, old, new), ENOENT);
}

int unlink(const char *path) {
  return __result(__call(SYS_unlink, path), ENOENT);
}

int chdir(const char *path) {
  return __result(__call(SYS_chdir, path), ENOENT);
}

unsigned sleep(unsigned seconds) {
  __call(SYS_sleep, seconds * TICKS);
  return 0;
}

int usleep(unsigned microseconds) {
  __call(SYS_sleep, (microseconds + 1000000 / TICKS - 1) / (1000000 / TICKS));
  return 0;
}

void *sbrk(long bytes) {
  return (void *)__result(__call(SYS_sbrk, bytes, 1), ENOMEM);
}

// The next child that has ended, or the first one met that is wanted: pid, or any (-1).
static struct child next(pid_t pid) {
  for (struct child *c = met; c < met + sizeof(met) / sizeof(met[0]); c++) {
    if (c->pid && (pid == -1 || c->pid == pid)) {
      struct child found = *c;
      c->pid = 0;
      return found;
    }
  }
  struct child ended = {0};
  ended.pid = __result(__call(SYS_wait, &ended.status), ECHILD);
  ended.status = (ended.status & 0xff) << 8;
  return ended;
}

static void keep(struct child ended) {
  struct child *c = met;
  while (c->pid && c < met + sizeof(met) / sizeof(met[0]) - 1)
    c++;
  *c = ended;
}

pid_t waitpid(pid_t pid, int *status, int options) {
  if (options || pid == 0 || pid < -1) {
    errno = EINVAL;
    return -1;
  }
  struct child ended = next(pid);
  while (ended.pid > 0 && pid != -1 && ended.pid != pid) {
    keep(ended);
    ended = next(pid);
  }
  if (ended.pid > 0 && status)
    *status = ended.status;
  return ended.pid;
}

pid_t wait(int *status) {
  return waitpid(-1, status, 0);
}
