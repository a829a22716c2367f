// Tests: processes: fork, exit, wait, kill, sleep, the scheduler.
#include "user/usertests.h"

static int gate[2];           // closing its write end lets waiters go
static int ready[2];

static void wait_at_gate(void) {
  char c;

  close(gate[1]);
  must(read(gate[0], &c, 1) == 0);
}

static void status_arrives(void) {
  static const int statuses[] = {0, 1, 2, 127, 255, 256, -1, -2, 0x7fffffff, LEAST};

  for (int i = 0; i < LENGTH(statuses); i++) {
    int status = 12345, pid = must_fork();
    if (pid == 0)
      exit(statuses[i]);
    must(wait(&status) == pid && status == statuses[i]);
  }
  must(wait(0) == -1 && wait((int *)scratch) == -1);
}

static void exit_and_wait_often(void) {
  int last = 0;

  for (int i = 0; i < 5 * NPROC; i++) {
    int status, pid = must_fork();
    if (pid == 0)
      exit(i);
    must(pid > last && wait(&status) == pid && status == i);
    last = pid;
  }
}

static void fork_and_wait(void) {
  for (int i = 0; i < 30; i++)
    must_work(exit_and_wait_often);
}

static void two_families_at_once(void) {
  begin(exit_and_wait_often);
  begin(exit_and_wait_often);
  begin(exit_and_wait_often);
  for (int i = 0; i < 3; i++)
    must(reap() == 0);
}

// Forks until that fails. The number of children, all at the gate.
static int fork_all(void) {
  int n = 0;

  must_pipe(gate);
  for (; n <= NPROC; n++) {
    int pid = fork();
    if (pid < 0)
      break;
    if (pid == 0) {
      wait_at_gate();
      exit(0);
    }
  }
  must(n < NPROC);
  return n;
}

static void processes_run_out(void) {
  int before = 0;

  for (int round = 0; round < 3; round++) {
    int n = fork_all();
    must(n > NPROC - 20);
    must(round == 0 || n >= before); // an earlier orphan may have gone
    before = n;
    close(gate[1]);
    close(gate[0]);
    while (n-- > 0)
      must(reap() == 0);
    must(wait(0) == -1);
  }
}

static void grow_tree(int depth) {
  if (depth == 0)
    return;
  for (int i = 0; i < 2; i++) {
    int pid = must_fork();
    if (pid == 0) {
      grow_tree(depth - 1);
      exit(depth);
    }
  }
  must(reap() == depth && reap() == depth);
}

static void tree_of_processes(void) {
  grow_tree(4);
}

static int private_word = 1;

static void memory_is_copied(void) {
  char *heap = sbrk(3 * PGSIZE);

  must(heap != (char *)-1);
  heap[0] = heap[2 * PGSIZE] = 'p';
  int pid = must_fork();
  if (pid == 0) {
    must(private_word == 1 && heap[2 * PGSIZE] == 'p');
    private_word = 2;
    heap[0] = 'c';
    exit(0);
  }
  must(reap() == 0 && private_word == 1 && heap[0] == 'p');
}

static void descriptors_are_copied(void) {
  must_pipe(gate);
  int pid = must_fork();
  if (pid == 0) {
    must(close(gate[0]) == 0);
    post(gate);
    exit(close(gate[1]));
  }
  must(reap() == 0);
  await(gate);
}

static void spin(void) {
  post(ready);
  for (;;)
    ;
}

static void sleep_long(void) {
  post(ready);
  sleep(1 << 30);
}

static void wait_long(void) {
  must_pipe(gate);
  begin(wait_at_gate);
  post(ready);
  wait(0);
}

static void stop_at_gate(void) {
  post(ready);
  wait_at_gate();
}

static void kill_whatever_it_does(void) {
  static void (*const doing[])(void) = {spin, sleep_long, wait_long, stop_at_gate};

  must_pipe(ready);
  must_pipe(gate);
  for (int i = 0; i < 5 * LENGTH(doing); i++) {
    int pid = begin(doing[i % LENGTH(doing)]);
    await(ready);
    must(kill(pid) == 0 && reap() == -1);
    must(kill(pid) == -1);
  }
}

