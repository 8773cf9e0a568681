//! A run's progress: drawn on a terminal, logged elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use clickmill_pipeline::Status;

/// Draws progress: a bar on a terminal, a line every ten seconds elsewhere.
pub(super) struct Watch {
    ended: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(status: Arc<Status>, stream: bool) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ended = ended.clone();
            move || match (stderr().is_terminal(), stream) {
                (true, true) => spinner(&status, &ended),
                (true, false) => bar(&status, &ended),
                (false, _) => lines(&status, &ended),
            }
        });
        Self { ended, thread }
    }

    pub(super) fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // A watcher that panicked takes nothing with it.
        let _ = self.thread.join();
    }
}

fn bar(status: &Status, ended: &AtomicBool) {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg} {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while !ended.load(Ordering::Relaxed) {
        let now = status.snapshot();
        bar.set_length(now.bytes_total.max(now.bytes));
        bar.set_position(now.bytes);
        let rate = now.rows_in as f64 / bar.elapsed().as_secs_f64().max(0.001);
        bar.set_message(format!(
            "{} rows, {}/s, {} rejected{}",
            HumanCount(now.rows_in),
            HumanCount(rate as u64),
            HumanCount(now.rows_rejected),
            match now.objects_of_others {
                0 => String::new(),
                objects => format!(", {objects} objects loaded by other runs"),
            },
        ));
        std::thread::park_timeout(Duration::from_millis(100));
    }
    bar.finish_and_clear();
}

fn spinner(status: &Status, ended: &AtomicBool) {
    let spinner = ProgressBar::new_spinner();
    let mut before = (std::time::Instant::now(), 0);
    let mut rate = 0.0;
    while !ended.load(Ordering::Relaxed) {
        let now = status.snapshot();
        let seconds = before.0.elapsed().as_secs_f64();
        if seconds >= 1.0 {
            rate = (now.rows_done - before.1) as f64 / seconds;
            before = (std::time::Instant::now(), now.rows_done);
        }
        spinner.set_message(format!(
            "{} messages done, {}/s, {} in hand, {} rejected{}",
            HumanCount(now.rows_done),
            HumanCount(rate as u64),
            HumanCount(now.rows_in.saturating_sub(now.rows_done)),
            HumanCount(now.rows_rejected),
            if now.retries > 0 { format!(", {} retries", now.retries) } else { String::new() },
        ));
        spinner.tick();
        std::thread::park_timeout(Duration::from_millis(100));
    }
    spinner.finish_and_clear();
}

fn lines(status: &Status, ended: &AtomicBool) {
    loop {
        std::thread::park_timeout(Duration::from_secs(10));
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let now = status.snapshot();
        tracing::info!(
            rows_in = now.rows_in,
            rows_rejected = now.rows_rejected,
            rows_done = now.rows_done,
            retries = now.retries,
            bytes = now.bytes,
            bytes_total = now.bytes_total,
            object = now.object,
            objects_of_others = now.objects_of_others,
            "running"
        );
    }
}
