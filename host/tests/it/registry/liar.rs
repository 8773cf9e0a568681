//! A registry that answers what a test says, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An answer.
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    is_endless: bool,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), is_endless: false }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The body again and again, as long as anybody reads.
    pub(super) fn endless(body: &[u8]) -> Self {
        Self { is_endless: true, ..Self::new(200, body) }
    }
}

/// What was asked: the first line, the headers, each in lower case, and what came with it.
pub(super) struct Asked {
    pub line: String,
    pub headers: Vec<String>,
    pub body: String,
}

/// Bytes of a body that are remembered.
const MAX_BODY_BYTES: u64 = 64 << 10;

impl Asked {
    pub(super) fn authorization(&self) -> Option<&str> {
        self.headers.iter().find_map(|header| header.strip_prefix("authorization: "))
    }
}

pub(super) struct Liar {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Liar {
    /// Starts one, which ends with the test run.
    pub(super) fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (heard, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (heard, answer) = (heard.clone(), answer.clone());
                // Whoever has heard enough closes it.
                std::thread::spawn(move || drop(serve(&stream, &heard, &*answer)));
            }
        });
        Self { address, asked }
    }

    /// All that it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    mut stream: &TcpStream,
    heard: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut lines = (&mut reader).lines();
    let Some(line) = lines.next().transpose()? else { return Ok(()) };
    let mut headers = Vec::new();
    for header in lines {
        let header = header?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or_default();
        headers.push(format!("{}: {}", name.to_ascii_lowercase(), value.trim()));
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap_or(0));
    let mut body = Vec::new();
    reader.take(length.min(MAX_BODY_BYTES)).read_to_end(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let asked = Asked { line, headers, body };
    let Answer { status, headers, body, is_endless } = answer(&asked);
    let is_head = asked.line.starts_with("HEAD");
    heard.lock().unwrap().push(asked);
    let mut head = format!("HTTP/1.1 {status} So\r\nConnection: close\r\n");
    if !is_endless {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if is_head {
        return Ok(());
    }
    loop {
        stream.write_all(&body)?;
        if !is_endless {
            return stream.flush();
        }
    }
}
