//! Web pages of other origins, in an operator's browser: nothing that they ask of the admin interface or
//! the dashboard is answered, on any route. Programs and the dashboard's own page are.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use crate::browser::Browser;
use crate::cloud::wait_until;
use crate::live::{Live, clicks};
use crate::support::{Dashboard, Scratch, agent, root};

type Headers = &'static [(&'static str, &'static str)];
type Answer = ureq::http::Response<ureq::Body>;

/// What comes with the requests of a page of another origin. `HERE` is the address that is asked.
const ELSEWHERE: [Headers; 11] = [
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "of-tomorrow")],
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
    &[("origin", "https://attacker.example")],
    &[("origin", "http://127.0.0.1:1")],
    &[("origin", "http://localhost")],
    &[("origin", "null")],
    &[("origin", "HERE")],
    &[("sec-fetch-site", "same-site"), ("origin", "http://HERE")],
    &[("sec-fetch-site", "none"), ("origin", "https://attacker.example")],
];

/// What comes with those of the dashboard's own page, of a reader who types the address, of a program.
const OURS: [Headers; 5] = [
    &[],
    &[("sec-fetch-site", "same-origin")],
    &[("sec-fetch-site", "none")],
    &[("origin", "http://HERE")],
    &[("sec-fetch-site", "same-origin"), ("origin", "http://HERE")],
];

/// What another page tries in the browser test.
const TRIED: [&str; 4] = ["/v1/tap", "/v1/status", "/v1/plugins/swap", "/healthz"];

/// How it tries: where to, and which paths. `told` says what came of it, as far as a page is told.
const TRY: &str = "(target, paths) => {
  window.told = {};
  for (const path of paths) {
    const at = `http://${target}${path}`;
    const tell = (how) => ['an answer', 'nothing'].map((came) => () => {
      told[`${how} ${path}`] = came;
    });
    fetch(at, { mode: 'no-cors' }).then(...tell('opaque'));
    fetch(at, { mode: 'no-cors', method: 'POST', body: '{\"changes\": {}}' }).then(...tell('post'));
    fetch(at).then(...tell('fetch'));
    const image = new Image();
    [image.onload, image.onerror] = tell('image');
    image.src = at;
    const frame = document.createElement('iframe');
    frame.name = path;
    document.body.append(frame);
    const form = document.createElement('form');
    Object.assign(form, { method: 'post', enctype: 'text/plain', action: at, target: path });
    document.body.append(form);
    form.submit();
  }
}";

#[test]
fn no_route_answers_a_page_of_another_origin() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    let alone = Dashboard::start(&scratch, &[]);
    let mut requests = listed();
    // Nor what is not there, nor what browsers ask before they ask.
    let more = ["GET /nowhere", "POST /v1/status", "OPTIONS /v1/plugins/swap"];
    requests.extend(more.map(str::to_owned));
    for address in [&live.at.address, &alone.at.address] {
        for request in &requests {
            for headers in ELSEWHERE {
                let what = format!("{request} with {headers:?}");
                let mut answer = ask(address, request, headers);
                assert_eq!(answer.status(), 403, "{what}");
                assert_kept(&answer, &what);
                let told: Json = answer.body_mut().read_json().unwrap();
                let told = told["error"].as_str().unwrap();
                assert!(told.contains("another origin") && told.contains("curl"), "{told}");
            }
            for headers in OURS {
                let what = format!("{request} with {headers:?}");
                let answer = ask(address, request, headers);
                assert_ne!(answer.status(), 403, "{what}");
                assert_kept(&answer, &what);
            }
        }
    }
    // Who looks whether it lives may know the process by any name. By a name that leads here since an
    // attacker wants it to, nothing else is reached, with a token or without: to the browser it is the
    // page's own.
    for name in ["attacker.example", "localhost.attacker.example", "0.0.0.0", "127.0.0.1.nip.io"] {
        let origin = format!("http://{name}");
        let by_name = [
            ("host", name),
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("authorization", live.at.bearer.as_str()),
        ];
        for request in &requests {
            let is_health = request.ends_with("/healthz") || request.ends_with("/readyz");
            for headers in [&by_name[..3], &by_name] {
                let answer = ask(&live.admin, request, headers);
                let what = format!("{request} as {name}");
                match answer.status().as_u16() {
                    200 | 503 => assert!(is_health, "{what}"),
                    status => assert_eq!((status, is_health), (403, false), "{what}"),
                }
                assert_kept(&answer, &what);
            }
        }
    }
    live.end();
}

