"""`clickmill.chain`: the same as `clickmill run`, whatever dies."""

import collections
import datetime
import decimal
import gc
import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time
import types

import numpy
import pandas
import polars
import pyarrow as pa
import pytest

import clickmill
from clickmill._chain import _is_of_generation
from clickmill._records import record_batches
from clickmill._config import Settings, pipeline_file, read
from conftest import HERE, MESSAGES, OBJECTS, PIPELINES, POISON, TIME, WITHOUT_LIMIT, lines, messages_of, parts_of, run


@pytest.mark.parametrize("of", ["loaded", "shop"])
def test_objects_are_answered_as_run_loads_them(request, of):
    loaded = request.getfixturevalue(of)
    parts = []
    with loaded.chain() as chain:
        assert sorted(chain.objects()) == sorted(loaded.objects)
        for source, time in loaded.objects.items():
            for answer in chain.object(source, ingest_time=time):
                parts.append(answer)
            assert answer.counts["source"] == source
        with pytest.raises(clickmill.ClickmillError, match="there is no object"):
            list(chain.object("gone.ndjson"))
        assert list(chain.object(source, ingest_time=time))
    is_same(parts, loaded)


def test_a_file_whose_name_ends_as_with_a_generation_is_that_file(files, tmp_path, monkeypatch):
    lines = files[0].read_bytes().splitlines(keepends=True)
    for name, count in [("f", 10), ("f@12", 20), ("f@12-3", 30)]:
        (tmp_path / name).write_bytes(b"".join(lines[:count]))
    monkeypatch.chdir(tmp_path)
    with clickmill.chain(OBJECTS, set=[f"source.uri={tmp_path}", WITHOUT_LIMIT]) as chain:
        for name, count in [("f", 10), ("f@12", 20), ("f@12-3", 30)]:
            path = str(tmp_path / name)
            for uri in (name, path, f"file://{path}", *chain.objects(path)):
                *_, last = chain.object(uri)
                assert last.counts["rows_in"] == count, uri
        # One that is not there is one of another generation.
        with pytest.raises(clickmill.ClickmillError, match="is not what"):
            list(chain.object(str(tmp_path / "f@13-1")))


def test_a_short_number_is_of_the_name_of_an_object_and_no_generation():
    for uri, wanted in [
        ("gs://bucket/a.csv@1732890000123456", True),
        ("gs://bucket/report@123@1732890000123456", True),
        ("gs://bucket/report@123", False),
        ("gs://bucket/report@20241130", False),
        ("gs://bucket/report@1-2", False),
        ("gs://bucket/a.csv", False),
        ("file:///gone.csv@1732890000123456-12", True),
        ("gone.csv@12", True),
        ("gone.csv", False),
    ]:
        assert _is_of_generation(uri) == wanted, uri


def test_columns_of_json_and_rows_of_routes_come_too(tmp_path):
    events = tmp_path / "events.ndjson"
    run("generate", "events", "--rows", 200, "--seed", 7, "--output", events, folder=tmp_path)
    pipeline = str(PIPELINES / "shop_events.toml")
    with clickmill.chain(pipeline, set=[f"source.uri={events}"]) as chain:
        parts = list(chain.object(str(events)))
    tables = [pa.concat_tables([part.tables[name] for part in parts]) for name in parts[0].tables]
    assert len(tables) == 2
    assert [table.num_rows for table in tables] == parts[-1].counts["rows_by_table"]
    assert parts[-1].counts["rows_in"] == 200
    items = [item for row in tables[0].to_pylist() for item in row["items"]]
    assert any(json.loads(item["options"] or "{}") for item in items)


def is_same(parts, ran):
    for name in ("rows", "letters"):
        together = pa.concat_tables([getattr(part, name) for part in parts])
        assert lines(together) == lines(getattr(ran, name))


def test_messages_are_answered_as_run_streams_them_wherever_batches_are_cut(live):
    with live.chain() as chain:
        whole = chain(live.messages)
        assert whole.counts["rows_in"] == len(live.messages)
        assert whole.counts["rows_rejected"] == live.letters.num_rows
        is_same([whole], live)
        is_same(list(chain.stream(parts_of(live.messages, 12))), live)


def test_tables_texts_and_bytes_are_records_too(live):
    payloads = [message["payload"] for message in live.messages[:50]]
    with clickmill.chain(MESSAGES) as chain:
        table = pa.table({"payload": pa.array(payloads, pa.large_binary()).dictionary_encode()})
        assert chain(table).counts["rows_in"] == 50
        assert chain(payload for payload in payloads).counts["rows_in"] == 50
        answer = chain([])
        assert answer.rows.num_rows == answer.letters.num_rows == 0
        assert answer.rows.schema == chain.schemas["clickstream_analytics.clicks_raw"]