static void kill_nobody(void) {
  must(kill(0) == -1 && kill(-1) == -1 && kill(1 << 30) == -1 && kill(LEAST) == -1);
}

static void kill_self(void) {
  kill(getpid());
  for (;;)
    getpid();
}

static void kill_self_and_zombie(void) {
  must_be_killed(kill_self);

  must_pipe(gate);
  int pid = must_fork();
  if (pid == 0)
    exit(3);
  close(gate[1]);
  char c;
  must(read(gate[0], &c, 1) == 0); // it is past closing its files
  kill(pid);
  int status = reap();
  must(status == 3 || status == -1);
}

// kill at any moment of a child's life.
static void kill_soon_after_fork(void) {
  for (int i = 0; i < 100; i++) {
    int pid = must_fork();
    if (pid == 0) {
      for (int k = 0; k < i % 10; k++)
        getpid();
      fork();
      exit(0);
    }
    must(kill(pid) == 0);
    int status = reap();
    must(status == 0 || status == -1);
  }
}

static void runnable_share_the_harts(void) {
  int spinners[NCPU + 2];

  must_pipe(ready);
  for (int i = 0; i < LENGTH(spinners); i++)
    spinners[i] = begin(spin);
  // Each gets to run although all that came before it never stop.
  for (int i = 0; i < LENGTH(spinners); i++)
    await(ready);
  for (int i = 0; i < LENGTH(spinners); i++)
    must(kill(spinners[i]) == 0);
  for (int i = 0; i < LENGTH(spinners); i++)
    must(reap() == -1);
}

static void leave_orphans(void) {
  for (int i = 0; i < 3; i++)
    if (fork() == 0)
      exit(0);
}

static void orphans_are_buried(void) {
  for (int i = 0; i < 2 * NPROC; i++)
    must_work(leave_orphans);
  must(wait(0) == -1);
}

static void leave_dead_child(void) {
  char c;

  must_pipe(gate);
  int pid = must_fork();
  if (pid == 0)
    exit(0);
  close(gate[1]);
  must(read(gate[0], &c, 1) == 0); // it has closed its files, and is about to end
  close(gate[0]);
  for (int i = 0; i < 20; i++)
    getpid();                 // so that it most likely has
}

// Nobody else ends meanwhile who would call init.
static void dead_children_are_inherited(void) {
  int before = free_pages();

  for (int i = 0; i < 5; i++) {
    must_work(leave_dead_child);
    must(free_pages_return(before));
  }
}

static void outlive_parent(void) {
  int pid = must_fork();
  if (pid == 0) {
    wait_at_gate();
    post(ready);
    exit(0);
  }
}

static void orphans_live_on(void) {
  int before = free_pages();

  must_pipe(gate);
  must_pipe(ready);
  for (int i = 0; i < 20; i++)
    must_work(outlive_parent);
  must(wait(0) == -1);
  close(gate[1]);
  for (int i = 0; i < 20; i++)
    await(ready);
  close(gate[0]);
  close(ready[0]);
  close(ready[1]);
  must(free_pages_return(before));
}

// Forks without end, with its children, until nobody reads what it says.
static void multiply(void) {
  wait_at_gate();             // the first could take all slots before the last is there
  close(ready[0]);
  while (write(ready[1], "", 1) == 1)
    if (fork() != 0)
      wait(0);
}

static void everybody_forks(void) {
  must_pipe(gate);
  must_pipe(ready);
  for (int i = 0; i < 4; i++)
    begin(multiply);
  close(gate[1]);
  close(ready[1]);
  for (int i = 0; i < 300; i++)
    await(ready);
  close(ready[0]);            // from now on their writes fail
  for (int i = 0; i < 4; i++)
    must(reap() == 0);
}

static void parent_and_child_exit_together(void) {
  for (int i = 0; i < 300; i++) {
    int pid = must_fork();
    if (pid == 0) {
      fork();
      exit(0);
    }
    must(wait(0) == pid);
  }
}

