"""`clickmill.chain`: the same as `clickmill run`, whatever dies."""

import pathlib
import pickle
import subprocess
import sys

import pyarrow as pa
import pytest

import clickmill
from conftest import HERE, MESSAGES, OBJECTS, lines


def test_objects_are_answered_as_run_answers_them(loaded):
    rows, letters = [], []
    with clickmill.chain(OBJECTS, set=["dead_letter.max_rejected_share=1.0"]) as chain:
        for source, time in loaded.objects.items():
            for answer in chain.object(source, ingest_time=time):
                rows += answer.rows.to_pylist()
                letters += answer.letters.to_pylist()
            assert answer.counts["source"] == source
    assert lines(rows) == lines(loaded.rows)
    assert lines(letters) == lines(loaded.letters)
    assert letters


def test_every_message_is_a_row_or_a_letter_wherever_batches_are_cut(messages, answered):
    assert answered.counts["rows_in"] == len(messages) == answered.rows.num_rows + answered.letters.num_rows
    assert answered.letters.num_rows > 20
    with clickmill.chain(MESSAGES) as chain:
        parts = list(chain.stream(messages[at : at + 100] for at in range(0, len(messages), 100)))
    for name in ("rows", "letters"):
        together = pa.concat_tables([getattr(part, name) for part in parts])
        assert lines(together) == lines(getattr(answered, name))


def test_tables_texts_and_bytes_are_records_too(messages):
    with clickmill.chain(MESSAGES) as chain:
        payloads = [message["payload"] for message in messages[:50]]
        table = pa.table({"payload": pa.array(payloads, pa.large_binary()).dictionary_encode()})
        assert chain(table).counts["rows_in"] == 50
        assert chain(payload for payload in payloads).counts["rows_in"] == 50
        answer = chain([])
        assert answer.rows.num_rows == answer.letters.num_rows == 0


def test_what_a_plugin_set_is_made_of_is_told(answered):
    with clickmill.chain(MESSAGES) as chain:
        digest = chain.hello["plugin_set"]
        stages = chain.plugin_sets()[digest].column("stage").to_pylist()
    assert stages == ["parse", "enrich", "mask", "validate"]
    assert set(answered.rows.column("plugin_set").to_pylist()) == {digest}
    with pytest.raises(clickmill.ClickmillError, match="0123"):
        clickmill.chain(MESSAGES, plugin_set="0123" * 16)([b"{}"])


def test_a_record_that_kills_two_processes_is_a_letter(messages, answered, fragile):
    fragile("poison")
    poisoned = [dict(message) for message in messages]
    poisoned[123]["payload"] = b'{"event_id": "kill me"}'
    with clickmill.chain(MESSAGES) as chain:
        answer = chain(poisoned)
    crashed = [letter for letter in answer.letters.to_pylist() if letter["code"] == "host_crash"]
    assert [(letter["message_id"], letter["payloadBytes"]) for letter in crashed] == [
        ("123", poisoned[123]["payload"])
    ]
    assert answer.counts["rows_in"] == len(poisoned)

    def others(table):
        return lines(row for row in table.to_pylist() if row["message_id"] != "123")

    assert others(answer.rows) == others(answered.rows)
    assert others(answer.letters) == others(answered.letters)


def test_processes_that_die_at_random_change_nothing(messages, answered, fragile):
    fragile("random")
    with clickmill.chain(MESSAGES) as chain:
        parts = list(chain.stream(messages[at : at + 60] for at in range(0, len(messages), 60)))
    for name in ("rows", "letters"):
        together = pa.concat_tables([getattr(part, name) for part in parts])
        assert lines(together) == lines(getattr(answered, name))


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


def test_wrong_columns_are_told_by_name(messages):
    with clickmill.chain(MESSAGES) as chain:
        with pytest.raises(clickmill.ClickmillError, match="`colour`"):
            chain([{"payload": b"{}", "colour": "red"}])
        with pytest.raises(clickmill.ClickmillError, match="`payload`"):
            chain(pa.table({"source": ["a"]}))
        assert chain(messages[:1]).counts["rows_in"] == 1


def test_secrets_may_be_in_a_file_and_are_never_in_what_is_sent(tmp_path, messages, answered, monkeypatch):
    key = "a key for tests, 32 bytes or more"
    monkeypatch.delenv("CLICKMILL_MASK_KEY")
    secrets = tmp_path / "secrets"
    secrets.write_text(f"# of the mask\nCLICKMILL_MASK_KEY={key}\n")
    with clickmill.chain(MESSAGES, secrets=secrets) as chain:
        assert key.encode() not in pickle.dumps(chain)
        assert lines(chain(messages).rows) == lines(answered.rows)
    secrets.write_text(f"{key}\n")
    with pytest.raises(clickmill.ClickmillError, match="line 1") as raised:
        clickmill.chain(MESSAGES, secrets=secrets)([b"{}"])
    assert key not in str(raised.value)


def test_types_hold():
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--ignore-missing-imports", "-p", "clickmill"],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
