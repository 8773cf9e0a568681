//! What the messages are like.

use serde_json::Value as Json;

use super::super::tests::text;
use super::super::{Generator, Kind, Options};

fn messages(bad: &str, rows: u64) -> Vec<Json> {
    let options = Options { bad: bad.parse().unwrap(), ..Options::new(Kind::Events, rows, 5) };
    text(&options).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn list<'a>(of: &'a Json, key: &str) -> &'a Vec<Json> {
    of[key].as_array().unwrap_or_else(|| panic!("no list `{key}` in {of}"))
}

/// A number as it is written, in millionths.
fn exact(number: &str) -> i64 {
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    assert!(rest.len() <= 6, "{number}");
    format!("{whole}{rest:0<6}").parse().unwrap()
}

#[test]
fn events_come_several_to_a_message_with_their_items() {
    let messages = messages("0%", 3_000);
    let mut purchases = 0;
    let (mut events, mut items) = (0, 0);
    for message in &messages {
        let of = list(message, "events");
        assert!((1..=5).contains(&of.len()));
        assert!(!list(of.last().unwrap(), "items").is_empty(), "{message}");
        let times: Vec<&str> =
            of.iter().map(|event| event["event_timestamp"].as_str().unwrap()).collect();
        assert!(times.is_sorted() && times.last() == message["sent_at"].as_str().as_ref());
        for event in of {
            let is_purchase = event["event_type"] == "purchase";
            assert_eq!(
                is_purchase,
                event["payment"].is_object() && event["event_type"] != "checkout"
            );
            purchases += usize::from(is_purchase && list(event, "items").len() > 1);
            items += list(event, "items").len();
            assert!(list(event, "params").len() >= 7 && !list(event, "tags").is_empty());
        }
        events += of.len();
    }
    assert!(events > 6_000 && items > events && purchases > 100, "{events} {items} {purchases}");
    let bytes = text(&Options::new(Kind::Events, 3_000, 5)).len() / events;
    assert!((1_000..1_500).contains(&bytes), "{bytes} bytes an event");
}

/// The numbers' digits are looked at, since a number that is parsed is a float.
#[test]
fn what_items_cost_adds_up_exactly() {
    let text = text(&Options::new(Kind::Events, 500, 6));
    let number = |item: &str, key: &str| -> Option<i64> {
        let (_, rest) = item.split_once(&format!("\"{key}\":"))?;
        Some(exact(rest.split([',', '}']).next()?))
    };
    let mut discounts = 0;
    for item in text.split("{\"product_id\":").skip(1) {
        let item = item.split("\"options\"").next().unwrap();
        let discount = number(item, "discount");
        discounts += usize::from(discount.is_some());
        let paid = number(item, "price").unwrap() - discount.unwrap_or(0);
        let pieces = number(item, "quantity").unwrap() / 1_000_000;
        assert_eq!(number(item, "revenue"), Some(paid * pieces), "{item}");
    }
    assert!(discounts > 100, "{discounts}");
}

#[test]
fn a_spoiled_message_differs_in_one_event_or_as_a_whole() {
    let whole = messages("0%", 300);
    for kind in [
        "missing_required",
        "wrong_type",
        "bad_timestamp",
        "future_timestamp",
        "unknown_event_type",
        "negative_price",
    ] {
        for (good, bad) in whole.iter().zip(messages(&format!("{kind}=100%"), 300)) {
            assert_eq!(good["context"], bad["context"], "{kind}");
            let pairs = list(good, "events").iter().zip(list(&bad, "events"));
            assert_eq!(pairs.filter(|(good, bad)| good != bad).count(), 1, "{kind}: {bad}");
        }
    }
    for (good, bad) in whole.iter().zip(messages("bad_ip=100%", 300)) {
        assert_eq!(good["events"], bad["events"]);
        let ip = bad["context"]["user"]["ip"].as_str().unwrap();
        assert!(ip.parse::<std::net::IpAddr>().is_err(), "{ip}");
    }
    for kind in ["truncated_json", "invalid_utf8", "too_deep"] {
        let bad = format!("{kind}=100%").parse().unwrap();
        let mut generator = Generator::new(&Options { bad, ..Options::new(Kind::Events, 100, 5) });
        let mut message = Vec::new();
        while generator.next_record(&mut message) {
            assert!(serde_json::from_slice::<Json>(&message).is_err(), "{kind}");
            message.clear();
        }
    }
}
