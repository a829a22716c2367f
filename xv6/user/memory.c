#include "kernel/types.h"
#include "kernel/riscv.h"
#include "user/memory.h"
#include "user/user.h"

#define LARGEST (1 << 13)     // pages asked for at once

int take_all_memory(void) {
  int pages = 0;

  for (int n = LARGEST; n > 0; n /= 2)
    while (sbrk(n * PGSIZE) != (char *)-1)
      pages += n;
  return pages;
}

int free_pages(void) {
  int fd[2], pages = -1;

  if (pipe(fd) < 0)
    return -1;
  int pid = fork();
  if (pid == 0) {
    pages = take_all_memory();
    write(fd[1], &pages, sizeof(pages));
    exit(0);
  }
  close(fd[1]);
  if (pid > 0 && read(fd[0], &pages, sizeof(pages)) != sizeof(pages))
    pages = -1;
  close(fd[0]);
  while (pid > 0 && wait(0) != pid)
    ;
  return pages;
}

int free_pages_return(int before) {
  for (int i = 0; i < PATIENCE; i++) {
    if (free_pages() >= before)
      return 1;
    sleep(1);
  }
  return 0;
}
