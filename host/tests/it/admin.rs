//! What strangers ask of the admin interface costs the pipeline nothing: neither descriptors nor time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::live::{Live, clicks};
use crate::support::{Scratch, conserved};

/// Connections that the interface takes at once, and some files of the pipeline's own.
const MOST: usize = 64 + 17 + 32;
/// The longest that a connection may be kept that says nothing, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many descriptors a process has open.
fn descriptors(live: &Live) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", live.child.id())).unwrap().count()
}

fn connect(live: &Live) -> TcpStream {
    let stream = TcpStream::connect(&live.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes until the other end closes it. A connection that is cut has ended too.
fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    if let Err(error) = stream.read_to_end(&mut said) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it is kept");
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn connections_that_say_nothing_are_few_and_end() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    live.wait_for_rows(1, 500);
    let before = descriptors(&live);
    let mut idle: Vec<TcpStream> = (0..100).map(|_| connect(&live)).collect();
    let began = Instant::now();
    let mut most = 0;
    while most < before + 32 || began.elapsed() < Duration::from_secs(2) {
        assert!(began.elapsed() < PATIENCE, "they are not taken: {most}, before {before}");
        most = most.max(descriptors(&live));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(most <= before + MOST, "{most} descriptors, before {before}");
    // Whoever asks is answered, if not at once.
    assert_eq!(live.at.get("/healthz").0, 200);
    for stream in &mut idle {
        let said = rest(stream);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    }
    let rows = live.history()[0]["rows"].as_u64().unwrap();
    live.wait_for_rows(1, rows + 500);
    conserved(&live.end());
}

/// Asks over a connection of its own: the status, and what is said.
fn ask(live: &Live, path: &str) -> String {
    let mut stream = connect(live);
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {}\r\nconnection: close\r\n\r\n",
        live.at.bearer
    );
    stream.write_all(head.as_bytes()).unwrap();
    rest(&mut stream)
}

#[test]
fn probes_are_answered_whatever_other_callers_hold() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    live.wait_for_rows(1, 1);
    // A body that does not come.
    let head = format!(
        "POST /v1/plugins/rollback HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
        live.at.bearer
    );
    let mut held = Vec::new();
    let refused = loop {
        let said = ask(&live, "/v1/status");
        if !said.starts_with("HTTP/1.1 200") {
            break said;
        }
        assert!(held.len() < 200, "there is always room");
        let mut stream = connect(&live);
        stream.write_all(head.as_bytes()).unwrap();
        held.push(stream);
    };
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("as many connections"));
    assert!(held.len() > 32, "there is room for {}", held.len());
    for path in ["/healthz", "/readyz"] {
        let said = ask(&live, path);
        assert!(said.starts_with("HTTP/1.1 200"), "{path}: {said}");
    }
    drop(held);
    crate::cloud::wait_until("room for a caller", || {
        ask(&live, "/v1/status").starts_with("HTTP/1.1 200")
    });
    live.end();
}

#[test]
fn heads_that_never_end_or_are_too_large_are_not_waited_for() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    let began = Instant::now();
    let mut slow = connect(&live);
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n").unwrap();
    // Until the other end has had enough.
    while slow.write_all(b"x: y\r\n").is_ok() {
        assert!(began.elapsed() < PATIENCE, "it is waited for");
        std::thread::sleep(Duration::from_millis(200));
    }
    for (what, head) in [
        ("a header", format!("x: {}\r\n", "x".repeat(1 << 20))),
        ("headers", "x: y\r\n".repeat(10_000)),
    ] {
        let mut large = connect(&live);
        let text = format!("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n{head}\r\n");
        // It may be refused before all of it is sent.
        let _ = large.write_all(text.as_bytes());
        let said = rest(&mut large);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{what}: {said}");
    }
    let mut path = connect(&live);
    let text = format!("GET /{} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", "x".repeat(1 << 20));
    let _ = path.write_all(text.as_bytes());
    let said = rest(&mut path);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    // A body of whom nobody knows.
    let mut body = connect(&live);
    let head = "POST /v1/plugins/swap HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n";
    body.write_all(head.as_bytes()).unwrap();
    let said = rest(&mut body);
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
    assert_eq!(live.at.get("/healthz").0, 200);
    live.end();
}

/// The next answer of a connection that is kept: its status, and what is said. `None` where it has ended.
fn next(stream: &mut BufReader<TcpStream>) -> Option<(u16, String)> {
    let mut status = None;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match status {
            None => status = line.split(' ').nth(1).map(|status| status.parse().unwrap()),
            Some(_) => {
                let length_is = line.to_ascii_lowercase();
                if let Some(bytes) = length_is.strip_prefix("content-length: ") {
                    length = bytes.parse().unwrap();
                }
            }
        }
    }
    let mut said = vec![0; length];
    stream.read_exact(&mut said).ok()?;
    Some((status?, String::from_utf8(said).unwrap()))
}

