//! Where the replicas of a fleet meet: objects are created, read and listed there, and none is written twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::runtime::Handle;

use super::error::FleetError;
use super::log::Log;
use super::objects::{
    Canaries, Decision, Entry, FOR_ROLLBACKS, Life, MAX_BYTES, MAX_ENTRIES, MAX_REPLICAS,
    Malformed, Object, Vote, is_name, life_name, life_of,
};
use clickmill_core::{Micros, folder};

/// Requests that are under way at once.
const AT_ONCE: usize = 16;
/// Entries of a log that are read at once where many are new.
const MOST_AHEAD: u64 = 32;

/// The place of one pipeline's fleet.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    store: Arc<dyn ObjectStore>,
    uri: String,
    runtime: Handle,
}

/// The newest sign of life of a replica.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sign {
    /// Which one.
    pub number: u64,
    /// When it was written, by the store's clock.
    pub at: Micros,
}

impl Place {
    /// The place of a pipeline in that of its fleets. Nothing is asked of it yet.
    pub(crate) fn open(fleet: &str, pipeline: &str, runtime: &Handle) -> Result<Self, FleetError> {
        let uri = Self::uri_of(fleet, pipeline);
        let (store, _) = folder::open(&uri).map_err(FleetError::Open)?;
        Ok(Self { store, uri, runtime: runtime.clone() })
    }

    /// The URI of a pipeline's place.
    pub(crate) fn uri_of(fleet: &str, pipeline: &str) -> String {
        format!("{}/{pipeline}", fleet.trim_end_matches('/'))
    }

