use std::collections::BTreeMap;
use std::slice::from_ref;

use clickmill_core::{Fault, Micros};
use clickmill_tables::result_set::{Column, Kind, ResultSet};
use serde_json::json;

use super::*;

/// An answer of one letter, with some values changed.
fn answer(changes: &[(&str, Json)]) -> ResultSet {
    let mut values = vec![
        ("letter_id", json!("a1")),
        ("source", json!("file:///clicks.csv@1")),
        ("source_line", json!(7)),
        ("message_id", Json::Null),
        ("published", Json::Null),
        ("record_index", Json::Null),
        ("sealed_with", Json::Null),
        ("stage", json!("parse")),
        ("plugin_set", json!("set")),
        ("code", json!("bad_number")),
        ("errorMessage", json!("`price` is not a number")),
        ("payload", json!("YWJjAP8=")),
        ("pairs", json!(r#"[{"key":"clickmill.header","value":"a,b"}]"#)),
    ];
    for (column, change) in changes {
        for (name, value) in &mut values {
            if name == column {
                *value = change.clone();
            }
        }
    }
    let column = |(name, _): &(&str, Json)| Column { name: (*name).to_owned(), kind: Kind::Text };
    let columns = values.iter().map(column).collect();
    ResultSet { columns, rows: vec![values.into_iter().map(|(_, value)| value).collect()] }
}

#[test]
fn a_letter_is_what_was_refused() {
    let letters = decode(&answer(&[])).unwrap();
    let wanted = Letter {
        letter_id: "a1".to_owned(),
        source: "file:///clicks.csv@1".to_owned(),
        source_line: Some(7),
        message_id: None,
        publish_time: None,
        record_index: 0,
        payload: b"abc\0\xff".to_vec().into(),
        lender: None,
        sealed_with: None,
        attributes: vec![("clickmill.header".to_owned(), "a,b".to_owned())],
        stage: "parse".to_owned(),
        plugin_set: "set".to_owned(),
        code: "bad_number".to_owned(),
        message: "`price` is not a number".to_owned(),
    };
    assert_eq!(letters, [wanted]);
    for none in [Json::Null, json!("null"), json!("[]")] {
        assert_eq!(decode(&answer(&[("pairs", none)])).unwrap()[0].attributes, []);
    }
    let message =
        answer(&[("message_id", json!("m")), ("published", json!(1_732_000_000_000_000_i64))]);
    let message = &decode(&message).unwrap()[0];
    let published = Micros::from(1_732_000_000_000_000);
    let record = Record::Message("m".to_owned(), published);
    assert_eq!(message.key(), Some(Key { record: record.clone(), place: 0 }));
    assert_eq!(message.publish_time, Some(published));
}

/// An empty payload in place of one that can't be read would be replayed.
#[test]
fn what_cannot_be_decoded_is_an_error_that_names_the_letter() {
    for (column, value, wanted) in [
        ("payload", json!("not base64!"), "dead letter `a1`: its payload is not base64"),
        ("payload", Json::Null, "dead letter `a1`: `payload` is null, wanted a text"),
        (
            "pairs",
            json!("[{\"key\":"),
            "dead letter `a1`: its attributes are not a JSON list of keys and values",
        ),
        (
            "pairs",
            json!("{}"),
            "dead letter `a1`: its attributes are not a JSON list of keys and values",
        ),
        ("source", Json::Null, "dead letter `a1`: `source` is null, wanted a text"),
        (
            "source_line",
            json!("7"),
            "dead letter `a1`: `source_line` is a text, wanted a whole number",
        ),
        ("letter_id", Json::Null, "a dead letter has no `letter_id`"),
    ] {
        let error = decode(&answer(&[(column, value)])).unwrap_err();
        assert_eq!(error.to_string(), wanted);
        assert_eq!(SinkError::from(error).fault(), Fault::Input);
    }
}

#[test]
fn a_message_is_told_by_its_id_and_when_it_was_published() {
    let message = |id: &str, time: i64| Record::Message(id.to_owned(), time.into());
    let there = Present(BTreeMap::from([
        (message("1", 10), vec![Some(0)]),
        (message("1", 20), vec![Some(0)]),
        (message("2", 0), vec![Some(0)]),
    ]));
    for (id, time, wanted) in
        [("1", 10, true), ("1", 30, false), ("1", 0, true), ("2", 30, true), ("3", 0, false)]
    {
        let key = Key { record: message(id, time), place: 0 };
        assert_eq!(there.has(&key), wanted, "{key:?}");
    }
}

#[test]
fn rows_of_a_record_are_told_by_their_places() {
    let line = |line| Record::Line("f@1".to_owned(), line);
    let places = [(line(1), vec![Some(0), Some(10_000)]), (line(2), vec![None])];
    let there = Present(BTreeMap::from(places));
    for (at, place, wanted) in
        [(1, 0, true), (1, 1, false), (1, 10_000, true), (2, 7, true), (3, 0, false)]
    {
        let key = Key { record: line(at), place };
        assert_eq!(there.has(&key), wanted, "{key:?}");
    }
    let letter = decode(&answer(&[("record_index", json!(10_000))])).unwrap().remove(0);
    assert_eq!(letter.key().unwrap().place, 10_000);
}

#[test]
fn rows_of_several_tables_and_rows_written_since_are_there() {
    let key = |line| Key { record: Record::Line("f@1".to_owned(), line), place: 0 };
    let found = |line: i64, place: Json| ResultSet {
        columns: Vec::new(),
        rows: vec![vec![json!("f@1"), json!(line), place]],
    };
    let (mut there, mut other) = (Present::default(), Present::default());
    there.add_lines(&found(1, json!(0)));
    // A table that tells no places has them all.
    other.add_lines(&found(2, json!(-1)));
    there.extend(other);
    assert_eq!([1, 2, 3].map(|line| there.has(&key(line))), [true, true, false]);
    there.insert(key(3));
    assert!(there.has(&key(3)) && !there.has(&Key { place: 1, ..key(3) }));
    let published = json!(1_732_000_000_000_000_i64);
    there.add_messages(&ResultSet {
        columns: Vec::new(),
        rows: vec![vec![json!("m"), json!(0), published]],
    });
    let message = |time: i64| Record::Message("m".to_owned(), time.into());
    let at = |time| there.has(&Key { record: message(time), place: 0 });
    assert_eq!([1_732_000_000_000_000, 0, 1].map(at), [true, true, false]);
}

#[test]
fn letters_are_of_messages_or_lines_or_both() {
    let line = decode(&answer(&[])).unwrap().remove(0);
    let message = decode(&answer(&[("message_id", json!("m"))])).unwrap().remove(0);
    let (lines, messages) = (Kinds::of(from_ref(&line)), Kinds::of(from_ref(&message)));
    assert_eq!(lines, Kinds { messages: false, lines: true });
    assert_eq!(messages, Kinds { messages: true, lines: false });
    let both = Kinds::of(&[line, message]);
    assert!(both.hold(lines) && both.hold(messages) && lines.hold(Kinds::of(&[])));
    assert!(!lines.hold(messages) && !messages.hold(both));
}

#[test]
fn a_letter_without_a_payload_takes_that_of_the_letter_it_names_and_of_no_other_record() {
    let pairs = json!(r#"[{"key":"clickmill.payload_with","value":"a1"},{"key":"k","value":"v"}]"#);
    let second = [
        ("letter_id", json!("b2")),
        ("record_index", json!(3)),
        ("payload", json!("")),
        ("pairs", pairs.clone()),
    ];
    let one = |changes: &[(&str, Json)]| decode(&answer(changes)).unwrap().remove(0);
    let (first, mut other) = (one(&[]), one(&second));
    assert_eq!(other.lender.as_ref().map(|lender| lender.letter_id.as_str()), Some("a1"));
    assert_eq!(other.attributes, [("k".to_owned(), "v".to_owned())]);
    let mut stranger = other.clone();
    stranger.borrow(&one(&[("source_line", json!(8))]));
    assert_eq!((stranger.payload.len(), stranger.lender.is_some()), (0, true));
    other.borrow(&first);
    assert_eq!((&other.payload, &other.lender), (&first.payload, &None));
    // Whoever sent a message may have named an attribute so.
    let spoofed = one(&[("pairs", pairs)]);
    assert_eq!((spoofed.lender, spoofed.attributes.len()), (None, 2));
    // Of a sealed one the payload is opened with the other's id.
    let sealed =
        |changes: &[(&str, Json)]| one(&[&[("sealed_with", json!("s2"))], changes].concat());
    let (first, mut other) = (sealed(&[]), sealed(&second));
    other.borrow(&first);
    let lender = other.lender.expect("it is opened later");
    assert_eq!((lender.sealed_with.as_deref(), lender.payload), (Some("s2"), Some(first.payload)));
}
