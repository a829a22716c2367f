// System calls, for the library itself.
#pragma once

#include "kernel/syscall.h"

long __call(long number, ...);          // call.S: what the kernel returns
long __result(long returned, int likely); // that, or -1 with errno set
