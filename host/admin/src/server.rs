//! The server: connections, few at a time and none forever. Whoever connects takes a descriptor of the
//! process, and the pipeline wants some for its files.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
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
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Sleep, sleep};

use super::answer_error;
use super::tokens::Role;
use clickmill_core::lock;

/// Connections at once that are answered whatever they ask for. One by which no token was shown yet gives way
/// to the next caller where there is no other room: strangers keep nobody out.
const MAX_CONNECTIONS: usize = 64;
/// One part in so many of them is not for readers: they keep no operator out, who is a stranger at first.
const NOT_FOR_READERS: usize = 4;
/// Connections beside them, for who asks whether the process lives and works: whatever other callers hold, it
/// is not to be started anew for that. More wait with the system, which holds them at no cost of the process.
const MAX_SPARE: usize = 16;
/// How long such a connection lasts.
const SPARE: Duration = Duration::from_secs(2);
/// How long the head of a request may take to arrive, and how long a connection may rest between two.
const HEAD: Duration = Duration::from_secs(10);
/// The most that a head may have.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// How long a caller may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(60);
/// After what silence the other end is asked whether it is there, as often as `PROBES` in as long again.
const PROBE: Duration = Duration::from_secs(60);
const PROBES: u32 = 4;
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

/// Whether whoever has connected is known: by a token, once they have shown one.
#[derive(Debug, Clone)]
pub(super) struct Known(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// Places among the readers.
    readers: Arc<Semaphore>,
    by: Mutex<By>,
}

/// Whose token was shown.
#[derive(Debug)]
enum By {
    Nobody,
    Reader { _place: OwnedSemaphorePermit },
    Operator,
}

impl Known {
    /// From now on they are; not where they are a reader, and there are as many as there may be.
    pub(super) fn set(&self, role: Role) -> bool {
        let by = &mut *lock(&self.0.by);
        if role == Role::Operator {
            *by = By::Operator;
        } else if matches!(by, By::Nobody) {
            let Ok(place) = self.0.readers.clone().try_acquire_owned() else { return false };
            *by = By::Reader { _place: place };
        }
        true
    }
}

impl Shown {
    fn is_stranger(&self) -> bool {
        matches!(*lock(&self.by), By::Nobody)
    }
}

/// Places for connections, and who has them.
struct Places {
    free: Arc<Semaphore>,
    /// The part of them that readers may have.
    readers: Arc<Semaphore>,
    /// The oldest first.
    taken: Vec<(Weak<Shown>, AbortHandle)>,
}

impl Places {
    fn new(places: usize) -> Self {
        let readers = (places - places.div_ceil(NOT_FOR_READERS)).max(1);
        let of = |places| Arc::new(Semaphore::new(places));
        Self { free: of(places), readers: of(readers), taken: Vec::new() }
    }

    /// Somebody who has shown nothing yet.
    fn stranger(&self) -> Known {
        Known(Arc::new(Shown { readers: self.readers.clone(), by: Mutex::new(By::Nobody) }))
    }

    /// A place, where one is free or a stranger has one.
    async fn take(&mut self) -> Option<OwnedSemaphorePermit> {
        self.taken.retain(|(_, served)| !served.is_finished());
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Some(place);
        }
        let is_stranger = |shown: &Weak<Shown>| shown.upgrade().is_none_or(|by| by.is_stranger());
        let stranger = self.taken.iter().position(|(shown, _)| is_stranger(shown))?;
        self.taken.remove(stranger).1.abort();
        // It is never closed. The stranger leaves at once, or somebody else does.
        self.free.clone().acquire_owned().await.ok()
    }
}

/// How many connections there may be, and how many beside them, of so many descriptors: most of those are the
/// pipeline's.
fn most(descriptors: Option<u64>) -> (usize, usize) {
    let part = |of: u64, most: usize| match descriptors {
        Some(all) => usize::try_from(all / of).unwrap_or(most).clamp(1, most),
        None => most,
    };
    (part(4, MAX_CONNECTIONS), part(16, MAX_SPARE))
}

