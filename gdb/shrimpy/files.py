"""Files that are written complete, or left as they were."""

from __future__ import annotations

import errno
import os
import tempfile
from typing import Union


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


def write(path: str, content: Union[str, bytes]) -> None:
    """Writes text (as UTF-8) or bytes to a file atomically: the file is complete, or unchanged. Raises OSError."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # a terminal, a pipe
        with open(path, "wb") as file:
            file.write(data)
        return
    handle, draft = tempfile.mkstemp(prefix=".shrimpy-", dir=os.path.dirname(path))
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
