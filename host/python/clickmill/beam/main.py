"""Runs a pipeline file as a whole on any runner of Beam: its source, its chain, its tables.

::

    python -m clickmill.beam.main stream_gcp --runner DataflowRunner --project my-project --region europe-west1 \\
        --temp_location gs://my-bucket/tmp --sdk_container_image europe-docker.pkg.dev/my-project/images/clickmill

Pub/Sub is read, and BigQuery written, by Beam's own connectors: a batch by load jobs, a stream by streaming inserts.
The tables have to be there (``clickmill tables apply``). With ``--output`` tables are folders of Parquet files, which
have no rows before.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import datetime
import decimal
import difflib
import glob
import json
import math
import re
import sys
import typing
import uuid

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet
from apache_beam.io import fileio
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery
from apache_beam.io.gcp.bigquery_tools import RetryStrategy
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.portable_runner import PortableRunner

from .. import _errors
from .._chain import Chain, pinned
from .._config import Settings, is_filled, read
from .._errors import ClickmillError
from . import Outputs, Transform

__all__ = ["build", "main"]


def main(arguments: typing.Sequence[str] | None = None) -> None:
    """Runs the pipeline that the command line names, and waits for its end. A template returns at once."""
    parser = command_line()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _run(parser, words)
    except Exception as error:
        told = error if isinstance(error, ClickmillError) else _of_worker(str(error))
        if told is None:
            raise
        parser.exit(told.exit_code, f"error: {told}\n")


def _of_worker(text: str) -> ClickmillError | None:
    """The last error of this package's in the traceback of a worker, of which runners keep the text alone."""
    found = re.findall(rf"^{re.escape(_errors.__name__)}\.(\w+): (.*?)(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        return None
    name, said = found[-1]
    kind = getattr(_errors, name, ClickmillError)
    return kind(said.strip())


def command_line() -> argparse.ArgumentParser:
    """The options that are not Beam's."""
    parser = _Parser(
        prog="python -m clickmill.beam.main",
        usage="%(prog)s PIPELINE [OPTIONS]",
        description="Runs a pipeline file on a runner of Beam. PIPELINE is its place, here and on the workers, or "
        "the name of one that comes with clickmill. All other options are Beam's.",
        epilog="Exit codes: 0 done, 1 the run failed, 2 bad input or configuration, 3 the environment (unreachable, "
        "denied, full)",
        # As Beam's own: its options are not to be taken for these.
        allow_abbrev=False,
    )
    # A Flex Template passes options by name only.
    parser.add_argument("--pipeline_file", help=argparse.SUPPRESS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value of a setting")
    parser.add_argument(
        "--plugin_set",
        # Beam would pass over an option as `clickmill exec` has it.
        "--plugin-set",
        type=_digest,
        metavar="DIGEST",
        help="the set that has to run, by how its digest begins",
    )
    parser.add_argument("--secrets", metavar="FILE", help="a file on the workers with lines NAME=value")
    parser.add_argument(
        "--output", metavar="FOLDER", help="tables become folders of Parquet files in here, that have none yet"
    )
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as the command line says it."""

    def error(self, message: str) -> typing.NoReturn:
        raise ClickmillError(message, hint="`--help` lists the options that are not Beam's")


def _digest(text: str) -> str:
    """How a digest begins, as ``clickmill exec`` takes it."""
    if not re.fullmatch("[0-9a-fA-F]{8,}", text):
        raise argparse.ArgumentTypeError(f"`{text}` is not a digest: wanted 8 or more hexadecimal digits")
    return text.lower()


def _run(parser: argparse.ArgumentParser, words: list[str]) -> None:
    # Behind an option of Beam's it could not be told from that option's value.
    named = words.pop(0) if words and not words[0].startswith("-") else None
    given, others = parser.parse_known_args(words)
    if named and given.pipeline_file:
        parser.error(f"two pipelines are named, `{named}` and `{given.pipeline_file}`")
    file = named or given.pipeline_file
    if not file:
        parser.error("no pipeline is named: it comes before all options")
    settings = Settings(file, tuple(given.set), given.plugin_set, False, given.secrets)
    with _pipeline(others, parser) as pipeline:
        try:
            build(pipeline, settings, output=given.output)
        except ValueError as error:
            raise ClickmillError(f"Beam refuses what `{file}` says", causes=[str(error)]) from error


def _pipeline(words: list[str], parser: argparse.ArgumentParser) -> beam.Pipeline:
    """An empty pipeline, on the runner that Beam's options name."""
    options = PipelineOptions(words)
    try:
        pipeline = beam.Pipeline(options=options)
    except (AttributeError, ImportError, ValueError) as error:
        raise ClickmillError("Beam refuses its options", causes=[" ".join(str(error).split())]) from error
    # Once the runner is there, whose module may have options of its own.
    _refuse_unknown(options, words, parser, pipeline.runner)
    return pipeline


def _refuse_unknown(
    options: PipelineOptions, words: list[str], parser: argparse.ArgumentParser, runner: typing.Any
) -> None:
    """Refuses options that neither this package nor Beam has, which Beam would pass over with a warning."""
    of_beam: list[argparse.ArgumentParser] = []
    options.get_all_options(add_extra_args_fn=of_beam.append)
    _, unknown = of_beam[0].parse_known_args(words)
    ours = [word for action in parser._actions for word in action.option_strings]
    # A job service, or the launcher of a template, has options that are known to nobody here.
    has_others = isinstance(runner, PortableRunner) or options.view_as(GoogleCloudOptions).template_location
    # What follows an unknown option is its value, which may be a secret.
    names = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    for name in names or unknown[:1]:
        meant = difflib.get_close_matches(name, ours, 1, 0.8)
        if meant or not (names and has_others):
            raise ClickmillError(
                f"`{name}` is not an option, neither of Beam nor of this pipeline",
                hint=f"`{meant[0]}` is one" if meant else "`--help` lists the options that are not Beam's",
            )


def build(pipeline: beam.Pipeline, settings: Settings, *, output: str | None = None) -> Outputs:
    """Adds to a pipeline what a pipeline file says: source, chain and tables."""
    sections = read(settings)
    source, sink = sections.get("source", {}), sections.get("sink", {})
    kind = source.get("kind")
    if kind == "pubsub":
        pipeline.options.view_as(StandardOptions).streaming = True
        subscription = is_filled("source.subscription", source.get("subscription"))
        if not subscription:
            raise ClickmillError(f"`{settings.pipeline}` has no `source.subscription`")
        if output:
            raise ClickmillError(
                "`--output` is for batches: a folder of a stream would never be whole",
                hint="a stream is written to BigQuery",
            )
        # A stream follows what is swapped in; a batch job has one set for all its life, since retries have to agree.
        follows = "watch" in sections.get("swap", {}) and not settings.plugin_set
        settings = dataclasses.replace(settings, watch=follows)
        came = pipeline | "Read" >> beam.io.ReadFromPubSub(subscription=subscription, with_attributes=True)
        outputs = came | "clickmill" >> Transform.of(settings, source=subscription, arrow=True)
    elif kind == "storage" and source.get("uri") != "-" and not source.get("watch"):
        # Before the transform would do it: one process of a worker finds objects and reads them.
        settings = settings if settings.plugin_set else pinned(settings)
        objects = pipeline | "Source" >> beam.Create([source.get("uri")]) | "Find" >> beam.ParDo(_Find(settings))
        outputs = objects | "clickmill" >> Transform.of(settings, objects=True, arrow=True)
    else:
        raise ClickmillError(
            f"`{settings.pipeline}` has a source that Beam cannot read: {_described(source)}",
            hint='it reads a subscription (kind "pubsub") and objects that are not watched (kind "storage")',
        )
    dataset = sink["table"].rpartition(".")[0]
    named = {
        **outputs.tables,
        sections.get("dead_letter", {}).get("table", f"{dataset}.dead_letter"): outputs.letters,
        f"{dataset}.plugin_sets": outputs.plugin_sets,
    }
    if not output and sink.get("kind") != "bigquery":
        raise ClickmillError(
            f"`{settings.pipeline}` has a warehouse as its sink, which Beam cannot write",
            hint="`--output FOLDER` writes folders of Parquet files",
        )
    folders = {table: f"{output.rstrip('/')}/{table}" for table in named} if output else {}
    for folder in folders.values():
        _refuse_written(folder)
    for table, frames in named.items():
        if output:
            _write_parquet(frames, table, folders[table])
        else:
            _write_bigquery(frames, table, sink, streaming=kind == "pubsub")
    return outputs


def _described(source: dict[str, typing.Any]) -> str:
    return ", ".join(f'{key} = "{source[key]}"' for key in ("kind", "uri", "watch") if key in source) or "none"


class _Find(beam.DoFn):
    """Lists the objects of the source, on a worker and with its credentials."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def process(self, uri: str | None) -> typing.Iterator[str]:
        yield from Chain.shared(self._settings).objects()


def _refuse_written(folder: str) -> None:
    """Refuses a folder that has rows: those of a job that runs again would be in it twice."""
    try:
        (found,) = FileSystems.match([FileSystems.join(glob.escape(folder), "*.parquet")], [1])
    except (BeamIOError, OSError, ValueError) as error:
        # Of a place that no file system of Beam's has.
        code = 2 if isinstance(error, ValueError) else 3
        raise ClickmillError(
            f"cannot look at `{folder}`, where `--output` has a table", causes=[str(error)], exit_code=code
        ) from error
    if found.metadata_list:
        raise ClickmillError(
            f"`{folder}` has rows already, of another job or of this one before: `{found.metadata_list[0].path}`",
            hint="each job wants an `--output` of its own; of a job that failed, remove what it has written",
        )


def _write_parquet(frames: beam.PCollection[typing.Any], table: str, folder: str) -> None:
    frames | f"Write {table}" >> fileio.WriteToFiles(
        path=folder,
        sink=lambda _: _Parquet(),
        # The same for work that is done twice, and another for a job that began beside this one.
        file_naming=fileio.default_file_naming(f"rows-{uuid.uuid4().hex}", ".parquet"),
        shards=1,
    )


class _Parquet(fileio.FileSink):
    """A Parquet file of Arrow tables."""

    def open(self, fh: typing.BinaryIO) -> None:
        self._file = fh
        self._writer: typing.Any = None

    def write(self, record: pa.Table) -> None:
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._file, record.schema, compression="zstd")
        self._writer.write_table(record)

    def flush(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _write_bigquery(
    frames: beam.PCollection[typing.Any], table: str, sink: dict[str, typing.Any], *, streaming: bool
) -> None:
    project = is_filled("sink.project", sink.get("project"))
    rows = frames | f"Rows of {table}" >> beam.FlatMap(bigquery_rows, loaded=not streaming)
    rows | f"Write {table}" >> WriteToBigQuery(
        table=f"{project}:{table}" if project else table,
        method=WriteToBigQuery.Method.STREAMING_INSERTS if streaming else WriteToBigQuery.Method.FILE_LOADS,
        # With its partitions and policy tags, which `clickmill tables apply` gives it.
        create_disposition=BigQueryDisposition.CREATE_NEVER,
        write_disposition=BigQueryDisposition.WRITE_APPEND,
        # A row that is given up is lost.
        insert_retry_strategy=RetryStrategy.RETRY_ALWAYS,
    )


def bigquery_rows(table: pa.Table, *, loaded: bool = False) -> list[dict[str, typing.Any]]:
    """Rows as BigQuery's JSON has them. A load job takes columns of JSON as they are, where text would be a string in
    them; a streaming insert takes their text."""
    fields = list(table.schema)
    return [{field.name: _json(row[field.name], field, loaded) for field in fields} for row in table.to_pylist()]


def _is_json(field: pa.Field) -> bool:
    # Before pyarrow 19 it is text, with a word beside it.
    word = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
    return getattr(field.type, "extension_name", word) == "arrow.json"


def _json(value: typing.Any, field: pa.Field, loaded: bool) -> typing.Any:
    if loaded and value is not None and _is_json(field):
        return json.loads(value)
    # Of datetimes too: a TIMESTAMP has a zone, a DATETIME none.
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no such numbers: as Google's own client gives them.
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [_json(item, field.type.value_field, loaded) for item in value]
    if isinstance(value, dict):
        return {inner.name: _json(value[inner.name], inner, loaded) for inner in field.type}
    return value


if __name__ == "__main__":
    main()
