// busy: never leaves user mode by itself.
#include "user/user.h"

int main(void) {
  for (;;)
    asm volatile("");
}
