//! A fleet as its operator has it: looked at, given a proposal, told to go back. What is asked is written to the fleet's
//! place: no replica is called, and none has to be reached.

mod outcome;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::error::FleetError;
use super::follow::{keep, made, opened};
use super::log::Log;
use super::objects::{Canary, Decision, Entry, Proposal, Rollback, Vote};
use super::place::Place;
use super::propose_error::ProposeError;
use super::standing::{GONE_AFTER, Replica, Watch};
use crate::build::{BuildError, Options, chain};
use crate::swap::gate::{self, SwapRefused};
use crate::threads::Runtime;
use crate::versions::workers::{Slices, Workers};
use clickmill_config::Pipeline;
use clickmill_core::{Digest, Micros, lock};
use clickmill_sandbox::{Change, ChangeError, Golden, Library};

/// Entries that are told.
const LAST: u64 = 10;

/// What is waited for is told after so long.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// A pipeline's fleet.
pub struct Fleet {
    pipeline: Pipeline,
    place: Place,
    runtime: Runtime,
    watch: Mutex<Watch>,
}

/// What is asked of a fleet.
#[derive(Debug, Clone, Default)]
pub struct Proposed {
    /// Who asks.
    pub actor: String,
    /// What they say about it.
    pub note: String,
    /// The stages of the pipeline file, in place of changes: each replica reads its own.
    pub file: bool,
    /// What is to be different.
    pub changes: Vec<Change>,
    /// Golden cases, by stage. They are run here.
    pub golden: Vec<(String, Golden)>,
    /// With what part of the replicas, or of their batches, it begins; as the pipeline file says where absent.
    pub canary: Option<Canary>,
}

/// How a fleet stands.
#[derive(Debug, Clone)]
pub struct FleetStatus {
    /// Where it is.
    pub uri: String,
    /// The proposal that is in effect; 0 where none is.
    pub entry: u64,
    /// Its plugin set; `None` where the pipeline file counts.
    pub plugin_set: Option<Digest>,
    /// The proposal that is voted on.
    pub open: Option<u64>,
    /// The votes on that, by replica.
    pub votes: BTreeMap<String, Vote>,
    /// The replicas that try it out, each with what it says of it in the end.
    pub canaries: BTreeMap<String, Option<Vote>>,
    /// The last entries of the log, each with what was decided.
    pub log: Vec<(u64, Entry, Option<Decision>)>,
    /// Replicas, by name.
    pub replicas: Vec<Replica>,
    /// Those of them that are not gone.
    pub live: BTreeSet<String>,
}

/// What was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolledBack {
    /// What was in effect, by the entry of this number.
    Effect(u64),
    /// The proposal of this number, which some replicas tried out, or which was voted on with nothing in effect before.
    Trial(u64),
}

/// What becomes of something that was asked.
#[derive(Debug, Clone)]
pub enum Progress {
    /// A replica has voted.
    Voted(String, Vote),
    /// These replicas try it out.
    TriedOut(Vec<String>),
    /// One of them has done so.
    Concluded(String, Vote),
    /// It is decided.
    Decided(Decision),
    /// A replica has followed.
    Followed(String),
}

/// What became of something that was asked.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its number in the log.
    pub number: u64,
    /// What was decided; a rollback needs no decision.
    pub decision: Option<Decision>,
    /// Replicas that voted against it, or gave it up.
    pub refused: Vec<String>,
    /// The set that is in effect now.
    pub plugin_set: Option<Digest>,
    /// Live replicas that have followed.
    pub followed: Vec<String>,
    /// Those that have not in time.
    pub behind: Vec<String>,
}

impl Fleet {
    /// The fleet of a pipeline. Nothing is asked of it yet.
    pub fn open(pipeline: Pipeline) -> Result<Self, ProposeError> {
        let runtime = Runtime::new().map_err(BuildError::Runtime)?;
        let fleet = pipeline.swap.fleet.as_ref().ok_or(ProposeError::NoFleet)?;
        let place = Place::open(fleet, &pipeline.name, runtime.handle())?;
        Ok(Self { pipeline, place, runtime, watch: Mutex::default() })
    }

