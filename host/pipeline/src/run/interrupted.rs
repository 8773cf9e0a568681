//! The end of a run, and reads that wait for their source.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::stop::Stop;
use clickmill_source::Interrupt;

/// Has reads end that wait, where the run is told to give the object up, and once this is dropped.
pub(super) struct Interrupted {
    waiting: JoinHandle<()>,
    interrupt: Interrupt,
}

impl Interrupted {
    pub(super) fn by(stop: &Stop, runtime: &Handle, interrupt: &Interrupt) -> Self {
        let (told, reads) = (stop.told_twice(), interrupt.clone());
        let waiting = runtime.spawn(async move {
            told.await;
            reads.interrupt();
        });
        Self { waiting, interrupt: interrupt.clone() }
    }
}

impl Drop for Interrupted {
    fn drop(&mut self) {
        self.waiting.abort();
        self.interrupt.interrupt();
    }
}
