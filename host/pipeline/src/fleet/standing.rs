//! A process's place in its fleet: what it has followed, and how it stands, for whoever looks.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::error::FleetError;
use super::objects::{Life, new_name};
use super::place::{Place, Sign};
use crate::swap::set_store::SetStore;
use clickmill_audit::Host;
use clickmill_core::{Digest, lock};

/// So many intervals without a sign of life, and a replica is gone: it is not waited for.
pub(crate) const GONE_AFTER: u32 = 3;

/// A process of a fleet.
pub(crate) struct Member {
    pub place: Place,
    /// What the fleet's sets are made of.
    pub sets: SetStore,
    pub name: String,
    /// The entry whose set it began with; 0 where it is the one before all entries.
    pub began_with: u64,
    told: Mutex<Standing>,
    /// Replicas as they were looked at last, and when that was.
    looked: Mutex<Option<(Instant, Vec<Replica>)>>,
    failed: (Sender<String>, Receiver<String>),
}

/// How a process stands in its fleet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// The entry of the fleet's log that it has followed; 0 where it runs what was before all entries.
    pub entry: u64,
    /// The proposal that is voted on.
    pub open: Option<u64>,
    /// Why it does not follow.
    pub problem: Option<String>,
}

/// A replica of a fleet, as others see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// How long its newest sign of life is older than the newest of all, by the store's clock.
    pub age: Duration,
    /// The set that it runs.
    pub plugin_set: Digest,
    /// The set that gets a share of its batches beside that.
    pub canary: Option<Digest>,
    /// The entry that it has followed.
    pub entry: u64,
    /// Since when it runs, by its clock.
    pub since: String,
    /// What keeps it from following, or its canary from taking over.
    pub problem: Option<String>,
}

impl Member {
    pub(crate) fn new(place: Place, sets: SetStore, began_with: u64) -> Self {
        Self {
            place,
            sets,
            name: new_name(&Host::here().name),
            began_with,
            told: Mutex::new(Standing { entry: began_with, ..Standing::default() }),
            looked: Mutex::default(),
            failed: bounded(1),
        }
    }

    /// How it stands.
    pub(crate) fn standing(&self) -> Standing {
        lock(&self.told).clone()
    }

    pub(crate) fn stands(&self, standing: Standing) {
        *lock(&self.told) = standing;
    }

    /// That it cannot follow, and is to end.
    pub(crate) fn fail(&self, why: String) {
        // What is told first is what counts.
        let _ = self.failed.0.try_send(why);
    }

    /// Where it is told that it cannot follow.
    pub(crate) fn failed(&self) -> &Receiver<String> {
        &self.failed.1
    }

    /// The replicas of the fleet, looked at anew where that was so long ago.
    pub(crate) fn replicas(&self, anew_after: Duration) -> Result<Vec<Replica>, FleetError> {
        let mut looked = lock(&self.looked);
        if let Some((when, replicas)) = &*looked
            && when.elapsed() < anew_after
        {
            return Ok(replicas.clone());
        }
        let replicas = replicas(&self.place)?;
        *looked = Some((Instant::now(), replicas.clone()));
        Ok(replicas)
    }
}

/// The replicas of a fleet, by name.
pub(crate) fn replicas(place: &Place) -> Result<Vec<Replica>, FleetError> {
    let signs = place.signs()?;
    let lives = place.lives(&signs)?;
    Ok(seen(&signs, lives))
}

fn seen(signs: &BTreeMap<String, Sign>, lives: BTreeMap<String, Life>) -> Vec<Replica> {
    let newest = signs.values().map(|sign| sign.at).max().unwrap_or_default();
    let seen = lives.into_iter().filter_map(|(name, life)| {
        let age = newest.since(signs.get(&name)?.at);
        let Life { plugin_set, canary, entry, since, problem } = life;
        Some(Replica { name, age, plugin_set, canary, entry, since, problem })
    });
    seen.collect()
}