    /// How it stands.
    pub fn status(&self) -> Result<FleetStatus, FleetError> {
        let log = self.log()?;
        let state = log.state();
        let (mut votes, mut canaries) = (BTreeMap::new(), BTreeMap::new());
        if let Some(open) = state.open {
            self.place.votes(open, &mut votes)?;
            let mut verdicts = BTreeMap::new();
            let named = self.place.canaries(open)?.unwrap_or_default();
            if !named.is_empty() {
                self.place.verdicts(open, &mut verdicts)?;
            }
            canaries =
                named.into_iter().map(|name| (name.clone(), verdicts.remove(&name))).collect();
        }
        let first = log.last().saturating_sub(LAST - 1).max(1);
        let told = (first..=log.last()).filter_map(|number| {
            Some((number, log.entry(number)?.clone(), log.decision(number).cloned()))
        });
        let replicas = self.replicas()?;
        Ok(FleetStatus {
            uri: self.place.uri().to_owned(),
            entry: state.effect,
            plugin_set: state.set,
            open: state.open,
            votes,
            canaries,
            log: told.collect(),
            live: self.live(&replicas),
            replicas,
        })
    }

    /// What is proposed and what runs, for changes of stages: the set that is to be changed.
    pub fn base(&mut self, options: &Options) -> Result<Library, ProposeError> {
        let file = self.file(options)?;
        match self.parent(&self.log()?)? {
            (Some(set), true) => {
                let sets = opened(&self.place, &set)?;
                Ok(made(&self.place, &sets, &file, &set)?)
            }
            (Some(theirs), false) if theirs != *file.digest() => {
                Err(ProposeError::OtherFile { theirs, ours: file.digest().clone() })
            }
            (Some(_) | None, _) => Ok(file),
        }
    }

    /// Proposes another set in place of `base`. Returns the number of the proposal.
    pub fn propose(
        &mut self,
        options: &Options,
        base: Option<Library>,
        proposed: Proposed,
    ) -> Result<u64, ProposeError> {
        let log = self.log()?;
        self.closed(&log)?;
        let library = match &base {
            Some(base) => base.with(proposed.changes).map_err(SwapRefused::from)?,
            None => self.file(options)?,
        };
        let parent = match (self.parent(&log)?.0, &base) {
            // It would take back what was committed while a crate was built, say.
            (Some(plugin_set), Some(base)) if plugin_set != *base.digest() => {
                return Err(ProposeError::Overtaken { plugin_set });
            }
            (Some(parent), _) => parent,
            (None, Some(base)) => base.digest().clone(),
            (None, None) => library.digest().clone(),
        };
        let plugin_set = library.digest().clone();
        if plugin_set == parent {
            return Err(SwapRefused::from(ChangeError::Nothing { plugin_set }).into());
        }
        let workers = Workers::default();
        gate::golden(&library, &proposed.golden, &mut Slices::beside(&workers))?;
        keep(&opened(&self.place, &plugin_set)?, &library)?;
        let entry = Entry::Proposal(Proposal {
            after: log.state().effect,
            parent,
            plugin_set,
            actor: proposed.actor,
            note: proposed.note,
            at: Micros::now().to_the_second(),
            canary: proposed.canary.or_else(|| Canary::of_config(&self.pipeline.swap)),
        });
        self.enter(&log, entry)
    }

    /// Takes back what some replicas try out, or else what is in effect, everywhere; with an `entry`, what is in effect
    /// by that and no other. A proposal that is open is given up all the same.
    ///
    /// # Errors
    ///
    /// [`ProposeError::GoneAlready`] where no entry is named and the last thing that was seen of the fleet is that a set
    /// was given up: then what is in effect is not what somebody means who was too late.
    pub fn roll_back(
        &self,
        actor: &str,
        reason: &str,
        entry: Option<u64>,
    ) -> Result<RolledBack, ProposeError> {
        let mut log = self.log()?;
        if entry.is_some() {
            in_effect(&log, entry)?;
        }
        if let Some(number) = log.state().open {
            let is_tried_out = self.place.canaries(number)?.is_some();
            let why = match (is_tried_out, reason) {
                (true, "") => "its canary is taken back",
                (true, reason) => reason,
                (false, _) => "what runs is taken back",
            };
            let (by, at) = (actor.to_owned(), Micros::now().to_the_second());
            let decision = Decision { commit: false, by, why: why.to_owned(), at };
            self.place.decide(number, decision)?;
            self.place.catch_up(&mut log)?;
            // Whoever gave it up first: what is in effect was not meant.
            let is_committed = log.decision(number).is_some_and(|decision| decision.commit);
            let was_meant = is_tried_out || log.state().effect == 0;
            if was_meant && !is_committed && entry.is_none() {
                return Ok(RolledBack::Trial(number));
            }
        } else if entry.is_none()
            && let Some(number) = log.gone_already()
        {
            return gone_already(&log, number);
        }
        let of = in_effect(&log, entry)?;
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        let at = Micros::now().to_the_second();
        self.enter(&log, Entry::Rollback(Rollback { of, actor, reason, at }))
            .map(RolledBack::Effect)
    }