    #[cfg(test)]
    pub(crate) fn over(store: Arc<dyn ObjectStore>, runtime: &Handle) -> Self {
        Self { store, uri: "memory".to_owned(), runtime: runtime.clone() }
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Reads what is new in the log, and what was decided.
    pub(crate) fn catch_up(&self, log: &mut Log) -> Result<(), FleetError> {
        self.runtime.block_on(async {
            let mut ahead = 1;
            loop {
                let first = log.last() + 1;
                if first > MAX_ENTRIES {
                    break;
                }
                // What somebody wrote behind the last is read by none, wherever they begin.
                let numbers = first..(first + ahead).min(MAX_ENTRIES + 1);
                let read = numbers.map(|number| async move {
                    let entry = self.get::<Entry>(&entry_path(number)).await?;
                    let decision = match &entry {
                        Some(Entry::Proposal(_)) => self.decision(number).await?,
                        Some(Entry::Rollback(_)) | None => None,
                    };
                    Ok::<_, FleetError>((number, entry, decision))
                });
                let mut read = stream::iter(read).buffered(AT_ONCE);
                let mut is_end = false;
                while let Some((number, entry, decision)) = read.try_next().await? {
                    let Some(entry) = entry else {
                        is_end = true;
                        break;
                    };
                    log.push(entry);
                    if let Some(decision) = decision {
                        log.decide(number, decision);
                    }
                }
                if is_end {
                    break;
                }
                ahead = (ahead * 2).min(MOST_AHEAD);
            }
            while let Some(open) = log.state().open {
                let Some(decision) = self.decision(open).await? else { break };
                log.decide(open, decision);
            }
            Ok(())
        })
    }

    /// What was decided of a proposal. What says nothing is no commit, and not waited for.
    async fn decision(&self, number: u64) -> Result<Option<Decision>, FleetError> {
        match self.get(&decision_path(number)).await {
            Err(FleetError::Malformed { .. }) => Ok(Some(Decision {
                commit: false,
                by: "nobody".to_owned(),
                why: "what was written in place of the decision cannot be read".to_owned(),
                at: String::new(),
            })),
            read => read,
        }
    }

    /// Creates the entry of a number. `false` where another was first.
    pub(crate) fn enter(&self, number: u64, entry: Entry) -> Result<bool, FleetError> {
        let most = match &entry {
            Entry::Proposal(_) => MAX_ENTRIES - FOR_ROLLBACKS,
            Entry::Rollback(_) => MAX_ENTRIES,
        };
        if number > most {
            return Err(FleetError::Full { uri: self.uri.clone() });
        }
        let path = entry_path(number);
        if self.create(&path, entry.clone())? {
            return Ok(true);
        }
        // The answer to a try may have been lost: what is there may be ours.
        Ok(self.runtime.block_on(self.get::<Entry>(&path))? == Some(entry))
    }

    /// Creates the decision of a proposal. `false` where another was first.
    pub(crate) fn decide(&self, number: u64, decision: Decision) -> Result<bool, FleetError> {
        self.create(&decision_path(number), decision)
    }

    /// Creates a replica's vote. `false` where there is one.
    pub(crate) fn vote(&self, number: u64, replica: &str, vote: Vote) -> Result<bool, FleetError> {
        self.create(&votes_path(number).join(format!("{replica}.json")), vote)
    }

    /// Adds the votes on a proposal that are new. One that says nothing is no ok.
    pub(crate) fn votes(
        &self,
        number: u64,
        known: &mut BTreeMap<String, Vote>,
    ) -> Result<(), FleetError> {
        self.said(&votes_path(number), known)
    }

    /// Names who tries a proposal out. `false` where another was first.
    pub(crate) fn name(&self, number: u64, canaries: Canaries) -> Result<bool, FleetError> {
        self.create(&canaries_path(number), canaries)
    }

    /// The replicas that try a proposal out, once they are named. What cannot be read names none.
    pub(crate) fn canaries(&self, number: u64) -> Result<Option<BTreeSet<String>>, FleetError> {
        match self.runtime.block_on(self.get::<Canaries>(&canaries_path(number))) {
            Err(FleetError::Malformed { .. }) => Ok(Some(BTreeSet::new())),
            read => Ok(read?.map(|canaries| canaries.replicas)),
        }
    }

    /// Creates what a replica says of a proposal that it has tried out. `false` where it has said it.
    pub(crate) fn conclude(
        &self,
        number: u64,
        replica: &str,
        verdict: Vote,
    ) -> Result<bool, FleetError> {
        self.create(&verdicts_path(number).join(format!("{replica}.json")), verdict)
    }

    /// Adds what those say that have tried a proposal out, where it is new. What says nothing is no ok.
    pub(crate) fn verdicts(
        &self,
        number: u64,
        known: &mut BTreeMap<String, Vote>,
    ) -> Result<(), FleetError> {
        self.said(&verdicts_path(number), known)
    }

    /// Adds what replicas say, each by its name in a folder.
    fn said(&self, folder: &Path, known: &mut BTreeMap<String, Vote>) -> Result<(), FleetError> {
        self.runtime.block_on(async {
            let listed = self.list(folder, MAX_REPLICAS).await?;
            let names: BTreeSet<String> = listed
                .iter()
                .filter_map(|(name, _)| name.strip_suffix(".json"))
                .filter(|name| is_name(name) && !known.contains_key(*name))
                .map(str::to_owned)
                .collect();
            let read = names.into_iter().map(|name| async move {
                let path = folder.clone().join(format!("{name}.json"));
                let vote = match self.get::<Vote>(&path).await {
                    Err(FleetError::Malformed { .. }) => {
                        let why = "what was written in place of its vote cannot be read".to_owned();
                        Some(Vote { ok: false, why })
                    }
                    read => read?,
                };
                Ok::<_, FleetError>((name, vote))
            });
            let mut read = stream::iter(read).buffered(AT_ONCE);
            while let Some((name, vote)) = read.try_next().await? {
                known.extend(vote.map(|vote| (name, vote)));
            }
            Ok(())
        })
    }

    /// The newest sign of life of each replica.
    pub(crate) fn signs(&self) -> Result<BTreeMap<String, Sign>, FleetError> {
        // Of a replica there are three while it writes one.
        let listed = self.runtime.block_on(self.list(&lives_path(), 3 * MAX_REPLICAS))?;
        let mut signs = BTreeMap::<String, Sign>::new();
        for (name, at) in listed {
            let Some((replica, number)) = life_of(&name) else { continue };
            let sign = signs.entry(replica.to_owned()).or_insert(Sign { number, at });
            if number > sign.number {
                *sign = Sign { number, at };
            }
        }
        Ok(signs)
    }

    /// What the newest signs of life say. One that is gone by now, or says nothing, is left out.
    pub(crate) fn lives(
        &self,
        signs: &BTreeMap<String, Sign>,
    ) -> Result<BTreeMap<String, Life>, FleetError> {
        self.runtime.block_on(async {
            let read = signs.iter().map(|(replica, sign)| async move {
                match self.get::<Life>(&life_path(replica, sign.number)).await {
                    Err(FleetError::Malformed { .. }) => Ok(None),
                    read => Ok::<_, FleetError>(read?.map(|life| (replica.clone(), life))),
                }
            });
            let read: Vec<_> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
            Ok(read.into_iter().flatten().collect())
        })
    }

    /// Gives a sign of life.
    pub(crate) fn live(&self, replica: &str, number: u64, life: Life) -> Result<(), FleetError> {
        if !self.create(&life_path(replica, number), life)? {
            let (replica, uri) = (replica.to_owned(), self.uri.clone());
            return Err(FleetError::Taken { replica, uri });
        }
        Ok(())
    }

    /// Removes a sign of life.
    pub(crate) fn forget(&self, replica: &str, number: u64) -> Result<(), FleetError> {
        let path = life_path(replica, number);
        match self.runtime.block_on(self.store.delete(&path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.failed(format!("remove `{path}`"), source)),
        }
    }

    /// Removes all signs of life of a replica, the newest last: until then none of the others is taken for it.
    pub(crate) fn forget_all(&self, replica: &str) -> Result<(), FleetError> {
        let listed = self.runtime.block_on(self.list(&lives_path(), 3 * MAX_REPLICAS))?;
        let signs = listed.iter().filter_map(|(name, _)| life_of(name));
        let mut numbers: Vec<u64> =
            signs.filter(|(name, _)| *name == replica).map(|(_, number)| number).collect();
        numbers.sort_unstable();
        numbers.into_iter().try_for_each(|number| self.forget(replica, number))
    }

    fn create<T: Object>(&self, path: &Path, object: T) -> Result<bool, FleetError> {
        let written = object.written();
        let bytes = written.map_err(|source| {
            let path = path.to_string();
            FleetError::Unwritable { path, source }
        })?;
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(path, Bytes::from(bytes).into(), create);
        match self.runtime.block_on(put) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(source) => Err(self.failed(format!("create `{path}`"), source)),
        }
    }

