//! `clickmill init`: data of the kinds that people have, looked at, and what is written of them run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, MANY_STREAMS, signal, summary, wait_until};
use crate::emulators::Storage;
use crate::support::{Process, Scratch, plugins, talk};

const TABLE: &str = "clickstream_analytics.made";

/// Has a file looked at, what was written checked and run; returns the summary of the run.
#[track_caller]
fn loaded(scratch: &Scratch, file: &str, bytes: &[u8]) -> Json {
    plugins();
    scratch.write(file, bytes);
    scratch.done(&["init", file, "--output", "made"]);
    scratch.done(&["validate", "made/pipeline.toml"]);
    scratch.summary(&scratch.path("made/pipeline.toml"), &[])
}

/// Types of the columns of what was written, by path; lists with brackets.
fn types(scratch: &Scratch) -> BTreeMap<String, String> {
    fn walk(columns: &Json, path: &str, to: &mut BTreeMap<String, String>) {
        for column in columns.as_array().into_iter().flatten() {
            let path = format!("{path}{}", column["name"].as_str().unwrap());
            let list = if column["mode"] == "REPEATED" { "[]" } else { "" };
            let kind = format!("{}{list}", column["type"].as_str().unwrap());
            to.insert(path.clone(), kind);
            walk(&column["fields"], &format!("{path}."), to);
        }
    }
    let mut found = BTreeMap::new();
    let schema = fs::read(scratch.path("made/made.json")).unwrap();
    walk(&serde_json::from_slice(&schema).unwrap(), "", &mut found);
    found
}

/// A kind of file: what it is called, its bytes, how many records and rows it has, and types of columns.
struct Kind<'a> {
    file: &'a str,
    bytes: Vec<u8>,
    rows: [u64; 2],
    types: &'a [(&'a str, &'a str)],
}

