use super::*;

#[test]
fn cases_that_test_nothing_are_refused() {
    let told = |cases: &str| {
        let text = format!(r#"{{"columns": {{"a": "STRING"}}, "cases": [{cases}]}}"#);
        Golden::parse(&text, "t.json".to_owned()).err().map(|error| error.to_string())
    };
    assert_eq!(told(""), Some("golden cases `t.json`: there are no cases".to_owned()));
    let good = r#"{"input": {"a": "x"}, "rejected": "bad"}"#;
    assert_eq!(told(good), None);
    let wanted =
        "golden cases `t.json`: case `2` wants one of `output`, `rows`, `rejected` and `dropped`";
    let nothing = format!(r#"{good}, {{"input": {{"a": "x"}}}}"#);
    assert_eq!(told(&nothing).as_deref(), Some(wanted));
    let both = format!(r#"{good}, {{"input": {{}}, "rejected": "bad", "dropped": true}}"#);
    assert_eq!(told(&both).as_deref(), Some(wanted));
}

#[test]
fn files_of_another_form_are_told_by_what_is_wanted() {
    let told = |text: &str| {
        let error = Golden::parse(text, "t.json".to_owned()).unwrap_err();
        clickmill_core::causes(&error)
    };
    for text in ["[]", "[1]", "7", "null"] {
        let wanted = "golden cases `t.json`: wanted an object with `columns` and `cases`";
        assert_eq!(told(text), wanted, "{text}");
    }
    let case = r#"{"columns": {}, "cases": [{"input": {}, "dropped": true}, [1]]}"#;
    assert!(told(case).contains("case `2` is no object"), "{}", told(case));
    assert!(told("{").contains("not of the form"), "{}", told("{"));
    for text in [
        r#"{"columns": {"a": "STRING", "a": "BYTES"}, "cases": []}"#,
        r#"{"columns": {"a": "STRING"}, "cases": [{"input": {"a": 1, "b": [null, 1.5], "a": "x"}}]}"#,
        r#"{"columns": {}, "cases": [{"input": {"r": [{"a": true, "a": -1}]}}]}"#,
    ] {
        assert!(told(text).contains("an object has the key `a` twice at line 1"), "{}", told(text));
    }
    let golden = r#"{"columns": {"a": "VARCHAR"}, "cases": [{"input": {}, "dropped": true}]}"#;
    let golden = Golden::parse(golden, "t.json".to_owned()).unwrap();
    let told = golden.columns().unwrap_err().to_string();
    let wanted = "golden cases `t.json`: column `a` cannot be: unknown variant `VARCHAR`, expected";
    assert!(told.starts_with(wanted), "{told}");
}

#[test]
fn lookups_are_rows_or_a_file_in_the_same_folder_and_no_other() {
    let parse = |lookups: &str| {
        let text = format!(
            r#"{{"columns": {{}}, "lookups": {{"countries": {lookups}}}, "cases": [{{"input": {{}}, "dropped": true}}]}}"#
        );
        Golden::parse(&text, "t.json".to_owned())
    };
    let rows = parse(r#"{"1": {"name": "Australia"}}"#).unwrap().lookups().unwrap();
    assert_eq!(
        (rows[0].table.as_str(), rows[0].path.as_path()),
        ("countries", Path::new("countries.json"))
    );
    assert_eq!(&rows[0].bytes[..], br#"{"1":{"name":"Australia"}}"#);
    for name in ["../secret.csv", "/etc/passwd.csv", "a/b.csv", "countries.json", "", ".."] {
        let error = parse(&Json::from(name).to_string()).unwrap_err().to_string();
        assert!(error.contains("file in the same folder"), "{name}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let tests = folder.path().join("tests");
    std::fs::create_dir(&tests).unwrap();
    let text = r#"{"columns": {}, "lookups": {"countries": "c.csv"}, "cases": [{"input": {}, "dropped": true}]}"#;
    std::fs::write(tests.join("t.json"), text).unwrap();
    let error = Golden::beside(folder.path()).unwrap_err().to_string();
    assert!(error.contains("c.csv"), "{error}");
    std::fs::write(tests.join("c.csv"), "code,name\n1,Australia\n").unwrap();
    let [golden] = <[Golden; 1]>::try_from(Golden::beside(folder.path()).unwrap()).unwrap();
    // A request for a swap holds what was read.
    let sent: Golden = serde_json::from_str(&serde_json::to_string(&golden).unwrap()).unwrap();
    let read = sent.lookups().unwrap();
    assert_eq!(&read[0].bytes[..], b"code,name\n1,Australia\n");
    assert_eq!(read[0].path, Path::new("c.csv"));
    let secret = folder.path().join("secret.csv");
    std::fs::rename(tests.join("c.csv"), &secret).unwrap();
    std::os::unix::fs::symlink(&secret, tests.join("c.csv")).unwrap();
    let error = Golden::beside(folder.path()).unwrap_err().to_string();
    assert!(error.contains("`c.csv` is a link"), "{error}");
}

#[test]
fn a_budget_of_a_case_stands_before_that_of_its_file() {
    let text = r#"{"columns": {}, "max_fuel_per_row": 7, "cases": [
        {"input": {}, "dropped": true}, {"input": {}, "dropped": true, "max_fuel_per_row": 9}]}"#;
    let golden = Golden::parse(text, "t.json".to_owned()).unwrap();
    let budgets = golden.cases.iter().map(|case| golden.max_fuel_of(case));
    assert_eq!(budgets.collect::<Vec<_>>(), [Some(7), Some(9)]);
}
