"""A pipeline file's chain over DataFrames of Spark.

::

    events = spark.read.format("kafka")...select("value AS payload", ...)
    clicks = clickmill.spark.transform(events, "pipeline.toml")
    clicks.rows.write.saveAsTable("clicks_raw")
    clicks.letters.write.saveAsTable("dead_letter")
    clicks.plugin_sets.write.saveAsTable("plugin_sets")

Each Python worker of an executor runs one ``clickmill exec``. Secrets are in the environment of the executors
(``spark.executorEnv.…`` shows them on Spark's web page), or in the file that ``secrets`` names there.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import typing

try:
    from pyspark.sql import DataFrame, functions
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StringType, StructField, StructType
except ImportError as error:
    raise ImportError("clickmill.spark wants pyspark: pip install 'clickmill[spark]'") from error

import pyarrow as pa

from ._chain import Chain
from ._config import Settings
from ._errors import ClickmillError
from ._records import RECORDS, given_source, is_null, micros, now

__all__ = ["Outputs", "transform"]

#: Which table a row goes to: one of the pipeline's, whose names have a dot, or one of these.
_TABLE = "_table"
_LETTER = "_letter"
_PLUGIN_SET = "_plugin_set"


class Outputs(typing.NamedTuple):
    """What :func:`transform` gives."""

    #: Rows of the table of ``[sink]``.
    rows: DataFrame
    #: Rejected records, as rows of the dead-letter table.
    letters: DataFrame
    #: Rows of each table by its name, those of ``[[sink.route]]`` too.
    tables: dict[str, DataFrame]
    #: What all are taken from. Each of them runs the chain, unless this is cached (``answers.persist()``).
    answers: DataFrame
    #: What the plugin sets of the rows are made of, as rows of the table ``plugin_sets``; each set once.
    plugin_sets: DataFrame


def transform(
    records: DataFrame,
    pipeline: str,
    *,
    set: typing.Sequence[str] = (),
    plugin_set: str | None = None,
    watch: bool = False,
    secrets: str | None = None,
    source: str = "spark",
    ingest_time: datetime.datetime | int | None = None,
) -> Outputs:
    """Runs a pipeline file's chain over a DataFrame.

    ``records`` has the column ``payload`` (binary or text), and may have ``source``, ``message_id``,
    ``publish_time``, ``ingest_time``, ``ordering_key`` and ``attributes`` (a map of text to text). A batch
    DataFrame without ids is refused, and so is an id that is null, since a partition that is computed again may be in
    another order. Without
    an ingest time it is that of this call, for all records alike, so that a task that runs twice makes the same rows.

    The chain is asked here, on the driver, which columns its tables have; so the driver wants the secrets too.

    :param pipeline: a pipeline file at the same place on driver and executors, or the name of one that comes with
        clickmill.
    :param set: other values of settings, as ``--set`` has them.
    :param plugin_set: the digest of the set that has to run; a batch job has that of the driver by itself.
    :param watch: whether processes take up what ``swap.watch`` has; for streams.
    :param secrets: a file on driver and executors with lines ``NAME=value``.
    :param source: the origin of records that have no column ``source``.
    :param ingest_time: of records that have no column ``ingest_time``; without a zone it is UTC's.
    """
    missing = [name for name in ("payload", "message_id") if name not in records.columns]
    if missing:
        raise ClickmillError(f"records have no column {', '.join(f'`{name}`' for name in missing)}")
    source, time = given_source(source), micros(now() if is_null(ingest_time) else ingest_time)
    settings = Settings(str(pipeline), tuple(set), plugin_set, watch, secrets)
    with Chain(settings) as chain:
        hello = chain.hello
        tables = list(chain.schemas)
        made_of = next(iter(chain.plugin_sets().values()))
        announced = {**chain.schemas, _LETTER: chain.letters_schema, _PLUGIN_SET: made_of.schema}
        schemas = {name: _plain(schema) for name, schema in announced.items()}
    if not watch:
        settings = dataclasses.replace(settings, plugin_set=hello["plugin_set"])

    records = records.select([name for name in RECORDS.names if name in records.columns])

    fields = [StructField(name, from_arrow_schema(schema)) for name, schema in schemas.items()]
    answer = StructType([StructField(_TABLE, StringType(), False), *fields])
    run = functools.partial(_run, settings, schemas, source, time)
    answers = records.mapInArrow(run, answer)

    def of(name: str) -> DataFrame:
        taken = answers.where(functions.col(_TABLE) == name).select(functions.col(f"`{name}`").alias("row"))
        return taken.select("row.*")

    by_table = {name: of(name) for name in tables}
    # Each task says what its sets are made of.
    plugin_sets = of(_PLUGIN_SET).dropDuplicates(["plugin_set", "position"])
    return Outputs(by_table[tables[0]], of(_LETTER), by_table, answers, plugin_sets)


def _run(
    settings: Settings,
    schemas: dict[str, pa.Schema],
    source: str,
    ingest_time: int,
    batches: typing.Iterator[pa.RecordBatch],
) -> typing.Iterator[pa.RecordBatch]:
    """What a task does: each row of its answer is a struct in the column of its table."""
    chain = Chain.shared(settings)
    told: dict[str, pa.Table] = {}
    for batch in batches:
        if batch.column("message_id").null_count:
            # Its place is another where the partition is computed again.
            raise ClickmillError("records have no value in column `message_id`")
        answer = chain(batch, source=source, ingest_time=ingest_time)
        new = {digest: made_of for digest, made_of in chain.plugin_sets().items() if digest not in told}
        told |= new
        sets = [(_PLUGIN_SET, made_of) for made_of in new.values()]
        for name, table in [*answer.tables.items(), (_LETTER, answer.letters), *sets]:
            for part in table.cast(schemas[name]).combine_chunks().to_batches():
                yield _wide(name, part, schemas)


def _plain(schema: pa.Schema) -> pa.Schema:
    """With JSON as text: Spark has no such type."""
    return pa.schema([field.with_type(_plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    return kind


def _wide(name: str, part: pa.RecordBatch, schemas: dict[str, pa.Schema]) -> pa.RecordBatch:
    columns = [pa.repeat(name, part.num_rows)]
    for other, schema in schemas.items():
        kind = pa.struct(list(schema))
        columns.append(
            pa.StructArray.from_arrays(part.columns, fields=list(schema))
            if other == name
            else pa.nulls(part.num_rows, kind)
        )
    return pa.RecordBatch.from_arrays(columns, names=[_TABLE, *schemas])
