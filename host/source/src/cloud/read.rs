//! Reads an object of a bucket for as long as it takes, through any number of cuts.
//!
//! How long a read takes depends on what is done with it: there is no limit to that, nor to how often it
//! is cut. There is one to how long nothing comes at all while it is waited for; what comes renews it.
//! Every request names the generation: of an object that is written anew, one generation is read or none.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{Method, StatusCode};
use object_store::client::{HttpError, HttpResponse};
use tokio::runtime::Handle;

use super::bucket::{Bucket, BucketError, PATIENCE, Waits, header};
use super::page::Found;
use crate::SourceError;
use crate::interrupt::Interrupt;

/// How long nothing may come, however often it is asked for, before the read is given up.
const NOTHING_FOR: Duration = Duration::from_secs(180);

/// Reads an object. Its reads block.
pub(crate) struct Reader {
    bucket: Arc<Bucket>,
    found: Found,
    uri: String,
    runtime: Handle,
    interrupt: Interrupt,
    /// Bytes that were handed on.
    at: u64,
    answer: Option<Answer>,
    /// Of the last answer.
    was_as_stored: bool,
    piece: Bytes,
    /// Since when nothing has come that was waited for.
    waiting_since: Option<Instant>,
    waits: Waits,
    ended: bool,
}

/// An answer that is being read.
struct Answer {
    body: BoxStream<'static, Result<Bytes, HttpError>>,
    /// Bytes at its beginning that were handed on before.
    skip: u64,
    /// Its end is the object's: where the answer's own form says that it was not cut.
    end_is_told: bool,
    /// Whether the bytes are those that are stored, of which the listing says how many there are. Others
    /// were decompressed on the way.
    is_as_stored: bool,
}

impl Reader {
    pub(super) fn new(
        bucket: Arc<Bucket>,
        found: Found,
        uri: String,
        runtime: &Handle,
        interrupt: &Interrupt,
    ) -> Self {
        Self {
            bucket,
            found,
            uri,
            runtime: runtime.clone(),
            interrupt: interrupt.clone(),
            at: 0,
            answer: None,
            was_as_stored: false,
            piece: Bytes::new(),
            waiting_since: None,
            waits: Waits::default(),
            ended: false,
        }
    }

    /// Waits for the next piece.
    async fn next(&mut self) -> Result<(), SourceError> {
        loop {
            match self.try_next().await {
                Ok(()) => {
                    self.waiting_since = None;
                    self.waits = Waits::default();
                    return Ok(());
                }
                Err(error) => {
                    self.answer = None;
                    let since = *self.waiting_since.get_or_insert_with(Instant::now);
                    if !error.is_transient() || since.elapsed() >= NOTHING_FOR {
                        return Err(self.failed(error));
                    }
                    tracing::debug!(uri = self.uri, at = self.at, %error, "a read was cut, going on");
                    tokio::time::sleep(self.waits.next()).await;
                }
            }
        }
    }

    /// The next piece of the answer at hand, or of a new one.
    async fn try_next(&mut self) -> Result<(), BucketError> {
        let late = || BucketError::Late { bucket: self.bucket.name.clone(), patience: PATIENCE };
        loop {
            if self.answer.is_none() {
                // The last answer was cut behind the last byte: there is nothing more to ask for.
                if self.was_as_stored && self.at == self.found.size {
                    self.ended = true;
                    return Ok(());
                }
                let answer = self.ask().await?;
                self.was_as_stored = answer.is_as_stored;
                self.answer = Some(answer);
            }
            let Some(answer) = &mut self.answer else { continue };
            match tokio::time::timeout(PATIENCE, answer.body.next()).await.map_err(|_| late())? {
                Some(Ok(mut piece)) => {
                    let skipped = answer.skip.min(piece.len() as u64);
                    answer.skip -= skipped;
                    piece.advance(skipped as usize);
                    if !piece.is_empty() {
                        self.at += piece.len() as u64;
                        self.piece = piece;
                        return Ok(());
                    }
                }
                Some(Err(source)) => {
                    return Err(BucketError::Http { bucket: self.bucket.name.clone(), source });
                }
                None if self.has_all() => {
                    self.ended = true;
                    return Ok(());
                }
                // There is more of this generation than there was of it.
                None if self.was_as_stored && self.at > self.found.size => {
                    return Err(self.changed());
                }
                // The connection was closed, or somebody on the way gave less than there is.
                None => return Err(late()),
            }
        }
    }

    /// Whether the end of the answer at hand is the object's.
    fn has_all(&self) -> bool {
        match &self.answer {
            Some(answer) if answer.is_as_stored && self.found.size != u64::MAX => {
                self.at == self.found.size
            }
            Some(answer) => answer.end_is_told || self.at >= self.found.size,
            None => false,
        }
    }

    fn changed(&self) -> BucketError {
        let (bucket, told) = (self.bucket.name.clone(), String::new());
        BucketError::Status { bucket, status: StatusCode::PRECONDITION_FAILED, told }
    }

