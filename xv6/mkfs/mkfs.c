// Makes a disk image for the kernel, or checks one. Runs on the host.
//   mkfs IMAGE FILE...   an image of FSSIZE blocks with the files in its root
//   mkfs -c IMAGE        one line for each fault found; status 1 if any
//
// The image is built in memory, little-endian whatever the host is, and put
// in place atomically: complete, or unchanged. The same files give the same bytes.

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../kernel/types.h"
#include "../kernel/fs.h"
#include "../kernel/param.h"
#define stat xv6_stat       // the host has a struct stat of its own
#include "../kernel/stat.h"
#undef stat

#define NINODES 200

static uchar *image;
static struct superblock sb; // in the host's byte order

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "mkfs: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  exit(1);
}

static uint get(const uchar *p, int n) {
  uint value = 0;
  while (n-- > 0)
    value = value << 8 | p[n];
  return value;
}

static void put(uchar *p, int n, uint value) {
  for (int i = 0; i < n; i++, value >>= 8)
    p[i] = value;
}

// A field of a disk structure at base, of the size it has in fs.h.
#define SIZE_OF(type, field) sizeof(((struct type *)0)->field)
#define GET(base, type, field) \
  get((base) + offsetof(struct type, field), SIZE_OF(type, field))
#define PUT(base, type, field, value) \
  put((base) + offsetof(struct type, field), SIZE_OF(type, field), value)

static uchar *block(uint n) {
  return image + (size_t)n * BSIZE;
}

static uchar *inode(uint inum) {
  return block(IBLOCK(inum, sb)) + inum % IPB * sizeof(struct dinode);
}

// The place of an inode's i'th address, the indirect block being the last.
static uchar *address(uint inum, uint i) {
  return inode(inum) + offsetof(struct dinode, addrs) + i * sizeof(uint);
}

static void read_all(int fd, const char *path, uchar *to, size_t n) {
  while (n > 0) {
    ssize_t got = read(fd, to, n);
    if (got < 0)
      fail("cannot read %s: %s", path, strerror(errno));
    if (got == 0)
      fail("%s shrank while it was read", path);
    to += got;
    n -= got;
  }
}

// The contents of a host file, and their length in *size.
static uchar *slurp(const char *path, size_t *size) {
  struct stat st;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &st) < 0)
    fail("cannot open %s: %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode))
    fail("%s is not a plain file", path);
  *size = st.st_size;
  uchar *data = malloc(*size + 1);
  if (data == NULL)
    fail("%s is too big for this machine's memory", path);
  read_all(fd, path, data, *size);
  close(fd);
  return data;
}

static uint next_block;     // the first free one
static uint next_inode;

static void layout(void) {
  uint n_maps = FSSIZE / BPB + 1;
  uint n_inode_blocks = NINODES / IPB + 1;

  sb.magic = FSMAGIC;
  sb.size = FSSIZE;
  sb.ninodes = NINODES;
  sb.nlog = LOGBLOCKS + 1;
  sb.logstart = 2;
  sb.inodestart = sb.logstart + sb.nlog;
  sb.bmapstart = sb.inodestart + n_inode_blocks;
  next_block = sb.bmapstart + n_maps;
  next_inode = ROOTINO;
  sb.nblocks = sb.size - next_block;

  PUT(block(1), superblock, magic, sb.magic);
  PUT(block(1), superblock, size, sb.size);
  PUT(block(1), superblock, nblocks, sb.nblocks);
  PUT(block(1), superblock, ninodes, sb.ninodes);
  PUT(block(1), superblock, nlog, sb.nlog);
  PUT(block(1), superblock, logstart, sb.logstart);
  PUT(block(1), superblock, inodestart, sb.inodestart);
  PUT(block(1), superblock, bmapstart, sb.bmapstart);
}

static uint new_block(const char *whose) {
  if (next_block == sb.size)
    fail("%s does not fit: the image's %u blocks are full", whose, sb.size);
  return next_block++;
}

static uint new_inode(const char *whose, short type) {
  if (next_inode == sb.ninodes)
    fail("%s does not fit: the image's %u inodes are in use", whose,
         sb.ninodes);
  PUT(inode(next_inode), dinode, type, type);
  PUT(inode(next_inode), dinode, nlink, 1);
  return next_inode++;
}

