// Tests: what files, descriptors and devices do.
#include "user/usertests.h"

static char big[BSIZE * 3];

static void open_what_is_there(void) {
  must(open("none", O_RDONLY) == -1);
  must(open("none", O_RDWR) == -1);
  must(open("none/f", O_CREATE | O_RDWR) == -1);
  make_file("f", "content", 7);
  must(open("f/g", O_CREATE | O_RDWR) == -1);
  must(open("f/", O_RDONLY) == -1 || size_of("f/") == 7);

  int fd = open_must("f", O_CREATE | O_RDWR); // no error, and nothing is lost
  must(read(fd, scratch, 10) == 7 && memcmp(scratch, "content", 7) == 0);
  must(read(fd, scratch, 10) == 0);
}

static void directories_are_read_only(void) {
  must(mkdir("d") == 0);
  must(open("d", O_WRONLY) == -1);
  must(open("d", O_RDWR) == -1);
  must(open("d", O_CREATE | O_RDWR) == -1);
  int fd = open_must("d", O_RDONLY);
  must(write(fd, "x", 1) == -1);
  must(open(".", O_RDWR) == -1 && open("/", O_WRONLY) == -1);
}

static void fstat_tells(void) {
  struct stat st, dir;

  make_file("f", "12345", 5);
  must(link("f", "g") == 0);
  must(stat("f", &st) == 0);
  must(st.type == T_FILE && st.size == 5 && st.nlink == 2 && st.dev == ROOTDEV);
  must(stat(".", &dir) == 0 && dir.type == T_DIR && dir.ino != st.ino);
  must(unlink("g") == 0 && stat("f", &st) == 0 && st.nlink == 1);
  must(stat("/", &st) == 0 && st.ino == ROOTINO && st.type == T_DIR);
  must(fstat(1, &st) == 0 && st.type == T_DEVICE);
}

static void any_piece_size(void) {
  static const int pieces[] = {1, 7, 64, 511, 512, 1023, BSIZE, BSIZE + 1, 2500};

  for (int i = 0; i < LENGTH(pieces); i++) {
    int n = pieces[i], total = 0;
    int fd = open_must("f", O_CREATE | O_TRUNC | O_RDWR);

    fill(big, sizeof(big), i);
    for (; total < (int)sizeof(big); total += n) {
      if (n > (int)sizeof(big) - total)
        n = sizeof(big) - total;
      must(write(fd, big + total, n) == n);
    }
    close(fd);
    must(size_of("f") == sizeof(big));

    fd = open_must("f", O_RDONLY);
    memset(big, 0, sizeof(big));
    for (total = 0; (n = read(fd, big + total, 777)) > 0;)
      total += n;
    must(n == 0 && total == sizeof(big) && is_filled(big, sizeof(big), i));
    close(fd);
  }
}

static void truncate_at_open(void) {
  make_file("f", "0123456789", 10);
  int reader = open_must("f", O_RDONLY);
  int plain = open_must("f", O_WRONLY);
  must(read(reader, scratch, 4) == 4 && write(plain, "abcdef", 6) == 6);
  int fresh = open_must("f", O_WRONLY | O_TRUNC);

  must(size_of("f") == 0);
  must(read(reader, scratch, 4) == 0);   // its place is past the end now
  must(write(plain, "x", 1) == -1);     // and this would leave a hole
  must(size_of("f") == 0);
  must(write(fresh, "ABCDEFG", 7) == 7);
  must(read(reader, scratch, 10) == 3 && memcmp(scratch, "EFG", 3) == 0);
  must(write(plain, "x", 1) == 1 && size_of("f") == 7);
  must(read(open_must("f", O_RDONLY), scratch, 10) == 7);
  must(memcmp(scratch, "ABCDEFx", 7) == 0);
}

static void truncate_with_create(void) {
  for (int i = 0; i < 20; i++) {
    fill(scratch, sizeof(scratch), i);
    make_file("f", scratch, sizeof(scratch) - i * 100);
    must(size_of("f") == sizeof(scratch) - i * 100);
  }
}

static void offsets_shared_and_not(void) {
  make_file("f", "0123456789", 10);
  int a = open_must("f", O_RDONLY), b = open_must("f", O_RDONLY), c = dup(a);

  must(read(a, scratch, 3) == 3 && read(c, scratch, 1) == 1 && scratch[0] == '3');
  must(read(b, scratch, 1) == 1 && scratch[0] == '0');
  int pid = must_fork();
  if (pid == 0)
    exit(read(a, scratch, 2) == 2 && close(c) == 0 ? 0 : 1);
  must(reap() == 0);
  must(read(a, scratch, 1) == 1 && scratch[0] == '6');
  must(close(a) == 0 && read(c, scratch, 1) == 1 && scratch[0] == '7');
}

