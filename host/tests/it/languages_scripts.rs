//! What tests of plugins in Python and in JavaScript share. Their tools are installed from PyPI and npm by the binary
//! itself, once, into a folder that lasts; where a registry is away a test says that it was not run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value as Json, json};

use crate::new_plugin::target;
use crate::support::{
    Scratch, cache, component, conserved, files, head, not_run, parse_stage, root, succeeds,
    summary, talk,
};

/// A language, and what tests ask of it.
pub(crate) struct Language {
    /// As the command line has it.
    pub name: &'static str,
    /// The folder of its SDK.
    pub sdk: &'static str,
    /// The plugin's file, and the one that says what it is.
    pub files: [&'static str; 2],
    /// The text of the second one.
    pub about: &'static str,
    /// What runs unit tests, in the project's folder.
    pub unit: &'static [&'static str],
    /// A plugin that does what `what` says: nothing good, mostly.
    pub hostile: &'static str,
}

/// What a plugin over columns makes of rows.
pub(crate) const COLUMN_CASES: &str = r#"{
  "columns": {"what": "STRING", "sizes": {"type": "INT64", "mode": "REPEATED"}},
  "cases": [
    {"input": {"what": "ü", "sizes": [1, 2, -4]}, "output": {"what": "Ü", "sizes": [1, 2, -4], "total": "-1"}},
    {"input": {"what": "none", "sizes": []}, "output": {"what": "NONE", "sizes": [], "total": "0"}},
    {"input": {"what": "drop", "sizes": []}, "dropped": true},
    {"input": {"sizes": []}, "rejected": "required"},
    {"input": {"what": "fail", "sizes": []}, "rejected": "plugin_fault"}
  ]
}"#;

/// Where tools are installed.
pub(crate) fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages")
}

fn clickmill(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = scratch.command(arguments);
    command.env("CLICKMILL_TOOLS", tools());
    command
}

/// Builds a plugin, with tools that are installed where they must be; whether that could be.
#[track_caller]
fn built(test: &str, scratch: &Scratch, folder: &str) -> bool {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Not behind the fence that keeps tests from the network.
    let mut command = Command::new(env!("CARGO_BIN_EXE_clickmill"));
    command.args(["plugin", "build", "--install", folder]).current_dir(scratch.folder.path());
    command.env("CLICKMILL_TOOLS", tools()).env("CLICKMILL_CACHE", cache());
    let output = command.output().expect("the binary starts");
    let told = talk(&output, scratch);
    if told.contains("are not here") {
        not_run(test, &told);
        return false;
    }
    assert!(output.status.success(), "{told}");
    true
}

/// The columns of the plugin that is the same in each language, as `parse` makes them.
const COLUMNS_OF_ALL: &str = r#"
    { name = "what", type = "text" }, { name = "country", type = "text" },
    { name = "number", type = "int64" }, { name = "day", type = "date" },
    { name = "flag", type = "boolean" }, { name = "ratio", type = "float64" },
    { name = "clock", type = "time" }, { name = "local", type = "datetime" },
    { name = "instant", type = "timestamp" }, { name = "document", type = "json" },
    { name = "blob", type = "blob" },
    { name = "user", type = "record", fields = [{ name = "email", type = "text" }, { name = "age", type = "int64" }] },
    { name = "items", type = "record", repeated = true, fields = [
        { name = "price", type = "decimal" }, { name = "quantity", type = "int64" },
        { name = "sizes", type = "text", repeated = true },
    ] },
"#;

