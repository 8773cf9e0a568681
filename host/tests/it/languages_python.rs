//! Plugins in Python, made by componentize-py of PyPI.

use std::process::Command;

use crate::languages_scripts::{COLUMN_CASES, Language};
use crate::support::{Scratch, root, succeeds};

pub(crate) const PYTHON: Language = Language {
    name: "python",
    sdk: "plugins/sdk-python",
    files: ["plugin.py", "pyproject.toml"],
    about: "[project]\nname = \"orders\"\nversion = \"1.2.3\"\ndescription = \"What the SDK can\"\n",
    unit: &["python3", "-B", "-m", "unittest"],
    hostile: r#"
import sys
import time

from clickmill_plugin import DataType, Row, log, plugin, reject


def deeper():
    return deeper() + 1


@plugin(reads={"what": DataType.TEXT}, writes={"what": DataType.TEXT})
def hostile(row: Row) -> None:
    what = row.require_text("what")
    if what == "loop":
        while True:
            pass
    if what == "memory":
        held = []
        while True:
            held.append(bytes(1 << 20))
    if what == "flood":
        for _ in range(100):
            log.info("a line")
    if what == "fail":
        [][1]
    if what == "recurse":
        deeper()
    if what == "clock":
        time.time()
    if what == "print":
        print("printed")
    if what == "exit":
        sys.exit(1)
    if what == "return":
        return {"what": "lost"}
    if what == "half":
        print("\ud800")
        raise reject("half", "a \ud800 b")
    row["what"] = what.upper()
"#,
};

#[test]
#[ignore = "`readme` goes nearly the same way: `.ci/long`"]
fn a_project_does_what_one_in_rust_does() {
    PYTHON.begins_as_in_rust("a_project_does_what_one_in_rust_does");
}

#[test]
fn the_cases_of_all_languages_pass() {
    PYTHON.passes_the_cases_of_all("the_cases_of_all_languages_pass");
}

#[test]
fn a_hostile_row_costs_no_other() {
    PYTHON.loses_no_other_row("a_hostile_row_costs_no_other");
}

#[test]
fn the_sdk_comes_along() {
    PYTHON.brings_the_sdk_along();
}

#[test]
fn without_its_tools_it_is_told_what_to_install() {
    PYTHON.tells_what_to_install("componentize-py==0.25.1");
    PYTHON.tells_of_an_old_one("python3", "Python 3.9.2", "install Python 3.11 or later");
}

