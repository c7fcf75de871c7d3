"""See that every byte a `.tflite` file's readers will touch is there, before anybody touches it.

A FlatBuffer is a tree of tables that point to each other by relative offsets, and the accessors
follow whatever is written there. The schema has no table within itself, so that this walk along
the schema ends at any content; a file whose parts overlap, so that few bytes stand for a large
tree, is refused as well. The rules are those of FlatBuffers' own verifier, which Python has not.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from weft.compiler.tflite_schema import ENUMS, NAMES, TABLES, Field

_VTABLE = struct.Struct("<HH")  # its bytes, and those of its table
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_SCALARS = {
    "byte": struct.Struct("<b"), "int": _I32, "uint": _U32, "ubyte": struct.Struct("<B"),
}  # fmt: skip

#: Where the file says what it is.
IDENTIFIER = slice(4, 8)

#: All parts together may be this many times as large as the file: strings may be shared.
_OVERLAP = 2

#: Tables of a whole file; the largest published models have some ten thousand.
_MOST_TABLES = 2**17

#: Tables that a newer schema may extend by what does not change a result.
_EXTENSIBLE = ("Model", "SubGraph")


class DamagedError(ValueError):
    """The bytes are no consistent file; the text says where, to follow 'is damaged: '."""


class NewerError(ValueError):
    """The file has a thing that this schema does not know; the text says which one."""


def verify(data: bytes) -> None:
    """Check the structure of a file.

    After it the accessors of the package `tflite` neither fail nor loop on the tables of
    `tflite_schema`, and all they return is at most twice as large as the file.

    Raises
    ------
    DamagedError
        If something lies outside of the file or is not what the schema says.
    NewerError
        If a field, an enumeration's number or a union's kind is not in the schema.
    """
    if len(data) < IDENTIFIER.stop:
        raise DamagedError("it ends before its first table")
    _Walk(data).table(_U32.unpack_from(data, 0)[0], "Model", _Place("model", None))


class _Place(NamedTuple):
    """Where in the file the walk is; spelled only when it has to be."""

    name: str | int
    outer: _Place | None

    def __str__(self) -> str:
        words = []
        place: _Place | None = self
        while place:
            words.append(f"[{place.name}]" if isinstance(place.name, int) else f".{place.name}")
            place = place.outer
        return "".join(reversed(words)).removeprefix(".model").removeprefix(".") or "the model"


class _Walk:
    """One pass over a file."""

    def __init__(self, data: bytes):
        self._data = data
        self._size = len(data)
        self._bytes_left = _OVERLAP * len(data)
        self._tables_left = _MOST_TABLES

    def table(self, position: int, name: str, place: _Place) -> None:
        """Check a table and all below it."""
        data = self._data
        self._inside(position, 4, 4, place)
        vtable = position - _I32.unpack_from(data, position)[0]
        self._inside(vtable, 4, 2, place)
        vtable_size, inline = _VTABLE.unpack_from(data, vtable)
        if vtable_size < 4 or vtable_size % 2 or inline < 4:
            raise DamagedError(f"{place} has no valid table of fields")
        self._inside(vtable, vtable_size, 2, place)
        self._inside(position, inline, 4, place)
        fields, known = TABLES[name]
        self._charge(inline + max(0, vtable_size - 4 - 2 * known))  # the rest may be shared
        self._tables_left -= 1
        if self._tables_left < 0:
            raise DamagedError(f"it has more than {_MOST_TABLES} tables")
        entries = struct.unpack_from(f"<{vtable_size // 2 - 2}H", data, vtable + 4)
        if any(entries[known:]) and name not in _EXTENSIBLE:
            raise NewerError(f"{place} has a field that no {name} has")
        for field in fields:
            if field.kind == "union":
                self._union(field, position, inline, entries, place)
                continue
            offset = entries[field.slot] if field.slot < len(entries) else 0
            if offset:
                inner = _Place(field.name, place)
                self._inline(offset, field.size if field.kind == "scalar" else 4, inline, inner)
                self._field(field, position + offset, inner)

    def _field(self, field: Field, at: int, place: _Place) -> None:
        if field.kind == "scalar":
            if field.of in ENUMS:
                number = _SCALARS[ENUMS[field.of]].unpack_from(self._data, at)[0]
                if number not in NAMES[field.of]:
                    raise NewerError(f"{place} is {number}, which no {field.of} has")
        elif field.kind == "scalars":
            self._vector(at, field.size, place)
        elif field.kind == "string":
            self._vector(at, 1, place)
        elif field.kind == "table":
            self.table(self._follow(at), field.of, place)
        elif field.kind == "tables":
            first, count = self._vector(at, 4, place)
            for index in range(count):
                self.table(self._follow(first + 4 * index), field.of, _Place(index, place))

    def _union(
        self, field: Field, position: int, inline: int, entries: tuple[int, ...], place: _Place
    ) -> None:
        kind_at, table_at = (*entries[field.slot : field.slot + 2], 0, 0)[:2]
        place = _Place(field.name, place)
        kind = 0
        if kind_at:
            self._inline(kind_at, 1, inline, place)
            kind = self._data[position + kind_at]
        if table_at:
            self._inline(table_at, 4, inline, place)
            if not kind:
                raise DamagedError(f"{place} is there, but not which kind it is")
        if kind not in NAMES[field.of]:
            raise NewerError(f"{place} is of kind {kind}, which no {field.of} has")
        if kind and table_at:
            self.table(self._follow(position + table_at), NAMES[field.of][kind], place)

    def _follow(self, at: int) -> int:
        return at + _U32.unpack_from(self._data, at)[0]

    def _vector(self, at: int, size: int, place: _Place) -> tuple[int, int]:
        """Where a vector's elements begin, and how many they are."""
        start = self._follow(at)
        self._inside(start, 4, 4, place)
        count = _U32.unpack_from(self._data, start)[0]
        self._inside(start + 4, count * size, 1, place)
        self._charge(4 + count * size)
        return start + 4, count

    def _inline(self, offset: int, size: int, inline: int, place: _Place) -> None:
        if offset < 4 or offset + size > inline:
            raise DamagedError(f"{place} lies outside of its table")

    def _inside(self, start: int, size: int, alignment: int, place: _Place) -> None:
        if start < 0 or start + size > self._size:
            raise DamagedError(f"{place} lies outside of the file, which may be cut short")
        if start % alignment:
            raise DamagedError(f"{place} is not aligned")

    def _charge(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise DamagedError("its parts are larger than the file, they overlap")
