"""What the tests share: data, what `clickmill run` makes of it, and a process that is killed.

`CLICKMILL_EXECUTABLE` names the executable; in a clone, its components have to be built. What the test command has no
time for: `CLICKMILL_TEST_CLICKS` takes another number of clicks, such as a million, and with `CLICKMILL_LONG=1` each
engine is tried in each way, with processes that die and without.
"""

import datetime
import hashlib
import json
import os
import pathlib
import random
import subprocess
import tempfile

import pyarrow as pa
import pytest
from pyarrow import parquet

import clickmill
from clickmill._chain import Chain
from clickmill._records import record_batches

HERE = pathlib.Path(__file__).parent
PIPELINES = HERE.parents[1] / "pipelines"
FRAGILE = HERE / "fragile.py"
TIME = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.timezone.utc)

os.environ.setdefault("CLICKMILL_MASK_KEY", "a key for tests, 32 bytes or more")
os.environ.setdefault("CLICKMILL_REAL", str(clickmill.executable()))

#: What `fragile.py` knows, far from its ends: Arrow pads a batch with what is beside it.
POISON = b'{"event_id": "' + 100 * b"x" + b"kill me" + 100 * b"x" + b'"}'
#: A pipeline of messages, and one of objects.
MESSAGES = str(PIPELINES / "stream.toml")
OBJECTS = str(PIPELINES / "clicks.toml")
#: How many clicks there are of each kind.
CLICKS = int(os.environ.get("CLICKMILL_TEST_CLICKS", 1200))
LONG = bool(os.environ.get("CLICKMILL_LONG"))
#: Engines are given more as files: what is in a graph is pickled, compressed and sent as one.
MANY = 100_000
#: A pipeline may refuse all of them.
WITHOUT_LIMIT = "dead_letter.max_rejected_share=1.0"


def long(*values):
    """Parameters of a test that is not run each time."""
    return pytest.param(*values, marks=pytest.mark.skipif(not LONG, reason="wants CLICKMILL_LONG=1"))


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
            CLICKS // 3,
            "--bad",
            "5%",
            "--seed",
            at,
            "--output",
            folder / f"{at}.ndjson",
            folder=folder,
        )
    return sorted(folder.glob("*.ndjson"))


class Ran:
    """What `clickmill run` has written into a warehouse."""

    def __init__(self, pipeline, settings, folder, table="clicks_raw"):
        self.pipeline = pipeline
        self.settings = settings
        flags = [word for setting in settings for word in ("--set", setting)]
        run("run", pipeline, *flags, "--warehouse", folder / "warehouse", folder=folder)
        with clickmill.chain(pipeline, set=settings) as chain:
            self.rows = self._table(folder, table, next(iter(chain.schemas.values())))
            self.letters = self._table(folder, "dead_letter", chain.letters_schema)

    @staticmethod
    def _table(folder, name, schema):
        found = (folder / "warehouse" / "clickstream_analytics" / name).rglob("*.parquet")
        parts = [parquet.ParquetFile(file).read() for file in found]
        return pa.concat_tables([part.select(schema.names) for part in parts])

    def chain(self):
        return clickmill.chain(self.pipeline, set=self.settings)


