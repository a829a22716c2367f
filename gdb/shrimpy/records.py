"""Frozen dataclasses that go to JSON and back, and the one decoder of what this project reads from files.

A field's type says what it may hold, its metadata how JSON writes that: plain (as it is), an address
(a hex string), a record, a list of records, or runs of frames. The decoder checks both.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import typing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Optional, Tuple, Type, TypeVar

__all__ = ["Document", "Runs", "Unfit", "address", "decode", "encode", "later_address", "many", "names", "nested", "one", "pairs", "plain",
           "pte_flags", "record", "word"]

T = TypeVar("T")

_SLOTS = {"slots": True} if sys.version_info >= (3, 10) else {}


if TYPE_CHECKING:       # it knows dataclasses by their own names only
    from dataclasses import dataclass as record, field as address
else:
    def record(cls: Type[T]) -> Type[T]:
        """Make `cls` a frozen dataclass, with slots where Python has them (3.10)."""
        return dataclasses.dataclass(frozen=True, **_SLOTS)(cls)

    def address(**kwargs: Any) -> Any:
        """A field that holds an address or a register: a hex string in JSON."""
        return _field("hex", **kwargs)


# How JSON writes a field. later: the key was added to a version of the document that was in use already, so a
# document without it is read as one that has the field's default.

def plain(**kwargs: Any) -> Any:
    """A field that JSON holds as it is: a number, a string, true or false, or a list of strings."""
    return _field("plain", **kwargs)


def later_address(**kwargs: Any) -> Any:
    """An address whose key was added later."""
    return _field("hex", later=True, **kwargs)


def pte_flags(**kwargs: Any) -> Any:
    """A field that holds an entry's flags, "VRW-U-AD"."""
    return _field("flags", **kwargs)


def word(*known: str, **kwargs: Any) -> Any:
    """A field that holds one of the `known` strings."""
    return _field("word", known=known, **kwargs)


def one(cls: type, **kwargs: Any) -> Any:
    """A field that holds a record of class `cls`, or None."""
    return _field("one", cls=cls, **kwargs)


def many(cls: type, **kwargs: Any) -> Any:
    """A field that holds a tuple of records of class `cls`."""
    kwargs.setdefault("default", ())
    return _field("many", cls=cls, **kwargs)


def pairs(**kwargs: Any) -> Any:
    """A field that holds a tuple of (address, number)."""
    kwargs.setdefault("default", ())
    return _field("pairs", **kwargs)


def names(**kwargs: Any) -> Any:
    """A field that holds a tuple of (name, text), an object in JSON."""
    kwargs.setdefault("default", ())
    return _field("names", **kwargs)


def nested(key: str, read: Callable[[Any], T]) -> Any:
    """A field that holds what `read` makes of the whole document at `key`; it is only decoded. read raises Unfit."""
    return _field("nested", key=key, read=read)


def _field(how: str, later: bool = False, default: Any = dataclasses.MISSING, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"json": how, "later": later, **more})


# Out

def encode(value: Any) -> Dict[str, Any]:
    """`value`, a record, as what `json.dumps` takes: keys in declared order."""
    return {name: _encode_field(how, getattr(value, name)) for name, how in _fields_of(type(value))}     # type: ignore[arg-type]


@lru_cache(maxsize=None)
def _fields_of(record: type) -> Tuple[Tuple[str, Optional[str]], ...]:
    return tuple((f.name, f.metadata.get("json")) for f in dataclasses.fields(record))


def _encode_field(how: Optional[str], value: Any) -> Any:
    if value is None:
        return None
    if how == "hex":
        return hex(value)
    if how == "one":
        return encode(value)
    if how == "many":
        return [encode(item) for item in value]
    if how == "pairs":
        return [[hex(pa), n] for pa, n in value]
    if how == "names":
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


# In

class Unfit(ValueError):
    """A place in a document that does not hold what it must. Its text is one line.

    place: "processes[2].mappings[0].pa", or "" for the whole; advice: what to try, or "".
    """

    def __init__(self, expected: str, found: str, place: str = "", advice: str = "") -> None:
        super().__init__(expected, found, place, advice)
        self.expected, self.found, self.place, self.advice = expected, found, place, advice

    def inside(self, outer: str) -> None:
        """Put `outer`, a key or an index, before the place: the document was the value there."""
        self.place = outer + ("." if self.place and not self.place.startswith("[") else "") + self.place

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}expected {self.expected}, found {self.found}" + (f"; {self.advice}" if self.advice else "")


_BEGINNING = 200        # characters; the key "schema" is the first of a document


