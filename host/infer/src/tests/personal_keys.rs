//! Keys that hold something personal, and names that only resemble it.

use super::*;

/// Keys of a record that hold something personal, each beside one that is a name.
const PERSONAL_KEYS: [&str; 10] = [
    "anna@corp.com",
    "+48601234567",
    "visits of anna@corp.com",
    "anna@corp.com_2",
    "('visits', 'anna@corp.com')",
    "+48 601 234 567 calls",
    "192.0.2.7",
    "192.0.2.7_hits",
    "https://shop.example/?user=anna",
    "DE89 3704 0044 0532 0130 00",
];

/// What was written has nothing of keys that are personal, and what no column takes is removed.
#[track_caller]
fn leaves_out_personal_keys(records: &Records, column: &str) {
    let files = proposed(records).expect("a pipeline");
    for (name, text) in &files {
        let text = text.to_ascii_lowercase();
        for part in ["anna", "corp", "601", "192", "shop", "3704"] {
            assert!(!text.contains(part), "{part} is in {name}: {text}");
        }
    }
    let [pipeline, schema, _, readme] = [0, 1, 2, 3].map(|at| &files[at].1);
    assert!(pipeline.contains(&format!("name = \"{column}\"")), "{pipeline}");
    let has = |line: &str| pipeline.lines().any(|own| own == line);
    // Cleaning leaves keys as they are.
    assert!(has("unknown_fields = \"remove\""), "{pipeline}");
    assert!(readme.contains("- unknown_fields: remove (10 "), "{readme}");
    let unknown = schema.lines().find(|line| line.contains("\"unknown_fields\""));
    assert!(unknown.is_some_and(|line| line.contains("policyTags/personal")), "{schema}");
}

#[test]
fn personal_keys_of_records_name_no_columns() {
    let members = PERSONAL_KEYS.map(|key| format!("\"{key}\": {{\"n\": 1}}")).join(", ");
    leaves_out_personal_keys(&many(&format!("{{\"id\": 1, {members}}}"), 60), "id");
    // In the array of events, and around it.
    leaves_out_personal_keys(&many(&format!("[{{\"id\": 1, {members}}}]"), 60), "id");
    leaves_out_personal_keys(
        &many(&format!("{{\"events\": [{{\"id\": 1}}], {members}}}"), 60),
        "id",
    );
}

#[test]
fn personal_names_in_a_header_name_no_columns() {
    let names: Vec<String> = PERSONAL_KEYS.into_iter().chain(["date"]).map(str::to_owned).collect();
    let row: Vec<String> =
        (0..10).map(|at| at.to_string()).chain(["2026-01-05".to_owned()]).collect();
    leaves_out_personal_keys(&csv(names, &vec![row; 60]), "date");
    // Beyond the columns that are looked at.
    let mut names: Vec<String> = (0..1200).map(|at| format!("c{at}")).collect();
    names[1100] = "anna@corp.com".to_owned();
    let pipeline = pipeline(&csv(names, &vec![vec!["1".to_owned(); 1200]; 3]));
    assert!(pipeline.contains("\nunknown_fields = \"remove\""), "{pipeline}");
}

#[test]
fn personal_keys_beyond_the_thousandth_are_removed_too() {
    let keys: Vec<String> = (0..1100).map(|at| format!("\"k{at}\": 1")).collect();
    let keys = keys.join(", ");
    let pipeline = pipeline(&many(&format!("{{{keys}, \"anna@corp.com\": 1}}"), 1));
    assert!(pipeline.contains("\nunknown_fields = \"remove\""), "{pipeline}");
    let files =
        proposed(&many(&format!("{{\"id\": 1, \"by\": {{{keys}, \"anna@corp.com\": 1}}}}"), 1));
    let pipeline = &files.expect("a pipeline")[0].1;
    assert!(pipeline.contains("\nby = \"remove\""), "{pipeline}");
}

#[test]
fn names_that_only_resemble_something_personal_name_columns() {
    let members =
        ["@context", "@timestamp", "https://schema.example/name", "a+b", "1700000000000", "v1.2"];
    let members = members.map(|key| format!("\"{key}\": 1")).join(", ");
    let pipeline = pipeline(&many(&format!("{{{members}}}"), 1));
    for name in
        ["context", "timestamp", "https_schema_example_name", "a_b", "_1700000000000", "v1_2"]
    {
        assert!(pipeline.contains(&format!("name = \"{name}\"")), "{name}: {pipeline}");
    }
    assert!(!pipeline.contains("\nunknown_fields = \"remove\""), "{pipeline}");
}

#[test]
fn columns_beside_personal_names_are_compared_with_their_own_fields() {
    let names = ["anna@corp.com", "customer_id", "page"].map(str::to_owned).to_vec();
    let row = |at: u32| {
        let id = format!("C{at:06}");
        vec![at.to_string(), id.clone(), format!("/account/{id}/x")]
    };
    let pipeline = pipeline(&csv(names, &(0..60).map(row).collect::<Vec<_>>()));
    assert!(
        pipeline.contains("in 60 of the rows it holds the value of `customer_id`"),
        "{pipeline}"
    );
}

#[test]
fn names_of_properties_are_nobody_s_and_their_values_may_be() {
    let made = |members: &str| pipeline(&many(&format!("{{\"id\": 1, {members}}}"), 20));
    for members in [
        r#""user_properties": [{"key": "plan", "value": {"string_value": "ada@example.com"}}]"#,
        r#""user_properties": [{"name": "plan", "string_value": "ada@example.com"}]"#,
        r#""customer": {"attributes": [{"k": "plan", "v": "ada@example.com"}]}"#,
    ] {
        let pipeline = made(members);
        for name in ["key", "name", "k"] {
            assert!(!pipeline.contains(&format!(".{name}\" = ")), "{pipeline}");
        }
        assert!(pipeline.contains("= \"pseudonym\""), "{pipeline}");
    }
    // Whose key, or name, it is.
    for members in [
        r#""user_properties": [{"name": "Ada", "size": "L"}]"#,
        r#""users": [{"name": "Ada", "value": "L"}]"#,
        r#""user": {"name": "Ada", "value": "L"}"#,
        r#""user_properties": [{"key": "ada@example.com", "value": "L"}]"#,
    ] {
        let pipeline = made(members);
        assert!(pipeline.contains("= \"pseudonym\""), "{members}: {pipeline}");
    }
}
