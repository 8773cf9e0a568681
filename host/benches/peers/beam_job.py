"""The click job in Apache Beam: `;`-separated CSV in, checked and masked zstd Parquet out.

    python beam_job.py INPUT OUTPUT_DIR --reference DIR [Beam options]      (key: env CLICKMILL_MASK_KEY)

Runner: FnApiRunner, one in-process worker. DirectRunner would first try Prism, a Go binary it downloads at
run time, and without it falls back to this same runner; naming it keeps runs repeatable. @TRIED@
"""
import argparse, csv, hashlib, json, os, re
from datetime import date
from math import inf
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

COLUMNS = 14
LISTS = {"country": "countries", "category": "categories", "colour": "colours",
         "location": "locations", "photography": "photography"}  # fmt: skip
# int() and float() alone would also take "1_000", "5 " and digits of other scripts.
INTEGER = re.compile(r"[ \t]*[+-]?[0-9]{1,19}")
NUMBER = re.compile(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
MODEL = re.compile(r"[ABCP][0-9]+")

ROWS = pa.schema([
    ("event_date", pa.date32()), ("session_id", pa.string()), ("click_order", pa.int64()),
    ("country", pa.string()), ("category", pa.string()), ("clothing_model", pa.string()),
    ("colour", pa.string()), ("location", pa.string()), ("photography", pa.string()),
    ("price", pa.float64()), ("price_above_average", pa.bool_()), ("page", pa.int64()),
])  # fmt: skip
REJECTS = pa.schema([("payload", pa.string()), ("code", pa.string())])


def integer(text):
    value = int(text) if INTEGER.fullmatch(text) else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


def valid_date(year, month, day):
    try:
        return date(year, month, day)
    except (TypeError, ValueError, OverflowError):
        return None


class CheckAndMask(beam.DoFn):
    """One line to one output row, or to the `rejects` output with the code of the first failing rule."""

    def __init__(self, lists, key):
        self.lists, self.key = lists, key
        self.good, self.bad = Metrics.counter("job", "rows_out"), Metrics.counter("job", "rejected")

    def setup(self):  # a hash state cannot be pickled, so each worker keys its own
        self.keyed = hashlib.blake2b(key=self.key)

    def process(self, line):
        fields = line.split(";")
        surplus = any(fields[COLUMNS:])  # like Polars, let an empty surplus field pass
        fields = fields[:COLUMNS] + [""] * (COLUMNS - len(fields))  # a missing field fails like an empty one
        model, price = fields.pop(7), fields.pop(-3)
        price = float(price) if NUMBER.fullmatch(price) else 0.0
        numbers = [integer(field) for field in fields]
        year, month, day, order, country, session, category, colour, location, photo, price_2, page = numbers
        event_date = valid_date(year, month, day)
        codes = zip(LISTS, (country, category, colour, location, photo))
        names = {field: self.lists[field].get(code) for field, code in codes}
        rules = (
            ("columns", not surplus), ("date", event_date), ("order", order is not None and order >= 1),
            ("country", names["country"]), ("session", session is not None), ("category", names["category"]),
            ("model", MODEL.fullmatch(model)), ("model_category", "ABCP".find(model[:1]) + 1 == category),
            ("colour", names["colour"]), ("location", names["location"]), ("photography", names["photography"]),
            ("price", 0 < price < inf), ("price_2", price_2 in (1, 2)), ("page", page in (1, 2, 3, 4, 5)),
        )  # fmt: skip
        for code, passed in rules:
            if not passed:
                self.bad.inc()
                yield beam.pvalue.TaggedOutput("rejects", {"payload": line, "code": code})
                return
        self.good.inc()
        pseudonym = self.keyed.copy()  # cheaper than keying again
        pseudonym.update(str(session).encode())
        yield dict(names, event_date=event_date, session_id=pseudonym.hexdigest()[:32], click_order=order,
                   clothing_model=model, price=price, price_above_average=price_2 == 1, page=page)


def read_list(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {int(row["code"]): row["name"] for row in csv.DictReader(file)}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("input")
    args.add_argument("output", type=Path)
    args.add_argument("--reference", type=Path, required=True)
    args, beam_args = args.parse_known_args()
    key = os.environ.get("CLICKMILL_MASK_KEY", "").encode()
    if not key:
        raise SystemExit("CLICKMILL_MASK_KEY is not set")
    args.output.mkdir(parents=True, exist_ok=True)
    lists = {field: read_list(args.reference / f"{file}.csv") for field, file in LISTS.items()}

    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", *beam_args]))
    lines = pipeline | beam.io.ReadFromText(args.input, skip_header_lines=1)
    checked = lines | beam.ParDo(CheckAndMask(lists, key)).with_outputs("rejects", main="rows")
    for output, schema in ("rows", ROWS), ("rejects", REJECTS):
        checked[output] | f"Write {output}" >> beam.io.WriteToParquet(
            str(args.output / output), schema, codec="zstd", file_name_suffix=".parquet")
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query(MetricsFilter().with_namespace("job"))["counters"]
    counts = {c.key.metric.name: c.committed for c in counters}
    rows_out, rejected = counts.get("rows_out", 0), counts.get("rejected", 0)
    print(json.dumps({"rows_in": rows_out + rejected, "rows_out": rows_out, "rejected": rejected}))


if __name__ == "__main__":
    main()
