"""Reads JSON documents, and says of what is not as it must be where it is."""
from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, TypeVar

from .errors import VizError

T = TypeVar("T")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLAGS = re.compile("[V-][R-][W-][X-][U-][G-][A-][D-]")


@dataclass(frozen=True)
class Kind:
    """A kind of document, by its keys "schema" and "version"; `again` is what to try when one is broken."""
    schema: str
    version: int
    again: str


class Node:
    """A place in a document that knows its own path, for the error message."""

    def __init__(self, value: Any, path: str, kind: Kind):
        self.value = value
        self.path = path
        self.kind = kind

    def wrong(self, expected: str) -> VizError:
        found = json.dumps(self.value)
        if len(found) > 40:
            found = found[:40] + "..."
        return VizError(f"{self.path}: expected {expected}, found {found}; {self.kind.again}")

    def below(self, key: str) -> str:
        """The path of `key` here."""
        return f"{self.path}.{key}" if self.path else key

    def document(self, kind: Kind) -> "Node":
        """This place as the root of a document of `kind`."""
        schema = self.value.get("schema") if isinstance(self.value, dict) else None
        if schema != kind.schema:
            raise VizError(f'{self.below("schema")}: expected "{kind.schema}", found {json.dumps(schema)}; '
                           f"is it a {kind.schema.split('-')[-1]}?")
        version = self.value.get("version")
        if version != kind.version or isinstance(version, bool):
            raise VizError(f"{self.below('version')}: expected {kind.version}, found {json.dumps(version)}; "
                           "use the gdb/ and viz/ of one checkout")
        return Node(self.value, self.path, kind)

    def at(self, key: str) -> "Node":
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        path = self.below(key)
        if key not in self.value:
            raise VizError(f"{path}: expected by {self.kind.schema} version {self.kind.version}, found nothing; "
                           f"{self.kind.again}")
        return Node(self.value[key], path, self.kind)

    def new(self, key: str) -> "Node":
        """What `key` holds, null in a file from before the key was added to this version."""
        return self.at(key) if key in self.value else Node(None, self.below(key), self.kind)

    def each(self, read: Callable[["Node"], T]) -> tuple[T, ...]:
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return tuple(read(Node(item, f"{self.path}[{i}]", self.kind)) for i, item in enumerate(self.value))

    def maybe(self, read: Callable[["Node"], T]) -> Optional[T]:
        return None if self.value is None else read(self)

    def number(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or abs(self.value) >= 1 << 63:
            raise self.wrong("a whole number of 64 bits")
        return self.value

    def hex(self) -> int:
        if not isinstance(self.value, str) or not _HEX.fullmatch(self.value):
            raise self.wrong('a hex string such as "0x80000000"')
        return int(self.value, 16)

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("a string")
        return self.value

    def word(self, *known: str) -> str:
        if self.value not in known:
            raise self.wrong("one of " + " ".join(f'"{word}"' for word in known))
        return self.value

    def flags(self) -> str:
        if not isinstance(self.value, str) or not _FLAGS.fullmatch(self.value):
            raise self.wrong('flags such as "VRW-U-AD"')
        return self.value

    def truth(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def pair(self) -> tuple[int, int]:
        if not isinstance(self.value, list) or len(self.value) != 2:
            raise self.wrong("a pair [address, number]")
        first, second = (Node(v, f"{self.path}[{i}]", self.kind) for i, v in enumerate(self.value))
        return first.hex(), second.number()


def parse(text: str, kind: Kind) -> Node:
    """The document of `kind` that `text` holds. Raises VizError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise VizError(f"expected a {kind.schema} in JSON, found something else ({e}); {kind.again}") from None
    return Node(value, "", kind).document(kind)


def load(name: str, read: Callable[[str], T]) -> T:
    """What `read` makes of the file `name`, or of standard input when it is "-". Raises VizError."""
    where = "standard input" if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return read(data.decode("utf-8"))
    except OSError as e:
        raise VizError(f"{where}: cannot be read: {e.strerror}") from None
    except UnicodeDecodeError as e:
        raise VizError(f"{where}: expected JSON in UTF-8, found byte {data[e.start]:#04x} "
                       f"at offset {e.start}") from None
    except VizError as e:
        raise VizError(f"{where}: {e}") from None
