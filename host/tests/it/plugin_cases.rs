//! What authors run on their plugins: golden cases with budgets, for people and for CI, and benches.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};

use crate::cloud::{signal, wait_until};
use crate::live::{Live, clicks};
use crate::readme::blocks;
use crate::support::{Process, Scratch, another, component, plugins, root};

/// A folder with a component and a file of cases for it.
fn folder(scratch: &Scratch, plugin: &str, cases: &Json) -> String {
    std::fs::create_dir_all(scratch.path("p/tests")).unwrap();
    std::fs::copy(component(&format!("plugins/{plugin}")), scratch.path("p/p.wasm")).unwrap();
    scratch.write("p/tests/t.json", cases.to_string());
    scratch.path("p/p.wasm").to_string_lossy().into_owned()
}

/// The exit code of `plugin test --json`, and what it prints.
#[track_caller]
fn test(scratch: &Scratch, arguments: &[&str]) -> (i32, Json, String) {
    let output = scratch.run(&[&["plugin", "test", "--json"], arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}{errors}", String::from_utf8_lossy(&output.stdout))
    });
    (output.status.code().unwrap(), told, errors)
}

/// Cases of `enrich` about days.
fn days() -> Json {
    json!({
        "columns": {"year": "INTEGER", "month": "INTEGER", "day": "INTEGER"},
        "config": {"event_date": {"year": "year", "month": "month", "day": "day"}},
        "cases": [
            {"name": "a <day>", "input": {"year": 2008, "month": 4, "day": 1}, "output": {"event_date": "2008-04-01"}},
            {"name": "no day", "input": {"year": 2008, "month": 4}, "rejected": "bad_date"},
        ]
    })
}

#[test]
fn the_cases_of_the_plugins_readmes_pass() {
    for plugin in ["enrich", "mask", "validate"] {
        let readme = root().join(format!("plugins/{plugin}/README.md"));
        let blocks = blocks(&std::fs::read_to_string(readme).unwrap());
        let cases = blocks.iter().filter(|block| block.language == "json");
        let cases: Vec<Json> =
            cases.map(|block| serde_json::from_str(&block.text).unwrap()).collect();
        assert!(!cases.is_empty(), "{plugin}");
        for cases in cases {
            let scratch = Scratch::new();
            let component = folder(&scratch, plugin, &cases);
            let (code, told, errors) = test(&scratch, &[&component]);
            assert_eq!(code, 0, "{plugin}: {errors}{told:#}");
            assert_eq!(told["cases"], cases["cases"].as_array().unwrap().len());
        }
    }
}

#[test]
fn a_case_beyond_its_budget_fails_and_tells_by_how_much() {
    let scratch = Scratch::new();
    let mut cases = days();
    let plugin = folder(&scratch, "enrich", &cases);
    let (code, free, errors) = test(&scratch, &[&plugin]);
    assert_eq!(code, 0, "{errors}{free:#}");
    assert_eq!(
        (&free["cases"], &free["failed"], &free["plugin"]),
        (&2.into(), &0.into(), &"enrich".into())
    );
    let fuel = |of: &Json, at: usize| of["files"][0]["cases"][at]["fuel_per_row"].as_u64().unwrap();
    let (first, second) = (fuel(&free, 0), fuel(&free, 1));
    let all = free["files"][0]["fuel"].as_u64().unwrap();
    assert!(first > 0 && second > 0 && all > first, "{free:#}");

    // Exactly what it takes is enough, and it takes that each time.
    cases["max_fuel_per_row"] = first.into();
    cases["cases"][1]["max_fuel_per_row"] = second.into();
    cases["max_fuel"] = all.into();
    folder(&scratch, "enrich", &cases);
    let (code, held, _) = test(&scratch, &[&plugin]);
    assert_eq!((code, &held), (0, &free));
    assert_eq!(scratch.done(&["plugin", "test", &plugin]), "2 golden cases pass\n");
    let told = scratch.done(&["plugin", "test", "--fuel", &plugin]);
    assert!(told.contains(&format!("{first}  t.json, case `a <day>`")), "{told}");

    cases["max_fuel_per_row"] = (first - 1).into();
    cases["cases"][0]["output"] = json!({"event_date": "2008-04-02", "year": 1});
    folder(&scratch, "enrich", &cases);
    let junit = scratch.path("junit.xml").to_string_lossy().into_owned();
    let (code, told, errors) = test(&scratch, &[&plugin, "--junit", &junit]);
    assert!(code == 1 && errors.contains("error: 1 of 2 golden cases fail"), "{errors}");
    let problem = told["files"][0]["cases"][0]["problem"].as_str().unwrap();
    let budget = format!("a row like it takes {first} fuel, wanted at most {} (+", first - 1);
    for part in [
        "`event_date` is `2008-04-01`, wanted `2008-04-02`",
        "`year` is `2008`, wanted `1`",
        &budget,
    ] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(xml.contains("classname=\"enrich.t\" name=\"a &lt;day&gt;\""), "{xml}");
    assert!(xml.contains("<failure message=\"`event_date` is"), "{xml}");

    // All cases together are beyond their budget, and each is within its own.
    let mut cases = days();
    cases["max_fuel"] = 1.into();
    folder(&scratch, "enrich", &cases);
    let (code, told, _) = test(&scratch, &[&plugin]);
    let problem = told["files"][0]["problem"].as_str().unwrap();
    assert_eq!(code, 1);
    assert!(problem.starts_with(&format!("all cases in one batch take {all} fuel")), "{problem}");
}

