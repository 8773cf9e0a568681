//! What becomes of something that was asked of a fleet: who votes, who tries it out, who follows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::error::FleetError;
use super::super::log::Log;
use super::super::objects::{Decision, Vote};
use super::super::standing::{GONE_AFTER, Replica};
use super::{Fleet, Outcome, Progress};
use clickmill_core::Micros;

impl Fleet {
    /// Waits until an entry is decided and every live replica has followed, and tells what happens meanwhile. Where
    /// nobody decides it in time it is given up.
    pub fn wait(&self, number: u64, mut told: impl FnMut(Progress)) -> Result<Outcome, FleetError> {
        let (often, patience) = self.often_and_patience();
        let (mut log, mut votes) = (Log::default(), BTreeMap::new());
        let (mut canaries, mut verdicts) = (None, BTreeMap::new());
        let (mut began, mut patient) = (Instant::now(), patience);
        loop {
            self.place.catch_up(&mut log)?;
            if let Some(proposal) = log.proposal(number) {
                for (name, vote) in news(&mut votes, |votes| self.place.votes(number, votes))? {
                    told(Progress::Voted(name, vote));
                }
                if let Some((_, time)) = proposal.trial() {
                    if canaries.is_none()
                        && let Some(named) = self.place.canaries(number)?
                    {
                        told(Progress::TriedOut(named.iter().cloned().collect()));
                        canaries = Some(named);
                        // Their time counts from now on, and then they may be as late again.
                        (began, patient) = (Instant::now(), time + patience);
                    }
                    let look = |verdicts: &mut _| self.place.verdicts(number, verdicts);
                    for (name, verdict) in news(&mut verdicts, look)? {
                        told(Progress::Concluded(name, verdict));
                    }
                }
            }
            if log.state().open != Some(number) {
                break;
            }
            if began.elapsed() >= patient {
                let why = "no replica decided it in time: is any alive?".to_owned();
                let at = Micros::now().to_the_second();
                let by = "who proposed it".to_owned();
                self.place.decide(number, Decision { commit: false, by, why, at })?;
                continue;
            }
            std::thread::sleep(often);
        }
        let decision = log.decision(number).cloned();
        decision.iter().for_each(|decision| told(Progress::Decided(decision.clone())));
        let counts = decision.as_ref().is_none_or(|decision| decision.commit);
        let (followed, behind) = if counts || canaries.is_some() {
            self.followed(&mut log, counts, told)?
        } else {
            (Vec::new(), Vec::new())
        };
        if canaries.is_some() {
            // The last one may have come with the decision.
            self.place.verdicts(number, &mut verdicts)?;
        }
        let said = votes.into_iter().chain(verdicts);
        let refused = said.filter(|(_, vote)| !vote.ok).map(|(name, _)| name).collect();
        let plugin_set = log.state().set;
        Ok(Outcome { number, decision, refused, plugin_set, followed, behind })
    }

    /// Waits until every live replica is where the log is, and returns who is, and who is not in time. What does not
    /// count is followed by nobody: those who tried it out are waited for.
    fn followed(
        &self,
        log: &mut Log,
        counts: bool,
        mut told: impl FnMut(Progress),
    ) -> Result<(Vec<String>, Vec<String>), FleetError> {
        let (often, patience) = self.often_and_patience();
        let (began, mut followed) = (Instant::now(), Vec::new());
        loop {
            self.place.catch_up(log)?;
            let effect = log.state().effect;
            let replicas = self.replicas()?;
            let live = self.live(&replicas);
            let of_live = replicas.into_iter().filter(|replica| live.contains(&replica.name));
            // Who has tried in vain has it beside what runs until it has seen that.
            let is_there =
                |replica: &Replica| replica.entry == effect && (counts || replica.canary.is_none());
            let (there, waited): (Vec<_>, Vec<_>) = of_live.partition(is_there);
            for replica in there.iter().filter(|_| counts) {
                if !followed.contains(&replica.name) {
                    told(Progress::Followed(replica.name.clone()));
                }
            }
            followed = there.into_iter().map(|replica| replica.name).collect();
            let behind: Vec<String> = waited.into_iter().map(|replica| replica.name).collect();
            if behind.is_empty() || began.elapsed() >= patience {
                return Ok((followed, behind));
            }
            std::thread::sleep(often);
        }
    }

    /// How often it is looked, and how long it is waited: replicas see it later than who asked.
    pub(super) fn often_and_patience(&self) -> (Duration, Duration) {
        let swap = &self.pipeline.swap;
        let often = (swap.fleet_interval / 5).max(Duration::from_millis(50));
        (often, swap.fleet_deadline + swap.fleet_interval * GONE_AFTER)
    }
}

/// Looks, and returns what is new among what replicas say.
fn news(
    said: &mut BTreeMap<String, Vote>,
    look: impl FnOnce(&mut BTreeMap<String, Vote>) -> Result<(), FleetError>,
) -> Result<Vec<(String, Vote)>, FleetError> {
    let before: BTreeSet<String> = said.keys().cloned().collect();
    look(said)?;
    let new = said.iter().filter(|(name, _)| !before.contains(*name));
    Ok(new.map(|(name, vote)| (name.clone(), vote.clone())).collect())
}