def test_what_some_records_lack_is_filled_in():
    records = [{"payload": b"no", "message_id": "7", "source": "s"}, b"no", {"payload": b"no", "message_id": None}]
    with clickmill.chain(MESSAGES) as chain:
        letters = chain(records).letters
    assert letters.column("message_id").to_pylist() == ["7", "1", "2"]
    assert letters.column("source").to_pylist() == ["s", "python", "python"]


class Stream:
    """A table of a library that nobody here knows."""

    def __init__(self, rows):
        self._table = pa.Table.from_pylist(rows)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class Batch:
    """Likewise, of one batch."""

    def __init__(self, rows):
        self._batch = pa.RecordBatch.from_pylist(rows)

    def __arrow_c_array__(self, requested_schema=None):
        return self._batch.__arrow_c_array__(requested_schema)


#: What rows may come in, as libraries have it.
TABLES = {
    "table": pa.Table.from_pylist,
    "batch": pa.RecordBatch.from_pylist,
    "reader": lambda rows: pa.Table.from_pylist(rows).to_reader(),
    "pandas": lambda rows: pandas.DataFrame(rows, index=[f"index {at}" for at in range(len(rows))]),
    "pandas with Arrow's types": lambda rows: pandas.DataFrame(rows).convert_dtypes(dtype_backend="pyarrow"),
    "dicts of pandas": lambda rows: pandas.DataFrame(rows).to_dict("records"),
    "polars": polars.DataFrame,
    "arrow of polars": lambda rows: polars.DataFrame(rows).to_arrow(),
    "stream": Stream,
    "array": Batch,
}
of_any_kind = pytest.mark.parametrize("kind", TABLES)


def taken(records, **provenance):
    """Rows as the process is given them."""
    return [row for batch in record_batches(records, **provenance) for row in batch.to_pylist()]


@of_any_kind
def test_whatever_is_a_table_is_taken_as_a_table(kind):
    rows = [{"payload": b"no", "message_id": "17", "ordering_key": "a"}, {"payload": b"no", "message_id": "18"}]
    given = taken(TABLES[kind](rows), ingest_time=TIME)
    assert [(row["payload"], row["message_id"], row["ordering_key"]) for row in given] == [
        (b"no", "17", "a"),
        (b"no", "18", None),
    ]
    with clickmill.chain(MESSAGES) as chain:
        assert chain(TABLES[kind](rows)).letters.column("message_id").to_pylist() == ["17", "18"]
    assert taken(TABLES[kind](rows)[:0] if kind == "pandas" else rows[:0]) == []


@pytest.mark.parametrize("column", [pandas.Series, polars.Series, pa.array, lambda of: pa.chunked_array([of])])
def test_a_column_is_one_of_payloads(column):
    assert [row["payload"] for row in taken(column([b"a", b"b", None]))] == [b"a", b"b", b""]


def test_a_table_that_cannot_be_told_from_its_names_is_refused():
    lazy = polars.LazyFrame({"payload": [b"no"]})
    strange = type("Frame", (), {"columns": ["payload"], "__iter__": lambda self: iter(self.columns)})()
    for records in (lazy, strange):
        with pytest.raises(clickmill.ClickmillError, match="`(LazyFrame|Frame)`"):
            record_batches(records)
    with pytest.raises(clickmill.ClickmillError, match="`int`"):
        record_batches(5)
    # Its columns would be the batches.
    for records in (pa.table({"payload": [b"no"]}), polars.DataFrame({"payload": [b"no"]})):
        with pytest.raises(clickmill.ClickmillError, match="one table is given"):
            list(clickmill.chain(MESSAGES).stream(records))
    # Of a reader they are.
    with clickmill.chain(MESSAGES) as chain:
        batches = pa.table({"payload": [b"no", b"no"]}).to_reader(max_chunksize=1)
        assert [answer.letters.num_rows for answer in chain.stream(batches)] == [1, 1]


PAIR = {"key": "a", "value": "b"}
PAIRS = [[PAIR], None, []]
TEXT, LONG_TEXT, WORD = pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())


def structs(text, *names):
    return pa.struct([(name, text) for name in names])


@pytest.mark.parametrize(
    "attributes",
    [
        pa.array(PAIRS, pa.list_(structs(TEXT, "key", "value"))),
        pa.array(PAIRS, pa.large_list(structs(LONG_TEXT, "key", "value"))),
        pa.array(PAIRS, pa.large_list(structs(WORD, "key", "value"))),
        pa.array(PAIRS, pa.large_list(structs(pa.string_view(), "key", "value"))),
        # By name, not by place.
        pa.array(PAIRS, pa.list_(structs(TEXT, "value", "key"))),
        pa.array([[{"k": "a", "v": "b"}], None, []], pa.list_(structs(TEXT, "k", "v"))),
        pa.array([[("a", "b")], None, []], pa.map_(TEXT, TEXT)),
        pa.array([[("a", "b")], None, []], pa.map_(LONG_TEXT, LONG_TEXT)),
        pa.array([[("a", "b")], None, []], pa.map_(pa.string_view(), WORD)),
        # As pandas and Polars have dicts.
        pa.array([{"a": "b", "c": None}, None, {}], structs(TEXT, "a", "c")),
        pa.array([None, [PAIR], None, []], pa.large_list(structs(LONG_TEXT, "key", "value")))[1:],
    ],
)
def test_attributes_are_taken_in_any_form(attributes):
    table = pa.table({"payload": [b"no"] * 3, "attributes": attributes})
    with clickmill.chain(MESSAGES) as chain:
        letters = chain(table).letters
        assert [row or [] for row in letters.column("attributes").to_pylist()] == [[PAIR], [], []]
        assert chain(pa.concat_tables([table, table])).letters.num_rows == 6


