// The virtio block device behind a memory-mapped transport.
// "virtio" is Virtual I/O Device (VIRTIO) Version 1.1, OASIS, 2019.
#pragma once

// Registers, as offsets from the device's address (virtio 4.2.2).
enum {
  REG_MAGIC = 0x000,
  REG_VERSION = 0x004,
  REG_DEVICE_ID = 0x008,
  REG_DEVICE_FEATURES = 0x010,
  REG_DEVICE_FEATURES_SEL = 0x014,
  REG_DRIVER_FEATURES = 0x020,
  REG_DRIVER_FEATURES_SEL = 0x024,
  REG_QUEUE_SEL = 0x030,
  REG_QUEUE_NUM_MAX = 0x034,
  REG_QUEUE_NUM = 0x038,
  REG_QUEUE_READY = 0x044,
  REG_QUEUE_NOTIFY = 0x050,
  REG_INTERRUPT_STATUS = 0x060,
  REG_INTERRUPT_ACK = 0x064,
  REG_STATUS = 0x070,
  REG_QUEUE_DESC = 0x080,    // 64-bit addresses in two halves, the low first
  REG_QUEUE_DRIVER = 0x090,
  REG_QUEUE_DEVICE = 0x0a0,
};

#define VIRTIO_MAGIC 0x74726976 // "virt"
#define VIRTIO_MODERN 2         // REG_VERSION; 1 is the legacy interface
#define VIRTIO_ID_NONE 0        // no device behind this transport
#define VIRTIO_ID_BLOCK 2       // virtio 5

// REG_STATUS (virtio 2.1)
#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8

// Features, as bits of the 64-bit set (virtio 5.2.3, 6)
#define FEATURE_BLK_RO 5
#define FEATURE_BLK_FLUSH 9
#define FEATURE_VERSION_1 32

// The split virtqueue (virtio 2.6.5, 2.6.6, 2.6.8)
struct vq_desc {
  uint64 addr;              // physical
  uint32 len;
  uint16 flags;
  uint16 next;
};
#define VQ_DESC_NEXT 1      // next is part of the same request
#define VQ_DESC_WRITE 2     // the device writes here

#define VQ_SIZE 64          // a power of two

struct vq_avail {
  uint16 flags;
  uint16 idx;               // counts up; the slot is idx % VQ_SIZE
  uint16 ring[VQ_SIZE];     // heads of descriptor chains
  uint16 used_event;
};

struct vq_used {
  uint16 flags;
  uint16 idx;
  struct {
    uint32 id;              // head of the chain that is done
    uint32 len;
  } ring[VQ_SIZE];
  uint16 avail_event;
};

// A request's first segment; data and one byte of status follow it
// (virtio 5.2.6).
struct blk_header {
  uint32 type;
  uint32 reserved;
  uint64 sector;
};
#define BLK_SECTOR 512      // bytes, whatever the device's block size
#define BLK_READ 0
#define BLK_WRITE 1
#define BLK_OK 0            // status
