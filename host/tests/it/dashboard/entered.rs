//! Who is let into the page: by a token, or by a link that works once.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value as Json, json};

use super::filled;
use crate::browser::Browser;
use crate::cloud::wait_until;
use crate::support::{Dashboard, Process, Scratch, agent, on_a_terminal};

#[test]
fn a_page_is_opened_by_a_token_or_by_a_link_that_works_once() {
    let test = "a_page_is_opened_by_a_token_or_by_a_link_that_works_once";
    let scratch = filled();
    let token = scratch.write("token", "0123456789abcdef0123456789abcdef\n");
    let dashboard = Dashboard::start(&scratch, &["--token-file", &*token.to_string_lossy()]);
    let address = dashboard.at.address.clone();
    let anybody = |path: &str| {
        agent().get(format!("http://{address}{path}")).call().unwrap().status().as_u16()
    };
    for path in ["/v1/dashboard", "/v1/dashboard/tiles/sessions", "/v1/dead-letters", "/v1/audit"] {
        assert_eq!(anybody(path), 401, "{path}");
        assert_eq!(dashboard.at.get(path).0, 200, "{path}");
    }
    for path in ["/healthz", "/", "/assets/app.js"] {
        assert_eq!(anybody(path), 200, "{path}");
    }
    // Whoever started it gets a link, and nobody else.
    let ask = ["dashboard", "--link", "--admin", &address];
    let link = || scratch.done(&ask).trim().to_owned();
    assert!(link().starts_with(&format!("http://{address}/#open=")), "{}", link());
    let mut by_another = scratch.command(&ask);
    let by_another = by_another.env("CLICKMILL_CACHE", scratch.path("elsewhere")).output().unwrap();
    assert_eq!(by_another.status.code(), Some(3));
    assert_eq!(by_another.stdout, b"");

    let Some(browser) = Browser::open(test) else { return };
    browser.go(&format!("http://{address}/#/stream?range=all"));
    browser.wait("document.querySelector('#sign-in')");
    // It says what to do.
    let told = browser.value("document.querySelector('#link-command').innerText");
    assert_eq!(told, format!("clickmill dashboard --link --admin {address}"));
    browser.wait("document.activeElement.id === 'token'");
    let keys =
        |text: &'static str| text.split("").filter(|key| !key.is_empty()).collect::<Vec<_>>();
    browser.press(&keys("wrong"));
    browser.press(&["\u{E007}"]);
    browser.wait("!document.querySelector('#token-error').hidden");
    browser.wait("document.activeElement.id === 'token'");
    browser.press(&keys("0123456789abcdef0123456789abcdef"));
    browser.press(&["\u{E007}"]);
    browser.wait("document.querySelector('[data-tile=sessions][data-state=ready]')");
    browser.value("(() => document.querySelector('#sign-out').click())()");
    browser.wait("document.querySelector('#sign-in')");

    // A link, in the tab that shows the page: the code is gone from the address.
    let first = link();
    let page = format!("http://{address}/#/stream?range=all");
    let kept = "sessionStorage.getItem('clickmill-token')";
    let ready = "document.querySelector('[data-tile=sessions][data-state=ready]')";
    browser.go(&first);
    browser.wait(&format!("{kept} && !location.href.includes('open=')"));
    browser.go(&page);
    browser.wait(ready);
    let session = browser.value(kept);
    assert_ne!(session, json!("0123456789abcdef0123456789abcdef"), "a token of this tab's own");
    // Loaded again, and come back to.
    browser.value("(() => location.reload())()");
    browser.wait(ready);
    browser.go("about:blank");
    browser.value("(() => history.back())()");
    browser.wait(ready);
    assert_eq!(browser.value(kept), session);
    assert_eq!(browser.said(), Vec::<String>::new());
    // Whoever else has seen the link looks at nothing by it, and nobody does from then on.
    browser.value("(() => sessionStorage.clear())()");
    browser.go("about:blank");
    browser.go(&first);
    browser.wait("!document.querySelector('#link-error').hidden");
    let session = format!("Bearer {}", session.as_str().unwrap());
    let asked = agent().get(format!("http://{address}/v1/dashboard"));
    assert_eq!(asked.header("authorization", session).call().unwrap().status(), 401);
    browser.go(&link());
    browser.wait("document.querySelector('[data-tile]')");
}

