//! Why nothing is proposed to a fleet.

use super::error::FleetError;
use crate::build::BuildError;
use crate::swap::gate::SwapRefused;
use clickmill_core::{Digest, Fault};

/// Why nothing is proposed.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The pipeline file names no fleet.
    #[error(
        "the pipeline file names no fleet: `swap.fleet` does, a folder or `gs://bucket/prefix/`"
    )]
    NoFleet,
    /// The pipeline can't be loaded.
    #[error(transparent)]
    Build(Box<BuildError>),
    /// The fleet can't be read or written.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// A component, a configuration or a golden case is no good.
    #[error(transparent)]
    Refused(Box<SwapRefused>),
    /// Another proposal is voted on.
    #[error("proposal {number} by {actor} is voted on: ask again once it is decided")]
    Open {
        /// Its number.
        number: u64,
        /// Who made it.
        actor: String,
    },
    /// Another was first.
    #[error(
        "another was first: entry {number} is by {actor}, so nothing is proposed. Look what it says, and ask again"
    )]
    Lost {
        /// The entry.
        number: u64,
        /// Who made it.
        actor: String,
    },
    /// What is proposed was made of what ran before another was committed.
    #[error(
        "another was first: the fleet runs plugin set {plugin_set} by now, and what is asked for was made of the one before, so nothing is proposed. Look what it says, and ask again"
    )]
    Overtaken {
        /// What runs by now.
        plugin_set: Digest,
    },
    /// Replicas run several sets, so that there is none to follow.
    #[error("the replicas run several plugin sets, {}: wait until they agree", sets.join(", "))]
    Mixed {
        /// The sets.
        sets: Vec<String>,
    },
    /// The replicas run another pipeline file.
    #[error(
        "the replicas run plugin set {theirs}, and this pipeline file is {ours}: `clickmill fleet swap --pipeline` has them take the file up, or name the file that they run"
    )]
    OtherFile {
        /// What they run.
        theirs: Digest,
        /// What the file is.
        ours: Digest,
    },
    /// Another entry is in effect than the one that is to be taken back.
    #[error("entry {entry} is not in effect, entry {effect} is: `clickmill fleet status` shows it")]
    NotInEffect {
        /// The one that is to be taken back.
        entry: u64,
        /// The one that is in effect.
        effect: u64,
    },
    /// What was to be taken back may have gone already.
    #[error(
        "nothing is tried out: entry {number} came to nothing, or was taken back, already. In effect is plugin set {plugin_set}, by entry {effect} since {since}\nhint: `clickmill fleet rollback PIPELINE.toml --entry {effect}` takes that back"
    )]
    GoneAlready {
        /// The entry that has gone.
        number: u64,
        /// The set that is in effect.
        plugin_set: Digest,
        /// Its entry.
        effect: u64,
        /// When that was committed.
        since: String,
    },
    /// There is nothing to go back to.
    #[error("nothing that the fleet committed is in effect: there is nothing to go back from")]
    NothingBefore,
}

impl ProposeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Build(error) => error.fault(),
            Self::Fleet(error) => error.fault(),
            Self::Refused(error) => error.fault(),
            Self::NoFleet
            | Self::Open { .. }
            | Self::Lost { .. }
            | Self::Overtaken { .. }
            | Self::Mixed { .. }
            | Self::OtherFile { .. }
            | Self::NotInEffect { .. }
            | Self::GoneAlready { .. }
            | Self::NothingBefore => Fault::Input,
        }
    }
}

impl From<BuildError> for ProposeError {
    fn from(error: BuildError) -> Self {
        Self::Build(Box::new(error))
    }
}

impl From<SwapRefused> for ProposeError {
    fn from(error: SwapRefused) -> Self {
        Self::Refused(Box::new(error))
    }
}
