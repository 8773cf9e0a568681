//! A bucket's service for tests: it gives answers word by word, one a connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use clickmill_core::lock;

/// What is done with the connection after an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum After {
    Close,
    /// It stays open, and nothing comes.
    Stall,
}

/// A service that gives these answers, one after the other, and the last one again and again.
pub(super) struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) fn start(answers: Vec<(String, After)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let all_asked = asked.clone();
        // It ends with the test run.
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for (at, connection) in listener.incoming().enumerate() {
                let mut connection = connection.expect("a connection");
                lock(&all_asked).push(request(&mut connection));
                let (answer, after) = &answers[at.min(answers.len() - 1)];
                let _ = connection.write_all(answer.as_bytes());
                if let After::Stall = after {
                    open.push(connection);
                }
            }
        });
        Self { url, asked }
    }

    /// The requests so far, with their headers.
    pub(super) fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

/// An answer that says how long its body is.
pub(super) fn whole(status: &str, headers: &str, body: &str) -> (String, After) {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    (answer, After::Close)
}

fn request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|read| read > 0) {
        bytes.extend(byte);
    }
    String::from_utf8_lossy(&bytes).to_lowercase()
}
