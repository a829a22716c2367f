// System V shared memory. What differs from Linux: docs/kernel.md.
#pragma once

#include <sys/ipc.h>

#define SHMLBA 4096          // SHM_RND rounds down to a multiple of it

typedef unsigned long shmatt_t;

int shmget(key_t key, size_t size, int flags);
void *shmat(int id, const void *at, int flags); // (void *)-1 on failure
int shmdt(const void *at);
int shmctl(int id, int command, struct shmid_ds *ds);
