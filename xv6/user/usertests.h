// What the tests have in common. A test is a function that runs in a process
// and an empty directory of its own; it fails when a must() is not met, or
// when it is killed. Whatever it leaves in its directory is removed.
#pragma once

#include "kernel/types.h"
#include "kernel/riscv.h"
#include "kernel/fcntl.h"
#include "kernel/fs.h"
#include "kernel/memlayout.h"
#include "kernel/param.h"
#include "kernel/stat.h"
#include "user/memory.h"
#include "user/user.h"

struct test {
  const char *name;
  void (*run)(void);
  const char *purpose;
  int slow;                   // runs after all others; not with -q
};

// Of each file, ended by a test without a name.
extern const struct test args_tests[], file_tests[], dir_tests[], disk_tests[],
  pipe_tests[], proc_tests[], exec_tests[], mem_tests[], shrimp_tests[],
  shm_tests[];

#define must(what) ((what) ? (void)0 : fail(__FILE__, __LINE__, #what))
#define LEAST (-0x7fffffff - 1) // of all ints
#define LENGTH(table) (int)(sizeof(table) / sizeof((table)[0]))

// In processes: a child's must() counts once its parent looks at its status.
void fail(const char *file, int line, const char *what) __attribute__((noreturn));
int must_fork(void);                   // waits for slots that orphans have until init has buried them
int begin(void (*f)(void));            // pid of a child that does f() and exits with 0
int reap(void);                        // status of the next child to end
int status_of(void (*f)(void));        // begin and reap
void must_work(void (*f)(void));       // in a child
void must_be_killed(void (*f)(void));  // in a child

// Pipes as signals: no test waits for time to pass.
void must_pipe(int *fd);
void post(int *fd);                    // one byte
void await(int *fd);                   // one byte

// Files.
void make_file(const char *path, const void *data, int n);
int open_must(const char *path, int how);
uint64 size_of(const char *path);
int exists(const char *path);
char *numbered(const char *prefix, int n); // prefix and n; valid until the next call
void fill(void *buf, int n, uint seed);    // bytes that depend on place and seed
int is_filled(const void *buf, int n, uint seed);
int empty_directory(const char *path); // removes all in it; -1 when something stays

// Memory that runs out. One process takes all of it and gives back a page
// each time that attempt(), in another, returns 0: so a call is made to fail
// at each of its allocations in turn. No page may be lost.
void starve(int (*attempt)(void));

// Addresses at which no program has memory: kernel, devices, past the ends.
#define MAXBAD 24
int bad_addresses(uint64 *list);       // how many
uint64 first_unmapped(void);           // end of the heap, made the start of a page

uint random_below(uint n);             // the same row of numbers in every run

extern char scratch[8192];             // for whatever a test likes