/// `contract.py` has the names and fields of the contract.
#[test]
fn the_types_are_those_of_the_contract() {
    let contract = std::fs::read_to_string(root().join("wit/plugin.wit")).unwrap();
    let types = contract.split("interface log").next().unwrap();
    let script = "import dataclasses, sys; sys.dont_write_bytecode = True; from clickmill_plugin import contract as c\n\
         for name, kind in vars(c).items():\n    \
         if dataclasses.is_dataclass(kind) and '_' not in name: print(name, *[f.name for f in dataclasses.fields(kind)])";
    let mut python = Command::new("python3");
    let output = python
        .args(["-c", script])
        .env("PYTHONPATH", root().join("plugins/sdk-python"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let mut records = Vec::new();
    for line in types.lines().map(str::trim).filter(|line| !line.starts_with("///")) {
        if let Some(name) = line.strip_prefix("record ").and_then(|rest| rest.strip_suffix(" {")) {
            let name: String =
                name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            records.push(name);
        } else if let (Some((name, _)), Some(record)) = (line.split_once(": "), records.last_mut())
        {
            record.push(' ');
            record.push_str(&name.replace('-', "_"));
        }
    }
    assert!(records.len() > 10, "{records:?}");
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        records,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whole columns: what is set, what stays, what is refused, and what is dropped.
const COLUMNS: Language = Language {
    hostile: r#"
from clickmill_plugin import Batch, DataType, plugin


@plugin.columns(
    reads={"what": DataType.TEXT, "sizes": [DataType.INT64]},
    writes={"what": DataType.TEXT, "sizes": [DataType.INT64], "total": DataType.DECIMAL},
)
def columns(batch: Batch) -> None:
    words = batch["what"]
    for row, word in enumerate(words):
        if word == "drop":
            batch.filter_out(row)
        elif word is None:
            batch.reject(row, "required", "`what` is missing", "what")
        elif word == "fail":
            raise ValueError("as asked")
    batch["what"] = [word and word.upper() for word in words]
    batch["total"] = [sum(sizes) for sizes in batch["sizes"]]
"#,
    ..PYTHON
};

#[test]
#[ignore = "a minute: `.ci/long`"]
fn whole_columns_are_transformed() {
    // What is called so is a file of the plugin's, and runs nowhere but in the component.
    let no_tool = ("componentize_py.py", "raise SystemExit('run while it was built')\n");
    let files = [no_tool, ("tests/cases.json", COLUMN_CASES)];
    COLUMNS.passes("whole_columns_are_transformed", &files);
}

/// Throws as it is configured, or asked.
const THROWS: Language = Language {
    hostile: r#"
from dataclasses import dataclass

from clickmill_plugin import Batch, DataType, plugin


@dataclass
class Config:
    broken: bool = False


def reads(config: Config):
    if config.broken:
        raise ValueError("asked when it is configured")
    return {"what": DataType.TEXT}


@plugin.columns(reads=reads, writes={"what": DataType.TEXT})
def columns(batch: Batch, config: Config) -> None:
    if "fail" in batch["what"]:
        raise ValueError("asked over columns")
"#,
    ..PYTHON
};

#[test]
#[ignore = "two minutes: `.ci/long`"]
fn an_exception_over_columns_is_told_with_its_file() {
    THROWS.tells_where_columns_fail("an_exception_over_columns_is_told_with_its_file");
}

/// What `pyproject.toml` names is installed for the plugin, and in its component.
const DEPENDS: Language = Language {
    about: "[project]\nname = \"hosts\"\ndependencies = [\"idna==3.20\"]\n",
    hostile: r#"
import idna

from clickmill_plugin import DataType, Row, plugin


@plugin(reads={"host": DataType.TEXT}, writes={"host": DataType.TEXT})
def hosts(row: Row) -> None:
    row["host"] = idna.encode(row.require_text("host")).decode()
"#,
    ..PYTHON
};

#[test]
#[ignore = "two minutes: `.ci/long`"]
fn packages_in_pure_python_come_along() {
    let cases = r#"{
        "columns": {"host": "STRING"},
        "cases": [
            {"input": {"host": "bücher.example"}, "output": {"host": "xn--bcher-kva.example"}},
            {"input": {"host": "-"}, "rejected": "exception"}
        ]
    }"#;
    DEPENDS.passes("packages_in_pure_python_come_along", &[("tests/cases.json", cases)]);
}

/// Unit tests of what is told when a plugin is made.
const WHEN_IT_IS_MADE: &str = r#"
import sys
import unittest
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sdk"))

from clickmill_plugin import DataType, Row, Secret, plugin, testing  # noqa: E402


@dataclass
class Config:
    word: str = "a"


COLUMNS = {"what": DataType.TEXT}


def made(function, **more):
    return plugin(**{"reads": COLUMNS, "writes": COLUMNS, **more})(function)


class Functions(unittest.TestCase):
    def test_a_configuration_is_the_second_parameter(self):
        def bare(row, config: Config):
            row["what"] = config.word

        def typed(row: Row, config: Config):
            row["what"] = config.word

        def alone(row):
            row["what"] = "b"

        for function, wanted in [(bare, "b"), (typed, "b"), (alone, "b")]:
            config = {} if function is alone else {"word": "b"}
            self.assertEqual(testing.run(made(function), [{}], config).rows, [{"what": wanted}])

    def test_what_would_refuse_each_row_is_told_when_it_is_made(self):
        def bare(row, config): ...
        def none(): ...
        def three(row, config: Config, more): ...
        def named(row, *, config: Config): ...
        async def waits(row): ...
        def yields(row):
            yield row

        for function, told in [
            (bare, "annotate it with your dataclass, as in `config: Config`"),
            (none, "is called with a row"),
            (three, "is called with a row"),
            (named, "is called with a row"),
            (waits, "waits for nothing"),
            (yields, "waits for nothing"),
        ]:
            with self.subTest(function.__name__), self.assertRaisesRegex(TypeError, told):
                made(function)

    def test_columns_have_types(self):
        def one(row): ...

        for columns, told in [
            ({"a": "text"}, "`a` has a type 'text', which is none: wanted a `DataType`"),
            ({"a": []}, "`a` has a type"),
            ({"a": [DataType.TEXT, DataType.TEXT]}, "`a` has a type"),
            (["a"], "are no columns"),
            ("a", "are no columns"),
        ]:
            with self.subTest(columns), self.assertRaisesRegex(TypeError, told):
                made(one, reads=columns)
            by_call = made(one, writes=lambda _: columns)
            with self.subTest(columns), self.assertRaisesRegex(TypeError, told):
                testing.configure(by_call)

    def test_a_secret_is_a_field(self):
        def one(row, config: Config): ...

        with self.assertRaisesRegex(TypeError, "declare `key: str` in its dataclass"):
            made(one, secrets=[Secret("key")])

    def test_lookups_are_no_text(self):
        def one(row): ...

        with self.assertRaisesRegex(TypeError, "`lookups` is a text"):
            made(one, lookups="countries")
        with self.assertRaisesRegex(TypeError, "`lookups` is a text"):
            testing.configure(made(one, lookups=lambda _: "countries"))
"#;

/// Unit tests of values that are read and set.
const VALUES: &str = r#"
import json
import sys
import unittest
from datetime import datetime
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sdk"))

from clickmill_plugin import DataType, lookup, plugin, testing  # noqa: E402

USER = {"user": DataType.RECORD, "user.email": DataType.TEXT, "user.age": DataType.INT64}


def setting(path, value, writes, reads=(), rows=({},)):
    """What becomes of rows where a value is set."""
    def over(row):
        row[path] = value

    fields = {field: kind for field, kind in USER.items() if "." in field}
    return testing.run(plugin(reads=dict(reads), writes=writes)(over), rows, fields=fields if reads else None)


class Values(unittest.TestCase):
    def test_exact_numbers_are_written_plainly(self):
        def over(row):
            number = row.decimal("number")
            row["told"] = f"{number} {number!s} {number:f} {number + 1}"

        own = plugin(reads={"number": DataType.DECIMAL}, writes={"told": DataType.TEXT})(over)
        for text, more in [
            ("2000", "2001"), ("-1500", "-1499"), ("0", "1"), ("19.9", "20.9"), ("-0.0000001", "0.9999999"),
            ("0.000000999", "1.000000999"), ("0.000001", "1.000001"), ("9" * 29, "1" + "0" * 29),
        ]:
            with self.subTest(text):
                (row,) = testing.run(own, [{"number": Decimal(text)}]).rows
                self.assertEqual(row["told"], f"{text} {text} {text} {more}")

    def test_what_is_no_column_is_refused_by_name(self):
        def columns(values, kind=DataType.TEXT):
            def over(batch):
                batch["what"] = values

            return testing.run(plugin.columns(reads={}, writes={"what": kind})(over), [{}, {}])

        for values in ["ab", b"ab", bytearray(2), memoryview(b"ab"), {"a": 1, "b": 2}, {"a", "b"}, {}.keys(), None, 5]:
            with self.subTest(values), self.assertRaisesRegex(TypeError, "`what` is set to a .+, wanted a list"):
                columns(values, DataType.TEXT if isinstance(values, str) else DataType.INT64)
        for values in [["a", None], ("a", None), iter(["a", None]), (one for one in ["a", None])]:
            self.assertEqual(columns(values).rows, [{"what": "a"}, {"what": None}])
        with self.assertRaisesRegex(TypeError, "the keys of `countries` are a str"):
            lookup.find("countries", "name", "29")

    def test_a_float_is_no_integer_that_it_would_round(self):
        floats = {"share": DataType.FLOAT64}
        for value in [0.1, 2**53, -(2**70), 3]:
            self.assertEqual(setting("share", value, floats).rows, [{"share": float(value)}])
        for value, told in [
            (2**53 + 1, "set to 9007199254740993, which no float is exactly"),
            (-(2**53) - 1, "which no float is exactly"),
            (10**400, "an integer beyond its range"),
            (-(10**5000), "an integer beyond its range"),
            (True, "set to True"),
        ]:
            refusal = setting("share", value, floats).rejections[0]
            self.assertIn("`share` is announced as FLOAT64 but", refusal.message)
            self.assertIn(told, refusal.message)

    def test_what_is_no_number_is_told_so(self):
        for value in ["NaN", "-Infinity"]:
            refusal = setting("price", Decimal(value), {"price": DataType.DECIMAL}).rejections[0]
            self.assertIn(f"{value} is no number", refusal.message)

    def test_a_row_is_not_walked(self):
        def over(row):
            row["what"] = str(dict(row))

        refusal = testing.run(plugin(reads={}, writes={"what": DataType.TEXT})(over), [{}]).rejections[0]
        self.assertIn("'Row' object is not iterable", refusal.message)

    def test_an_exception_is_told_whatever_its_text(self):
        class Silent(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        def over(row):
            raise Silent() if row["what"] == "silent" else ValueError(row["what"])

        rows = [{"what": "silent"}, {"what": "x" * 2000}]
        own = plugin(reads={"what": DataType.TEXT}, writes={})(over)
        silent, long = testing.run(own, rows).rejections.values()
        self.assertRegex(silent.message, r"^Silent, whose text can't be told \(test_values\.py, line \d+\)$")
        # The host cuts it at its end.
        self.assertRegex(long.message, r"^\(test_values\.py, line \d+\) ValueError: x{2000}$")

    def test_what_a_library_raises_is_told_with_the_line_that_called_it(self):
        ways = [
            lambda: json.loads("{"),
            lambda: datetime.strptime("31.02.2026", "%d.%m.%Y"),
            lambda: sorted("ab", key=lambda _: json.loads("{")),
            lambda: exec("json.loads('{')"),
        ]
        own = plugin(reads={"at": DataType.INT64}, writes={})(lambda row: ways[row["at"]]())
        refusals = testing.run(own, [{"at": at} for at in range(len(ways))]).rejections
        for at, way in enumerate(ways):
            line = f"(test_values.py, line {way.__code__.co_firstlineno})"
            self.assertTrue(refusals[at].message.endswith(line), refusals[at].message)

    def test_a_record_may_be_written_with_fewer_fields(self):
        def over(row):
            if row["user"] is None:
                raise ValueError("as asked")

        fields = {"user.email": DataType.TEXT, "user.age": DataType.INT64, "items.size": DataType.INT64,
                  "items.of": DataType.RECORD, "items.of.a": DataType.TEXT, "items.of.b": DataType.TEXT}
        own = plugin(
            reads={"user": DataType.RECORD, "items": [DataType.RECORD]},
            # The age is of another type than was read.
            writes={"user": DataType.RECORD, "user.email": DataType.TEXT, "user.age": DataType.TEXT,
                    "items": [DataType.RECORD], "items.of": DataType.RECORD, "items.of.b": DataType.TEXT},
        )(over)
        given = {"user": {"email": "a", "age": 3}, "items": [{"size": 1, "of": {"a": "b", "b": "c"}}, {"size": 2}]}
        output = testing.run(own, [given, {}], fields=fields)
        self.assertEqual(output.rows, [
            {"user": {"email": "a", "age": None}, "items": [{"of": {"b": "c"}}, {"of": None}]},
            {"user": None, "items": []},
        ])
        self.assertEqual(list(output.rejections), [1])

    def test_a_field_that_is_not_announced_is_refused_by_name(self):
        writes = {"user": DataType.RECORD, "user.email": DataType.TEXT}
        given = {"email": "a", "age": 3}
        for value in [{"emial": "b"}, given]:
            output = setting("user", value, writes, {"user": DataType.RECORD}, [{"user": given}])
            self.assertEqual(output.rows, [{"user": {"email": "a"}}])
            name = list(value)[-1]
            self.assertIn(f"`user.{name}` is set but not announced", output.rejections[0].message)
        lists = {"users": [DataType.RECORD], "users.of": DataType.RECORD, "users.of.email": DataType.TEXT}
        refusal = setting("users", [{"of": {"emial": "b"}}], lists).rejections[0]
        self.assertIn("`users.of.emial` is set but not announced", refusal.message)
"#;

/// Unit tests of the SDK pass natively, in a new project.
fn passes_natively(name: &str, tests: &str) {
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "ours", "--language", "python"]);
    scratch.write(&format!("ours/{name}.py"), tests);
    let mut test = Command::new("python3");
    test.args(["-B", "-m", "unittest", name]).current_dir(scratch.path("ours"));
    succeeds(test);
}

#[test]
fn what_would_refuse_each_row_is_told_when_a_plugin_is_made() {
    passes_natively("test_made", WHEN_IT_IS_MADE);
}

#[test]
fn values_are_exact_or_refused_by_name() {
    passes_natively("test_values", VALUES);
}

/// Unit tests of what a component lacks, which take it away from the process that runs them.
const CLOCKS: &str = r#"
import email.utils
import logging
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sdk"))

from clickmill_plugin import sandbox  # noqa: E402


def by_default(timer=time.monotonic):
    return timer()


class Clocks(unittest.TestCase):
    def test_the_author_is_refused_the_time_and_a_library_is_told_one_that_stands_still(self):
        sandbox.bereft(str(Path(__file__).parent))
        for way in (time.time, by_default):
            with self.assertRaisesRegex(PermissionError, "a plugin has no clock"):
                way()
        self.assertEqual(logging.makeLogRecord({}).created, 1.0)
        self.assertEqual(email.utils.formatdate(), "Thu, 01 Jan 1970 00:00:01 -0000")
"#;

#[test]
fn libraries_are_told_a_time_that_stands_still() {
    passes_natively("test_clocks", CLOCKS);
}

/// What asks for the time, or for chance, is told so, however it was imported.
const BEREFT: Language = Language {
    hostile: r#"
import datetime
import email.utils
import logging
import os
import random
import time
import uuid
import warnings
import zoneinfo
from dataclasses import dataclass, field
from datetime import date
from os import listdir
from time import time as now

from clickmill_plugin import DataType, Row, plugin

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@dataclass
class Held:
    at: float = field(default_factory=time.time)
    timer = time.monotonic


def by_default(timer=time.time):
    return timer()


def by_name(*, timer=time.time):
    return timer()


def asked():
    return {
        "clock": [
            now, time.monotonic_ns, time.localtime, time.ctime, lambda: time.strftime("%Y"), date.today,
            lambda: time.sleep(0), Held, lambda: Held(0).timer(), by_default, by_name,
            datetime.datetime.now, datetime.datetime.utcnow, datetime.datetime.today,
            lambda: datetime.datetime.now(datetime.timezone.utc),
        ],
        "randomness": [uuid.uuid1, uuid.uuid4, lambda: os.urandom(4), random.seed, random.Random, random.SystemRandom().random],
        "files": [lambda: open("a"), lambda: os.stat("a"), listdir, os.getcwd],
    }


@plugin(reads={"what": DataType.TEXT}, writes={"what": DataType.TEXT})
def hostile(row: Row) -> None:
    told = []
    for what, ways in asked().items():
        for one in ways:
            try:
                one()
            except PermissionError as error:
                told.append(f"a plugin has no {what}" in str(error))
    random.seed(5)
    kept = (time.gmtime(5).tm_year, time.strftime("%Y", time.gmtime(5)), random.random() == random.Random(5).random())
    # What libraries ask for ends nothing.
    try:
        zoneinfo.ZoneInfo("Europe/Paris")
    except (ImportError, zoneinfo.ZoneInfoNotFoundError) as error:
        logging.getLogger("zones").exception(error)
    logging.info("%d", "no number")
    warnings.warn("as asked")
    kept += (email.utils.formatdate(), b"\xb3\xbf".decode("cp1250"), os.path.exists("a"))
    row["what"] = f"{all(told)} {len(told)} {kept}"
"#,
    ..PYTHON
};

#[test]
#[ignore = "two minutes: `.ci/long`"]
fn what_asks_for_the_time_or_for_chance_is_told_so() {
    let case = r#"{"columns": {"what": "STRING"}, "cases": [
        {"input": {"what": "a"}, "output": {"what": "True 25 (1970, '1970', True, 'Thu, 01 Jan 1970 00:00:01 -0000', 'łż', False)"}}
    ]}"#;
    BEREFT.passes("what_asks_for_the_time_or_for_chance_is_told_so", &[("tests/cases.json", case)]);
}
