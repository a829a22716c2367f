// System V shared memory, as programs see it: numbers and names are Linux's
// (sysvipc(7), shmget(2), shmat(2), shmctl(2)). Plain C types only: programs
// that include <sys/shm.h> get no other names of the kernel's.
#pragma once

#define IPC_PRIVATE 0       // a key that no segment is found by
#define IPC_CREAT 01000     // shmget's flags, beside the mode
#define IPC_EXCL 02000

#define IPC_RMID 0          // what shmctl does
#define IPC_SET 1
#define IPC_STAT 2
#define IPC_INFO 3
#define SHM_LOCK 11
#define SHM_UNLOCK 12
#define SHM_STAT 13
#define SHM_INFO 14
#define SHM_STAT_ANY 15

#define SHM_RDONLY 010000   // shmat's flags
#define SHM_RND 020000
#define SHM_REMAP 040000
#define SHM_EXEC 0100000

#define SHM_DEST 01000      // in a segment's mode: goes with the last that detaches
#define SHM_LOCKED 02000    // in a segment's mode: SHM_LOCK was called last

#define SHM_R 0400          // of the owner, in a segment's mode
#define SHM_W 0200

struct ipc_perm {
  int __key;
  unsigned uid, gid, cuid, cgid; // 0: there are no users
  unsigned mode;            // nine bits, SHM_DEST and SHM_LOCKED
  unsigned __seq;           // how often its place has been used before
};

struct shmid_ds {
  struct ipc_perm shm_perm;
  unsigned long shm_segsz;  // bytes
  long shm_atime;           // of the last attach, in ticks since the start; 0 is never
  long shm_dtime;           // of the last detach
  long shm_ctime;           // when it was made, or changed by shmctl
  int shm_cpid;             // who made it
  int shm_lpid;             // who attached or detached last
  unsigned long shm_nattch; // attachments, of all processes
};

struct shminfo {            // IPC_INFO: the limits
  unsigned long shmmax;     // bytes of a segment
  unsigned long shmmin;
  unsigned long shmmni;     // segments
  unsigned long shmseg;     // attachments of a process
  unsigned long shmall;     // pages of all segments
};

struct shm_info {           // SHM_INFO: what is used
  int used_ids;             // segments
  unsigned long shm_tot;    // pages
  unsigned long shm_rss;    // of these in memory: all
  unsigned long shm_swp;    // and on a disk: none
  unsigned long swap_attempts;
  unsigned long swap_successes;
};
