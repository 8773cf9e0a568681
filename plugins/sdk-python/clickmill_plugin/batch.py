"""Whole columns: what a plugin over columns reads and sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Set
from typing import Any

from .columns import Reader, Root, find
from .host import types
from .row import reject, rejection
from .values import WrongType, instant

# These can be walked too, by their letters, bytes or keys, which are nobody's rows.
_NO_COLUMNS = (str, bytes, bytearray, memoryview, Mapping, Set)


class Batch:
    """The rows of a call. `batch["country"]` is the list of a column's values, None where there is none, and
    `batch["country"] = […]` sets them, a value for each row; a text, bytes, a dict or a set are a TypeError. A column
    that is not set keeps what was read.

    `raw` is the batch as the contract has it, its columns as offsets and bytes.
    """

    def __init__(self, raw: types.Batch, read: dict[str, Reader], roots: dict[str, Root]):
        self.raw = raw
        self._read, self._roots, self._set = read, roots, {}
        self._output = types.Output(None, [], [], [])

    def __len__(self) -> int:
        return self.raw.rows

    def __getitem__(self, path: str) -> list[Any]:
        column = find(self._read, path)
        if column is None:
            raise KeyError(f"`{path}` is not read: add it to `reads`")
        if column.offsets is None and column.column.validity is None and column.decode:
            return list(map(column.decode, map(column._raw, range(len(self)))))
        return list(map(column.value, range(len(self))))

    def __setitem__(self, path: str, values: Iterable[Any]) -> None:
        root = self._roots.get(path)
        if root is None:
            raise KeyError(f"`{path}` is set but not announced: add it to `writes`, or set its record")
        if isinstance(values, _NO_COLUMNS) or not isinstance(values, Iterable):
            told = f"`{path}` is set to a {type(values).__name__}"
            raise WrongType(f"{told}, wanted a list with a value for each row")
        encoded = [root.encode(value, row) for row, value in enumerate(values)]
        if len(encoded) != len(self):
            raise ValueError(f"`{path}` is set to {len(encoded)} values, wanted {len(self)}")
        self._set[path] = encoded

    @property
    def ingest_time(self) -> dt.datetime:
        """When the host took the rows in: the plugin's "now"."""
        return instant(self.raw.ingest_time)

    def reject(self, row: int, code: str, message: str, column: str | None = None) -> None:
        """Refuses a row: see `clickmill_plugin.reject`."""
        self._output.rejections.append(rejection(row, reject(code, message, column)))

    def filter_out(self, row: int) -> None:
        """Filters a row out: counted, not dead-lettered."""
        self._output.dropped.append(row)

    def _end(self) -> types.Output:
        for path, root in self._roots.items():
            if path in self._set:
                for encoded in self._set[path]:
                    root.push(encoded)
            else:
                for row in range(len(self)):
                    root.keep(row)
            root.finish(None, self._output.columns)
        return self._output