#[track_caller]
fn check(kind: &Kind<'_>) -> Scratch {
    let scratch = Scratch::new();
    let summary = loaded(&scratch, kind.file, &kind.bytes);
    let counted = [&summary["rows_in"], &summary["rows_out"], &summary["rows_rejected"]];
    let [records, rows] = kind.rows;
    assert_eq!(counted, [&json!(records), &json!(rows), &json!(0)], "{}: {summary:#}", kind.file);
    assert_eq!(scratch.number(&format!("SELECT COUNT(*) FROM {TABLE}")), rows, "{}", kind.file);
    let found = types(&scratch);
    for (column, wanted) in kind.types {
        let found = found.get(*column).map(String::as_str);
        assert_eq!(found, Some(*wanted), "{}: {column}", kind.file);
    }
    scratch
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn repeated(header: &str, row: impl Fn(u32) -> String, rows: u32) -> String {
    let rows = (0..rows).map(|at| row(at) + "\n");
    std::iter::once(header.to_owned() + "\n").chain(rows).collect()
}

#[test]
fn semicolons_with_money_and_dates_of_a_country_are_text_with_a_reason() {
    let text = repeated(
        "Nr;Datum;Kunde;Preis;Menge;Bezahlt",
        |at| format!("{};{:02}.03.2026;K{at};{at},50;{};ja", 1000 + at, at % 28 + 1, at % 7),
        300,
    );
    let scratch = check(&Kind {
        file: "bestellungen.csv",
        bytes: text.into_bytes(),
        rows: [300, 300],
        types: &[("Nr", "STRING"), ("Datum", "STRING"), ("Preis", "STRING"), ("Menge", "INTEGER")],
    });
    let written = fs::read_to_string(scratch.path("made/pipeline.toml")).unwrap();
    for reason in ["`31.12.2026`, whose day comes first", "with a comma in the number"] {
        assert!(written.contains(reason), "{written}");
    }
    let row =
        &scratch.query(&format!("SELECT Preis, Datum FROM {TABLE} ORDER BY source_line LIMIT 1"));
    assert_eq!(row, &[json!({"Preis": "0,50", "Datum": "01.03.2026"})]);
}

#[test]
fn line_ends_marks_and_encodings_are_told() {
    let text = "id,city,price\n1,Łódź,1.50\n2,Kraków,2.25\n3,Gdańsk,3.00\n";
    let utf_16 = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let wanted = ["Łódź", "Kraków", "Gdańsk"];
    for (file, bytes) in [
        ("cr.csv", text.replace('\n', "\r").into_bytes()),
        ("bom.csv", format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes()),
        ("wide.csv", utf_16(text)),
        ("packed.csv.gz", gzip(text.as_bytes())),
        ("tabs.txt", text.replace(',', "\t").into_bytes()),
        (
            "polish.csv",
            b"id,city,price\n1,\xa3\xf3d\x9f,1.50\n2,Krak\xf3w,2.25\n3,Gda\xf1sk,3.00\n".to_vec(),
        ),
    ] {
        let types = &[("id", "STRING"), ("city", "STRING"), ("price", "NUMERIC")];
        let scratch = check(&Kind { file, bytes, rows: [3, 3], types });
        let cities = scratch.query(&format!("SELECT city FROM {TABLE} ORDER BY id"));
        let cities: Vec<&Json> = cities.iter().map(|row| &row["city"]).collect();
        assert_eq!(cities, wanted, "{file}");
    }
    for (file, text) in [
        ("escapes.csv", "id,name,at,price\nx,\u{1b}[2J\u{1b}]0;t\u{7},,1\n"),
        ("nul.csv", "id,name\n1,a\0b\n\0\0\0\0\0\0\0\0,c\n"),
    ] {
        let rows = text.lines().count() as u64 - 1;
        check(&Kind { file, bytes: text.into(), rows: [rows, rows], types: &[("name", "STRING")] });
    }
    let bytes = b"name;stra\xdfe;ort\nA;M\xfchlweg 1;K\xf6ln\nB;Hofgasse 2;Bonn\n".to_vec();
    let rows = [2, 2];
    let scratch = check(&Kind { file: "latin.csv", bytes, rows, types: &[("strasse", "STRING")] });
    let row = scratch.query(&format!("SELECT ort FROM {TABLE} ORDER BY source_line"));
    assert_eq!(row, [json!({"ort": "Köln"}), json!({"ort": "Bonn"})]);
}

#[test]
fn letters_of_a_file_without_a_header_in_another_encoding_are_replayed() {
    let scratch = Scratch::new();
    let mut rows: String = (0..60).map(|at| format!("{},Zürich {at},{at}\n", 100 + at)).collect();
    rows.push_str("999,Genève,viele\n");
    let bytes = encoding_of_the_west(&rows);
    // What was looked at has no bad row.
    plugins();
    scratch.write("in.csv", &bytes);
    scratch.done(&["init", "in.csv", "--output", "made", "--rows", "50"]);
    let written = fs::read_to_string(scratch.path("made/pipeline.toml")).unwrap();
    assert!(written.contains("header = false") && written.contains("windows-1252"), "{written}");
    let summary = scratch.summary(&scratch.path("made/pipeline.toml"), &[]);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(60), &json!(1)));
    let replay = ["dead-letter", "replay", "made/pipeline.toml", "--json", "--set"];
    let lenient = r#"plugin.parse.config.unreadable="null""#;
    let replayed = scratch.done(&[&replay[..], &[lenient]].concat());
    let replayed: Json = serde_json::from_str(&replayed).unwrap();
    assert_eq!(replayed["resolved"], 1, "{replayed:#}");
    let row = scratch.query(&format!("SELECT column_2 FROM {TABLE} WHERE column_1 = 999"));
    assert_eq!(row, [json!({"column_2": "Genève"})]);
}