class Document(NamedTuple):
    """A kind of document, by its keys "schema" and "version"; again: what to try when one is broken."""

    schema: str
    version: int
    again: str

    def parse(self, text: str, read: Callable[[Any], T]) -> T:
        """What `read` makes of the document in `text`. Raises Unfit, with its advice."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Unfit(f"a {self.schema} in JSON", f"something else ({error})", "", self.again) from None
        try:
            self.check(data)
            return read(data)
        except Unfit as error:
            error.advice = error.advice or self.again
            raise

    def is_meant(self, text: str) -> bool:
        """Whether `text` begins as a document of this kind does, sound or not."""
        return f'"{self.schema}"' in text[:_BEGINNING]

    def check(self, data: Any) -> None:
        """Raises Unfit where `data` is not the root of a document of this kind."""
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != self.schema:
            raise Unfit(f'"{self.schema}"', json.dumps(schema), "schema", f"is it a {self.schema.split('-')[-1]}?")
        version = data.get("version")
        if version != self.version or isinstance(version, bool):
            raise Unfit(f"{self.version}", json.dumps(version), "version", "use the gdb/ and viz/ of one checkout")


def decode(cls: Type[T], data: Any) -> T:
    """The record of class `cls` that `encode` wrote as `data`.

    Keys that `cls` does not know are ignored. A key may be missing where its field says so (later), and
    where the default is None: what a document does not tell is not known. Raises Unfit.
    """
    if not isinstance(data, dict):
        raise _unfit("an object", data)
    values = {}
    for f in _fields(cls):  # type: ignore[arg-type]
        if f.key in data:
            try:
                values[f.name] = f.read(data[f.key])
            except Unfit as error:
                error.inside(f.key)
                raise
        elif f.required:
            raise Unfit(f.expected, "nothing", f.key)
    return cls(**values)


_Read = Callable[[Any], Any]


class _Field(NamedTuple):
    """How one field is decoded. expected: in words, what it must hold."""

    name: str
    key: str
    expected: str
    read: _Read
    required: bool


@lru_cache(maxsize=None)
def _fields(cls: type) -> Tuple[_Field, ...]:
    types = typing.get_type_hints(cls)
    found = []
    for f in dataclasses.fields(cls):
        inner, nullable = _without_none(types[f.name])
        expected, read = _reader(f.metadata, inner)
        required = f.default is not None and not f.metadata.get("later")
        found.append(_Field(f.name, f.metadata.get("key") or f.name, expected,
                            _or_none(read) if nullable else read, required))
    return tuple(found)


def _without_none(kind: Any) -> Tuple[Any, bool]:
    """X of Optional[X], and whether it was one."""
    parts = typing.get_args(kind) if typing.get_origin(kind) is typing.Union else ()
    rest = [part for part in parts if part is not _NONE]
    return (rest[0], True) if len(rest) == 1 < len(parts) else (kind, False)


def _or_none(read: _Read) -> _Read:
    return lambda value: None if value is None else read(value)


def _reader(metadata: Any, kind: Any) -> Tuple[str, _Read]:
    """(what such a field must hold, in words, and what decodes it)."""
    how = metadata.get("json", "plain")
    if how == "plain":
        if kind in _PLAIN:
            return _PLAIN[kind]
        if typing.get_args(kind) in ((str, ...), (int, ...)):
            item = _text if typing.get_args(kind)[0] is str else _number
            return _LIST, lambda value: _items(item, value)
        raise TypeError(f"a field of {kind} is not plain")
    if how == "one":
        return "an object", lambda value: decode(metadata["cls"], value)
    if how == "many":
        return _LIST, lambda value: _items(lambda item: decode(metadata["cls"], item), value)
    if how == "word":
        expected = "one of " + " ".join(f'"{known}"' for known in metadata["known"])
        return expected, lambda value: _checked(value in metadata["known"], expected, value)
    if how == "nested":
        return "an object", metadata["read"]
    return _WRITTEN[how]


def _unfit(expected: str, value: Any) -> Unfit:
    found = json.dumps(value)
    return Unfit(expected, found if len(found) <= _SHOWN else found[:_SHOWN] + "...")


def _checked(fits: bool, expected: str, value: Any) -> Any:
    if not fits:
        raise _unfit(expected, value)
    return value


def _number(value: Any) -> int:
    fits = isinstance(value, int) and not isinstance(value, bool) and -1 << 63 <= value < 1 << 64
    found: int = _checked(fits, _NUMBER, value)
    return found


def _text(value: Any) -> str:
    found: str = _checked(isinstance(value, str), _TEXT, value)
    return found


def _truth(value: Any) -> bool:
    found: bool = _checked(isinstance(value, bool), _TRUTH, value)
    return found


def _hex(value: Any) -> int:
    return int(_checked(isinstance(value, str) and _HEX_DIGITS.fullmatch(value) is not None, _HEX, value), 16)


def _flags(value: Any) -> str:
    found: str = _checked(isinstance(value, str) and _FLAG_LETTERS.fullmatch(value) is not None, _FLAGS, value)
    return found


def _items(read: _Read, value: Any) -> Tuple[Any, ...]:
    if not isinstance(value, list):
        raise _unfit(_LIST, value)
    found = []
    try:
        for item in value:
            found.append(read(item))
    except Unfit as error:
        error.inside(f"[{len(found)}]")
        raise
    return tuple(found)


def _pair(value: Any) -> Tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise _unfit("a pair [address, number]", value)
    at = 0
    try:
        first = _hex(value[0])
        at = 1
        return first, _number(value[1])
    except Unfit as error:
        error.inside(f"[{at}]")
        raise


def _pairs(value: Any) -> Tuple[Tuple[int, int], ...]:
    return _items(_pair, value)


def _names(value: Any) -> Tuple[Tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise _unfit(_NAMES, value)
    for key, text in value.items():
        if not isinstance(text, str):
            error = _unfit(_TEXT, text)
            error.inside(key)
            raise error
    return tuple(value.items())


_NONE = type(None)
_SHOWN = 40             # characters of a wrong value
_HEX_DIGITS = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FLAG_LETTERS = re.compile("[V-][R-][W-][X-][U-][G-][A-][D-]")
_NUMBER, _TEXT, _TRUTH = "a whole number of 64 bits", "a string", "true or false"
_HEX, _FLAGS = 'a hex string such as "0x80000000"', 'flags such as "VRW-U-AD"'
_LIST, _NAMES = "a list", "an object of strings"
_PLAIN: Dict[Any, Tuple[str, _Read]] = {int: (_NUMBER, _number), str: (_TEXT, _text), bool: (_TRUTH, _truth)}
_WRITTEN: Dict[str, Tuple[str, _Read]] = {"hex": (_HEX, _hex), "flags": (_FLAGS, _flags), "pairs": (_LIST, _pairs),
                                          "names": (_NAMES, _names)}

Runs = Tuple[Tuple[int, int], ...]
"""Runs of frames: (first physical address, number of pages), ascending."""