/// Takes connections, forever. Where there are many, `spare` answers in place of `router`.
pub(super) async fn serve(listener: TcpListener, router: Router, spare: Router) {
    let (places, spare_places) = most(getrlimit(Resource::Nofile).current);
    let mut places = Places::new(places);
    let spare_places = Arc::new(Semaphore::new(spare_places));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the admin interface can take no connection");
                sleep(EXHAUSTED).await;
                continue;
            }
        };
        let (place, is_spare) = match places.take().await {
            Some(place) => (Ok(place), false),
            // Neither is ever closed.
            None => tokio::select! {
                biased;
                place = places.free.clone().acquire_owned() => (place, false),
                place = spare_places.clone().acquire_owned() => (place, true),
            },
        };
        let known = places.stranger();
        let shown = Arc::downgrade(&known.0);
        let router = if is_spare { spare.clone() } else { router.clone() };
        let served = tokio::spawn(async move {
            let served = connection(stream, peer, router, known, !is_spare);
            let ended = if is_spare {
                tokio::time::timeout(SPARE, served).await.unwrap_or(Ok(()))
            } else {
                served.await
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "a connection to the admin interface ended");
            }
            drop(place);
        });
        if !is_spare {
            places.taken.push((shown, served.abort_handle()));
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    known: Known,
    keep_alive: bool,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    probe_when_idle(&stream)?;
    let ends = Ends { peer, here: stream.local_addr()? };
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ends);
        request.extensions_mut().insert(known.clone());
        router.call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(keep_alive)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Stalling::new(stream, STALLED)), service)
        .await?;
    Ok(())
}

/// Has the system see to it that the other end is still there, also where nothing is sent: a tap without rows
/// would outlive a reader whose machine is gone.
fn probe_when_idle(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_tcp_keepidle(stream, PROBE)?;
    sockopt::set_tcp_keepintvl(stream, PROBE / PROBES)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    sockopt::set_socket_keepalive(stream, true)
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

    #[test]
    fn few_descriptors_leave_some_for_the_pipeline() {
        let files = [None, Some(1024), Some(256), Some(64), Some(8)];
        let places = files.map(most);
        assert_eq!(places, [(64, 16), (64, 16), (64, 16), (16, 4), (2, 1)]);
    }

    /// Takes a place for somebody who shows a token.
    async fn come(places: &mut Places, role: Role) -> Option<bool> {
        let place = places.take().await?;
        let known = places.stranger();
        let (shown, is_let_in) = (Arc::downgrade(&known.0), known.set(role));
        let served = tokio::spawn(async move {
            let _held = (place, known);
            std::future::pending::<()>().await;
        });
        places.taken.push((shown, served.abort_handle()));
        Some(is_let_in)
    }

    #[tokio::test]
    async fn readers_keep_no_operator_out_and_those_who_are_known_stay() {
        let mut places = Places::new(8);
        let mut readers = Vec::new();
        for _ in 0..20 {
            readers.push(come(&mut places, Role::Reader).await.expect("a place"));
        }
        // Those who come too late are strangers, and give way.
        assert_eq!(readers.iter().filter(|let_in| **let_in).count(), 6);
        assert!(readers[..6].iter().all(|let_in| *let_in));
        assert_eq!(come(&mut places, Role::Operator).await, Some(true));
        assert_eq!(come(&mut places, Role::Browser).await, Some(false));
        assert_eq!(come(&mut places, Role::Operator).await, Some(true));
        // All are known now.
        assert!(places.take().await.is_none());
        // Whoever leaves makes room.
        places.taken[0].1.abort();
        assert_eq!(come_after_one_has_left(&mut places).await, Some(true));
    }

    async fn come_after_one_has_left(places: &mut Places) -> Option<bool> {
        while !places.taken[0].1.is_finished() {
            tokio::task::yield_now().await;
        }
        come(places, Role::Reader).await
    }

    #[tokio::test]
    async fn a_reader_who_turns_out_an_operator_leaves_the_place_of_a_reader() {
        let places = Places::new(2);
        let [one, other] = [places.stranger(), places.stranger()];
        assert!(one.set(Role::Reader) && one.set(Role::Reader));
        assert!(!other.set(Role::Reader));
        assert!(one.set(Role::Operator));
        assert!(other.set(Role::Browser));
        drop(other);
        assert!(places.stranger().set(Role::Reader));
    }

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
