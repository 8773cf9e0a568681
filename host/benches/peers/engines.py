"""Click events through a job of three steps, read, mask and check: by plain Python and by clickmill, in a loop, in
Apache Beam and in Spark.

    python engines.py WAY EVENTS.ndjson PIPELINE.toml      (key: env CLICKMILL_MASK_KEY)

WAY is `python`, `chain`, `beam`, `beam-clickmill`, `spark` or `spark-clickmill`. Prints counts and seconds: from the
first word to the engine to the last count, without the start of Python and the JVM, and with that of workers and
of `clickmill exec`. Rows are counted where the engine has them, and written nowhere.

The plain steps are what the pipeline file says, as one would write them: a row is a dict. They have no guard and no
letters with a record's bytes, and take events that are nested deeper than clickmill reads.
"""
import hashlib, ipaddress, json, os, sys, time
from datetime import datetime, timedelta, timezone

import pyarrow as pa

BATCH = 8192
TEXT, INTEGER = pa.string(), pa.int64()
TIME = pa.timestamp("us", "UTC")
ROW = pa.schema([
    ("event_id", TEXT), ("event_timestamp", TIME), ("user_id", TEXT), ("session_id", TEXT), ("event_type", TEXT),
    ("ip", TEXT), ("country", TEXT), ("product_id", TEXT), ("price", pa.float64()), ("quantity", INTEGER),
    ("currency", TEXT), ("status_code", INTEGER), ("response_time_ms", INTEGER)])  # fmt: skip
TEXTS = [field.name for field in ROW if field.type == TEXT]
INTEGERS = [field.name for field in ROW if field.type == INTEGER]
REQUIRED = ["event_id", "event_timestamp", "session_id", "event_type"]
TYPES = {"page_view", "product_view", "search", "add_to_cart", "remove_from_cart", "checkout", "purchase", "error"}
RANGES = [("price", 0, float("inf")), ("quantity", 1, 1000), ("status_code", 100, 599),
          ("response_time_ms", 0, float("inf"))]  # fmt: skip


# Of this process: what is keyed cannot be sent to workers, nor a function that `functools.cache` wraps.
KEYED = []


def keyed():
    """A hash that has taken in the key."""
    if not KEYED:
        KEYED.append(hashlib.blake2b(key=os.environ["CLICKMILL_MASK_KEY"].encode()))
    return KEYED[0]


def network(address):
    """The network of an address: 24 bits of IPv4, 48 of IPv6."""
    ip = ipaddress.ip_address(address)
    lost = 8 if ip.version == 4 else 80
    return str(type(ip)(int(ip) >> lost << lost))


def pseudonym(value):
    state = keyed().copy()  # cheaper than keying again
    state.update(value.encode())
    return "k1_" + state.hexdigest()[:32]


def row_of(payload):
    """An event's row, or why there is none."""
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return None, "not_json"
    if not isinstance(event, dict):
        return None, "not_json"
    get = event.get
    row = {name: None if get(name) == "" else get(name) for name in ROW.names}
    for name in REQUIRED:
        if row[name] is None:
            return None, "required"
    for name in TEXTS:
        if row[name] is not None and not isinstance(row[name], str):
            return None, "not_text"
    for name in INTEGERS:
        if row[name] is not None and type(row[name]) is not int:
            return None, "not_an_integer"
    if row["price"] is not None and type(row["price"]) not in (int, float):
        return None, "not_a_number"
    try:
        when = datetime.fromisoformat(row["event_timestamp"])
        if when.tzinfo is None:
            return None, "not_a_time"
        row["event_timestamp"] = when
        if row["ip"] is not None:
            row["ip"] = network(row["ip"])
    except (TypeError, ValueError):
        return None, "bad_time_or_ip"
    if row["user_id"] is not None:
        row["user_id"] = pseudonym(row["user_id"])
    if row["event_type"] not in TYPES:
        return None, "unknown_event_type"
    if not NOW - timedelta(days=3650) <= when <= NOW + timedelta(days=1):
        return None, "timestamp_out_of_window"
    for name, least, most in RANGES:
        if row[name] is not None and not least <= row[name] <= most:
            return None, name
    for name, length in ("country", 2), ("currency", 3):
        if row[name] is not None and len(row[name]) != length:
            return None, name
    if row["event_type"] in ("add_to_cart", "purchase") and (row["product_id"] is None or row["price"] is None):
        return None, "required"
    return row, None