static void dup_takes_lowest(void) {
  must(dup(1) == 3 && dup(1) == 4 && dup(2) == 5);
  must(close(4) == 0 && close(3) == 0);
  must(open_must(".", O_RDONLY) == 3);
  int fd[2];
  must_pipe(fd);
  must(fd[0] == 4 && fd[1] == 6);
}

static void descriptors_run_out(void) {
  int fd, fds[2];

  for (fd = 3; fd < NOFILE; fd++)
    must(open(numbered("f", fd), O_CREATE | O_RDWR) == fd);
  must(open(numbered("f", fd), O_CREATE | O_RDWR) == -1);
  must(open("f3", O_RDONLY) == -1 && dup(1) == -1 && pipe(fds) == -1);
  must(close(7) == 0);
  must(pipe(fds) == -1);      // it needs two
  must(open("f3", O_RDONLY) == 7);
}

static int gate[2], done[2];

static void hold_many_files(void) {
  char c;
  int opened = 0;

  close(gate[1]);
  while (open("f", O_RDONLY) >= 0)
    opened++;
  c = opened;
  write(done[1], &c, 1);
  must(read(gate[0], &c, 1) == 0);
}

// The system's file table is full before all these processes have theirs.
static void open_files_run_out(void) {
  enum { HOLDERS = NFILE / (NOFILE - 8) + 2 };
  int total = 0, again = 0;

  make_file("f", "", 0);
  for (int round = 0; round < 2; round++) {
    int *sum = round ? &again : &total;
    must_pipe(gate);
    must_pipe(done);
    for (int i = 0; i < HOLDERS; i++)
      begin(hold_many_files);
    for (int i = 0; i < HOLDERS; i++) {
      char c;
      must(read(done[0], &c, 1) == 1);
      *sum += c;
    }
    must(open("f", O_RDONLY) == -1 && pipe((int[2]){0}) == -1);
    close(gate[1]);
    for (int i = 0; i < HOLDERS; i++)
      must(reap() == 0);
    close(gate[0]);
    close(done[0]);
    close(done[1]);
  }
  must(total == again && total < NFILE && total > NFILE - 20);
}

static void unlinked_file_lives_on(void) {
  int fd = open_must("f", O_CREATE | O_RDWR);

  must(write(fd, "before", 6) == 6 && unlink("f") == 0 && !exists("f"));
  int other = open_must("f", O_CREATE | O_RDWR);
  must(write(other, "xyz", 3) == 3 && write(fd, "after", 5) == 5);
  struct stat st;
  must(fstat(fd, &st) == 0 && st.nlink == 0 && st.size == 11);
  must(read(other, scratch, 9) == 0);
  must(size_of("f") == 3);
}

static void links_are_equal(void) {
  make_file("a", "one", 3);
  must(link("a", "b") == 0 && link("b", "c") == 0);
  must(unlink("a") == 0 && !exists("a"));
  int fd = open_must("b", O_RDWR);
  must(write(fd, "two", 3) == 3);
  must(read(open_must("c", O_RDONLY), scratch, 9) == 3);
  must(memcmp(scratch, "two", 3) == 0);
  must(link("b", "c") == -1 && link("a", "d") == -1 && link(".", "d") == -1);
  must(link("b", "none/d") == -1 && link("b", "b") == -1);
  must(unlink("b") == 0 && unlink("b") == -1 && unlink("c") == 0 && !exists("c"));
}

static void devices_need_a_driver(void) {
  struct stat st;

  must(mknod("unknown", NDEV - 1, 7) == 0);
  must(stat("unknown", &st) == 0 && st.type == T_DEVICE);
  int fd = open_must("unknown", O_RDWR);
  must(read(fd, scratch, 1) == -1 && write(fd, "x", 1) == -1);
  must(mknod("beyond", NDEV, 0) == 0 && open("beyond", O_RDWR) == -1);
  must(mknod("below", -1, 0) == 0 && open("below", O_RDWR) == -1);
  must(mknod("unknown", 1, 0) == -1);
  must(mknod("console", 1, 0) == 0);
  fd = open_must("console", O_WRONLY | O_TRUNC);
  must(write(fd, "", 0) == 0 && fstat(fd, &st) == 0 && st.type == T_DEVICE);
}

static void largest_file(void) {
  int fd = open_must("f", O_CREATE | O_RDWR);

  for (int i = 0; i < MAXFILE; i++) {
    fill(scratch, BSIZE, i);
    must(write(fd, scratch, BSIZE) == BSIZE);
  }
  must(write(fd, "x", 1) == -1);
  must(size_of("f") == MAXFILE * BSIZE);
  close(fd);

  fd = open_must("f", O_RDONLY);
  for (int i = 0; i < MAXFILE; i++)
    must(read(fd, scratch, BSIZE) == BSIZE && is_filled(scratch, BSIZE, i));
  must(read(fd, scratch, 1) == 0);
  must(close(fd) == 0 && close(open_must("f", O_RDWR | O_TRUNC)) == 0);
  must(size_of("f") == 0);
}

