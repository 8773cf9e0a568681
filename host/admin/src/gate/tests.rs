//! What the gate lets in, header by header.

use super::*;

/// Headers, one a line.
fn headers(sent: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in sent.lines().filter_map(|line| line.split_once(": ")) {
        let name: HeaderName = name.parse().unwrap();
        let value: HeaderValue = value.parse().unwrap();
        headers.append(name, value);
    }
    headers
}

#[test]
fn a_page_of_another_origin_is_told_by_either_header() {
    for (sent, own) in [
        // Programs.
        ("", true),
        ("host: 127.0.0.1:7627", true),
        ("host: metrics.example", true),
        // What browsers say of the page.
        ("sec-fetch-site: same-origin", true),
        ("sec-fetch-site: none", true),
        ("sec-fetch-site: same-site", false),
        ("sec-fetch-site: cross-site", false),
        ("sec-fetch-site: of-tomorrow", false),
        ("sec-fetch-site: ", false),
        ("sec-fetch-site: same-origin\nsec-fetch-site: cross-site", false),
        // Where the page is from.
        ("host: 127.0.0.1:7627\norigin: http://127.0.0.1:7627", true),
        ("host: localhost:7627\norigin: http://LocalHost:7627", true),
        ("host: [::1]:7627\norigin: http://[::1]:7627", true),
        ("host: ops.example\norigin: https://ops.example", true),
        ("host: ops.example:443\norigin: https://ops.example", true),
        ("host: 127.0.0.1\norigin: http://127.0.0.1:80", true),
        ("host: ops.example:80\norigin: https://ops.example", false),
        ("host: 127.0.0.1:7627\norigin: http://127.0.0.1:7628", false),
        ("host: 127.0.0.1:7627\norigin: http://127.0.0.1", false),
        ("host: 127.0.0.1:7627\norigin: http://localhost:7627", false),
        ("host: 127.0.0.1:7627\norigin: https://attacker.example", false),
        ("host: 127.0.0.1:7627\norigin: http://127.0.0.1:7627.attacker.example", false),
        ("host: 127.0.0.1:7627\norigin: http://attacker.example/127.0.0.1:7627", false),
        ("host: 127.0.0.1:7627\norigin: chrome-extension://127.0.0.1:7627", false),
        ("host: 127.0.0.1:7627\norigin: 127.0.0.1:7627", false),
        ("host: 127.0.0.1:7627\norigin: null", false),
        ("host: null\norigin: null", false),
        ("host: 127.0.0.1:7627\norigin: ", false),
        ("origin: http://127.0.0.1:7627", false),
        ("host: \norigin: http://", false),
        ("host: \norigin: http://:80", false),
        ("host: here\norigin: http://here\norigin: http://there", false),
        // One of them is enough.
        ("sec-fetch-site: cross-site\nhost: here\norigin: http://here", false),
        ("sec-fetch-site: same-origin\nhost: here\norigin: http://there", false),
        ("sec-fetch-site: same-origin\nhost: here\norigin: http://here", true),
    ] {
        assert_eq!(is_own(&headers(sent)).is_ok(), own, "{sent:?}");
    }
    let mut unreadable = headers("host: here");
    unreadable.insert(header::ORIGIN, HeaderValue::from_bytes(b"http://here\xff").unwrap());
    assert!(is_own(&unreadable).is_err());
}

#[test]
fn a_target_that_names_a_host_names_the_one_that_is_looked_at() {
    let named = headers("host: 127.0.0.1:7627");
    for (target, fits) in [
        ("/v1/status", true),
        ("*", true),
        ("http://127.0.0.1:7627/v1/status", true),
        ("127.0.0.1:7627", true),
        ("http://attacker.example/v1/status", false),
        ("http://attacker.example:7627/", false),
        ("http://127.0.0.1/v1/status", false),
        ("http://user@127.0.0.1:7627/", false),
        ("attacker.example:443", false),
    ] {
        let target: Uri = target.parse().unwrap();
        assert_eq!(of_host(&target, &named).is_ok(), fits, "{target}");
        let nameless = target.authority().is_none();
        assert_eq!(of_host(&target, &HeaderMap::new()).is_ok(), nameless, "{target}");
    }
    let twice = headers("host: LocalHost:7627");
    let target: Uri = "http://localhost:7627/".parse().unwrap();
    assert!(of_host(&target, &twice).is_ok());
}

/// A connection from an address to one of ours.
fn ends(peer: &str, here: &str) -> Ends {
    let at = |address: &str| SocketAddr::new(address.parse().unwrap(), 7627);
    Ends { peer: at(peer), here: at(here) }
}

