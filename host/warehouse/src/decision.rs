//! How a load into Cloud Storage comes to pass, where no lock tells which runs are alive: any number of
//! them may be at the same object, and one of them is decided for.
//!
//! ```text
//! <warehouse>/_staging/<load id>/<attempt>/{rows,dead_letters,entry}.parquet   a run's own
//! <warehouse>/_staging/<load id>/decision.json                                 the object's
//! ```
//!
//! Step by step. What if the run is killed right here, what if another does the same now?
//!
//! 1. The decision is read, and then the ledger is asked. With an entry the load has happened, and with a
//!    decision it goes on with 5, whoever decided. Otherwise the run loads the object. Killed: nothing
//!    was done. Another: it loads the object too, which costs time, and no more.
//! 2. Rows, letters and the ledger's entry are written to a folder whose name is drawn at random. Killed:
//!    the folder lies there until the load has happened. Another: it has a folder of its own.
//! 3. The decision is created, where there is none: the list of moves that are to be made, the ledger's
//!    entry last. Killed: whoever comes to 1 or 3 next makes the moves, or whoever clears up an hour
//!    later. Another: the store creates one of the two, and both go on with the one that is there.
//! 4. The decision is read back, and then the ledger is asked, as in 1. With an entry the load had
//!    happened before 3, and a decision made since is void. Killed: it stays void, since everybody asks
//!    the ledger.
//! 5. The moves are made: each is a copy to where nothing is yet. Killed: the next one makes them all,
//!    and finds some made. Another: it copies the same bytes to the same places. What is to be copied is
//!    gone where another has come to 7, and then the entry is there. Without an entry somebody has removed
//!    it, by hand or by age between 2 and 3: nobody can make that move, and the object is loaded anew. The
//!    next decision replaces this one, as it does one that is damaged: of those that come to it at once the
//!    store takes one. What was moved already may then be there twice, which the view tells.
//! 6. The last move is the entry. From here on the load has happened.
//! 7. The load's staging folder is removed, the decision last. Killed: some of it lies there, and is in
//!    nobody's way. Another that is at 2 or 3 loses its files: its load is void anyway.
//!
//! Why 5 is right: a decision that can be carried out is never replaced, and removed only once the ledger
//! has an entry; and entries stay. So who reads such a decision, and *after that* finds no entry, has read
//! the only one there ever was.
//!
//! No file of a table is ever removed here.

use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use serde::{Deserialize, Serialize};

use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_tables::ledger::{Committed, TABLE};

/// The decision's name in its load's staging folder.
const DECISION: &str = "decision.json";
/// The ledger's entry in the making.
const ENTRY: &str = "entry.parquet";

/// What is to be done for a load to have happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Decision {
    /// From where to where, in this order.
    moves: Vec<(String, String)>,
}

impl Decision {
    /// Whether a load may have decided so: it moves what is its own, and its entry last.
    fn is_of(&self, staging: &Path, id: &str) -> bool {
        let (own, entry) = (format!("{staging}/"), format!("/{TABLE}/{id}.parquet"));
        let is_path = |path: &str| Path::parse(path).is_ok();
        self.moves.iter().all(|(from, to)| from.starts_with(&own) && is_path(from) && is_path(to))
            && self.moves.last().is_some_and(|(_, to)| to.ends_with(&entry))
    }
}

/// What there is as a load's decision.
struct Standing {
    /// None where it is damaged.
    decision: Option<Decision>,
    /// What it is replaced by.
    version: UpdateVersion,
}

/// Whether a file of the staging folder is a load's decision.
pub(super) fn is_decision(path: &Path) -> bool {
    path.filename() == Some(DECISION)
}

impl Warehouse {
    /// Whether a load has happened. One that is decided happens now.
    pub(super) async fn happened(
        &self,
        id: &str,
        target: &TableName,
    ) -> Result<bool, WarehouseError> {
        let standing = self.decision(id).await?;
        let happened = self.settle(id, target, standing.as_ref()).await?;
        if happened && standing.is_some() {
            self.remove_decided(id).await;
        }
        Ok(happened)
    }

    /// Stages a ledger's entry, and returns what is to be decided: the moves of the files given, and of
    /// the entry.
    pub(super) async fn plan(
        &self,
        id: &str,
        target: &TableName,
        staging: &Path,
        files: Vec<(Path, Path)>,
        entry: Vec<u8>,
    ) -> Result<Decision, WarehouseError> {
        let staged = staging.clone().join(ENTRY);
        let put = self.store.put(&staged, entry.into()).await;
        put.map_err(|source| self.failed(format!("write `{staged}`"), source))?;
        let moves = files.into_iter().chain([(staged, self.ledger_path(id, target))]);
        let moves = moves.map(|(from, to)| (from.to_string(), to.to_string())).collect();
        Ok(Decision { moves })
    }

    /// Decides for a load, unless another is decided for, and makes the moves of the one that is.
    /// `entry` is that of the load given.
    pub(super) async fn decide(
        &self,
        id: &str,
        target: &TableName,
        decision: &Decision,
        entry: &[u8],
    ) -> Result<Committed, WarehouseError> {
        // Not what was swept meanwhile: nobody could make its moves.
        if self.is_staged(decision).await? {
            self.propose(id, decision).await?;
        }
        // Ours as well: the answer to an earlier try may have been lost.
        let standing = self.decision(id).await?;
        let path = self.ledger_path(id, target);
        if !self.settle(id, target, standing.as_ref()).await? {
            let source = "it was removed, and the load has not happened: run again".into();
            let gone = Error::NotFound { path: self.decision_path(id).to_string(), source };
            return Err(self.failed(format!("write `{path}`"), gone));
        }
        let got = async { self.store.get(&path).await?.bytes().await };
        let entered = got.await.map_err(|source| self.failed(format!("read `{path}`"), source))?;
        self.remove_decided(id).await;
        // An entry says to the microsecond when its load began and ended.
        Ok(if *entered == *entry { Committed::Now } else { Committed::ByAnother })
    }

