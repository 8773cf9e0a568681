"""A pipeline file's chain as a transform of Apache Beam.

::

    with beam.Pipeline(options=options) as pipeline:
        messages = pipeline | beam.io.ReadFromPubSub(subscription=..., with_attributes=True)
        clicks = messages | clickmill.beam.Transform("pipeline.toml")
        clicks.rows | beam.io.WriteToBigQuery("project:clickstream_analytics.clicks_raw", ...)
        clicks.letters | "letters" >> beam.io.WriteToBigQuery("project:clickstream_analytics.dead_letter", ...)

Each worker process runs one ``clickmill exec``, which all its threads share. Secrets are in the environment of the
workers, or in the file that ``secrets`` names there: neither the graph nor the pipeline options have them.
"""

from __future__ import annotations

import itertools
import typing
import uuid

try:
    import apache_beam as beam
except ImportError as error:
    raise ImportError("clickmill.beam wants apache-beam: pip install 'clickmill[beam]'") from error

import pyarrow as pa
from apache_beam.coders import BooleanCoder
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.metrics import Metrics
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.util import GroupIntoBatches

from .._chain import Answer, Chain, pinned
from .._config import Settings, tables_of
from .._errors import ClickmillError
from .._records import given_source, is_null, micros, now, record_batches, table_of

__all__ = ["Outputs", "Transform"]

_NAMESPACE = "clickmill"
#: Kinds of answers, beside the names of tables.
_LETTERS = "letters"
_PLUGIN_SETS = "plugin_sets"

#: What is one record, and no table.
_ONE = (PubsubMessage, bytes, str, dict)
#: A record, of values that Beam encodes without pickling.
_Record = dict[str, typing.Any]


class Outputs(typing.NamedTuple):
    """What a :class:`Transform` gives."""

    #: Rows of the table of ``[sink]``.
    rows: beam.PCollection[typing.Any]
    #: Rejected records, as rows of the dead-letter table.
    letters: beam.PCollection[typing.Any]
    #: What the plugin sets of the rows are made of, as rows of the table ``plugin_sets``; each set once in a window.
    plugin_sets: beam.PCollection[typing.Any]
    #: Rows of each table by its name, those of ``[[sink.route]]`` too.
    tables: dict[str, beam.PCollection[typing.Any]]