    /// Runs something of the object stores.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// How large a component may be, in bytes.
    pub fn max_component_bytes(&self) -> usize {
        self.pipeline.swap.components.max_bytes
    }

    fn log(&self) -> Result<Log, FleetError> {
        let mut log = Log::default();
        self.place.catch_up(&mut log)?;
        Ok(log)
    }

    fn file(&mut self, options: &Options) -> Result<Library, BuildError> {
        chain::library(&mut self.pipeline, options)
    }

    /// The replicas, by name, once it is sure which of them are gone.
    fn replicas(&self) -> Result<Vec<Replica>, FleetError> {
        let (often, _) = self.often_and_patience();
        let gone = self.pipeline.swap.fleet_interval * GONE_AFTER;
        let mut untold = Some(Instant::now());
        loop {
            let (replicas, is_sure) = lock(&self.watch).look(&self.place, gone)?;
            if is_sure {
                return Ok(replicas);
            }
            if untold.take_if(|began| began.elapsed() >= TOLD_AFTER).is_some() {
                let silent = replicas.iter().filter(|replica| replica.age >= gone);
                let replicas = silent.map(|replica| replica.name.as_str());
                let replicas = replicas.collect::<Vec<_>>().join(", ");
                let at_most = format!("{} s", gone.as_secs_f64());
                tracing::info!(
                    replicas,
                    at_most,
                    "these seem gone: waiting for another sign of life of the others to be sure"
                );
            }
            std::thread::sleep(often);
        }
    }

    /// Those that are not silent for so long.
    fn live(&self, replicas: &[Replica]) -> BTreeSet<String> {
        let gone = self.pipeline.swap.fleet_interval * GONE_AFTER;
        let live = replicas.iter().filter(|replica| replica.age < gone);
        live.map(|replica| replica.name.clone()).collect()
    }

    /// The set that runs, and whether it is one that was committed. `None` where no replica is there yet.
    fn parent(&self, log: &Log) -> Result<(Option<Digest>, bool), ProposeError> {
        if let Some(set) = log.state().set {
            return Ok((Some(set), true));
        }
        let replicas = self.replicas()?;
        let live = self.live(&replicas);
        let running: BTreeSet<Digest> = replicas
            .into_iter()
            .filter(|replica| live.contains(&replica.name))
            .map(|replica| replica.plugin_set)
            .collect();
        if running.len() > 1 {
            let sets = running.iter().map(|set| set.short().to_string()).collect();
            return Err(ProposeError::Mixed { sets });
        }
        Ok((running.into_iter().next(), false))
    }

    fn closed(&self, log: &Log) -> Result<(), ProposeError> {
        let Some(number) = log.state().open else { return Ok(()) };
        let actor = log.proposal(number).map(|open| open.actor.clone()).unwrap_or_default();
        Err(ProposeError::Open { number, actor })
    }

    /// Enters what comes after a log, if nobody was first.
    fn enter(&self, log: &Log, entry: Entry) -> Result<u64, ProposeError> {
        let number = log.last() + 1;
        if self.place.enter(number, entry)? {
            return Ok(number);
        }
        let actor = match self.log()?.entry(number) {
            Some(Entry::Proposal(proposal)) => proposal.actor.clone(),
            Some(Entry::Rollback(rollback)) => rollback.actor.clone(),
            None => String::new(),
        };
        Err(ProposeError::Lost { number, actor })
    }
}

/// The entry that is in effect, where it is this one.
fn in_effect(log: &Log, entry: Option<u64>) -> Result<u64, ProposeError> {
    match (log.state().effect, entry) {
        (0, _) => Err(ProposeError::NothingBefore),
        (effect, Some(entry)) if entry != effect => {
            Err(ProposeError::NotInEffect { entry, effect })
        }
        (effect, _) => Ok(effect),
    }
}

/// That what somebody wants taken back may have gone already.
fn gone_already(log: &Log, number: u64) -> Result<RolledBack, ProposeError> {
    let effect = in_effect(log, None)?;
    let plugin_set = log.state().set.unwrap_or_default();
    let since = log.decision(effect).map(|decision| decision.at.clone()).unwrap_or_default();
    Err(ProposeError::GoneAlready { number, plugin_set, effect, since })
}