@of_any_kind
@pytest.mark.parametrize("nothing", [None, [], {}])
def test_attributes_that_none_has_are_none(kind, nothing):
    rows = [{"payload": b"no", "attributes": nothing}] * 2
    with clickmill.chain(MESSAGES) as chain:
        letters = chain(TABLES[kind](rows)).letters
    assert [row or [] for row in letters.column("attributes").to_pylist()] == [[], []]


@pytest.mark.parametrize("kind", ["pandas", "dicts of pandas", "polars"])
def test_attributes_may_be_dicts(kind):
    rows = [{"payload": b"no", "attributes": {"a": "b"}}, {"payload": b"no", "attributes": None}]
    with clickmill.chain(MESSAGES) as chain:
        letters = chain(TABLES[kind](rows)).letters
    assert [row or [] for row in letters.column("attributes").to_pylist()] == [[PAIR], []]


@pytest.mark.parametrize(
    "attributes",
    [
        pa.array([{"a": 1}]),
        pa.array([[1]]),
        pa.array(["a"]),
        pa.array([["ab"]]),
        pa.array([[("a", 1)]], pa.map_(TEXT, pa.int64())),
        pa.array([[{"key": "a", "value": 1}]]),
        pa.array([[{"key": "a", "value": "b", "more": "c"}]]),
    ],
)
def test_attributes_that_are_no_texts_are_told(attributes):
    with pytest.raises(clickmill.ClickmillError, match="`attributes` that are not map<string, string"):
        record_batches(pa.table({"payload": [b"no"], "attributes": attributes}))


WORDS = {"categorical": polars.Categorical, "enum": polars.Enum(["a", "b"]), "text": polars.String}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("chunks", [1, 2])
def test_words_of_polars_are_text_wherever_they_are(word, chunks):
    word = WORDS[word]
    names = ("payload", "source", "message_id", "ordering_key")
    columns = {name: polars.Series(["a", None, "b"], dtype=word) for name in names}
    pairs = polars.List(polars.Struct({"key": word, "value": word}))
    columns["attributes"] = polars.Series([[PAIR], None, []], dtype=pairs)
    frame = polars.concat([polars.DataFrame(columns)] * chunks, rechunk=False)
    first, second, third = taken(frame, ingest_time=TIME)[:3]
    assert [first[name] for name in names] == [b"a", "a", "a", "a"]
    assert [second[name] for name in names] == [b"", "python", "1", None]
    assert [third[name] for name in names] == [b"b", "b", "b", "b"]
    # Lists of pairs, and a struct of texts by their names.
    assert first["attributes"] in ([PAIR], [("a", "b")]) and second["attributes"] is None
    pair = polars.Struct({"key": word, "value": word})
    for value, kind, wanted in (
        ([PAIR], polars.Array(pair, 1), [("a", "b")]),
        ({"key": "a", "value": "b"}, pair, [("key", "a"), ("value", "b")]),
    ):
        table = polars.DataFrame({"payload": ["no"], "attributes": polars.Series([value], dtype=kind)})
        assert taken(table)[0]["attributes"] == wanted
    # What is said of a column alone holds for it, too.
    assert [row["payload"] for row in taken(columns["payload"])] == [b"a", b"", b"b"]


@pytest.mark.parametrize(
    "column", [pa.array([17]).dictionary_encode(), pa.array([[b"a"]], pa.list_(pa.binary_view())), pa.array([True])]
)
def test_values_that_are_no_text_are_told_in_any_form(column):
    with pytest.raises(clickmill.ClickmillError, match="`payload`"):
        record_batches(pa.table({"payload": column}))


NOTHING = {"None": None, "NaN": float("nan"), "NaT": pandas.NaT, "NA": pandas.NA}
TIMES = ("publish_time", "ingest_time")


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("all_lack", [False, True])
def test_what_pandas_has_for_nothing_is_filled_in(nothing, as_frame, all_lack):
    nothing = NOTHING[nothing]
    whole = {"payload": b"no", "source": "s", "message_id": "7", "ordering_key": "a", "attributes": {"a": "b"}}
    whole |= dict.fromkeys(TIMES, TIME)
    lacks = dict.fromkeys(whole, nothing)
    frame = pandas.DataFrame([lacks, lacks] if all_lack else [whole, lacks])
    given = taken(frame if as_frame else frame.to_dict("records"), source="given", ingest_time=TIME)
    filled = {"payload": b"", "source": "given", "ordering_key": None, "attributes": None}
    filled |= dict.fromkeys(TIMES, TIME)
    assert given[1] == filled | {"message_id": "1"}
    assert given[0] == (filled | {"message_id": "0"} if all_lack else whole | {"attributes": [("a", "b")]})