static void one_write_of_many_blocks(void) {
  enum { BYTES = 40 * BSIZE };
  char *data = malloc(BYTES);

  must(data != 0);
  for (int n = BYTES; n > 3 * BSIZE; n -= 5 * BSIZE + 321) {
    fill(data, n, n);
    make_file("f", data, n);
    memset(data, 0, n);
    int fd = open_must("f", O_RDONLY);
    must(read(fd, data, BYTES) == n && is_filled(data, n, n));
    close(fd);
  }
}

enum { WRITERS = 4, PIECES = 60, PIECE = 50 };

static int writer;            // which of several processes this is
static int shared;            // a descriptor they have in common

static void write_own_pieces(void) {
  memset(scratch, 'a' + writer, PIECE);
  for (int i = 0; i < PIECES; i++)
    must(write(shared, scratch, PIECE) == PIECE);
}

// All pieces are there, whole, whatever their order.
static void shared_descriptor(void) {
  int seen[WRITERS] = {0};

  shared = open_must("f", O_CREATE | O_RDWR);
  for (writer = 0; writer < WRITERS; writer++)
    begin(write_own_pieces);
  for (int i = 0; i < WRITERS; i++)
    must(reap() == 0);
  int fd = open_must("f", O_RDONLY);
  for (int i = 0; i < WRITERS * PIECES; i++) {
    must(read(fd, scratch, PIECE) == PIECE);
    for (int k = 1; k < PIECE; k++)
      must(scratch[k] == scratch[0]);
    must(scratch[0] >= 'a' && scratch[0] < 'a' + WRITERS);
    seen[scratch[0] - 'a']++;
  }
  must(read(fd, scratch, 1) == 0);
  for (int i = 0; i < WRITERS; i++)
    must(seen[i] == PIECES);
}

static void write_own_file(void) {
  char name[] = {'w', '0' + writer, 0};

  for (int round = 0; round < 6; round++) {
    fill(scratch, sizeof(scratch), writer * 100 + round);
    make_file(name, scratch, sizeof(scratch));
    memset(scratch, 0, sizeof(scratch));
    int fd = open_must(name, O_RDONLY);
    must(read(fd, scratch, sizeof(scratch)) == sizeof(scratch));
    must(is_filled(scratch, sizeof(scratch), writer * 100 + round));
    close(fd);
    must(unlink(name) == 0);
  }
}

static void files_side_by_side(void) {
  for (writer = 0; writer < WRITERS; writer++)
    begin(write_own_file);
  for (int i = 0; i < WRITERS; i++)
    must(reap() == 0);
}

static void unlink_while_open(void) {
  for (int i = 0; i < 50; i++) {
    int fd = open_must("shared", O_CREATE | O_RDWR);
    must(write(fd, "data", 4) == 4);
    unlink("shared");         // another process may have been first
    close(fd);
  }
}

static void create_and_unlink_together(void) {
  for (int i = 0; i < WRITERS; i++)
    begin(unlink_while_open);
  for (int i = 0; i < WRITERS; i++)
    must(reap() == 0);
}

const struct test file_tests[] = {
  {"open-what-is-there", open_what_is_there,
   "open finds files, makes them when asked, and says when it cannot"},
  {"directories-are-read-only", directories_are_read_only,
   "no program writes to a directory directly"},
  {"fstat-tells", fstat_tells,
   "type, size, links, inode and device of files, directories and the console"},
  {"any-piece-size", any_piece_size,
   "what is written in pieces of one size is read in pieces of another"},
  {"truncate-at-open", truncate_at_open,
   "O_TRUNC empties a file that others have open; no holes arise"},
  {"truncate-with-create", truncate_with_create,
   "O_CREATE and O_TRUNC replace a file's content"},
  {"offsets-shared-and-not", offsets_shared_and_not,
   "dup and fork share the place in a file, a second open does not"},
  {"dup-takes-lowest", dup_takes_lowest,
   "dup, open and pipe give the lowest free descriptors"},
  {"descriptors-run-out", descriptors_run_out,
   "a process has NOFILE descriptors, and each can be had again"},
  {"open-files-run-out", open_files_run_out,
   "the system has NFILE open files, and each can be had again"},
  {"unlinked-file-lives-on", unlinked_file_lives_on,
   "an open file outlives its name"},
  {"links-are-equal", links_are_equal,
   "all names of a file are equal, and link refuses what it must"},
  {"devices-need-a-driver", devices_need_a_driver,
   "mknod makes any device; only those with a driver work"},
  {"one-write-of-many-blocks", one_write_of_many_blocks,
   "a write larger than the log is still whole"},
  {"shared-descriptor", shared_descriptor,
   "writes of several processes to one open file are each whole"},
  {"files-side-by-side", files_side_by_side,
   "processes that write, read and remove files of their own"},
  {"create-and-unlink-together", create_and_unlink_together,
   "processes that create and unlink one name"},
  {"largest-file", largest_file,
   "a file has MAXFILE blocks and not one more", 1},
  {0},
};