    /// Asks for what is missing.
    async fn ask(&self) -> Result<Answer, BucketError> {
        let range = format!("bytes={}-", self.at);
        let mut headers = vec![("x-goog-if-generation-match", self.found.generation.as_str())];
        if self.at > 0 {
            headers.push(("range", &range));
        }
        if self.found.generation.is_empty() {
            headers.remove(0);
        }
        let answer = self.bucket.send(&Method::GET, &self.found.key, &[], &headers).await?;
        let told = |name: &str| header(answer.headers(), name);
        // One that takes no notice of the condition says at least what it gives.
        let generation = told("x-goog-generation").unwrap_or(&self.found.generation);
        if generation != self.found.generation {
            return Err(self.changed());
        }
        // What is decompressed on the way comes from its first byte on, whatever was asked for.
        let skip = if answer.status() == StatusCode::PARTIAL_CONTENT { 0 } else { self.at };
        let (end_is_told, is_as_stored) = (end_is_told(&answer), is_as_stored(&answer));
        Ok(Answer { body: answer.into_body().bytes_stream(), skip, end_is_told, is_as_stored })
    }

    fn failed(&self, error: BucketError) -> SourceError {
        let uri = self.uri.clone();
        match error.status() {
            Some(StatusCode::NOT_FOUND) => SourceError::Gone { uri },
            Some(StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE) => {
                SourceError::Changed { uri }
            }
            _ => SourceError::Read { uri, source: io::Error::other(error) },
        }
    }
}

/// Whether a cut of an answer shows in its form: it has a length, or comes in chunks.
fn end_is_told(answer: &HttpResponse) -> bool {
    answer.version() >= http::Version::HTTP_2
        || ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| answer.headers().contains_key(*name))
}

/// Whether an answer holds the bytes that are stored: those that were decompressed on the way come whole,
/// without a length, and Cloud Storage says how they are stored.
fn is_as_stored(answer: &HttpResponse) -> bool {
    let told = |name: &str| header(answer.headers(), name);
    match told("x-goog-stored-content-encoding") {
        Some("gzip") => told("content-encoding") == Some("gzip"),
        Some(_) => true,
        None => {
            answer.status() == StatusCode::PARTIAL_CONTENT
                || told("content-encoding") == Some("gzip")
                || told("content-length").is_some()
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.ended {
                return Ok(0);
            }
            let (runtime, interrupt) = (self.runtime.clone(), self.interrupt.clone());
            let uri = self.uri.clone();
            interrupt.or(&runtime, &uri, self.next())??;
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bucket::tests::bucket;
    use super::super::server::{After, Server, whole};
    use super::*;

    /// What an object of so many stored bytes reads as, and the ranges that were asked for.
    fn read(
        size: u64,
        answers: Vec<(String, After)>,
    ) -> (Result<String, SourceError>, Vec<String>) {
        let server = Server::start(answers);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let bucket = Arc::new(bucket(&server, PATIENCE));
        let found = Found { key: "a".to_owned(), size, ..Found::default() };
        let interrupt = Interrupt::default();
        let mut reader =
            Reader::new(bucket, found, "gs://lake/a".to_owned(), runtime.handle(), &interrupt);
        let mut text = String::new();
        let read = reader.read_to_string(&mut text).map(|_| text);
        let read = read.map_err(|error| error.downcast().expect("errors say what they mean"));
        let asked = server.asked().into_iter();
        let range = |asked: String| {
            let line = asked.lines().find_map(|line| line.strip_prefix("range: "));
            line.unwrap_or_default().to_owned()
        };
        (read, asked.map(range).collect())
    }

    #[test]
    fn an_answer_that_ends_early_in_good_form_is_gone_on_with() {
        let (text, ranges) =
            read(4, vec![whole("200 OK", "", "ab"), whole("206 Partial Content", "", "cd")]);
        assert_eq!(text.expect("the whole"), "abcd");
        assert_eq!(ranges, ["", "bytes=2-"]);
        // One that gives more than there is gives another.
        let (text, _) = read(1, vec![whole("200 OK", "", "ab")]);
        assert!(matches!(text, Err(SourceError::Changed { .. })));
    }

    #[test]
    fn a_cut_behind_the_last_byte_is_the_end() {
        let headers = "connection: close\r\ntransfer-encoding: chunked\r\n\
                       x-goog-stored-content-encoding: identity\r\n";
        let answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n3\r\nabc\r\n");
        let refusal = whole("416 Range Not Satisfiable", "", "");
        let (text, ranges) = read(3, vec![(answer, After::Close), refusal]);
        assert_eq!(text.expect("the whole"), "abc");
        assert_eq!(ranges.len(), 1);
    }

    #[test]
    fn what_is_decompressed_on_the_way_has_another_length() {
        let headers = "connection: close\r\ntransfer-encoding: chunked\r\n\
                       x-goog-stored-content-encoding: gzip\r\n";
        let answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n3\r\nabc\r\n0\r\n\r\n");
        for size in [1, 2, 30] {
            let (text, ranges) = read(size, vec![(answer.clone(), After::Close)]);
            assert_eq!((text.expect("the whole").as_str(), ranges.len()), ("abc", 1), "{size}");
        }
    }
}
