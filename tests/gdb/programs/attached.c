// attached: forks a child that inherits a segment, lets go of it, and attaches it again, to read.
#include "kernel/shm.h"
#include "user/user.h"

int main(void) {
  int id = shmget(IPC_PRIVATE, 5000, 0600);
  uint64 at = shmat(id, 0, 0);
  if (fork() == 0) {
    shmdt(at);
    shmat(id, 0, SHM_RDONLY);
    exit(0);
  }
  wait(0);
  shmctl(id, IPC_RMID, 0);
  return 0;
}
