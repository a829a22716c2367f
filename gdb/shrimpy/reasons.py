"""Why something is as it is: enumerated, with its data.

Rules decide by these and by nothing else; the sentences that people read are made of them in words/.
"""

from __future__ import annotations

import enum
from typing import Any, Dict, Optional, Tuple

from .records import address, encode, many, one, record
from .spec import Divergence

MOMENT, UNKNOWN, NOTHING = "moment", "unknown", "nothing"
"""Three kinds of not judging: the machine is in the middle of something, and a later stop will tell; what it takes cannot
be known here; there is nothing of the kind here to be judged, or to compare with."""


class Kind(str, enum.Enum):
    """What a reason is. The values are the names in JSON; beside each, the fields of Reason that it has."""

    # Why a table, or a frame, may be in the middle of a change
    HALF_MADE = "process-half-made"                     # pid
    NO_SUCH_STATE = "no-such-state"                     # pid, state
    PROCESS_LOCKED = "process-locked"                   # pid
    NOT_WALKED = "tables-not-walked"                    # pid
    BEING_BURIED = "being-buried"                       # pid, because: why its parent is busy
    PLACE_UNKNOWN = "place-unknown"                     # pid
    INTERRUPTED = "interrupted-in-kernel"               # pid
    ON_NO_HART = "on-no-hart"                           # pid
    IN_KERNEL = "runs-in-kernel"                        # pid, hart, function or None
    STACK_UNKNOWN = "stack-not-followed"                # pid
    WAITS_INSIDE = "waits-inside"                       # pid, function
    STARTING = "kernel-starting"
    HART_ALLOCATES = "hart-allocates"                   # hart, function
    LOCK_HELD = "lock-held"                             # lock, hart or None
    NOT_ENDED = "not-all-ended"
    HELD_BACK = "held-back"                             # because: what may be in the middle of a change; stands: what it would be
    AT_EARLIER_STOP = "at-earlier-stop"                 # because

    # What cannot be known of this kernel
    PROCESSES_UNKNOWN = "processes-unknown"             # detail: the finding's sentence
    NO_FREE_LIST = "no-free-list"
    FREE_LIST_NOT_WALKED = "free-list-not-walked"
    FREE_LIST_BROKEN = "free-list-broken"
    IMAGE_END_UNKNOWN = "image-end-unknown"
    NO_KERNEL_TABLE = "no-kernel-table"
    TABLES_NOT_FOLLOWED = "tables-not-followed"         # process
    KERNEL_TABLE_NOT_FOLLOWED = "kernel-table-not-followed"
    ALLOCATOR_UNKNOWN = "allocator-unknown"
    MAYBE_A_POOL = "maybe-a-pool"                       # n: frames
    NO_COUNTS = "no-counts"
    COUNTS_NOT_UNDERSTOOD = "counts-not-understood"     # detail: "memory", "FRY and SHRIMP"
    TRUNCATED = "walk-truncated"                        # detail: the finding's sentence
    NO_ROOT = "no-root-known"                           # hart
    SEGMENTS_UNKNOWN = "segments-unknown"               # function: what makes them
    ATTACHED_UNKNOWN = "attachments-not-counted"        # label: what counts users of some kind, or None
    MAPPED_AT_TOUCH = "mapped-when-touched"
    BELOW_SZ = "attached-below-sz"
    MAY_BE_NEW = "may-be-attached-anew"

    # What there is nothing of, here
    PAGE_NOT_DEFINED = "page-not-defined"               # page
    NOTHING_HERE = "nothing-here"
    FIRST_PROCESS = "first-process"
    NO_PARENT = "no-living-parent"
    ZOMBIE = "zombie"
    PARENT_WITHOUT_FRY = "parent-without-fry"           # process: the parent
    ADOPTED = "adopted"
    NO_SIBLINGS = "no-siblings"
    NO_FRY = "no-fry-page"
    NO_SHRIMP = "no-shrimp-page"
    PAGES_GONE = "pages-may-be-gone"                    # state
    HAS_RUN = "has-run"
    NO_ORPHAN = "no-orphan"
    FIRSTS_PAGE = "has-first-processes-page"            # process: the first process, which adopted it
    OTHERS_LOST = "others-lost"                         # n: frames that have no owner since
    MAYBE_ANOTHERS = "content-may-be-anothers"          # frame, free, users
    NOT_ALLOCATORS = "not-the-allocators-frame"
    NO_EARLIER = "no-earlier-snapshot"
    NO_EARLIER_RUN = "no-ended-run"
    NOT_PLAYED = "not-played"
    NO_USER_MODE = "no-hart-in-user-mode"
    LOOSE_IMAGE = "write-execute-image"
    CLONED = "shares-by-clone"                          # process, function
    NO_SEGMENTS = "no-segments"
    NO_SEGMENT = "no-segment-in-use"
    NO_ATTACHMENT = "nothing-attached"
    NONE_REMOVED = "no-segment-removed"
    NO_EXEC = "no-exec-seen"

    # What is wrong with FRY and SHRIMP
    MISPLACED = "page-misplaced"                        # page, va; bound: TRAPFRAME; other_page: on which it lies, or None
    SHRIMP_WITHOUT_PARENT = "shrimp-without-parent"     # frame
    SHRIMP_MISSING = "shrimp-missing"                   # wanted, process: the parent; function: "fork", "exec" or None
    SHRIMP_LOST = "shrimp-lost"                         # wanted: the frame it had, or None; process: the first process, its parent
    #                                                     now; other: the parent that it had, or None
    SHRIMP_OF_ANOTHER = "shrimp-of-another"             # frame, other: whose FRY it is; process: the first process, its parent now
    SHRIMP_NOT_PARENTS = "shrimp-not-parents-fry"       # frame, free, users; wanted, process: the parent; function: as above;
    #                                                     detail: "FRY moved" where the parent's FRY was this frame at the earlier stop
    SHRIMP_NOT_SIBLINGS = "shrimp-not-siblings"         # frame, wanted, process: the parent
    FRY_NOT_PRIVATE = "fry-not-private"                 # frame, processes; detail: "everybody's", "parent's", "given again", or None
    FRY_USED_BY_OTHERS = "fry-used-by-others"           # frame, users
    FRY_MISSING = "fry-missing"
    WRONG_FLAGS = "wrong-flags"                         # page, flags, level
    NOT_ZEROED = "not-zeroed"                           # detail: "junk", "data"
    ORPHAN_FREE = "orphan-page-free"                    # frame
    ORPHAN_REUSED = "orphan-page-reused"                # frame, users
    HEAP_TOO_LARGE = "heap-too-large"                   # page, bound, n: sz; functions that move sz; function that serves faults
    PAGE_CHANGED = "page-changed"                       # page, wanted: the earlier frame; frame or None; is_new_table: by exec;
    #                                                     other: the parent that has exited since; processes: children forked since

    # What is wrong with segments of shared memory; label: the segment
    ATTACHED_MISCOUNTED = "attachments-miscounted"      # label, detail: the count's name; value: what it says; n: attachments; users
    ATTACHED_RIGHTS = "attachment-rights"               # label, flags, level; state: "read-only", "writable", or None
    ATTACHED_PAGE = "attachment-page"                   # label, va, n: of which page; frame or None, wanted
    ATTACHED_GONE = "attached-segment-gone"             # label, va
    ATTACHED_STRAY = "attachment-not-kept"              # label, va, n: pages
    ATTACHED_PLACE = "attachment-out-of-place"          # label, va, bound: its end; page: what it reaches; value: sz, for "heap"
    ATTACHED_KEPT = "attached-across-exec"              # label, va
    SEGMENT_SHORT = "segment-short"                     # label, value: size; n: frames, bound: what the size needs
    SEGMENT_SHARED = "segments-share-a-frame"           # label, frame, detail: the other segment, or the same
    SEGMENT_KEY = "segments-with-one-key"               # label, value: key, detail: the other segment
    SEGMENT_OVER = "removed-segment-stays"              # label, n: frames; value: what the kernel counts, or None

    # What the specification is not kept in
    DIVERGED = "diverged"                               # played

    # What is wrong with tables, free lists and accounts
    KERNEL_PAGE_OPEN = "kernel-page-open"               # page, flags
    WRITE_AND_EXECUTE = "write-and-execute"             # detail: region; flags
    IMAGE_OPEN = "kernel-image-open"                    # frame
    NO_GUARD = "no-guard"
    BAD_PLACE = "entry-out-of-place"                    # detail: the finding's sentence; pte or None
    BAD_FORM = "entry-malformed"                        # the same
    ROOT_SHARED = "root-shared"                         # frame, process
    TABLE_SHARED = "table-shared"                       # frame, level, process or None for the kernel
    TABLE_REPEATED = "table-repeated"                   # detail: the finding's sentence; pte
    LIST_UNSOUND = "free-list-unsound"                  # detail: the finding's sentence
    FREE_IN_USE = "free-in-use"                         # frame, users: the one it is about; n: of its frames
    KERNEL_FREE_IN_USE = "kernel-frame-free"            # the same
    NEVER_MADE = "never-made"                           # frame: the root
    LOST = "frame-lost"                                 # users: the earlier ones; label, value: the count; is_shrimpy
    MORE_LOST = "more-frames-lost"                      # n, total
    NO_OWNER = "frames-without-owner"                   # n: frames, total: processes half made
    NOT_RETURNED = "frame-not-returned"                 # frame, users: the one who has it; n
    MISCOUNTED = "miscounted"                           # frame, free, label, value, bound; users, n: in all; total: of such counts
    COUNTS_DIFFER = "counts-differ"                     # n
    SATP_NOT_ROOT = "satp-not-root"                     # hart, value: satp; frame: its root, None without Sv39; process or None, wanted
    PANICKED = "panicked"                               # function: panic; functions: its callers; detail: its words; hart,
    #                                                     process; va, page: what is still mapped


