#pragma once

#include <sys/types.h>

#include "kernel/shm.h"

// A key of a file that is there, and of the low 8 bits of project, which are
// not 0. -1, and errno.
key_t ftok(const char *path, int project);
