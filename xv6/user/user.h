// What a program may call: the kernel, then the user library.
#pragma once

#include "kernel/types.h"

struct stat;

// System calls (usys.S). -1 is failure.
int fork(void);                        // the child's pid; 0 in the child
void exit(int status) __attribute__((noreturn));
int wait(int *status);                 // pid of a child that ended; status may be 0
int pipe(int *fd);                     // read end in fd[0], write end in fd[1]
int read(int fd, void *buf, int n);    // bytes read; 0 at the end
int write(int fd, const void *buf, int n);
int close(int fd);
int dup(int fd);                       // the lowest free descriptor
int kill(int pid);
int exec(const char *path, char **argv); // returns only on failure
int open(const char *path, int how);   // how: kernel/fcntl.h
int mknod(const char *path, short major, short minor);
int unlink(const char *path);
int link(const char *old, const char *new);
int mkdir(const char *path);
int chdir(const char *path);
int fstat(int fd, struct stat *st);
int getpid(void);
char *sbrk(int bytes);                 // end of the heap before; (char *)-1 on failure
char *sbrklazy(int bytes);             // the same; the kernel may wait for the first touch
int sleep(int ticks);
int pause(int ticks);                  // sleep's newer name
int uptime(void);                      // ticks since the start
// Shared memory: kernel/shm.h. Failure is -errno: kernel/errno.h. user/posix/ has
// the same as POSIX has it.
int shmget(int key, uint64 size, int flags);
uint64 shmat(int id, uint64 at, int flags); // where it is, or -errno
int shmdt(uint64 at);
int shmctl(int id, int command, void *what);

// string.c
void *memset(void *dst, int c, uint64 n);
void *memmove(void *dst, const void *src, uint64 n);
void *memcpy(void *dst, const void *src, uint64 n);
int memcmp(const void *a, const void *b, uint64 n);
uint64 strlen(const char *s);
char *strcpy(char *dst, const char *src);
char *strchr(const char *s, int c);    // 0 when c is not in s
int strcmp(const char *a, const char *b);
int atoi(const char *s);               // decimal, with an optional sign

// input.c
char *gets(char *buf, int max);        // a line with its newline; "" at the end
int stat(const char *path, struct stat *st);

// printf.c: %d %u %x (each with l for 64 bits) %p %s %c %%
void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fprintf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

// malloc.c
void *malloc(uint64 bytes);             // 16-byte aligned; 0 when memory is out
void free(void *block);
