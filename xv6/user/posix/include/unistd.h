// What this kernel has of it. xv6's own system calls do not say why they fail:
// errno is then the likeliest reason.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define STDIN_FILENO 0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2

pid_t fork(void);
pid_t getpid(void);
void _exit(int status) __attribute__((noreturn));
int execv(const char *path, char *const argv[]);
ssize_t read(int fd, void *to, size_t n);
ssize_t write(int fd, const void *from, size_t n);
int close(int fd);
int dup(int fd);
int pipe(int fd[2]);
int link(const char *old, const char *new);
int unlink(const char *path);
int chdir(const char *path);
unsigned sleep(unsigned seconds);
int usleep(unsigned microseconds); // in ticks of a tenth of a second
void *sbrk(long bytes);