class Transform(beam.PTransform[typing.Any, typing.Any]):
    """Runs a pipeline file's chain over records.

    Elements that come in are messages of Pub/Sub (``ReadFromPubSub(with_attributes=True)``), bytes or text, dicts
    with the columns that ``clickmill.chain`` takes, or tables of these. With ``objects=True`` they are
    names of objects, such as ``gs://bucket/file.csv``, or pairs of a name and an ingest time. Each object is read
    whole by the process itself, with its lines as origins.

    Where records have no ingest time, it is the second in which the transform first saw them; where they have no
    id, they get one of chance. Both are set before records are grouped, so that work that is done twice makes the
    same rows.

    :param pipeline: a pipeline file, at the same place here and on the workers, or the name of one that comes with
        clickmill.
    :param objects: whether elements are names of objects.
    :param set: other values of settings, as ``--set`` has them.
    :param plugin_set: the digest of the set that has to run, or how it begins; another is refused. ``None`` is of a
        batch the set that the pipeline file names where the graph is made, since all workers and retries have to
        agree. Of a stream it is what the pipeline file names where and when a worker starts.
    :param watch: whether a process takes up what ``swap.watch`` has; for streams, and not with ``plugin_set``.
    :param secrets: a file on the workers with lines ``NAME=value``, which the process gets as its environment.
    :param arrow: whether rows and letters come as Arrow tables, some thousand rows each, in place of dicts.
    :param source: the origin of records that name none.
    :param max_rows: how many records go into a batch.
    :param max_wait_secs: how long a stream's records wait for more.
    :param shards: how many batches are filled at once.
    """

    def __init__(
        self,
        pipeline: str,
        *,
        objects: bool = False,
        set: typing.Sequence[str] = (),
        plugin_set: str | None = None,
        watch: bool = False,
        secrets: str | None = None,
        arrow: bool = False,
        source: str = "beam",
        max_rows: int = 8192,
        max_wait_secs: float = 0.5,
        shards: int = 16,
    ) -> None:
        super().__init__()
        for name, number in {"max_rows": max_rows, "shards": shards}.items():
            if number < 1:
                raise ClickmillError(f"`{name}` is {number}, wanted at least 1")
        self._settings = Settings(str(pipeline), tuple(set), plugin_set, watch, secrets)
        self._objects = objects
        self._arrow = arrow
        self._source = given_source(source)
        self._max_rows = max_rows
        self._max_wait_secs = max_wait_secs
        self._shards = shards

    @classmethod
    def of(cls, settings: Settings, **others: typing.Any) -> Transform:
        """The transform of settings that are there already."""
        named = {name: value for name, value in vars(settings).items() if name != "pipeline"}
        return cls(settings.pipeline, **named, **others)

    def expand(self, pcoll: beam.PCollection[typing.Any]) -> Outputs:
        tables = tables_of(self._settings)
        settings = self._settings
        if pcoll.is_bounded and not settings.plugin_set and not settings.watch:
            settings = pinned(settings)
        if self._objects:
            stamped = beam.ParDo(_StampObject()).with_output_types(tuple[str, int])
            work = pcoll | "Stamp" >> stamped | "Spread" >> beam.Reshuffle()
        else:
            # With the type of their keys, by which runners encode them alike wherever they group them.
            records = beam.ParDo(_Records(self._source, self._shards)).with_output_types(tuple[int, typing.Any])
            work = pcoll | "Records" >> records
            # Batches are filled by grouping and not in `finish_bundle`, whose output some runners lose.
            if pcoll.is_bounded:
                work = work | "Group" >> beam.GroupByKey()
            else:
                work = work | "Group" >> GroupIntoBatches(
                    self._max_rows, max_buffering_duration_secs=self._max_wait_secs
                )
        answers = work | "Chain" >> beam.ParDo(_Exec(settings, self._max_rows))

        def of(kind: str, label: str) -> beam.PCollection[typing.Any]:
            return answers | f"{label}" >> beam.ParDo(_Of(kind))

        def given(taken: beam.PCollection[typing.Any], label: str) -> beam.PCollection[typing.Any]:
            return taken if self._arrow else taken | f"{label} as rows" >> beam.FlatMap(_rows)

        named = of(_PLUGIN_SETS, "Plugin sets") | "By digest" >> beam.Map(_digest).with_output_types(
            tuple[str, typing.Any]
        )
        # Each worker says what a set is made of, and rows that are joined with it are to be counted once.
        if pcoll.is_bounded:
            sets = named | "Of workers" >> beam.GroupByKey() | "Once" >> beam.Map(_first)
        else:
            sets = named | "Once" >> beam.ParDo(_Once())
        by_table = {table: given(of(table, f"Table {table}"), f"Table {table}") for table in tables}
        return Outputs(
            rows=by_table[tables[0]],
            letters=given(of(_LETTERS, "Letters"), "Letters"),
            plugin_sets=given(sets, "Plugin sets"),
            tables=by_table,
        )


def _rows(table: pa.Table) -> list[dict[str, typing.Any]]:
    return table.to_pylist()