@of_any_kind
def test_an_id_that_is_none_is_the_place(kind):
    rows = [{"payload": b"no", "message_id": name} for name in ("a", None, None)]
    assert [row["message_id"] for row in taken(TABLES[kind](rows))] == ["a", "1", "2"]


def test_times_of_any_unit_are_taken_and_what_are_no_times_told():
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "Asia/Tokyo"):
            times = pa.array([TIME.replace(tzinfo=None), None], pa.timestamp(unit, zone))
            rows = taken(pa.table({"payload": [b"no"] * 2, "publish_time": times}), ingest_time=TIME)
            assert [row["publish_time"] for row in rows] == [TIME, TIME]
    # What is less than a microsecond is left out, whether others are null or not.
    for values in ([1001], [1001, None]):
        table = pa.table({"payload": [b"no"] * len(values), "publish_time": pa.array(values, pa.timestamp("ns"))})
        assert record_batches(table)[0].column("publish_time").cast(pa.int64())[0].as_py() == 1
    for wrong in (pa.array([1, None]), pa.array(["2026-11-26", None]), pa.array([2**62], pa.timestamp("s"))):
        table = pa.table({"payload": [b"no"] * len(wrong), "publish_time": wrong})
        with pytest.raises(clickmill.ClickmillError, match="`publish_time`"):
            record_batches(table)


def test_times_may_be_in_dictionaries():
    for times in (pandas.Categorical([TIME]), pa.array([TIME], pa.timestamp("us", "UTC")).dictionary_encode()):
        frame = {"payload": ["no"], "publish_time": times}
        table = pandas.DataFrame(frame) if isinstance(times, pandas.Categorical) else pa.table(frame)
        assert taken(table)[0]["publish_time"] == TIME


@pytest.mark.parametrize("time", [1790000000.5, 0.0, numpy.float32(1), decimal.Decimal(1), True, "2026", TIME.date()])
def test_a_time_that_is_no_whole_microseconds_is_refused_in_words(time):
    frame = pandas.DataFrame({"payload": ["no"] * 2, "publish_time": pandas.Series([TIME, time], dtype=object)})
    ways = [
        lambda: record_batches([{"payload": b"no", "ingest_time": TIME}, {"payload": b"no", "ingest_time": time}]),
        lambda: record_batches([b"no"], ingest_time=time),
        lambda: record_batches(frame),
        lambda: list(clickmill.chain(MESSAGES).object("a.csv", ingest_time=time)),
    ]
    for way in ways:
        with pytest.raises(clickmill.ClickmillError, match="_time` that are not timestamp") as raised:
            way()
        assert "datetimes, Arrow's timestamps, or in dicts whole microseconds" in raised.value.hint
        assert raised.value.exit_code == 2


@pytest.mark.parametrize("source", [None, float("nan"), 3])
def test_a_source_that_is_none_is_refused_where_one_is_wanted(source):
    for records in ([b"no"], [{"payload": b"no", "source": "s"}, b"no"], pa.table({"payload": [b"no"]})):
        with pytest.raises(clickmill.ClickmillError, match="`source`") as raised:
            record_batches(records, source=source)
        assert raised.value.exit_code == 2
    if source is None:
        assert taken([{"payload": b"no", "source": "s"}], source=source)[0]["source"] == "s"


def test_a_time_of_zero_is_1970():
    (row,) = taken([{"payload": b"no", "ingest_time": 0, "publish_time": 0}])
    assert row["ingest_time"] == row["publish_time"] == datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
    assert taken([b"no"], ingest_time=0)[0]["ingest_time"] == row["ingest_time"]


def test_a_record_may_be_any_mapping_and_bytes_of_any_kind():
    rows = [types.MappingProxyType({"payload": b"a"}), collections.UserDict(payload=b"b"), bytearray(b"c")]
    assert [row["payload"] for row in taken([*rows, memoryview(b"d")])] == [b"a", b"b", b"c", b"d"]


def test_a_record_that_is_longer_than_a_frame_is_a_letter_as_any_that_is_too_large():
    with clickmill.chain(MESSAGES) as chain:
        limits = chain.hello["limits"]
        answer = chain([b"{}", b"x" * (limits["max_frame_bytes"] + 1), b"{}"])
        assert answer.letters.column("code").to_pylist() == ["required", "too_large", "required"]
        assert answer.letters.column("payloadBytes")[1].as_py() == b"x" * limits["max_record_bytes"]
        # What is long beside the payload is in no letter's first bytes.
        with pytest.raises(clickmill.ClickmillError, match="a record has .* bytes, limit"):
            chain([{"payload": b"{}", "ordering_key": "x" * limits["max_frame_bytes"]}])


