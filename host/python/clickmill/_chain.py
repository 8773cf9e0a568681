"""A pipeline file's chain over Arrow tables."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import datetime
import json
import os
import re
import threading
import typing
import weakref

import pyarrow as pa

from . import _wire
from ._config import Settings
from ._errors import ClickmillError, ProcessDied, RunFailed
from ._process import Answered, Process, abandon
from ._records import Records, cut_short, is_null, micros, now, record_batches, table_of
from ._wire import Frame, Kind

#: How the name of an object ends that says which one: of a file its time and size.
_GENERATION = re.compile(r"@-?\d+(-\d+)?$")
#: In Cloud Storage the microseconds since 1970: a shorter number is of the name.
_CLOUD_GENERATION = re.compile(r"@\d{16,}$")
#: So often one record, or another, may kill a process without any answer between.
_MAX_DEATHS = 64
#: So many an element is tried before it is given in halves.
_TRIES = 2
#: So many processes may die, one after the other, before they have read an element.
_STARTS = 4


@dataclasses.dataclass(frozen=True)
class Answer:
    """What became of some records: each is in a row, in a letter, or counted as filtered."""

    #: Rows of each table by its name, that of ``[sink]`` first.
    tables: dict[str, pa.Table]
    #: Rejected records, as rows of the dead-letter table.
    letters: pa.Table
    #: As ``clickmill exec`` counts (host/README.md): ``rows_in``, ``rows_out``, ``rows_rejected``, ``rows_filtered``,
    #: ``plugins`` and so on. Of what came in parts, numbers are sums, and ``plugin_sets`` lists their sets.
    counts: dict[str, typing.Any]

    @property
    def rows(self) -> pa.Table:
        """Rows of the table of ``[sink]``."""
        return next(iter(self.tables.values()))

    def counters(self) -> dict[str, int]:
        """The counts under one name each, as engines have them: ``rows_in``, ``rejected.mask.bad_ip``,
        ``plugin.mask.fuel``, ``plugin.mask.microseconds``."""
        found = {name: self.counts.get(name, 0) for name in _SUMS}
        for rejected in self.counts.get("rejected_by", ()):
            found[f"rejected.{rejected['stage']}.{rejected['code']}"] = rejected["rows"]
        for plugin in self.counts.get("plugins", ()):
            name = f"plugin.{plugin['name']}"
            found[f"{name}.faults"] = plugin.get("faults", 0)
            found[f"{name}.fuel"] = plugin.get("fuel", 0)
            found[f"{name}.microseconds"] = round(plugin.get("seconds", 0) * 1e6)
        return {name: value for name, value in found.items() if value}


_SUMS = ("rows_in", "rows_made", "rows_out", "rows_rejected", "rows_filtered", "bytes")


class Chain:
    """A pipeline file's chain, in a process of its own.

    It starts with the first records, and again where it has died, be it at its start. A record on which two processes
    have died becomes a letter of the code ``host_crash``. Threads may share a chain: they wait for each other. Where
    Python is forked, the chain there starts a process of its own.
    """

    _shared: typing.ClassVar[dict[Settings, Chain]] = {}
    _sharing: typing.ClassVar[threading.Lock] = threading.Lock()
    _all: typing.ClassVar[weakref.WeakSet[Chain]] = weakref.WeakSet()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: Process | None = None
        self._alone = threading.RLock()
        self._deaths = 0
        self._plugin_sets: dict[str, pa.Table] = {}
        self._all.add(self)

    @classmethod
    def shared(cls, settings: Settings) -> Chain:
        """The chain that all threads of this process share."""
        with cls._sharing:
            return cls._shared.setdefault(settings, cls(settings))

    @classmethod
    def _forked(cls) -> None:
        """Lets go of what is the parent's: its processes, and locks of threads that are not here."""
        abandon()
        cls._sharing = threading.Lock()
        for chain in list(cls._all):
            chain._process, chain._alone = None, threading.RLock()

    def __reduce__(self) -> tuple[type[Chain], tuple[Settings]]:
        return type(self), (self._settings,)

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: typing.Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process. The next records start another."""
        with self._alone:
            process, self._process = self._process, None
            if process:
                process.close()

    @property
    def hello(self) -> dict[str, typing.Any]:
        """What the process says of itself (host/README.md): ``plugin_set``, ``tables`` with their columns, ``limits``
        and so on."""
        with self._alone:
            return self._running().hello

    @property
    def schemas(self) -> dict[str, pa.Schema]:
        """The Arrow schema of each table's rows."""
        with self._alone:
            return dict(self._running().schemas)

    @property
    def letters_schema(self) -> pa.Schema:
        """The Arrow schema of letters."""
        with self._alone:
            return self._running().letters

    @property
    def pid(self) -> int:
        """The number of the process."""
        with self._alone:
            return self._running().pid

    def plugin_sets(self) -> dict[str, pa.Table]:
        """What each plugin set so far is made of, by its digest, as rows of the table ``plugin_sets``."""
        with self._alone:
            return dict(self._plugin_sets)

    def __call__(
        self,
        records: Records,
        *,
        source: str = "python",
        ingest_time: datetime.datetime | int | None = None,
    ) -> Answer:
        """Runs records through the chain.

        ``records`` is a table, or an iterable of bytes, texts or dicts, with the columns ``payload``, ``source``,
        ``message_id``, ``publish_time``, ``ingest_time``, ``ordering_key`` and ``attributes``; other columns are an
        error. A table is one of pyarrow (``Table``, ``RecordBatch``, ``RecordBatchReader``), a DataFrame of pandas,
        without its index, or of Polars, or anything else that has ``__arrow_c_stream__``.

        Where values are missing or null, ``source`` and ``ingest_time`` are those given here, or now; the message's
        id is its place in ``records`` from 0; it was published at its ingest time; its payload is empty.

        Records with the same ids and times give the same bytes, whenever it is.
        """
        batches = record_batches(records, source=source, ingest_time=ingest_time)
        with self._alone:
            cut = (part for batch in batches for part in self._cut(batch))
            parts = [answer for part in cut for answer in self._batch(part)]
            return self._joined(parts)

    def stream(self, batches: typing.Iterable[Records], **provenance: typing.Any) -> typing.Iterator[Answer]:
        """Runs one batch after the other, each answered by itself."""
        if not isinstance(batches, collections.abc.Iterator) and table_of(batches) is not None:
            # Its columns would be the batches.
            raise ClickmillError("one table is given, wanted several", hint="put it into a list")
        for records in batches:
            yield self(records, **provenance)

    def object(self, uri: str, *, ingest_time: datetime.datetime | int | None = None) -> typing.Iterator[Answer]:
        """Runs an object (a file, ``gs://…``, either with ``@generation``) that the process reads itself.

        What the name of a file that is there ends with is no generation, nor is a number of fewer than 16 digits at
        the end of ``gs://…``.

        Nothing comes before the object is known to be good: it comes whole or not at all. It may come in parts, of
        which the last one has the counts.
        """
        time = now() if is_null(ingest_time) else ingest_time
        name = "object" if _is_of_generation(_text(uri)) else "uri"
        body = json.dumps({name: uri, "ingest_time": micros(time)}).encode()
        with self._alone:
            answered = self._ask(Kind.OBJECT, body)
            process = self._running()
        yield from _parts(process, answered)

    def objects(self, uri: str | None = None) -> list[str]:
        """Which objects a pattern, a folder or the pipeline's own source has, each with its generation."""
        with self._alone:
            answered = self._ask(Kind.FIND, json.dumps({} if uri is None else {"uri": _text(uri)}).encode())
        for missed in answered.counts.get("not_seen", ()):
            # Nobody would miss what it holds.
            raise ClickmillError(f"cannot look at `{missed['object']}`", causes=[missed["why"]], exit_code=3)
        return [found["object"] for found in answered.counts["objects"]]

    def _running(self) -> Process:
        if self._process is None:
            self._process = self._started()
            self._plugin_sets.update(self._process.plugin_sets)
        return self._process

    def _started(self) -> Process:
        """A process that has said hello."""
        for left in reversed(range(_STARTS)):
            try:
                return Process(self._settings)
            except ProcessDied as error:
                if not left:
                    raise _no_records_fault(error) from error
        raise AssertionError("the last start has raised")

    def _ask(self, kind: Kind, body: bytes | pa.Buffer) -> Answered:
        """Asks until two processes have died on what they were given, and raises what the second says."""
        left, starts = _TRIES, _STARTS
        while True:
            process = self._running()
            try:
                answered = process.ask(kind, body)
            except ProcessDied as error:
                if process.has_read:
                    left -= 1
                else:
                    starts -= 1
                self.close()
                self._deaths += 1
                if not starts:
                    raise _no_records_fault(error) from error
                if not left or self._deaths > _MAX_DEATHS:
                    raise
            except ClickmillError:
                # After `failed` it goes on; after `error` the next is a new one.
                if process.has_ended():
                    self.close()
                raise
            except BaseException:
                # In the middle of an answer there is no going on.
                self.close()
                raise
            else:
                self._deaths = 0
                self._plugin_sets.update(process.plugin_sets)
                return answered

    def _cut(self, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        """Parts of some times the size that the chain's batches have."""
        limits = self._running().hello["limits"]
        rows = max(1, int(limits["max_rows"]))
        bytes_each = max(1, batch.nbytes // max(1, batch.num_rows))
        rows = max(1, min(rows * 4, limits["max_frame_bytes"] // 2 // bytes_each))
        return [batch.slice(at, rows) for at in range(0, batch.num_rows, rows)]

    def _batch(self, batch: pa.RecordBatch) -> list[Answer]:
        """Runs a batch; where two processes have died on it, its halves, down to the record."""
        body = _wire.stream(batch)
        half = batch.num_rows // 2
        limits = self._running().hello["limits"]
        too_long = len(body) > limits["max_frame_bytes"]
        if too_long and not half:
            # Too large a record, of which a letter keeps no more anyway.
            body = _wire.stream(cut_short(batch, limits["max_record_bytes"] + 1))
            if len(body) > limits["max_frame_bytes"]:
                raise ClickmillError(f"a record has {len(body)} bytes, limit {limits['max_frame_bytes']}")
        try:
            # Records differ in length: of some parts the bytes are more than was reckoned.
            answered = None if too_long and half else self._ask(Kind.BATCH, body)
        except ProcessDied:
            if self._deaths > _MAX_DEATHS:
                raise
            answered = None if half else self._ask(Kind.CRASHED, body)
        if answered is None:
            return self._batch(batch.slice(0, half)) + self._batch(batch.slice(half))
        parts = list(_parts(self._running(), answered))
        counted = parts[-1].counts["rows_in"]
        if counted != batch.num_rows:
            raise ClickmillError(
                f"{batch.num_rows} records were given, and `clickmill exec` counts {counted}", exit_code=1
            )
        return parts

    def _joined(self, parts: list[Answer]) -> Answer:
        process = self._running()
        tables = {
            name: pa.concat_tables([_wire.no_rows(schema), *(part.tables[name] for part in parts)])
            for name, schema in process.schemas.items()
        }
        letters = pa.concat_tables([_wire.no_rows(process.letters), *(part.letters for part in parts)])
        return Answer(tables, letters, _sum([part.counts for part in parts]))


os.register_at_fork(after_in_child=Chain._forked)


def _no_records_fault(error: ProcessDied) -> RunFailed:
    """Not the death of a process on a record, which would be given in halves."""
    told = f"`clickmill exec` dies before it has read a record, tried {_STARTS} times"
    return RunFailed(told, causes=[error.error, *error.causes], hint=error.hint)


def _table(process: Process, frame: Frame) -> tuple[str | None, pa.Table]:
    """Rows and the name of their table, or letters: of the columns that were announced."""
    try:
        name = list(process.schemas)[frame.table] if frame.kind is Kind.ROWS else None
        announced = process.schemas[name] if name else process.letters
        with frame.arrow() as reader:
            if not reader.schema.equals(announced):
                raise pa.ArrowInvalid(f"its columns are {reader.schema.names}, announced were {announced.names}")
            # With a schema of its own each would take more than a few rows do.
            table = pa.Table.from_batches(reader, announced)
    except (pa.ArrowException, IndexError) as error:
        raise ClickmillError(
            f"`clickmill exec` answers with a frame {frame.kind.name} that is not what it announced",
            causes=[str(error)],
            exit_code=1,
        ) from error
    return name, table


def _parts(process: Process, answered: Answered) -> typing.Iterator[Answer]:
    """An answer frame by frame, at last its counts, which are held against what came."""
    names = list(process.schemas)
    none = {name: _wire.no_rows(schema) for name, schema in process.schemas.items()}
    no_letters = _wire.no_rows(process.letters)
    came: collections.Counter[str] = collections.Counter()
    letters = 0
    for frame in answered.frames:
        name, table = _table(process, frame)
        if name:
            came[name] += table.num_rows
            yield Answer({**none, name: table}, no_letters, {})
        else:
            letters += table.num_rows
            yield Answer(none, table, {})
    counts = answered.counts
    counted = dict(zip(names, counts["rows_by_table"], strict=True))
    if letters != counts["rows_rejected"] or any(came[name] != counted[name] for name in names):
        raise ClickmillError(
            f"`clickmill exec` counts {counted} rows and {counts['rows_rejected']} letters, and "
            f"{dict(came)} and {letters} came",
            exit_code=1,
        )
    yield Answer(none, no_letters, counts)


def chain(
    pipeline: str | os.PathLike[str],
    *,
    set: typing.Sequence[str] = (),
    plugin_set: str | None = None,
    watch: bool = False,
    secrets: str | os.PathLike[str] | None = None,
) -> Chain:
    """The chain of a pipeline file, over Arrow tables.

    ::

        with clickmill.chain("pipeline.toml") as chain:
            answer = chain([b'{"event_id": "1"}', b'{"event_id": "2"}'])
            answer.rows, answer.letters, answer.counts

    :param pipeline: a pipeline file, or the name of one that comes with clickmill.
    :param set: other values of settings, as ``--set`` has them.
    :param plugin_set: the digest of the set that has to run; another is refused.
    :param watch: whether the process takes up what ``swap.watch`` has.
    :param secrets: a file with lines ``NAME=value``, which the process gets as its environment beside that of this
        process.
    """
    return Chain(
        Settings(os.fspath(pipeline), tuple(set), plugin_set, watch, None if secrets is None else os.fspath(secrets))
    )


def pinned(settings: Settings) -> Settings:
    """The settings, with the plugin set that the pipeline file names here and now."""
    try:
        with Chain(settings) as chain:
            return dataclasses.replace(settings, plugin_set=chain.hello["plugin_set"])
    except ClickmillError as error:
        hint = "where the pipeline cannot run here, `plugin_set` says which set has to run on the workers"
        raise ClickmillError(error.error, causes=error.causes, hint=hint, exit_code=error.exit_code) from error


def _text(uri: typing.Any) -> str:
    if not isinstance(uri, str):
        raise ClickmillError(
            f"an object is named by a text, not by {type(uri).__name__}", hint="such as gs://bucket/a.csv"
        )
    return uri


def _is_of_generation(uri: str) -> bool:
    """Whether a name says which object of that name it is, and not only where it lies."""
    if uri.startswith("gs://"):
        return _CLOUD_GENERATION.search(uri) is not None
    # A file may be named so.
    return _GENERATION.search(uri) is not None and not os.path.lexists(uri.removeprefix("file://"))


def _sum(all_counts: list[dict[str, typing.Any]]) -> dict[str, typing.Any]:
    """Counts of parts as those of the whole."""
    total: dict[str, typing.Any] = {name: sum(counts.get(name, 0) for counts in all_counts) for name in _SUMS}
    by_table = [counts["rows_by_table"] for counts in all_counts if "rows_by_table" in counts]
    total["rows_by_table"] = [sum(rows) for rows in zip(*by_table)]
    records: collections.Counter[str] = collections.Counter()
    sets = (counts["plugin_set"] for counts in all_counts if "plugin_set" in counts)
    total["plugin_sets"] = list(dict.fromkeys(sets))
    rejected: collections.Counter[tuple[str, str]] = collections.Counter()
    plugins: dict[str, dict[str, typing.Any]] = {}
    for counts in all_counts:
        records.update(counts.get("records", {}))
        for one in counts.get("rejected_by", ()):
            rejected[one["stage"], one["code"]] += one["rows"]
        for plugin in counts.get("plugins", ()):
            sums = plugins.setdefault(plugin["name"], {})
            for name, value in plugin.items():
                if isinstance(value, dict):
                    # By column.
                    sums[name] = dict(collections.Counter(sums.get(name, {})) + collections.Counter(value))
                elif name != "name":
                    sums[name] = sums.get(name, 0) + value
    total["records"] = dict(records)
    total["rejected_by"] = [{"stage": stage, "code": code, "rows": rows} for (stage, code), rows in rejected.items()]
    total["plugins"] = [{"name": name, **numbers} for name, numbers in plugins.items()]
    return total