/// Text in the encoding of Windows in the west, as far as it is in Latin-1 too.
fn encoding_of_the_west(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

#[test]
fn quotes_headers_and_widths_of_all_kinds_are_read() {
    check(&Kind {
        file: "quotes.csv",
        bytes: b"id,text,n\n1,\"a, \"\"b\"\"\nc\",2\n2,d,3\n".to_vec(),
        rows: [2, 2],
        types: &[("n", "INTEGER")],
    });
    check(&Kind {
        file: "spark.csv",
        bytes: b"id,text\n1,\"a \\\"b\\\" c\"\n2,\"d\"\n".to_vec(),
        rows: [2, 2],
        types: &[("text", "STRING")],
    });
    let scratch = check(&Kind {
        file: "bare.csv",
        bytes: b"7,red,2026-01-05\n8,blue,2026-01-06\n9,red,2026-01-07\n".to_vec(),
        rows: [3, 3],
        types: &[("column_1", "INTEGER"), ("column_2", "STRING"), ("column_3", "DATE")],
    });
    assert_eq!(scratch.number(&format!("SELECT MIN(column_1) FROM {TABLE}")), 7);
    let scratch = check(&Kind {
        file: "twice.csv",
        bytes: b",order id,Value,value,source\n0,A1,1,2,web\n1,A2,3,4,app\n".to_vec(),
        rows: [2, 2],
        types: &[
            ("column_1", "INTEGER"),
            ("order_id", "STRING"),
            ("Value", "INTEGER"),
            ("value_2", "INTEGER"),
            ("source_2", "STRING"),
        ],
    });
    assert_eq!(scratch.number(&format!("SELECT SUM(value_2) FROM {TABLE}")), 6);
    check(&Kind {
        file: "same.csv",
        bytes: b"id,v,v,\n1,2,3,\n2,4,5,\n".to_vec(),
        rows: [2, 2],
        types: &[("v", "INTEGER"), ("v_2", "INTEGER")],
    });
    let header: Vec<String> = (0..400).map(|at| format!("measure {at}")).collect();
    let row = |row: u32| (0..400).map(|at| format!("{}", row * at)).collect::<Vec<_>>().join("|");
    check(&Kind {
        file: "wide.txt",
        bytes: repeated(&header.join("|"), row, 200).into_bytes(),
        rows: [200, 200],
        types: &[("measure_399", "INTEGER")],
    });
}

/// What is done for a column is not done for each of all others: with so many that would take all fuel of a call.
#[test]
fn files_of_thousands_of_columns_are_read() {
    let names: Vec<String> = (0..3000).map(|at| format!("column_{at}")).collect();
    let text = repeated(&names.join(","), |row| vec![row.to_string(); 3000].join(","), 3);
    check(&Kind {
        file: "wide.csv",
        bytes: text.into_bytes(),
        rows: [3, 3],
        types: &[("column_0", "INTEGER"), ("unknown_fields", "STRING")],
    });
}

#[test]
fn types_are_those_that_lose_nothing() {
    let scratch = check(&Kind {
        file: "types.csv",
        bytes: repeated(
            "zip,user_count,big,price,rate,ok,active,day,slash,stamp,zoned,compact_date,epoch_time,hour,gap,measured",
            |at| {
                format!(
                    "0{at:04},{at},92233720368547758{:02},{at}.50,0.{at:05}1234,{},{},2026-01-{:02},2026/3/{},2026-01-05 10:00:{:02},2026-01-05T10:00:00+01:00,202601{:02},{},8:{:02},,{}",
                    at % 100,
                    at % 2 == 0,
                    if at % 2 == 0 { "Y" } else { "N" },
                    at % 28 + 1,
                    at % 28 + 1,
                    at % 60,
                    at % 28 + 1,
                    1_767_225_600 + at,
                    at % 60,
                    if at % 10 == 0 { "NA".to_owned() } else { format!("{at}.125") },
                )
            },
            200,
        )
        .into_bytes(),
        rows: [200, 200],
        types: &[
            ("zip", "STRING"),
            ("user_count", "INTEGER"),
            ("big", "NUMERIC"),
            ("price", "NUMERIC"),
            ("rate", "FLOAT"),
            ("ok", "BOOLEAN"),
            ("active", "BOOLEAN"),
            ("day", "DATE"),
            ("slash", "DATE"),
            ("stamp", "DATETIME"),
            ("zoned", "TIMESTAMP"),
            ("compact_date", "DATE"),
            ("epoch_time", "TIMESTAMP"),
            ("hour", "TIME"),
            ("gap", "STRING"),
            ("measured", "FLOAT"),
        ],
    });
    assert_eq!(scratch.number(&format!("SELECT COUNT(*) FROM {TABLE} WHERE measured IS NULL")), 20);
    let first = scratch.query(&format!("SELECT zip FROM {TABLE} ORDER BY source_line LIMIT 1"));
    assert_eq!(first, [json!({"zip": "00000"})]);
}

#[test]
fn nested_events_keep_their_shape_and_arrays_of_them_become_rows() {
    let event = |at: u32| {
        let mixed = [json!(1), json!("a"), json!({"b": 2})][at as usize % 3].clone();
        let either = [json!(1), json!("a")][at as usize % 2].clone();
        // Lists in the records of a list, some of them empty, and a record that is null.
        let item =
            |_| json!({"sku": "x", "price": 19.9, "qty": 1, "sizes": vec![40; at as usize % 3]});
        let user = if at == 7 { Json::Null } else { json!({"id": at, "country": "PL"}) };
        json!({
            "id": format!("e{at}"), "at": "2026-01-05T10:00:00Z", "user": user,
            "items": (0..at % 4).map(item).collect::<Vec<_>>(),
            "tags": ["new"], "mixed": mixed,
            "either": either, "geo.city": "Paris", "empty": null,
        })
    };
    let lines: String = (0..120).map(|at| event(at).to_string() + "\n").collect();
    let scratch = check(&Kind {
        file: "events.ndjson",
        bytes: lines.into_bytes(),
        rows: [120, 120],
        types: &[
            ("at", "TIMESTAMP"),
            ("user", "RECORD"),
            ("user.id", "STRING"),
            ("items", "RECORD[]"),
            ("items.price", "NUMERIC"),
            ("items.qty", "INTEGER"),
            ("items.sizes", "INTEGER[]"),
            ("tags", "STRING[]"),
            ("mixed", "JSON"),
            ("either", "STRING"),
            ("geo_city", "STRING"),
        ],
    });
    let sql = format!("SELECT SUM(item.qty) FROM {TABLE} AS made, UNNEST(made.items) AS item");
    assert_eq!(scratch.number(&sql), 180);
    let sql = format!(
        "SELECT SUM(ARRAY_LENGTH(item.sizes)) FROM {TABLE} AS made, UNNEST(made.items) AS item"
    );
    let sizes: u32 = (0..120).map(|at| (at % 4) * (at % 3)).sum();
    assert_eq!(scratch.number(&sql), u64::from(sizes));
    assert_eq!(
        scratch.number(&format!("SELECT COUNT(*) FROM {TABLE} AS made WHERE made.user IS NULL")),
        1
    );
    let batch = |at: u32| {
        let events: Vec<Json> = (0..3).map(|n| json!({"type": "view", "n": n})).collect();
        json!({"sent": "2026-01-05T10:00:00", "client": {"lang": "pl"}, "shop": at, "events": events})
    };
    let batches: String = (0..40).map(|at| batch(at).to_string() + "\n").collect();
    let scratch = check(&Kind {
        file: "batches.jsonl",
        bytes: batches.into_bytes(),
        rows: [40, 120],
        types: &[
            ("n", "INTEGER"),
            ("shop", "INTEGER"),
            ("client.lang", "STRING"),
            ("sent", "DATETIME"),
        ],
    });
    assert_eq!(scratch.number(&format!("SELECT COUNT(DISTINCT shop) FROM {TABLE}")), 40);
    let array: Vec<Json> = (0..1500).map(|n| json!({"n": n, "kind": "click"})).collect();
    let bytes = gzip(Json::from(array).to_string().as_bytes());
    check(&Kind { file: "array.json.gz", bytes, rows: [1, 1500], types: &[("n", "INTEGER")] });
}

#[test]
fn what_looks_personal_is_masked_and_guarded() {
    let text = repeated(
        "customer_id,Name,E-Mail,phone,ip,card,iban,birthday,latitude,user_agent,url,comment,order_ref,colour",
        |at| {
            format!(
                "C{at:06},Ada {at},ada{at}@example.com,+48 601 234 {at:03},198.51.{at}.77,4111111111111111,DE89370400440532013000,1980-01-02,52.{at:05},Mozilla/5.0 (X11),https://shop.example/?email=ada{at}%40example.com,\"please write to ada{at}@example.com, not to the office\",C{at:06}/7,red"
            )
        },
        100,
    );
    let scratch = check(&Kind {
        file: "customers.csv",
        bytes: text.into_bytes(),
        rows: [100, 100],
        types: &[("customer_id", "STRING"), ("colour", "STRING")],
    });
    let raw = [
        "ada7@example.com",
        "601 234",
        "198.51.7.77",
        "41111111",
        "DE8937",
        "1980-01-02",
        "C000007",
        "Ada 7",
    ];
    let rows = Json::from(scratch.query(&format!("SELECT * FROM {TABLE}"))).to_string();
    for value in raw {
        assert!(!rows.contains(value), "{value} is in the table");
    }
    assert!(rows.contains("[email]") && rows.contains("198.51.7.0") && rows.contains("k1_"));
    let schema = fs::read_to_string(scratch.path("made/made.json")).unwrap();
    assert!(schema.lines().any(|line| line.contains("\"e_mail\"") && line.contains("policyTags")));
    // No personal value is in what was written either.
    for file in ["pipeline.toml", "made.json", "README.md"] {
        let written = fs::read_to_string(scratch.path("made").join(file)).unwrap();
        assert!(raw.iter().all(|value| !written.contains(value)), "{file}: {written}");
    }
}

#[test]
fn what_holds_something_personal_is_cleaned_and_told() {
    let text = repeated(
        "id,res,page_path,request,client:port,peer,chain,detail,data",
        |at| {
            format!(
                "{at},/u/ada{at}@example.com/x,/reset?email=ada{at}%40example.com,GET https://shop.example:443/a?email=ada{at}%40example.com HTTP/1.1,203.0.113.{at}:4005,[2001:db8::6]:443,\"203.0.113.{at}, 10.0.0.1\",tel:+486012345{at},from=203.0.113.{at}"
            )
        },
        60,
    );
    let scratch = check(&Kind {
        file: "requests.csv",
        bytes: text.into_bytes(),
        rows: [60, 60],
        types: &[("res", "STRING"), ("client_port", "STRING")],
    });
    let rows = Json::from(scratch.query(&format!("SELECT * FROM {TABLE}"))).to_string();
    for value in ["ada7", "203.0.113", "2001:db8", "10.0.0.1", "4860123"] {
        assert!(!rows.contains(value), "{value} is in the table: {rows}");
    }
    assert!(rows.contains("[ip]:4005") && rows.contains("[email]"), "{rows}");
}

#[test]
fn keys_with_something_personal_in_them_are_neither_in_files_nor_in_the_table() {
    let members: Vec<String> = (0..200).map(|at| format!("\"anna{at}@corp.com\":{at}")).collect();
    let line = format!("{{\"id\":7,\"+48601234567\":1,{}}}\n", members.join(","));
    let csv = repeated("id,anna@corp.com,+48601234567", |_| "7,1,2".to_owned(), 60);
    for (file, text) in [("visits.ndjson", line.repeat(60)), ("visits.csv", csv)] {
        let types = &[("id", "STRING"), ("unknown_fields", "STRING")];
        let scratch = check(&Kind { file, bytes: text.into_bytes(), rows: [60, 60], types });
        let mut all =
            vec![Json::from(scratch.query(&format!("SELECT * FROM {TABLE}"))).to_string()];
        for file in ["pipeline.toml", "made.json", "README.md"] {
            all.push(fs::read_to_string(scratch.path("made").join(file)).unwrap());
        }
        for part in ["anna", "corp", "48601234567"] {
            assert!(all.iter().all(|text| !text.contains(part)), "{part}: {all:?}");
        }
        assert!(all[1].lines().any(|line| line == "unknown_fields = \"remove\""), "{}", all[1]);
    }
}

#[test]
fn dates_of_eight_digits_and_keys_that_come_twice_are_read_in_json() {
    let line = "{\"event_date\":\"20260105\",\"a\":1,\"a\":2}\n";
    let scratch = check(&Kind {
        file: "ga4.ndjson",
        bytes: line.repeat(100).into_bytes(),
        rows: [100, 100],
        types: &[("event_date", "DATE"), ("a", "INTEGER")],
    });
    let row = scratch.query(&format!("SELECT event_date, a FROM {TABLE} LIMIT 1"));
    assert_eq!(row, [json!({"event_date": "2026-01-05", "a": 2})]);
    let written = fs::read_to_string(scratch.path("made/pipeline.toml")).unwrap();
    assert!(!written.contains("in 200 of"), "{written}");
}

#[test]
fn records_that_a_run_refuses_are_told_and_what_is_written_runs() {
    plugins();
    for (file, text, told) in [
        ("a.ndjson", "{\"a\":1}\n{\"a\":2}\nnot json\n{\"a\":3}\n", "record 3 of those"),
        ("nan.ndjson", "{\"a\":1}\n{\"a\":NaN}\n{\"a\":2}\n", "not JSON: expected value at byte 6"),
        ("comma.ndjson", "{\"a\":1},\n{\"a\":2}\n{\"a\":3}\n", "not JSON: trailing characters"),
        ("null.ndjson", "{\"a\":1}\nnull\n{\"a\":2}\n", "JSON, but no object"),
        ("a.csv", "id,name\n1,a\n2\n3,c\n", "line 3 of `a.csv`, record has 1 fields"),
    ] {
        let scratch = Scratch::new();
        scratch.write(file, text);
        let output = scratch.run(&["init", file, "--output", "made"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.contains(told), "{file}: {stderr}");
        let written = fs::read_to_string(scratch.path("made/pipeline.toml")).unwrap();
        assert!(written.contains(told), "{file}: {written}");
        let summary = scratch.summary(&scratch.path("made/pipeline.toml"), &[]);
        assert_eq!(summary["rows_rejected"], json!(1), "{file}: {summary:#}");
    }
}

#[test]
fn files_that_tell_of_the_data_beside_them_are_passed_over() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("lake/2026")).unwrap();
    scratch.write("lake/LICENSE", "All rights are kept.\n");
    scratch.write("lake/README.md", "# About\n\nVisits by day.\n");
    scratch.write("lake/a.csv", "id,v\n1,2\n");
    scratch.write("lake/2026/b.csv", "id,v\n3,4\n");
    let made = scratch.run(&["init", "lake", "--output", "made"]);
    let told = talk(&made, &scratch);
    assert!(made.status.success(), "{told}");
    assert!(told.contains("`lake/LICENSE` and 1 more: no data by name"), "{told}");
    assert!(told.contains("looked at all 2 records"), "{told}");
    let summary = scratch.summary(&scratch.path("made/pipeline.toml"), &[]);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(2), &json!(0)));
    // Named itself, such a file is what is meant.
    scratch.done(&["init", "lake/README.md", "--output", "about"]);
}

