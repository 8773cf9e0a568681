"""`clickmill.beam` gives what the chain gives, on several processes, whatever dies."""

import base64
import bz2
import datetime
import json
import pathlib
import subprocess
import sys
import tomllib

import apache_beam as beam
import distributed
import pyarrow as pa
import pytest
from apache_beam.io.gcp.bigquery_tools import RowAsDictJsonCoder
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, WorkerOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.dask.dask_runner import DaskRunner
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.utils.timestamp import Timestamp
from pyarrow import parquet

import clickmill.beam
import clickmill.beam.main
from clickmill._chain import Chain
from clickmill._records import record_batches
from clickmill._config import Settings
from conftest import (
    CLICKS,
    HERE,
    MANY,
    MESSAGES,
    OBJECTS,
    PIPELINES,
    POISON,
    TIME,
    WITHOUT_LIMIT,
    each,
    lines,
    long,
    messages_of,
    of_files,
    parsed,
    parts_of,
    to_file,
    to_files,
)

IN_MEMORY = ()
TWO_WORKERS = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
#: What Dataflow wants to be told. Nothing is sent anywhere.
DATAFLOW = {
    "runner": "--runner=DataflowRunner",
    "dry_run": "--dry_run=True",
    "project": "--project=my-project",
    "region": "--region=europe-west1",
    "temp_location": "--temp_location=gs://my-bucket/tmp",
}


class Write(beam.DoFn):
    """Writes what comes of each kind into a folder of its own."""

    def __init__(self, folder):
        self._folder = str(folder)

    def process(self, element):
        kind, row = element
        to_file(f"{self._folder}/{kind}", [row])
        yield kind


def of_kind(kind):
    return lambda row: (kind, row)


def graph(to, elements, folder, streams=False, one_end=False, **options):
    """Rows and letters into files; by one last transform where a runner computes no other."""
    came = created(to, elements, folder)
    # Taken for what a stream has so far.
    came.is_bounded = not streams
    outputs = came | clickmill.beam.Transform(**options)
    kinds = {"rows": outputs.rows, "letters": outputs.letters}
    tagged = {kind: rows | f"As {kind}" >> beam.Map(of_kind(kind)) for kind, rows in kinds.items()}
    if one_end:
        tagged = {"all": tuple(tagged.values()) | beam.Flatten()}
    for kind, rows in tagged.items():
        # Right behind the chain: what lies between two stages is one message to the runner, of 2 GiB at most.
        rows | f"Write {kind}" >> beam.ParDo(Write(folder))


def created(to, elements, folder):
    if len(elements) < MANY:
        return to | beam.Create(elements)
    return to | beam.Create(to_files(folder, elements)) | beam.FlatMap(messages_in) | beam.Reshuffle()


def messages_in(file):
    return each(parquet.read_table(file))


def run(elements, folder, arguments, **options):
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(arguments)))
    graph(pipeline, elements, folder, **options)
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    return {counter.key.metric.name: counter.committed for counter in counters}


def is_same(folder, ran):
    for name in ("rows", "letters"):
        written = (json.loads(file.read_text()) for file in (folder / name).iterdir())
        assert lines(written) == lines(parsed(getattr(ran, name)))


@pytest.mark.parametrize(
    ("of", "workers"),
    [("loaded", TWO_WORKERS), ("shop", IN_MEMORY), long("loaded", IN_MEMORY), long("shop", TWO_WORKERS)],
)
def test_objects_give_what_run_gives(request, of, tmp_path, workers):
    loaded = request.getfixturevalue(of)
    elements = list(loaded.objects.items())
    run(elements, tmp_path, workers, pipeline=loaded.pipeline, objects=True, set=loaded.settings)
    is_same(tmp_path, loaded)


