// Why the last call failed that did.
#pragma once

#include "kernel/errno.h"

extern int errno;
#define errno errno
