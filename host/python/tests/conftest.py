"""What the tests share: data, what `clickmill run` makes of it, and a process that is killed.

`CLICKMILL_EXECUTABLE` names the executable; in a clone, its components have to be built.
"""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile

import pyarrow as pa
import pytest
from pyarrow import parquet

import clickmill

HERE = pathlib.Path(__file__).parent
PIPELINES = HERE.parents[1] / "pipelines"
FRAGILE = HERE / "fragile.py"
TIME = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.timezone.utc)

os.environ.setdefault("CLICKMILL_MASK_KEY", "a key for tests, 32 bytes or more")
os.environ.setdefault("CLICKMILL_REAL", str(clickmill.executable()))

#: A pipeline of messages, and one of objects.
MESSAGES = str(PIPELINES / "stream.toml")
OBJECTS = str(PIPELINES / "clicks.toml")


def run(*arguments, folder):
    command = [os.environ["CLICKMILL_REAL"], *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Files of clicks, some of them bad."""
    folder = tmp_path_factory.mktemp("files")
    for at in range(3):
        run(
            "generate",
            "clicks",
            "--rows",
            400,
            "--bad",
            "5%",
            "--seed",
            at,
            "--output",
            folder / f"{at}.ndjson",
            folder=folder,
        )
    return sorted(folder.glob("*.ndjson"))


@pytest.fixture(scope="session")
def messages(files):
    """The same as messages, under ids and times of their own."""
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [
        {
            "payload": line,
            "source": "projects/p/subscriptions/s",
            "message_id": str(at),
            "publish_time": TIME - datetime.timedelta(seconds=1),
            "ingest_time": TIME,
        }
        for at, line in enumerate(lines)
    ]


class Loaded:
    """What `clickmill run` has loaded from files."""

    def __init__(self, warehouse, chain):
        self.rows = self._table(warehouse, "clicks_raw", next(iter(chain.schemas.values())))
        self.letters = self._table(warehouse, "dead_letter", chain.letters_schema)
        times = zip(*(self.rows.column(name).to_pylist() for name in ("source", "ingested_at")))
        self.objects = dict(times)

    @staticmethod
    def _table(warehouse, name, schema):
        found = (warehouse / "clickstream_analytics" / name).rglob("*.parquet")
        parts = [parquet.ParquetFile(file).read() for file in found]
        return pa.concat_tables([part.select(schema.names).cast(schema) for part in parts])


@pytest.fixture(scope="session")
def loaded(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run(
        "run",
        OBJECTS,
        "--set",
        f"source.uri={files[0].parent}",
        "--set",
        "dead_letter.max_rejected_share=1.0",
        "--warehouse",
        folder / "warehouse",
        folder=folder,
    )
    with clickmill.chain(OBJECTS) as chain:
        return Loaded(folder / "warehouse", chain)


@pytest.fixture(scope="session")
def answered(messages):
    """What the chain itself makes of the messages."""
    with clickmill.chain(MESSAGES) as chain:
        return chain(messages)


def lines(rows):
    """Rows, of a table or dicts, each as text, sorted by where they came from."""
    rows = rows.to_pylist() if isinstance(rows, pa.Table) else list(rows)
    place = ("source", "source_line", "message_id", "record_index")
    rows.sort(key=lambda row: [(row[name] is not None, row[name]) for name in place if name in row])
    return [json.dumps(row, default=str) for row in rows]


def of_files(folder):
    """Rows that an engine has written, one file for each frame, by :func:`to_file`."""
    return [json.loads(line) for file in sorted(folder.iterdir()) for line in file.read_text().splitlines()]


def to_file(folder, rows):
    """Writes rows under the name of their content: work that is done twice leaves the same file."""
    text = "\n".join(lines(rows))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder.parent, delete=False) as file:
        file.write(text)
    os.rename(file.name, folder / hashlib.sha256(text.encode()).hexdigest())


@pytest.fixture
def fragile(monkeypatch):
    """Has processes killed from now on, as `fragile.py` says."""

    def set_to(how):
        monkeypatch.setenv("FRAGILE", how)
        monkeypatch.setenv("CLICKMILL_EXECUTABLE", str(FRAGILE))

    return set_to
