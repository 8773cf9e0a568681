"""Rows: what a plugin over rows reads and sets."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from .columns import Reader, Root, find
from .host import DataType, types
from .values import WrongType, instant, well_formed

_CODE = re.compile("[a-z0-9_]{1,64}")


class Refusal(Exception):
    """Why a row is refused. `reject` makes one, to be raised."""

    def __init__(self, code: str, message: str, column: str | None = None):
        super().__init__(message)
        self.code, self.message, self.column = code, message, column


def reject(code: str, message: str, column: str | None = None) -> Refusal:
    """What refuses a row when it is raised: `raise reject("bad_country", …)`.

    `code` is a stable word for counting (`a-z`, `0-9`, `_`; not one that begins with `plugin_`, as the host's
    own do), `message` tells a person what is wrong. `column` is the path of the column at fault, one that the
    plugin reads or writes; elements of a list by their number, from 0: `items[3].price`.
    """
    if not _CODE.fullmatch(code) or code.startswith("plugin_"):
        raise ValueError(f"`{code}` is no code: 1 to 64 of a-z, 0-9 and `_`, not `plugin_…`")
    return Refusal(code, message, column)


def rejection(row: int, refusal: Refusal) -> types.Rejection:
    """A refusal as the contract has it."""
    column = None if refusal.column is None else well_formed(refusal.column)
    return types.Rejection(row, refusal.code, well_formed(refusal.message), column)


class Row:
    """One row of a batch. `row["country"]` is a value, None where there is none, and `row["country"] = "PL"` sets
    one. Fields of records are named by path: `row["user.email"]`. A record is a dict, a list a list.

    A column that the plugin writes and does not set keeps what was read, or is None; a record the fields that are
    announced.
    """

    __slots__ = ("_found", "_ingest_time", "_multiplies", "_read", "_roots", "_row", "_set", "dropped", "rows")

    def __init__(self, read: dict[str, Reader], roots: dict[str, Root], ingest_time: int, multiplies: bool):
        self._read, self._roots = read, roots
        self._ingest_time, self._multiplies = ingest_time, multiplies
        self._found: dict[str, Reader] = {}
        self._begin(0)

    def _begin(self, row: int) -> None:
        self._row, self._set, self.dropped, self.rows = row, {}, False, []

    def _column(self, path: str) -> Reader:
        column = self._found.get(path)
        if column is None:
            column = find(self._read, path)
            if column is None:
                raise KeyError(f"`{path}` is not read: add it to `reads`")
            self._found[path] = column
        return column

    def __getitem__(self, path: str) -> Any:
        return self._column(path).value(self._row)

    # Nobody walks it: Python would take it for a list, and ask for column 0.
    __iter__ = None

    def __contains__(self, path: str) -> bool:
        return find(self._read, path) is not None

    def get(self, path: str, default: Any = None) -> Any:
        """The value of a column; `default` where it is None, or where the column is not there."""
        value = self[path] if path in self else None
        return default if value is None else value

    def require(self, path: str) -> Any:
        """The value of a column; None refuses the row with code `required`."""
        return self._required(path, self[path])

    def _required(self, path: str, value: Any) -> Any:
        if value is None:
            raise Refusal("required", f"`{path}` is missing", path)
        return value

    def _typed(self, path: str, data_type: DataType) -> Any:
        column = self._column(path)
        if column.data_type is not data_type or column.offsets is not None:
            raise WrongType(f"`{path}` is {column.data_type.name}, not {data_type.name}")
        return column.element(self._row)

    def text(self, path: str) -> str | None:
        """The text of a column."""
        return self._typed(path, DataType.TEXT)

    def require_text(self, path: str) -> str:
        """The text of a column; None refuses the row with code `required`."""
        return self._required(path, self.text(path))

    def int64(self, path: str) -> int | None:
        """The integer of a column."""
        return self._typed(path, DataType.INT64)

    def require_int64(self, path: str) -> int:
        """The integer of a column; None refuses the row with code `required`."""
        return self._required(path, self.int64(path))

    def float64(self, path: str) -> float | None:
        """The number of a column."""
        return self._typed(path, DataType.FLOAT64)

    def decimal(self, path: str) -> Decimal | None:
        """The exact number of a column."""
        return self._typed(path, DataType.DECIMAL)

    def require_decimal(self, path: str) -> Decimal:
        """The exact number of a column; None refuses the row with code `required`."""
        return self._required(path, self.decimal(path))

    def boolean(self, path: str) -> bool | None:
        """The boolean of a column."""
        return self._typed(path, DataType.BOOLEAN)

    def date(self, path: str) -> dt.date | None:
        """The date of a column."""
        return self._typed(path, DataType.DATE)

    def time(self, path: str) -> dt.time | None:
        """The time of day of a column."""
        return self._typed(path, DataType.TIME)

    def datetime(self, path: str) -> dt.datetime | None:
        """The day and time of day of a column, in no zone."""
        return self._typed(path, DataType.DATETIME)

    def timestamp(self, path: str) -> dt.datetime | None:
        """The instant of a column, in UTC."""
        return self._typed(path, DataType.TIMESTAMP)

    def json(self, path: str) -> str | None:
        """The JSON of a column, as its text."""
        return self._typed(path, DataType.JSON)

    def blob(self, path: str) -> bytes | None:
        """The bytes of a column."""
        return self._typed(path, DataType.BLOB)

    def record(self, path: str) -> dict[str, Any] | None:
        """The record of a column."""
        return self._typed(path, DataType.RECORD)

    def list(self, path: str) -> list[Any]:
        """The list of a column, which may be empty."""
        if self._column(path).offsets is None:
            raise WrongType(f"`{path}` is no list")
        return self[path]

    @property
    def ingest_time(self) -> dt.datetime:
        """When the host took the row in: the plugin's "now"."""
        return instant(self._ingest_time)

    def __setitem__(self, path: str, value: Any) -> None:
        root = self._roots.get(path)
        if root is None:
            raise KeyError(f"`{path}` is set but not announced: add it to `writes`, or set its record")
        self._set[path] = root.encode(value, self._row)

    def set(self, path: str, value: Any) -> None:
        """The same as `row[path] = value`.

        A record that is announced is set as a whole, with a dict, and a list with a list. A field that the dict
        leaves out is None, and one that is not announced is a KeyError. A field that is announced without its
        record is set by path; where that leads through a list, with a list that has a value for each element, in
        their order.
        """
        self[path] = value

    def filter_out(self) -> None:
        """Filters the row out: counted, not dead-lettered."""
        self.dropped = True

    def emit(self) -> None:
        """Ends a row of those that become of this one, with what is set. What is set for one is not for the next.
        Without any call of it one row becomes one row. `multiplies=True` announces it."""
        self._emit(None)

    def emit_refused(self, refusal: Refusal) -> None:
        """Ends a row as `emit` does, and refuses it alone."""
        self._emit(refusal)

    def _emit(self, refusal: Refusal | None) -> None:
        if not self._multiplies:
            raise ValueError("a row is emitted, but the plugin has no `multiplies=True`")
        self.rows.append((self._set, self.dropped, refusal))
        self._set, self.dropped = {}, False

    def _end(self, refusal: Refusal | None) -> list[tuple[dict, bool, Refusal | None]]:
        """The rows that became of it."""
        if refusal is not None:
            return [({}, False, refusal)]
        if not self.rows:
            return [(self._set, self.dropped, None)]
        if self._set or self.dropped:
            raise ValueError("a row is set or filtered out after the last one was emitted")
        return self.rows
