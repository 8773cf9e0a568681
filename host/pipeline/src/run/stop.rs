//! How a run is told to stop, and when it ends by itself.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

/// Tells a run to stop: first after the object in hand or, of a stream, what is in hand; then at once.
#[derive(Debug, Default)]
pub struct Stop(watch::Sender<u8>);

impl Stop {
    /// Asks once more. Returns how often it was asked.
    pub fn ask(&self) -> u8 {
        self.0.send_modify(|asked| *asked = asked.saturating_add(1));
        *self.0.borrow()
    }

    /// Whether to begin no further object.
    pub fn after_object(&self) -> bool {
        *self.0.borrow() >= 1
    }

    /// Whether to give up the object in hand.
    pub fn now(&self) -> bool {
        *self.0.borrow() >= 2
    }

    /// Waits until asked.
    pub async fn asked(&self) {
        self.asked_times(1).await;
    }

    /// What a future comes to; `None` where the run is told to stop before.
    pub(crate) async fn or<T>(&self, coming: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.asked() => None,
            came = coming => Some(came),
        }
    }

    /// Blocks for so long, or until asked.
    pub(crate) fn pause(&self, runtime: &Handle, time: Duration) {
        runtime.block_on(async { self.or(tokio::time::sleep(time)).await });
    }

    /// Waits until asked twice.
    pub async fn asked_twice(&self) {
        self.asked_times(2).await;
    }

    /// A future that holds no reference to this, and ends once asked twice; never, where the run has ended
    /// before.
    pub(crate) fn told_twice(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut asked = self.0.subscribe();
        async move {
            if asked.wait_for(|asked| *asked >= 2).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn asked_times(&self, times: u8) {
        // The sender is ours: it does not go away.
        let _ = self.0.subscribe().wait_for(|asked| *asked >= times).await;
    }
}

/// When a run ends by itself, beside the end of its source.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ending {
    /// Once nothing has arrived for that long.
    pub when_idle: Option<Duration>,
    /// After that long, as if it were told to stop.
    pub after: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_comes_is_given_up_when_asked_to_stop() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let stop = Stop::default();
        assert_eq!(runtime.block_on(stop.or(async { 1 })), Some(1));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| runtime.block_on(stop.or(std::future::pending::<()>())));
            stop.ask();
            assert_eq!(waiting.join().expect("it ends"), None);
        });
        assert_eq!(runtime.block_on(stop.or(async { 1 })), None);
    }
}
