// Sizes of the system's fixed tables and of what programs may ask for.
// The disk's own sizes are in its superblock; FSSIZE is only what mkfs makes.
#pragma once

// The machine
#define NCPU 8              // harts

// Processes
#ifndef NPROC
#define NPROC 64
#endif
#define NOFILE 16           // descriptors of each
#define MAXARG 32           // arguments of exec, the closing 0 among them
#define USERSTACK 1         // pages of a user stack, above its guard page

// Files
#define MAXPATH 128         // bytes of a path name, with its NUL
#define NFILE 100           // open files, whoever has them
#define NINODE 50           // inodes in memory
#define NDEV 10             // device major numbers

// Shared memory (shm.c)
#define NSHM 32             // segments
#define SHMPAGES 512        // pages of each: as many addresses as a frame has room for
#define NSHMAT 8            // attachments of a process

// The disk
#define ROOTDEV 1           // number of the one that holds /
#define FSSIZE 2000         // blocks of the image mkfs makes
#define NBUF 512            // blocks in the buffer cache: the longest file and what leads to it,
                            // or a file that is read again would push itself out
#define MAXOPBLOCKS 10      // blocks one file system call may change
#define LOGBLOCKS (3 * MAXOPBLOCKS) // block numbers in the log's header block
