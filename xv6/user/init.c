// The first process: gives everyone descriptors 0, 1 and 2 on the console,
// keeps a shell running, and buries the orphans.
#include "kernel/types.h"
#include "kernel/fcntl.h"
#include "user/user.h"

#define CONSOLE 1             // major number; kernel/file.h is the kernel's own

static void open_console(void) {
  mknod("/console", CONSOLE, 0); // fails when it is there, as well it may
  for (int fd = 0; fd < 3; fd++)
    open("/console", O_RDWR);
}

static int start_shell(void) {
  static char *argv[] = {"sh", 0};

  printf("init: starting sh\n");
  int pid = fork();
  if (pid == 0) {
    exec("sh", argv);
    printf("init: cannot exec sh\n");
    exit(1);
  }
  return pid;
}

int main(void) {
  open_console();
  for (;;) {
    int shell = start_shell();
    if (shell < 0) {
      printf("init: cannot fork\n");
      return 1;
    }
    while (wait(0) != shell)
      ;
  }
}
