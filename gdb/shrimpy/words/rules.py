"""What each rule demands, in one line."""

from __future__ import annotations

from typing import Mapping

WORTH_OF_A_PASS = "PASS at this stop. `make check` plays the rest."

STATEMENTS: Mapping[str, str] = {
    "below-trapframe": "FRY and SHRIMP are the two pages directly below TRAPFRAME, in either order",
    "shrimp-pair": "PHY(child, SHRIMP) = PHY(parent, FRY) while that parent lives",
    "shrimp-siblings": "children of one parent share one SHRIMP frame",
    "fry-private": "a FRY frame is FRY of one process, SHRIMP of its children, and nothing else",
    "fry-flags": "FRY is mapped with exactly V R W U (A and D ignored)",
    "shrimp-flags": "SHRIMP is mapped with exactly V R W U (A and D ignored)",
    "fry-zeroed": "a FRY page is zeros until somebody writes it",
    "orphan-alive": "an orphan's SHRIMP frame is neither free nor reused",
    "heap-below-shrimp": "PGROUNDUP(sz) <= SHRIMP, and <= FRY where that is lower",
    "exec-keeps": "a process keeps its FRY and SHRIMP frames, across exec and when its parent exits",
    "no-user-supervisor": "trampoline and trapframe lack U, a guard page lies below the stack, and no user page has both "
                          "W and X",
    "frame-in-ram": "every leaf and table frame is aligned and inside RAM",
    "pte-legal": "every entry is one that the architecture defines",
    "not-on-free-list": "nothing reachable is on the free list",
    "free-list-sound": "no cycle, no duplicate, every node in range",
    "table-private": "no table page under two roots",
    "frames-conserved": "every frame is the kernel image's, free, or somebody's",
    "frames-return": "what has ended has given its frames back",
    "count-matches": "where the kernel keeps counts, count = number of mappings",
    "segment-count": "a segment's count of attachments is what all page tables show",
    "segment-rights": "what is attached is mapped V R U without X, and W unless it is read-only",
    "segment-pages": "what is attached is the segment's own frames, each, in order",
    "segment-place": "what is attached lies above sz, and below FRY and SHRIMP",
    "segment-exec": "exec has detached what the program before had attached",
    "segment-private": "no two segments share a frame, or have one key",
    "segment-removed": "a removed segment goes with its last attachment",
    "satp-is-root": "a hart in user mode uses the table that its process has, by Sv39",
    "no-panic": "the kernel has not panicked",
    "specification": "after each operation every process sees what the specification says",
}
"""By the rule's id."""
