// Sizes of the system's fixed tables and of what programs may ask for.
// The disk's own sizes are in its superblock; FSSIZE is only what mkfs makes.
#pragma once

#ifndef NPROC
#define NPROC 64            // processes
#endif
#define NCPU 8              // harts
#define NOFILE 16           // open files of one process
#define NFILE 100           // open files of the system
#define NINODE 50           // inodes in memory
#define NDEV 10             // device major numbers
#define ROOTDEV 1           // the disk that holds /
#define MAXARG 32           // arguments of exec
#define MAXPATH 128         // bytes of a path name, with its NUL
#define MAXOPBLOCKS 10      // blocks one file system call may change
#define LOGBLOCKS (MAXOPBLOCKS * 3) // block numbers in the log's header block
#define NBUF 256            // blocks in the buffer cache
#define FSSIZE 2000         // blocks of the image mkfs makes
#define USERSTACK 1         // pages of a user stack, above its guard page
