"""Records as ``clickmill exec`` takes them, from tables, texts and dicts."""

from __future__ import annotations

import datetime
import typing

import pyarrow as pa
import pyarrow.compute as pc

from ._errors import ClickmillError

_TIME = pa.timestamp("us", "UTC")
#: What a record has. All but the payload may be missing, in a table and in dicts.
RECORDS = pa.schema(
    [
        pa.field("payload", pa.binary(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("message_id", pa.string(), nullable=False),
        pa.field("publish_time", _TIME, nullable=False),
        pa.field("ingest_time", _TIME, nullable=False),
        pa.field("ordering_key", pa.string()),
        pa.field("attributes", pa.map_(pa.string(), pa.string())),
    ]
)
#: Columns of which any form is taken: of times any unit, of attributes maps and lists.
_AS_THEY_ARE = ("publish_time", "ingest_time", "attributes")

Records = typing.Union[pa.Table, pa.RecordBatch, typing.Iterable[typing.Union[bytes, str, dict[str, typing.Any]]]]


def now() -> datetime.datetime:
    """The time, to the second: records that came together have one ingest time, and so are one batch."""
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def aware(time: datetime.datetime) -> datetime.datetime:
    """A time with its zone: without one it is UTC's, wherever this runs."""
    return time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)


def micros(time: datetime.datetime | int) -> int:
    """Microseconds since 1970, without loss."""
    return time if isinstance(time, int) else pa.scalar(aware(time), _TIME).value


def record_batches(
    records: Records, *, source: str = "python", ingest_time: datetime.datetime | None = None
) -> list[pa.RecordBatch]:
    """Records as ``clickmill exec`` takes them, with what is missing filled in: one batch, or several where one
    cannot hold the bytes of a column, which are at most 2 GiB."""
    time = ingest_time or now()
    if isinstance(records, pa.RecordBatch):
        records = pa.Table.from_batches([records])
    if not isinstance(records, pa.Table):
        if isinstance(records, (bytes, bytearray, str, dict)):
            # Its letters, numbers or keys would be the records.
            raise ClickmillError("one record is given, wanted several", hint="put it into a list")
        rows = [record if isinstance(record, dict) else {"payload": record} for record in records]
        names = {name for row in rows for name in row} or {"payload"}
        _known(names)
        fields = [field for field in RECORDS if field.name in names]

        def values(name: str) -> list[typing.Any]:
            found = [row.get(name) for row in rows]
            if name != "message_id":
                return found
            # Where it is missing it is the place, as where all lack one. What else is missing is filled in below.
            return [str(at) if value is None else value for at, value in enumerate(found)]

        columns = [_column(values(field.name), field) for field in fields]
        records = pa.table(columns, names=[field.name for field in fields])
    _known(records.column_names)
    given = {name: records.column(name) for name in records.column_names}
    number = records.num_rows
    given.setdefault("source", pa.repeat(source, number))
    given.setdefault("ingest_time", pa.repeat(_column([time], RECORDS.field("ingest_time"))[0], number))
    given.setdefault("publish_time", given["ingest_time"])
    given.setdefault("message_id", pa.array([str(at) for at in range(number)], pa.string()))
    if "payload" not in given:
        raise ClickmillError("records have no column `payload`", hint="it is the message, as bytes or text")
    # What some of them lack, as what all lack; a message without a payload is an empty one, and no error of all.
    defaults = {"payload": b"", "source": source, "ingest_time": time}
    for name in (*defaults, "publish_time"):
        if given[name].null_count:
            field = RECORDS.field(name)
            fill = _column([defaults[name]], field)[0] if name in defaults else given["ingest_time"]
            given[name] = _fit(name, _coalesced, given[name], fill, field.type)
    # Dictionaries, views and the like become plain columns.
    plain = {
        name: column if name in _AS_THEY_ARE else _fit(name, column.cast, RECORDS.field(name).type)
        for name, column in given.items()
    }
    table = pa.table(plain).combine_chunks()
    return table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]


def cut_short(batch: pa.RecordBatch, most: int) -> pa.RecordBatch:
    """The records with the first bytes of their payloads."""
    at = batch.schema.get_field_index("payload")
    payloads = pa.array([payload[:most] for payload in batch.column(at).to_pylist()], RECORDS.field("payload").type)
    return batch.set_column(at, batch.schema.field(at), payloads)


def _coalesced(column: typing.Any, fill: typing.Any, kind: pa.DataType) -> typing.Any:
    return pc.coalesce(column.cast(kind), fill.cast(kind))


def _known(names: typing.Iterable[str]) -> None:
    names = list(names)
    unknown = [f"`{name}`" for name in names if name not in RECORDS.names]
    if unknown:
        raise ClickmillError(
            f"records have no column {', '.join(unknown)}", hint=f"their columns are {', '.join(RECORDS.names)}"
        )
    for name in {name for name in names if names.count(name) > 1}:
        raise ClickmillError(f"records have several columns `{name}`")


def _column(values: list[typing.Any], field: pa.Field) -> pa.Array:
    if field.name == "payload":
        values = [_fit(field.name, value.encode) if isinstance(value, str) else value for value in values]
    if field.name == "attributes":
        values = [list(value.items()) if isinstance(value, dict) else value for value in values]
    return _fit(field.name, pa.array, values, field.type)


def _fit(name: str, make: typing.Callable[..., typing.Any], *of: typing.Any) -> typing.Any:
    """What is made of the values of a column, which may be of types that it does not take."""
    try:
        return make(*of)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise ClickmillError(
            f"records have values in column `{name}` that are not {RECORDS.field(name).type}", causes=[str(error)]
        ) from error