#[test]
fn each_route_wants_the_token_that_the_table_says() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    let browser = live.at.session();
    let status = |request: &str, bearer: &str| {
        let shown = [("authorization", bearer)];
        let headers = if bearer.is_empty() { &shown[..0] } else { &shown };
        ask(&live.admin, request, headers).status().as_u16()
    };
    let open = ["/", "/assets/app.js", "/healthz", "/readyz", "/metrics", "/v1/sessions"];
    for request in listed() {
        let (_, path) = request.split_once(' ').unwrap();
        let is_open = open.contains(&path);
        for bearer in ["", "Bearer wrong", "Basic wrong"] {
            assert_eq!(status(&request, bearer) == 401, !is_open, "{request} with {bearer:?}");
        }
        // Of a stranger who was faster with a link nothing is left once it is taken back: no other link.
        let plugins = ["swap", "reload", "rollback"].map(|verb| format!("POST /v1/plugins/{verb}"));
        let is_others = plugins.contains(&request) || request == "POST /v1/links";
        assert_eq!(status(&request, &browser) == 403, is_others, "{request} of a browser");
        assert_ne!(status(&request, &browser), 401, "{request} of a browser");
        assert!(![401, 403].contains(&status(&request, &live.at.bearer)), "{request}");
    }
    live.end();
}

#[test]
fn a_token_does_not_help_a_page_of_another_origin() {
    let scratch = Scratch::new();
    let file = scratch.write("token", "0123456789abcdef0123456789abcdef\n");
    let alone = Dashboard::start(&scratch, &["--token-file", &*file.to_string_lossy()]);
    let token = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");
    let status = |request: &str, headers: &[(&str, &str)]| {
        ask(&alone.at.address, request, headers).status().as_u16()
    };
    for headers in OURS {
        assert_eq!(status("GET /v1/dashboard", headers), 401, "{headers:?}");
        let shown = [&[token][..], headers].concat();
        assert_eq!(status("GET /v1/dashboard", &shown), 200, "{headers:?}");
    }
    for headers in ELSEWHERE {
        let shown = [&[token][..], headers].concat();
        for request in ["GET /v1/dashboard", "GET /", "GET /healthz"] {
            assert_eq!(status(request, &shown), 403, "{request} with {headers:?}");
        }
    }
}

#[test]
fn in_a_browser_another_page_reaches_nothing_and_the_own_page_works() {
    let test = "in_a_browser_another_page_reaches_nothing_and_the_own_page_works";
    let Some(browser) = Browser::open(test) else { return };
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    let witness = Witness::start(&live.admin);
    // The operator is signed in, in this window.
    browser.go(&format!("http://{}{}", witness.address, live.at.link()));
    browser.wait("document.querySelectorAll('[data-tile]').length > 5");
    browser.wait("sessionStorage.getItem('clickmill-token')");
    let port = another_page();
    let ways = ["GET no-cors empty", "POST no-cors empty", "GET cors empty", "GET no-cors image"];
    let ways = ways.into_iter().chain(["POST navigate iframe"]);
    let wanted: BTreeSet<String> =
        ways.flat_map(|way| TRIED.map(|path| format!("{path} {way}"))).collect();
    for (host, site) in [("127.0.0.1", "same-site"), ("localhost", "cross-site")] {
        browser.go(&format!("http://{host}:{port}/"));
        browser.value(&format!("({TRY})({}, {})", json!(witness.address), json!(TRIED)));
        wait_until("all that the page asks", || {
            let mut came = witness.seen();
            came.retain(|seen| seen.site == site);
            for seen in &came {
                assert_eq!((seen.status, seen.shows_token), (403, false), "{seen:?}");
            }
            let came: BTreeSet<String> = came.into_iter().map(|seen| seen.what).collect();
            wanted.is_subset(&came)
        });
        // All but the forms tell the page what came of them.
        browser.wait(&format!("Object.keys(told).length === {}", 4 * TRIED.len()));
        let told = browser.value("Object.entries(told).filter(([, came]) => came !== 'nothing')");
        assert_eq!(told, json!([]), "{site}");
    }
    // Nor does a link lead there; who follows it reads what to do.
    let address = &witness.address;
    browser.value(&format!("(() => {{ location.href = 'http://{address}/v1/status'; }})()"));
    browser.wait("document.body.innerText.includes('another origin')");
    // Typed, the address leads to the page, and the page to all that it asks for.
    browser.go(&format!("http://{address}/"));
    browser.wait("document.querySelectorAll('[data-tile]').length > 5");
    let mut own = witness.seen();
    own.retain(|seen| seen.site == "same-origin" || seen.site == "none");
    assert!(own.iter().any(|seen| seen.site == "none" && seen.status == 200), "{own:?}");
    let described = own.iter().find(|seen| seen.what == "/v1/dashboard GET cors empty");
    assert_eq!(described.map(|seen| (&*seen.site, seen.status)), Some(("same-origin", 200)));
    assert!(own.iter().all(|seen| seen.status != 403), "{own:?}");
    live.end();
}

