//! What a slot holds: the version that runs, a canary beside it, and the version before it.

use std::sync::Arc;
use std::time::Instant;

use crate::versions::version::{Rates, Version, VersionRecord};

/// What runs.
pub(super) struct Versions {
    pub current: Arc<Version>,
    pub canary: Option<Canary>,
    pub probation: Option<Probation>,
}

impl Versions {
    pub(super) fn base(&self) -> Base {
        Base { current: self.current.clone(), canary: self.canary_record() }
    }

    pub(super) fn canary_record(&self) -> Option<Arc<VersionRecord>> {
        self.canary.as_ref().map(|canary| canary.version.record.clone())
    }

    /// Whether this still runs, and nothing else.
    pub(super) fn is(&self, base: &Base) -> bool {
        let [canary, at_base] =
            [&self.canary_record(), &base.canary].map(|c| c.as_ref().map(Arc::as_ptr));
        Arc::ptr_eq(&self.current, &base.current) && canary == at_base
    }
}

/// A version that gets some of the batches for a while.
pub(super) struct Canary {
    pub version: Arc<Version>,
    pub share: f64,
    /// When it is to take over, if nobody has to say so.
    pub until: Option<Instant>,
}

impl Canary {
    /// Whether its time is over.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// What ran before the current version, while that is watched.
pub(super) struct Probation {
    /// The last that has seen enough rows to be judged by: what the current version is compared with,
    /// and what runs again where it is worse.
    pub proven: Arc<Version>,
    /// Those that ran since, the newest last: a manual rollback restores it, or what has proven itself. Where there
    /// were very many, the first of them are gone.
    pub since: Vec<Arc<Version>>,
    /// What became of the last rows of that.
    pub rates: Rates,
    pub until: Instant,
}

/// What ran when a change of plugins was begun: the change counts only if that still runs.
pub(crate) struct Base {
    pub current: Arc<Version>,
    pub(super) canary: Option<Arc<VersionRecord>>,
}

impl Base {
    /// The canary beside it.
    pub(crate) fn canary(&self) -> Option<&Arc<VersionRecord>> {
        self.canary.as_ref()
    }
}
