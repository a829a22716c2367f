// families SEED N: families of processes that end in every order.
//
// A family is a tree of MEMBERS processes, an order in which they end, and for
// each whether it exits or is killed. All trees, orders and kinds of ending are
// gone through, from where SEED says, until N processes were made; after every
// SERIES of them comes one whose members end all at once, on whatever harts.
//
// In order means: each waits for the end of a pipe that only the one before it
// holds open, and exit closes it before the process is a zombie. At its turn a
// member looks whether its FRY and its SHRIMP are what they should be.
#include "user/shrimp.h"
#include "user/user.h"
#include "random.h"

#define MEMBERS 4
#define TREES 6             // (MEMBERS - 1)!: member i's parent is any one before it
#define ORDERS 24           // MEMBERS!
#define ENDINGS (1 << MEMBERS)
#define SERIES 4
#define WRONG 99            // a member's status when its pages are not right

struct family {
  int parent[MEMBERS];      // of member 0: -1, the leader
  int turn[MEMBERS];        // when it ends
  int is_killed[MEMBERS];
  int at_once;
};

// Passed on along the order of ending: [k] is held open by who ends k'th, and
// awaited by who ends next; [MEMBERS] by the leader.
static int baton[MEMBERS + 1][2];
static int born[2];         // each member writes a byte when it has made its children

static void choose_family(struct family *f, uint which) {
  uint tree = which % TREES, order = which / TREES % ORDERS, endings = which / TREES / ORDERS % ENDINGS;
  int left[MEMBERS];

  f->parent[0] = -1;
  for (int i = 1; i < MEMBERS; tree /= i, i++)
    f->parent[i] = tree % i;
  for (int i = 0; i < MEMBERS; i++)
    left[i] = i;
  for (int n = MEMBERS; n > 0; order /= n, n--) {
    int i = order % n;
    f->turn[left[i]] = MEMBERS - n;
    left[i] = left[n - 1];
  }
  for (int i = 0; i < MEMBERS; i++)
    f->is_killed[i] = endings >> i & 1;
}

static uint64 tag(int member) {
  return 0x5eed0000 + getpid() * 16 + member;
}

// Keeps of the batons the end it holds and the end it waits on.
static void keep_mine(int turn, int before) {
  for (int k = 0; k <= MEMBERS; k++) {
    if (k != turn)
      close(baton[k][1]);
    if (k != before)
      close(baton[k][0]);
  }
}

// The first member makes its children, and each of them its own: those have
// higher numbers.
static void be_member(const struct family *f, uint64 parents) {
  int i = 0;
  uint64 mine = tag(i);
  char c;

  fry[0] = mine;
  for (int child = 1; child < MEMBERS; child++) {
    if (f->parent[child] != i)
      continue;
    int pid = fork();
    if (pid < 0)
      write(born[1], "!", 1);
    if (pid != 0)
      continue;
    i = child;
    parents = mine;
    fry[0] = mine = tag(i);
  }
  int before = f->at_once || f->turn[i] == 0 ? MEMBERS : f->turn[i] - 1;
  keep_mine(f->turn[i], before);
  write(born[1], ".", 1);
  read(baton[before][0], &c, 1);
  int right = fry[0] == mine && shrimp[0] == parents;
  if (!right)
    printf("families: pid %d has fry %lx and not %lx, or shrimp %lx and not %lx\n", getpid(), fry[0], mine,
           shrimp[0], parents);
  // Those who are gone already are sometimes buried first.
  if (f->turn[i] % 2 && !f->at_once)
    for (int child = i + 1; child < MEMBERS; child++)
      if (f->parent[child] == i && f->turn[child] < f->turn[i])
        wait(0);
  if (f->is_killed[i] && right)
    kill(getpid());
  exit(right ? i : WRONG);
}

// Are all children of this family as they were? What the first member's end
// should tell is known.
static int run_family(const struct family *f) {
  int status = 0, n = 0, good;
  char c;

  for (int k = 0; k <= MEMBERS; k++)
    if (pipe(baton[k]) < 0)
      return 0;
  if (pipe(born) < 0)
    return 0;
  uint64 mine = fry[0] = tag(MEMBERS);
  int pid = fork();
  if (pid == 0)
    be_member(f, mine);
  for (good = pid > 0; good && n < MEMBERS; n++)
    good = read(born[0], &c, 1) == 1 && c == '.';
  close(born[0]);
  close(born[1]);
  // The last one's end, not only the first member's, is the family's.
  int last = 0;
  for (int k = 0; k <= MEMBERS; k++) {
    close(baton[k][1]);
    if (k == MEMBERS - 1)
      last = baton[k][0];
    else
      close(baton[k][0]);
  }
  if (!f->at_once)
    good &= read(last, &c, 1) == 0;
  close(last);
  good &= pid > 0 && wait(&status) == pid && status == (f->is_killed[0] ? -1 : 0) && wait(0) == -1;
  return good;
}

int main(int argc, char **argv) {
  static struct family f;
  int seed = argc == 3 ? atoi(argv[1]) : 0, n = argc == 3 ? atoi(argv[2]) : 0, made = 0;

  if (n <= 0) {
    fprintf(2, "usage: families SEED N\n");
    return 2;
  }
  close(0);
  seed_random(seed);
  uint first = below(TREES * ORDERS * ENDINGS);
  for (int i = 0; made < n; i++) {
    f.at_once = i % (SERIES + 1) == SERIES;
    // Step by a number that shares no factor with how many there are.
    choose_family(&f, (first + i / (SERIES + 1) * SERIES + i % (SERIES + 1)) * 1025);
    if (!run_family(&f)) {
      printf("families: family %d of seed %d went wrong\n", i, seed);
      return 1;
    }
    made += MEMBERS;
  }
  printf("families: done, %d processes of seed %d\n", made, seed);
  return 0;
}
