// System V shared memory as its textbooks show it, both sides in one program: a
// server puts the alphabet into a segment and waits for '*' as its first byte,
// a client, which finds the segment by its key, reads it and answers.
// Nothing here is of this system: it is compiled on Linux from the same bytes.
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 27

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static char *attach(int id) {
  char *shm = shmat(id, NULL, 0);
  if (shm == (char *)-1)
    fail("shmat");
  return shm;
}

static void client(key_t key) {
  int id = shmget(key, SIZE, 0666);
  if (id < 0)
    fail("client: shmget");

  char *shm = attach(id);
  for (const char *s = shm; *s != '\0'; s++)
    putchar(*s);
  putchar('\n');
  *(volatile char *)shm = '*';
  exit(0);
}

int main(void) {
  key_t key = ftok(".", 's');
  if (key == (key_t)-1)
    fail("ftok");
  int id = shmget(key, SIZE, IPC_CREAT | IPC_EXCL | 0666);
  if (id < 0)
    fail("shmget");

  char *shm = attach(id), *s = shm;
  for (char c = 'a'; c <= 'z'; c++)
    *s++ = c;
  *s = '\0';

  pid_t pid = fork();
  if (pid < 0)
    fail("fork");
  if (pid == 0)
    client(key);
  while (*(volatile char *)shm != '*')
    usleep(1000);
  wait(NULL);

  printf("server: %s\n", shm);
  if (shmdt(shm) < 0)
    fail("shmdt");
  if (shmctl(id, IPC_RMID, NULL) < 0)
    fail("shmctl");
  if (shmget(key, SIZE, 0666) < 0)
    perror("server: shmget");
  return 0;
}