// Gives an inode its contents, once.
static void set_contents(uint inum, const char *whose, const uchar *data,
                         size_t size) {
  if (size > MAXFILE * BSIZE)
    fail("%s has %zu bytes; a file holds %zu at most", whose, size,
         (size_t)MAXFILE * BSIZE);
  PUT(inode(inum), dinode, size, size);
  for (size_t n = 0; n * BSIZE < size; n++) {
    uchar *where = address(inum, n);
    if (n >= NDIRECT) {
      uchar *indirect = address(inum, NDIRECT);
      if (get(indirect, 4) == 0)
        put(indirect, 4, new_block(whose));
      where = block(get(indirect, 4)) + (n - NDIRECT) * sizeof(uint);
    }
    uint blockno = new_block(whose);
    put(where, 4, blockno);
    size_t rest = size - n * BSIZE;
    memcpy(block(blockno), data + n * BSIZE, rest < BSIZE ? rest : BSIZE);
  }
}

// The root directory, collected while files are added.
static uchar entries[NINODES + 2][sizeof(struct dirent)];
static uint n_entries;

static void add_entry(const char *name, uint inum) {
  if (strlen(name) > DIRSIZ || *name == 0)
    fail("\"%s\": a name has 1 to %d bytes", name, DIRSIZ);
  for (uint i = 0; i < n_entries; i++)
    if (strncmp((char *)entries[i] + offsetof(struct dirent, name), name,
                DIRSIZ) == 0)
      fail("two files are called %s", name);
  PUT(entries[n_entries], dirent, inum, inum);
  memcpy(entries[n_entries] + offsetof(struct dirent, name), name,
         strlen(name));
  n_entries++;
}

// What a host file is called in the image: programs are built as _name,
// lest they be run, or taken for the host's, by accident.
static const char *name_in_image(const char *path) {
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  return name[0] == '_' ? name + 1 : name;
}

static void add_file(const char *path) {
  const char *name = name_in_image(path);
  size_t size;
  uchar *data = slurp(path, &size);
  uint inum = new_inode(name, T_FILE);
  add_entry(name, inum);
  set_contents(inum, name, data, size);
  free(data);
}

// Whole blocks, as the kernel grows it, the rest being unused entries.
static void add_root(uint root) {
  size_t bytes = n_entries * sizeof(struct dirent);
  size_t size = (bytes + BSIZE - 1) / BSIZE * BSIZE;
  uchar *data = calloc(1, size);
  if (data == NULL)
    fail("no memory");
  memcpy(data, entries, bytes);
  set_contents(root, "/", data, size);
  free(data);
}

static void mark_used(void) {
  for (uint n = 0; n < next_block; n++)
    block(BBLOCK(n, sb))[n % BPB / 8] |= 1 << n % 8;
}

// Writes the image beside path and gives it that name when it is complete.
static void save(const char *path) {
  size_t n = (size_t)sb.size * BSIZE;
  char *temporary = malloc(strlen(path) + sizeof(".XXXXXX"));
  if (temporary == NULL)
    fail("no memory");
  sprintf(temporary, "%s.XXXXXX", path);
  int fd = mkstemp(temporary);
  if (fd < 0)
    fail("cannot write beside %s: %s", path, strerror(errno));
  mode_t mask = umask(0);
  umask(mask);
  size_t done = 0;
  while (done < n) {
    ssize_t wrote = write(fd, image + done, n - done);
    if (wrote < 0)
      break;
    done += wrote;
  }
  if (done < n || fchmod(fd, 0666 & ~mask) < 0 || close(fd) < 0 ||
      rename(temporary, path) < 0) {
    int why = errno;
    unlink(temporary);
    fail("cannot write %s: %s", path, strerror(why));
  }
  free(temporary);
}

static int make(const char *path, char **files, int n_files) {
  image = calloc(FSSIZE, BSIZE);
  if (image == NULL)
    fail("no memory");
  layout();
  uint root = new_inode("/", T_DIR);
  add_entry(".", root);
  add_entry("..", root);
  for (int i = 0; i < n_files; i++)
    add_file(files[i]);
  add_root(root);
  mark_used();
  save(path);
  return 0;
}