@pytest.mark.parametrize("workers", [IN_MEMORY, long(TWO_WORKERS)])
def test_messages_give_what_run_gives(live, tmp_path, workers):
    counters = run(live.messages, tmp_path, workers, pipeline=MESSAGES, set=live.settings, max_rows=CLICKS // 12)
    is_same(tmp_path, live)
    assert counters["rows_in"] == len(live.messages)
    assert counters["rows_rejected"] == live.letters.num_rows
    assert counters["plugin.mask.fuel"] > 0


@pytest.mark.parametrize("workers", [IN_MEMORY, long(TWO_WORKERS)])
def test_a_stream_gives_what_run_gives_wherever_its_batches_are_cut(live, tmp_path, workers):
    # In batches that are full, and at last in those that are not: the runner fires no timer of the clock's.
    batches = {"max_rows": CLICKS // 60, "max_wait_secs": 0}
    counters = run(live.messages, tmp_path, workers, streams=True, pipeline=MESSAGES, set=live.settings, **batches)
    is_same(tmp_path, live)
    assert counters["rows_in"] == len(live.messages)


def test_a_batch_runs_the_set_that_its_graph_was_made_with_and_a_stream_what_is_there(tmp_path):
    file = tmp_path / "pipeline.toml"
    text = pathlib.Path(MESSAGES).read_text().replace("../..", str(PIPELINES.parents[1]))

    def made(folder, **options):
        file.write_text(text)
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
        graph(pipeline, [b"no event"], tmp_path / folder, pipeline=str(file), **options)
        file.write_text(text.replace('key_id = "k1"', 'key_id = "k2"'))
        return pipeline

    with pytest.raises(Exception, match="the plugin set is"):
        made("batch").run().wait_until_finish()
    made("stream", streams=True, max_wait_secs=0).run().wait_until_finish()
    assert len(of_files(tmp_path / "stream/letters")) == 1


@pytest.mark.parametrize("streams", [False, True])
def test_each_plugin_set_is_told_once_whatever_the_number_of_workers(tmp_path, streams):
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(TWO_WORKERS)))
    came = pipeline | beam.Create([f"no {at}" for at in range(100)])
    came.is_bounded = not streams
    outputs = came | clickmill.beam.Transform(MESSAGES, max_rows=5, max_wait_secs=0)
    outputs.plugin_sets | beam.Map(lambda row: ("sets", row)) | beam.ParDo(Write(tmp_path))
    pipeline.run().wait_until_finish()
    stages = [row["stage"] for row in of_files(tmp_path / "sets")]
    assert sorted(stages) == ["enrich", "mask", "parse", "validate"]


def test_dicts_without_ids_get_ids_that_no_other_batch_has(tmp_path):
    payloads = [{"payload": f"no {at}".encode(), "message_id": None} for at in range(100)]
    payloads += [{"payload": f"no {at}".encode()} for at in range(100, 200)]
    run(payloads, tmp_path, IN_MEMORY, pipeline=MESSAGES, max_rows=20)
    letters = of_files(tmp_path / "letters")
    assert len({letter["message_id"] for letter in letters}) == len(letters) == 200


def test_a_message_without_a_payload_is_a_letter(tmp_path):
    run([{"payload": None, "message_id": "7"}], tmp_path, IN_MEMORY, pipeline=MESSAGES)
    assert [letter["message_id"] for letter in of_files(tmp_path / "letters")] == ["7"]


def test_tables_give_what_run_gives(live, tmp_path):
    tables = [batch for part in parts_of(live.messages, 8) for batch in record_batches(part)]
    run(tables, tmp_path, IN_MEMORY, pipeline=MESSAGES, set=live.settings)
    is_same(tmp_path, live)


class Stream:
    """A table of a library that nobody here knows."""

    def __init__(self, rows):
        self._table = pa.Table.from_pylist(rows)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("table", [pa.Table.from_pylist, Stream])