@pytest.fixture(scope="session")
def loaded(files, tmp_path_factory):
    """Files that `clickmill run` has loaded."""
    settings = [f"source.uri={files[0].parent}", WITHOUT_LIMIT]
    ran = Ran(OBJECTS, settings, tmp_path_factory.mktemp("loaded"))
    # The ingest time of each object.
    ran.objects = dict(zip(ran.rows.column("source").to_pylist(), ran.rows.column("ingested_at").to_pylist()))
    assert len(ran.objects) == len(files) and ran.letters.num_rows > 20
    return ran


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The shop's file, that `clickmill run` has loaded."""
    folder = tmp_path_factory.mktemp("shop")
    run("generate", "shop", "--rows", CLICKS, "--bad", "5%", "--output", "shop.csv", folder=folder)
    settings = [f"source.uri={folder / 'shop.csv'}", WITHOUT_LIMIT]
    ran = Ran(str(PIPELINES / "batch.toml"), settings, folder, "clickstream_batch")
    # Only letters say when.
    letters = ran.letters
    ran.objects = dict(zip(letters.column("source").to_pylist(), letters.column("timestamp").to_pylist()))
    assert len(ran.objects) == 1 and ran.rows.num_rows > 0
    return ran


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """Messages that `clickmill run` has streamed: their payloads are in a column of the table."""
    folder = tmp_path_factory.mktemp("live")
    schema = json.loads((PIPELINES.parents[1] / "schemas/clicks_raw.json").read_text())
    schema.append({"name": "payload", "type": "STRING", "mode": "NULLABLE"})
    (folder / "with_payload.json").write_text(json.dumps(schema))
    settings = [
        f"source.rows={CLICKS}",
        "source.rate=100000",
        "source.bad=10%",
        "admin.listen=off",
        # The payload has all values as they came in.
        "guard.off=true",
        f"sink.schema={folder / 'with_payload.json'}",
    ]
    ran = Ran(MESSAGES, settings, folder)
    ran.messages = messages_of(ran.rows, "payload", "ingested_at") + messages_of(
        ran.letters, "payloadBytes", "timestamp"
    )
    assert len(ran.messages) == CLICKS and ran.letters.num_rows > CLICKS // 20
    # As no source would give them.
    random.Random(1).shuffle(ran.messages)
    return ran


def messages_of(rows, payload, ingest_time):
    names = {"payload": payload, "ingest_time": ingest_time}
    names |= {name: name for name in ("source", "message_id", "publish_time")}
    messages = [{name: row[column] for name, column in names.items()} for row in each(rows.select(list(set(names.values()))))]
    for message in messages:
        if isinstance(message["payload"], str):
            message["payload"] = message["payload"].encode()
    return messages


def to_files(folder, messages, number=8):
    """Writes messages as Parquet files."""
    files = []
    for part in parts_of(messages, number):
        files.append(str(folder / f"messages-{len(files)}.parquet"))
        parquet.write_table(pa.Table.from_batches(record_batches(part)), files[-1])
    return files


def parts_of(messages, number):
    """So many parts, or fewer, of about one length."""
    most = -(-len(messages) // number)
    return [messages[at : at + most] for at in range(0, len(messages), most)]


def each(rows):
    """Rows, of a table or dicts, one after the other: as objects of Python all of them take gigabytes."""
    if not isinstance(rows, pa.Table):
        yield from rows
        return
    for batch in rows.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def text(row):
    return json.dumps(row, default=str)


def lines(rows):
    """Rows as texts, sorted by where they came from. Of very many it is digests that tell whether they are the same."""
    found = []
    for row in each(rows):
        place = [row.get(name) for name in ("source", "source_line", "message_id", "publish_time", "record_index")]
        line = text(row) if CLICKS < MANY else hashlib.sha256(text(row).encode()).hexdigest()
        found.append(f"{text(place)} {line}")
    return sorted(found)


def parsed(rows):
    """Rows as they are once they were text."""
    return (json.loads(text(row)) for row in each(rows))


def of_files(folder):
    """Rows that an engine has written, one file for each frame, by :func:`to_file`."""
    return [json.loads(line) for file in sorted(folder.iterdir()) for line in file.read_text().splitlines()]


def to_file(folder, rows):
    """Writes rows under the name of their content: work that is done twice leaves the same file."""
    written = "\n".join(map(text, rows))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder.parent, delete=False) as file:
        file.write(written)
    os.rename(file.name, folder / hashlib.sha256(written.encode()).hexdigest())


@pytest.fixture
def fragile(monkeypatch):
    """Has processes killed from now on, as `fragile.py` says."""

    def end_shared():
        # The chains of earlier tests go on in this process, and their executables with them.
        for chain in list(Chain._shared.values()):
            chain.close()

    def set_to(how):
        end_shared()
        monkeypatch.setenv("FRAGILE", how)
        monkeypatch.setenv("CLICKMILL_EXECUTABLE", str(FRAGILE))

    yield set_to
    end_shared()
