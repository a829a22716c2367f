"""A filter of system calls for what runs within the walls, as bubblewrap takes it: no new namespaces, and none of the parts
of the kernel that a build, QEMU and GDB do not use and that have let programs out before.

Who can make a user namespace is root in it, and may do what only root could (user_namespaces(7)). Classic BPF over struct
seccomp_data: seccomp(2), linux/filter.h.
"""

from __future__ import annotations

import errno
import platform
import struct

_CLONE_NEWUSER = 0x10000000
_X32 = 0x40000000  # this bit in a number: another calling convention of x86-64

# AUDIT_ARCH_* of linux/audit.h, and the numbers of clone and of what is denied; after them those that are the same everywhere.
_GENERIC = (220, (97, 268, 217, 218, 219, 280, 241, 282, 265))
_MACHINES = {
    # unshare, setns, add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, open_by_handle_at
    "x86_64": (0xc000003e, 56, (272, 308, 248, 249, 250, 321, 298, 323, 304)),
    "aarch64": (0xc00000b7, *_GENERIC),
    "riscv64": (0xc00000f3, *_GENERIC),
}
_EVERYWHERE = (425,)  # io_uring_setup
_CLONE3 = 435

_LOAD, _IS, _AT_LEAST, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO = 0x7fff0000, 0x00050000


def program() -> bytes:
    """The filter for this machine; nothing for one whose numbers are not known here."""
    known = _MACHINES.get(platform.machine())
    if known is None:
        return b""
    architecture, clone, denied = known
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_IS, 1, 0, architecture), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
             (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
             # Its flags are in memory, where no filter looks; who gets this error takes clone.
             (_IS, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for number in (*denied, *_EVERYWHERE):
        lines += [(_IS, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    lines += [(_IS, 1, 0, clone), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, _FIRST_ARGUMENT),
              (_HAS, 0, 1, _CLONE_NEWUSER), (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
