// What this library and this kernel's shared memory do, in lines that Linux
// prints too when it is compiled there: the test compares them. Nothing is
// printed that depends on the machine, the user or the moment.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static void formats(void) {
  char small[8];

  printf("[%d] [%5d] [%-5d] [%05d] [%+d] [% d] [%.3d] [%8.3d] [%-8.3d]|\n", 42, 42, 42, 42, 42, 42, 7, -7, 7);
  printf("[%d] [%ld] [%lld] [%i] [%hd] [%hhd]\n", INT_MIN, LONG_MIN, (long long)LONG_MAX, -0, (short)-1, (signed char)-128);
  printf("[%u] [%lu] [%zu] [%hu] [%hhu]\n", (unsigned)UINT_MAX, ULONG_MAX, sizeof(int), (unsigned short)USHRT_MAX, (unsigned char)255);
  printf("[%x] [%#x] [%X] [%#X] [%o] [%#o] [%#x] [%08x] [%#10x] [%lx]\n", 48879, 48879, 48879, 48879, 8, 8, 0, 255, 255, ULONG_MAX);
  printf("[%s] [%10s] [%-10s] [%.2s] [%10.1s] [%c] [%3c] [%-3c] [%%]\n", "text", "text", "text", "text", "text", 'c', 'c', 'c');
  printf("[%*d] [%-*d] [%*d] [%.*s] [%.*d]\n", 6, 1, 6, 1, -6, 1, 2, "text", 4, 1);
  printf("[%p] [%p] [%.0d]\n", (void *)0x1234, (void *)NULL, 0);
  printf("%d [%s]\n", snprintf(small, sizeof(small), "%s", "longer than that"), small);
  printf("%d [%s]\n", snprintf(small, sizeof(small), "%d", 1234567), small);
  printf("%d\n", snprintf(NULL, 0, "%d %s", 12, "ab"));
  printf("%d\n", printf("five\n"));
}

static int sign(int n) {
  return (n > 0) - (n < 0);
}

static void strings(void) {
  char s[32] = "0123456789abcdef", list[] = ",one,,two;three";
  const char *text = "an example", *a = "a", *b = "b", *high = "\xff";

  printf("[%s]", strncpy(s, "abc", 8));
  printf(" %d %d %c\n", s[3], s[7], s[8]);
  printf("[%.2s]\n", strncpy(s, "xyz", 2));
  printf("[%s]\n", strcpy(s, "start"));
  printf("[%s]\n", strcat(s, "-cat"));
  printf("[%s]\n", strncat(s, "-limited", 4));
  printf("%d %d %d %d\n", sign(strcmp(a, b)), sign(strcmp(high, a)), strncmp(text, "and", 2), sign(strncmp(text, "an", 3)));
  printf("%zu %zu %zu %zu\n", strlen(text), strnlen(text, 4), strspn(text, "na"), strcspn(text, "xm"));
  printf("[%s] [%s] [%s] %d %zu\n", strchr(text, 'e'), strrchr(text, 'e'), strstr(text, "am"), strstr(text, "no") == NULL, (size_t)(strchr(text, 0) - text));
  printf("%d %d\n", memchr("ab\0cd", 'c', 5) != NULL, memchr("ab", 'c', 2) != NULL);
  for (char *word = strtok(list, ",;"); word; word = strtok(NULL, ",;"))
    printf("[%s]", word);
  printf("\n%s\n", memmove(strcpy(s, "overlapping") + 2, s, 5) ? s : "");
}

static void numbers(void) {
  static const char *const words[] = {"42", " -42x", "+7", "0x1F", "017", "", "x", "0x", "9223372036854775807",
                                      "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
                                      "18446744073709551615", "18446744073709551616", "-1"};
  char *end;

  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    for (int base = 0; base <= 16; base += base ? 6 : 10) {
      errno = 0;
      printf("%s/%d: %ld", words[i], base, strtol(words[i], &end, base));
      printf(" rest [%s] errno %d", end, errno);
      errno = 0;
      printf(", %lu", strtoul(words[i], &end, base));
      printf(" errno %d\n", errno);
    }
  }
  printf("%d %ld %d\n", atoi("-12abc"), atol("123456789012"), abs(-3));
}

static void words(void) {
  static const int known[] = {
      0, EPERM, ENOENT, ESRCH, EINTR, EIO, ENXIO, E2BIG, ENOEXEC, EBADF, ECHILD, EAGAIN, ENOMEM, EACCES, EFAULT, EBUSY,
      EEXIST, EXDEV, ENODEV, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ENOTTY, EFBIG, ENOSPC, ESPIPE, EROFS, EMLINK,
      EPIPE, EDOM, ERANGE, ENAMETOOLONG, ENOSYS, ENOTEMPTY, EIDRM, EOVERFLOW, 9999};

  for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
    printf("%d %s\n", known[i], strerror(known[i]));
}

