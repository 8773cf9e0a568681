//! Click events with gaps, with addresses in every form, and with values that are masked already.

use serde_json::{Value as Json, json};

use crate::support::{Scratch, plugins, root};

const TABLE: &str = "clickstream_analytics.clicks_raw";
const AGENT: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Safari/537.36";

/// An event with these fields in place of the usual ones.
fn event(id: &str, fields: Json) -> Json {
    let mut event = json!({
        "event_id": id, "event_timestamp": "2025-03-02T09:30:00Z", "user_id": "c-2002",
        "session_id": "v-7", "event_type": "page_view", "url": "https://store.example/product/q5",
        "user_agent": AGENT, "ip": "198.51.100.77", "country": "DE", "currency": "EUR",
    });
    for (key, value) in fields.as_object().expect("fields") {
        event[key] = value.clone();
    }
    event
}

/// Runs events through the pipeline `clicks`: the summary, rows by id, and letters by code and record.
struct Ran {
    summary: Json,
    rows: Vec<Json>,
    letters: Vec<Json>,
}

impl Ran {
    fn of(lines: &[String], set: &[&str]) -> Self {
        plugins();
        let scratch = Scratch::new();
        scratch.write("in.ndjson", lines.join("\n"));
        let pipeline = root().join("host/pipelines/clicks.toml");
        let always = ["source.uri=in.ndjson", "dead_letter.max_rejected_share=1.0"];
        let summary = scratch.summary(&pipeline, &[&always[..], set].concat());
        assert_eq!(summary["rows_in"], lines.len());
        let rows = format!(
            "SELECT event_id, user_id, ip, product_id, device, price, currency FROM {TABLE} ORDER BY event_id"
        );
        let letters = "SELECT code, stage, payloadString AS record FROM clickstream_analytics.dead_letter ORDER BY source_line";
        Self { summary, rows: scratch.query(&rows), letters: scratch.query(letters) }
    }

    fn of_events(events: &[Json], set: &[&str]) -> Self {
        Self::of(&events.iter().map(Json::to_string).collect::<Vec<_>>(), set)
    }

    fn ids(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row["event_id"].as_str().expect("an id")).collect()
    }

    /// Values of a column, by the ids of their rows.
    fn column(&self, name: &str) -> Vec<(&str, Option<&str>)> {
        self.ids().into_iter().zip(self.rows.iter().map(|row| row[name].as_str())).collect()
    }

    fn codes(&self) -> Vec<&str> {
        self.letters.iter().map(|letter| letter["code"].as_str().expect("a code")).collect()
    }
}

#[test]
fn an_empty_text_is_an_absent_value() {
    let ran = Ran::of_events(
        &[
            event("a", json!({"user_id": ""})),
            event("b", json!({"user_id": "", "session_id": "v-8"})),
            event("c", json!({"user_id": null})),
            event("d", json!({"product_id": "", "price": "", "ip": "", "user_agent": ""})),
            event("", json!({})),
            event("f", json!({"session_id": ""})),
        ],
        &[],
    );
    assert_eq!(ran.ids(), ["a", "b", "c", "d"]);
    let users = ran.column("user_id");
    assert_eq!(users[..3], [("a", None), ("b", None), ("c", None)]);
    assert!(users[3].1.is_some_and(|user| user.starts_with("k1_")));
    // What is empty is filled from the url, as what is absent.
    assert_eq!(ran.column("product_id")[3], ("d", Some("q5")));
    assert_eq!(ran.rows[3]["device"], Json::Null);
    assert_eq!(ran.rows[3]["price"], Json::Null);
    assert_eq!(ran.codes(), ["required", "required"]);
}

