#pragma once

#include <stddef.h>

typedef int pid_t;
typedef int key_t;           // of System V's segments
typedef unsigned uid_t;
typedef unsigned gid_t;
typedef unsigned mode_t;
typedef long ssize_t;
typedef long off_t;
typedef long time_t;         // here: ticks since the start