#[test]
fn a_link_is_told_on_a_terminal_and_in_a_log_none() {
    let scratch = Scratch::new();
    let dashboard = Dashboard::start(&scratch, &[]);
    let said = || dashboard.talk.lock().unwrap().join("\n");
    wait_until("how to get a link", || said().contains("`clickmill dashboard --link --admin 127."));
    assert!(!said().contains("open="), "{}", said());
    let serve = scratch.command(&["dashboard", "--listen", "127.0.0.1:0"]);
    let mut command = on_a_terminal(&serve);
    let mut process = Process::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("dashboard: http://")).unwrap();
    let link = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let (page, code) = link.split_once("/#open=").unwrap();
    let open = || {
        let request = agent().post(format!("{page}/v1/sessions"));
        request.send_json(json!({ "code": code })).unwrap()
    };
    let session: Json = open().body_mut().read_json().unwrap();
    let bearer = format!("Bearer {}", session["token"].as_str().unwrap());
    let look = || {
        let request = agent().get(format!("{page}/v1/dashboard"));
        request.header("authorization", &bearer).call().unwrap().status().as_u16()
    };
    assert_eq!(look(), 200);
    assert_eq!(open().status(), 401);
    assert_eq!(look(), 401);
}

#[test]
fn a_process_that_is_started_anew_wants_another_link_and_says_so() {
    let test = "a_process_that_is_started_anew_wants_another_link_and_says_so";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = filled();
    let port = crate::emulators::free_port();
    let start = || {
        let listen = format!("127.0.0.1:{port}");
        Dashboard::of(scratch.command(&["dashboard", "--listen", &listen]))
    };
    let dashboard = start();
    browser.sign_in(&dashboard.at);
    let shown = "document.querySelector('[data-tile]')";
    browser.wait(shown);
    drop(dashboard);
    browser.wait("!document.querySelector('#banner').hidden");
    let dashboard = start();
    browser.wait("!document.querySelector('#token-error').hidden");
    let said = browser.value("document.querySelector('#token-error').innerText");
    assert!(said.as_str().unwrap().contains("started anew"), "{said}");
    browser.sign_in(&dashboard.at);
    browser.wait(shown);
}

#[test]
fn beyond_loopback_a_token_and_a_name_are_wanted() {
    let scratch = Scratch::new();
    let refused = scratch.run(&["dashboard", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("--token-file FILE") && said.contains("--token-env NAME"), "{said}");
    let mut command = scratch.command(&[
        "dashboard",
        "--listen",
        "0.0.0.0:0",
        "--token-env",
        "READERS",
        "--host",
        "Clicks.Example",
    ]);
    command.env("READERS", "0123456789abcdef0123456789abcdef");
    let dashboard = Dashboard::of(command);
    let ask = |host: &str| {
        let request = agent().get(format!("http://{}/v1/dashboard", dashboard.at.address));
        let request = request.header("authorization", "Bearer 0123456789abcdef0123456789abcdef");
        request.header("host", host).call().unwrap().status().as_u16()
    };
    for (host, status) in [
        ("127.0.0.1:7628", 200),
        ("clicks.example", 200),
        ("clicks.example:443", 200),
        ("0.0.0.0", 403),
        ("attacker.example", 403),
    ] {
        assert_eq!(ask(host), status, "{host}");
    }
    // The command line knows that what listens everywhere does so here.
    let link = scratch.done(&["dashboard", "--link", "--admin", &dashboard.at.address]);
    assert!(link.starts_with("http://127.0.0.1:"), "{link}");
}