#[test]
fn cases_that_cannot_be_run_are_errors_in_the_report() {
    let scratch = Scratch::new();
    let mut cases = days();
    cases["config"]["no_such_key"] = true.into();
    let plugin = folder(&scratch, "enrich", &cases);
    let junit = scratch.path("junit.xml").to_string_lossy().into_owned();
    let (code, told, errors) = test(&scratch, &[&plugin, "--junit", &junit]);
    assert_eq!(code, 2, "{errors}");
    for text in
        [&told["files"][0]["error"].to_string(), &errors, &std::fs::read_to_string(&junit).unwrap()]
    {
        assert!(text.contains("no_such_key"), "{text}");
    }
    assert!(std::fs::read_to_string(&junit).unwrap().contains("failures=\"0\" errors=\"1\""));

    // A plugin that cannot be loaded, and one without cases, leave no report of a run before.
    let break_it: [&dyn Fn(); 2] = [
        &|| {
            scratch.write("p/p.wasm", "no component");
        },
        &|| std::fs::remove_file(scratch.path("p/tests/t.json")).unwrap(),
    ];
    for break_it in break_it {
        folder(&scratch, "enrich", &days());
        assert_eq!(test(&scratch, &[&plugin, "--junit", &junit]).0, 0);
        break_it();
        let output = scratch.run(&["plugin", "test", &plugin, "--junit", &junit]);
        assert_eq!(output.status.code(), Some(2));
        let xml = std::fs::read_to_string(&junit).unwrap();
        assert!(xml.contains("tests=\"1\" failures=\"0\" errors=\"1\""), "{xml}");
        assert!(xml.contains("name=\"the plugin can be tested\"><error message="), "{xml}");
    }

    // What does not fit `columns` is told with its case.
    for (column, value, why) in
        [("year", json!("soon"), "does not fit"), ("yaer", json!(1), "`yaer`")]
    {
        let mut cases = days();
        cases["cases"][1]["input"][column] = value;
        scratch.write("p/tests/t.json", cases.to_string());
        let (code, told, errors) = test(&scratch, &[&plugin]);
        assert_eq!(code, 2, "{errors}{told:#}");
        let told = told["files"][0]["error"].to_string();
        assert!(told.contains("case `no day`") && told.contains(why), "{told}");
    }
}