class _Of(beam.DoFn):
    """Takes the answers of one kind. Not by tags, which Dask's runner mixes up."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def process(self, answer: tuple[str, pa.Table]) -> typing.Iterator[pa.Table]:
        kind, table = answer
        if kind == self._kind:
            yield table


def _digest(plugin_set: pa.Table) -> tuple[str, pa.Table]:
    return plugin_set.column("plugin_set")[0].as_py(), plugin_set


def _first(group: tuple[str, typing.Iterable[pa.Table]]) -> pa.Table:
    return next(iter(group[1]))


class _Once(beam.DoFn):
    """Of each key the first value that comes, which no grouping of a stream gives."""

    _SEEN = ReadModifyWriteStateSpec("seen", BooleanCoder())

    def process(
        self, element: tuple[str, pa.Table], seen: typing.Any = beam.DoFn.StateParam(_SEEN)
    ) -> typing.Iterator[pa.Table]:
        if not seen.read():
            seen.write(True)
            yield element[1]


class _StampObject(beam.DoFn):
    """Says when an object was taken in, before the work is spread."""

    def process(self, element: str | tuple[str, typing.Any]) -> typing.Iterator[tuple[str, int]]:
        uri, time = (element, None) if isinstance(element, str) else element
        yield uri, _micros(now() if is_null(time) else time)


class _Records(beam.DoFn):
    """Makes records of what comes in, each with its ingest time, under keys that spread them."""

    def __init__(self, source: str, shards: int) -> None:
        self._source = source
        self._shards = shards
        self._turn = itertools.count()

    def process(self, element: typing.Any) -> typing.Iterator[tuple[int, _Record | pa.RecordBatch]]:
        key = next(self._turn) % self._shards
        table = None if isinstance(element, _ONE) else table_of(element)
        if table is None:
            yield key, _record(element, self._source)
            return
        # Of chance: places would be the same in every table.
        chance = uuid.uuid4().hex
        ids = pa.array([f"{chance}-{at}" for at in range(table.num_rows)], pa.string())
        for batch in record_batches(table, source=self._source, ids=ids):
            yield key, batch


def _record(element: typing.Any, source: str) -> _Record:
    """A record of values that Beam encodes without pickling: times are microseconds."""
    if isinstance(element, PubsubMessage):
        element = {
            "payload": element.data,
            # Runners for tests may have none.
            "message_id": element.message_id or None,
            "publish_time": element.publish_time,
            "ordering_key": element.ordering_key or None,
            "attributes": list((element.attributes or {}).items()),
        }
    elif isinstance(element, (bytes, str)):
        element = {"payload": element}
    elif not isinstance(element, dict):
        raise TypeError(
            "clickmill.beam.Transform takes messages of Pub/Sub, bytes, text, dicts and tables, "
            f"not `{type(element).__name__}`"
        )
    # A payload of none is an empty message's; what has no such key is no record.
    given = {name: value for name, value in element.items() if not is_null(value) or name == "payload"}
    record = {"source": source, **given}
    if "message_id" not in record:
        # Of chance: places would be the same in every batch.
        record["message_id"] = uuid.uuid4().hex
    ingested = _micros(record["ingest_time"] if "ingest_time" in record else now())
    published = record.get("publish_time")
    record["ingest_time"] = ingested
    record["publish_time"] = ingested if published is None else _micros(published, "publish_time")
    return record


def _micros(time: typing.Any, name: str = "ingest_time") -> int:
    if hasattr(time, "ToMicroseconds"):
        # Of protocol buffers.
        return time.ToMicroseconds()
    # Beam's own, or what was made here.
    return time.micros if hasattr(time, "micros") else micros(time, name)


def _batches(
    group: typing.Iterable[_Record | pa.RecordBatch], max_rows: int
) -> typing.Iterator[list[_Record] | pa.RecordBatch]:
    """What a group is cut into, which may be more than memory holds. Tables stay as they are."""
    records: list[_Record] = []
    for element in group:
        if isinstance(element, pa.RecordBatch):
            yield element
            continue
        records.append(element)
        if len(records) == max_rows:
            yield records
            records = []
    if records:
        yield records


class _Exec(beam.DoFn):
    """Sends batches, or objects, through the process of this worker."""

    def __init__(self, settings: Settings, max_rows: int) -> None:
        self._settings = settings
        self._max_rows = max_rows

    def setup(self) -> None:
        self._chain = Chain.shared(self._settings)

    def start_bundle(self) -> None:
        # What a bundle has said is lost where the runner runs it again.
        self._told: set[str] = set()

    def process(self, element: tuple[str | int, typing.Any]) -> typing.Iterator[tuple[str, pa.Table]]:
        key, work = element
        if isinstance(key, str):
            answers = self._chain.object(key, ingest_time=work)
        else:
            answers = (self._chain(records) for records in _batches(work, self._max_rows))
        for answer in answers:
            yield from self._give(answer)

    def _give(self, answer: Answer) -> typing.Iterator[tuple[str, pa.Table]]:
        for name, value in answer.counters().items():
            Metrics.counter(_NAMESPACE, name).inc(value)
        for table, rows in answer.tables.items():
            if rows.num_rows:
                yield table, rows
        if answer.letters.num_rows:
            yield _LETTERS, answer.letters
        for name, table in self._chain.plugin_sets().items():
            if name not in self._told:
                self._told.add(name)
                yield _PLUGIN_SETS, table
