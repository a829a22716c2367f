"""Strangers' Makefiles: what their `make qemu` boots is what is built and booted; what stops a build is said."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import NotBuilt
from lab.kernels import building, qemuline, tree

import trees

# A kernel of one instruction and a disk that is only a superblock: what is made of them is looked at, not booted.
TINY = """\
CC = $(TOOLPREFIX)gcc
OUT = .
QEMUOPTS = -machine virt -bios none -kernel $(OUT)/kernel/kernel -m 64M -smp 2 -nographic
QEMUOPTS += -drive file=$(OUT)/fs.img,if=none,format=raw,id=x0 -device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0
qemu: $(OUT)/kernel/kernel $(OUT)/fs.img
\tqemu-system-riscv64 $(QEMUOPTS)
$(OUT)/kernel/kernel: kernel/main.c
\tmkdir -p $(@D)
\t$(CC) -nostdlib -static -Wl,-Ttext=0x80000000 -Wl,--build-id=none -o $@ $<
$(OUT)/fs.img: mkfs.pl $(PROGRAMS)
\tperl mkfs.pl $@ $(PROGRAMS)
"""
_SUPERBLOCK = struct.pack("<8I", 0x10203040, 2000, 1954, 200, 30, 2, 32, 45)


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Path]:
    """tiny(edits..., files): a tree of the name lab; edits: (pattern, new) of its Makefile; files: by name."""
    def make(*edits: tuple[str, str], makefile: str = "Makefile", below: str = ".", **files: str) -> Path:
        lab = tmp_path / "lab"
        top = lab / below
        (top / "kernel").mkdir(parents=True)
        (top / "kernel/main.c").write_text('__asm__(".globl _start\\n_start: csrw 0x3b0, a0\\n1: j 1b");\n')
        (top / "kernel/memlayout.h").write_text("#define KERNBASE 0x80000000L\n#define PHYSTOP (KERNBASE + 96*1024*1024)\n")
        (top / "mkfs.pl").write_text('open(my $f, ">", $ARGV[0]); print $f "\\0" x 1024, pack("H*", "%s"), "\\0" x 4096;\n'
                                     % _SUPERBLOCK.hex())
        text = TINY
        for pattern, new in edits:
            text, n = re.subn(pattern, new, text, flags=re.M)
            assert n, pattern
        (top / makefile).write_text(text)
        for name, content in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return lab
    return make


def prepared(lab: Path) -> tree.Kernel:
    return tree.prepare(str(lab))


def place(kernel: tree.Kernel, path: Path) -> str:
    copy = next(one for one in kernel.elf.parents if one.parent.name == "trees")
    return str(path.relative_to(copy))


NO_QEMU = [("^qemu: .*\n.*\n", "all: kernel/kernel fs.img\n")]


@pytest.mark.parametrize("edits,how,elf,disk", [
    pytest.param([("^OUT = .", "OUT = build")], {}, "build/kernel/kernel", "build/fs.img", id="build"),
    pytest.param([("/kernel/kernel", "/kernel.elf"), ("fs.img", "disk.raw")], {}, "kernel.elf", "disk.raw", id="names"),
    pytest.param([("^qemu:", "run:")], {}, "kernel/kernel", "fs.img", id="run"),
    pytest.param([*NO_QEMU, (r"\$\(OUT\)/", "")], {}, "kernel/kernel", "fs.img", id="no-qemu"),
    pytest.param([("^qemu:.*", "all: kernel/kernel fs.img\nqemu:"), (r"\$\(OUT\)/", "")], {}, "kernel/kernel", "fs.img",
                 id="another-make-first"),
    pytest.param([("^qemu: .*", "qemu: all"), ("^\tqemu", "\tsudo -E qemu"), (r"\Z", "all: $(OUT)/kernel/kernel $(OUT)/fs.img\n")], {},
                 "kernel/kernel", "fs.img", id="sudo"),
    pytest.param([], {"below": "labs/xv6"}, "labs/xv6/kernel/kernel", "labs/xv6/fs.img", id="below"),
    pytest.param([], {"makefile": "GNUmakefile"}, "kernel/kernel", "fs.img", id="GNUmakefile"),
    pytest.param([("qemu-system-riscv64 ", "/opt/qemu-9/bin/qemu-system-riscv64 ")], {}, "kernel/kernel", "fs.img", id="qemu-by-path"),
    pytest.param([("^CC = .*", "CROSS = /opt/riscv/bin/riscv64-unknown-elf-\nCC = $(CROSS)gcc"),
                  ("qemu-system-riscv64 ", "$(EMULATOR) "), (r"\A", "EMULATOR = /opt/qemu-9/bin/qemu-system-riscv64\n")], {},
                 "kernel/kernel", "fs.img", id="tools-by-path"),
    pytest.param([(r"\$\(CC\) -nostdlib", "$(CC) -march=rv64ia -mabi=lp64 -nostdlib")], {}, "kernel/kernel", "fs.img", id="march-without-zicsr"),
    pytest.param([("^CC = .*", "CC = riscv64-none-elf-gcc")], {}, "kernel/kernel", "fs.img", id="a-prefix-of-another-machine"),
    pytest.param([("\n", "\r\n")], {}, "kernel/kernel", "fs.img", id="crlf"),
])
def test_what_its_make_qemu_boots_is_built_and_booted(tiny, edits, how, elf, disk):
    kernel = prepared(tiny(*edits, **how))
    assert (place(kernel, kernel.elf), [place(kernel, one) for one in kernel.disks]) == (elf, [disk])
    if edits[:1] != NO_QEMU:
        assert (kernel.ram_bytes, kernel.cpus) == (64 << 20, 2)


def test_what_a_failed_command_leaves_half_made_is_no_disk(tiny):
    """Its mkfs has no room for a program with the macros that we add: it is built without them, and not the half of a disk taken."""
    lab = tiny((r"mkfs\.pl \$\(PROGRAMS\)\n\tperl", "mkfs.pl extra.o\n\techo half >$@; ! grep -q debug_macinfo extra.o && perl"),
               (r"\Z", "extra.o: extra.c\n\t$(CC) -g -c -o $@ $<\n"), **{"extra.c": "#define EXTRA 1\nint extra = EXTRA;\n"})
    assert prepared(lab).disks[0].stat().st_size > 1024


def test_a_raw_kernel_is_booted_as_the_elf_that_it_is_made_of(tiny):
    lab = tiny(("^qemu: ", "kernel.bin: kernel/kernel\n\t$(TOOLPREFIX)objcopy -O binary $< $@\nqemu: kernel.bin "),
               (r"-kernel \S+", "-kernel kernel.bin"))
    kernel = prepared(lab)
    assert place(kernel, kernel.elf) == "kernel/kernel"
    assert any("kernel.bin" in note for note in kernel.notes)


@pytest.mark.parametrize("rule,first", [
    ("swap.img: ; qemu-img create -f raw $@ 1M", "swap.img"),
    ("swap.img: ; dd if=/dev/zero of=$@ bs=1024 count=1024", "swap.img"),
    ("qemu: swap.img\nswap.img: ; truncate -s 1M $@", None),
    ("", None),
])
def test_a_second_disk_is_made_in_the_sandbox_and_said(tiny, rule, first):
    lab = tiny(("^qemu:", "QEMUOPTS += -drive file=swap.img,if=none,format=raw,id=x1 "
                                      "-device virtio-blk-device,drive=x1,bus=virtio-mmio-bus.2\nqemu:"), (r"\Z", rule + "\n"))
    kernel = prepared(lab)
    assert [one.name for one in kernel.disks] == ["fs.img", "swap.img"]
    assert kernel.disk_devices == ("virtio-blk-device,bus=virtio-mmio-bus.0", "virtio-blk-device,bus=virtio-mmio-bus.2")
    assert kernel.disks[1].stat().st_size == (1 << 20 if rule else 16 << 20)
    assert sum("swap.img" in note for note in kernel.notes) == (1 if rule else 2)
    assert not (lab / "swap.img").exists()


@pytest.mark.parametrize("said,n_bytes", [
    ("128", 128 << 20), ("1024M", 1 << 30), ("0.5G", 512 << 20), ("size=256M,slots=2", 256 << 20), ("65536k", 64 << 20),
    ("3G", 96 << 20), ("2048", 96 << 20)])
def test_of_more_memory_than_we_give_the_kernel_gets_what_it_uses(tiny, said, n_bytes):
    kernel = prepared(tiny(("-m 64M", f"-m {said}")))
    assert kernel.ram_bytes == n_bytes
    assert any("of memory" in note for note in kernel.notes) == (n_bytes == 96 << 20)


def test_a_program_that_does_not_compile_costs_the_program_only(tiny):
    lab = tiny((r"\Z", "user/_good: user/good.c\n\t$(CC) -c -o $@ $<\nuser/_bad: user/bad.c\n\t$(CC) -c -o $@ $<\n"),
               (r"\A", "PROGRAMS = user/_good user/_bad user/_gone\n"), ("^(.*perl )mkfs.pl", r"\1mkfs.pl"),
               **{"user/good.c": "int good;\n", "user/bad.c": "int bad(void) { return nosuch; }\n"})
    for _ in range(2):
        kernel = prepared(lab)
        assert {one.name for one in kernel.unbuilt} == {"user/_bad", "user/_gone"}
        assert "nosuch" in next(one.why for one in kernel.unbuilt if one.name == "user/_bad")
    (lab / "user/bad.c").write_text("int bad;\n")
    (lab / "user/_gone").write_text("here\n")
    assert not prepared(lab).unbuilt


def test_a_file_that_is_not_there_and_a_program_that_a_newer_compiler_warns_of_cost_the_file_only(tiny):
    """The warning is met once there is something in the file's place: the shell must not count as one that does not compile."""
    lab = tiny((r"\Z", "user/_sh: user/sh.c\n\t$(CC) -Wall -Werror -c -o $@ $<\n"),
               (r"\A", "PROGRAMS = README user/_sh\n"), ("^(.*perl )mkfs.pl", r"\1mkfs.pl"),
               **{"user/sh.c": "void forever(void) { forever(); }\n"})
    kernel = prepared(lab)
    assert {one.name for one in kernel.unbuilt} == {"README"}
    assert any("-Wno-error=infinite-recursion" in note for note in kernel.notes)


