//! A wire that can be cut: forwards connections to a service, until it is told to refuse, cut, freeze or
//! slow them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// It arrives.
    Pass,
    /// New connections are closed at once; old ones stay.
    Refuse,
    /// Nothing arrives, and nobody is told.
    Freeze,
    /// Each piece waits a while.
    Slow,
    /// Each answer of the service takes a while.
    Late,
}

/// A proxy on a port of its own.
pub(crate) struct Proxy {
    /// Where it listens.
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    mode: AtomicU8,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Forwards to `target`, `host:port`.
    pub(crate) fn start(target: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound").to_string();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            mode: AtomicU8::new(Mode::Pass as u8),
            open: Mutex::new(Vec::new()),
        });
        std::thread::spawn({
            let shared = shared.clone();
            move || {
                for client in listener.incoming().flatten() {
                    if shared.mode() == Mode::Refuse {
                        continue;
                    }
                    let Ok(server) = TcpStream::connect(&shared.target) else { continue };
                    shared.forward(&client, &server, false);
                    shared.forward(&server, &client, true);
                }
            }
        });
        Self { address, shared }
    }

    /// From now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// Ends all connections that are open.
    pub(crate) fn cut(&self) {
        for stream in self.shared.open.lock().expect("no thread panics").drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn mode(&self) -> Mode {
        match self.mode.load(Ordering::SeqCst) {
            0 => Mode::Pass,
            1 => Mode::Refuse,
            2 => Mode::Freeze,
            3 => Mode::Slow,
            _ => Mode::Late,
        }
    }

    fn forward(self: &Arc<Self>, from: &TcpStream, to: &TcpStream, answers: bool) {
        let (Ok(mut from), Ok(mut to), Ok(kept)) =
            (from.try_clone(), to.try_clone(), from.try_clone())
        else {
            return;
        };
        self.open.lock().expect("no thread panics").push(kept);
        let shared = self.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 16 << 10];
            while let Ok(got @ 1..) = from.read(&mut piece) {
                while shared.mode() == Mode::Freeze {
                    std::thread::sleep(Duration::from_millis(5));
                }
                match shared.mode() {
                    Mode::Slow => std::thread::sleep(Duration::from_millis(20)),
                    Mode::Late if answers => std::thread::sleep(Duration::from_millis(400)),
                    _ => {}
                }
                if to.write_all(&piece[..got]).is_err() {
                    break;
                }
            }
            // The other side is told that no more comes.
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}
