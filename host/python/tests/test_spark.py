"""`clickmill.spark` gives what the chain gives, on two executors, one of which is killed."""

import datetime
import os
import sys
import time

import pyarrow as pa
import pytest

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import BinaryType, StringType, StructField, StructType, TimestampType

import clickmill.spark
from conftest import MESSAGES, lines, long, to_files

SCHEMA = StructType(
    [
        StructField("payload", BinaryType(), False),
        StructField("source", StringType(), False),
        StructField("message_id", StringType(), False),
        StructField("publish_time", TimestampType(), False),
        StructField("ingest_time", TimestampType(), False),
    ]
)


def session(master):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(master).appName("clickmill")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        # Of a million clicks all rows come to the driver.
        "spark.driver.memory": "4g",
        "spark.driver.maxResultSize": "0",
    }
    # Of the environment the JVM has what was there when the first test began.
    names = [name for name in os.environ if name.startswith(("CLICKMILL_", "FRAGILE", "PYTHONPATH"))]
    settings |= {f"spark.executorEnv.{name}": os.environ[name] for name in names}
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


@pytest.mark.parametrize("how", ["java", "idle", long("nothing"), long("random")])
def test_two_executors_give_what_run_gives(live, tmp_path, fragile, how):
    mark = tmp_path / "killed"
    if how != "nothing":
        fragile(how if how == "random" else f"{how}:{mark}")
    spark = session("local-cluster[2,1,1024]")
    try:
        records = spark.read.schema(SCHEMA).parquet(*to_files(tmp_path, live.messages))
        outputs = clickmill.spark.transform(records.repartition(8), MESSAGES, set=live.settings)
        rows, letters = outputs.rows.toArrow(), outputs.letters.toArrow()
        made_of = outputs.plugin_sets.toArrow()
    finally:
        spark.stop()
    assert mark.exists() == (how in ("java", "idle"))
    assert lines(rows) == lines(live.rows)
    assert lines(letters) == lines(live.letters)
    # Each set once, whatever the number of tasks, and the one that the rows name.
    assert made_of.sort_by("position").column("stage").to_pylist() == ["parse", "enrich", "mask", "validate"]
    assert set(made_of.column("plugin_set").to_pylist()) == set(rows.column("plugin_set").to_pylist())


def test_json_is_text_to_spark():
    name = {b"ARROW:extension:name": b"arrow.json"}
    inner = pa.field("options", pa.string(), metadata=name)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([inner, pa.field("items", pa.list_(pa.struct([inner])))])):
        pass
    schema = clickmill.spark._plain(pa.ipc.open_stream(sink.getvalue()).schema)
    assert from_arrow_schema(schema).simpleString() == "struct<options:string,items:array<struct<options:string>>>"


def test_records_without_ids_are_refused():
    spark = session("local[1]")
    try:
        records = spark.createDataFrame([("{}",)], "payload string")
        with pytest.raises(clickmill.ClickmillError, match="`message_id`"):
            clickmill.spark.transform(records, MESSAGES)
        named = spark.createDataFrame([("{}", "1")], "payload string, message_id string")
        for wrong in ({"ingest_time": 1790000000.5}, {"source": None}):
            with pytest.raises(clickmill.ClickmillError, match=f"`{next(iter(wrong))}`"):
                clickmill.spark.transform(named, MESSAGES, **wrong)
    finally:
        spark.stop()


def test_an_id_that_is_null_is_refused_and_attributes_that_all_are_not():
    spark = session("local[1]")
    try:
        records = spark.sql("select 'no' payload, '7' message_id, null attributes")
        letters = clickmill.spark.transform(records, MESSAGES).letters.toArrow()
        with pytest.raises(Exception, match="no value in column `message_id`"):
            none = spark.sql("select 'no' payload, cast(null as string) message_id")
            clickmill.spark.transform(none, MESSAGES).letters.toArrow()
    finally:
        spark.stop()
    assert letters.column("message_id").to_pylist() == ["7"]
    assert not letters.column("attributes")[0].as_py()


def test_an_ingest_time_without_a_zone_is_utcs_wherever_the_driver_is(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    spark = session("local[1]")
    try:
        # The second is a tombstone, as Kafka has them.
        records = spark.createDataFrame([("{", "1"), (None, "2")], "payload string, message_id string")
        outputs = clickmill.spark.transform(records, MESSAGES, ingest_time=datetime.datetime(2026, 1, 1))
        letters = outputs.letters.toArrow().to_pylist()
    finally:
        spark.stop()
        monkeypatch.undo()
        time.tzset()
    wanted = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    assert [(letter["message_id"], letter["timestamp"]) for letter in letters] == [("1", wanted), ("2", wanted)]
