//! Why dead letters can't be replayed.

use arrow::error::ArrowError;

use crate::context::PublishError;
use crate::swap::set_store::SetStoreError;
use crate::versions::fit::FitError;
use clickmill_audit::AuditError;
use clickmill_core::Fault;
use clickmill_core::schema::SchemaError;
use clickmill_dead_letter::SealError;
use clickmill_sandbox::{ChangeError, TestError};
use clickmill_sink::SinkError;

/// Why letters can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The tables failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The plugin set can't be changed like that.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The chain does not fit the letters' columns.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The set that refused a letter can't be made again.
    #[error(transparent)]
    Store(#[from] SetStoreError),
    /// The plugin set can't be entered.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A letter is sealed, and the pipeline has no key that opens it.
    #[error(
        "letter `{letter_id}` is sealed with key `{key_id}`, and the pipeline file names {named}: name it in `dead_letter.seal`, or among its `old` keys"
    )]
    NoKey {
        /// The letter.
        letter_id: String,
        /// Its key.
        key_id: String,
        /// The keys of the pipeline file.
        named: String,
    },
    /// A sealed letter does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It can't be entered into the audit log.
    #[error("letters are neither replayed nor opened nor shown, since that cannot be entered")]
    Audit(#[source] AuditError),
    /// The table has no columns that say where a row came from.
    #[error(
        "table `{table}` has none of the columns `message_id` and `source` with `source_line`: replayed rows could not be distinguished from those that are there. Add those columns to its schema, `source` as STRING and `source_line` as INTEGER; rows of before do not have them"
    )]
    NoProvenance {
        /// The table.
        table: String,
    },
    /// There is no such letter, or more than one.
    #[error("{found} letters begin with `{id}`, wanted one that is not resolved")]
    NoLetter {
        /// What was asked for.
        id: String,
        /// How many begin like that.
        found: usize,
    },
    /// There is no letter to make a golden case of.
    #[error("there is no letter that is not resolved and for which `{condition}` holds")]
    NoLetters {
        /// What was asked for.
        condition: String,
    },
    /// None of the letters comes so far.
    #[error(
        "of the letters for which `{condition}` holds none comes to stage `{stage}` as a row that a reader may see"
    )]
    NoRows {
        /// What was asked for.
        condition: String,
        /// The stage.
        stage: String,
    },
    /// No tap shows what comes to the stage.
    #[error(
        "no tap shows what comes to stage `{stage}`: wanted a stage of a stream that is not its first; record dead letters in place of that"
    )]
    NoTap {
        /// The stage.
        stage: String,
    },
    /// No golden cases can be made of them.
    #[error(transparent)]
    Golden(#[from] TestError),
    /// A schema is broken: a bug in clickmill.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Rows can't be made: a bug in clickmill.
    #[error("cannot make rows")]
    Rows(#[from] ArrowError),
}

impl ReplayError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Sink(error) => error.fault(),
            Self::Fit(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Publish(error) => error.fault(),
            Self::Seal(error) => error.fault(),
            Self::Audit(error) => error.fault(),
            Self::Change(_)
            | Self::NoKey { .. }
            | Self::NoProvenance { .. }
            | Self::NoLetter { .. }
            | Self::NoLetters { .. }
            | Self::NoRows { .. }
            | Self::NoTap { .. }
            | Self::Golden(_) => Fault::Input,
            Self::Schema(_) | Self::Rows(_) => Fault::Bug,
        }
    }
}
