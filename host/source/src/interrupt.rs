//! Reads that can be given up, whatever they wait for: a slow bucket, or standard input without an end.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::SourceError;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait for whoever reads: one in hand and one ready.
const PIECES: usize = 2;

/// Has reads end that wait. Copies are of the same.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<watch::Sender<bool>>);

impl Interrupt {
    /// Has them end.
    pub fn interrupt(&self) {
        self.0.send_replace(true);
    }

    /// Waits until they are to end.
    pub async fn interrupted(&self) {
        // The sender is ours: it does not go away.
        let _ = self.0.subscribe().wait_for(|interrupted| *interrupted).await;
    }

    /// What comes, unless reads are to end before it: then that of `uri` is given up.
    pub(super) fn or<T>(
        &self,
        runtime: &Handle,
        uri: &str,
        comes: impl Future<Output = T>,
    ) -> io::Result<T> {
        runtime.block_on(async {
            tokio::select! {
                got = comes => Ok(got),
                () = self.interrupted() => {
                    Err(SourceError::Interrupted { uri: uri.to_owned() }.into())
                }
            }
        })
    }
}

/// Reads on a thread of its own what may wait forever, and whom nothing tells to stop. The thread is
/// left where the read is given up: it ends with the process.
pub(super) struct ThreadReader {
    uri: String,
    from: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
    runtime: Handle,
    interrupt: Interrupt,
}

impl ThreadReader {
    pub(super) fn start(
        uri: &str,
        mut inner: impl Read + Send + 'static,
        runtime: &Handle,
        interrupt: &Interrupt,
    ) -> Self {
        let (to, from) = mpsc::channel(PIECES);
        std::thread::spawn(move || {
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let got = inner.read(&mut piece).map(|length| {
                    piece.truncate(length);
                    Bytes::from(piece)
                });
                let is_last = !matches!(&got, Ok(piece) if !piece.is_empty());
                if matches!(&got, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
                    continue;
                }
                if to.blocking_send(got).is_err() || is_last {
                    return;
                }
            }
        });
        Self {
            uri: uri.to_owned(),
            from,
            piece: Bytes::new(),
            runtime: runtime.clone(),
            interrupt: interrupt.clone(),
        }
    }
}

impl Read for ThreadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            // Without one, the thread has said that it is at the end.
            let comes = self.from.recv();
            let Some(piece) = self.interrupt.or(&self.runtime, &self.uri, comes)? else {
                return Ok(0);
            };
            self.piece = piece?;
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_read_that_waits_for_ever_is_given_up_and_one_that_ends_is_whole() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let interrupt = Interrupt::default();
        let start = |inner| ThreadReader::start("stdin", inner, runtime.handle(), &interrupt);
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
        let mut read = Vec::new();
        start(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn Read + Send>)
            .read_to_end(&mut read)
            .expect("bytes");
        assert!(read == bytes);
        let (mut to, from) = UnixStream::pair().expect("a pair");
        to.write_all(b"some").expect("written");
        let mut aside = start(Box::new(from));
        let mut some = [0; 4];
        aside.read_exact(&mut some).expect("some bytes");
        let other = interrupt.clone();
        let given_up = std::thread::spawn(move || aside.read(&mut [0; 4]));
        other.interrupt();
        let error = given_up.join().expect("it ends").expect_err("nothing more came");
        assert!(matches!(SourceError::within(&error), Some(SourceError::Interrupted { .. })));
        drop(to);
    }
}
