"""Files that are written complete, or left as they were."""

from __future__ import annotations

import errno
import os
import tempfile


def writable(path: str) -> str:
    """`path` whole, where a film can be written. Raises OSError where it cannot."""
    path = os.path.abspath(os.path.expanduser(path))
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
    return path


def write(path: str, text: str) -> None:
    """Writes text to a file atomically: the file is complete, or unchanged. Raises OSError."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # a terminal, a pipe
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return
    handle, draft = tempfile.mkstemp(prefix=".shrimpy-", dir=os.path.dirname(path))
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
