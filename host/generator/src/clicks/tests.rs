//! Properties of click events, read back with a JSON parser.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use serde_json::Value;

use super::super::{BadShares, Generator, Kind, tests::text};
use super::*;

fn options(rows: u64) -> Options {
    Options::new(Kind::Clicks, rows, 11)
}

fn events(options: &Options) -> Vec<Value> {
    text(options).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(events: &[Value], event_type: &str) -> usize {
    events.iter().filter(|event| event["event_type"] == event_type).count()
}

#[test]
fn good_events_are_complete_and_typed() {
    let events = events(&options(15_000));
    assert_eq!(events.len(), 15_000);
    let mut ids = HashSet::new();
    for event in &events {
        assert!(ids.insert(event["event_id"].as_str().unwrap().to_owned()));
        assert_eq!(event["event_id"].as_str().unwrap().len(), 36);
        for field in ["user_id", "session_id", "event_type", "url", "user_agent", "country"] {
            assert!(!event[field].as_str().unwrap().is_empty());
        }
        event["ip"].as_str().unwrap().parse::<IpAddr>().unwrap();
        let timestamp = event["event_timestamp"].as_str().unwrap();
        let whole = format!("{}Z", &timestamp[..19]);
        assert!(timestamp.len() == 24 && whole.parse::<Timestamp>().is_ok(), "{timestamp}");
        assert!(event["response_time_ms"].as_u64().unwrap() > 0);
        let status = event["status_code"].as_u64().unwrap();
        let failed = event["event_type"] == "error";
        assert_eq!(failed, status >= 400);
        assert_eq!(failed, event["error_message"].is_string());
        let priced = event["price"].as_f64().is_some_and(|price| price > 0.0);
        for field in ["product_id", "category", "currency"] {
            assert_eq!(event[field].is_string(), priced);
        }
        let in_cart = ["add_to_cart", "remove_from_cart", "checkout", "purchase"];
        if in_cart.contains(&event["event_type"].as_str().unwrap()) {
            assert!(event["quantity"].as_u64().unwrap() > 0 && priced);
        }
    }
    let absent = events.iter().filter(|event| event.get("error_message").is_none()).count();
    let null = events.iter().filter(|event| event.get("error_message") == Some(&Value::Null));
    assert!(absent > 500 && null.count() > 5_000);
}

#[test]
fn lines_have_about_the_size_of_real_ones() {
    let mean = text(&options(20_000)).len() / 20_000;
    assert!((400..650).contains(&mean), "{mean}");
}

#[test]
fn sessions_interleave_in_order_of_time() {
    let events = events(&options(20_000));
    let times: Vec<&str> =
        events.iter().map(|event| event["event_timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted());
    let switches = events.windows(2).filter(|w| w[0]["session_id"] != w[1]["session_id"]).count();
    assert!(switches > 18_000, "{switches}");
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for event in &events {
        let user = event["user_id"].as_str().unwrap();
        let owner = owners.entry(event["session_id"].as_str().unwrap()).or_insert(user);
        assert_eq!(*owner, user);
    }
    assert!((2_000..6_000).contains(&owners.len()), "{}", owners.len());
}

#[test]
fn funnel_narrows_in_total_and_in_each_session() {
    let events = events(&options(20_000));
    let funnel = ["product_view", "add_to_cart", "checkout", "purchase"];
    let totals = funnel.map(|step| count(&events, step));
    assert!(totals.is_sorted_by(|a, b| a > b), "{totals:?}");
    assert!(totals[3] > 100, "{totals:?}");
    let mut sessions: HashMap<&str, [usize; 4]> = HashMap::new();
    for event in &events {
        let seen = sessions.entry(event["session_id"].as_str().unwrap()).or_default();
        if let Some(step) = funnel.iter().position(|step| event["event_type"] == *step) {
            seen[step] += 1;
        }
        assert!(seen.is_sorted_by(|a, b| a >= b), "{seen:?}");
    }
}

#[test]
fn slow_pages_fail_more_often_and_bots_never_buy() {
    let events = events(&options(30_000));
    let rate = |slow: bool| {
        let of: Vec<_> = events
            .iter()
            .filter(|event| (event["response_time_ms"].as_u64().unwrap() > 1000) == slow)
            .collect();
        of.iter().filter(|event| event["event_type"] == "error").count() as f64 / of.len() as f64
    };
    assert!(rate(true) > 10.0 * rate(false), "{} {}", rate(true), rate(false));
    let errors = count(&events, "error");
    assert!((100..1_200).contains(&errors), "{errors}");
    for event in &events {
        let agent = event["user_agent"].as_str().unwrap();
        if ["bot", "python", "curl"].iter().any(|mark| agent.contains(mark)) {
            let event_type = event["event_type"].as_str().unwrap();
            assert!(["page_view", "product_view", "error"].contains(&event_type));
        }
    }
}

#[test]
fn some_urls_and_referrers_carry_what_is_to_be_masked() {
    let text = text(&options(20_000));
    for (mark, least) in
        [("email=", 300), ("%40example.", 300), ("@example.", 100), ("token=", 300)]
    {
        let found = text.matches(mark).count();
        assert!((least..4_000).contains(&found), "{mark} {found}");
    }
}

/// Memory goes with the users at once, not with the rows.
#[test]
fn sessions_under_way_stay_few() {
    let mut clicks = Clicks::new(&options(u64::MAX));
    let mut spoil = Dice::new(0, b"spoiling");
    let mut line = Vec::new();
    let mut most = 0;
    for _ in 0..100_000 {
        clicks.write(None, &mut spoil, &mut line);
        line.clear();
        most = most.max(clicks.under_way.len());
    }
    assert!((50..300).contains(&most), "{most}");
}

#[test]
fn any_options_work() {
    for (rows, users) in [(0, 0), (1, 0), (5_000, 0), (5_000, 1), (5_000, u64::MAX)] {
        let start = Some(Timestamp::from_millis(i64::MAX));
        let mut made = 0;
        let mut generator = Generator::new(&Options { users, start, ..options(rows) });
        let mut line = Vec::new();
        while generator.next_record(&mut line) {
            serde_json::from_slice::<Value>(&line).unwrap();
            line.clear();
            made += 1;
        }
        assert_eq!(made, rows);
    }
}

/// Beside the good event of the same place, each kind breaks its one rule.
#[test]
fn each_bad_kind_spoils_just_its_field() {
    let good: Vec<Value> = events(&options(400));
    for kind in BadKind::of(Kind::Clicks) {
        let bad: BadShares = format!("{kind}=100%").parse().unwrap();
        let mut generator = Generator::new(&Options { bad, ..options(400) });
        for good in &good {
            let mut line = Vec::new();
            assert!(generator.next_record(&mut line));
            assert!(!line.contains(&b'\n'));
            if *kind == BadKind::InvalidUtf8 {
                assert!(std::str::from_utf8(&line).is_err());
                continue;
            }
            let text = std::str::from_utf8(&line).unwrap();
            let parsed = serde_json::from_str::<Value>(text);
            if [BadKind::TruncatedJson, BadKind::TooDeep].contains(kind) {
                let error = parsed.unwrap_err();
                assert_eq!(error.is_eof(), *kind == BadKind::TruncatedJson, "{error}");
                continue;
            }
            let event = parsed.unwrap_or_else(|error| panic!("{kind}: {error}: {text}"));
            let changed: Vec<&str> = good
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .filter(|key| event.get(key) != good.get(key))
                .collect();
            let new = |key: &str| event[key].as_str().unwrap_or_default();
            let right = match kind {
                BadKind::MissingRequired => {
                    changed.len() == 1
                        && event.get(changed[0]).is_none()
                        && ["event_id", "event_timestamp", "event_type"].contains(&changed[0])
                }
                BadKind::WrongType => {
                    changed.len() == 1
                        && std::mem::discriminant(&event[changed[0]])
                            != std::mem::discriminant(&good[changed[0]])
                }
                BadKind::BadIp => changed == ["ip"] && new("ip").parse::<IpAddr>().is_err(),
                BadKind::BadTimestamp => {
                    let time = new("event_timestamp");
                    let whole = time.replace(".000Z", "Z").parse::<Timestamp>();
                    changed == ["event_timestamp"] && whole.is_err()
                }
                BadKind::FutureTimestamp => new("event_timestamp").starts_with("2126-01-0"),
                BadKind::UnknownEventType => {
                    changed == ["event_type"]
                        && !STEPS.iter().any(|step| step.event_type() == new("event_type"))
                }
                BadKind::NegativePrice => event["price"].as_f64().unwrap() < 0.0,
                _ => false,
            };
            assert!(right, "{kind}: {text}");
        }
        assert_eq!(generator.counts().bad(*kind), 400);
    }
}
