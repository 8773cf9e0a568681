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
    watch: Mutex<Watch>,
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
    /// How long it is silent: how much its newest sign of life is older, by the store's clock, than the newest of a
    /// replica that goes on giving them.
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
            watch: Mutex::default(),
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

    /// The replicas of the fleet, looked at anew where that was an interval ago.
    pub(crate) fn replicas(&self, interval: Duration) -> Result<Vec<Replica>, FleetError> {
        let mut looked = lock(&self.looked);
        if let Some((when, replicas)) = &*looked
            && when.elapsed() < interval
        {
            return Ok(replicas.clone());
        }
        // Where it is not sure yet who is gone, the next look is.
        let (replicas, _) = lock(&self.watch).look(&self.place, interval * GONE_AFTER)?;
        *looked = Some((Instant::now(), replicas.clone()));
        Ok(replicas)
    }
}

/// Looks at a fleet, one after the other. Times of signs are compared with each other only, and one may be wrong: a
/// replica that is gone has the newest of all where a clock was ahead.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: BTreeMap<String, Sighting>,
    has_looked: bool,
}

/// The newest sign of life of a replica, as it was seen.
#[derive(Debug)]
struct Sighting {
    number: u64,
    /// Since when it is the newest, by the own clock.
    since: Instant,
    /// Whether it was given since the first look.
    is_new: bool,
}

impl Watch {
    /// The replicas of a fleet, by name, and whether it is sure which of them are gone. Where it is not, a later look
    /// is.
    pub(crate) fn look(
        &mut self,
        place: &Place,
        gone: Duration,
    ) -> Result<(Vec<Replica>, bool), FleetError> {
        let signs = place.signs()?;
        let lives = place.lives(&signs)?;
        let (ages, is_sure) = self.ages(&signs, Instant::now(), gone);
        Ok((seen(&ages, lives), is_sure))
    }

    /// How long each replica is silent, and whether that is sure.
    fn ages(
        &mut self,
        signs: &BTreeMap<String, Sign>,
        now: Instant,
        gone: Duration,
    ) -> (BTreeMap<String, Duration>, bool) {
        self.seen.retain(|name, _| signs.contains_key(name));
        for (name, sign) in signs {
            let new = || Sighting { number: sign.number, since: now, is_new: self.has_looked };
            let sighting = self.seen.entry(name.clone()).or_insert_with(new);
            if sighting.number < sign.number {
                *sighting = Sighting { number: sign.number, since: now, is_new: true };
            }
        }
        self.has_looked = true;
        let seen = &self.seen;
        let silent = |name: &str| {
            let silent = seen.get(name).map(|sighting| now.duration_since(sighting.since));
            silent.filter(|silent| *silent >= gone).unwrap_or_default()
        };
        let talking = signs.iter().filter(|(name, _)| silent(name).is_zero());
        // Of the newest of those it may be that no further one comes.
        let newest = talking.max_by_key(|(_, sign)| sign.at);
        let is_new = newest.is_none_or(|(name, _)| seen.get(name).is_some_and(|seen| seen.is_new));
        let newest = newest.map(|(_, sign)| sign.at).unwrap_or_default();
        let age = |(name, sign): (&String, &Sign)| {
            (name.clone(), newest.since(sign.at).max(silent(name)))
        };
        let ages: BTreeMap<String, Duration> = signs.iter().map(age).collect();
        let is_sure =
            is_new || ages.iter().all(|(name, age)| *age < gone || !silent(name).is_zero());
        (ages, is_sure)
    }
}

fn seen(ages: &BTreeMap<String, Duration>, lives: BTreeMap<String, Life>) -> Vec<Replica> {
    let seen = lives.into_iter().filter_map(|(name, life)| {
        let age = *ages.get(&name)?;
        let Life { plugin_set, canary, entry, since, problem } = life;
        Some(Replica { name, age, plugin_set, canary, entry, since, problem })
    });
    seen.collect()
}

#[cfg(test)]
mod tests;