_MOMENTS = frozenset((
    Kind.HALF_MADE, Kind.PROCESS_LOCKED, Kind.PLACE_UNKNOWN, Kind.INTERRUPTED, Kind.ON_NO_HART, Kind.IN_KERNEL,
    Kind.WAITS_INSIDE, Kind.STARTING, Kind.HART_ALLOCATES, Kind.LOCK_HELD, Kind.NOT_ENDED))

_UNKNOWN = frozenset((
    Kind.NO_SUCH_STATE, Kind.NOT_WALKED, Kind.STACK_UNKNOWN, Kind.AT_EARLIER_STOP, Kind.PROCESSES_UNKNOWN, Kind.NO_FREE_LIST,
    Kind.FREE_LIST_NOT_WALKED, Kind.FREE_LIST_BROKEN, Kind.IMAGE_END_UNKNOWN, Kind.NO_KERNEL_TABLE, Kind.TABLES_NOT_FOLLOWED,
    Kind.KERNEL_TABLE_NOT_FOLLOWED, Kind.ALLOCATOR_UNKNOWN, Kind.MAYBE_A_POOL, Kind.NO_COUNTS, Kind.COUNTS_NOT_UNDERSTOOD,
    Kind.TRUNCATED, Kind.NO_ROOT, Kind.OTHERS_LOST, Kind.MAYBE_ANOTHERS, Kind.SEGMENTS_UNKNOWN, Kind.ATTACHED_UNKNOWN,
    Kind.MAPPED_AT_TOUCH, Kind.BELOW_SZ, Kind.MAY_BE_NEW))