fn gate(hosts: &[&str]) -> (Arc<Gate>, String) {
    let hosts = hosts.iter().map(|name| (*name).to_owned()).collect();
    let config = config::Admin {
        listen: config::Listen::Off,
        strict_port: false,
        token: None,
        reader_token: None,
        hosts,
        reveal: Vec::new(),
        max_freshness: None,
    };
    Gate::new(&config).unwrap()
}

#[test]
fn only_hosts_that_are_ours_are_answered_with_a_token_or_without() {
    let (gate, token) = gate(&["clicks.example", "fd00::7"]);
    for (host, passes) in [
        ("127.0.0.1:7627", true),
        ("127.0.0.1", true),
        ("127.8.8.8:1", true),
        ("localhost:7627", true),
        ("LocalHost", true),
        ("[::1]:7627", true),
        ("[::1]", true),
        ("[::ffff:127.0.0.1]:7627", true),
        // What it listens on, and what the file lists.
        ("192.0.2.7:7627", true),
        ("clicks.example", true),
        ("Clicks.Example:443", true),
        ("[fd00::7]:7627", true),
        // A name that leads here.
        ("attacker.example:7627", false),
        ("localhost.attacker.example", false),
        ("clicks.example.attacker.example", false),
        ("127.0.0.1.attacker.example", false),
        ("attacker.example:80@127.0.0.1", false),
        ("127.0.0.1:attacker.example", false),
        ("[::1]attacker.example", false),
        ("[::1", false),
        ("192.0.2.8:7627", false),
        ("0.0.0.0:7627", false),
        ("", false),
    ] {
        let named = headers(&format!("host: {host}\nauthorization: Bearer {token}"));
        for wanted in [Wanted::Host, Wanted::ReaderFromElsewhere, Wanted::Token(Role::Operator)] {
            let found = gate.lets_in(wanted, &named, ends("192.0.2.1", "192.0.2.7"));
            assert_eq!(found.is_ok(), passes, "{host:?}, {wanted:?}: {found:?}");
        }
    }
    let twice = headers("host: 127.0.0.1\nhost: 127.0.0.1");
    for named in [HeaderMap::new(), twice] {
        let found = gate.lets_in(Wanted::Host, &named, ends("127.0.0.1", "127.0.0.1"));
        assert_eq!(found, Err(&OTHER_HOST));
    }
}

#[test]
fn a_route_is_open_to_those_who_show_what_it_wants() {
    let (gate, token) = gate(&["clicks.example"]);
    let browser = gate.tokens.open(&gate.tokens.link()).unwrap();
    let (reader, operator) = (Wanted::Token(Role::Browser), Wanted::Token(Role::Operator));
    for (wanted, shown, found) in [
        (Wanted::Host, "", Ok(None)),
        (Wanted::Host, "Bearer wrong", Ok(None)),
        (reader, "", Err(&NO_TOKEN)),
        (operator, "", Err(&NO_TOKEN)),
        (reader, "Bearer wrong", Err(&NO_TOKEN)),
        (reader, &token, Err(&NO_TOKEN)),
        (reader, &format!("Basic {token}"), Err(&NO_TOKEN)),
        (reader, &format!("Bearer {token}"), Ok(Some(Role::Operator))),
        (operator, &format!("Bearer {token}"), Ok(Some(Role::Operator))),
        (reader, &format!("Bearer {browser}"), Ok(Some(Role::Browser))),
        (operator, &format!("Bearer {browser}"), Err(&READERS_ONLY)),
    ] {
        let mut sent = headers("host: 127.0.0.1:7627");
        if !shown.is_empty() {
            sent.insert(header::AUTHORIZATION, shown.parse().unwrap());
        }
        let here = ends("127.0.0.1", "127.0.0.1");
        assert_eq!(gate.lets_in(wanted, &sent, here), found, "{wanted:?}, {shown}");
    }
    // Metrics: of this machine both who asks and what they call us, or a proxy here would show them to all.
    for (peer, host, is_open) in [
        ("127.0.0.1", "127.0.0.1:7627", true),
        ("::1", "localhost", true),
        ("127.0.0.1", "clicks.example", false),
        ("192.0.2.1", "127.0.0.1", false),
        ("192.0.2.1", "192.0.2.7", false),
    ] {
        let here = ends(peer, "192.0.2.7");
        let asks = |sent: &str| {
            let sent = headers(&format!("host: {host}{sent}"));
            gate.lets_in(Wanted::ReaderFromElsewhere, &sent, here).is_ok()
        };
        assert_eq!(asks(""), is_open, "{peer}, {host}");
        assert!(asks(&format!("\nauthorization: Bearer {browser}")), "{peer}, {host}");
    }
}
