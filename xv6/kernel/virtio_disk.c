// The disk: a virtio block device at VIRTIO0, one queue, as many requests
// in flight as the queue has room for. Owns the device and the queue; knows
// blocks by number and nothing of what they hold.

#include "types.h"
#include "riscv.h"
#include "memlayout.h"
#include "param.h"
#include "fs.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "buf.h"
#include "virtio.h"
#include "defs.h"

// A request is always three segments, so each slot owns three descriptors,
// chained once and for all: header, data, status.
#define SEGMENTS 3
#define NSLOT (VQ_SIZE / SEGMENTS)

struct slot {
  struct blk_header header;
  uchar status;             // written by the device
  struct buf *b;            // in flight
  struct slot *next;        // while idle
};

// What the device reads and writes. Page alignment satisfies every part's
// own (virtio 2.6).
static struct {
  struct vq_desc desc[VQ_SIZE];
  struct vq_avail avail;
  struct vq_used used;
} queue __attribute__((aligned(PGSIZE)));

static struct {
  struct spinlock lock;     // guards all of this, queue, and every buf.disk
  struct slot slot[NSLOT];
  struct slot *idle;
  uint16 seen;              // used-ring entries already handled
} disk;

static volatile uint32 *reg(uint64 offset) {
  return (volatile uint32 *)(VIRTIO0 + offset);
}

// Memory and device accesses before it are done before those after it.
static void device_fence(void) {
  asm volatile("fence iorw, iorw" : : : "memory");
}

static void set_queue_address(uint64 offset, void *part) {
  *reg(offset) = (uint32)(uint64)part;
  *reg(offset + 4) = (uint64)part >> 32;
}

static void check_identity(void) {
  if (*reg(REG_MAGIC) != VIRTIO_MAGIC)
    panic("virtio disk: nothing answers at 0x10001000");
  if (*reg(REG_DEVICE_ID) == VIRTIO_ID_NONE)
    panic("virtio disk: no device on virtio-mmio-bus.0");
  if (*reg(REG_DEVICE_ID) != VIRTIO_ID_BLOCK)
    panic("virtio disk: the device on virtio-mmio-bus.0 is not a disk");
  if (*reg(REG_VERSION) != VIRTIO_MODERN)
    panic("virtio disk: legacy interface found, modern expected"
          " (QEMU: -global virtio-mmio.force-legacy=false)");
}

// Takes the features this driver works with: version 1, which a modern
// device insists on, and FLUSH, without which the device must write through
// to the medium at every request (virtio 5.2.6.2). No flush is ever sent:
// the log must outlive the end of the machine, not that of QEMU's host.
static void negotiate(void) {
  uint32 offered[2];
  for (int word = 0; word < 2; word++) {
    *reg(REG_DEVICE_FEATURES_SEL) = word;
    offered[word] = *reg(REG_DEVICE_FEATURES);
  }
  if (offered[0] & 1u << FEATURE_BLK_RO)
    panic("virtio disk: the disk is read-only");
  const uint32 wanted[2] = {1u << FEATURE_BLK_FLUSH, 1u << (FEATURE_VERSION_1 - 32)};
  for (int word = 0; word < 2; word++) {
    *reg(REG_DRIVER_FEATURES_SEL) = word;
    *reg(REG_DRIVER_FEATURES) = offered[word] & wanted[word];
  }
  *reg(REG_STATUS) |= STATUS_FEATURES_OK;
  if (!(*reg(REG_STATUS) & STATUS_FEATURES_OK))
    panic("virtio disk: the device refused our features");
}

static void chain_descriptors(void) {
  for (int i = 0; i < NSLOT; i++) {
    struct slot *s = &disk.slot[i];
    struct vq_desc *d = &queue.desc[i * SEGMENTS];
    d[0] = (struct vq_desc){(uint64)&s->header, sizeof(s->header),
                            VQ_DESC_NEXT, i * SEGMENTS + 1};
    d[1] = (struct vq_desc){0, BSIZE, 0, i * SEGMENTS + 2};
    d[2] = (struct vq_desc){(uint64)&s->status, sizeof(s->status),
                            VQ_DESC_WRITE, 0};
    s->next = disk.idle;
    disk.idle = s;
  }
}

