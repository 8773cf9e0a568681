//! What people have: tables as their programs write them, events with gaps in them, addresses that were
//! masked already, terminals and pipes.

mod clicks;
mod terminal;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::emulators::python_with;
use crate::live::Live;
use crate::readme::blocks;
use crate::support::{Scratch, head, not_run, parse_stage, plugins, root, talk};

const TABLE: &str = "clickstream_analytics.stock";
const LETTERS: &str = "clickstream_analytics.dead_letter";

/// Writes a pipeline of a small table: id, label, price, and whatever else there is; `more` columns too.
fn stock(scratch: &Scratch, table: &str, more: &[&str]) -> PathBuf {
    plugins();
    let mut schema = vec![
        json!({"name": "id", "type": "INTEGER", "mode": "REQUIRED"}),
        json!({"name": "label", "type": "STRING"}),
        json!({"name": "price", "type": "FLOAT"}),
        json!({"name": "unknown_fields", "type": "STRING"}),
        json!({"name": "source", "type": "STRING", "mode": "REQUIRED"}),
        json!({"name": "source_line", "type": "INTEGER"}),
        json!({"name": "plugin_set", "type": "STRING", "mode": "REQUIRED"}),
    ];
    schema.extend(more.iter().map(|name| json!({"name": name, "type": "STRING"})));
    scratch.write("stock.json", Json::from(schema).to_string());
    let more: String =
        more.iter().map(|name| format!(r#", {{ name = "{name}", type = "text" }}"#)).collect();
    let source = r#"kind = "storage", uri = "in.csv", format = "csv""#;
    let columns = format!(
        r#"
        {{ name = "id", type = "int64", required = true }},
        {{ name = "label", type = "text" }},
        {{ name = "price", type = "float64" }}{more}
        "#
    );
    let pipeline = head("stock", source, table, "stock.json") + &parse_stage("csv", "*", &columns);
    scratch.write("stock.toml", pipeline)
}

/// Loads a file, and returns the counts of its run with labels in their order.
fn loaded(scratch: &Scratch, file: &str, bytes: &[u8], set: &[&str]) -> (Json, Vec<Json>) {
    let pipeline = stock(scratch, TABLE, &[]);
    scratch.write(file, bytes);
    let uri = format!("source.uri={file}");
    let summary = scratch.summary(&pipeline, &[&[uri.as_str()], set].concat());
    let sql = format!("SELECT id, label, unknown_fields AS more FROM {TABLE} ORDER BY id");
    (summary, scratch.query(&sql))
}

#[test]
fn quotes_that_a_backslash_escapes_are_letters_with_their_bytes_or_read_by_the_setting() {
    let lines = [
        "id,label,price",
        r#"1,"Lamp ""Sun"" XL",1"#,
        r#"2,"Lamp \"Sun\" XL",1"#,
        r#"3,"width \"12\", grey",1"#,
        r"4,plain,1",
    ];
    let bytes = lines.join("\n");
    let scratch = Scratch::new();
    let (summary, rows) = loaded(&scratch, "in.csv", bytes.as_bytes(), &[]);
    assert_eq!((&summary["rows_in"], &summary["rows_rejected"]), (&json!(4), &json!(2)));
    let labels: Vec<&Json> = rows.iter().map(|row| &row["label"]).collect();
    assert_eq!(labels, [&json!("Lamp \"Sun\" XL"), &json!("plain")]);
    let sql = format!("SELECT payloadString AS record, code FROM {LETTERS} ORDER BY source_line");
    let wanted = [
        json!({"record": lines[2], "code": "unbalanced_quote"}),
        json!({"record": lines[3], "code": "unbalanced_quote"}),
    ];
    assert_eq!(scratch.query(&sql), wanted);
    // The letters come in by a replay that has the setting.
    let escape = r#"source.csv.escape="\\""#;
    let replayed =
        scratch.done(&["dead-letter", "replay", "stock.toml", "--json", "--set", escape]);
    let replayed: Json = serde_json::from_str(&replayed).unwrap();
    assert_eq!(replayed["resolved"], 2, "{replayed:#}");
    let labels = format!("SELECT label FROM {TABLE} WHERE id IN (2, 3) ORDER BY id");
    let wanted = [json!({"label": "Lamp \"Sun\" XL"}), json!({"label": "width \"12\", grey"})];
    assert_eq!(scratch.query(&labels), wanted);
    let scratch = Scratch::new();
    let (summary, rows) = loaded(&scratch, "in.csv", bytes.as_bytes(), &[escape]);
    assert_eq!(summary["rows_out"], 4);
    assert_eq!(rows[1]["label"], "Lamp \"Sun\" XL");
    assert_eq!(rows[2]["label"], "width \"12\", grey");
}

#[test]
fn tables_that_another_program_writes_come_out_as_they_went_in() {
    let scratch = Scratch::new();
    let pipeline = stock(&scratch, TABLE, &[]);
    let script = root().join("host/tests/it/field/tables.py");
    let written = Command::new("python3").arg(script).arg(scratch.folder.path()).status();
    if written.is_err() {
        return not_run("tables that Python writes", "python3 is missing");
    }
    let wanted: Json =
        serde_json::from_slice(&fs::read(scratch.path("wanted.json")).unwrap()).unwrap();
    for (setting, wanted) in wanted.as_object().unwrap() {
        let (delimiter, quotes) = setting.split_once('-').unwrap();
        let delimiter = char::from(delimiter.parse::<u8>().unwrap());
        let escape = if quotes == "doubled" { r#""\"""# } else { r#""\\""# };
        let set = [
            format!("source.uri={setting}-*.csv"),
            format!("source.csv.delimiter={delimiter}"),
            format!("source.csv.escape={escape}"),
        ];
        let summary = scratch.summary(&pipeline, &set.each_ref().map(String::as_str));
        let wanted = wanted.as_array().unwrap();
        assert_eq!(summary["rows_in"], wanted.len(), "{setting}");
        assert_eq!(summary["rows_out"], wanted.len(), "{setting}: {summary:#}");
        let (first, last) = (&wanted[0]["id"], &wanted[wanted.len() - 1]["id"]);
        let rows = format!(
            "SELECT id, label FROM {TABLE} WHERE id BETWEEN {first} AND {last} ORDER BY id"
        );
        for (found, wanted) in scratch.query(&rows).iter().zip(wanted) {
            let label = found.get("label").cloned().unwrap_or_default();
            assert_eq!((&found["id"], &label), (&wanted["id"], &wanted["label"]), "{setting}");
        }
    }
}

#[test]
fn a_name_that_ends_in_tsv_is_read_with_tabs() {
    for file in ["in.tsv", "IN.TSV"] {
        let scratch = Scratch::new();
        let (summary, rows) =
            loaded(&scratch, file, b"id\tlabel\tprice\n1\ta,b\t2,5\n2\tc\t3\n", &[]);
        assert_eq!(summary["rows_out"], 1, "{summary:#}");
        assert_eq!(rows[0]["label"], "c");
        let record = format!("SELECT payloadString AS record FROM {LETTERS}");
        assert_eq!(scratch.query(&record), [json!({"record": "1\ta,b\t2,5"})]);
    }
}

#[test]
fn columns_without_a_name_are_kept_aside_and_trailing_delimiters_go_by_the_setting() {
    let scratch = Scratch::new();
    let index = b",id,label,price\n0,1,one,1.5\n1,2,two,2.5\n";
    let (_, rows) = loaded(&scratch, "index.csv", index, &[]);
    let kept = |value: &str| json!(format!(r#"{{"column_1":"{value}"}}"#));
    let wanted = [
        json!({"id": 1, "label": "one", "more": kept("0")}),
        json!({"id": 2, "label": "two", "more": kept("1")}),
    ];
    assert_eq!(rows, wanted);
    for header in ["id,label,price,", "id,label,price"] {
        let scratch = Scratch::new();
        let bytes = format!("{header}\n1,one,1,\n2,two,,\n3,,3,\n");
        let set = ["source.csv.trailing_delimiter=true"];
        let (_, rows) = loaded(&scratch, "trailing.csv", bytes.as_bytes(), &set);
        let wanted =
            [json!({"id": 1, "label": "one"}), json!({"id": 2, "label": "two"}), json!({"id": 3})];
        assert_eq!(rows, wanted);
    }
}

#[test]
fn gzip_with_several_members_and_padding_is_read_as_gunzip_reads_it() {
    let scratch = Scratch::new();
    let compressed = |text: &str| {
        scratch.write("member", text);
        let mut gzip = Command::new("gzip");
        let gzip = gzip.args(["-c", "member"]).current_dir(scratch.folder.path());
        gzip.output().expect("gzip is there").stdout
    };
    let zeros = vec![0; 1000];
    let bytes =
        [compressed("id,label,price\n1,a,1\n"), compressed("2,b,2\n"), zeros.clone()].concat();
    let (summary, rows) = loaded(&scratch, "padded.csv.gz", &bytes, &[]);
    assert_eq!(summary["rows_out"], 2);
    assert_eq!(rows[1]["label"], "b");
    // Whatever else is behind it may be rows that are lost.
    scratch.write("broken.csv.gz", [&bytes[..], b"2,b,2\n"].concat());
    let output = scratch.run(&["run", "stock.toml", "--set", "source.uri=broken.csv.gz"]);
    assert!(!output.status.success());
    assert!(talk(&output, &scratch).contains("more than zeros"), "{}", talk(&output, &scratch));
}

#[test]
fn a_lookup_table_with_another_delimiter_or_without_the_field_is_told_by_validate() {
    let scratch = Scratch::new();
    plugins();
    scratch.done(&["generate", "shop", "--rows", "10", "--output", "shop.csv"]);
    let pipeline = root().join("host/pipelines/batch.toml").to_string_lossy().into_owned();
    let validate = |table: &str| {
        let lookup =
            format!("plugin.enrich.lookups.countries={}", scratch.path(table).to_string_lossy());
        let uri = "source.uri=shop.csv";
        scratch.run(&["validate", &pipeline, "--set", uri, "--set", &lookup])
    };
    let countries = fs::read_to_string(root().join("host/pipelines/reference/countries.csv"));
    let countries = countries.unwrap();
    scratch.write("fine.csv", &countries);
    assert!(validate("fine.csv").status.success());
    for (name, text, wanted) in [
        (
            "europe.csv",
            countries.replace(',', ";"),
            "`<scratch>/europe.csv` has one column on line 1, `code;name`: its fields are separated by ';'",
        ),
        (
            "title.csv",
            countries.replacen("code,name", "code,title", 1),
            "`names[0].field`: lookup table `countries` has no field `name`, only `code`, `title`",
        ),
    ] {
        scratch.write(name, text);
        let output = validate(name);
        assert_eq!(output.status.code(), Some(2));
        let told = talk(&output, &scratch);
        assert!(told.contains(wanted), "{told}");
    }
    scratch.write("tabs.tsv", countries.replace(',', "\t"));
    let output = validate("tabs.tsv");
    assert!(output.status.success(), "{}", talk(&output, &scratch));
}

#[test]
fn a_lookup_table_that_is_mended_is_taken_up_by_what_is_watched_and_told_otherwise() {
    let countries = root().join("host/pipelines/reference/countries.csv");
    let countries = fs::read_to_string(countries).unwrap();
    plugins();
    let pipeline = root().join("host/pipelines/batch.toml");
    for watched in [true, false] {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path("in")).unwrap();
        let table = scratch.write("countries.csv", countries.replace("Poland", "Polland"));
        let uri = format!("source.uri={}/in/*.csv", scratch.folder.path().display());
        let lookup = format!("plugin.enrich.lookups.countries={}", table.display());
        let watch = format!("plugin.enrich.watch={watched}");
        scratch.done(&["generate", "shop", "--rows", "300", "--output", "in/a.csv"]);
        let set = ["--set", &uri, "--set", &lookup, "--set", &watch];
        let more = ["--set", "source.watch=true", "--set", "source.watch_interval_secs=1"];
        let live = Live::start(&scratch, &pipeline, &[&set[..], &more].concat());
        live.wait_for_rows(1, 300);
        // As an editor saves it: gone for a moment, then whole.
        fs::remove_file(&table).unwrap();
        fs::write(&table, &countries).unwrap();
        if watched {
            crate::cloud::wait_until("the swap", || live.history().len() == 2);
            scratch
                .done(&["generate", "shop", "--rows", "200", "--seed", "9", "--output", "b.csv"]);
            fs::rename(scratch.path("b.csv"), scratch.path("in/b.csv")).unwrap();
            live.wait_for_rows(2, 200);
        } else {
            let told = || live.talk().contains("a lookup table has changed");
            crate::cloud::wait_until("a word about it", told);
            assert_eq!(live.history().len(), 1);
        }
        live.end();
        let poles = |country: &str| {
            scratch.number(&format!(
                "SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch WHERE country = '{country}'"
            ))
        };
        assert!(poles("Polland") > 0);
        assert_eq!(poles("Poland") > 0, watched);
    }
}

#[test]
fn the_readme_s_polars_lines_read_files_from_before_and_after_a_column_was_added() {
    let python = match python_with("polars.txt") {
        Ok(python) => python,
        Err(why) => {
            return not_run("the README's polars lines", &format!("polars is missing: {why}"));
        }
    };
    let scratch = Scratch::new();
    let table = "clickstream_analytics.clickstream_batch";
    let pipeline = stock(&scratch, table, &[]);
    scratch.write("in.csv", "id,label,price\n1,one,1\n");
    scratch.summary(&pipeline, &[]);
    let pipeline = stock(&scratch, table, &["note"]);
    scratch.write("more.csv", "id,label,price,note\n2,two,2,hello\n");
    scratch.summary(&pipeline, &["source.uri=more.csv"]);
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let block = blocks(&readme).into_iter().find(|block| block.language == "python").unwrap();
    let script = block.text.replace("clickmill-data/warehouse", &scratch.warehouse());
    assert_ne!(script, block.text);
    let script = format!("{script}print(rows.sort('id').select('id', 'note').rows())\n");
    let output = Command::new(python).args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "[(1, None), (2, 'hello')]\n", "{}", String::from_utf8_lossy(&output.stderr));
}