// What a call returned that fails with -1 and errno.
static long told(const char *what, long returned) {
  printf("%s: %s\n", what, returned == -1 ? strerror(errno) : "ok");
  return returned;
}

static void memory(void) {
  char *block = malloc(100), *zeroed = calloc(10, 10), *huge = calloc((size_t)-1, 2);

  memset(block, 'x', 100);
  printf("%d %d %d\n", block != NULL, zeroed != NULL && zeroed[99] == 0, huge == NULL);
  free(block);
  free(zeroed);
  free(huge);
  char *copy = strdup("copied");
  printf("%s\n", copy);
  free(copy);
}

// Ends with that status.
static pid_t child(int status) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0)
    exit(status);
  return pid;
}

static void processes(void) {
  int status = 0;
  pid_t first = child(3), second = child(300);

  printf("%d ", waitpid(second, &status, 0) == second);
  printf("%d %d\n", WIFEXITED(status), WEXITSTATUS(status));
  fflush(stdout);
  pid_t third = fork();
  if (third == 0)            // its parent's children are not its own
    exit(wait(NULL) == -1 && errno == ECHILD);
  printf("%d ", waitpid(third, &status, 0) == third);
  printf("%d %d\n", WIFEXITED(status), WEXITSTATUS(status));
  printf("%d ", wait(&status) == first);
  printf("%d %d\n", WIFEXITED(status), WEXITSTATUS(status));
  told("wait without children", wait(NULL));
  told("close of no file", close(77));
  told("write to no file", write(77, "", 1));
  told("unlink of no file", unlink("posixtest-has-no-such-file"));
  told("ftok of no file", ftok("posixtest-has-no-such-file", 1));
  printf("%d %d\n", ftok(".", 1) == ftok(".", 0x101), ftok(".", 1) == ftok(".", 2));
}

static key_t key;

static void identifiers(void) {
  struct shmid_ds ds;

  told("get: no such key", shmget(key, 100, 0600));
  told("get: size 0", shmget(key, 0, IPC_CREAT | 0600));
  told("get: too large", shmget(key, (size_t)-1, IPC_CREAT | 0600));
  int id = told("get: new", shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640)) < 0 ? -1 : shmget(key, 0, 0);
  told("get: exclusively", shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0600));
  told("get: larger than it is", shmget(key, 5001, 0600));
  printf("the same: %d %d\n", shmget(key, 5000, 0600) == id, shmget(key, 1, IPC_CREAT | 0600) == id);
  int private = shmget(IPC_PRIVATE, 1, S_IRUSR | S_IWUSR), another = shmget(IPC_PRIVATE, 1, 0600);
  printf("private ones differ: %d\n", private != another && private != id);

  told("stat", shmctl(id, IPC_STAT, &ds));
  printf("%lu bytes, mode %o, %lu attached, key %d, made by me %d, last %d, never %ld %ld\n", (unsigned long)ds.shm_segsz,
         (unsigned)ds.shm_perm.mode, (unsigned long)ds.shm_nattch, ds.shm_perm.__key == key, ds.shm_cpid == getpid(),
         ds.shm_lpid, (long)ds.shm_atime, (long)ds.shm_dtime);
  ds.shm_perm.mode = 0600;
  told("set", shmctl(id, IPC_SET, &ds));
  shmctl(id, IPC_STAT, &ds);
  printf("mode %o\n", (unsigned)ds.shm_perm.mode);
  told("no such command", shmctl(id, 77, &ds));
  told("no such id", shmctl(-1, IPC_STAT, &ds));
  told("stat to nowhere", shmctl(id, IPC_STAT, (struct shmid_ds *)-4096L));
  told("set from nowhere", shmctl(id, IPC_SET, (struct shmid_ds *)-4096L));
  told("remove", shmctl(id, IPC_RMID, NULL));
  told("remove again", shmctl(id, IPC_RMID, NULL));
  told("get: removed", shmget(key, 0, 0));
  told("attach: removed", (long)shmat(id, NULL, 0));
  told("remove", shmctl(private, IPC_RMID, NULL));
  told("remove", shmctl(another, IPC_RMID, NULL));
}

