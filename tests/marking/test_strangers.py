"""A stranger's tree: what its Makefile reaches while it is built, and what of it reaches QEMU."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from lab.kernels import qemuline, tree
from lab.kernels.tree import NotBuilt

import trees


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return trees.imitate(tmp_path / "lab", makefile=trees.LISTED, programs="init sh wc zombie", tiny=True)


def edit(lab: Path, pattern: str, new: str) -> None:
    makefile = lab / "Makefile"
    text, n = re.subn(pattern, new, makefile.read_text(), flags=re.M)
    assert n
    makefile.write_text(text)


def test_its_own_makefile_builds_it_with_macros_whatever_it_says_of_debugging(lab):
    edit(lab, "-ggdb -gdwarf-2", "-g0")
    kernel = tree.prepare(str(lab), stranger=True)
    assert not kernel.notes
    assert kernel.has_program("sh")
    told = subprocess.run(["readelf", "--debug-dump=macro", str(kernel.elf)], capture_output=True, text=True).stdout
    assert re.search(r"macro : FRY ", told)
    tree.discard(str(lab))
    assert not kernel.elf.exists()


def test_programs_of_several_objects_and_prebuilt_objects(lab):
    (lab / "user/other.c").write_text("int other(void) { return 7; }\n")
    (lab / "user/wc.c").write_text('#include "user/user.h"\nint other(void);\nint main(void) { return other(); }\n')
    edit(lab, r"^\$U/_zombie:", "$U/_wc: $U/wc.o $U/other.o $(ULIB)\n\t$(LD) $(LDFLAGS) -T $U/user.ld -o $@ $^\n\n$U/_zombie:")
    (lab / "kernel/vm.o").write_text("not an object")
    (lab / "kernel/kernel").write_text("not a kernel")
    kernel = tree.prepare(str(lab), stranger=True)
    assert kernel.elf.read_bytes()[:4] == b"\x7fELF" and not kernel.unbuilt
    tree.discard(str(lab))


def test_links_out_of_a_stranger_s_tree_are_left_out_and_said(lab, tmp_path):
    (tmp_path / "solution.h").write_text("#define SOLUTION 42\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/more.h").write_text("")
    (lab / "kernel/solution.h").symlink_to("../../solution.h")
    (lab / "kernel/folder").symlink_to("../../folder")
    (lab / "kernel/inside.h").symlink_to("memlayout.h")
    kernel = tree.prepare(str(lab), stranger=True)
    assert kernel.notes == ("left out, for it leads out of the tree: kernel/solution.h, kernel/folder",)
    copy = kernel.elf.parent
    assert (copy / "inside.h").is_file() and not (copy / "solution.h").exists() and not (copy / "folder").exists()
    tree.discard(str(lab))


def test_a_kernel_that_its_makefile_brings_along_is_not_its_own(lab, kernel):
    (lab / "user/data").write_bytes(gzip.compress(kernel.elf.read_bytes(), 1))      # an ELF file would be left out as a product
    edit(lab, r"^qemu:(.*)$", r"qemu:\1 swap")
    with (lab / "Makefile").open("a") as makefile:
        makefile.write("\nswap: $K/kernel\n\tgunzip <user/data >$K/kernel\n")
    with pytest.raises(NotBuilt, match="lab does not build: its Makefile gives QEMU kernel/kernel, which was compiled elsewhere"):
        tree.prepare(str(lab), stranger=True)
    tree.discard(str(lab))


@pytest.mark.parametrize("how", ["-gz=zlib -Wl,--compress-debug-sections=zlib", "-fdebug-prefix-map=$(CURDIR)=/src"])
def test_a_kernel_that_was_compiled_here_is_its_own_however_it_names_its_folders(lab, how):
    edit(lab, "-ggdb -gdwarf-2", f"-ggdb {how}")
    edit(lab, "^LDFLAGS = ", "LDFLAGS = --compress-debug-sections=zlib " if "zlib" in how else "LDFLAGS = ")
    assert tree.prepare(str(lab), stranger=True).elf.is_file()
    tree.discard(str(lab))


def test_a_tree_that_is_too_large_is_not_built(lab):
    with (lab / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(NotBuilt, match="lab is not built: it is larger than 256 MiB"):
        tree.prepare(str(lab), stranger=True)
    tree.discard(str(lab))


def test_a_build_by_its_own_makefile_is_in_the_sandbox_and_said(tmp_path):
    lab = trees.imitate(tmp_path / "lab", programs="init sh", tiny=True)
    with (lab / "Makefile").open("a") as makefile:
        makefile.write(f"STOLEN := $(shell cat /etc/passwd >stolen; touch {tmp_path}/written)\n")
    kernel = tree.prepare(str(lab), stranger=True)
    assert not kernel.notes
    assert (kernel.elf.parents[1] / "stolen").read_text() == ""
    assert not (tmp_path / "written").exists()
    tree.discard(str(lab))


@pytest.mark.parametrize("options,kept", [
    ("-netdev user,id=n,hostfwd=tcp::22-:22,smb=/,guestfwd=tcp:10.0.2.1:1-cmd:id", "-netdev user,id=n,restrict=on"),
    ("-netdev tap,id=n,script=/tmp/evil", ""),
    ("-device loader,file=/etc/shadow,addr=0x80400000", ""),
    ("-device e1000,netdev=n,romfile=/etc/shadow", ""),
    ("-device qemu-xhci,id=usb", ""),
    ("-device e1000,netdev=n,bus=pcie.0", "-device e1000,netdev=n,bus=pcie.0,romfile="),
    ("-virtfs local,path=/,mount_tag=a,security_model=none", ""),
    ("-chardev socket,id=c,path=/tmp/x -incoming exec:id -serial file:/tmp/y", ""),
])
def test_of_what_a_makefile_gives_qemu_nothing_reaches_this_machine(tmp_path, options, kept):
    line = qemuline.read(options.split())
    assert " ".join(line.options) == kept


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret"])
def test_a_disk_of_this_machine_is_none_of_the_tree_s(tmp_path, name):
    lab = trees.imitate(tmp_path / "lab", programs="init sh", tiny=True,
                        qemu=f"{trees.MODERN} -drive file={name},if=none,format=raw,id=x1 -device virtio-blk-device,drive=x1")
    (tmp_path / "secret").write_text("")
    kernel = tree.prepare(str(lab), stranger=True)
    assert len(kernel.disks) == 1 and any(f"without its disk {name}" in note for note in kernel.notes)
    tree.discard(str(lab))