@pytest.mark.parametrize("as_table", [False, True])
def test_what_has_no_value_in_some_records_is_filled_in_and_ends_no_batch(as_table):
    # As tombstones of Kafka come out of Spark, and times that are not known.
    records = [
        {"payload": b"no", "message_id": "1", "source": "s", "ingest_time": TIME, "publish_time": TIME},
        {"payload": None, "message_id": "2", "source": None, "ingest_time": None, "publish_time": None},
    ]
    with clickmill.chain(MESSAGES) as chain:
        given = pa.Table.from_pylist(records) if as_table else records
        later = TIME + datetime.timedelta(days=1)
        letters = chain(given, source="given", ingest_time=later).letters
        empty = chain([b""]).letters.column("code").to_pylist()
    assert letters.column("code").to_pylist() == ["not_json", *empty]
    assert letters.column("source").to_pylist() == ["s", "given"]
    assert letters.column("timestamp").to_pylist() == letters.column("publish_time").to_pylist() == [TIME, later]


def test_what_a_plugin_set_is_made_of_is_told(live):
    with live.chain() as chain:
        digest = chain.hello["plugin_set"]
        assert chain(live.messages[:3]).counts["plugin_sets"] == [digest]
        stages = chain.plugin_sets()[digest].column("stage").to_pylist()
    assert sorted(stages) == ["enrich", "mask", "parse", "validate"]
    assert set(live.rows.column("plugin_set").to_pylist()) == {digest}
    with pytest.raises(clickmill.ClickmillError, match="plugin set"):
        clickmill.chain(MESSAGES, plugin_set="0123" * 16)([b"{}"])


def test_a_chain_that_watches_takes_up_another_set_and_one_that_does_not_stays(live, tmp_path):
    watched = tmp_path / "watched"
    watched.mkdir()
    settings = [*live.settings, f"swap.watch={watched}", "swap.watch_interval_secs=0.1"]
    some = live.messages[:100]
    with (
        clickmill.chain(MESSAGES, set=settings, watch=True) as follows,
        clickmill.chain(MESSAGES, set=settings) as stays,
    ):
        before = stays.hello["plugin_set"]
        assert follows(some).counts["plugin_sets"] == stays(some).counts["plugin_sets"] == [before]
        mask = pathlib.Path(run("plugin", "build", PIPELINES.parents[1] / "plugins/mask", folder=tmp_path).strip())
        # With a section of no meaning at its end: another component, which does the same.
        written = tmp_path / "mask.wasm"
        written.write_bytes(mask.read_bytes() + b"\x00\x04\x03abc")
        written.rename(watched / "mask.wasm")
        deadline = time.monotonic() + 120
        while (answer := follows(some)).counts["plugin_sets"] == [before]:
            assert time.monotonic() < deadline, "the plugin is not taken up"
            time.sleep(0.05)
        (after,) = answer.counts["plugin_sets"]
        assert set(answer.rows.column("plugin_set").to_pylist()) == {after}
        assert set(follows.plugin_sets()) == {before, after}
        assert stays(some).counts["plugin_sets"] == [before]


@pytest.mark.parametrize("how", ["poison", "bug"])
def test_a_record_that_ends_two_processes_is_a_letter(live, fragile, how):
    fragile(how)
    poisoned = [dict(message) for message in live.messages]
    poisoned[123]["payload"] = POISON
    with live.chain() as chain:
        answer = chain(poisoned)
    victim = poisoned[123]["message_id"]
    crashed = [letter for letter in answer.letters.to_pylist() if letter["code"] == "host_crash"]
    assert [(letter["message_id"], letter["payloadBytes"]) for letter in crashed] == [
        (victim, poisoned[123]["payload"])
    ]
    assert answer.counts["rows_in"] == len(poisoned)

    def others(table):
        return lines(row for row in table.to_pylist() if row["message_id"] != victim)

    assert others(answer.rows) == others(live.rows)
    assert others(answer.letters) == others(live.letters)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("frame", "what is not a frame"),
        ("table", "a frame ROWS that is not what it announced"),
        ("rows", "a frame ROWS that is not what it announced"),
        ("columns", "a frame ROWS that is not what it announced"),
        ("less", "rows and"),
    ],
)
def test_answers_that_do_not_fit_are_refused_whole(live, fragile, how, told):
    fragile(f"lie:{how}")
    with live.chain() as chain:
        with pytest.raises(clickmill.ClickmillError, match=told) as raised:
            chain(live.messages)
        assert raised.value.exit_code == 1


def test_processes_that_die_at_random_change_nothing(live, fragile):
    fragile("random")
    with live.chain() as chain:
        is_same(list(chain.stream(parts_of(live.messages, 20))), live)