/// The requests that the tables of the two modules list, such as `GET /healthz`.
#[track_caller]
fn listed() -> Vec<String> {
    let read = |file: &str| std::fs::read_to_string(root().join("host").join(file)).unwrap();
    let mut requests = Vec::new();
    for file in ["admin/src/lib.rs", "dashboard/src/lib.rs"] {
        let text = read(file);
        for line in text.lines().filter_map(|line| line.strip_prefix("//! | `")) {
            let (asked, _) = line.split_once(" | ").unwrap();
            // Between every second pair of quotes is what joins them.
            for asked in asked.split('`').step_by(2).filter(|asked| !asked.is_empty()) {
                let (method, path) = asked.split_once(' ').unwrap_or(("GET", asked));
                let path = path.split('?').next().unwrap();
                let path = path.replace('…', "app.js").replace("{name}", "sessions");
                requests.push(format!("{method} {path}"));
            }
        }
    }
    assert!(requests.len() >= 16, "{requests:?}");
    // What the code has beyond the tables would not be asked for.
    let route = regex::Regex::new(r#"\.route\("([^"{]+)(\{?)"#).unwrap();
    for file in [
        "admin/src/lib.rs",
        "admin/src/links.rs",
        "admin/src/plugins.rs",
        "admin/src/watch.rs",
        "dashboard/src/lib.rs",
    ] {
        for found in route.captures_iter(&read(file)) {
            let (path, is_open) = (&found[1], !found[2].is_empty());
            let is_listed = requests.iter().any(|request| {
                let (_, listed) = request.split_once(' ').unwrap();
                listed == path || (is_open && listed.starts_with(path))
            });
            assert!(is_listed, "{file} serves `{path}`, which no table lists");
        }
    }
    requests
}

/// What is answered to a request such as `GET /healthz`.
#[track_caller]
fn ask(address: &str, request: &str, headers: &[(&str, &str)]) -> Answer {
    let (method, path) = request.split_once(' ').unwrap();
    let uri = format!("http://{address}{path}");
    let mut asked = ureq::http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        asked = asked.header(*name, value.replace("HERE", address));
    }
    let answer = match method {
        "POST" => agent().run(asked.body("").unwrap()),
        _ => agent().run(asked.body(()).unwrap()),
    };
    answer.unwrap()
}

/// Browsers guess nothing about an answer, and keep it from other origins.
#[track_caller]
fn assert_kept(answer: &Answer, what: &str) {
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(header("cross-origin-resource-policy"), Some("same-origin"), "{what}");
    assert!(["no-store", "no-cache"].map(Some).contains(&header("cache-control")), "{what}");
}

/// Stands between a browser and a server, passes on what they say, and remembers what was asked and how
/// it was answered: a page is not told.
struct Witness {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that was answered.
#[derive(Debug, Clone)]
struct Seen {
    /// Path, method, and the browser's word for how and what for: `/healthz GET no-cors image`.
    what: String,
    /// What the browser says of the page that asks.
    site: String,
    /// Whether a token came with it.
    shows_token: bool,
    status: u16,
}

impl Witness {
    fn start(server: &str) -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (server, told) = (server.to_owned(), seen.clone());
        let port = listen(move |client| pass(client, &server, &told));
        Self { address: format!("127.0.0.1:{port}"), seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Passes on one request and its answer, after which the connection ends.
fn pass(client: &TcpStream, server: &str, told: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    let mut asked = BufReader::new(client);
    let mut lines = head(&mut asked)?;
    let field = |name: &str| -> String {
        let mut fields = lines.iter().filter_map(|line| line.split_once(':'));
        let found = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.trim()).to_owned()
    };
    let mut words = lines.first().map_or("", String::as_str).split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mode, purpose) = (field("sec-fetch-mode"), field("sec-fetch-dest"));
    let what = format!("{path} {method} {mode} {purpose}");
    let site = field("sec-fetch-site");
    let shows_token = !(field("authorization") + &field("cookie")).is_empty();
    let mut body = vec![0; field("content-length").parse().unwrap_or(0)];
    asked.read_exact(&mut body)?;
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    lines.push("connection: close".to_owned());
    let mut server = TcpStream::connect(server)?;
    // At once: a server that refuses does not wait for a body.
    let request = [(lines.join("\r\n") + "\r\n\r\n").into_bytes(), body].concat();
    server.write_all(&request)?;
    let mut answer = BufReader::new(server);
    let mut first = String::new();
    answer.read_line(&mut first)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    told.lock().unwrap().push(Seen { what, site, shows_token, status });
    let mut client = client;
    client.write_all(first.as_bytes())?;
    std::io::copy(&mut answer, &mut client)?;
    Ok(())
}

/// A server with an empty page. Its origin is another one, since its port is.
fn another_page() -> u16 {
    listen(|mut client| {
        head(&mut BufReader::new(client))?;
        let page =
            "<!doctype html><html lang=\"en\"><title>Another page</title><body></body></html>";
        let length = page.len();
        write!(
            client,
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{page}"
        )
    })
}

/// Serves each connection on a thread of its own: browsers open some that they do not use.
fn listen(serve: impl Fn(&TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let serve = serve.clone();
            // One that breaks is the browser's to open again.
            std::thread::spawn(move || serve(&client));
        }
    });
    port
}

/// The lines of a request, up to the empty one.
fn head(from: &mut impl BufRead) -> std::io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => return Ok(lines),
            text => lines.push(text.to_owned()),
        }
    }
}
