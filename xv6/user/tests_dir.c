// Tests: directories and path names.
#include "user/usertests.h"

static void paths_lead_there(void) {
  struct stat a, b;

  must(mkdir("d") == 0 && mkdir("d/e") == 0);
  make_file("d/e/f", "x", 1);
  must(exists("d/e/f") && exists("d//e/./../e/f") && exists("./d/../d/e/f"));
  must(exists("/usertests.d/d/e/f") && exists("//usertests.d//d///e/f"));
  must(!exists("d/f") && !exists("d/e/f/..") && !exists("d/e/g"));
  must(chdir("d/e") == 0 && exists("f") && exists("../e/f"));
  must(stat("../..", &a) == 0 && stat("/usertests.d", &b) == 0 && a.ino == b.ino);
  must(stat("/..", &a) == 0 && a.ino == ROOTINO);
  must(stat("/../../..", &a) == 0 && a.ino == ROOTINO);
  must(chdir("f") == -1 && chdir("none") == -1 && exists("f"));
  must(chdir("../..") == 0 && exists("d"));
}

static void remove_only_empty(void) {
  must(mkdir("d") == 0 && mkdir("d/e") == 0);
  make_file("d/e/f", "", 0);
  must(unlink("d") == -1 && unlink("d/e") == -1);
  must(unlink("d/e/f") == 0 && unlink("d/e/f") == -1);
  must(unlink("d") == -1 && unlink("d/e") == 0 && unlink("d") == 0);
  must(!exists("d") && unlink("d") == -1 && chdir("d") == -1);
}

static void dots_stay(void) {
  must(unlink(".") == -1 && unlink("..") == -1 && unlink("/") == -1);
  must(mkdir("d") == 0);
  must(unlink("d/.") == -1 && unlink("d/..") == -1 && unlink("/usertests.d/d/.") == -1);
  must(mkdir(".") == -1 && mkdir("..") == -1 && mkdir("d/.") == -1 && mkdir("/") == -1);
  must(open("d/.", O_CREATE | O_RDWR) == -1);
  make_file("f", "", 0);
  must(link("f", ".") == -1 && link("f", "d/..") == -1);
  must(chdir("d") == 0 && exists(".") && exists(".."));
}

static void empty_names(void) {
  make_file("f", "", 0);
  must(mkdir("") == -1 && unlink("") == -1 && mknod("", 1, 1) == -1);
  must(open("", O_CREATE | O_RDWR) == -1);
  must(link("f", "") == -1 && link("", "g") == -1);
  // More often than there are inodes in memory: none stays behind.
  for (int i = 0; i < NINODE + 10; i++) {
    must(mkdir("") == -1);
    must(open("none/x", O_CREATE | O_RDWR) == -1);
    int fd = open("", O_RDONLY);
    must(fd >= 0 && close(fd) == 0);
  }
  must(chdir("") == 0 && exists("f"));
}

static void inode_references_return(void) {
  for (int i = 0; i < NINODE + 10; i++) {
    must(mkdir("d") == 0 && chdir("d") == 0);
    must(mkdir("..") == -1 && unlink(".") == -1 && link(".", "x") == -1);
    must(link("../none", "x") == -1 && open("..", O_RDWR) == -1);
    must(chdir("..") == 0 && unlink("d") == 0);
  }
}

static void names_are_cut(void) {
  // DIRSIZ is 14.
  must(mkdir("abcdefghijklmn") == 0);
  make_file("abcdefghijklmn/ABCDEFGHIJKLMNO", "x", 1);
  must(exists("abcdefghijklmnop/ABCDEFGHIJKLMN"));
  must(!exists("abcdefghijklm/ABCDEFGHIJKLMN"));
  must(mkdir("abcdefghijklmnXYZ") == -1);
  must(unlink("abcdefghijklmn/ABCDEFGHIJKLMN") == 0);
  must(unlink("abcdefghijklmno") == 0);
}