@pytest.mark.parametrize("how", ["start", "idle"])
def test_a_process_that_dies_at_its_start_or_while_idle_is_started_again(live, tmp_path, fragile, how):
    fragile(f"{how}:{tmp_path / 'starts'}")
    parts = parts_of(live.messages, 4)
    with live.chain() as chain:
        assert chain.hello["tables"]
        is_same(list(chain.stream(parts)), live)
    starts = (tmp_path / "starts").stat().st_size
    assert starts == 2 if how == "start" else starts > 2


def test_a_record_is_no_letter_for_what_died_before_it_was_given(live, tmp_path, fragile):
    good = messages_of(live.rows, "payload", "ingested_at")[0]
    fragile(f"start:{tmp_path / 'starts'}")
    with live.chain() as chain:
        for _ in range(3):
            # Of three tries two die: the one that is killed here, and the next at its start.
            answer = chain([good])
            assert (answer.rows.num_rows, answer.letters.num_rows) == (1, 0)
            os.kill(chain.pid, signal.SIGKILL)
            chain._process._child.wait()
        # What is longer than a pipe holds is not given whole.
        assert chain([good] * 2000).rows.num_rows == 2000


def test_a_record_that_is_in_the_pipe_was_not_given(live, tmp_path, fragile):
    good = messages_of(live.rows, "payload", "ingested_at")[0]
    fragile(f"deaf:{tmp_path / 'starts'}")
    with live.chain() as chain:
        answer = chain([good])
    assert (answer.rows.num_rows, answer.letters.num_rows) == (1, 0)
    assert (tmp_path / "starts").stat().st_size == 4


@pytest.mark.parametrize(("how", "said"), [("broken", "no more of it"), ("deaf", "SIGKILL")])
def test_an_executable_that_always_dies_at_its_start_ends_soon_with_its_own_words(fragile, how, said):
    fragile(how)
    with pytest.raises(clickmill.RunFailed) as raised:
        clickmill.chain(MESSAGES)([b"{}", b"{}"])
    assert not isinstance(raised.value, clickmill.ProcessDied)
    for part in ("dies before it has read a record, tried 4 times", "SIGKILL", said):
        assert part in str(raised.value), raised.value


#: Answers where it was forked as well, while the chain of its parent ends.
FORKS = """
import os, sys, clickmill

def answer(chain, record):
    (letter,) = chain([record]).letters.column("payloadString").to_pylist()
    assert letter == record, letter
    return str(chain.pid)

chain = clickmill.chain(sys.argv[1])
own = answer(chain, "of the parent")
(said, says), (waits, goes_on) = os.pipe(), os.pipe()
if not os.fork():
    os.close(goes_on)
    os.write(says, answer(chain, "of the child").encode())
    os.close(says)
    os.read(waits, 1)
    os._exit(0)
os.close(says)
child = os.read(said, 100).decode()
assert child not in ("", own), child
assert answer(chain, "of the parent") == own
ended = chain._process._child
chain.close()
os.close(goes_on)
assert os.wait()[1] == 0
# By the end of its input, which the child holds no more: none had to kill it.
assert ended.returncode == 0, ended.returncode
"""


