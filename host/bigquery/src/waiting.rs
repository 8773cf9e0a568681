//! What users of BigQuery wait for at this moment, as `/readyz` says it.

use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use super::error::Unready;
use clickmill_config::TableName;
use clickmill_core::lock;
use clickmill_tables::Wait;

/// A user's place among those that may wait: what for, while it does.
pub(super) type Place = Arc<Mutex<Option<Since>>>;

/// All users of one BigQuery.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Vec<Weak<Mutex<Option<Since>>>>>);

/// A wait that goes on.
#[derive(Debug, Clone)]
pub(super) struct Since {
    pub began: Instant,
    pub reason: Unready,
    pub table: TableName,
    /// When an outage interrupted it: during the outage nothing can tell whether it is over.
    pub interrupted: Option<Instant>,
}

impl Since {
    pub(super) fn now(reason: Unready, table: TableName) -> Self {
        Self { began: Instant::now(), reason, table, interrupted: None }
    }

    /// It goes on after an outage, the time of which does not count.
    pub(super) fn resume(&mut self) {
        if let Some(interrupted) = self.interrupted.take() {
            self.began += interrupted.elapsed();
        }
    }
}

impl Waiting {
    /// A place for another user. It is gone with the last copy of it.
    pub(super) fn place(&self) -> Place {
        let place = Place::default();
        let mut places = lock(&self.0);
        places.retain(|place| place.strong_count() > 0);
        places.push(Arc::downgrade(&place));
        place
    }

    /// What is waited for.
    pub(super) fn waits(&self) -> Vec<Wait> {
        let since = |place: &Weak<Mutex<Option<Since>>>| {
            lock(&*place.upgrade()?).clone().filter(|since| since.interrupted.is_none())
        };
        let wait = |since: Since| {
            let seconds = since.began.elapsed().as_secs();
            let what = format!("BigQuery: {}, for {seconds} s", since.reason);
            Wait { what, table: since.table }
        };
        let mut waits: Vec<Wait> = lock(&self.0).iter().filter_map(since).map(wait).collect();
        waits.dedup();
        waits
    }
}