static void link_counts(void) {
  struct stat st;

  must(mkdir("d") == 0 && stat("d", &st) == 0);
  int alone = st.nlink;
  must(mkdir("d/e") == 0 && stat("d", &st) == 0 && st.nlink == alone + 1);
  must(unlink("d/e") == 0 && stat("d", &st) == 0 && st.nlink == alone);
}

// The names in the working directory but . and ..; each must be found.
static int count_entries(void) {
  struct dirent e;
  int n = 0, dots = 0, fd = open_must(".", O_RDONLY);

  while (read(fd, &e, sizeof(e)) == sizeof(e)) {
    char name[DIRSIZ + 1] = {0};
    if (e.inum == 0)
      continue;
    memcpy(name, e.name, DIRSIZ);
    struct stat st;
    must(stat(name, &st) == 0 && st.ino == e.inum);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
      dots++;
    else
      n++;
  }
  must(dots == 2);
  close(fd);
  return n;
}

static void entries_are_read_back(void) {
  for (int i = 0; i < 20; i++)
    make_file(numbered("f", i), "", 0);
  must(count_entries() == 20);
  uint64 size = size_of(".");
  for (int i = 0; i < 20; i += 2)
    must(unlink(numbered("f", i)) == 0);
  must(count_entries() == 10);
  for (int i = 0; i < 10; i++)
    make_file(numbered("g", i), "", 0);
  must(count_entries() == 20 && size_of(".") == size); // free entries were used
}

// Nobody can name a directory that was removed, but who is in it stays.
static void stay_in_removed_directory(void) {
  must(mkdir("d") == 0 && chdir("d") == 0);
  must(unlink("../d") == 0 && !exists("../d"));
  struct stat st;
  must(stat(".", &st) == 0 && st.type == T_DIR && st.nlink == 0);
  must(!exists("f") && unlink("f") == -1);
  must(chdir("/usertests.d") == 0 && mkdir("d") == 0);
}

// What is made where nobody can find it must not take an inode for ever: the
// count at the end of all tests tells.
static void create_in_removed_directory(void) {
  make_file("f", "", 0);
  for (int i = 0; i < 20; i++) {
    must(mkdir("d") == 0 && chdir("d") == 0 && unlink("../d") == 0);
    close(open("lost", O_CREATE | O_RDWR));
    mkdir("lost.d");
    link("../f", "linked");
    must(chdir("/usertests.d") == 0);
  }
  struct stat st;
  must(stat("f", &st) == 0 && st.nlink == 1);
}

static void leave_by_exit(void) {
  must(mkdir("d") == 0 && chdir("d") == 0 && unlink("../d") == 0);
}

static void remove_directory_in_use(void) {
  for (int i = 0; i < 2 * NINODE; i++)
    must_work(leave_by_exit);
  must(mkdir("d") == 0);
  int fd = open_must("d", O_RDONLY);
  must(unlink("d") == 0 && close(fd) == 0);
}

static void deep_directories(void) {
  enum { DEPTH = 40 };
  struct stat before, after;

  must(stat(".", &before) == 0);
  for (int i = 0; i < DEPTH; i++)
    must(mkdir("d") == 0 && chdir("d") == 0);
  make_file("bottom", "", 0);
  for (int i = 0; i < DEPTH; i++)
    must(chdir("..") == 0);
  must(stat(".", &after) == 0 && before.ino == after.ino);
}

enum { WORKERS = 4, NAMES = 12, ROUNDS = 40 };

static int worker;

static void use_common_names(void) {
  for (int i = 0; i < ROUNDS; i++) {
    char name[3] = {'n', 'a' + (i * (worker + 1)) % NAMES, 0};

    switch ((i + worker) % 4) {
    case 0:
      unlink(name);
      break;
    case 1:
      link("base", name);
      break;
    default:
      close(open(name, O_CREATE | O_RDWR));
    }
  }
}