_BY_ANOTHER = frozenset((Kind.HELD_BACK, Kind.BEING_BURIED))


@record
class Named:
    """A process as people know it."""

    pid: int
    name: str = ""


@record
class Holder:
    """A user of a frame, with the names that it has for people.

    kind: as frames.User has it; page: "FRY" or "SHRIMP" where that is the page; label: the variable or field that
    points to it.
    """

    kind: str
    process: Optional[Named] = one(Named, default=None)
    page: Optional[str] = None
    va: Optional[int] = address(default=None)
    label: Optional[str] = None


@record
class Reason:
    """A kind and its data; Kind says which fields each has.

    frame, wanted: physical addresses of what is there and of what should be; value, bound: what a number is and should be,
    or may be at most; n, total: how many.
    """

    kind: Kind
    pid: Optional[int] = None
    process: Optional[Named] = one(Named, default=None)
    other: Optional[Named] = one(Named, default=None)
    processes: Tuple[Named, ...] = many(Named)
    hart: Optional[int] = None
    lock: Optional[str] = None
    state: Optional[str] = None
    page: Optional[str] = None
    other_page: Optional[str] = None
    va: Optional[int] = address(default=None)
    frame: Optional[int] = address(default=None)
    wanted: Optional[int] = address(default=None)
    pte: Optional[int] = address(default=None)
    flags: Optional[str] = None
    level: Optional[int] = None
    users: Tuple[Holder, ...] = many(Holder)
    free: bool = False
    function: Optional[str] = None
    functions: Tuple[str, ...] = ()
    label: Optional[str] = None
    value: Optional[int] = None
    n: Optional[int] = None
    total: Optional[int] = None
    bound: Optional[int] = None
    is_shrimpy: bool = False
    is_new_table: bool = False
    detail: Optional[str] = None
    played: Optional[Divergence] = one(Divergence, default=None)
    because: Optional["Reason"] = None
    stands: Optional["Reason"] = None

    @property
    def of(self) -> str:
        """Why something is not judged for this reason: MOMENT, UNKNOWN or NOTHING."""
        if self.kind in _BY_ANOTHER and self.because is not None:
            return MOMENT if self.because.of == MOMENT else UNKNOWN
        return MOMENT if self.kind in _MOMENTS else UNKNOWN if self.kind in _UNKNOWN else NOTHING

    def to_data(self) -> Dict[str, Any]:
        """As JSON has it: the kind, and the data that it has."""
        data: Dict[str, Any] = {**encode(self), "kind": self.kind.value, "because": self.because and self.because.to_data(),
                "stands": self.stands and self.stands.to_data()}
        return {key: value for key, value in data.items() if value is not None and value is not False and value != []}


@record
class Subject:
    """What a verdict is about.

    kind: "process", "children" (of pid), "kernel", "kernel-table", "ram", "frames" (n_pages from pa), "list", "counts" or
    "segment" (by their C name, label), "allocator".
    """

    kind: str
    process: Optional[Named] = one(Named, default=None)
    pa: Optional[int] = address(default=None)
    n_pages: int = 1
    label: Optional[str] = None

    def to_data(self) -> Dict[str, Any]:
        """As JSON has it: the kind, and the data that it has."""
        return {key: value for key, value in encode(self).items()
                if value is not None and (key != "n_pages" or self.pa is not None)}


KERNEL, KERNEL_TABLE, RAM, ALLOCATOR = Subject("kernel"), Subject("kernel-table"), Subject("ram"), Subject("allocator")