// The order of the steps is virtio 3.1.1's, that of the queue 4.2.3.2's.
void virtio_disk_init(void) {
  initlock(&disk.lock, "virtio_disk");
  check_identity();

  *reg(REG_STATUS) = 0;     // reset
  *reg(REG_STATUS) = STATUS_ACKNOWLEDGE;
  *reg(REG_STATUS) |= STATUS_DRIVER;
  negotiate();

  *reg(REG_QUEUE_SEL) = 0;
  if (*reg(REG_QUEUE_READY))
    panic("virtio disk: the queue is in use after a reset");
  if (*reg(REG_QUEUE_NUM_MAX) < VQ_SIZE)
    panic("virtio disk: the device's queue is too short");
  *reg(REG_QUEUE_NUM) = VQ_SIZE;
  chain_descriptors();
  set_queue_address(REG_QUEUE_DESC, queue.desc);
  set_queue_address(REG_QUEUE_DRIVER, &queue.avail);
  set_queue_address(REG_QUEUE_DEVICE, &queue.used);
  device_fence();
  *reg(REG_QUEUE_READY) = 1;
  *reg(REG_STATUS) |= STATUS_DRIVER_OK;
}

// Hands the chain that begins at descriptor head to the device.
// disk.lock is held.
static void publish(uint16 head) {
  queue.avail.ring[queue.avail.idx % VQ_SIZE] = head;
  device_fence();           // the entry before the index (virtio 2.6.13.3.1)
  *(volatile uint16 *)&queue.avail.idx += 1;
  device_fence();           // the index before the kick (virtio 2.6.13.4.1)
  *reg(REG_QUEUE_NOTIFY) = 0;
}

// Starts moving b->data to or from a block, which need not be b's own: the
// log writes cached blocks to its area so. May sleep for a free slot.
// b->data must stay as it is until virtio_disk_wait(b).
void virtio_disk_start(struct buf *b, uint blockno, int write) {
  acquire(&disk.lock);
  while (disk.idle == 0)
    sleep(&disk.idle, &disk.lock);
  struct slot *s = disk.idle;
  disk.idle = s->next;

  b->disk = 1;
  s->b = b;
  s->status = ~BLK_OK;
  s->header.type = write ? BLK_WRITE : BLK_READ;
  s->header.sector = (uint64)blockno * (BSIZE / BLK_SECTOR);
  uint head = (s - disk.slot) * SEGMENTS;
  queue.desc[head + 1].addr = (uint64)b->data;
  queue.desc[head + 1].flags = VQ_DESC_NEXT | (write ? 0 : VQ_DESC_WRITE);
  publish(head);
  release(&disk.lock);
}

// Sleeps until the transfer that virtio_disk_start began on b is done.
void virtio_disk_wait(struct buf *b) {
  acquire(&disk.lock);
  while (b->disk)
    sleep(b, &disk.lock);
  release(&disk.lock);
}

// Reads b's block into b->data, or writes it. b->lock is held, or b is
// otherwise the caller's alone.
void virtio_disk_rw(struct buf *b, int write) {
  virtio_disk_start(b, b->blockno, write);
  virtio_disk_wait(b);
}

static void finish(struct slot *s) {
  if (s->status != BLK_OK) {
    printf("virtio disk: %s sector %lu: status %d\n",
           s->header.type == BLK_WRITE ? "writing" : "reading",
           s->header.sector, s->status);
    panic("virtio disk: a request failed");
  }
  s->b->disk = 0;
  wakeup(s->b);
  s->b = 0;
  if (disk.idle == 0)
    wakeup(&disk.idle);
  s->next = disk.idle;
  disk.idle = s;
}

void virtio_disk_intr(void) {
  acquire(&disk.lock);
  // Acknowledged before the ring is read: what is done after that raises
  // the interrupt anew (virtio 4.2.3.4).
  *reg(REG_INTERRUPT_ACK) = *reg(REG_INTERRUPT_STATUS);
  device_fence();
  while (disk.seen != *(volatile uint16 *)&queue.used.idx) {
    device_fence();         // the index before the entry (virtio 2.6.14)
    uint32 head = queue.used.ring[disk.seen % VQ_SIZE].id;
    finish(&disk.slot[head / SEGMENTS]);
    disk.seen++;
  }
  release(&disk.lock);
}