static int n_faults;
static uint *owner;         // of each data block: an inode, or 0
static uint *names;         // of each inode: entries found that name it
static uint *subdirs;       // of each directory

__attribute__((format(printf, 1, 2))) static void fault(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vprintf(format, args);
  printf("\n");
  va_end(args);
  n_faults++;
}

static void load_superblock(const char *path, size_t size) {
  if (size < 2 * BSIZE)
    fail("%s is too short for a superblock", path);
  sb.magic = GET(block(1), superblock, magic);
  sb.size = GET(block(1), superblock, size);
  sb.nblocks = GET(block(1), superblock, nblocks);
  sb.ninodes = GET(block(1), superblock, ninodes);
  sb.nlog = GET(block(1), superblock, nlog);
  sb.logstart = GET(block(1), superblock, logstart);
  sb.inodestart = GET(block(1), superblock, inodestart);
  sb.bmapstart = GET(block(1), superblock, bmapstart);

  if (sb.magic != FSMAGIC)
    fail("%s: superblock: magic is %#x, expected %#x", path, sb.magic,
         FSMAGIC);
  if (sb.size > size / BSIZE)
    fail("%s: superblock: %u blocks, but the file has %zu", path, sb.size,
         size / BSIZE);
  ulong data = sb.bmapstart + (ulong)sb.size / BPB + 1;
  if (sb.logstart < 2 || (ulong)sb.logstart + sb.nlog > sb.inodestart ||
      sb.inodestart + (ulong)sb.ninodes / IPB + 1 > sb.bmapstart ||
      data > sb.size || sb.nlog < 2 || sb.ninodes < 2)
    fail("%s: superblock: the regions overlap or leave the disk", path);
  next_block = data;
  if (sb.nblocks != sb.size - next_block)
    fault("superblock: %u data blocks, expected %u", sb.nblocks,
          sb.size - next_block);
}

// What the kernel does first: a transaction that is committed in the log
// counts, wherever its blocks were when the machine stopped.
static void replay_log(void) {
  uchar *header = block(sb.logstart);
  uint n = get(header, 4);
  if (n > LOGBLOCKS || n > sb.nlog - 1) {
    fault("log: the header counts %u blocks of %u", n, sb.nlog - 1);
    return;
  }
  for (uint i = 0; i < n; i++) {
    uint home = get(header + 4 + 4 * i, 4);
    if (home < sb.inodestart || home >= sb.size)
      fault("log: entry %u is for block %u, outside the disk", i, home);
    else
      memcpy(block(home), block(sb.logstart + 1 + i), BSIZE);
  }
}

// Counts a block as inum's. Is it a data block that nobody else has?
static int claim(uint inum, uint blockno) {
  if (blockno < next_block || blockno >= sb.size) {
    fault("inode %u: block %u is not a data block", inum, blockno);
    return 0;
  }
  if (owner[blockno]) {
    fault("inode %u: block %u is also inode %u's", inum, blockno,
          owner[blockno]);
    return 0;
  }
  owner[blockno] = inum;
  return 1;
}

// The number of an inode's n'th block, 0 if it has none or it is not sane.
static uint nth_block(uint inum, uint n) {
  uint blockno = 0;
  if (n < NDIRECT) {
    blockno = get(address(inum, n), 4);
  } else if (n < MAXFILE) {
    uint indirect = get(address(inum, NDIRECT), 4);
    if (indirect >= next_block && indirect < sb.size)
      blockno = get(block(indirect) + (n - NDIRECT) * sizeof(uint), 4);
  }
  return blockno < sb.size ? blockno : 0;
}

// A file's blocks, also those beyond its end.
static void check_blocks(uint inum) {
  for (uint i = 0; i < NDIRECT + 1; i++) {
    uint blockno = get(address(inum, i), 4);
    if (blockno == 0 || !claim(inum, blockno) || i < NDIRECT)
      continue;
    for (uint j = 0; j < NINDIRECT; j++) {
      uint leaf = get(block(blockno) + j * sizeof(uint), 4);
      if (leaf)
        claim(inum, leaf);
    }
  }
  uint size = GET(inode(inum), dinode, size);
  if (size > MAXFILE * BSIZE) {
    fault("inode %u: size %u is more than a file can have", inum, size);
    return;
  }
  // xv6's own mkfs leaves the root a size beyond its last block.
  if (GET(inode(inum), dinode, type) == T_DIR)
    return;
  for (uint n = 0; n < (size + BSIZE - 1) / BSIZE; n++)
    if (nth_block(inum, n) == 0)
      fault("inode %u: no block %u, but %u bytes", inum, n, size);
}

