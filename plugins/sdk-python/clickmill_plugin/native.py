"""The host's functions for native tests, with the names that a component finds them by."""

import sys
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate

from . import contract


class Err(Exception):
    """The error of a function of the contract."""

    def __init__(self, value):
        super().__init__(value)
        self.value = value


@dataclass
class Table:
    """A lookup table: field values by key."""

    fields: tuple[str, ...]
    rows: dict[str, dict[str, str]] = field(default_factory=dict)


LINES: list[str] = []
TABLES: dict[str, Table] = {}


class log:
    class Level(Enum):
        DEBUG = 0
        INFO = 1
        WARN = 2
        ERROR = 3

    @staticmethod
    def write(level: Level, message: str) -> None:
        LINES.append(f"{level.name.lower()}: {message}")
        print(LINES[-1], file=sys.stderr)

    @staticmethod
    def unreadable(column: str, values: int) -> None:
        LINES.append(f"unreadable: {values} {column}")


@dataclass
class UnknownTable:
    value: str


@dataclass
class UnknownField:
    value: list[str]


class lookup:
    @staticmethod
    def find(table: str, field: str, keys: contract.Text) -> contract.Column:
        known = TABLES.get(table)
        if known is None:
            raise Err(UnknownTable(table))
        if field not in known.fields:
            raise Err(UnknownField(list(known.fields)))
        ends = keys.offsets
        asked = [keys.bytes[a:b].decode() for a, b in zip(ends, ends[1:])]
        found = [known.rows.get(key, {}).get(field) for key in asked]
        data = [(value or "").encode() for value in found]
        bits = sum(1 << at for at, value in enumerate(found) if value is not None)
        validity = bits.to_bytes((len(found) + 7) // 8, "little")
        text = contract.Text([0, *accumulate(map(len, data))], b"".join(data))
        return contract.Column(field, None, None, contract.Values_Texts(text), validity)
