// segments make: leaves two segments that nobody has attached.
// segments stay: those, and one that three processes attach and that is removed; says so, and stays.
#include "kernel/shm.h"
#include "user/user.h"

#define KEY 0x1234

static void stay(void) {
  int id = shmget(IPC_PRIVATE, 3 * 4096, 0600), ends[2];
  char one = 0;

  pipe(ends);
  shmat(id, 0, 0);
  for (int child = 0; child < 2; child++) {
    if (fork() == 0) {
      shmat(shmget(KEY, 0, 0), 0, SHM_RDONLY);
      write(ends[1], &one, 1);
      for (;;)
        pause(1000);
    }
  }
  shmctl(id, IPC_RMID, 0);
  for (int child = 0; child < 2; child++)
    read(ends[0], &one, 1);
  printf("segments: ready\n");
  while (wait(0) > 0)
    ;
}

int main(int argc, char **argv) {
  if (shmget(KEY, 5000, IPC_CREAT | 0600) < 0 || shmget(IPC_PRIVATE, 1, 0640) < 0)
    return 1;
  if (argc > 1 && argv[1][0] == 's')
    stay();
  return 0;
}
