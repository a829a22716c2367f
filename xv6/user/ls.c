// ls [NAME...]: for each file, and each file in a directory, its name, type
// (1 directory, 2 file, 3 device), inode and size.
#include "kernel/types.h"
#include "kernel/fcntl.h"
#include "kernel/fs.h"
#include "kernel/param.h"
#include "kernel/stat.h"
#include "user/user.h"

static int complain(const char *what, const char *path) {
  fprintf(2, "ls: cannot %s %s\n", what, path);
  return 1;
}

static void print_row(const char *name, const struct stat *st) {
  static const char blanks[] = "              ";
  uint n = strlen(name);

  printf("%s%s %d %u %lu\n", name, blanks + (n < DIRSIZ ? n : DIRSIZ),
         st->type, st->ino, st->size);
}

// The rows of the open directory whose path is given.
static int list_entries(int fd, const char *directory) {
  struct dirent entry;
  struct stat st;
  char path[MAXPATH + 1 + DIRSIZ + 1] = {0};
  int failed = 0;

  uint n = strlen(directory);
  memcpy(path, directory, n);
  path[n++] = '/';

  while (read(fd, &entry, sizeof(entry)) == sizeof(entry)) {
    if (entry.inum == 0)
      continue;
    memcpy(path + n, entry.name, DIRSIZ);
    if (stat(path, &st) < 0)
      failed = complain("stat", path);
    else
      print_row(path + n, &st);
  }
  return failed;
}

static int list(const char *path) {
  struct stat st;
  int fd = open(path, O_RDONLY);
  int failed = 0;

  if (fd < 0)
    return complain("open", path);
  if (fstat(fd, &st) < 0)
    failed = complain("stat", path);
  else if (st.type == T_DIR)
    failed = list_entries(fd, path);
  else
    print_row(path, &st);
  close(fd);
  return failed;
}

int main(int argc, char **argv) {
  int failed = 0;

  if (argc < 2)
    return list(".");
  for (int i = 1; i < argc; i++)
    failed |= list(argv[i]);
  return failed;
}
