//! What the fuzz target `admin_requests` and its test in CI call: any bytes as a request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::gate::{Caller, Gate, Wanted, is_own, text};
use super::server::Ends;
use super::tokens::Role;
use super::watch::TapQuery;
use super::wire::{OpenBody, ReloadBody, RollbackBody, SwapBody};
use super::{entered, plugins};
use clickmill_config as config;
use clickmill_pipeline::{Actor, Rollout};

/// The most headers of a request: the server takes about as many.
const MAX_HEADERS: usize = 64;
/// Stand for the tokens of the process, which are others each time.
const OPERATOR: &str = "{operator}";
const READER: &str = "{reader}";
/// A name that leads here, and is not ours.
const ATTACKER: &str = "attacker.example";

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NEIGHBOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const PORT: u16 = 7627;

/// Reads bytes as a request: a line with method and target, a header a line, an empty line, a body.
/// `{operator}` and `{reader}` in a header stand for tokens; `clicks.example` is a name of ours. Whether
/// a token lets somebody in.
///
/// # Panics
///
/// Where somebody is let in who would be with another host's name, from another origin's page or without
/// the token; where a body is taken that is another once it is written and read again, or begins a swap
/// that cannot be; and where reading panics.
pub fn request(bytes: &[u8]) -> bool {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = bytes.split_at(at);
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = String::from_utf8_lossy(lines.next().unwrap_or_default());
    target(line.split(' ').nth(1).unwrap_or_default());
    let Ok((gate, operator)) = Gate::new(&config()) else {
        unreachable!("no token is named that could be missing")
    };
    let reader = gate.tokens.open(&gate.tokens.link()).unwrap_or_default();
    assert!(!reader.is_empty(), "a new link opens the page");
    let tokens = Tokens { operator, reader };
    content(body.strip_prefix(b"\n\n").unwrap_or_default());
    door(&gate, &tokens, &headers(lines, &tokens))
}

struct Tokens {
    operator: String,
    reader: String,
}

fn config() -> config::Admin {
    config::Admin {
        listen: config::Listen::Off,
        strict_port: false,
        token: None,
        reader_token: None,
        hosts: vec!["clicks.example".to_owned()],
        reveal: Vec::new(),
        max_freshness: None,
    }
}

fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>, tokens: &Tokens) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.take(MAX_HEADERS) {
        let Some(at) = line.windows(2).position(|pair| pair == b": ") else { continue };
        let value = match str::from_utf8(&line[at + 2..]) {
            Ok(text) => text
                .replace(OPERATOR, &tokens.operator)
                .replace(READER, &tokens.reader)
                .into_bytes(),
            Err(_) => line[at + 2..].to_vec(),
        };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(&value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// What is let in is not any more once a page of another origin asks, the host is another's or the token
/// is taken away. Whether a token lets in.
fn door(gate: &Gate, tokens: &Tokens, sent: &HeaderMap) -> bool {
    let mut is_known = false;
    let anybody = [Wanted::Host, Wanted::ReaderFromElsewhere];
    let known = [Role::Browser, Role::Reader, Role::Operator].map(Wanted::Token);
    for wanted in anybody.into_iter().chain(known) {
        for peer in [LOOPBACK, NEIGHBOUR] {
            let ends =
                Ends { peer: SocketAddr::new(peer, PORT), here: SocketAddr::new(HERE, PORT) };
            let Ok(role) = gate.lets_in(wanted, sent, ends) else { continue };
            let passes = |change: &dyn Fn(&mut HeaderMap)| {
                let mut changed = sent.clone();
                change(&mut changed);
                is_own(&changed).is_ok() && gate.lets_in(wanted, &changed, ends).is_ok()
            };
            let host = text(sent, header::HOST).unwrap_or_default();
            let named = |name: String| {
                passes(&|sent| {
                    sent.insert(header::HOST, value(&name));
                })
            };
            assert!(!named(format!("{host}.{ATTACKER}")), "{sent:?}");
            assert!(!named(format!("{ATTACKER}.{host}")), "{sent:?}");
            assert!(!named(ATTACKER.to_owned()), "{sent:?}");
            assert!(!passes(&|sent| drop(sent.remove(header::HOST))), "{sent:?}");
            for (name, other) in [
                (header::HOST, host),
                (header::ORIGIN, "null"),
                (header::ORIGIN, "https://attacker.example"),
                (HeaderName::from_static("sec-fetch-site"), "cross-site"),
            ] {
                let twice = passes(&|sent| {
                    sent.append(&name, value(other));
                });
                assert!(!twice, "also with another `{name}`: {sent:?}");
            }

            let is_open = match wanted {
                Wanted::Host => true,
                Wanted::ReaderFromElsewhere => peer == LOOPBACK && role.is_none(),
                Wanted::Token(least) => {
                    assert!(role >= Some(least), "{role:?}: {sent:?}");
                    false
                }
            };
            assert_eq!(role.is_none(), is_open, "{wanted:?}: {sent:?}");
            let shown = text(sent, header::AUTHORIZATION).unwrap_or_default().trim();
            match role {
                None => {}
                Some(Role::Operator) => assert!(shown.ends_with(&tokens.operator), "{sent:?}"),
                // It comes of a link.
                Some(Role::Browser) => assert!(shown.ends_with(&tokens.reader), "{sent:?}"),
                Some(Role::Reader) => unreachable!("no reader's token is configured: {sent:?}"),
            }
            if role.is_some() {
                is_known = true;
                let without = passes(&|sent| drop(sent.remove(header::AUTHORIZATION)));
                assert!(!without, "also without the token: {sent:?}");
            }
        }
    }
    is_known
}

/// A value of a header, or none where it cannot be one.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Parameters of taps, tiles, letters and the audit log.
fn target(target: &str) {
    let Ok(uri) = target.parse::<Uri>() else { return };
    // Which stages there are, and what a condition may say, is asked of what runs.
    let _: Result<Query<TapQuery>, _> = Query::try_from_uri(&uri);
    if let Ok(Query(asked)) = Query::<HashMap<String, String>>::try_from_uri(&uri) {
        clickmill_dashboard::fuzz::query(&asked);
    }
    is_one_line(&entered::noted(target), 2000);
}

/// Bodies of swaps, reloads, rollbacks and links.
fn content(body: &[u8]) {
    if let Ok(swap) = serde_json::from_slice::<SwapBody>(body) {
        begin(swap);
    }
    if let Some(body) = is_itself::<ReloadBody>(body) {
        claimed(&body.actor, &body.note);
        begins(body.rollout());
    }
    if let Some(body) = is_itself::<RollbackBody>(body) {
        claimed(&body.actor, &body.note);
    }
    is_itself::<OpenBody>(body);
}

/// A body of texts is the same once it is written and read again: the command line speaks it too.
fn is_itself<B: Serialize + DeserializeOwned>(body: &[u8]) -> Option<B> {
    let body: B = serde_json::from_slice(body).ok()?;
    let written = serde_json::to_value(&body).ok()?;
    let again =
        serde_json::from_value::<B>(written.clone()).map(|body| serde_json::to_value(&body));
    assert_eq!(again.ok().and_then(Result::ok), Some(written));
    Some(body)
}

/// As far as a swap goes before it is tried on.
fn begin(body: SwapBody) {
    claimed(&body.actor, &body.note);
    begins(body.rollout());
    for (stage, mut change) in body.changes {
        let written = std::mem::take(&mut change.written);
        let keys = written.len();
        assert_eq!(plugins::read(written, Some(&change.config)).count(), keys);
        let is_elsewhere = change.uri.as_ref().is_some_and(|uri| uri.starts_with("gs://"));
        if is_elsewhere && change.component.is_none() {
            continue;
        }
        let (is_both, names_one) = (change.component.is_some(), change.uri.is_some());
        let lookups = change.lookups.len();
        // Nothing is waited for: all of it is here.
        let fetched = plugins::fetched(stage.clone(), change, usize::MAX).now_or_never();
        match fetched {
            Some(Ok(change)) => {
                assert!(!names_one, "a component is taken from where none is");
                assert_eq!((change.stage, change.lookups.len()), (stage, lookups));
                assert_eq!(change.component.is_some(), is_both);
            }
            Some(Err(told)) => assert!(names_one, "{told}"),
            None => unreachable!("it waits for something"),
        }
    }
}

/// How a swap begins: a canary has a share and an end.
fn begins(rollout: Option<Rollout>) {
    if let Some(Rollout::Canary { share, time }) = rollout {
        assert!((0.0..1.0).contains(&share), "a canary of {share}");
        assert!(Instant::now().checked_add(time).is_some(), "a canary without an end: {time:?}");
    }
}

/// Who asks and why, as it is entered into the audit log.
fn claimed(actor: &str, note: &str) {
    is_one_line(&entered::noted(note), 2000);
    let peer = SocketAddr::new(NEIGHBOUR, PORT);
    let caller = entered::told(&Caller { peer, role: Role::Operator });
    if let Err(error) = Actor::claimed(actor, caller) {
        is_one_line(&error.to_string(), 1000);
    }
}

fn is_one_line(text: &str, most: usize) {
    assert!(text.len() <= most && !text.contains(char::is_control), "{text:?}");
}