    /// Whether all is there that moves are made from.
    async fn is_staged(&self, decision: &Decision) -> Result<bool, WarehouseError> {
        for (from, _) in &decision.moves {
            if !self.is_there(from).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn is_there(&self, path: &str) -> Result<bool, WarehouseError> {
        let failed = |source| self.failed(format!("look for `{path}`"), source);
        match self.store.head(&Path::parse(path).map_err(|error| failed(error.into()))?).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(failed(source)),
        }
    }

    /// Decides for a load, where nothing else is decided that can be carried out.
    async fn propose(&self, id: &str, decision: &Decision) -> Result<(), WarehouseError> {
        if self.put_decision(id, decision, PutMode::Create).await? {
            return Ok(());
        }
        // Where there is none any more, the load has happened.
        let Some(standing) = self.decision(id).await? else { return Ok(()) };
        if let Some(standing) = &standing.decision
            && !self.is_void(standing).await?
        {
            return Ok(());
        }
        self.put_decision(id, decision, PutMode::Update(standing.version)).await?;
        Ok(())
    }

    /// Writes a decision, unless another has: then it returns false.
    async fn put_decision(
        &self,
        id: &str,
        decision: &Decision,
        mode: PutMode,
    ) -> Result<bool, WarehouseError> {
        let path = self.decision_path(id);
        let json = PutPayload::from(serde_json::to_vec(decision).unwrap_or_default());
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&path, json, options).await {
            Ok(_) => Ok(true),
            Err(
                Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. },
            ) => Ok(false),
            Err(source) => Err(self.failed(format!("write `{path}`"), source)),
        }
    }

    /// Whether something is neither where it is to be moved from nor where it is to be moved to.
    async fn is_void(&self, decision: &Decision) -> Result<bool, WarehouseError> {
        for (from, to) in &decision.moves {
            if !self.is_there(from).await? && !self.is_there(to).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What there is as the decision of a load, if anything.
    async fn decision(&self, id: &str) -> Result<Option<Standing>, WarehouseError> {
        let path = self.decision_path(id);
        let failed = |source| self.failed(format!("read `{path}`"), source);
        let got = match self.store.get(&path).await {
            Ok(got) => got,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let (e_tag, version) = (got.meta.e_tag.clone(), got.meta.version.clone());
        let bytes = got.bytes().await.map_err(failed)?;
        let decision = serde_json::from_slice::<Decision>(&bytes).ok();
        let decision = decision.filter(|decision| decision.is_of(&self.staging(id), id));
        if decision.is_none() {
            tracing::warn!(load = id, file = %path, "a load's decision is damaged: it is loaded anew");
        }
        Ok(Some(Standing { decision, version: UpdateVersion { e_tag, version } }))
    }

    /// Whether a load has happened, whose decision was read *before* this is asked: its moves are made.
    async fn settle(
        &self,
        id: &str,
        target: &TableName,
        standing: Option<&Standing>,
    ) -> Result<bool, WarehouseError> {
        if self.has_entry(id, target).await? {
            return Ok(true);
        }
        let Some(decision) = standing.and_then(|standing| standing.decision.as_ref()) else {
            return Ok(false);
        };
        for (from, to) in &decision.moves {
            let failed = |source| self.failed(format!("publish `{to}`"), source);
            let path = |text: &str| Path::parse(text).map_err(|error| failed(error.into()));
            match self.store.copy_if_not_exists(&path(from)?, &path(to)?).await {
                Ok(()) | Err(Error::AlreadyExists { .. }) => {}
                Err(source) => {
                    let gone = matches!(source, Error::NotFound { .. });
                    // Another has made all moves, and cleared up.
                    if gone && self.has_entry(id, target).await? {
                        return Ok(true);
                    }
                    if !gone {
                        return Err(failed(source));
                    }
                    if self.is_there(to).await? {
                        continue;
                    }
                    tracing::warn!(
                        load = id,
                        file = from,
                        "a decided load's file is gone: it is void"
                    );
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Ends a load that was decided for and interrupted, and removes what is left of one that had ended.
    pub(super) async fn end_decided(&self, id: &str) -> Result<(), WarehouseError> {
        let Some(standing) = self.decision(id).await? else { return Ok(()) };
        let entry = standing.decision.as_ref().and_then(|decision| decision.moves.last());
        // A decision's last move is the ledger's entry, which is beside the table.
        let mut folders = entry.map(|(_, entry)| entry.split('/')).into_iter().flatten();
        let [Some(dataset), Some(table), Some(_), None] = [(); 4].map(|()| folders.next()) else {
            return Ok(());
        };
        let ledger = TableName { dataset: dataset.to_owned(), table: table.to_owned() };
        if self.settle(id, &ledger, Some(&standing)).await? {
            self.remove_decided(id).await;
        }
        Ok(())
    }

    /// Removes what a load that has happened has in the staging folder. What stays is in nobody's way.
    async fn remove_decided(&self, id: &str) {
        let decision = self.decision_path(id);
        for file in self.list(&self.staging(id)).await.unwrap_or_default() {
            if file.location != decision {
                let _ = self.store.delete(&file.location).await;
            }
        }
        // Last: as long as it is there, somebody may come to clear up the rest.
        let _ = self.store.delete(&decision).await;
    }

    fn decision_path(&self, id: &str) -> Path {
        self.staging(id).join(DECISION)
    }
}

#[cfg(test)]
mod tests;
