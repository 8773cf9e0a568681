"""Counts from outside what a part of the fault campaign left: every record once, none lost, letters counted.

    python count.py < job.json

It knows nothing of the host but where tables lie. A warehouse is read as Parquet files, on a disk or out
of the Cloud Storage emulator; BigQuery is asked over REST. The job:

    {"tables": {"warehouse": FOLDER} | {"storage": "host:port", "bucket": B, "prefix": P}
               | {"bigquery": "host:port", "project": P},
     "published": FILE,    a stream: the ids of all events that were published, one a line
     "destroyed": FILE,    of these, the ids of rows that lay in a table when it was deleted, if any
     "view": FILE,         what the view answered, {"event_id": …, "n": …} a line; absent: it is not looked at
     "objects": {NAME: [FILE, …]}}   a load: every version an object had, the last one last

The answer is one JSON object:

    published       events, or records of the objects' last versions
    rows, letters   how many of these are rows, and how many are dead letters; of loads, all that are there
    lost            neither
    doubled_raw     rows of a table beyond the first of a record
    doubled_letters letters beyond the first of a record
    doubled_view    records that a reader of the one-row view meets more than once, or of a loaded object,
                    which has no such view, any more than once
    hidden          rows of the table that the view leaves out
    unknown         rows and letters of nothing that was published
    both            records that are a row and a letter: after a replay, or a swap, that is right
"""

import base64
import collections
import json
import pathlib
import re
import sys
import tempfile
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

DATASET = "clickstream_analytics"
EVENT_ID = re.compile(rb'"event_id"\s*:\s*"([^"]+)"')


def main():
    job = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as scratch:
        read = reader(job["tables"], pathlib.Path(scratch))
        counted = loads(job, read) if "objects" in job else stream(job, read)
    json.dump(counted, sys.stdout)


def stream(job, read):
    published = set(pathlib.Path(job["published"]).read_text().split())
    destroyed = set()
    if job.get("destroyed"):
        destroyed = set(pathlib.Path(job["destroyed"]).read_text().split())
    rows = collections.Counter(event for (event,) in read("clicks_raw", ["event_id"]))
    letters, places = collections.Counter(), collections.defaultdict(set)
    for payload, letter in read("dead_letter", ["payloadBytes", "letter_id"]):
        found = EVENT_ID.search(payload)
        event = found.group(1).decode() if found else f"letter {letter}"
        letters[event] += 1
        places[event].add(letter)
    counted = {
        "published": len(published),
        "rows": len(rows),
        "letters": len(letters),
        "lost": len(published - rows.keys() - letters.keys() - destroyed),
        "doubled_raw": beyond_first(rows),
        "doubled_letters": beyond_first(letters),
        "unknown": len((rows.keys() | letters.keys()) - published),
        "both": len(rows.keys() & letters.keys()),
        # A view keeps one letter of an id.
        "doubled_view": sum(len(ids) - 1 for ids in places.values()),
        "hidden": 0,
    }
    if job.get("view"):
        lines = pathlib.Path(job["view"]).read_text().splitlines()
        seen = {line["event_id"]: line["n"] for line in map(json.loads, lines)}
        counted["doubled_view"] += beyond_first(seen)
        counted["hidden"] = len(rows.keys() - seen.keys())
    return counted


def loads(job, read):
    """An object's last version is whole and once; an earlier one is whole or not there."""
    found = collections.defaultdict(collections.Counter)
    number = collections.Counter()
    for table in ("clickstream_batch", "dead_letter"):
        for source, line in read(table, ["source", "source_line"]):
            found[source][int(line)] += 1
            number[table] += 1
    by_name = collections.defaultdict(list)
    for source, lines in found.items():
        by_name[source.rpartition("@")[0].rpartition("/")[2]].append(lines)
    counted = collections.Counter(
        published=0, lost=0, doubled_raw=0, doubled_view=0, unknown=0, both=0, hidden=0,
        doubled_letters=0, rows=number["clickstream_batch"], letters=number["dead_letter"],
    )
    for name, versions in job["objects"].items():
        *earlier, last = (records(version) for version in versions)
        there = by_name.pop(name, [])
        counted["published"] += last
        # Versions differ in their number of records.
        whole = [lines for lines in there if len(lines) == last]
        counted["lost"] += 0 if whole else last - max(map(len, there), default=0)
        doubled = sum(beyond_first(lines) for lines in there) + last * max(len(whole) - 1, 0)
        counted["doubled_raw"] += doubled
        counted["doubled_view"] += doubled
        torn = [lines for lines in there if len(lines) not in (last, *earlier)]
        counted["unknown"] += sum(map(len, torn))
    counted["unknown"] += sum(len(lines) for left in by_name.values() for lines in left)
    return counted