// What a mode refuses, and whom: its owner here, who on Linux must not be privileged.
static void modes(void) {
  static const int asked[] = {0, 0400, 0200, 0100, 0600, 0700, 0444, 0040, 0004, 0020, 0002, 0010, 0001, 0666};
  struct shmid_ds ds;
  struct shm_info info;

  for (int mode = 0; mode <= 0700; mode += 0100) {
    int id = shmget(key, 100, IPC_CREAT | IPC_EXCL | mode | 0077);
    printf("%o:", (unsigned)mode);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
      printf(" %o %d", (unsigned)asked[i], shmget(key, 100, asked[i]) == id);
    printf("\n");
    void *both = shmat(id, NULL, 0), *one = shmat(id, NULL, SHM_RDONLY);
    printf("attached %d %d\n", both != (void *)-1, one != (void *)-1);
    told("attach: misaligned", (long)shmat(id, (void *)1, 0));
    told("stat", shmctl(id, IPC_STAT, &ds));
    ds.shm_perm.mode = 07600;  // nine bits count
    told("set", shmctl(id, IPC_SET, &ds));
    shmctl(id, IPC_STAT, &ds);
    printf("mode %o, last %d\n", (unsigned)ds.shm_perm.mode, ds.shm_lpid == (ds.shm_nattch ? getpid() : 0));
    told("remove", shmctl(id, IPC_RMID, NULL));
    told("larger than a removed one", shmget(key, 101, 0));
    for (int i = 0; i < 2; i++) {
      told("lock", shmctl(id, SHM_LOCK, NULL));
      shmctl(id, IPC_STAT, &ds);
      printf("mode %o\n", (unsigned)ds.shm_perm.mode);
    }
    told("remove again", shmctl(id, IPC_RMID, NULL));
    if (both != (void *)-1)
      told("detach", shmdt(both));
    if (one != (void *)-1)
      told("detach", shmdt(one));
  }
  told("info of no id", shmctl(-1, SHM_INFO, (struct shmid_ds *)&info));
}

static unsigned long attached(int id) {
  struct shmid_ds ds = {.shm_nattch = 0};
  shmctl(id, IPC_STAT, &ds);
  return ds.shm_nattch;
}

static void attachments(void) {
  int id = shmget(IPC_PRIVATE, PAGE + 1, 0600);
  char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, 0), *c = shmat(id, NULL, SHM_RDONLY);

  printf("three: %lu, apart: %d\n", attached(id), a != b && b != c && a != c);
  printf("zeroed: %d %d\n", a[0], a[2 * PAGE - 1]);
  strcpy(a, "seen");
  a[PAGE] = 'x';
  printf("%s %s %c\n", b, c, c[PAGE]);
  told("detach inside", shmdt(a + PAGE));
  told("detach no address", shmdt((void *)1));
  told("detach", shmdt(b));
  told("detach again", shmdt(b));
  told("attach: misaligned", (long)shmat(id, b + 1, 0));
  told("attach: taken", (long)shmat(id, a, 0));
  told("attach: a part is taken", (long)shmat(id, a + PAGE, 0));
  told("attach: to nothing anew", (long)shmat(id, NULL, SHM_REMAP));
  told("attach: no such id", (long)shmat(-1, NULL, 0));
  told("attach: rounded down to nothing", (long)shmat(id, (void *)100, SHM_RND | SHM_REMAP));
  printf("rounded down: %d\n", (char *)shmat(id, b + 100, SHM_RND) == b);
  told("attach: anew, misaligned", (long)shmat(id, b + 100, SHM_REMAP));
  told("attach: anew", (long)shmat(id, b, SHM_REMAP));
  printf("%s, %lu\n", b, attached(id));
  told("detach", shmdt(b));
  told("detach", shmdt(c));
  told("remove", shmctl(id, IPC_RMID, NULL));
  struct shmid_ds ds;
  told("stat: removed and attached", shmctl(id, IPC_STAT, &ds));
  printf("to go: %d, key %d, %s\n", (ds.shm_perm.mode & SHM_DEST) != 0, ds.shm_perm.__key, a);
  told("attach: removed and attached", (long)(b = shmat(id, NULL, 0)));
  told("detach", shmdt(b));
  told("detach", shmdt(a));
  told("stat: gone", shmctl(id, IPC_STAT, &ds));
}

// A child and its child see what I have attached; what they end with goes.
static void families(void) {
  int id = shmget(IPC_PRIVATE, PAGE, 0600);
  volatile char *a = shmat(id, NULL, 0);

  fflush(stdout);
  if (fork() == 0) {
    if (fork() == 0) {
      a[0] = (char)('0' + attached(id));
      exit(0);
    }
    wait(NULL);
    a[1] = (char)('0' + attached(id));
    shmdt((void *)a);
    exit(attached(id) == 1 ? 0 : 1);
  }
  int status;
  wait(&status);
  printf("grandchild's %c, child's %c, %d, mine %lu\n", a[0], a[1], status, attached(id));
  shmctl(id, IPC_RMID, NULL);
  if (child(0) > 0)
    wait(NULL);
  printf("after another: %lu\n", attached(id));
  shmdt((void *)a);
}

int main(void) {
  formats();
  strings();
  numbers();
  words();
  memory();
  processes();
  key = ftok(".", 'p');
  identifiers();
  modes();
  attachments();
  families();
  return 0;
}
