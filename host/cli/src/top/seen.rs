//! What `clickmill top` has seen of a pipeline.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Failure;
use crate::admin::Admin;
use clickmill_admin::wire::{StatusBody, VersionBody};

/// How often it looks.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Rates that are remembered for the curves.
const MAX_RATES: usize = 600;
/// Versions that are listed.
const MAX_VERSIONS: usize = 5;

/// What is shown.
#[derive(Debug)]
pub(super) struct Seen {
    pub status: StatusBody,
    /// The last versions, the newest first.
    pub versions: Vec<VersionBody>,
    /// Rows durable a second, one per look, the newest last.
    pub rates: VecDeque<u64>,
    /// Rows rejected a second, over the same time.
    pub rejects: VecDeque<u64>,
    /// Why the last look failed.
    pub lost: Option<String>,
}

impl Seen {
    /// Looks for the first time.
    pub(super) fn first(admin: &Admin) -> Result<Self, Failure> {
        let status = admin.get("/v1/status")?;
        let mut seen = Self {
            status,
            versions: Vec::new(),
            rates: VecDeque::new(),
            rejects: VecDeque::new(),
            lost: None,
        };
        seen.look(admin);
        Ok(seen)
    }

    /// Looks once more. What was seen last stays where nobody answers.
    pub(super) fn look(&mut self, admin: &Admin) {
        let looked = admin
            .get::<StatusBody>("/v1/status")
            .and_then(|status| Ok((status, admin.get::<Vec<VersionBody>>("/v1/plugins/history")?)));
        match looked {
            Ok((status, versions)) => {
                let seconds = EVERY.as_secs_f64();
                let rate =
                    |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
                remember(&mut self.rates, rate(status.rows_out, self.status.rows_out));
                remember(&mut self.rejects, rate(status.rows_rejected, self.status.rows_rejected));
                self.versions = versions.into_iter().rev().take(MAX_VERSIONS).collect();
                self.status = status;
                self.lost = None;
            }
            Err(failure) => self.lost = Some(failure.to_string()),
        }
    }
}

fn remember(rates: &mut VecDeque<u64>, rate: u64) {
    if rates.len() == MAX_RATES {
        rates.pop_front();
    }
    rates.push_back(rate);
}