    async fn get<T: Object>(&self, path: &Path) -> Result<Option<T>, FleetError> {
        let malformed = |source| {
            let (path, uri) = (path.to_string(), self.uri.clone());
            FleetError::Malformed { path, uri, source }
        };
        let failed = |source| self.failed(format!("read `{path}`"), source);
        match self.store.get(path).await {
            Ok(got) if got.meta.size > MAX_BYTES => Err(malformed(Malformed::Bounds("size"))),
            Ok(got) => {
                let bytes = got.bytes().await.map_err(failed)?;
                T::read(&bytes).map(Some).map_err(malformed)
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    /// The names in a folder, each with when it was written.
    async fn list(&self, folder: &Path, most: usize) -> Result<Vec<(String, Micros)>, FleetError> {
        let listed = self.store.list(Some(folder)).take(most + 1).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|source| self.failed(format!("list `{folder}`"), source))?;
        if listed.len() > most {
            return Err(FleetError::Crowded { uri: self.uri.clone() });
        }
        let named = listed.into_iter().filter_map(|meta| {
            let at = SystemTime::from(meta.last_modified).duration_since(SystemTime::UNIX_EPOCH);
            let at = at.map_or(0, |since| since.as_micros() as i64);
            Some((meta.location.filename()?.to_owned(), Micros::from(at)))
        });
        Ok(named.collect())
    }

    fn failed(&self, what: String, source: object_store::Error) -> FleetError {
        FleetError::Store { what, uri: self.uri.clone(), source }
    }
}

fn entry_path(number: u64) -> Path {
    Path::from("log").join(format!("{number:06}.json"))
}

fn decision_path(number: u64) -> Path {
    Path::from("decisions").join(format!("{number:06}.json"))
}

fn votes_path(number: u64) -> Path {
    Path::from("votes").join(format!("{number:06}"))
}

fn canaries_path(number: u64) -> Path {
    Path::from("canaries").join(format!("{number:06}.json"))
}

fn verdicts_path(number: u64) -> Path {
    Path::from("verdicts").join(format!("{number:06}"))
}

fn lives_path() -> Path {
    Path::from("replicas")
}

fn life_path(replica: &str, number: u64) -> Path {
    lives_path().join(life_name(replica, number))
}

#[cfg(test)]
mod tests;
