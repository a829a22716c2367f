// Asks for memory, in name only, until the kernel refuses; then sleeps for good.
#include "user/user.h"

int
main(void)
{
  int forever[2];
  char c;

  if (pipe(forever) < 0)
    return 1;
  for (int size = 1 << 30; size >= 4096; size /= 2)
    while (sbrklazy(size) != (char *)-1)
      ;
  printf("greedy: ready\n");
  for (;;)
    read(forever[0], &c, 1);
}