// Follows every entry of a directory once; dot and dotdot must be first.
static void check_directory(uint inum, uint parent) {
  uint size = GET(inode(inum), dinode, size);
  if (size > MAXFILE * BSIZE)
    return;
  for (uint off = 0; off < size; off += sizeof(struct dirent)) {
    uint blockno = nth_block(inum, off / BSIZE);
    if (blockno == 0)
      continue;
    uchar *entry = block(blockno) + off % BSIZE;
    uint to = GET(entry, dirent, inum);
    char name[DIRSIZ + 1] = "";
    memcpy(name, entry + offsetof(struct dirent, name), DIRSIZ);
    uint i = off / sizeof(struct dirent);
    if (i < 2) {
      uint expected = i ? parent : inum;
      if (strcmp(name, i ? ".." : ".") != 0 || to != expected)
        fault("directory %u: entry %u is \"%s\", inode %u, expected"
              " \"%s\", inode %u", inum, i, name, to, i ? ".." : ".",
              expected);
      continue;
    }
    if (to == 0)
      continue;
    if (to >= sb.ninodes || GET(inode(to), dinode, type) == 0) {
      fault("directory %u: \"%s\" is inode %u, which is free", inum, name,
            to);
      continue;
    }
    names[to]++;
    if (GET(inode(to), dinode, type) != T_DIR)
      continue;
    subdirs[inum]++;
    if (names[to] == 1 && to != ROOTINO)
      check_directory(to, inum);
    else
      fault("directory %u: \"%s\" is directory %u, which has a name", inum,
            name, to);
  }
}

// nlink counts the entries that name an inode and its children's "..".
static void check_inode(uint inum) {
  uint type = GET(inode(inum), dinode, type);
  uint nlink = GET(inode(inum), dinode, nlink);
  uint expected = names[inum] + subdirs[inum];

  if (type == 0) // what is left in a free inode means nothing
    return;
  if (type != T_DIR && type != T_FILE && type != T_DEVICE) {
    fault("inode %u: no type %u", inum, type);
    return;
  }
  if (expected == 0)
    fault("inode %u: in use, but without a name (nlink %u)", inum, nlink);
  else if (nlink != expected)
    fault("inode %u: nlink is %u, expected %u", inum, nlink, expected);
}

static void check_bitmap(void) {
  for (uint n = 0; n < sb.size; n++) {
    int marked = block(BBLOCK(n, sb))[n % BPB / 8] >> n % 8 & 1;
    int used = n < next_block || owner[n];
    if (used && !marked)
      fault("bitmap: block %u is marked free, but inode %u's", n, owner[n]);
    if (!used && marked)
      fault("bitmap: block %u is marked used, but nobody's", n);
  }
}

static int check(const char *path) {
  size_t size;
  image = slurp(path, &size);
  load_superblock(path, size);
  owner = calloc(sb.size, sizeof(*owner));
  names = calloc(sb.ninodes, sizeof(*names));
  subdirs = calloc(sb.ninodes, sizeof(*subdirs));
  if (owner == NULL || names == NULL || subdirs == NULL)
    fail("no memory");

  replay_log();
  for (uint inum = 1; inum < sb.ninodes; inum++) {
    uint type = GET(inode(inum), dinode, type);
    if (type == T_FILE || type == T_DIR)
      check_blocks(inum);
  }
  names[ROOTINO] = 1;
  if (GET(inode(ROOTINO), dinode, type) == T_DIR)
    check_directory(ROOTINO, ROOTINO);
  else
    fault("inode %u: the root is not a directory", ROOTINO);
  for (uint inum = 1; inum < sb.ninodes; inum++)
    check_inode(inum);
  check_bitmap();
  return n_faults > 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "-c") == 0)
    return check(argv[2]);
  if (argc < 2 || argv[1][0] == '-')
    fail("usage: mkfs IMAGE FILE...  or  mkfs -c IMAGE");
  return make(argv[1], argv + 2, argc - 2);
}
