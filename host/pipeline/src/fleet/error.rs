//! Why a fleet's objects can't be read or written, or do not come to what they have to.

use super::objects::{FOR_ROLLBACKS, MAX_ENTRIES, MAX_REPLICAS, Malformed};
use crate::swap::set_store::SetStoreError;
use clickmill_core::store::StoreError;
use clickmill_core::{Digest, Fault, list};

/// What is wrong with a fleet.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The URI names no store.
    #[error("cannot open `swap.fleet`")]
    Open(#[source] StoreError),
    /// The store failed.
    #[error("cannot {what} in the fleet's place `{uri}`")]
    Store {
        /// What was tried.
        what: String,
        /// The place.
        uri: String,
        /// Why it failed.
        source: object_store::Error,
    },
    /// An object is none.
    #[error(
        "`{path}` in the fleet's place `{uri}` is not an entry of this version of clickmill: nothing is decided there until it is; remove it if a stranger wrote it"
    )]
    Malformed {
        /// The object.
        path: String,
        /// The place.
        uri: String,
        /// What is wrong with it.
        source: Malformed,
    },
    /// Something of ours is too much to be written.
    #[error("cannot write `{path}`")]
    Unwritable {
        /// The object.
        path: String,
        /// Why.
        source: Malformed,
    },
    /// The log is full.
    #[error(
        "the fleet's log in `{uri}` is full: it has {MAX_ENTRIES} entries at most, the last {FOR_ROLLBACKS} for rollbacks. Another prefix in `swap.fleet` begins another fleet, with the pipeline file"
    )]
    Full {
        /// The place.
        uri: String,
    },
    /// There are more replicas than one fleet may have.
    #[error(
        "there are signs of life of more than {MAX_REPLICAS} replicas in `{uri}`: those that are no one's have to be removed from its folder `replicas`"
    )]
    Crowded {
        /// The place.
        uri: String,
    },
    /// Another process has this replica's name.
    #[error("another process writes as replica `{replica}` in `{uri}`")]
    Taken {
        /// The name.
        replica: String,
        /// The place.
        uri: String,
    },
    /// What a set is made of can't be had.
    #[error("cannot make plugin set {plugin_set}, which the fleet has committed")]
    Set {
        /// The set.
        plugin_set: Digest,
        /// Why.
        source: Box<SetStoreError>,
    },
    /// What a set is made of can't be put where all have it.
    #[error("cannot keep plugin set {plugin_set} where the fleet has its sets")]
    Keep {
        /// The set.
        plugin_set: Digest,
        /// Why.
        source: Box<SetStoreError>,
    },
    /// The pipeline file makes another set of what was committed.
    #[error(
        "the fleet in `{uri}` runs plugin set {plugin_set}, and with the stages of this pipeline file that is {made}:{list}\nhint: a fleet has one set, so this process does not run another. Have all replicas take a changed pipeline file up by `clickmill fleet swap --pipeline PIPELINE.toml`, or begin another fleet with it, by another prefix in `swap.fleet`", list = list(different)
    )]
    OtherSet {
        /// The place.
        uri: String,
        /// What was committed.
        plugin_set: Digest,
        /// What it comes to here.
        made: Digest,
        /// What is different.
        different: Vec<String>,
    },
    /// The file alone can't count in a fleet.
    #[error(
        "`--forget-swaps` runs the pipeline file's plugins, and the fleet in `{uri}` runs plugin set {plugin_set}: `clickmill fleet rollback` takes that back everywhere"
    )]
    ForgetSwaps {
        /// The place.
        uri: String,
        /// The fleet's set.
        plugin_set: Digest,
    },
}

impl FleetError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::OtherSet { .. } | Self::ForgetSwaps { .. } => Fault::Input,
            Self::Unwritable { .. } => Fault::Bug,
            Self::Set { source, .. } | Self::Keep { source, .. } => source.fault(),
            _ => Fault::Environment,
        }
    }
}
