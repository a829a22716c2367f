// What the plugins use of QEMU's plugin API, "QEMU TCG Plugins" in its manual.
// Debian packages no header of it. API is the version that is spoken: QEMU has
// 1 up to 8.2, 2 in 9.0, 3 in 9.1, 4 from 9.2 on.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
typedef uint32_t meminfo;

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

// Of the machine that loads the plugin.
struct info {
  const char *target;
  struct {
    int min, cur;
  } version;
  bool system_emulation;
  int n_vcpus, max_vcpus;
};

enum registers { NO_REGISTERS };         // that a callback reads
enum access { READS = 1, WRITES = 2, BOTH = 3 };

typedef void translated(plugin_id, struct qemu_plugin_tb *);
typedef void executed(unsigned int vcpu, void *data);
typedef void accessed(unsigned int vcpu, meminfo, uint64_t va, void *data);

void qemu_plugin_outs(const char *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed *, enum registers, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, accessed *, enum registers, enum access, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
bool qemu_plugin_mem_is_store(meminfo);
unsigned int qemu_plugin_mem_size_shift(meminfo);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(meminfo, uint64_t va);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *);
#if API < 3
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
#else
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *, size_t);
#endif

EXPORT int qemu_plugin_version = API;
EXPORT int qemu_plugin_install(plugin_id, const struct info *, int n, char **arguments);