def records(path):
    """Lines but for the header: a record of these files is a line."""
    return len(pathlib.Path(path).read_bytes().splitlines()) - 1


def beyond_first(counter):
    return sum(number - 1 for number in counter.values())


def reader(tables, scratch):
    """How the columns of a table's rows are read."""
    if "bigquery" in tables:
        return lambda table, columns: ask(tables, table, columns)
    folder = pathlib.Path(tables["warehouse"]) if "warehouse" in tables else scratch
    if "storage" in tables:
        download(tables, folder)
    return lambda table, columns: parquet(folder, table, columns)


def parquet(warehouse, table, columns):
    import pyarrow.parquet

    files, packed = [], []
    for file in (warehouse / DATASET / table).rglob("*.parquet"):
        files.append(file)
        if file.stem.startswith("live-"):
            packed.append(flushes(file.stem.removeprefix("live-"), 2))
    # One of all flushes from a first to a last replaces the others within that range.
    whole = [held[:3] for held in packed if held[3] == "all"]
    files = [file for file in files if not is_replaced(file, whole)]
    for file in (warehouse / "_log" / DATASET / table).rglob("*.parquet"):
        flush = flushes(file.stem, 1)
        if not any(is_within(flush, held) for held in packed):
            files.append(file)
    for file in sorted(files):
        # Not by its path alone, from which pyarrow would take partitions.
        with pyarrow.parquet.ParquetFile(file) as opened:
            if opened.metadata.num_rows:
                read = opened.read(columns=columns)
                yield from zip(*(read.column(name).to_pylist() for name in columns))


def flushes(stem, numbers):
    """By the name of a stream's file: its session, its first and last flush, and what follows."""
    session, *rest = stem.split("-")
    first, last = int(rest[0]), int(rest[numbers - 1])
    return session, first, last, "-".join(rest[numbers:])


def is_within(one, other):
    return one[0] == other[0] and other[1] <= one[1] and one[2] <= other[2]


def is_replaced(file, whole):
    if not file.stem.startswith("live-"):
        return False
    held = flushes(file.stem.removeprefix("live-"), 2)
    others = (other for other in whole if held[3] != "all" or other != held[:3])
    return any(is_within(held, other) for other in others)


def download(tables, folder):
    bucket = f"http://{tables['storage']}/{tables['bucket']}"
    token = None
    while True:
        query = {"list-type": 2, "prefix": tables["prefix"] + "/"}
        if token:
            query["continuation-token"] = token
        listed = xml.fromstring(get(f"{bucket}?{urllib.parse.urlencode(query)}"))
        for entry in listed.iter("Contents"):
            key = entry.findtext("Key")
            if key.endswith(".parquet"):
                path = folder / key.removeprefix(tables["prefix"] + "/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(get(f"{bucket}/{urllib.parse.quote(key)}"))
        token = listed.findtext("NextContinuationToken")
        if not token:
            return


def ask(tables, table, columns):
    names = ", ".join(f"`{name}`" for name in columns)
    query = f"SELECT {names} FROM {DATASET}.{table}"
    url = f"http://{tables['bigquery']}/bigquery/v2/projects/{tables['project']}/queries"
    body = {"query": query, "useLegacySql": False, "maxResults": 10_000_000, "timeoutMs": 120_000}
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        answer = json.loads(get(request))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            # A table that no run has made has no rows.
            return
        raise
    rows = answer.get("rows", [])
    if len(rows) != int(answer["totalRows"]):
        sys.exit(f"count.py: {query}: {len(rows)} of {answer['totalRows']} rows")
    decode = [base64.b64decode if name == "payloadBytes" else (lambda value: value) for name in columns]
    for row in rows:
        yield tuple(as_text(field["v"]) for as_text, field in zip(decode, row["f"]))


def get(request):
    # Emulators are on loopback: no proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=120) as answer:
        return answer.read()


if __name__ == "__main__":
    main()