#[test]
fn each_request_of_a_connection_that_is_kept_is_judged_by_itself() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    let mut stream = BufReader::new(connect(&live));
    let bearer = format!("authorization: {}\r\n", live.at.bearer);
    let admin = live.admin.as_str();
    let at_ours = format!("http://{admin}/v1/status");
    let at_another =
        ["/v1/status", "/", "/healthz"].map(|path| format!("http://attacker.example{path}"));
    for (target, host, more, status) in [
        ("/v1/status", "127.0.0.1", bearer.as_str(), 200),
        // Whoever was let in before is not for that now.
        ("/v1/status", "127.0.0.1", "", 401),
        ("/v1/status", "attacker.example", bearer.as_str(), 403),
        ("/v1/status", "127.0.0.1", "authorization: Bearer wrong\r\n", 401),
        ("/v1/status", "127.0.0.1", "origin: http://attacker.example\r\n", 403),
        ("/healthz", "127.0.0.1", "", 200),
        // The target may name the host too, and no other.
        (at_ours.as_str(), admin, bearer.as_str(), 200),
        (at_another[0].as_str(), admin, bearer.as_str(), 400),
        (at_another[1].as_str(), admin, "", 400),
        (at_another[2].as_str(), admin, "", 400),
        ("/v1/status", "127.0.0.1", bearer.as_str(), 200),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{more}\r\n");
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        let (found, said) = next(&mut stream).expect("an answer");
        assert_eq!(found, status, "{target}, {host}, {more}: {said}");
    }
    // What is in a body is no request.
    let inner = "GET /v1/status HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let bytes = inner.len();
    let outer = format!(
        "POST /nothing HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {bytes}\r\n\r\n{inner}"
    );
    stream.get_mut().write_all(outer.as_bytes()).unwrap();
    assert_eq!(next(&mut stream).expect("an answer").0, 404);
    stream.get_mut().write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").unwrap();
    // It is closed then, or goes on behind the body.
    if let Some((status, said)) = next(&mut stream) {
        assert_eq!((status, said.as_str()), (200, "ok\n"));
    }
    // A connection that rests is not kept forever.
    let mut rests = connect(&live);
    rests.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").unwrap();
    assert!(rest(&mut rests).starts_with("HTTP/1.1 200"));
    live.end();
}

#[test]
fn strangers_who_keep_their_connections_keep_nobody_out() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    live.wait_for_rows(1, 1);
    let healthy = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let mut strangers: Vec<TcpStream> = (0..MOST).map(|_| connect(&live)).collect();
    for _ in 0..5 {
        for stranger in &mut strangers {
            // One that had to give way comes again.
            if stranger.write_all(healthy).is_err() {
                *stranger = connect(&live);
                let _ = stranger.write_all(healthy);
            }
        }
        let said = ask(&live, "/v1/status");
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }
    // Who is known stays, whoever else comes.
    let mut operator = BufReader::new(connect(&live));
    let bearer = &live.at.bearer;
    let head =
        format!("GET /v1/status HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {bearer}\r\n\r\n");
    operator.get_mut().write_all(head.as_bytes()).unwrap();
    assert_eq!(next(&mut operator).expect("an answer").0, 200);
    let more: Vec<TcpStream> = (0..MOST).map(|_| connect(&live)).collect();
    assert_eq!(live.at.get("/healthz").0, 200);
    operator.get_mut().write_all(head.as_bytes()).unwrap();
    assert_eq!(next(&mut operator).expect("an answer").0, 200);
    drop(more);
    live.end();
}

#[test]
fn readers_who_keep_their_connections_keep_no_operator_out() {
    let scratch = Scratch::new();
    scratch.write("token", "a token of more than sixteen bytes\n");
    scratch.write("readers", "a token of those who look on\n");
    let tokens = ["--set", "admin.token_file=token", "--set", "admin.reader_token_file=readers"];
    let live = Live::start(&scratch, &clicks(), &tokens);
    live.wait_for_rows(1, 1);
    let look = b"GET /v1/plugins HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer a token of those who look on\r\n\r\n";
    let mut readers: Vec<BufReader<TcpStream>> = Vec::new();
    for _ in 0..70 {
        let mut reader = BufReader::new(connect(&live));
        reader.get_mut().write_all(look).unwrap();
        // One beyond those that there may be is told so, and may have to give way before.
        let _ = next(&mut reader);
        readers.push(reader);
    }
    for _ in 0..3 {
        let history = ["plugin", "history", "--admin", &live.admin, "--token-file", "token"];
        scratch.done(&history);
        for reader in &mut readers {
            let _ = reader.get_mut().write_all(look);
        }
    }
    // Those who came first are answered all the same.
    assert_eq!(next(&mut readers[0]).expect("an answer").0, 200);
    drop(readers);
    live.end();
}

#[test]
fn what_a_process_has_said_of_itself_is_gone_before_its_port_is_free() {
    let scratch = Scratch::new();
    let mut live = Live::start(&scratch, &clicks(), &[]);
    live.wait_for_rows(1, 1);
    let folder = crate::support::cache().join("processes");
    let ours = format!("{}-", live.child.id());
    let said = || {
        let names = std::fs::read_dir(&folder).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.any(|name| name.starts_with(&ours) && name.ends_with(".json"))
    };
    assert!(said(), "it says where it is");
    crate::cloud::signal(&live.child, "-INT");
    // Whoever has the port now would be taken for it, and be shown its token.
    crate::cloud::wait_until("its port", || TcpListener::bind(&live.admin).is_ok());
    assert!(!said(), "its token lies where its port is another's");
    assert!(live.child.wait().unwrap().success());
}