def test_where_python_is_forked_the_chain_is_in_another_process_and_that_of_the_parent_is_left_alone():
    done = subprocess.run([sys.executable, "-c", FORKS, MESSAGES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def is_over(pid):
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        # It had ended before its handle was let go, which then waited for it.
        return True


def test_a_chain_that_nobody_has_any_more_ends_its_process():
    chain = clickmill.chain(MESSAGES)
    chain([b"{}"])
    pid = chain.pid
    del chain
    gc.collect()
    deadline = time.monotonic() + 60
    while not is_over(pid):
        assert time.monotonic() < deadline, "its process still runs"
        time.sleep(0.05)


def test_errors_say_the_same_as_the_command_line(tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text(pathlib.Path(MESSAGES).read_text().replace("[[plugin]]", "[[plugins]]", 1))
    told = subprocess.run([clickmill.executable(), "validate", file], capture_output=True, text=True)
    with pytest.raises(clickmill.ClickmillError) as raised:
        clickmill.chain(file)([b"{}"])
    assert f"error: {raised.value}" == told.stderr.strip()
    assert raised.value.exit_code == told.returncode == 2
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.exit_code) == (str(raised.value), 2)


@pytest.mark.parametrize("code", [1, 2, 3])
def test_an_error_that_is_made_anew_of_its_text_has_its_exit_code(code):
    told = {"error": "no", "causes": ["c"], "hint": "h", "exit": code}
    for error in (
        clickmill.ClickmillError("no", causes=["c"], hint="h", exit_code=code),
        clickmill.ClickmillError.of(told),
    ):
        # As Beam does on its workers.
        again = type(error)(f"{error.args[0]} [while running 'Chain']")
        assert isinstance(error, clickmill.ClickmillError) and again.exit_code == error.exit_code == code
        assert str(again) == f"{error} [while running 'Chain']"
        copied = pickle.loads(pickle.dumps(error))
        assert type(copied) is type(error) and vars(copied) == vars(error) and str(copied) == str(error)
    died = clickmill.ProcessDied("it has")
    assert died.exit_code == 1 and type(pickle.loads(pickle.dumps(died))) is clickmill.ProcessDied
    assert clickmill.ClickmillError("no").exit_code == 2


@pytest.mark.parametrize("setting", ["source.rate", "plugin.msk.config.key_id=k2", "name.first=x"])
def test_settings_that_make_no_sense_are_told_as_by_the_command_line(setting):
    command = [clickmill.executable(), "validate", MESSAGES, "--set", setting]
    told = subprocess.run(command, capture_output=True, text=True)
    with pytest.raises(clickmill.ClickmillError) as raised:
        read(Settings(MESSAGES, (setting,)))
    assert f"error: {raised.value}" == told.stderr.strip()
    assert raised.value.exit_code == told.returncode == 2


def test_settings_are_those_of_the_stage_that_is_named_and_text_where_text_stands():
    sections = read(Settings(MESSAGES, ("plugin.mask.config.key_id=2", "source.rate=7", "swap.watch=here")))
    (mask,) = [plugin for plugin in sections["plugin"] if plugin["name"] == "mask"]
    assert (mask["config"]["key_id"], sections["source"]["rate"], sections["swap"]["watch"]) == ("2", 7, "here")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("sink.project", "123456"),
        ("source.uri", "2026-11-28"),
        ("source.subscription", "1e3"),
        ("swap.watch", "12:00:00"),
        ("name", "true"),
    ],
)
def test_what_looks_like_a_number_or_a_date_is_text_where_text_is_wanted(setting, value):
    found = read(Settings(MESSAGES, (f"{setting}={value}",)))
    for name in setting.split("."):
        found = found[name]
    assert found == value


def test_files_that_are_no_pipeline_are_told_with_their_name(tmp_path):
    file = tmp_path / "pipeline.toml"
    for content, said in [
        (b'name = "a"\nsink = }', f"pipeline file `{file}` is not TOML: line 2, column "),
        (b"\xff", f"cannot read pipeline file `{file}`"),
    ]:
        file.write_bytes(content)
        with pytest.raises(clickmill.ClickmillError) as raised:
            read(Settings(str(file)))
        assert str(raised.value).startswith(said)


def test_only_a_word_alone_names_a_pipeline_that_comes_with_clickmill(tmp_path, monkeypatch):
    share = tmp_path / "share"
    (share / "host/pipelines").mkdir(parents=True)
    (share / "host/pipelines/clicks.toml").write_text(pathlib.Path(OBJECTS).read_text())
    monkeypatch.setenv("CLICKMILL_SHARE", str(share))
    here = tmp_path / "here"
    (here / "clicks").mkdir(parents=True)
    monkeypatch.chdir(here)
    names = ["clicks", "clicks.toml", "clicks.yaml", "clicks."]
    names += ["host/pipelines/clicks.toml", "host//pipelines/clicks"]
    paths = ["./clicks.toml", "./clicks", "/pipelines/clicks.toml", "sub/clicks", "../clicks.toml", "clicks/"]
    paths += [str(here / "clicks"), str(here / "host/pipelines/clicks.toml"), "sub/host/pipelines/clicks.toml"]
    others = ["click.toml", ".toml", "nowhere", "host/pipelines"]
    for name in [*names, *paths, *others]:
        command = [clickmill.executable(), "validate", name]
        told = subprocess.run(command, capture_output=True, text=True)
        assert (f"cannot read pipeline file `{name}`" in told.stderr) == (name not in names), told.stderr
        if name in names:
            assert pipeline_file(name) == share / "host/pipelines/clicks.toml"
            continue
        with pytest.raises(clickmill.ClickmillError) as raised:
            read(Settings(name))
        error, cause = str(raised.value).splitlines()
        # Without what a path need not have.
        assert error == f"cannot read pipeline file `{pathlib.Path(name)}`"
        assert cause in told.stderr and raised.value.exit_code == told.returncode == 2
    # What is here comes first, as it is named.
    (here / "clicks.toml").write_text("name = 'mine'")
    assert pipeline_file("clicks.toml") == pathlib.Path("clicks.toml")
    assert read(Settings("./clicks.toml"))["name"] == "mine"


