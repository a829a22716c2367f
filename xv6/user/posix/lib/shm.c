// System V shared memory, by the kernel's calls, which say why they fail.
#include <errno.h>
#include <sys/shm.h>
#include <unistd.h>

#include "call.h"
#include "kernel/fcntl.h"
#include "kernel/types.h"
#include "kernel/stat.h"

int shmget(key_t key, size_t size, int flags) {
  return __result(__call(SYS_shmget, key, size, flags), 0);
}

void *shmat(int id, const void *at, int flags) {
  return (void *)__result(__call(SYS_shmat, id, at, flags), 0);
}

int shmdt(const void *at) {
  return __result(__call(SYS_shmdt, at), 0);
}

int shmctl(int id, int command, struct shmid_ds *ds) {
  return __result(__call(SYS_shmctl, id, command, ds), 0);
}

// ftok(3): 8 bits of project, 8 of the device, 16 of the inode.
key_t ftok(const char *path, int project) {
  struct stat st;
  int fd = __result(__call(SYS_open, path, O_RDONLY), ENOENT);

  if (fd < 0)
    return -1;
  __call(SYS_fstat, fd, &st);
  close(fd);
  return (key_t)((project & 0xffu) << 24 | (st.dev & 0xffu) << 16 | (st.ino & 0xffffu));
}