#[test]
fn all_files_of_cases_are_run_whichever_cannot_be() {
    let scratch = Scratch::new();
    let wrong = |key: &str| {
        let mut cases = days();
        cases["config"][key] = true.into();
        cases.to_string()
    };
    let mut failing = days();
    failing["cases"][0]["output"] = json!({"event_date": "2008-04-02"});
    let plugin = folder(&scratch, "enrich", &failing);
    scratch.write("p/tests/a.json", wrong("no_such_key"));
    let told = scratch.run(&["plugin", "test", &plugin]);
    assert_eq!(told.status.code(), Some(2));
    let printed = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(printed.contains("wanted `2008-04-02`"), "{printed}");

    scratch.write("p/tests/m.json", "no JSON");
    scratch.write("p/tests/z.json", wrong("nor_this_one"));
    let told = scratch.run(&["plugin", "test", &plugin]);
    assert_eq!(told.status.code(), Some(2));
    let printed = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(printed.contains("wanted `2008-04-02`"), "{printed}");
    let errors = String::from_utf8_lossy(&told.stderr).into_owned();
    for part in [
        "of 3 files can't be run",
        "`a.json`",
        "no_such_key",
        "`m.json` are not of the form",
        "`z.json`",
        "nor_this_one",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    let (code, told, _) = test(&scratch, &[&plugin]);
    assert_eq!((code, &told["cases"], &told["failed"]), (2, &2.into(), &1.into()), "{told:#}");
    assert!(told["files"][1]["error"].to_string().contains("`m.json`"), "{told:#}");

    // A file that is named is measured, whatever lies beside it.
    let bench = ["plugin", "bench", "--json", "--count", "10", "--rounds", "2", &plugin];
    scratch.done(&[&bench[..], &["--cases", "t.json"]].concat());
    let told = scratch.run(&[&bench[..], &["--cases", "m.json"]].concat());
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&told.stderr).contains("`m.json` are not of the form"));
}

/// Cases of `mask` about a text that is dear to clean, so many bytes of it.
fn dear(bytes: usize) -> Json {
    let text = "value=password=]&lt;";
    json!({
        "columns": {"note": "STRING"},
        "config": {"key_id": "k1", "columns": {"note": "clean"}},
        "cases": [{"name": "dear", "input": {"note": text.repeat(bytes / text.len())}, "output": {}}]
    })
}

