"""Our build rules: what they read of a tree's Makefile, and what they build."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lab import recipe, tree
from lab.tree import NotBuilt

import trees


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return trees.imitate(tmp_path / "lab", makefile=trees.LISTED)


def said_by_make(lab: Path, name: str) -> list[str]:
    done = subprocess.run(["make", "-s", "-C", str(lab), "--no-print-directory", f"--eval=told:;@echo $({name})", "told"],
                          capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def edit(lab: Path, pattern: str, new: str) -> None:
    makefile = lab / "Makefile"
    text, n = re.subn(pattern, new, makefile.read_text(), flags=re.M)
    assert n
    makefile.write_text(text)


@pytest.mark.parametrize("lab_name", ["pgtbl", "net"])
def test_the_lists_are_those_that_make_reads(lab, lab_name):
    (lab / "conf/lab.mk").write_text(f"LAB={lab_name}\n")
    (lab / "kernel/nosuch.c").write_text("")
    read = recipe.read(lab)
    assert list(read.kernel_objects) == said_by_make(lab, "OBJS")
    assert list(read.library) == said_by_make(lab, "ULIB")
    assert [name for name, _ in read.programs] == said_by_make(lab, "UPROGS")
    assert [one for one in said_by_make(lab, "CFLAGS") if re.match("-[DI]", one)] == sorted(
        read.options, key=said_by_make(lab, "CFLAGS").index)
    assert ("kernel/nosuch.o" in read.kernel_objects) == (lab_name == "net")


@pytest.mark.parametrize("pattern,new,why", [
    ("^OBJS =", "OBJECTS =", "it sets no OBJS"),
    (r"^OBJS = ", "OBJS = $(shell touch /tmp/run-by-reading) ", r"\$\(shell touch /tmp/run-by-reading\) is to be run"),
    ("^ULIB = ", "ULIB = ../../elsewhere.o ", "../../elsewhere.o is no object"),
    ("^ULIB = ", "ULIB = $U/nosuch.o ", "user/nosuch.o has no source"),
    ("^-include conf/lab.mk", "include /etc/passwd", "it includes /etc/passwd"),
    (r"^CFLAGS \+= \$\(XCFLAGS\)", "CFLAGS += -I/etc", "it compiles with -I/etc"),
    ("^K=kernel", "K=$U", "variables that mean each other"),
    ("^endif", "", "a conditional without an end"),
])
def test_what_is_not_understood_is_named(lab, pattern, new, why):
    edit(lab, pattern, new)
    if "mean each other" in why:
        edit(lab, "^U=user", "U=$K")
    with pytest.raises(recipe.Unreadable, match=why):
        recipe.read(lab)
    assert not Path("/tmp/run-by-reading").exists()


def test_our_rules_build_it_with_macros_and_never_run_its_makefile(lab):
    """The Makefile's own rules would fail."""
    edit(lab, r"^\t\$\(LD\).*kernel\.ld.*", "\tfalse")
    kernel = tree.prepare(str(lab), stranger=True)
    assert not kernel.notes
    assert kernel.has_program("sh")
    assert "-ggdb3" in kernel.log and "kernel/nosuch" not in kernel.log
    told = subprocess.run(["readelf", "--debug-dump=macro", str(kernel.elf)], capture_output=True, text=True, timeout=60).stdout
    assert re.search(r"macro : FRY ", told)
    tree.discard(str(lab))
    assert not kernel.elf.exists()


def test_programs_of_several_objects_and_prebuilt_objects(lab):
    (lab / "user/other.c").write_text("int other(void) { return 7; }\n")
    (lab / "user/wc.c").write_text('#include "user/user.h"\nint other(void);\nint main(void) { return other(); }\n')
    edit(lab, r"^\$U/_zombie:", "$U/_wc: $U/wc.o $U/other.o $(ULIB)\n\tfalse\n\n$U/_zombie:")
    (lab / "kernel/vm.o").write_text("not an object")
    (lab / "kernel/kernel").write_text("not a kernel")
    assert dict(recipe.read(lab).programs)["user/_wc"] == ("user/other.o",)
    assert tree.prepare(str(lab), stranger=True).elf.read_bytes()[:4] == b"\x7fELF"
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


def test_a_tree_that_is_too_large_is_not_built(lab):
    with (lab / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(NotBuilt, match="lab is not built: it is larger than 256 MiB"):
        tree.prepare(str(lab), stranger=True)
    tree.discard(str(lab))


def test_a_build_by_its_own_makefile_is_in_the_sandbox_and_said(tmp_path):
    lab = trees.imitate(tmp_path / "lab")
    with (lab / "Makefile").open("a") as makefile:
        makefile.write(f"STOLEN := $(shell cat /etc/passwd >stolen; touch {tmp_path}/written)\n")
    kernel = tree.prepare(str(lab), stranger=True)
    assert kernel.notes == ("built by its own Makefile, in the sandbox: our rules do not build it: "
                            "they do not understand its Makefile (it sets no OBJS)",)
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
    ("-drive file=/etc/passwd,if=none,id=x1", ""),
    ("-drive file=../secret,if=none,id=x1", ""),
    ("-virtfs local,path=/,mount_tag=a,security_model=none", ""),
    ("-chardev socket,id=c,path=/tmp/x -incoming exec:id -serial file:/tmp/y", ""),
])
def test_of_what_a_makefile_gives_qemu_nothing_reaches_this_machine(tmp_path, options, kept):
    (tmp_path / "tree").mkdir()
    (tmp_path / "secret").write_text("")
    extra, images = tree._extra_devices(options.split(), tmp_path / "tree")
    assert " ".join(extra) == kept and not images
