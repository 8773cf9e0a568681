"""What the SDK can, in one plugin: the same in each language, with the same golden cases."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from clickmill_plugin import DataType, Row, Secret, lookup, plugin, reject


@dataclass
class Config:
    most: int
    """How many items are believed."""
    key: str
    """A secret."""


TYPES = {
    "flag": DataType.BOOLEAN,
    "ratio": DataType.FLOAT64,
    "clock": DataType.TIME,
    "local": DataType.DATETIME,
    "instant": DataType.TIMESTAMP,
    "document": DataType.JSON,
    "blob": DataType.BLOB,
}


@plugin(
    reads={
        "what": DataType.TEXT,
        "country": DataType.TEXT,
        "number": DataType.INT64,
        "day": DataType.DATE,
        **TYPES,
        "user": DataType.RECORD,
        "items": [DataType.RECORD],
    },
    writes={
        "country": DataType.TEXT,
        "number": DataType.INT64,
        "day": DataType.DATE,
        **TYPES,
        "seen": DataType.TIMESTAMP,
        "user.email": DataType.TEXT,
        "items.total": DataType.DECIMAL,
        "total": DataType.DECIMAL,
        "words": [DataType.TEXT],
    },
    lookups=["countries"],
    secrets=[Secret("key", min_bytes=20)],
    multiplies=True,
)
def orders(row: Row, config: Config) -> None:
    what = row.text("what") or ""
    if what == "fail":
        [][1]
    if what == "drop":
        return row.filter_out()
    if what == "now":
        row["seen"] = row.ingest_time
    if what == "next":
        row["number"] = row.require_int64("number") + 1
    if what == "secret":
        row["number"] = len(config.key)
    if what.startswith("words"):
        row["words"] = what.split()
    if what == "twice":
        row["words"] = ["first"]
        row.emit()
        row["number"] = row["number"] + 1
        row["words"] = ["second"]
        return row.emit()
    if what == "many":
        for at in range(1001):
            row["number"] = at
            row.emit()
        return None
    if what == "wide":
        row["words"] = ["x" * 1_500_000]
    if (country := row["country"]) is not None:
        row["country"] = lookup.get("countries", "name", country)
    if (day := row.date("day")) is not None:
        row["day"] = day + timedelta(days=1)
    if (flag := row.boolean("flag")) is not None:
        row["flag"] = not flag
    if (ratio := row.float64("ratio")) is not None:
        row["ratio"] = ratio * 2
    if (clock := row.time("clock")) is not None:
        row["clock"] = clock.replace(microsecond=clock.microsecond + 1)
    for name in ["local", "instant"]:
        if (moment := row[name]) is not None:
            row[name] = moment + timedelta(microseconds=1)
    if (document := row.json("document")) is not None:
        row["document"] = f"[{document}]"
    if (blob := row.blob("blob")) is not None:
        row["blob"] = blob[::-1]
    if (user := row.record("user")) is not None and user["email"] is not None:
        row["user.email"] = user["email"].lower()
    items = row.list("items")
    if len(items) > config.most:
        raise reject("too_many", f"has {len(items)} items, wanted {config.most} at most", "items")
    totals = []
    for at, item in enumerate(items):
        if item["price"] is None:
            raise reject("required", f"`items[{at}].price` is missing", f"items[{at}].price")
        totals.append(item["price"] * item["quantity"])
    row["items.total"] = totals
    row["total"] = sum(totals, Decimal(0))