#[test]
fn rows_that_were_not_looked_at_are_rows() {
    plugins();
    let scratch = Scratch::new();
    let mut text = repeated(
        "id,kind,price,note",
        |at| format!("{at},{},1.5,ok", ["a", "b"][at as usize % 2]),
        400,
    );
    // Other kinds, nothing at all, more than before, less than nothing.
    text.push_str(
        "500,c,-1000000.25,\n501,,,\n502,a,99999999,\"much longer than any other, with words\"\n",
    );
    scratch.write("in.csv", text);
    let told = scratch.run(&["init", "in.csv", "--output", "made", "--rows", "300"]);
    assert!(
        talk(&told, &scratch).contains("looked at the first 300 records"),
        "{}",
        talk(&told, &scratch)
    );
    let set = r#"plugin.validate.config.rules=[{ required = { columns = ["id"] } }]"#;
    let with_rules = scratch.summary(&scratch.path("made/pipeline.toml"), &[]);
    // A price below zero is refused, as the file says: nothing else is.
    assert_eq!((&with_rules["rows_out"], &with_rules["rows_rejected"]), (&json!(402), &json!(1)));
    scratch.done(&["dead-letter", "replay", "made/pipeline.toml", "--set", set]);
    assert_eq!(scratch.number(&format!("SELECT COUNT(*) FROM {TABLE}")), 403);
}

