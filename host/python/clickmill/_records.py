"""Records as ``clickmill exec`` takes them, from tables, texts and dicts."""

from __future__ import annotations

import collections.abc
import contextlib
import datetime
import math
import numbers
import sys
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
_TIMES = ("publish_time", "ingest_time")
_TEXTS = (bytes, str, bytearray, memoryview)
#: What most are comes first: to ask for any mapping takes long.
_MAPPINGS = (dict, collections.abc.Mapping)


class ArrowStream(typing.Protocol):
    """What hands over Arrow data, as DataFrames of pandas and Polars do."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Record = typing.Union[bytes, str, typing.Mapping[str, typing.Any]]
Records = typing.Union[pa.Table, pa.RecordBatch, pa.RecordBatchReader, ArrowStream, typing.Iterable[Record]]


def now() -> datetime.datetime:
    """The time, to the second: records that came together have one ingest time, and so are one batch."""
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def micros(time: typing.Any, name: str = "ingest_time") -> int:
    """Microseconds since 1970, without loss, of a column's value. A time without a zone is UTC's, wherever this
    runs."""
    if isinstance(time, datetime.datetime):
        aware = time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)
        return pa.scalar(aware, _TIME).value
    if isinstance(time, numbers.Integral) and not _is_no_time(type(time)):
        return int(time)
    raise _unfit(name, f"`{time}` is of the type `{type(time).__name__}`")


def given_source(source: typing.Any) -> str:
    """The origin of records that name none, which has to be one."""
    if is_null(source) or not isinstance(source, str):
        raise _unfit("source", f"`{source}`, given for those without one, is of the type `{type(source).__name__}`")
    return source


def _is_no_time(kind: type) -> bool:
    """Whether values are numbers that are no whole microseconds: of the seconds of `time.time()` Arrow makes 1970."""
    return issubclass(kind, bool) or (issubclass(kind, numbers.Number) and not issubclass(kind, numbers.Integral))


def is_null(value: typing.Any) -> bool:
    """Whether it stands for no value, in Python or in pandas. Zeros and empty texts are values."""
    # By their names: pandas need not be there.
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NaTType", "NAType")
    )


def table_of(records: typing.Any) -> pa.Table | None:
    """A table of any library as an Arrow table, and a column as one of payloads. What else there is has rows."""
    if isinstance(records, pa.Table):
        return records
    if isinstance(records, pa.RecordBatch):
        return pa.Table.from_batches([records])
    if isinstance(records, pa.RecordBatchReader):
        return records.read_all()
    # Where nobody has imported it, this is none of its frames.
    pandas: typing.Any = sys.modules.get("pandas")
    if pandas and isinstance(records, pandas.DataFrame):
        return _of_pandas(records)
    if pandas and isinstance(records, pandas.Series):
        # It may have values of several types, of which Arrow makes no column.
        return None
    if hasattr(records, "__arrow_c_stream__"):
        column = pa.chunked_array(records)
    elif hasattr(records, "__arrow_c_array__"):
        column = pa.chunked_array([pa.array(records)])
    else:
        return None
    return pa.Table.from_struct_array(column) if pa.types.is_struct(column.type) else pa.table({"payload": column})


def record_batches(
    records: Records,
    *,
    source: str = "python",
    ingest_time: datetime.datetime | int | None = None,
    ids: pa.Array | None = None,
) -> list[pa.RecordBatch]:
    """Records as ``clickmill exec`` takes them, with what is missing filled in: one batch, or several where one
    cannot hold the bytes of a column, which are at most 2 GiB. ``ids`` are those of records that have none, or else
    their places."""
    if isinstance(records, (*_TEXTS, *_MAPPINGS)):
        # Its letters, numbers or keys would be the records.
        raise ClickmillError("one record is given, wanted several", hint="put it into a list")
    table = table_of(records)
    if table is None:
        table = _of_rows(records)
    _known(table.column_names)
    if "payload" not in table.column_names:
        raise ClickmillError("records have no column `payload`", hint="it is the message, as bytes or text")
    given = {name: _plain(name, table.column(name)) for name in table.column_names}
    number = table.num_rows
    time = now() if is_null(ingest_time) else ingest_time

    def fill(name: str, value: typing.Any) -> None:
        if name == "source" and (name not in given or given[name].null_count):
            given_source(source)
        if name not in given:
            is_column = isinstance(value, (pa.Array, pa.ChunkedArray))
            given[name] = value if is_column else pa.repeat(value, number)
        elif given[name].null_count:
            # What some of them lack, as what all lack.
            given[name] = pc.coalesce(given[name], value)

    def one(name: str, value: typing.Any) -> pa.Scalar:
        return _column([value], RECORDS.field(name))[0]

    # A message without a payload is an empty one, and no error of all.
    fill("payload", one("payload", b""))
    fill("source", one("source", source))
    fill("ingest_time", one("ingest_time", time))
    fill("publish_time", given["ingest_time"])
    if ids is None:
        ids = pa.array([str(at) for at in range(number)], pa.string())
    fill("message_id", ids)
    whole = pa.table(given).combine_chunks()
    return whole.to_batches() or [pa.RecordBatch.from_pylist([], schema=whole.schema)]


def cut_short(batch: pa.RecordBatch, most: int) -> pa.RecordBatch:
    """The records with the first bytes of their payloads."""
    at = batch.schema.get_field_index("payload")
    payloads = pa.array([payload[:most] for payload in batch.column(at).to_pylist()], RECORDS.field("payload").type)
    return batch.set_column(at, batch.schema.field(at), payloads)


def _of_rows(records: typing.Any) -> pa.Table:
    """Rows as a table."""
    kind = type(records)
    # Of frames of other libraries the rows would be the names of their columns.
    is_frame = hasattr(kind, "columns") or hasattr(kind, "__dataframe__")
    if is_frame or not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")):
        raise ClickmillError(
            f"records are of the type `{kind.__name__}`, which is not taken",
            hint="wanted an Arrow table, what gives one (`__arrow_c_stream__`), or a list of bytes, texts or dicts",
        )
    found = [
        {"payload": row} if isinstance(row, _TEXTS) or not isinstance(row, _MAPPINGS) else row for row in records
    ]
    names = {name for row in found for name in row} or {"payload"}
    _known(names)
    fields = [field for field in RECORDS if field.name in names]
    columns = [_column([row.get(field.name) for row in found], field) for field in fields]
    return pa.table(columns, names=[field.name for field in fields])


def _of_pandas(frame: typing.Any) -> pa.Table:
    """A DataFrame of pandas as a table. Its index is no column."""
    names = list(frame.columns)
    _known(names)

    def column(name: str) -> typing.Any:
        if frame[name].dtype == object:
            # Values of Python, of which Arrow would make another type than dicts have: of dicts, structs.
            return _column(frame[name].tolist(), RECORDS.field(name))
        return _fit(name, lambda: pa.array(frame[name], from_pandas=True))

    return pa.table([column(name) for name in names], names=names)


def _plain(name: str, column: typing.Any) -> typing.Any:
    """A column in the type that is sent: dictionaries, views and the like become plain columns."""
    kind = RECORDS.field(name).type
    if column.null_count == len(column):
        # Of none of its values, whatever its type is: pandas takes numbers for it, Arrow and Spark the type null.
        return pa.nulls(len(column), kind)
    if name == "attributes":
        return _fit(name, _attributes, column)
    if name not in _TIMES:
        return _fit(name, _cast, column, kind)
    if pa.types.is_dictionary(column.type) or pa.types.is_run_end_encoded(column.type):
        column = _fit(name, _cast, column, column.type.value_type)
    if not pa.types.is_timestamp(column.type):
        # Arrow would take numbers and texts for times.
        raise _unfit(name, f"they are {column.type}")
    # What is less than a microsecond is left out.
    return _fit(name, column.cast, kind, column.type.unit != "ns")


def _cast(column: typing.Any, kind: pa.DataType) -> typing.Any:
    try:
        return column.cast(kind)
    except pa.ArrowNotImplementedError:
        # Of views, and of dictionaries of them, value by value. What is of another type is refused there.
        return pa.array(column.to_pylist(), kind)


def _attributes(column: typing.Any) -> typing.Any:
    """A column of pairs, in whatever form, as maps or lists of pairs of plain text."""
    kind = column.type
    field = RECORDS.field("attributes")
    target = None
    names: list[str] = []
    if pa.types.is_map(kind):
        if _is_text(kind.key_type) and _is_text(kind.item_type):
            target = field.type
    elif (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and pa.types.is_struct(kind.value_type):
        names = [inner.name for inner in kind.value_type]
        # The process takes the first for the key.
        is_in_order = len(names) == 2 and names != ["value", "key"]
        if is_in_order and all(_is_text(inner.type) for inner in kind.value_type):
            target = pa.list_(pa.struct([(name, pa.string()) for name in names]))
    if target:
        with contextlib.suppress(pa.ArrowNotImplementedError):
            return column.cast(target)
    rows = column.to_pylist()
    if pa.types.is_struct(kind):
        # A struct has all keys that any row has.
        rows = [row and {key: value for key, value in row.items() if value is not None} for row in rows]
    elif names and sorted(names) != ["key", "value"]:
        rows = [row and [tuple(pair.values()) if pair else pair for pair in row] for row in rows]
    return _column(rows, field)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return kind in (pa.string(), pa.large_string(), pa.string_view(), pa.null())


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
    if field.name in _TIMES and any(map(_is_no_time, {type(value) for value in values})):
        # What pandas has for nothing may be a float.
        values = [None if is_null(value) else value for value in values]
        for value in values:
            if _is_no_time(type(value)):
                raise _unfit(field.name, f"`{value}` is of the type `{type(value).__name__}`")
    if field.name == "attributes":
        values = [list(value.items()) if isinstance(value, _MAPPINGS) else value for value in values]
    # What pandas has for no value is null: NaN, NaT and NA.
    return _fit(field.name, lambda: pa.array(values, field.type, from_pandas=True))


def _fit(name: str, make: typing.Callable[..., typing.Any], *of: typing.Any) -> typing.Any:
    """What is made of the values of a column, which may be of types that it does not take."""
    try:
        return make(*of)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _unfit(name, str(error)) from error


def _unfit(name: str, why: str) -> ClickmillError:
    wanted = "wanted datetimes, Arrow's timestamps, or in dicts whole microseconds since 1970"
    return ClickmillError(
        f"records have values in column `{name}` that are not {RECORDS.field(name).type}",
        causes=[why],
        hint=wanted if name in _TIMES else None,
    )
