//! Whatever the text is, each row gets its answer.

use clickmill_plugin::Column;
use proptest::prelude::*;
use serde_json::json;

use super::{countries, run, texts};

fn anything() -> impl Strategy<Value = Option<String>> {
    let words = prop::sample::select(vec![
        "https",
        "://",
        "shop.example",
        "/",
        "product",
        "p",
        "?",
        "#",
        "&",
        "pid=",
        "%",
        "%4",
        "%41",
        "%ff",
        "+",
        " ",
        "Mozilla/5.0",
        "(",
        "compatible",
        ";",
        "bot",
        "Windows",
        "Phone",
        "iPad",
        "é",
        "\0",
        "29",
    ]);
    prop_oneof![
        Just(None),
        any::<String>().prop_map(Some),
        prop::collection::vec(words, 0..12).prop_map(|words| Some(words.concat())),
    ]
}

proptest! {
    #[test]
    fn any_text_gives_a_value_for_every_row(
        rows in prop::collection::vec((anything(), anything(), anything(), any::<Option<i64>>()), 0..40),
    ) {
        countries();
        let config = json!({
            "user_agent": {"column": "agent"},
            "url": {"product_param": "pid"},
            "event_date": {"year": "code", "month": "code", "day": "code"},
            "names": [
                {"column": "text", "table": "countries", "to": "a"},
                {"column": "code", "table": "countries", "to": "b", "unknown": "keep"},
            ],
        });
        let columns = vec![
            Column::texts("agent", rows.iter().map(|row| row.0.as_ref())),
            Column::texts("url", rows.iter().map(|row| row.1.as_ref())),
            Column::texts("text", rows.iter().map(|row| row.2.as_ref())),
            Column::texts("product_id", rows.iter().map(|row| row.2.as_ref())),
            Column::int64s("code", rows.iter().map(|row| row.3)),
        ];
        // `testing` checks the length of every column.
        let output = run(config, columns);
        prop_assert!(output.rejections.len() <= rows.len());
        for (at, row) in rows.iter().enumerate() {
            prop_assert_eq!(texts(&output, "device")[at].is_some(), row.0.is_some());
            prop_assert!(texts(&output, "page_category")[at].is_none() || row.1.is_some());
            if row.2.is_some() {
                prop_assert_eq!(texts(&output, "product_id")[at], row.2.as_deref());
            }
            let code = row.3.map(|code| match code {
                9 => "Czech Republic".to_owned(),
                29 => "Poland".to_owned(),
                code => code.to_string(),
            });
            prop_assert_eq!(texts(&output, "b")[at], code.as_deref());
        }
    }

    #[test]
    fn the_answer_for_a_row_does_not_depend_on_the_others(
        agents in prop::collection::vec(anything(), 1..300),
    ) {
        let all = run(json!({"user_agent": {}}), vec![Column::texts("user_agent", agents.iter().map(Option::as_ref))]);
        for (row, agent) in agents.iter().enumerate() {
            let one = run(json!({"user_agent": {}}), vec![Column::texts("user_agent", [agent.as_ref()])]);
            for name in ["device", "browser", "os"] {
                prop_assert_eq!(texts(&all, name)[row], texts(&one, name)[0]);
            }
        }
    }
}