static void wait_takes_any_child(void) {
  int pids[10], gone = 0;

  for (int i = 0; i < LENGTH(pids); i++) {
    pids[i] = must_fork();
    if (pids[i] == 0)
      exit(i);
  }
  for (int i = 0; i < LENGTH(pids); i++) {
    int status, pid = wait(&status);
    must(status >= 0 && status < LENGTH(pids) && pids[status] == pid);
    gone |= 1 << status;
  }
  must(gone == (1 << LENGTH(pids)) - 1 && wait(0) == -1);
}

static void ticks_go_on(void) {
  int before = uptime();

  must(sleep(2) == 0);
  int after = uptime();
  must(after >= before + 2);
  must(sleep(0) == 0);
  sleep(-1);
  must(uptime() >= after);
}

static void fork_with_large_heap(void) {
  enum { PAGES = 2000 };
  char *heap = sbrk(PAGES * PGSIZE);

  must(heap != (char *)-1);
  for (int i = 0; i < PAGES; i++)
    *(int *)(heap + i * PGSIZE) = i;
  for (int round = 0; round < 3; round++) {
    int pid = must_fork();
    if (pid == 0) {
      for (int i = 0; i < PAGES; i++)
        must(*(int *)(heap + i * PGSIZE) == i);
      exit(0);
    }
    must(reap() == 0);
  }
}

static int fork_once(void) {
  int pid = fork();

  if (pid == 0)
    exit(private_word);
  must(pid < 0 || reap() == private_word);
  return pid >= 0;
}

static void fork_small(void) {
  starve(fork_once);
}

static int fork_with_heap(void) {
  static char *heap;

  if (!heap) {
    char *p = sbrk(20 * PGSIZE);
    if (p == (char *)-1)
      return 0;
    heap = p;
  }
  return fork_once();
}

static void fork_large(void) {
  starve(fork_with_heap);
}

const struct test proc_tests[] = {
  {"status-arrives", status_arrives,
   "wait gives each exit status as it was; -1 without children"},
  {"exit-and-wait-often", exit_and_wait_often,
   "process slots are used again; pids only grow"},
  {"two-families-at-once", two_families_at_once,
   "several processes fork and wait side by side"},
  {"processes-run-out", processes_run_out,
   "fork fails when there are NPROC, and all slots come back"},
  {"tree-of-processes", tree_of_processes,
   "four generations, each waiting for the next"},
  {"memory-is-copied", memory_is_copied,
   "parent and child do not see each other's writes"},
  {"descriptors-are-copied", descriptors_are_copied,
   "closing in the child closes nothing in the parent"},
  {"wait-takes-any-child", wait_takes_any_child,
   "each child is waited for once, in any order"},
  {"kill-whatever-it-does", kill_whatever_it_does,
   "kill ends who runs, sleeps, waits or reads"},
  {"kill-nobody", kill_nobody,
   "kill fails for numbers that are no process"},
  {"kill-self-and-zombie", kill_self_and_zombie,
   "a process may kill itself; killing the dead does nothing"},
  {"kill-soon-after-fork", kill_soon_after_fork,
   "kill at any moment of a short life"},
  {"runnable-share-the-harts", runnable_share_the_harts,
   "who never stops is stopped, for others to run"},
  {"orphans-are-buried", orphans_are_buried,
   "the slots of orphans come back"},
  {"dead-children-are-inherited", dead_children_are_inherited,
   "who ended before its parent did is buried as well"},
  {"orphans-live-on", orphans_live_on,
   "who outlives its parent runs on, and is buried in the end"},
  {"everybody-forks", everybody_forks,
   "processes multiply until there is no room, and it ends well"},
  {"parent-and-child-exit-together", parent_and_child_exit_together,
   "reparenting and exit at the same moment"},
  {"ticks-go-on", ticks_go_on,
   "sleep lasts as many ticks as asked"},
  {"fork-with-large-heap", fork_with_large_heap,
   "fork copies eight megabytes"},
  {"fork-memory-runs-out", fork_small,
   "fork fails cleanly at each of its allocations"},
  {"fork-copy-runs-out", fork_large,
   "so it does, and sbrk too, with more to copy"},
  {"fork-and-wait", fork_and_wait,
   "ten thousand processes, one after the other", 1},
  {0},
};
