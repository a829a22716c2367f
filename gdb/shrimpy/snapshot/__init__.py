"""The whole of a stopped machine as plain data: the model and its JSON, taking one, asking it, comparing two."""

from .frames import Frame, User
from .model import (
    DOCUMENT, Attachment, Counts, Free, FreeList, Hart, KernelTable, Layout, Lock, Mapping, Process, Segment, Snapshot, Stop)
from .taking import take

__all__ = ["DOCUMENT", "Attachment", "Counts", "Frame", "Free", "FreeList", "Hart", "KernelTable", "Layout", "Lock", "Mapping",
           "Process", "Segment", "Snapshot", "Stop", "User", "take"]
