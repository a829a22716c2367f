// The disk's format, which mkfs writes and the kernel reads. In blocks:
//   0            nothing
//   1            the superblock, which says where the others begin
//   logstart     the log
//   inodestart   inodes, IPB to a block
//   bmapstart    a bit for each block of the disk: 1 is in use
//   then         the contents of files and directories
#pragma once

#define BSIZE 1024          // bytes in a block
#define ROOTINO 1           // inode of /
#define FSMAGIC 0x10203040

struct superblock {         // block 1
  uint magic;
  uint size;                // blocks in the image
  uint nblocks;             // data blocks
  uint ninodes;
  uint nlog;                // log blocks, the header block among them
  uint logstart;            // first block of each region
  uint inodestart;
  uint bmapstart;
};

#define NDIRECT 12
#define NINDIRECT (BSIZE / (int)sizeof(uint))
#define MAXFILE (NDIRECT + NINDIRECT) // blocks in the largest file

struct dinode {             // an inode on the disk
  short type;               // T_DIR, T_FILE, T_DEVICE; 0 is free
  short major;              // T_DEVICE only
  short minor;
  short nlink;              // directory entries that name it
  uint size;                // bytes
  uint addrs[NDIRECT + 1];  // data blocks; the last is the indirect block
};

#define IPB (BSIZE / sizeof(struct dinode))       // inodes in a block
#define IBLOCK(inum, sb) ((inum) / IPB + (sb).inodestart)
#define BPB (BSIZE * 8)                           // bitmap bits in a block
#define BBLOCK(bno, sb) ((bno) / BPB + (sb).bmapstart)

#define DIRSIZ 14

struct dirent {             // a directory is a file of these
  ushort inum;              // 0 is an unused entry
  char name[DIRSIZ];        // NUL-padded, not terminated when full
};
