//! The server: connections, few at a time and none for ever. Whoever connects takes a descriptor of the
//! process, and the pipeline wants some for its files.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep};

use super::answer_error;

/// Connections at once. More wait with the system, which holds them at no cost of the process.
const MAX_CONNECTIONS: usize = 64;
/// How long the head of a request may take to arrive, and how long a connection may rest between two.
const HEAD: Duration = Duration::from_secs(10);
/// The most that a head may have.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// How long a caller may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(60);
/// How long a request may take until its answer begins, its body and a swap's checks included.
pub(super) const ANSWER: Duration = Duration::from_secs(300);
/// The same for a request that wants no token.
pub(super) const BRIEF_ANSWER: Duration = HEAD;
/// How long to wait where no connection can be taken: every descriptor is in use, say.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Who has connected.
    pub peer: SocketAddr,
    /// The address that they reached.
    pub here: SocketAddr,
}

/// Takes connections, for ever.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let turns = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Never closed.
    while let Ok(turn) = turns.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, peer, router).await {
                        tracing::debug!(%peer, %error, "a connection to the admin interface ended");
                    }
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin interface can take no connection");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let ends = Ends { peer, here: stream.local_addr()? };
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ends);
        router.call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Stalling::new(stream, STALLED)), service)
        .await?;
    Ok(())
}

/// As a layer around routes: ends what takes too long.
pub(super) async fn in_time(
    State(patience): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => {
            let seconds = patience.as_secs();
            let error =
                format!("no answer within {seconds} s; what was asked may be done all the same");
            answer_error(StatusCode::SERVICE_UNAVAILABLE, error, None)
        }
    }
}

/// A stream that fails where the other end takes nothing for too long.
struct Stalling<S> {
    stream: S,
    patience: Duration,
    /// Runs while the other end is waited for.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Stalling<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stalled: None }
    }

    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watched(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watched(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_left_and_a_slow_one_is_not() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut near = Stalling::new(near, Duration::from_millis(50));
        // What fits is written, and nobody takes it.
        let error = near.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(near);
        let mut fit = Vec::new();
        far.read_to_end(&mut fit).await.unwrap();
        assert_eq!(fit.len(), 8);
        let (near, mut slow) = tokio::io::duplex(8);
        let mut near = Stalling::new(near, Duration::from_secs(30));
        let reading = tokio::spawn(async move {
            let mut taken = Vec::new();
            slow.read_to_end(&mut taken).await.map(|_| taken.len())
        });
        near.write_all(&[0; 64]).await.unwrap();
        near.shutdown().await.unwrap();
        drop(near);
        assert_eq!(reading.await.unwrap().unwrap(), 64);
    }
}
