// faulty HOW: an access that no page table allows, and the process is killed.
// faulty hold: has a number and a text in its heap, says so, and sleeps for good.
#include "user/user.h"

#define PGSIZE 4096

// The address, which the compiler does not know.
static void *at(unsigned long address) {
  asm volatile("" : "+r"(address));
  return (void *)address;
}

static int deeper(int n) {
  volatile char much[512];
  much[0] = n;
  return n == -1 ? 0 : deeper(n + 1) + much[0];
}

static void hold(void) {
  long *word = malloc(64);
  word[0] = 0x5ca1ab1e0ddba11;
  strcpy((char *)&word[2], "needle in the heap");
  printf("faulty: holds %p\n", (void *)word);
  for (;;)
    pause(1 << 30);
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  if (strcmp(how, "null") == 0)
    *(volatile long *)at(16) = 1;
  else if (strcmp(how, "stack") == 0)
    deeper(0);
  else if (strcmp(how, "heap") == 0)
    ((volatile char *)sbrk(PGSIZE))[PGSIZE + 8] = 1;
  else if (strcmp(how, "jump") == 0)
    ((void (*)(void))at(0x3000000000))();
  else if (strcmp(how, "freed") == 0)
    return *(volatile long *)at(0x0101010101010101);
  else if (strcmp(how, "kernel") == 0)
    return *(volatile int *)at(0x80000000);
  else if (strcmp(how, "hold") == 0)
    hold();
  exit(0);
}
