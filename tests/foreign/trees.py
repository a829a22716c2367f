"""Trees that are like other people's in all that the kit and the launcher see of them.

Made from our sources at test time: names, flags, the Makefile's interface and its products, what the tree wants of
QEMU, and how its exec maps programs, are those of the course's trees of some year.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = "cat echo init sh"    # what the kit runs in any tree
NEWER_NAMES = "-Dfork=kfork -Dexec=kexec -Dexit=kexit -Dwait=kwait"

_MAKEFILE = """\
# Interface of a course's tree: TOOLPREFIX, QEMU, CPUS, OPT; kernel/kernel, fs.img, qemu, qemu-gdb.
K = kernel
U = user
ifndef TOOLPREFIX
TOOLPREFIX := $(shell for p in riscv64-unknown-elf- riscv64-linux-gnu- riscv64-elf-; \\
	do command -v $${p}gcc >/dev/null && echo $$p && break; done)
endif
QEMU = qemu-system-riscv64
CC = $(TOOLPREFIX)gcc
LD = $(TOOLPREFIX)ld
OPT = @OPT@
CFLAGS = -Wall -Werror $(OPT) -fno-omit-frame-pointer @DEBUG@ -MD -std=gnu11 -march=rv64gc -mcmodel=medany
CFLAGS += -ffreestanding -fno-common -nostdlib -mno-relax -fno-builtin -fno-stack-protector -fno-pie -no-pie -I.
KOBJS = $(addsuffix .o,$(sort $(basename $(wildcard $K/*.c $K/*.S))))
ULIB = $U/start.o $U/usys.o $U/string.o $U/printf.o $U/malloc.o $U/input.o
UPROGS = $(addprefix $U/_,@PROGRAMS@)

$K/kernel: $(KOBJS) $K/kernel.ld
	$(LD) -z max-page-size=4096 -T $K/kernel.ld -o $@ $(KOBJS)
$K/%.o: $K/%.c
	$(CC) $(CFLAGS) @KFLAGS@ -c -o $@ $<
$K/%.o: $K/%.S
	$(CC) $(CFLAGS) @KFLAGS@ -c -o $@ $<
$K/string.o $U/string.o: CFLAGS += -fno-tree-loop-distribute-patterns
$U/%.o: $U/%.S
	$(CC) $(CFLAGS) -c -o $@ $<
$U/_%: $U/%.o $(ULIB)
	$(LD) @ULINK@ -o $@ $^
mkfs/mkfs: mkfs/mkfs.c $K/fs.h $K/param.h
	gcc -Werror -Wall -I. -o $@ mkfs/mkfs.c
fs.img: mkfs/mkfs README $(UPROGS)
	mkfs/mkfs $@ README $(UPROGS)
-include $K/*.d $U/*.d
clean:
	rm -f $K/*.[od] $U/*.[od] $K/kernel $U/_* fs.img mkfs/mkfs .gdbinit

GDBPORT = $(shell expr `id -u` % 5000 + 25000)
QEMUGDB = -gdb tcp::$(GDBPORT)
ifndef CPUS
CPUS := 3
endif
QEMUOPTS = -machine virt -bios none -kernel $K/kernel -m @RAM@M -smp $(CPUS) -nographic @QEMU@
QEMUOPTS += -drive file=fs.img,if=none,format=raw,id=x0
QEMUOPTS += -device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0
qemu: $K/kernel fs.img
	$(QEMU) $(QEMUOPTS)
.gdbinit: .gdbinit.tmpl-riscv
	sed "s/:1234/:$(GDBPORT)/" < $^ > $@
qemu-gdb: $K/kernel .gdbinit fs.img
	$(QEMU) $(QEMUOPTS) -S $(QEMUGDB)
"""

# As most courses write it: what is built is listed, and part of it depends on which lab it is.
LISTED = """\
-include conf/lab.mk
K=kernel
U=user

OBJS = \\
@OBJS@
ifeq ($(LAB),$(filter $(LAB), net nosuch))
OBJS += $K/nosuch.o
endif

# the first of these that is there
ifndef TOOLPREFIX
TOOLPREFIX := $(shell if riscv64-unknown-elf-objdump -i 2>&1 | grep 'elf64-big' >/dev/null; \\
\tthen echo 'riscv64-unknown-elf-'; else echo 'riscv64-linux-gnu-'; fi)
endif
QEMU = qemu-system-riscv64
CC = $(TOOLPREFIX)gcc
LD = $(TOOLPREFIX)ld
CFLAGS = -Wall -Werror @OPT@ -fno-omit-frame-pointer @DEBUG@
ifdef LAB
LABUPPER = $(shell echo $(LAB) | tr a-z A-Z)
XCFLAGS += -DSOL_$(LABUPPER) -DLAB_$(LABUPPER)
endif
CFLAGS += $(XCFLAGS) @KFLAGS@
CFLAGS += -MD -mcmodel=medany -ffreestanding -fno-common -nostdlib -mno-relax -fno-builtin -I.
CFLAGS += $(shell $(CC) -fno-stack-protector -E -x c /dev/null >/dev/null 2>&1 && echo -fno-stack-protector)
ifneq ($(shell $(CC) -dumpspecs 2>/dev/null | grep -e '[^f]no-pie'),)
CFLAGS += -fno-pie -no-pie
endif
CFLAGS += -fno-tree-loop-distribute-patterns
LDFLAGS = -z max-page-size=4096

$K/kernel: $(OBJS) $K/kernel.ld
\t$(LD) $(LDFLAGS) -T $K/kernel.ld -o $K/kernel $(OBJS)

%.o: %.S
\t$(CC) $(CFLAGS) -c -o $@ $<

ULIB = $U/start.o $U/usys.o $U/string.o $U/printf.o $U/malloc.o $U/input.o

_%: %.o $(ULIB) $U/user.ld
\t$(LD) $(LDFLAGS) -T $U/user.ld -o $@ $< $(ULIB)

$U/_zombie: $U/zombie.o $(ULIB)
\t$(LD) $(LDFLAGS) -T $U/user.ld -o $U/_zombie $U/zombie.o $(ULIB)

mkfs/mkfs: mkfs/mkfs.c $K/fs.h $K/param.h
\tgcc -Werror -Wall -I. -o mkfs/mkfs mkfs/mkfs.c

UPROGS=\\
@PROGRAMS@

fs.img: mkfs/mkfs README $(UEXTRA) $(UPROGS)
\tmkfs/mkfs fs.img README $(UEXTRA) $(UPROGS)

-include kernel/*.d user/*.d

ifndef CPUS
CPUS := 3
endif
QEMUOPTS = -machine virt -bios none -kernel $K/kernel -m @RAM@M -smp $(CPUS) -nographic @QEMU@
QEMUOPTS += -drive file=fs.img,if=none,format=raw,id=x0 -device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0
qemu: $K/kernel fs.img
\t$(QEMU) $(QEMUOPTS)
"""

_GDBINIT = """\
set confirm off
set architecture riscv:rv64
target remote 127.0.0.1:1234
symbol-file kernel/kernel
"""

Edit = tuple[str, str, str]
"""(files, pattern, what to put there): one of them must have the pattern."""

MODERN = "-global virtio-mmio.force-legacy=false"
NETWORK = (" -netdev user,id=net0,hostfwd=udp::$(GDBPORT)-:2000 -device e1000,netdev=net0,bus=pcie.0"
           " -object filter-dump,id=net0,netdev=net0,file=packets.pcap")

NO_FRY = [("kernel/memlayout.h", r"#define (FRY|SHRIMP)\b.*\n", ""),
          ("kernel/*.c", r"\bSHRIMP\b", "TRAPFRAME")]
UNSIZED = [("*/*.S", r"\n *\.(type|size) .*", "")]
# The disk's driver agrees on no feature above 31, and so not on VIRTIO_F_VERSION_1, though it speaks the modern transport and has
# each part of its queue in a page of its own.
XV6S_DISK = [("kernel/virtio_disk.c", r"word < 2; word\+\+", "word < 1; word++"),
             ("kernel/virtio_disk.c", r"struct vq_avail avail;", "struct vq_avail avail __attribute__((aligned(PGSIZE)));")]
# Who counts no users of a frame cannot share a segment's.
NO_SEGMENTS = [("kernel/syscall.c", r" X\(shm\w+\)", ""), ("kernel/syscall.h", r"#define SYS_shm.*\n", ""), ("user/usys.S", r"stub shm.*\n", "")]
NO_PMP = [("kernel/start.c", r".*csr_write\(pmp.*\n", "")]
TF = [("kernel/*.[ch]", r"(->|struct trapframe \*)trapframe\b", r"\1tf")]
NO_USED = [("kernel/proc.h", r"UNUSED, USED,", "UNUSED,"), ("kernel/proc.h", r"\Z", "#define USED UNUSED\n"),
           ("kernel/proc.c", r"  case USED:\n.*\n", "")]
ALL_RWX = [("kernel/exec.c", r"int perm = PTE_R \| PTE_U", "int perm = PTE_R | PTE_W | PTE_X | PTE_U"),
           ("kernel/exec.c", r"PTE_R \| PTE_W \| PTE_U", "PTE_R | PTE_W | PTE_X | PTE_U"),
           ("kernel/proc.c", r"(end, )PTE_R \| PTE_W \| PTE_U", r"\1PTE_R | PTE_W | PTE_X | PTE_U")]
LEGACY_DISK = [
    ("kernel/virtio_disk.c", r"struct vq_avail avail .*;", "struct vq_avail avail;"),
    ("kernel/virtio_disk.c", r"\*reg\(REG_VERSION\) != VIRTIO_MODERN", "*reg(REG_VERSION) != 1"),
    ("kernel/virtio_disk.c", r"panic\(\"virtio disk: legacy[^;]*;", 'panic("could not find virtio disk");'),
    ("kernel/virtio_disk.c", r"\*reg\(REG_STATUS\) \|= STATUS_FEATURES_OK;\n(.*\n){2}", ""),
    ("kernel/virtio_disk.c", r"  if \(\*reg\(REG_QUEUE_READY\)\)\n.*\n", "  *reg(0x28) = PGSIZE;\n"),
    ("kernel/virtio_disk.c", r"static void set_queue_address(.*\n){4}", ""),
    ("kernel/virtio_disk.c", r"(  set_queue_address.*\n){3}", ""),
    ("kernel/virtio_disk.c", r"\*reg\(REG_QUEUE_READY\) = 1", "*reg(0x3c) = PGSIZE; *reg(0x40) = (uint64)&queue >> 12"),
    ("kernel/virtio_disk.c", r"struct vq_used used;", "struct vq_used used __attribute__((aligned(PGSIZE)));")]
# kfree and kalloc fill frames with junk, as xv6's do, and nobody is told of one that is freed twice.
UNCHECKED = [
    ("kernel/kalloc.c", r"if \(\(\*refsof\(pa\)\)\+\+ == 0\)\n.*\n", "(*refsof(pa))++;\n"),
    ("kernel/kalloc.c", r"  if \(\*refs == 0\)\n.*\n  if \(--", "  if (*refs == 0 || --"),
    ("kernel/kalloc.c", r"static void setfree.*\n", r"\g<0>  memset(pa, 1, PGSIZE);\n"),
    ("kernel/kalloc.c", r"  return pa;\n", "  return pa ? memset(pa, 5, PGSIZE) : 0;\n")]


def imitate(folder: Path, *edits: Sequence[Edit], opt: str = "-O", debug: str = "-ggdb -gdwarf-2", qemu: str = MODERN,
            kernel_flags: str = "", user_link: str = "-z max-page-size=4096 -T user/user.ld",
            patches: Sequence[str] = (), programs: str = PROGRAMS, counted: bool = True, makefile: str = _MAKEFILE, ram_mib: int = 32,
            tiny: bool = False) -> Path:
    """A tree in folder, which must not be there. patches: names below tests/. counted: False for an allocator that
    keeps no counts. makefile: LISTED for one that lists what is built. tiny: nearly nothing is in its sources, for what is
    built and not booted."""
    for path in (ROOT / "xv6").rglob("*"):
        if path.suffix in (".c", ".h", ".S", ".ld") or path.name == "README":
            copy = folder / path.relative_to(ROOT / "xv6")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    for name in patches:
        subprocess.run(["patch", "-p2", "--batch", "--no-backup-if-mismatch", "-d", str(folder), "-i",
                        str(ROOT / "tests" / name)], check=True, capture_output=True)
    if tiny:
        _shrink(folder)
    layout = folder / "kernel/memlayout.h"
    layout.write_text(re.sub(r"#ifndef RAM_MIB\n.*\n#endif\n(.*)RAM_MIB", rf"\g<1>{ram_mib}", layout.read_text()))
    if not counted:
        shutil.copy(Path(__file__).parent / "uncounted.c", folder / "kernel/kalloc.c")
    always = () if tiny else (UNSIZED, XV6S_DISK, *(() if counted else (NO_SEGMENTS,)))
    for name, pattern, new in (edit for group in (*always, *edits) for edit in group):
        changed = 0
        for path in folder.glob(name):
            text, n = re.subn(pattern, new, path.read_text())
            path.write_text(text)
            changed += n
        assert changed, f"{name} has no {pattern}"
    objects = sorted({path.stem for path in (folder / "kernel").glob("*.[cS]")} - {"entry"})
    text = makefile.replace("@OBJS@", _listed("$K/", ["entry.o", *(name + ".o" for name in objects)]))
    if makefile is LISTED:
        (folder / "conf").mkdir()
        (folder / "conf/lab.mk").write_text("LAB=pgtbl\n")
        text = text.replace("@PROGRAMS@", _listed("$U/_", programs.split()))
    for word, value in (("OPT", opt), ("DEBUG", debug), ("QEMU", qemu), ("KFLAGS", kernel_flags), ("ULINK", user_link),
                        ("PROGRAMS", programs), ("RAM", str(ram_mib))):
        text = text.replace(f"@{word}@", value)
    (folder / "Makefile").write_text(text)
    (folder / ".gdbinit.tmpl-riscv").write_text(_GDBINIT)
    return folder


_TINY = {"kernel/entry.S": ".section .text.entry\n.globl _entry\n_entry: csrw pmpaddr0, a0\n  j _entry\n", "kernel/proc.c": "int pid;\n",
         "kernel/vm.c": '#include "types.h"\n#include "riscv.h"\n#include "memlayout.h"\nuint64 fry(void) { return FRY; }\n',
         "user/start.S": ".section .text.start\n.globl start\nstart: call main\n"}


def _shrink(folder: Path) -> None:
    """Leaves the names of what is built and no more in it."""
    for path in [*folder.glob("kernel/*.[cS]"), *folder.glob("user/*.[cS]")]:
        name = str(path.relative_to(folder))
        if name in _TINY or name.startswith("user/"):
            is_program = re.search(r"\bmain\(", path.read_text())
            path.write_text(_TINY.get(name, "int main(void) { return 0; }\n" if is_program else ""))
        else:
            path.unlink()


def _listed(prefix: str, names: Sequence[str]) -> str:
    return " \\\n".join(f"  {prefix}{name}" for name in names) + "\n"


def again(folder: Path, *edits: Sequence[Edit], make: Callable[..., Path] | None = None, **how: Any) -> Path:
    """As imitate(), or make, in a folder that may have a tree already: what would be the same is left as it is, so that only
    what differs is built. Of one folder `how` must be the same each time: make does not know of flags that change."""
    with tempfile.TemporaryDirectory() as scratch:
        new = (make or imitate)(Path(scratch) / folder.name, *edits, **how)
        wanted = {path.relative_to(new): path.read_bytes() for path in new.rglob("*") if path.is_file()}
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder) not in wanted:
            path.unlink()
    for name, content in wanted.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


def plain(folder: Path, *edits: Sequence[Edit], **how: Any) -> Path:
    """A tree without FRY and SHRIMP."""
    return imitate(folder, NO_FRY, *edits, patches=["kernel/variants/without-shrimpy.patch"], **how)


OF_2020 = (NO_PMP, TF, NO_USED, ALL_RWX, LEGACY_DISK)
LINKED_IN_2020 = "-N -e start -Ttext 0"


def of_2020(folder: Path, **how: Any) -> Path:
    """No PMP, a legacy disk, programs that are W X all through, p->tf, no state for a process that is being made."""
    return plain(folder, *OF_2020, qemu="", user_link=LINKED_IN_2020, counted=False, **how)


def of_2020_with_fry(folder: Path, **how: Any) -> Path:
    """The same with FRY and SHRIMP."""
    return imitate(folder, *OF_2020, qemu="", user_link=LINKED_IN_2020, **how)
