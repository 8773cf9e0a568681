"""The host's part, for native tests of a plugin: `python -m unittest`, no Wasm in sight.

    output = testing.run(shout, [{"country": "pl"}, {}], {"max_letters": 2})
    assert output.rows[0] == {"country": "PL"}
    assert output.rejections[1].code == "required"
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import contract, lookup, native
from .columns import readers, roots
from .plugin import ColumnType, Plugin, process, specs
from .row import Refusal


@dataclass
class Output:
    """What became of rows: a list each has the same length, but `log`."""

    rows: list[dict[str, Any]]
    """The columns that were written, by path. Those of a record that was read are in it."""
    came_from: list[int]
    """Which row given each is of."""
    rejections: dict[int, Refusal]
    """The refused rows, by their number."""
    dropped: list[int]
    """The rows that were filtered out."""
    log: list[str]
    """Lines of the log, each behind its level, and what was counted: `unreadable: 2 ip`."""


def configure(plugin: Plugin, config: Mapping[str, Any] | None = None) -> contract.Needs:
    """What the plugin needs with that configuration, or `clickmill_plugin.Problems`."""
    return plugin.configured(json.dumps(config or {}))[1]


def run(
    plugin: Plugin,
    rows: Iterable[Mapping[str, Any]],
    config: Mapping[str, Any] | None = None,
    lookups: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None,
    ingest_time: int = 0,
    fields: Mapping[str, ColumnType] | None = None,
) -> Output:
    """Configures the plugin and runs it over one batch. `rows` are dicts of columns by name, of which the plugin is
    handed those that it reads; what is not there is None. `lookups` are tables of rows by key:
    `{"countries": {"29": {"name": "Poland"}}}`. `ingest_time` is in microseconds since 1970-01-01T00:00:00Z.
    `fields` are those of records that are read as a whole, by path with their types."""
    made, needs = plugin.configured(json.dumps(config or {}))
    columns, count = _columns([*needs.reads, *specs(fields or {})], rows)
    native.LINES.clear()
    native.TABLES.clear()
    for name, table in (lookups or {}).items():
        fields = dict.fromkeys(field for row in table.values() for field in row)
        native.TABLES[name] = native.Table(tuple(fields), {key: dict(row) for key, row in table.items()})
    lookup.forget()
    output = process(plugin, made, needs, contract.Batch(count, ingest_time, columns))
    read = readers(output.columns)
    ends = output.came_from if output.came_from is not None else range(count)
    refused = {r.row: Refusal(r.code, r.message, r.column) for r in output.rejections}
    written = [{name: one.value(at) for name, one in read.items()} for at in range(len(ends))]
    return Output(written, list(ends), refused, output.dropped, list(native.LINES))


def _columns(reads: list[contract.ColumnSpec], rows: Iterable[Mapping[str, Any]]):
    """Columns of these types, and how many rows they have."""
    # A field that is read without its record brings a record with it.
    known = {spec.path: spec for spec in reads}
    for spec in reads:
        names = spec.path.split(".")
        for end in range(1, len(names)):
            record = ".".join(names[:end])
            known.setdefault(record, contract.ColumnSpec(record, contract.DataType.RECORD, False))
    ordered = [known[path] for path in sorted(known, key=lambda path: path.count("."))]
    made, count = roots(ordered, {}), 0
    for row in rows:
        for name, root in made.items():
            root.push(root.encode(row.get(name), count))
        count += 1
    columns: list[contract.Column] = []
    for root in made.values():
        root.finish(None, columns)
    return columns, count