NOW = datetime.now(timezone.utc)


def batches(events):
    with open(events, "rb") as file:
        lines = file.read().splitlines()
    return [lines[at : at + BATCH] for at in range(0, len(lines), BATCH)]


def python(events, _pipeline):
    good = bad = 0
    for lines in batches(events):
        rows = [row for row, _ in map(row_of, lines) if row]
        good += pa.Table.from_pylist(rows, ROW).num_rows
        bad += len(lines) - len(rows)
    return good, bad


def chain(events, pipeline):
    import clickmill

    good = bad = 0
    with clickmill.chain(pipeline) as run:
        for lines in batches(events):
            answer = run(pa.table({"payload": pa.array(lines, pa.binary())}))
            good += answer.rows.num_rows
            bad += answer.letters.num_rows
    return good, bad


def beam(events, pipeline, transform=None):
    import apache_beam
    from apache_beam.metrics import Metrics, MetricsFilter
    from apache_beam.options.pipeline_options import PipelineOptions

    def count(name):
        counter = Metrics.counter("job", name)
        return apache_beam.Map(lambda rows: counter.inc(getattr(rows, "num_rows", 1)))

    class Clean(apache_beam.DoFn):
        def process(self, payload):
            row, code = row_of(payload)
            yield row if row else apache_beam.pvalue.TaggedOutput("letters", (payload, code))

    # The runner that peers/beam_job.py names, for the reason that it gives.
    with apache_beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as job:
        lines = job | apache_beam.io.ReadFromText(events, coder=apache_beam.coders.BytesCoder())
        if transform:
            rows, letters = (lines | transform)[:2]
        else:
            rows, letters = lines | apache_beam.ParDo(Clean()).with_outputs("letters", main="rows")
        rows | "Good" >> count("good")
        letters | "Bad" >> count("bad")
    found = job.result.metrics().query(MetricsFilter().with_namespace("job"))["counters"]
    counts = {counter.key.metric.name: counter.committed for counter in found}
    return counts.get("good", 0), counts.get("bad", 0)


def beam_clickmill(events, pipeline):
    import clickmill.beam

    return beam(events, pipeline, clickmill.beam.Transform(pipeline, arrow=True))


def clean(batches):
    """Of an executor: rows in Arrow, as `mapInArrow` has them."""
    for batch in batches:
        rows, codes = zip(*(row_of(payload) for payload in batch.column("payload").to_pylist()))
        struct = pa.array(rows, pa.struct(list(ROW)))
        yield pa.RecordBatch.from_arrays([pa.array(codes, TEXT), struct], names=["code", "row"])


def session():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = spark.config("spark.sql.session.timeZone", "UTC").config("spark.log.level", "ERROR")
    return spark.config("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH).getOrCreate()


def spark(events, pipeline):
    from pyspark.sql.pandas.types import from_arrow_schema

    records = SESSION.read.text(events).selectExpr("CAST(value AS BINARY) AS payload")
    schema = from_arrow_schema(pa.schema([("code", TEXT), ("row", pa.struct(list(ROW)))]))
    found = records.mapInArrow(clean, schema).selectExpr("code IS NULL AS good").groupBy("good").count().collect()
    counts = {row["good"]: row["count"] for row in found}
    return counts.get(True, 0), counts.get(False, 0)


def spark_clickmill(events, pipeline):
    import clickmill.spark

    records = SESSION.read.text(events)
    records = records.selectExpr("CAST(value AS BINARY) AS payload", "CAST(monotonically_increasing_id() AS STRING) AS message_id")
    outputs = clickmill.spark.transform(records, pipeline)
    counts = {row["_table"]: row["count"] for row in outputs.answers.groupBy("_table").count().collect()}
    return counts.get(next(iter(outputs.tables)), 0), counts.get("_letter", 0)


WAYS = {"python": python, "chain": chain, "beam": beam, "beam-clickmill": beam_clickmill, "spark": spark,
        "spark-clickmill": spark_clickmill}  # fmt: skip

if __name__ == "__main__":
    way, events, pipeline = sys.argv[1:]
    SESSION = session() if way.startswith("spark") else None
    began = time.monotonic()
    good, bad = WAYS[way](events, pipeline)
    print(json.dumps({"rows_out": good, "rejected": bad, "seconds": time.monotonic() - began}))