// Whatever the order was: no name twice, none that leads nowhere.
static void one_directory_many_writers(void) {
  struct dirent e;
  char seen[NAMES] = {0};

  make_file("base", "", 0);
  for (worker = 0; worker < WORKERS; worker++)
    begin(use_common_names);
  for (int i = 0; i < WORKERS; i++)
    must(reap() == 0);
  count_entries();
  int fd = open_must(".", O_RDONLY);
  while (read(fd, &e, sizeof(e)) == sizeof(e))
    if (e.inum && e.name[0] == 'n' && e.name[2] == 0)
      must(seen[e.name[1] - 'a']++ == 0);
}

static void make_and_remove(void) {
  for (int i = 0; i < ROUNDS; i++) {
    mkdir("d");
    close(open("d/f", O_CREATE | O_RDWR));
    unlink("d/f");
    unlink("d");
  }
}

static void remove_while_creating(void) {
  for (int i = 0; i < WORKERS; i++)
    begin(make_and_remove);
  for (int i = 0; i < WORKERS; i++)
    must(reap() == 0);
  // At most one of d and d/f was left, and both can go.
  unlink("d/f");
  unlink("d");
  must(!exists("d") && count_entries() == 0);
}

static void walk_up_and_down(void) {
  for (int i = 0; i < ROUNDS; i++) {
    must(stat(worker % 2 ? "a/b/../../a/b" : "a/b/..", (struct stat *)scratch) == 0);
    must(chdir("a") == 0 && chdir("b") == 0 && chdir("../..") == 0);
  }
}

// Locking a parent before and after its child at once would never end.
static void opposite_walks(void) {
  must(mkdir("a") == 0 && mkdir("a/b") == 0);
  for (worker = 0; worker < WORKERS; worker++)
    begin(walk_up_and_down);
  for (int i = 0; i < WORKERS; i++)
    must(reap() == 0);
}

static void large_directory(void) {
  enum { FILES = 400 };       // several blocks of entries

  make_file("f", "", 0);
  for (int i = 0; i < FILES; i++)
    must(link("f", numbered("x", i)) == 0);
  must(count_entries() == FILES + 1);
  must(link("f", numbered("x", FILES / 2)) == -1);
  for (int i = 0; i < FILES; i++)
    must(unlink(numbered("x", i)) == 0);
  must(count_entries() == 1 && unlink("x0") == -1);
}

const struct test dir_tests[] = {
  {"paths-lead-there", paths_lead_there,
   "names, dots, double slashes, absolute and relative paths"},
  {"remove-only-empty", remove_only_empty,
   "a directory goes when nothing is in it"},
  {"dots-stay", dots_stay,
   ". and .. cannot be made, linked or removed"},
  {"empty-names", empty_names,
   "nothing has the empty name, and trying costs no inode"},
  {"inode-references-return", inode_references_return,
   "calls that fail give back the inodes they looked at"},
  {"names-are-cut", names_are_cut,
   "a name counts to its DIRSIZth character"},
  {"link-counts", link_counts,
   "a directory counts the .. of its children"},
  {"entries-are-read-back", entries_are_read_back,
   "reading a directory gives each name once; free entries are used again"},
  {"stay-in-removed-directory", stay_in_removed_directory,
   "a removed directory is empty and harmless to who is in it"},
  {"create-in-removed-directory", create_in_removed_directory,
   "nothing is made where it could never be removed"},
  {"remove-directory-in-use", remove_directory_in_use,
   "its inode is freed once the last user is gone"},
  {"deep-directories", deep_directories,
   "forty levels down and up again"},
  {"one-directory-many-writers", one_directory_many_writers,
   "create, link and unlink of the same names by several processes"},
  {"remove-while-creating", remove_while_creating,
   "mkdir, create and unlink in the same directory by several processes"},
  {"opposite-walks", opposite_walks,
   "paths up and paths down at once come to an end"},
  {"large-directory", large_directory,
   "a directory of several blocks", 1},
  {0},
};