#[test]
fn what_is_optional_and_unreadable_is_a_letter_or_null_and_counted() {
    let events = [
        event("a", json!({"ip": "203.0.113.40:8443"})),
        event("b", json!({"ip": "203.0.113.40, 10.1.2.3"})),
        event("c", json!({"ip": "unknown"})),
        event("d", json!({"price": "free"})),
        event("e", json!({"event_timestamp": "soon"})),
        event("f", json!({"ip": "203.0.113.40"})),
    ];
    let ran = Ran::of_events(&events, &[]);
    assert_eq!(ran.ids(), ["f"]);
    assert_eq!(ran.codes(), ["bad_ip", "bad_ip", "bad_ip", "not_a_number", "not_a_timestamp"]);
    let set = ["plugin.parse.config.unreadable=null", "plugin.mask.config.unreadable=null"];
    let ran = Ran::of_events(&events, &set);
    // What is required is a letter still.
    assert_eq!(ran.codes(), ["not_a_timestamp"]);
    let network = Some("203.0.113.0");
    let wanted =
        [("a", None), ("b", None), ("c", None), ("d", Some("198.51.100.0")), ("f", network)];
    assert_eq!(ran.column("ip"), wanted);
    let of = |stage: &str| {
        let plugins = ran.summary["plugins"].as_array().expect("plugins");
        let found = plugins.iter().find(|plugin| plugin["name"] == stage).expect("the stage");
        found["unreadable"].clone()
    };
    assert_eq!(of("parse"), json!({"price": 1}));
    assert_eq!(of("mask"), json!({"ip": 3}));
    assert_eq!(of("enrich"), json!({}));
}

#[test]
fn addresses_that_are_masked_already_and_what_looks_like_one_are_rows() {
    let ran = Ran::of_events(
        &[
            event("a", json!({"ip": "0.0.0.0"})),
            event("b", json!({"ip": "203.0.113.0"})),
            event("c", json!({"ip": "2001:db8:99::"})),
            event("d", json!({"ip": "::"})),
            // The browser's version is the network that the address is in.
            event("e", json!({"ip": "118.0.0.61"})),
            event(
                "f",
                json!({"ip": "203.0.113.5", "url": "https://store.example/?net=203.0.113.0"}),
            ),
        ],
        &[],
    );
    assert_eq!(ran.codes(), [""; 0]);
    let networks: Vec<&str> = ran.column("ip").iter().filter_map(|(_, ip)| *ip).collect();
    let wanted = ["0.0.0.0", "203.0.113.0", "2001:db8:99::", "::", "118.0.0.0", "203.0.113.0"];
    assert_eq!(networks, wanted);
}

#[test]
fn what_is_still_raw_is_stopped_however_it_is_spelled() {
    let raw = [
        event("a", json!({"ip": "203.0.113.9", "user_id": "c-3003"})).to_string(),
        // The network of an address, in a column that nobody masks, may be anything.
        event("b", json!({"user_id": "203.0.113.0"})).to_string(),
        event("c", json!({"user_id": "zoë-1"})).to_string().replace('ë', "\\u00eb"),
        event("d", json!({"user_id": "a/b"})).to_string().replace("a/b", "a\\/b"),
    ];
    let columns = |user: &str, ip: &str| {
        format!(
            "plugin.mask.config.columns={{ {user} ip = \"{ip}\", url = \"clean\", referrer = \"clean\", error_message = \"clean\", unknown_fields = \"clean\" }}"
        )
    };
    let ran = Ran::of(&raw, &[&columns("", "ip")]);
    assert_eq!(ran.codes(), ["unmasked"; 4], "{:?}", ran.rows);
    let ran = Ran::of(&raw, &[&columns("user_id = \"pseudonym\",", "keep")]);
    assert_eq!(ran.codes(), ["unmasked"; 4], "{:?}", ran.rows);
    let ran = Ran::of(&raw, &[]);
    assert_eq!(ran.codes(), [""; 0]);
}

#[test]
fn times_as_bigquery_takes_them_are_rows_and_arrays_of_events_are_letters_that_say_so() {
    let at = |id: &str, time: Json| event(id, json!({"event_timestamp": time})).to_string();
    let lines = [
        at("a", json!(1_740_821_400)),
        at("b", json!(1_740_821_400_123_i64)),
        at("c", json!("1740821400123456")),
        at("d", json!(1_740_821_400_123_456_789_i64)),
        at("e", json!("2025-3-1 9:30:00 +00:00")),
        format!("\u{feff}{}", at("f", json!("2025-03-01T09:30Z"))),
        at("g", json!("2025-03-01 10:30:00 Europe/Berlin")),
        format!("[{},{}]", at("h", json!(1)), at("i", json!(1))),
    ];
    let ran = Ran::of(&lines, &[]);
    assert_eq!(ran.ids(), ["a", "b", "c", "d", "e", "f"], "{:?}", ran.letters);
    assert_eq!(ran.codes(), ["not_a_timestamp", "not_an_object"]);
    assert_eq!(ran.letters[1]["record"], lines[7]);
}