def test_ids_that_a_table_lacks_are_of_chance(tmp_path, table):
    some = [{"payload": b"no", "message_id": name} for name in ("7", None, None)]
    tables = [table(some), table([{"payload": b"no"}] * 2), table([{"payload": b"no", "message_id": None}] * 2)]
    run([*tables, *tables], tmp_path, IN_MEMORY, pipeline=MESSAGES)
    names = [letter["message_id"] for letter in of_files(tmp_path / "letters")]
    # The same id and time make the same file.
    assert len(names) == len(set(names)) + names.count("7") - 1
    assert "7" in names and len([name for name in names if len(name) > 30]) == 12


EPOCH = "1970-01-01 00:00:00+00:00"


@pytest.mark.parametrize("zero", [0, Timestamp(0), datetime.datetime.fromtimestamp(0, datetime.timezone.utc)])
def test_a_time_of_zero_is_1970(tmp_path, zero):
    record = {"payload": b"no", "message_id": "7", "ingest_time": zero, "publish_time": zero}
    run([record], tmp_path, IN_MEMORY, pipeline=MESSAGES)
    (letter,) = of_files(tmp_path / "letters")
    assert letter["timestamp"] == letter["publish_time"] == EPOCH
    assert list(clickmill.beam._StampObject().process(("a.csv", zero))) == [("a.csv", 0)]
    ((_, now),) = clickmill.beam._StampObject().process(("a.csv", None))
    assert now > 0


@pytest.mark.parametrize("time", [1790000000.5, "1790000000", True])
def test_a_time_that_is_no_whole_microseconds_is_refused_in_words(time):
    for name in ("ingest_time", "publish_time"):
        with pytest.raises(clickmill.ClickmillError, match=f"`{name}` that are not timestamp"):
            clickmill.beam._record({"payload": b"no", name: time}, "given")
    with pytest.raises(clickmill.ClickmillError, match="`ingest_time`"):
        list(clickmill.beam._StampObject().process(("a.csv", time)))
    with pytest.raises(clickmill.ClickmillError, match="`source`"):
        clickmill.beam.Transform(MESSAGES, source=None)


def test_what_is_not_a_number_is_nothing(tmp_path):
    names = ("payload", "source", "message_id", "publish_time", "ingest_time", "ordering_key", "attributes")
    run([dict.fromkeys(names, float("nan"))], tmp_path, IN_MEMORY, pipeline=MESSAGES, source="given")
    (letter,) = of_files(tmp_path / "letters")
    assert letter["source"] == "given" and len(letter["message_id"]) > 30
    assert letter["timestamp"] == letter["publish_time"] > EPOCH


@pytest.mark.parametrize("code", [1, 2, 3])
def test_what_fails_on_a_worker_ends_as_on_the_command_line(monkeypatch, capsys, tmp_path, files, code):
    def fails(*_, **__):
        raise clickmill.ClickmillError("it went wrong", causes=["no more"], exit_code=code)

    monkeypatch.setattr(Chain, "objects", fails)
    runner = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    with pytest.raises(SystemExit) as ended:
        clickmill.beam.main.main(
            [OBJECTS, "--set", f"source.uri={files[0]}", "--output", str(tmp_path), "--runner", runner]
        )
    assert ended.value.code == code
    told = capsys.readouterr().err
    assert "error: it went wrong" in told and "caused by: no more" in told


def test_what_fails_in_a_workers_own_process_ends_as_on_the_command_line(tmp_path, files):
    settings = ["--set", f"source.uri={files[0]}", "--set", "dead_letter.max_rejected_share=0.001"]
    own = [clickmill.executable(), "run", OBJECTS, *settings, "--warehouse", str(tmp_path / "warehouse")]
    told = subprocess.run(own, capture_output=True, text=True)
    runner = ["--runner", "apache_beam.runners.portability.fn_api_runner.FnApiRunner", *TWO_WORKERS]
    command = [sys.executable, "-m", "clickmill.beam.main", OBJECTS, *settings, "--output", str(tmp_path), *runner]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == told.returncode != 0, done.stderr
    assert "\nerror: " in done.stderr, done.stderr