/// Letters of rows that the plugin refuses, and of rows that it floods, are the same in each language, and no other row
/// is lost. It lies in the folder `orders`.
#[track_caller]
pub(crate) fn has_the_letters_of_all(scratch: &Scratch) {
    component("plugins/parse");
    let events = [
        r#"{"what": "next", "number": 1}"#,
        r#"{"what": "many"}"#,
        r#"{"what": "next", "number": 2}"#,
        r#"{"what": "wide"}"#,
        r#"{"what": "next"}"#,
        r#"{"items": [{"price": "1.5", "quantity": 1}, {"quantity": 1}]}"#,
        r#"{"items": [{"quantity": 1}, {"quantity": 1}, {"quantity": 1}, {"quantity": 1}]}"#,
        r#"{"what": "drop"}"#,
    ];
    scratch.write("events.ndjson", events.join("\n"));
    scratch.write("countries.json", r#"{"29": {"name": "Poland"}}"#);
    let table =
        r#"[{"name": "number", "type": "INTEGER"}, {"name": "record_index", "type": "INTEGER"}]"#;
    scratch.write("table.json", table);
    // A thousand rows of one take an interpreter more fuel than a row may have.
    let stage = r#"
[[plugin]]
name = "orders"
component = "orders"
reads = ["*"]
writes = ["*"]
secrets = ["key"]
lookups = { countries = "countries.json" }
config = { most = 3 }
limits = { max_output_bytes = 1_000_000, max_fuel_per_batch = 4_000_000_000 }
"#;
    let source = r#"kind = "storage", uri = "events.ndjson""#;
    let head = head("orders", source, "languages.rows", "table.json");
    let pipeline = head + &parse_stage("json", "payload", COLUMNS_OF_ALL) + stage;
    let pipeline = scratch.write("pipeline.toml", pipeline);
    let mut run = clickmill(scratch, &["run", "--json", &pipeline.to_string_lossy()]);
    let run = run.env("CLICKMILL_ORDERS_KEY", "a key for tests only, 42");
    let ran = summary(&run.output().expect("the binary starts"));
    assert_eq!(ran["rows_in"], events.len(), "{ran:#}");
    assert_eq!(ran["rows_filtered"], 1, "{ran:#}");
    let rows = scratch.query("SELECT number FROM languages.rows ORDER BY 1");
    assert_eq!(rows, [json!({"number": 2}), json!({"number": 3})]);
    let letters = scratch.query(
        "SELECT code, `column`, errorMessage AS message FROM languages.dead_letter ORDER BY source_line",
    );
    let told = |letter: &Json| {
        let text = |key: &str| letter[key].as_str().unwrap_or_default().to_owned();
        ["code", "column", "message"].map(text)
    };
    let too_large = "plugin `orders` passed the host too much: limit 1000000 bytes for a batch, which its `max_output_bytes` raises; with a smaller `batch.max_bytes` it passes less";
    let wanted = [
        ["too_many_rows", "", "its record became more than 1000 rows"],
        ["plugin_output_too_large", "", too_large],
        ["required", "number", "`number` is missing"],
        ["required", "items[1].price", "`items[1].price` is missing"],
        ["too_many", "items", "has 4 items, wanted 3 at most"],
    ];
    assert_eq!(letters.iter().map(told).collect::<Vec<_>>(), wanted);
}

impl Language {
    /// A plugin of a text, in a folder of the scratch.
    fn plugin(&self, scratch: &Scratch, name: &str, text: &str) {
        let folder = scratch.path(name);
        let sdk = root().join(self.sdk);
        for file in files(&sdk) {
            let copy = folder.join("sdk").join(file.strip_prefix(&sdk).unwrap());
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            std::fs::copy(&file, copy).unwrap();
        }
        let [plugin, about] = self.files;
        std::fs::write(folder.join(plugin), text).unwrap();
        std::fs::write(folder.join(about), self.about).unwrap();
    }

    /// A new project is built and tested, and does what one in Rust does.
    pub(crate) fn begins_as_in_rust(&self, test: &str) {
        let scratch = Scratch::new();
        let project = |name: &str, language: &str| {
            let new = ["plugin", "new", name, "--language", language];
            let columns = ["--reads", "utm_source,referrer", "--writes", "referrer"];
            succeeds(clickmill(&scratch, &[&new[..], &columns].concat()));
        };
        project("ours", self.name);
        if !built(test, &scratch, "ours") {
            return;
        }
        let [program, arguments @ ..] = self.unit else { panic!("{:?}", self.unit) };
        let mut unit = Command::new(program);
        unit.args(arguments).current_dir(scratch.path("ours"));
        succeeds(unit);
        component("plugins/mask");
        project("theirs", "rust");
        let outcomes = ["ours", "theirs"].map(|name| {
            let command = |arguments: &[&str]| {
                let mut command = clickmill(&scratch, arguments);
                command.env("CARGO_TARGET_DIR", target()).env("CARGO_NET_OFFLINE", "true");
                command
            };
            assert_eq!(succeeds(command(&["plugin", "test", name])), "5 golden cases pass\n");
            let pipeline = format!("{name}/pipeline.toml");
            let ended = ["run", "--json", &pipeline, "--set", "source.watch=false"];
            let ran = summary(&command(&ended).output().unwrap());
            conserved(&ran);
            assert_eq!(ran["rows_in"], 60, "{ran:#}");
            let rows = format!("SELECT utm_source, referrer FROM clickstream_analytics.{name} ORDER BY 1, 2");
            let letters = format!(
                "SELECT code, errorMessage AS message FROM clickstream_analytics.dead_letter WHERE stage = '{name}' ORDER BY 1, 2"
            );
            [scratch.query(&rows), scratch.query(&letters)]
        });
        let [ours, theirs] = outcomes;
        assert!(!ours[0].is_empty() && !ours[1].is_empty());
        assert_eq!(ours, theirs);
    }

    /// All that the SDK can, by golden cases that are the same in each language.
    pub(crate) fn passes_the_cases_of_all(&self, test: &str) {
        let scratch = Scratch::new();
        let languages = root().join("host/tests/languages");
        let [plugin, _] = self.files;
        let text = std::fs::read_to_string(languages.join(self.name).join(plugin)).unwrap();
        self.plugin(&scratch, "orders", &text);
        std::fs::create_dir(scratch.path("orders/tests")).unwrap();
        std::fs::copy(languages.join("cases.json"), scratch.path("orders/tests/cases.json"))
            .unwrap();
        if !built(test, &scratch, "orders") {
            return;
        }
        let told = succeeds(clickmill(&scratch, &["plugin", "test", "orders"]));
        assert_eq!(told, "31 golden cases pass\n");
        // What they are made and what that costs are the same each time.
        let measured = || succeeds(clickmill(&scratch, &["plugin", "test", "orders", "--json"]));
        assert_eq!(measured(), measured());
        let told = succeeds(clickmill(&scratch, &["plugin", "inspect", "orders"]));
        for part in ["orders 1.2.3  What the SDK can", "How many items are believed."] {
            assert!(told.contains(part), "{part}: {told}");
        }
        has_the_letters_of_all(&scratch);
    }

    fn hostile_with(&self, scratch: &Scratch, further: &[(&str, &str)]) {
        self.plugin(scratch, "hostile", self.hostile);
        for (name, text) in further {
            let path = scratch.path("hostile").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    /// The hostile plugin, with further files: among them golden cases, which pass.
    pub(crate) fn passes(&self, test: &str, further: &[(&str, &str)]) {
        let scratch = Scratch::new();
        self.hostile_with(&scratch, further);
        if built(test, &scratch, "hostile") {
            let told = succeeds(clickmill(&scratch, &["plugin", "test", "hostile"]));
            assert!(told.ends_with("golden cases pass\n"), "{told}");
        }
    }

    /// The letters that a run through the hostile plugin makes of rows, in the order of those; `None` where it can't
    /// be built.
    pub(crate) fn letters(&self, test: &str, rows: &[&str]) -> Option<(Scratch, Vec<Json>)> {
        self.letters_with(test, &[], rows)
    }

    /// The same, with further files.
    pub(crate) fn letters_with(
        &self,
        test: &str,
        further: &[(&str, &str)],
        rows: &[&str],
    ) -> Option<(Scratch, Vec<Json>)> {
        let scratch = Scratch::new();
        self.hostile_with(&scratch, further);
        if !built(test, &scratch, "hostile") {
            return None;
        }
        let lines: String = rows.iter().map(|what| format!("{what}\n")).collect();
        scratch.write("events.csv", format!("what\n{lines}"));
        scratch.write("table.json", r#"[{"name": "what", "type": "STRING", "mode": "NULLABLE"}]"#);
        let source = r#"kind = "storage", uri = "events.csv""#;
        let stage = "[[plugin]]\nname = \"hostile\"\ncomponent = \"hostile\"\nreads = [\"what\"]\nwrites = [\"what\"]\n";
        let pipeline = head("hostile", source, "languages.rows", "table.json") + stage;
        let pipeline = scratch.write("pipeline.toml", pipeline);
        let mut run = clickmill(&scratch, &["run", "--json", &pipeline.to_string_lossy()]);
        let ran = summary(&run.output().unwrap());
        conserved(&ran);
        assert_eq!(ran["rows_in"], rows.len(), "{ran:#}");
        let letters = scratch.query(
            "SELECT code, errorMessage AS message FROM languages.dead_letter ORDER BY source_line",
        );
        Some((scratch, letters))
    }

    /// Whatever a row makes the plugin do, the others go on.
    pub(crate) fn loses_no_other_row(&self, test: &str) {
        let misdeeds = [
            "loop", "memory", "flood", "fail", "recurse", "clock", "print", "exit", "return",
            "half",
        ];
        let rows: Vec<&str> = misdeeds.iter().flat_map(|misdeed| ["good", misdeed]).collect();
        let Some((scratch, letters)) = self.letters(test, &rows) else { return };
        let rows =
            scratch.query("SELECT what, COUNT(*) AS n FROM languages.rows GROUP BY 1 ORDER BY 1");
        let rows: Vec<String> =
            rows.iter().map(|row| format!("{} {}", row["what"], row["n"])).collect();
        assert_eq!(rows, ["\"FLOOD\" 1", "\"GOOD\" 10", "\"PRINT\" 1"]);
        let [plugin, _] = self.files;
        let own = |at: usize| {
            assert_eq!(letters[at]["code"], "exception", "{letters:#?}");
            let message = letters[at]["message"].as_str().unwrap();
            assert!(message.contains(&format!("({plugin}, line ")), "{message}");
        };
        assert_eq!(letters.len(), 8, "{letters:#?}");
        for at in [0, 1] {
            let code = letters[at]["code"].as_str().unwrap();
            assert!(code.starts_with("plugin_") || code == "exception", "{letters:#?}");
        }
        for at in [2, 4, 5] {
            own(at);
        }
        // QuickJS looks after its stack too late to throw.
        let told = letters[3]["message"].as_str().unwrap();
        let ways = ["RecursionError: maximum recursion depth", "its call stack overflowed"];
        assert!(ways.iter().any(|way| told.contains(way)), "{told}");
        // What a function returns is no row.
        assert_eq!(letters[6]["code"], "exception", "{letters:#?}");
        assert!(letters[6]["message"].as_str().unwrap().contains("would be lost"), "{letters:#?}");
        // Half a character ends no call: what is told has a replacement character.
        assert_eq!(letters[7], json!({"code": "half", "message": "a \u{fffd} b"}));
    }

    /// What a plugin over columns throws, there and where it says which columns it reads, is told with its file.
    pub(crate) fn tells_where_columns_fail(&self, test: &str) {
        let cases = r#"{
          "columns": {"what": "STRING"},
          "config": {"broken": true},
          "cases": [{"input": {}, "dropped": true}]
        }"#;
        let files = [("tests/cases.json", cases)];
        let Some((scratch, letters)) = self.letters_with(test, &files, &["good", "fail"]) else {
            return;
        };
        let [plugin, _] = self.files;
        assert_eq!(letters.len(), 1, "{letters:#?}");
        assert_eq!(letters[0]["code"], "plugin_fault", "{letters:#?}");
        let message = letters[0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("asked over columns ({plugin}, line ")), "{message}");
        let output = clickmill(&scratch, &["plugin", "test", "hostile"]).output().unwrap();
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(2), "{told}");
        let thrown = format!("asked when it is configured ({plugin}, line ");
        for part in ["plugin `hostile` refuses its configuration", &thrown] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    /// A plugin of that text passes golden cases; where it can be built.
    pub(crate) fn shouts(&self, test: &str, text: &str, cases: &str) {
        let scratch = Scratch::new();
        self.plugin(&scratch, "shout", text);
        std::fs::create_dir(scratch.path("shout/tests")).unwrap();
        scratch.write("shout/tests/countries.json", cases);
        if built(test, &scratch, "shout") {
            let told = succeeds(clickmill(&scratch, &["plugin", "test", "shout"]));
            assert_eq!(told, "3 golden cases pass\n");
        }
    }

    /// Whether the tools are here, or can be installed.
    pub(crate) fn has_tools(&self, test: &str) -> bool {
        let scratch = Scratch::new();
        self.plugin(&scratch, "any", self.hostile);
        built(test, &scratch, "any")
    }

    /// The SDK that a project has is the one of the clone, and its contract is the contract.
    pub(crate) fn brings_the_sdk_along(&self) {
        let scratch = Scratch::new();
        scratch.done(&["plugin", "new", "ours", "--language", self.name]);
        let (sdk, copy) = (root().join(self.sdk), scratch.path("ours/sdk"));
        let names = |folder: &Path| {
            let mut names: Vec<PathBuf> = files(folder)
                .iter()
                .map(|file| file.strip_prefix(folder).unwrap().to_owned())
                .filter(|name| !name.to_string_lossy().contains("__pycache__"))
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&sdk), names(&copy));
        for name in names(&sdk) {
            assert!(
                std::fs::read(sdk.join(&name)).unwrap() == std::fs::read(copy.join(&name)).unwrap(),
                "{name:?}"
            );
        }
        let contract = std::fs::read(root().join("wit/plugin.wit")).unwrap();
        assert!(std::fs::read(sdk.join("wit/plugin.wit")).unwrap() == contract);
    }

    /// Without tools it is told what installs them, and nothing is installed by the way.
    pub(crate) fn tells_what_to_install(&self, line: &str) {
        let scratch = Scratch::new();
        let nowhere = scratch.path("tools");
        let told = |arguments: &[&str]| {
            let mut command = scratch.command(arguments);
            let output = command.env("CLICKMILL_TOOLS", &nowhere).output().unwrap();
            (output.status.code(), talk(&output, &scratch))
        };
        let (code, made) = told(&["plugin", "new", "ours", "--language", self.name]);
        assert_eq!(code, Some(0), "{made}");
        assert!(made.contains("so first: ") && made.contains(line), "{made}");
        let (code, tested) = told(&["plugin", "test", "ours"]);
        assert_eq!(code, Some(3), "{tested}");
        for part in ["`clickmill plugin build --install ours`", line] {
            assert!(tested.contains(part), "{part}: {tested}");
        }
        assert!(!nowhere.exists());
    }

    /// A tool of the machine that is too old is told, and nothing is made of it.
    pub(crate) fn tells_of_an_old_one(&self, program: &str, version: &str, wanted: &str) {
        let scratch = Scratch::new();
        scratch.program(program, format!("#!/bin/sh\necho {version}\n"));
        scratch.done(&["plugin", "new", "ours", "--language", self.name]);
        let mut test = clickmill(&scratch, &["plugin", "test", "ours"]);
        let output = test.env("PATH", scratch.search_path()).output().unwrap();
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains(wanted), "{told}");
    }
}