#[test]
fn nothing_is_written_over_and_what_cannot_be_read_is_named() {
    plugins();
    let scratch = Scratch::new();
    scratch.write("in.csv", "id,v\n1,2\n");
    scratch.done(&["init", "in.csv"]);
    let before = fs::read(scratch.path("in/pipeline.toml")).unwrap();
    scratch.write("in.csv", "other\n1\n");
    let refused = |output: &Output, wanted: &str| {
        let told = talk(output, &scratch);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(wanted), "{told}");
    };
    refused(&scratch.run(&["init", "in.csv"]), "`in` is there already");
    assert_eq!(fs::read(scratch.path("in/pipeline.toml")).unwrap(), before);
    for (file, bytes, wanted) in [
        ("a.parquet", &b"PAR1\x15\x04"[..], "`a.parquet` is Parquet"),
        ("b.json", b"[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n", "jq -c"),
        ("c.ndjson", b"{\"a\": NaN, \"b\": 1}\n{\"a\": NaN}\n", "has NaN or Infinity on most"),
        ("d.ndjson", b"{\"a@corp.com\": 1, \"b@corp.com\": 2}\n", "jq -c 'to_entries[]'"),
        ("f.csv", b"Sales report,,\nid,val,x\n1,1,z\n2,2,z\n", "`tail -n +2 FILE"),
        ("c.csv", b"", "holds nothing to look at"),
        ("b.xml", b"<rows>\n<row id=\"1\"></row>\n</rows>\n", "is XML"),
        ("d.bin", b"a\0\0\0b\xff", "is not text"),
        ("e.csv", b"sep=;\nid;v\n1;2\n2;3\n", "no records: comments, a title, or `sep=;`"),
    ] {
        scratch.write(file, bytes);
        refused(&scratch.run(&["init", file, "--output", "other"]), wanted);
        assert!(!scratch.path("other").exists());
    }
    refused(&scratch.run(&["init", "gone.csv"]), "gone.csv");
    fs::create_dir(scratch.path("lake")).unwrap();
    scratch.write("lake/in.csv", "id,v\n1,2\n");
    let within = "a run would take what is written there for data";
    refused(&scratch.run(&["init", "lake", "--output", "lake/made"]), within);
    refused(&scratch.run(&["init", "."]), within);
    let left = fs::read_dir(scratch.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
}