@pytest.mark.parametrize("how", ["start", "idle"])
def test_processes_that_die_at_their_start_or_while_idle_change_nothing(live, tmp_path, fragile, how):
    fragile(f"{how}:{tmp_path / 'starts'}")
    run(live.messages, tmp_path, IN_MEMORY, pipeline=MESSAGES, set=live.settings, max_rows=CLICKS // 20, shards=2)
    is_same(tmp_path, live)


@pytest.mark.parametrize("workers", [long(IN_MEMORY), TWO_WORKERS])
def test_processes_that_die_at_random_change_nothing(live, tmp_path, fragile, workers):
    fragile("random")
    run(live.messages, tmp_path, workers, pipeline=MESSAGES, set=live.settings, max_rows=CLICKS // 20)
    is_same(tmp_path, live)


def test_a_record_that_kills_two_processes_is_a_letter_and_the_job_goes_on(live, tmp_path, fragile):
    fragile("poison")
    poisoned = [dict(message) for message in live.messages[:200]]
    poisoned[77]["payload"] = POISON
    run(poisoned, tmp_path, IN_MEMORY, pipeline=MESSAGES)
    letters = of_files(tmp_path / "letters")
    assert [letter["message_id"] for letter in letters if letter["code"] == "host_crash"] == [
        poisoned[77]["message_id"]
    ]
    assert len(letters) + len(of_files(tmp_path / "rows")) == len(poisoned)


@pytest.mark.parametrize("how", ["worker", long("random")])
def test_on_dask_a_worker_may_be_killed(live, tmp_path, fragile, how):
    mark = tmp_path / "killed"
    fragile(f"{how}:{mark}" if how == "worker" else how)
    workers = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**workers) as cluster:
        options = [f"--dask_client_address={cluster.scheduler_address}", "--dask_npartitions=6"]
        pipeline = beam.Pipeline(runner=DaskRunner(), options=PipelineOptions(options))
        # Dask's runner computes one last transform alone.
        end = {"one_end": True}
        graph(pipeline, live.messages, tmp_path, pipeline=MESSAGES, set=live.settings, max_rows=CLICKS // 20, **end)
        result = pipeline.run()
        result.wait_until_finish()
        result.client.close()
    assert mark.exists() == (how == "worker")
    is_same(tmp_path, live)


def test_messages_of_pubsub_carry_their_provenance(live, tmp_path):
    from google.protobuf.timestamp_pb2 import Timestamp

    good = messages_of(live.rows, "payload", "ingested_at")[0]
    published = Timestamp(seconds=int(TIME.timestamp()))
    message = PubsubMessage(good["payload"], {"a": "b"}, message_id="4711", publish_time=published)
    refused = PubsubMessage(b"no json", {"a": "b"}, message_id="4712", publish_time=published)
    run([message, refused], tmp_path, IN_MEMORY, pipeline=MESSAGES, source="projects/p/subscriptions/s")
    (row,), (letter,) = of_files(tmp_path / "rows"), of_files(tmp_path / "letters")
    for one, number in ((row, "4711"), (letter, "4712")):
        assert (one["source"], one["message_id"]) == ("projects/p/subscriptions/s", number)
        assert one["publish_time"] == str(TIME)
    assert letter["attributes"] == [{"key": "a", "value": "b"}]


def test_a_pipeline_file_runs_as_a_whole(files, loaded, tmp_path):
    command = [
        sys.executable,
        "-m",
        "clickmill.beam.main",
        OBJECTS,
        "--set",
        f"source.uri={files[0].parent}",
        "--set",
        WITHOUT_LIMIT,
        "--output",
        str(tmp_path),
        "--runner",
        "apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    # It sets ingest times of its own, and a letter about the time of an event quotes its.
    def timeless(row):
        times = {"ingested_at": None, "timestamp": None, "added_at": None}
        about_time = row.get("code") == "timestamp_out_of_window"
        return {**row, **times, **({"errorMessage": None} if about_time else {})}

    def rows(table):
        found = [parquet.read_table(file) for file in (tmp_path / f"clickstream_analytics.{table}").iterdir()]
        return lines(timeless(row) for part in found for row in part.to_pylist())

    def as_run(table):
        return lines(timeless(row) for row in table.to_pylist())

    assert rows("clicks_raw") == as_run(loaded.rows)
    assert rows("dead_letter") == as_run(loaded.letters)
    assert rows("plugin_sets")


@pytest.mark.parametrize("name", ["out", "with/", "a [1]*"])
def test_rows_of_another_job_are_neither_overwritten_nor_added_to(files, tmp_path, capsys, name):
    def job(output):
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
        settings = Settings(OBJECTS, (f"source.uri={files[0]}", WITHOUT_LIMIT))
        clickmill.beam.main.build(pipeline, settings, output=output)
        return pipeline

    def written():
        return {file: file.read_bytes() for file in tmp_path.rglob("*.parquet")}

    output = f"{tmp_path}/{name}"
    # The second began before the first had written.
    one, beside = job(output), job(output)
    one.run().wait_until_finish()
    first = written()
    assert first
    arguments = [OBJECTS, "--set", f"source.uri={files[0]}", "--output", output, "--runner", "DirectRunner"]
    with pytest.raises(SystemExit) as ended:
        clickmill.beam.main.main(arguments)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"error: `{output.rstrip('/')}/clickstream_analytics." in told and "has rows already" in told
    assert written() == first
    beside.run().wait_until_finish()
    both = written()
    assert first.items() <= both.items() and len(both) == 2 * len(first)


def test_what_beam_cannot_read_or_write_is_told(tmp_path, monkeypatch):
    def told(pipeline, *arguments):
        command = [sys.executable, "-m", "clickmill.beam.main", pipeline, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stderr.strip().splitlines()[-2:]

    code, (error, hint) = told(MESSAGES, "--output", str(tmp_path))
    assert code == 2 and error.startswith("error: ") and "generator" in error and hint.startswith("hint: ")
    code, (error, hint) = told(OBJECTS, "--set", "source.uri=nothing.ndjson", "--plugin_set", "0" * 64)
    assert code == 2 and "warehouse" in error and "--output" in hint
    stream = str(PIPELINES / "stream_gcp.toml")
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    code, (error, hint) = told(stream)
    assert code == 2 and "`GOOGLE_CLOUD_PROJECT`" in error and "workers" in hint
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    code, (error, hint) = told(stream, "--output", str(tmp_path))
    assert code == 2 and "`--output` is for batches" in error and "BigQuery" in hint


@pytest.mark.parametrize("number", ["max_rows", "shards"])
def test_a_number_of_none_is_told_when_the_transform_is_made(number):
    with pytest.raises(clickmill.ClickmillError, match=f"`{number}` is 0"):
        clickmill.beam.Transform(MESSAGES, **{number: 0})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no pipeline is named"),
        (["--runner", "DirectRunner", MESSAGES], "no pipeline is named"),
        ([MESSAGES, "--pipeline_file", OBJECTS], f"`{MESSAGES}` and `{OBJECTS}`"),
        ([MESSAGES, OBJECTS], f"`{OBJECTS}` is not an option"),
        ([MESSAGES, "--secrets"], "--secrets"),
        ([MESSAGES, "--plugin-sett", "deadbeef"], "`--plugin-sett` is not an option"),
        ([MESSAGES, "--plugin-sett=deadbeef"], "`--plugin-sett` is not an option"),
        ([MESSAGES, "--num_worker", "2"], "`--num_worker` is not an option"),
        ([MESSAGES, "--runner", "DirectRunner", "-x", "2"], "`-x` is not an option"),
        ([MESSAGES, "--runner", "DirectRunner", "stray"], "`stray` is not an option"),
        # A job service may have options that nobody here knows, but not these.
        ([MESSAGES, "--runner", "PortableRunner", "stray"], "`stray` is not an option"),
        ([MESSAGES, "--runner", "PortableRunner", "--secret", "file"], "`--secret` is not an option"),
        # As `clickmill exec` has it.
        ([MESSAGES, "--plugin-set", "latest"], "`latest` is not a digest"),
        ([MESSAGES, "--runner", "NoRunner"], "NoRunner"),
        ([MESSAGES, "--set", "source.rate"], "`--set source.rate`: wanted key=value"),
        ([MESSAGES, "--set", "source.kind=pubsub"], "has no `source.subscription`"),
        ([MESSAGES, "--set", "source.kind=pubsub", "--set", "source.subscription=clicks"], "Beam refuses what"),
        (["nowhere.toml", "--runner", "DirectRunner"], "cannot read pipeline file `nowhere.toml`"),
        # There is one of that name, which comes with clickmill.
        (["/pipelines/stream_gcp.toml"], "cannot read pipeline file `/pipelines/stream_gcp.toml`"),
    ],
)
def test_arguments_that_make_no_sense_are_told_as_by_the_command_line(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        clickmill.beam.main.main(arguments)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "error: " in told and said in told


def options_of_runners():
    dask = "apache_beam.runners.dask.dask_runner.DaskRunner"
    launched = ["--template_location=gs://my-bucket/job", "--of_the_launcher=1"]
    return [
        ["--runner", dask, "--dask_npartitions", "6"],
        ["--runner", "PortableRunner", "--of_the_service", "1"],
        ["--runner=DirectRunner", *TWO_WORKERS, "--experiments", "a", "--streaming"],
        [*DATAFLOW.values(), "--num_workers=2", "--sdk_container_image", "image", *launched],
    ]


@pytest.mark.parametrize("options", options_of_runners())
def test_options_of_beam_of_its_runners_and_of_those_who_start_jobs_are_taken(options):
    assert clickmill.beam.main._pipeline(options, clickmill.beam.main.command_line())


@pytest.mark.parametrize(
    ("file", "table", "writes"),
    [
        ("stream_gcp.toml", "clicks_raw", "_StreamToBigQuery"),
        ("batch_gcp.toml", "clickstream_batch", "BigQueryBatchFileLoads"),
    ],
)
def test_graphs_read_and_write_google_cloud_and_have_no_secret(monkeypatch, file, table, writes):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    monkeypatch.setenv("CLICKSTREAM_BUCKET", "my-bucket")
    monkeypatch.setenv("CLICKMILL_MASK_KEY", "a secret that stays where it is, 32 bytes")
    options = PipelineOptions(["--project=my-project", "--temp_location=gs://my-bucket/tmp"])
    pipeline = beam.Pipeline(options=options)
    settings = Settings(str(PIPELINES / file), plugin_set="0" * 64, secrets="/run/secrets/clickmill")
    clickmill.beam.main.build(pipeline, settings)
    proto, _ = pipeline.to_runner_api(return_context=True)
    names = [transform.unique_name for transform in proto.components.transforms.values()]
    for written in (table, "dead_letter", "plugin_sets"):
        assert any(name.startswith(f"Write clickstream_analytics.{written}/{writes}") for name in names), names
    assert any(name.startswith("Read/" if file.startswith("stream") else "Find") for name in names)
    graph = proto.SerializeToString() + b"".join(pickles(proto))
    assert b"a secret that stays" not in graph
    # In the pickles, which are looked through, too.
    assert b"my-project" in graph and b"/run/secrets/clickmill" in graph


def pickles(graph):
    """What the functions of a graph are pickled to, which stands in it compressed and in base64."""
    for transform in graph.components.transforms.values():
        if transform.spec.urn == common_urns.primitives.PAR_DO.urn:
            function = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload).do_fn
            # Of some of Beam's own the name says all.
            if function.payload:
                yield bz2.decompress(base64.b64decode(function.payload))


@pytest.mark.parametrize(("file", "streams"), [("stream_gcp.toml", True), ("batch_gcp.toml", False)])
def test_dataflows_runner_makes_a_job_of_a_pipeline_file(monkeypatch, file, streams):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    monkeypatch.setenv("CLICKSTREAM_BUCKET", "my-bucket")
    pipeline = beam.Pipeline(options=PipelineOptions(list(DATAFLOW.values())))
    clickmill.beam.main.build(pipeline, Settings(str(PIPELINES / file), plugin_set="0" * 64))
    job = pipeline.run().job
    assert job.options.view_as(StandardOptions).streaming == streams
    names = [transform.unique_name for transform in job.proto_pipeline.components.transforms.values()]
    assert any(name.startswith("clickmill/Chain") for name in names), names


@pytest.mark.parametrize("lacking", ["project", "region", "temp_location"])
def test_an_option_that_dataflow_lacks_is_told(monkeypatch, capsys, lacking):
    # What the machine has set, or would make.
    monkeypatch.setattr(DataflowRunner, "get_default_gcp_region", lambda _: None)
    monkeypatch.setattr("apache_beam.io.gcp.gcsio.get_or_create_default_gcs_bucket", lambda _: None)
    options = [option for name, option in DATAFLOW.items() if name != lacking]
    with pytest.raises(SystemExit) as ended:
        clickmill.beam.main.main([str(PIPELINES / "stream_gcp.toml"), *options])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "error: Beam refuses its options" in told and f"option: {lacking}." in told


def test_a_flex_template_has_the_options_of_the_command_line_and_what_was_tested():
    template = json.loads((HERE.parent / "dataflow/template.json").read_text())
    parameters = {parameter["name"]: parameter for parameter in template["metadata"]["parameters"]}
    # Beam's own.
    assert hasattr(PipelineOptions([]).view_as(WorkerOptions), "sdk_container_image")
    required = {name for name, parameter in parameters.items() if not parameter.get("isOptional")}
    assert required == {"pipeline_file", "sdk_container_image"}
    options = {word for action in clickmill.beam.main.command_line()._actions for word in action.option_strings}
    options -= {"-h", "--help", "--plugin-set"}
    assert {f"--{name}" for name in parameters} - {"--sdk_container_image"} == options
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    assert template["image"].endswith(f"/clickmill:{project['version']}")
    recipe = (HERE.parent / "dataflow/Containerfile").read_text()
    assert f"_sdk:{beam.__version__}\n" in recipe


def test_values_are_those_of_bigquerys_json():
    import datetime
    import decimal

    import pyarrow as pa

    row = {
        "n": decimal.Decimal("1.50"),
        "b": b"\x00\xff",
        "t": TIME,
        "d": datetime.date(2026, 1, 2),
        "l": [{"x": decimal.Decimal("0.1")}],
        "f": [0.5, float("nan"), float("inf"), float("-inf")],
        "z": None,
    }
    (value,) = clickmill.beam.main.bigquery_rows(pa.Table.from_pylist([row]))
    assert value == {
        "n": "1.50",
        "b": "AP8=",
        "t": "2026-11-26T12:00:00+00:00",
        "d": "2026-01-02",
        "l": [{"x": "0.1"}],
        "f": [0.5, "nan", "inf", "-inf"],
        "z": None,
    }
    RowAsDictJsonCoder().encode(value)


def test_a_load_job_gets_json_as_it_is_and_a_stream_its_text():
    import pyarrow as pa

    of_json = pa.field("options", pa.string(), metadata={b"ARROW:extension:name": b"arrow.json"})
    schema = pa.schema([of_json, pa.field("items", pa.list_(pa.struct([of_json])))])
    text = [{"options": '{"a": [1]}', "items": [{"options": '"x"'}, {"options": None}]}]
    for table in (pa.Table.from_pylist(text, schema=schema), through_ipc(pa.Table.from_pylist(text, schema=schema))):
        assert clickmill.beam.main.bigquery_rows(table) == text
        assert clickmill.beam.main.bigquery_rows(table, loaded=True) == [
            {"options": {"a": [1]}, "items": [{"options": "x"}, {"options": None}]}
        ]


def through_ipc(table):
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()
