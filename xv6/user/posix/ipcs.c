// ipcs [-m] [-l] [-u]: the segments of shared memory; -l their limits, -u how
// much they use. As Linux's prints them.
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>

static void row(int id, const struct shmid_ds *ds) {
  printf("0x%08x %-10d %-10s %-10o %-10lu %-10lu %s%s\n", (unsigned)ds->shm_perm.__key, id, "root",
         ds->shm_perm.mode & 0777, ds->shm_segsz, ds->shm_nattch,
         ds->shm_perm.mode & SHM_DEST ? "dest" : "", ds->shm_perm.mode & SHM_LOCKED ? " locked" : "");
}

static int list(void) {
  struct shm_info info;
  struct shmid_ds ds;
  int highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);

  printf("\n------ Shared Memory Segments --------\n%-10s %-10s %-10s %-10s %-10s %-10s %s\n", "key",
         "shmid", "owner", "perms", "bytes", "nattch", "status");
  for (int place = 0; place <= highest; place++) {
    int id = shmctl(place, SHM_STAT_ANY, &ds);
    if (id >= 0)
      row(id, &ds);
  }
  printf("\n");
  return 0;
}

static int limits(void) {
  struct shminfo info;
  if (shmctl(0, IPC_INFO, (struct shmid_ds *)&info) < 0) {
    perror("ipcs");
    return 1;
  }
  printf("\n------ Shared Memory Limits --------\n"
         "max number of segments = %lu\nmax seg size (kbytes) = %lu\n"
         "max total shared memory (kbytes) = %lu\nmin seg size (bytes) = %lu\n"
         "max attachments of a process = %lu\n\n",
         info.shmmni, info.shmmax / 1024, info.shmall * (SHMLBA / 1024), info.shmmin, info.shmseg);
  return 0;
}

static int used(void) {
  struct shm_info info;
  if (shmctl(0, SHM_INFO, (struct shmid_ds *)&info) < 0) {
    perror("ipcs");
    return 1;
  }
  printf("\n------ Shared Memory Status --------\nsegments allocated %d\n"
         "pages allocated %lu\npages resident  %lu\n\n",
         info.used_ids, info.shm_tot, info.shm_rss);
  return 0;
}

int main(int argc, char **argv) {
  int (*show)(void) = list;

  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "-l") == 0) {
      show = limits;
    } else if (strcmp(argv[i], "-u") == 0) {
      show = used;
    } else if (strcmp(argv[i], "-m") != 0) {
      fprintf(stderr, "usage: ipcs [-m] [-l] [-u]\n");
      return 2;
    }
  }
  return show();
}