@pytest.mark.parametrize("pipeline", ["", ".", "/", "a\0b"])
def test_names_that_no_pipeline_has_are_told(pipeline):
    with pytest.raises(clickmill.ClickmillError, match="cannot read pipeline file"):
        read(Settings(pipeline))
    with pytest.raises(clickmill.ClickmillError) as raised:
        clickmill.chain(pipeline)([b"{}"])
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("source", "source=3"),
        ("source.uri", "source.uri=[1]"),
        ("sink", "sink=[]"),
        ("sink.table", "sink.table=[1]"),
        ("sink.route", "sink.route=1"),
        ("sink.route", "sink.route=[{copy=true}]"),
        ("swap", "swap=3"),
        ("dead_letter", "dead_letter=3"),
    ],
)
def test_settings_of_another_type_are_told_before_a_process_is_asked(setting, wrong):
    with pytest.raises(clickmill.ClickmillError, match=f"`{setting}` is not "):
        read(Settings(MESSAGES, (wrong,)))


def test_wrong_columns_are_told_by_name(live):
    with clickmill.chain(MESSAGES) as chain:
        with pytest.raises(clickmill.ClickmillError, match="`colour`"):
            chain([{"payload": b"{}", "colour": "red"}])
        with pytest.raises(clickmill.ClickmillError, match="`payload`"):
            chain(pa.table({"source": ["a"]}))
        assert chain(live.messages[:1]).counts["rows_in"] == 1


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([17], "`payload`"),
        (["\ud800"], "`payload`"),
        (pa.table({"payload": [17]}), "`payload`"),
        (pa.table([[b"{}"], [b"{}"]], names=["payload", "payload"]), "several columns `payload`"),
        ([{"payload": b"{}", "message_id": 17}], "`message_id`"),
        ([{"payload": b"{}", "publish_time": "today"}], "`publish_time`"),
        ([{"payload": b"{}", "publish_time": 2**70}], "`publish_time`"),
        ([{"payload": b"{}", "attributes": {"a": 1}}], "`attributes`"),
        ([{"payload": b"{}", "attributes": "a"}], "`attributes`"),
        # One, whose letters or keys are several.
        (b"{}", "one record"),
        ("{}", "one record"),
        ({"payload": b"{}"}, "one record"),
        (bytearray(b"{}"), "one record"),
        (memoryview(b"{}"), "one record"),
        (types.MappingProxyType({"payload": b"{}"}), "one record"),
        (collections.UserDict(payload=b"{}"), "one record"),
    ],
)
def test_values_of_other_types_are_told_with_their_column(records, said):
    with pytest.raises(clickmill.ClickmillError, match=said) as raised:
        record_batches(records)
    assert raised.value.exit_code == 2


def test_an_ingest_time_that_is_none_is_told():
    for ingest_time in ("today", 2**70):
        with pytest.raises(clickmill.ClickmillError, match="`ingest_time`"):
            record_batches([b"{}"], ingest_time=ingest_time)


def test_secrets_may_be_in_a_file_and_are_never_in_what_is_sent(tmp_path, live, monkeypatch):
    key = "a key for tests, 32 bytes or more"
    monkeypatch.delenv("CLICKMILL_MASK_KEY")
    secrets = tmp_path / "secrets"
    secrets.write_text(f"# of the mask\nCLICKMILL_MASK_KEY={key}\n")
    with clickmill.chain(MESSAGES, set=live.settings, secrets=secrets) as chain:
        assert key.encode() not in pickle.dumps(chain)
        is_same([chain(live.messages)], live)
    for content, said in [
        (key.encode(), "line 1"),
        (f"CLICKMILL_MASK_KEY={key}".encode() + b"\xff", "cannot read"),
        (f"CLICKMILL_MASK_KEY={key}\0".encode(), "cannot start"),
    ]:
        secrets.write_bytes(content)
        with pytest.raises(clickmill.ClickmillError, match=said) as raised:
            clickmill.chain(MESSAGES, secrets=secrets)([b"{}"])
        assert key not in str(raised.value)


def test_a_line_of_a_file_of_secrets_ends_with_its_line_feed(tmp_path):
    secrets = tmp_path / "secrets"
    secrets.write_text("A=one\u2028two\x0cthree\nB=four\r\n", encoding="utf-8")
    environment = Settings("pipeline.toml", secrets=str(secrets)).environment()
    assert (environment["A"], environment["B"]) == ("one\u2028two\x0cthree", "four")


def test_variables_are_filled_in_as_the_process_does(tmp_path, monkeypatch):
    monkeypatch.setenv("NAME", "filled")
    for text, wanted in [("${NAME}", "filled"), ("$${NAME}", "${NAME}"), ("$$${NAME}", "$${NAME}"), ("a$${", "a${")]:
        pipeline = tmp_path / "pipeline.toml"
        pipeline.write_text(f'[source]\nuri = "{text}"\n')
        assert read(Settings(str(pipeline)))["source"]["uri"] == wanted


def test_what_names_no_object_is_told():
    chain = clickmill.chain(MESSAGES)
    for uri in (None, 5, b"a.csv"):
        with pytest.raises(clickmill.ClickmillError, match="an object is named by a text"):
            list(chain.object(uri))
    with pytest.raises(clickmill.ClickmillError, match="an object is named by a text"):
        chain.objects(5)


def test_types_hold_and_lack_nowhere():
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "-p", "clickmill"],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