#[test]
fn files_of_a_folder_that_differ_are_told() {
    plugins();
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("lake")).unwrap();
    for (file, bytes) in [
        ("a.csv", "id,v\n1,2\n"),
        ("b.csv", "id,other\n1,2\n"),
        ("c.ndjson", "{\"id\": 1}\n"),
        ("d.csv", ""),
        ("e.csv", "id,v\n3,4\n"),
        ("f.csv", "id,v\n"),
    ] {
        scratch.write(&format!("lake/{file}"), bytes);
    }
    let made = scratch.run(&["init", "lake", "--output", "made"]);
    let told = talk(&made, &scratch);
    assert!(made.status.success(), "{told}");
    let line = told.lines().find(|line| line.contains("b.csv"));
    let line = line.unwrap_or_else(|| panic!("nothing is told of b.csv: {told}"));
    for part in ["and 1 more have other columns", "by a pattern"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    scratch.done(&["init", "lake/[ae].csv", "--output", "one"]);
    let summary = scratch.summary(&scratch.path("one/pipeline.toml"), &[]);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(2), &json!(0)));
}

#[test]
fn standard_input_is_looked_at_and_ctrl_c_leaves_nothing() {
    plugins();
    let scratch = Scratch::new();
    let events = scratch.done(&["generate", "events", "--rows", "200"]);
    let fed = |arguments: &[&str]| {
        let mut command = scratch.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let mut input = process.stdin.take().unwrap();
        let events = events.clone();
        std::thread::spawn(move || input.write_all(events.as_bytes()));
        process.wait_with_output().unwrap()
    };
    let made = fed(&["init", "-", "--output", "made"]);
    assert!(made.status.success(), "{}", talk(&made, &scratch));
    let summary = summary(&fed(&["run", "--json", "made/pipeline.toml"]));
    assert_eq!(
        (&summary["rows_in"], &summary["rows_rejected"]),
        (&json!(200), &json!(0)),
        "{summary:#}"
    );
    // An input that does not end.
    let mut command = scratch.command(&["init", "-", "--output", "never"]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command);
    let mut input = process.stdin.take().unwrap();
    input.write_all(b"id,v\n1,2\n").unwrap();
    // Its handler is there once it reads; before, the signal ends it too.
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(&process, "-INT");
    let mut ended = None;
    wait_until("the end", || {
        ended = process.try_wait().unwrap();
        ended.is_some()
    });
    assert!(!ended.unwrap().success());
    drop(input);
    assert!(!scratch.path("never").exists());
}