def test_a_kernel_that_does_not_compile_is_not_built(tiny):
    lab = tiny(**{"kernel/main.c": "int broken = nosuch;\n"})
    with pytest.raises(NotBuilt, match=r"lab does not build: kernel/main.c:1:14: error: .nosuch. undeclared"):
        prepared(lab)


def test_a_submodule_that_is_not_there_is_named(tiny):
    lab = tiny((r"\Z", "kernel/kernel: lib/libc.a\n"), **{".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = ../lib\n'})
    (lab / "lib").mkdir()
    with pytest.raises(NotBuilt, match="its git submodule lib is not there: run git submodule update --init"):
        prepared(lab)


def test_what_another_machine_built_is_not_taken_for_what_these_sources_make(tiny):
    lab = tiny(("^OUT = .", "OUT = build"))
    first = prepared(lab)
    (lab / "build/kernel").mkdir(parents=True)
    (lab / "build/kernel/kernel").write_bytes(first.elf.read_bytes().replace(b"\x6f", b"\x6f"))
    (lab / "build/fs.img").write_bytes(first.disks[0].read_bytes() + b"theirs")
    second = prepared(lab)
    assert not second.disks[0].read_bytes().endswith(b"theirs")
    assert not [name for name in ("build/kernel/kernel", "build/fs.img") if (second.elf.parents[2] / name).stat().st_mtime
                == (lab / name).stat().st_mtime]


def test_a_slip_in_a_format_is_the_headline_and_no_option_of_ours(tiny):
    lab = tiny(("-nostdlib", "-Wall -Werror -nostdlib"), **{"kernel/main.c": """\
__asm__(".globl _start\\n_start: j _start");
void say(const char *, ...) __attribute__((format(printf, 1, 2)));
void bad(void) { say("%s%", ""); }
"""})
    with pytest.raises(NotBuilt, match=r"lab does not build: kernel/main.c:3:\d+: error: spurious trailing"):
        prepared(lab)


def test_a_kernel_that_was_built_to_another_folder_is_booted_as_its_makefile_says(tiny, tmp_path):
    shutil.copytree(prepared(tiny(("^OUT = .", "OUT = build"))).elf.parents[2], tmp_path / "built")
    kernel = tree.prepare(str(tmp_path / "built/build/kernel/kernel"))
    assert (kernel.ram_bytes, kernel.cpus, kernel.sources) == (64 << 20, 2, tmp_path / "built/kernel")
    assert kernel.disks == (tmp_path / "built/build/fs.img",)


# What QEMU is given

def line(text: str) -> qemuline.Line:
    return qemuline.read(text.split())


@pytest.mark.parametrize("text,cpus", [("-smp 4", 4), ("-smp cpus=4,cores=2", 4), ("-smp 2,sockets=1", 2), ("-smp $(CPUS)", None)])
def test_harts_are_read(text, cpus):
    assert line(text).cpus == cpus


def test_disks_are_read_whichever_way_they_are_given():
    drives = line("-drive file=fs.img,if=none,format=raw,id=x0 -device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0 "
                  "-blockdev driver=file,filename=two.img,node-name=b -device virtio-blk-pci,drive=b,addr=3 -hda three.img "
                  "-drive if=pflash,file=rom.img").drives
    assert drives == (qemuline.Drive("fs.img", "virtio-blk-device,bus=virtio-mmio-bus.0"),
                      qemuline.Drive("two.img", "virtio-blk-pci,addr=3"), qemuline.Drive("three.img", None))


def test_another_machine_is_refused_in_a_line():
    with pytest.raises(NotBuilt, match="its Makefile starts QEMU's machine sifive_u: expected virt"):
        line("-M sifive_u")


# The line that says why

LD_WARNING = "riscv64-unknown-elf-ld: warning: kernel/kernel has a LOAD segment with RWX permissions\n"
STOP = "make: *** [Makefile:9: kernel/kernel] Error 1\n"


@pytest.mark.parametrize("said,first", [
    (LD_WARNING + "riscv64-unknown-elf-ld: kernel/vm.o: in function `walk':\nvm.c:(.text+0x1a): undefined reference to `nosuch'\n"
     "collect2: error: ld returned 1 exit status\n" + STOP, "vm.c:(.text+0x1a): undefined reference to `nosuch'"),
    (LD_WARNING + "gcc -Wno-error=format -c x.c\nkernel/x.c:3:1: warning: not found [-Wx]\nkernel/x.c:4:2: error: expected ';'\n" + STOP,
     "kernel/x.c:4:2: error: expected ';'"),
    (LD_WARNING + "perl user/usys.pl > user/usys.S\nCan't locate Nosuch.pm in @INC (you may need to install it) at user/usys.pl line 1.\n"
     "make: *** [Makefile:70: user/usys.S] Error 2\n", "Can't locate Nosuch.pm in @INC (you may need to install it) at user/usys.pl line 1."),
    (LD_WARNING + "mkfs/mkfs fs.img README user/_cat\nmkfs: mkfs/mkfs.c:150: main: Assertion `strlen(name) <= DIRSIZ' failed.\n"
     "make: *** [Makefile:90: fs.img] Aborted (core dumped)\n", "mkfs: mkfs/mkfs.c:150: main: Assertion `strlen(name) <= DIRSIZ' failed."),
    ("python3 gen.py\nTraceback (most recent call last):\n  File \"gen.py\", line 1, in <module>\n    import nosuch\n"
     "ModuleNotFoundError: No module named 'nosuch'\nmake: *** [Makefile:1: x] Error 1\n", "ModuleNotFoundError: No module named 'nosuch'"),
    (LD_WARNING + "dtc -o x.dtb x.dts\n/bin/sh: 1: dtc: not found\nmake: *** [Makefile:1: x.dtb] Error 127\n", "/bin/sh: 1: dtc: not found"),
    ("cargo build\nmake: cargo: No such file or directory\nmake: *** [Makefile:2: all] Error 127\n", "make: cargo: No such file or directory"),
    ("Makefile:7: *** missing separator.  Stop.\n", "Makefile:7: *** missing separator.  Stop."),
    ("make: *** No rule to make target 'kernel/nosuch.o', needed by 'kernel/kernel'.  Stop.\n",
     "make: *** No rule to make target 'kernel/nosuch.o', needed by 'kernel/kernel'.  Stop."),
    ("(standard_in) 1: syntax error\nmake: *** No rule to make target 'mkfs/mkfs.c', needed by 'mkfs/mkfs'.  Stop.\n",
     "make: *** No rule to make target 'mkfs/mkfs.c', needed by 'mkfs/mkfs'.  Stop."),
    ("gcc -o a a.c\na.c:1:10: fatal error: nosuch.h: No such file or directory\ncompilation terminated.\n" + STOP,
     "a.c:1:10: fatal error: nosuch.h: No such file or directory"),
    (LD_WARNING + "riscv64-unknown-elf-ld: region `ram' overflowed by 4096 bytes\n" + STOP,
     "riscv64-unknown-elf-ld: region `ram' overflowed by 4096 bytes"),
    (LD_WARNING + "./check.sh kernel/kernel\nthe kernel is too big\n" + STOP, "the kernel is too big"),
    ("kernel/b.c:1:1: warning: a\ncc1: all warnings being treated as errors\nkernel/a.c:2:2: error: unused [-Werror=unused-variable]\n" + STOP
     + "kernel/c.c:9:9: error: later\n", "kernel/a.c:2:2: error: unused [-Werror=unused-variable]"),
    ("kernel/entry.S: Assembler messages:\nkernel/entry.S:4: Error: unrecognized opcode `bad'\n" + STOP,
     "kernel/entry.S:4: Error: unrecognized opcode `bad'"),
    ("", "make said nothing"),
])
def test_the_line_that_stopped_the_build_is_the_headline(said, first):
    assert building.first_error(said) == first


# All of it

@pytest.mark.limit(600)
def test_a_tree_that_is_odd_in_all_of_this_is_judged_and_loses_what_does_not_build(make, tmp_path):
    lab = tmp_path / "lab"
    trees.imitate(lab / "src/xv6", [("user/sh.c", r'write\(2, "\$ ", 2\);', 'write(2, "-- lab --\\\\n(xv6)$ ", 17);')],
                  programs="cat echo grep init sh wc",
                  qemu=f"{trees.MODERN} -drive file=swap.img,if=none,format=raw,id=x1 -device virtio-blk-device,drive=x1,bus=virtio-mmio-bus.3")
    makefile = lab / "src/xv6/Makefile"
    text = makefile.read_text()
    for pattern, new in ((r"^\$K/kernel: (.*)\n", r"build/kernel/kernel: \1\n\tmkdir -p build/kernel\n"), (r"^fs.img: ", "build/fs.img: "),
                         (r"-kernel \$K/kernel -m 32M", "-kernel build/kernel/kernel -m 3G"), ("file=fs.img", "file=build/fs.img"),
                         (r"^qemu: .*", "qemu: build/kernel/kernel build/fs.img"), (r"\Z", "swap.img: ; qemu-img create -f raw $@ 1M\n"),
                         (r"^qemu-gdb: .*", "qemu-gdb: qemu")):
        text, n = re.subn(pattern, new, text, flags=re.M)
        assert n, pattern
    makefile.write_text(text)
    with (lab / "src/xv6/user/grep.c").open("a") as source:
        source.write("int bad(void) { return nosuch; }\n")
    done = make("check", f"KERNEL={lab}", f"OUT={tmp_path / 'marks'}")
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads((tmp_path / "marks/results.json").read_text())
    assert (told["extra_data"]["status"], told["extra_data"]["failed"]) == ("fail", ["builds"]), told["extra_data"]
    assert told["score"] == told["extra_data"]["max_score"]
    assert "user/grep.c" in told["extra_data"]["line"] and "nosuch" in told["extra_data"]["line"]
