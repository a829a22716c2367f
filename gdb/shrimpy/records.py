"""Frozen dataclasses that go to JSON and back.

A field says in its metadata how JSON writes it: plain (as it is), an address
(a hex string), a record, a list of records, or runs of frames.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, Dict, Optional, Tuple, Type, TypeVar

T = TypeVar("T")

_SLOTS = {"slots": True} if sys.version_info >= (3, 10) else {}


def record(cls: Type[T]) -> Type[T]:
    """Make `cls` a frozen dataclass, with slots where Python has them (3.10)."""
    return dataclasses.dataclass(frozen=True, **_SLOTS)(cls)


def address(**kwargs: Any) -> Any:
    """A field that holds an address or a register: a hex string in JSON."""
    return dataclasses.field(metadata={"json": "hex"}, **kwargs)


def one(cls: type, **kwargs: Any) -> Any:
    """A field that holds a record of class `cls`, or None."""
    return dataclasses.field(metadata={"json": "one", "cls": cls}, **kwargs)


def many(cls: type, **kwargs: Any) -> Any:
    """A field that holds a tuple of records of class `cls`."""
    kwargs.setdefault("default", ())
    return dataclasses.field(metadata={"json": "many", "cls": cls}, **kwargs)


def pairs(**kwargs: Any) -> Any:
    """A field that holds a tuple of (address, number)."""
    kwargs.setdefault("default", ())
    return dataclasses.field(metadata={"json": "pairs"}, **kwargs)


def names(**kwargs: Any) -> Any:
    """A field that holds a tuple of (name, text), an object in JSON."""
    kwargs.setdefault("default", ())
    return dataclasses.field(metadata={"json": "names"}, **kwargs)


def encode(value: Any) -> Dict[str, Any]:
    """`value`, a record, as what `json.dumps` takes: keys in declared order."""
    return {f.name: _encode_field(f.metadata.get("json"), getattr(value, f.name))
            for f in dataclasses.fields(value)}


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


def decode(cls: Type[T], data: Dict[str, Any]) -> T:
    """The record of class `cls` that `encode` wrote as `data`.

    Keys that `cls` does not know are ignored; a missing key takes the field's
    default. Raises ValueError when a required key is missing or a value has
    the wrong shape.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{cls.__name__}: expected an object, found {type(data).__name__}")
    values = {}
    for f in dataclasses.fields(cls):
        if f.name in data:
            try:
                values[f.name] = _decode_field(f.metadata, data[f.name])
            except (AttributeError, TypeError, ValueError) as error:
                raise ValueError(f"{cls.__name__}.{f.name}: {error}") from error
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"{cls.__name__}: {error}") from error


def _decode_field(metadata: Any, value: Any) -> Any:
    how = metadata.get("json")
    if value is None:
        return None
    if how == "hex":
        return int(value, 16)
    if how == "one":
        return decode(metadata["cls"], value)
    if how == "many":
        return tuple(decode(metadata["cls"], item) for item in value)
    if how == "pairs":
        return tuple((int(pa, 16), n) for pa, n in value)
    if how == "names":
        return tuple(value.items())
    return tuple(value) if isinstance(value, list) else value


Runs = Tuple[Tuple[int, int], ...]
"""Runs of frames: (first physical address, number of pages), ascending."""
