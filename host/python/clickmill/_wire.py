"""Frames of ``clickmill exec``, as host/README.md has them: nothing here knows of processes."""

from __future__ import annotations

import enum
import json
import struct
import typing

import pyarrow as pa

PROTOCOL = 1
_HEADER = struct.Struct("<IBBH")
#: More than any frame may have: a longer one is not read.
_MAX_FRAME_BYTES = 1 << 30


class Kind(enum.IntEnum):
    """What a frame is."""

    HELLO = 1
    BATCH = 2
    OBJECT = 3
    CRASHED = 4
    FIND = 5
    ROWS = 16
    LETTERS = 17
    PLUGIN_SET = 18
    COUNTS = 19
    FAILED = 20
    OBJECTS = 21
    ERROR = 22


class Frame(typing.NamedTuple):
    """A frame."""

    kind: Kind
    table: int
    body: bytes

    def json(self) -> dict[str, typing.Any]:
        """Its body, of a kind that is JSON."""
        return json.loads(self.body)

    def arrow(self) -> pa.RecordBatchReader:
        """Its body, of a kind that is Arrow."""
        return pa.ipc.open_stream(pa.py_buffer(self.body))


def header(frame: Frame) -> bytes:
    """What stands before its body."""
    return _HEADER.pack(len(frame.body), frame.kind, 0, frame.table)


def write(pipe: typing.IO[bytes], kind: Kind, body: bytes | pa.Buffer) -> None:
    """Writes a frame, and passes it on."""
    pipe.write(header(Frame(kind, 0, body)))
    pipe.write(body)
    pipe.flush()


def read(pipe: typing.IO[bytes]) -> Frame | None:
    """The next frame; ``None`` where what was there ends, be it in the middle of a frame."""
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    length, kind, _, table = _HEADER.unpack(header)
    if length > _MAX_FRAME_BYTES or kind not in Kind._value2member_map_:
        raise ValueError(f"what comes is not a frame: kind {kind}, {length} bytes")
    body = pipe.read(length)
    return Frame(Kind(kind), table, body) if len(body) == length else None


def no_rows(schema: pa.Schema) -> pa.Table:
    """A table without rows. Not ``Schema.empty_table``, which cannot make one with a column of JSON."""
    return pa.Table.from_batches([], schema=schema)


def stream(batch: pa.RecordBatch) -> pa.Buffer:
    """An Arrow IPC stream of one batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