#[test]
fn a_prefix_in_cloud_storage_is_looked_at() {
    plugins();
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    storage.put("orders/a.csv", b"id;price\n1;1.50\n2;2.50\n");
    storage.put("orders/b.csv.gz", &gzip(b"id;price\n3;3.50\n"));
    storage.put("orders/_SUCCESS", b"");
    let run = |arguments: &[&str]| {
        let mut command = scratch.command(arguments);
        command.env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address));
        command.output().unwrap()
    };
    let made = run(&["init", "gs://lake/orders/", "--output", "made"]);
    assert!(made.status.success(), "{}", talk(&made, &scratch));
    assert_eq!(summary(&run(&["run", "--json", "made/pipeline.toml"]))["rows_out"], 3);
    assert_eq!(types(&scratch)["price"], "NUMERIC");
}

#[test]
fn messages_that_were_looked_at_come_again() {
    let Some(cloud) = Cloud::start("init", &json!({ "ackDeadlineSeconds": 10 })) else { return };
    cloud.publish(&["--count", "300"]);
    let init = |arguments: &[&str]| {
        let output = cloud.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", talk(&output, &cloud.scratch));
    };
    init(&["init", &cloud.subscription, "--output", "made", "--rows", "200"]);
    // The emulator goes on to hand messages to streams whose process is gone: each run takes part with many.
    let many = ["--set", MANY_STREAMS];
    let run = ["run", "--json", "made/pipeline.toml", "--stop-when-idle", "20s"];
    let ids = "SELECT COUNT(DISTINCT message_id) FROM clickstream_analytics.made_raw";
    // What was given back may come only once its lease is over.
    let found = (0..6).map(|_| {
        let summary = summary(&cloud.command(&[&run[..], &many].concat()).output().unwrap());
        assert_eq!(summary["rows_rejected"], 0, "{summary:#}");
        cloud.scratch.number(ids)
    });
    assert_eq!(found.into_iter().find(|found| *found == 300), Some(300));
}
