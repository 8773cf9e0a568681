mod maps;
mod personal_keys;
mod refused;

use super::*;

fn proposed(records: &Records) -> Result<Vec<(String, String)>, String> {
    proposal(records).map(|proposal| proposal.files)
}

fn proposal(records: &Records) -> Result<Proposal, String> {
    propose(records, &about())
}

fn about() -> About {
    About {
        name: "made".to_owned(),
        dataset: "data".to_owned(),
        table: "made".to_owned(),
        origin: "`made.csv`".to_owned(),
        source: vec!["kind = \"stdin\"".to_owned()],
        is_all: true,
        plugins: "/plugins".to_owned(),
        dead_letter: "[]".to_owned(),
        filled_in: vec![("source", "STRING", "where it is from")],
        taken: vec!["source"],
        year: 2026,
        pipeline: "'my made/pipeline.toml'".to_owned(),
        before_run: String::new(),
        largest: 100,
        malformed: 0,
        first_malformed: String::new(),
    }
}

fn json(texts: &[&str]) -> Records {
    Records::Json(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// The same record so many times.
fn many(text: &str, times: usize) -> Records {
    Records::Json(vec![text.to_owned(); times])
}

fn csv(names: Vec<String>, all: &[Vec<String>]) -> Records {
    let mut rows = Rows::new(names.len());
    all.iter().for_each(|row| rows.push(row.iter().map(String::as_str)));
    Records::Csv { names, rows }
}

/// The pipeline file of records.
#[track_caller]
fn pipeline(records: &Records) -> String {
    proposed(records).expect("a pipeline").swap_remove(0).1
}

/// The pipeline file of a CSV file whose second column has this name and these values.
#[track_caller]
fn pipeline_of_column(name: &str, values: &[&str]) -> String {
    let names = vec!["first".to_owned(), name.to_owned()];
    let row = |value: &&str| vec!["a".to_owned(), (*value).to_owned()];
    pipeline(&csv(names, &values.iter().map(row).collect::<Vec<_>>()))
}

#[test]
fn names_of_the_data_are_data_in_what_is_written() {
    let names = ["${HOME}", "a\n# b", "q\"u\\o", "\u{7}"].map(str::to_owned).to_vec();
    let rows = [["1", "2", "3", "4"].map(str::to_owned).to_vec()];
    let pipeline = pipeline(&csv(names, &rows));
    for from in
        [r#"from = "$${HOME}""#, r#"from = "a\n# b""#, r#"from = "q\"u\\o""#, r#"from = "\u0007""#]
    {
        assert!(pipeline.contains(from), "{from}: {pipeline}");
    }
    assert!(pipeline.contains("clickmill run 'my made/pipeline.toml'"));
}

#[test]
fn numbers_keep_their_digits_and_mixed_values_their_spelling() {
    let pipeline = pipeline(&json(&[
        r#"{"n": 12345678901234567890123, "p": 19.90, "m": 1, "l": [1, null], "o": {}, "d": "2026-01-05", "s": "12"}"#,
        r#"{"n": 1, "p": 5, "m": "a", "l": [], "o": {}, "d": "2026-01-06T10:00:00Z", "s": "13"}"#,
    ]));
    for (name, kind) in [
        ("n", "decimal"),
        ("p", "decimal"),
        ("m", "text"),
        ("l", "json"),
        ("o", "json"),
        ("d", "timestamp"),
        ("s", "text"),
    ] {
        let column = format!("{{ name = \"{name}\", type = \"{kind}\" }}");
        assert!(pipeline.contains(&column), "{column}: {pipeline}");
    }
}

/// What a number would lose: zeros at either end that tell one thing from another, and thousands.
#[test]
fn what_only_looks_like_a_number_stays_text() {
    for (name, values, kind) in [
        ("app_version", ["1.9", "1.10", "2.0"], "text"),
        ("sku", ["12.10", "12.1", "7.25"], "text"),
        ("vat", ["1.90", "2.10", "0.55"], "decimal"),
        ("shelf", ["007", "12", "3"], "text"),
        ("weight", ["1.234", "999", "-12.500"], "text"),
        ("weight", ["1.234", "1999", "12.500"], "float64"),
        ("weight", ["1.234", "0.500", "12"], "float64"),
        ("weight", ["1.234", "12.500", "7.125"], "float64"),
        ("weight", ["1.234", "999", "12.5"], "float64"),
        ("weight", ["1.234.567", "999", "12.500"], "text"),
        ("paid", ["TRUE", "False", "true"], "boolean"),
        ("gone", ["", "", ""], "text"),
        ("length", ["12 cm", "7 cm", "3.5 cm"], "text"),
    ] {
        let pipeline = pipeline_of_column(name, &values);
        let column = format!("name = \"{name}\", type = \"{kind}\"");
        assert!(pipeline.contains(&column), "{column}: {values:?}: {pipeline}");
    }
}

/// A float would round them, so that the rule refused good rows.
#[test]
fn of_numbers_with_many_digits_no_range_is_proposed() {
    for (values, is_proposed) in [
        (["1", "999999999999999"], true),
        (["9223372036854775806", "9223372036854775807"], false),
        (["9223372036854775808", "9223372036854775907"], false),
        (["1.5", "12345678901234567890.25"], false),
    ] {
        let values: Vec<&str> = values.into_iter().cycle().take(50).collect();
        let pipeline = pipeline_of_column("size", &values);
        assert_eq!(pipeline.contains("# { range = "), is_proposed, "{pipeline}");
        assert!(pipeline.contains(r#"{ range = { column = "size", min = 0 } }"#), "{pipeline}");
    }
}

#[test]
fn what_there_is_one_of_is_told_so() {
    let pipeline = pipeline_of_column("height", &["1.5"; 50]);
    for told in ["at most 1 digit behind the point", "50 values were of one kind; another may come"]
    {
        assert!(pipeline.contains(told), "{told}: {pipeline}");
    }
}

#[test]
fn why_truth_values_are_text_is_said() {
    let seen = |values: [&str; 2]| pipeline_of_column("gender", &values);
    for values in [["f", "f"], ["yes", "true"]] {
        let pipeline = seen(values);
        assert!(pipeline.contains("only one word of a pair such as `yes` and `no`"), "{pipeline}");
        assert!(!pipeline.contains("several types"), "{pipeline}");
    }
    assert!(seen(["f", "1"]).contains("of several types (1 truth values, 1 numbers)"));
}

#[test]
fn what_is_cut_off_is_said() {
    const CUT: &str = "what is smaller than a microsecond is cut off";
    for (values, wanted) in [
        (["2026-01-05T10:00:00.123456789Z", "2026-01-05T10:00:00Z"], CUT),
        (["1767225600123456789", "1767225600123456790"], ": nanoseconds, cut to microseconds"),
        (["2026-01-05T10:00:00.123456000Z", "2026-01-05T10:00:00Z"], ""),
    ] {
        let pipeline = pipeline_of_column("seen_at", &values);
        assert!(pipeline.contains(r#"name = "seen_at", type = "timestamp""#), "{pipeline}");
        assert_eq!(pipeline.contains("cut "), !wanted.is_empty(), "{pipeline}");
        assert!(pipeline.contains(wanted), "{pipeline}");
    }
}

#[test]
fn events_are_exploded_and_items_stay_where_they_are() {
    let exploded = pipeline(&json(&[
        r#"{"batch": {"events": [{"id": 1, "items": [{"n": 1}]}]}, "id": "m1", "sent": "x"}"#,
        r#"{"batch": {"events": []}, "id": "m2", "sent": "y"}"#,
    ]));
    assert!(exploded.contains("explode = \"batch.events\""), "{exploded}");
    assert!(exploded.contains(r#"envelope = { id_2 = "id", sent = "sent" }"#), "{exploded}");
    let kept = pipeline(&json(&[r#"{"id": 1, "items": [{"n": 1}]}"#]));
    assert!(!kept.contains("explode"), "{kept}");
    assert!(kept.contains("repeated = true"), "{kept}");
}

#[test]
fn a_column_that_holds_what_another_masks_is_masked_too() {
    let names = ["customer_id", "path", "page"].map(str::to_owned).to_vec();
    let row = |at: u32| {
        let text = format!("/account/C{at:06}/{}", "orders/".repeat(12));
        vec![format!("C{at:06}"), format!("C{at:06}/x"), text]
    };
    let pipeline = pipeline(&csv(names, &(0..20).map(row).collect::<Vec<_>>()));
    for line in ["customer_id = \"pseudonym\"", "path = \"pseudonym\"", "page = \"remove\""] {
        assert!(pipeline.lines().any(|own| own == line), "{line}: {pipeline}");
    }
}

#[test]
fn what_holds_a_part_of_a_masked_value_is_not_masked() {
    let names = ["first", "second", "customer_id", "other"].map(str::to_owned).to_vec();
    let row = |at: u32| {
        let (id, b) = (format!("C{at:06}"), format!("x{at}y{at}"));
        vec![format!("of {b}"), format!("{b}/{id}/{b}"), id, format!("other {at}")]
    };
    let rows: Vec<Vec<String>> = (10..60).map(row).collect();
    let files = proposed(&csv(names, &rows)).expect("a pipeline");
    let pipeline = &files[0].1;
    assert!(pipeline.lines().any(|own| own == "second = \"pseudonym\""), "{pipeline}");
    assert!(pipeline.contains("in 50 of the rows it holds the value of `customer_id`"));
    for column in ["first", "other"] {
        assert!(!pipeline.lines().any(|own| own == format!("{column} = \"pseudonym\"")));
    }
}

/// Rows whose first column is masked, and held by the last that is looked at.
#[test]
fn rows_of_thousands_of_columns_are_looked_at_in_seconds() {
    let names: Vec<String> = std::iter::once("customer_id".to_owned())
        .chain((1..4000).map(|at| format!("c{at}")))
        .collect();
    let row = |row: u32| {
        let mut fields = vec![format!("w{row} x"); 4000];
        fields[0] = format!("C{row:06}");
        fields[999] = format!("C{row:06}/x");
        fields
    };
    let rows: Vec<Vec<String>> = (0..1000).map(row).collect();
    let begun = std::time::Instant::now();
    let pipeline = pipeline(&csv(names, &rows));
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert!(pipeline.lines().any(|own| own == "c999 = \"pseudonym\""), "c999 is not masked");
    assert!(!pipeline.contains("c1000"));
}

#[test]
fn keys_beyond_the_thousandth_are_passed_over_in_seconds() {
    let keys = |from: u32| -> String {
        let keys: Vec<String> =
            (from..from + 20_000).map(|at| format!("\"k{at}\": {at}")).collect();
        format!("{{{}}}", keys.join(", "))
    };
    let texts: Vec<String> = (0..20).map(|at| keys(at * 7)).collect();
    let begun = std::time::Instant::now();
    let pipeline = pipeline(&Records::Json(texts));
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    assert!(pipeline.contains("\"k999\"") && !pipeline.contains("\"k1000\""));
}

#[test]
fn what_holds_something_personal_is_cleaned_and_told() {
    for (value, wanted, why) in [
        ("/u/a5@ex.com/x", "{ clean = [\"email\", ", "1 of 1 values hold an e-mail address"),
        ("/reset?email=a5%40ex.com", "\"clean\"", "are URLs"),
        (
            "GET https://x.ex:443/a?email=a5%40ex.com HTTP/1.1",
            "{ clean = [\"email\", ",
            "hold an e-mail address",
        ),
        ("203.0.113.6:4005", "{ clean = [\"email\", ", "hold an address of the network"),
        ("[2001:db8::6]:443", "{ clean = [\"email\", ", "hold an address of the network"),
        ("203.0.113.6, 10.0.0.1", "{ clean = [\"email\", ", "hold an address of the network"),
        ("from=203.0.113.6", "{ clean = [\"email\", ", "hold an address of the network"),
        ("tel:+48601234505", "{ clean = [\"email\", ", "hold a phone number"),
        (
            "/x?from=203.0.113.6",
            "{ clean = [\"email\", \"phone\", \"token\", \"ip\"] }",
            "hold an address of the network",
        ),
    ] {
        let pipeline = pipeline_of_column("data", &[value]);
        let line = pipeline.lines().find_map(|line| line.strip_prefix("data = "));
        assert!(line.is_some_and(|line| line.starts_with(wanted)), "{value}: {pipeline}");
        assert!(pipeline.contains(why), "{value}: {pipeline}");
    }
}

#[test]
fn keys_that_are_values_of_persons_name_no_columns_and_are_removed() {
    let text = r#"{"id": 1, "votes": {"ada@example.com": 2, "bob@example.com": 3}}"#;
    let files = proposed(&json(&[text; 60])).expect("a pipeline");
    assert!(files.iter().all(|(_, text)| !text.contains("example")), "{files:#?}");
    // Cleaning leaves keys as they are.
    assert!(files[0].1.lines().any(|line| line == r#"votes = "remove""#), "{}", files[0].1);
}

#[test]
fn a_key_that_an_object_has_twice_is_counted_once() {
    let counted = pipeline(&json(&[r#"{"a": 1, "a": 2, "l": [1], "l": [2, 3]}"#; 100]));
    assert!(counted.contains("duplicates = \"last\""), "{counted}");
    assert!(counted.contains("# in all 100") && !counted.contains("in 200"), "{counted}");
    assert!(counted.contains(r#"{ name = "l", type = "int64", repeated = true }"#), "{counted}");
    // The last is the one that counts, as a null too.
    let counted = pipeline(&json(&[r#"{"a": "x", "a": 2, "b": 1, "b": null, "c": 1}"#; 3]));
    assert!(counted.contains(r#"{ name = "a", type = "int64" }"#), "{counted}");
    assert!(counted.contains("# empty in all 3"), "{counted}");
    // What is kept as it is spelled has all of them.
    let kept = pipeline(&json(&[r#"{"m": [1, {"x": "ada@example.com", "x": 1}], "id": 1}"#; 3]));
    assert!(kept.lines().any(|line| line.starts_with("m = { clean")), "{kept}");
    let kept =
        pipeline(&json(&[r#"{"m": [1, {"by": {"ada@example.com": 1}, "by": 1}], "id": 1}"#; 3]));
    assert!(kept.lines().any(|line| line == "m = \"remove\""), "{kept}");
}

#[test]
fn eight_digits_are_a_date_in_json_too_where_the_name_says_so() {
    for (name, value, kind) in [
        ("event_date", r#""20240101""#, "date"),
        ("event_date", "20240101", "date"),
        ("event_date", r#""20241301""#, "text"),
        // `parse` takes no spaces off.
        ("event_date", r#"" 20240101""#, "text"),
        ("event_date", r#"" 2024-01-01""#, "text"),
        ("event_code", r#""20240101""#, "text"),
    ] {
        let pipeline = pipeline(&many(&format!("{{\"{name}\": {value}}}"), 3));
        let column = format!("{{ name = \"{name}\", type = \"{kind}\" }}");
        assert!(pipeline.contains(&column), "{column}: {value}: {pipeline}");
    }
    let mixed = pipeline(&json(&[r#"{"event_date": "20240101"}"#, r#"{"event_date": "soon"}"#]));
    assert!(mixed.contains(r#"{ name = "event_date", type = "text" }"#), "{mixed}");
}

#[test]
fn why_dates_of_a_country_are_text_is_told_as_it_is() {
    for (values, wanted) in [
        (["28.04.2024", "01.05.2024"], "2 such as `31.12.2026`, whose day comes first"),
        (["2/28/24", "1/5/24"], "2 such as `12/31/26`, whose month comes first"),
        (
            ["03-04-2024", "3-5-2024"],
            "2 such as `03-04-2026`, of which nobody can tell day from month",
        ),
        (
            ["28/04/24", "01/05/24"],
            "2 such as `03/04/26`, of which nobody can tell day, month and year",
        ),
        (["28.04.24", "01.05.24"], "2 such as `31.12.26`, whose day comes first"),
        (
            ["28/04/2024", "04/28/2024"],
            "2 such as `31/12/2026`, some with the day first and some with the month",
        ),
    ] {
        for name in ["seen", "birthday"] {
            let told = pipeline_of_column(name, &values);
            assert!(told.contains(wanted), "{wanted}: {told}");
            assert!(name == "seen" || !told.contains(values[0]), "{told}");
        }
    }
}

#[test]
fn what_no_pipeline_can_be_made_of_is_refused_in_words() {
    for (records, wanted) in [
        (json(&["1", "2"]), "no record is a JSON object"),
        (json(&["{}", "{}"]), "no record has a key"),
        (json(&[r#"{"events": [{}, {}]}"#]), "no record has a key"),
        (json(&[r#"{"a@x.com": 1, "b@x.com": 2}"#]), "`jq -c 'to_entries[]' FILE"),
        (csv(vec!["a@x.com".to_owned()], &[]), "other names in the header"),
        (csv(vec!["id".to_owned(), "ä".repeat(151)], &[]), "a name, `ääää"),
        (
            csv(vec!["id".to_owned(), "a".repeat(344) + "@x.com"], &[]),
            "a name of 350 bytes, and at",
        ),
        (csv(vec!["a.".repeat(17)], &[]), "of 18 parts between points, and at most 16"),
        (json(&["{", "{", "{\"a\": 1}"]), "2 of 3 records are not JSON"),
        (json(&[&format!(r#"[{}{{"a":1}}]"#, r#"{"a":1},"#.repeat(10_000))]), "jq -c"),
    ] {
        let why = proposed(&records).expect_err("no pipeline");
        assert!(why.contains(wanted), "{why}");
    }
}

#[test]
fn times_with_an_offset_behind_a_space_are_moments_and_named_zones_are_told() {
    let told =
        pipeline_of_column("seen", &["2026-01-05 10:00:00 +0100", "2026-01-05 10:00 -05:00"]);
    assert!(told.contains(r#"{ name = "seen", type = "timestamp""#), "{told}");
    let told = pipeline_of_column("seen", &["2026-01-05 10:00:00 CET", "2026-01-05T10:00:00Z"]);
    assert!(told.contains(r#"{ name = "seen", type = "text""#), "{told}");
    assert!(
        told.contains("1 with the name of a time zone, which does not say its offset"),
        "{told}"
    );
}

#[test]
fn messages_that_are_too_deep_are_told() {
    let nested = |depth: usize| {
        let depth = depth - 1;
        format!(r#"{{"id": "[\"[[[", "a": {}1{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    let told =
        |texts: &[String]| proposal(&Records::Json(texts.to_vec())).expect("a pipeline").told;
    assert!(told(&[nested(64), nested(1)]).is_empty());
    let told = told(&[nested(64), nested(65), nested(2)]);
    assert!(told[0].starts_with("1 record is nested more than 64 deep"), "{told:?}");
}

#[test]
fn no_file_has_a_character_that_is_not_seen() {
    let odd = "a\u{1b}[2J\u{202e}'b\\\u{e0041}\u{9b}";
    let about = About {
        origin: format!("`{odd}.csv`"),
        pipeline: clickmill_core::shell_word(&format!("{odd}/pipeline.toml")),
        plugins: odd.to_owned(),
        source: vec![format!("uri = {}", quoted(odd))],
        ..about()
    };
    let record = serde_json::json!({ odd: "x", "mail": "a@example.org", odd.to_owned() + "c": 1 });
    let files = propose(&json(&[&record.to_string()]), &about).unwrap().files;
    for (name, text) in &files {
        let unseen = |c: char| c != '\n' && clickmill_core::terminal::is_unseen(c);
        assert!(!text.contains(unseen), "{name}: {text:?}");
    }
    let readme = &files.iter().find(|(name, _)| name == "README.md").unwrap().1;
    let command = readme.lines().find(|line| line.starts_with("clickmill validate ")).unwrap();
    assert_eq!(
        command,
        r"clickmill validate $'a\U0000001B[2J\U0000202E\'b\\\U000E0041\U0000009B/pipeline.toml'"
    );
}