#[test]
fn a_row_that_takes_more_than_a_pipeline_grants_is_measured_and_told() {
    let scratch = Scratch::new();
    let plugin = folder(&scratch, "mask", &dear(1200));
    let (code, told, errors) = test(&scratch, &[&plugin]);
    assert_eq!(code, 0, "{errors}{told:#}");
    let file = &told["files"][0];
    let row = file["cases"][0]["fuel_per_row"].as_u64().unwrap();
    // All cases are one such row, and what a call takes beside it.
    assert!(row > 1_000_000 && row <= file["fuel"].as_u64().unwrap(), "{told:#}");
    let warning = format!("warning: t.json, case `dear`: a row like it takes {row} fuel");
    assert!(errors.contains(&warning), "{errors}");
    let setting = format!("`max_fuel_per_record = {row}` under `[plugin.limits]`");
    assert!(errors.contains(&setting), "{errors}");
    let bench = |scratch: &Scratch| {
        let output = scratch.run(&["plugin", "bench", "--count", "20", "--rounds", "1", &plugin]);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let errors = bench(&scratch);
    assert!(errors.contains("calls were ended and made again of fewer rows for want"), "{errors}");
    // Beyond what a row may use that is alone in its call.
    folder(&scratch, "mask", &dear(12_000));
    let errors = bench(&scratch);
    assert!(errors.contains("warning: t.json: 20 of 20 rows were refused for want"), "{errors}");
    assert!(errors.contains("`max_fuel_per_record` under `[plugin.limits]`"), "{errors}");
    // Others are told nothing.
    let plugin = folder(&scratch, "enrich", &days());
    let (_, _, errors) = test(&scratch, &[&plugin]);
    assert!(!errors.contains("warning: "), "{errors}");
}

#[test]
fn cases_bring_reference_data_along() {
    let scratch = Scratch::new();
    let mut cases = json!({
        "columns": {"country_code": "STRING"},
        "lookups": {"countries": {"29": {"name": "Poland"}}},
        "config": {"names": [{"column": "country_code", "table": "countries", "field": "name", "to": "country"}]},
        "cases": [
            {"input": {"country_code": "29"}, "output": {"country": "Poland"}},
            {"input": {"country_code": "30"}, "rejected": "unknown_code"},
        ]
    });
    let plugin = folder(&scratch, "enrich", &cases);
    assert_eq!(scratch.done(&["plugin", "test", &plugin]), "2 golden cases pass\n");
    cases["lookups"]["countries"] = "countries.tsv".into();
    scratch.write("p/tests/countries.tsv", "code\tname\n29\tPoland\n");
    folder(&scratch, "enrich", &cases);
    assert_eq!(scratch.done(&["plugin", "test", &plugin]), "2 golden cases pass\n");
    scratch.write("secret.csv", "code,name\n29,Poland\n");
    cases["lookups"]["countries"] = "../../secret.csv".into();
    folder(&scratch, "enrich", &cases);
    let output = scratch.run(&["plugin", "test", &plugin]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors.contains("a `.csv` or `.tsv` file in the same folder"), "{errors}");
}

#[test]
fn bytes_go_in_and_come_out_in_base64() {
    let scratch = Scratch::new();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(br#"{"id": "e1", "raw": "AP9oaQ=="}"#).unwrap();
    let payload = STANDARD.encode(gzip.finish().unwrap());
    let cases = json!({
        "columns": {"payload": "BYTES"},
        "config": {
            "format": "json", "payload": "payload", "packed": ["gzip"],
            "columns": [{"name": "id", "type": "text"}, {"name": "raw", "type": "blob"}]
        },
        "cases": [
            {"input": {"payload": payload}, "output": {"id": "e1", "raw": "AP9oaQ=="}},
            {"input": {"payload": payload}, "output": {"raw": "AP9oag=="}},
        ]
    });
    let plugin = folder(&scratch, "parse", &cases);
    let (code, told, _) = test(&scratch, &[&plugin]);
    assert_eq!((code, &told["files"][0]["cases"][0]["problem"]), (1, &Json::Null), "{told:#}");
    assert_eq!(told["files"][0]["cases"][1]["problem"], "`raw` is `AP9oaQ==`, wanted `AP9oag==`");
}

#[test]
fn watched_cases_are_tested_again_when_they_change() {
    let scratch = Scratch::new();
    let mut cases = days();
    let plugin = folder(&scratch, "enrich", &cases);
    let mut command = scratch.command(&["plugin", "test", "--watch", &plugin]);
    let mut child = Process::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let said = Arc::new(Mutex::new(String::new()));
    let streams: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for stream in streams {
        let said = said.clone();
        std::thread::spawn(move || {
            let lines = std::io::BufRead::lines(std::io::BufReader::new(stream));
            for line in lines.map_while(Result::ok) {
                said.lock().unwrap().extend([line.as_str(), "\n"]);
            }
        });
    }
    let says = |what: &str| wait_until(what, || said.lock().unwrap().contains(what));
    says("2 golden cases pass");
    says("to change");
    cases["cases"][0]["output"]["event_date"] = "2009-01-01".into();
    folder(&scratch, "enrich", &cases);
    says("error: 1 of 2 golden cases fail");
    // It goes on after what can't be run, too.
    scratch.write("p/tests/t.json", "no JSON");
    says("are not of the form");
    cases["cases"] = json!([{"input": {}, "rejected": "bad_date"}]);
    folder(&scratch, "enrich", &cases);
    says("1 golden cases pass");
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "-INT");
    child.wait().unwrap();
}

#[test]
fn a_bench_compares_versions_on_the_rows_of_cases_or_of_a_file() {
    let scratch = Scratch::new();
    let plugin = folder(&scratch, "enrich", &days());
    let other =
        scratch.write("other.wasm", another("plugins/enrich")).to_string_lossy().into_owned();
    let bench = |arguments: &[&str]| -> Json {
        let count = ["plugin", "bench", "--json", "--count", "9000", "--rounds", "2", &plugin];
        serde_json::from_str(&scratch.done(&[&count[..], arguments].concat())).unwrap()
    };
    let told = bench(&["--against", &other, "--vcpu-hour", "3600"]);
    let file = &told["files"][0];
    assert_eq!((&file["file"], &file["batch_rows"]), (&"t.json".into(), &8192.into()));
    let [this, against] = [&file["versions"][0], &file["versions"][1]];
    // They do the same, and fuel is exact.
    assert_eq!(this["fuel_per_row"], against["fuel_per_row"]);
    assert_ne!(this["digest"], against["digest"]);
    assert_eq!((&this["rejected"], &this["dropped"]), (&4500.into(), &0.into()));
    assert!(this["fuel_per_row"].as_f64() > Some(1.0) && this["ns_per_row"].as_f64() > Some(0.0));
    let million = &this["per_million_events"];
    let (secs, cost) =
        (million["core_seconds"].as_f64().unwrap(), million["cost"].as_f64().unwrap());
    // Of a price of 3600 an hour a second costs 1.
    assert!((secs - cost).abs() < 1e-9 && secs > 0.0, "{million:#}");
    assert_eq!(told, {
        let mut again = bench(&["--against", &other, "--vcpu-hour", "3600"]);
        for version in 0..2 {
            for figure in ["ns_per_row", "per_million_events"] {
                again["files"][0]["versions"][version][figure] =
                    told["files"][0]["versions"][version][figure].clone();
            }
        }
        again
    });

    let rows =
        scratch.write("rows.ndjson", "{\"year\": 2008, \"month\": 4, \"day\": 1, \"other\": 7}\n");
    let rows = rows.to_string_lossy();
    let told = bench(&["--cases", "t.json", "--rows", &rows]);
    assert_eq!(told["files"][0]["versions"][0]["rejected"], 0);
    let text = scratch.done(&[
        "plugin",
        "bench",
        "--count",
        "100",
        "--rounds",
        "1",
        "--against",
        &other,
        &plugin,
    ]);
    for part in [
        "t.json: 100 rows in batches of 100, median of 1 rounds",
        "enrich ",
        "+0.0 %",
        "a million events: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // By the columns of the first file of cases.
    let text = scratch.done(&["plugin", "bench", "--rows", &rows, "--count", "10", &plugin]);
    assert!(text.contains("t.json: 10 rows"), "{text}");
    let bad = scratch.write("bad.ndjson", "{\"year\": 2008}\n{\"year\": \"MMVIII\"}\n");
    let bad = bad.to_string_lossy();
    for (arguments, wanted) in [
        (&["--cases", "u.json"][..], "there are no cases `u.json`, only `t.json`"),
        (&["--cases", "t.json", "--rows", "nowhere"], "cannot read `nowhere`"),
        (&["--cases", "t.json", "--rows", &plugin], "cannot read"),
        (&["--cases", "t.json", "--rows", "/dev/null"], "`/dev/null` has no rows"),
        (&["--rows", &bad], "row 2 of those that were given does not fit"),
        (&["--count", "0"], "0"),
        (&["--vcpu-hour=-1"], "wanted a number from 0 on"),
    ] {
        let output = scratch.run(&[&["plugin", "bench", &plugin], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(wanted), "{arguments:?}: {errors}");
    }
    assert!(Path::new(&plugin).is_file());
}

/// A component without cases, and a loaded shop file with letters.
fn with_letters(scratch: &Scratch, plugin: &str) -> (String, String) {
    plugins();
    let file = scratch.path("clothing.csv").to_string_lossy().into_owned();
    scratch.done(&[
        "generate", "shop", "--rows", "3000", "--bad", "20%", "--seed", "5", "--output", &file,
    ]);
    let pipeline = root().join("host/pipelines/batch.toml");
    let source = format!("source.uri={file}");
    scratch.summary(&pipeline, &[&source, "dead_letter.max_rejected_share=1.0"]);
    std::fs::create_dir_all(scratch.path("r")).unwrap();
    std::fs::copy(component(&format!("plugins/{plugin}")), scratch.path("r/r.wasm")).unwrap();
    let plugin = scratch.path("r/r.wasm").to_string_lossy().into_owned();
    (plugin, pipeline.to_string_lossy().into_owned())
}

fn read(scratch: &Scratch, file: &str) -> Json {
    let text = std::fs::read_to_string(scratch.path("r/tests").join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn dead_letters_become_cases_of_what_the_plugin_makes_of_their_rows() {
    let scratch = Scratch::new();
    let (plugin, pipeline) = with_letters(&scratch, "validate");
    let record = ["plugin", "test", &plugin, "--record", &pipeline];
    let of_stage = ["--where", "stage = 'validate'", "--limit", "30"];
    let told = scratch.done(&[&record[..], &of_stage].concat());
    assert!(told.contains(" rows of 30 letters in "), "{told}");
    let recorded = read(&scratch, "recorded.json");
    // What the stage reads, as the table has it, and no more.
    let wanted = json!({
        "category": "STRING", "click_order": "INTEGER", "clothing_model": "STRING", "page": "INTEGER",
        "price": "FLOAT",
    });
    assert_eq!(recorded["columns"], wanted);
    assert!(recorded["config"]["rules"].is_array(), "{recorded:#}");
    let cases = recorded["cases"].as_array().unwrap();
    let codes: Vec<&str> = cases.iter().map(|case| case["rejected"].as_str().unwrap()).collect();
    let of_letters = "SELECT COUNT(*) FROM clickstream_analytics.dead_letter WHERE stage = 'validate' AND code = ";
    assert!(codes.len() > 1 && codes.len() <= 30);
    for code in codes {
        assert!(scratch.number(&format!("{of_letters}'{code}'")) > 0, "{code}");
    }
    // They pass, and stay as they are.
    let passed = format!("{} golden cases pass\n", cases.len());
    assert_eq!(scratch.done(&["plugin", "test", &plugin]), passed);
    let again = scratch.run(&record);
    let errors = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(2), "{errors}");
    assert!(errors.contains("recorded.json` is there already"), "{errors}");
    let shown = "SELECT COUNT(*) FROM clickstream_analytics.audit_log WHERE action = 'reveal'";
    assert_eq!(scratch.number(shown), 1);

    for (arguments, wanted) in [
        (&["--name", "../x"][..], "`../x` is not a name of a file"),
        (
            &["--name", "a", "--where", "code = 'none'"],
            "there is no letter that is not resolved and for which",
        ),
        (&["--name", "a", "--where", "stage = 'parse'"], "none comes to stage `validate`"),
        (&["--name", "a", "--where", "TRUE) OR (TRUE"], "is not one condition in SQL"),
        (&["--name", "a", "--stage", "nobody"], "`nobody`"),
        (&["--name", "a", "--json"], "--json"),
    ] {
        let output = scratch.run(&[&record[..], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(wanted), "{arguments:?}: {errors}");
        assert!(!scratch.path("r/tests/a.json").exists(), "{arguments:?}");
    }
}

#[test]
fn recorded_cases_hide_what_a_reader_may_not_see_and_bring_reference_data() {
    let scratch = Scratch::new();
    let (plugin, pipeline) = with_letters(&scratch, "enrich");
    let record =
        ["plugin", "test", &plugin, "--record", &pipeline, "--where", "stage = 'validate'"];
    // The table has none of the columns that it reads.
    let output = scratch.run(&record);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("hidden, as in a tap: ") && errors.contains("`country_code`"),
        "{errors}"
    );
    for case in read(&scratch, "recorded.json")["cases"].as_array().unwrap() {
        assert_eq!(case["input"], json!({}));
    }
    let reveal =
        [&record[..], &["--name", "seen", "--set", "admin.reveal=[\"country_code\", \"year\"]"]];
    let output = scratch.run(&reveal.concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(!errors.contains("`country_code`") && errors.contains("`month`"), "{errors}");
    let seen = read(&scratch, "seen.json");
    assert_eq!(seen["lookups"]["countries"], "countries.csv");
    assert!(scratch.path("r/tests/countries.csv").is_file());
    let cases = seen["cases"].as_array().unwrap();
    for case in cases {
        let named: Vec<&String> = case["input"].as_object().unwrap().keys().collect();
        assert_eq!(named, ["country_code", "year"]);
    }
    assert!(scratch.done(&["plugin", "test", &plugin]).ends_with(" golden cases pass\n"));
    // A raw session is not told, though it is not a text.
    let (plugin, pipeline) = with_letters(&scratch, "mask");
    let folder = scratch.path("r/tests");
    std::fs::remove_dir_all(&folder).unwrap();
    scratch.done(&[
        "plugin",
        "test",
        &plugin,
        "--record",
        &pipeline,
        "--where",
        "stage = 'validate'",
    ]);
    let masked = read(&scratch, "recorded.json");
    assert_eq!(masked["columns"], json!({"session_id": "INTEGER"}));
    assert_eq!(masked["cases"].as_array().unwrap().len(), 1);
    assert_eq!(masked["cases"][0]["input"], json!({}));
}

#[test]
fn a_profile_names_functions_and_is_the_same_each_time() {
    let scratch = Scratch::new();
    let plugin = folder(&scratch, "enrich", &days());
    let profile = || -> (String, Json) {
        let told = scratch.done(&["plugin", "profile", "--samples", "200", &plugin]);
        let written = std::fs::read_to_string(scratch.path("p.cpuprofile")).unwrap();
        (told, serde_json::from_str(&written).unwrap())
    };
    let (told, written) = profile();
    assert!(
        told.starts_with("t.json: 500 rows in a call, ") && told.contains("function "),
        "{told}"
    );
    assert_eq!(profile(), (told, written.clone()));
    let samples = written["samples"].as_array().unwrap();
    assert!((200..=201).contains(&samples.len()), "{}", samples.len());
    assert_eq!(written["timeDeltas"].as_array().unwrap().len(), samples.len());
    let nodes = written["nodes"].as_array().unwrap();
    let hits: u64 = nodes.iter().map(|node| node["hitCount"].as_u64().unwrap()).sum();
    assert_eq!(hits, samples.len() as u64);
    // With names beside it, which are not in the component itself.
    let made = component("plugins/enrich");
    std::fs::copy(clickmill_sandbox::build::named(&made), scratch.path("p/p.named.wasm")).unwrap();
    let (told, named) = profile();
    let name = |node: &Json| node["callFrame"]["functionName"].as_str().unwrap().to_owned();
    let names: Vec<String> = named["nodes"].as_array().unwrap().iter().map(name).collect();
    assert!(names.iter().any(|name| name.contains("::")), "{names:?}");
    assert!(
        !names.iter().any(|name| name.starts_with("_ZN") || name.starts_with("_R")),
        "{names:?}"
    );
    assert!(told.contains("::"), "{told}");
    // It is the same code.
    assert_eq!(named["endTime"], written["endTime"]);
    let output = scratch.run(&["plugin", "profile", &plugin, "--output", "no/such/folder"]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn rows_of_a_tap_become_cases_as_a_reader_sees_them() {
    let scratch = Scratch::new();
    let pipeline = clicks();
    let live = Live::start(&scratch, &pipeline, &[]);
    live.wait_for_rows(1, 100);
    let pipeline = pipeline.to_string_lossy();
    let record = |plugin: &str, stage: &str| {
        std::fs::create_dir_all(scratch.path(plugin)).unwrap();
        let wasm = scratch.path(plugin).join("p.wasm");
        std::fs::copy(component(&format!("plugins/{plugin}")), &wasm).unwrap();
        let wasm = wasm.to_string_lossy().into_owned();
        let record = ["plugin", "test", &wasm, "--record", &pipeline, "--tap", "--stage", stage];
        let output =
            scratch.run(&[&record[..], &["--admin", &live.admin, "--limit", "12"]].concat());
        (output, wasm)
    };
    let (output, wasm) = record("validate", "validate");
    let (told, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    assert!(told.contains(" golden cases of 12 rows in "), "{told}");
    assert!(errors.contains("waiting for 12 rows after stage `mask`"), "{errors}");
    assert!(scratch.done(&["plugin", "test", &wasm]).ends_with(" golden cases pass\n"));

    // What it masks is hidden before that.
    let (output, wasm) = record("mask", "mask");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("hidden, as in a tap: ") && errors.contains("`ip`"), "{errors}");
    let recorded = std::fs::read_to_string(scratch.path("mask/tests/recorded.json")).unwrap();
    let recorded: Json = serde_json::from_str(&recorded).unwrap();
    for case in recorded["cases"].as_array().unwrap() {
        let ip = &case["input"]["ip"];
        assert!(ip.is_null() || *ip == "(hidden)", "{case:#}");
    }
    assert!(scratch.done(&["plugin", "test", &wasm]).ends_with(" golden cases pass\n"));

    let (output, _) = record("parse", "parse");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("no tap shows what comes to stage `parse`"), "{errors}");
    live.end();
}
