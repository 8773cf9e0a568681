//! The audit log: who changed what in a pipeline. Events come in, each becomes an entry at the end of
//! `<folder>/<pipeline>.jsonl`, and the same entry is a row of the table `audit_log`.
//!
//! Each entry carries the hash of the one before, so a file whose entries were changed, removed, moved
//! or added is told by [`verify()`]. Two things a chain can't tell: that its end was cut off, and that all
//! of it was written anew. Both show against the copy in the table: [`compare`].
//!
//! A file is a chain. Machines that run one pipeline, and a container that begins with an empty disk,
//! write a chain each, all into one table. The hash of its first entry, which all later ones rest on, is
//! what a chain goes by: that entry says on which machine the chain was begun ([`begun_on`]) and holds a
//! random number, so that no two chains are one. [`chains`] takes the table's entries apart; where the
//! table could be asked, a chain's first entry carries the hash of the entry that was the table's newest
//! then, so that a chain that is gone, or cut, is missed by the one after it.
//!
//! Whoever may write both file and table can write both anew. That shows where somebody has noted a head,
//! the hash of what was then the last entry, elsewhere: a chain that was only added to still has it.
//!
//! An entry's hash is BLAKE3, in hexadecimal, over:
//!
//! - a byte `1`, the version of this format;
//! - the fields in the order of the table's columns, up to and with `previous_hash`. A null is a byte
//!   `0`. A value is a byte `1`, its length in bytes as 8 bytes with the lowest first, and its bytes.
//!   Numbers are written in decimal.
//!
//! This module decides neither what is worth an entry nor who an actor is, and does not write the table.

mod host;
mod log;
mod table;
mod text;
mod verify;

pub use host::Host;
pub use log::{AuditError, Lines, Log, ReadError, logs, read};
pub use table::{TABLE, rows, schema};
pub use text::{MAX_NAME_BYTES, MAX_TEXT_BYTES, one_line};
pub use verify::{Broken, Difference, Unchained, Verified, chains, compare, verify};

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What the first entry has as the hash of the one before, where none is known.
pub const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The version of what is hashed.
const HASH_VERSION: u8 = 1;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A pipeline began to run.
    Start,
    /// It was stopped.
    Stop,
    /// A plugin was put in another's place.
    Swap,
    /// A plugin was not let in.
    Refuse,
    /// A plugin that ran on the side took over.
    Promote,
    /// An earlier plugin set came back.
    Rollback,
    /// Someone was given access.
    Grant,
    /// Dead letters were sent through the pipeline again.
    Replay,
    /// What was sealed in a dead letter was opened.
    Unseal,
    /// Values that are raw, or are masked in the table, were shown to somebody.
    Reveal,
    /// A caller was turned away, since what they showed is not the token.
    Deny,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed, and nothing changed.
    Refused,
    /// It was tried and failed.
    Failed,
}

/// What a caller tells. Texts longer than [`MAX_TEXT_BYTES`], and an actor longer than [`MAX_NAME_BYTES`],
/// are cut, and then end in `…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who did it: a line of text.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// What it was done to: names of stages, ids of letters. Empty for the whole pipeline.
    pub subject: String,
    /// Digest of the plugin set before, where there was one.
    pub old_plugin_set: Option<String>,
    /// Digest of the plugin set after, where there is one.
    pub new_plugin_set: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// More on it, for a person. May be empty.
    pub detail: String,
}

impl Event {
    /// Something that `actor` has done to the whole pipeline, whose plugin sets it does not name.
    pub fn new(actor: &str, action: Action, detail: impl Into<String>) -> Self {
        Self {
            actor: actor.to_owned(),
            action,
            subject: String::new(),
            old_plugin_set: None,
            new_plugin_set: None,
            outcome: Outcome::Done,
            detail: detail.into(),
        }
    }
}

/// An event in the log. What is read from a file or a table is as it was found: only [`verify()`] says
/// whether its hashes fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// A key that no hash covers would be a change that nobody sees.
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number in its chain, from 1 without gaps.
    pub sequence: u64,
    /// When it was written, in microseconds since 1970-01-01T00:00:00Z. Clocks may go back; the order
    /// is that of `sequence`.
    pub time: i64,
    /// The pipeline's name.
    pub pipeline: String,
    /// See [`Event::actor`].
    pub actor: String,
    /// See [`Event::action`].
    pub action: Action,
    /// See [`Event::subject`].
    pub subject: String,
    /// See [`Event::old_plugin_set`].
    pub old_plugin_set: Option<String>,
    /// See [`Event::new_plugin_set`].
    pub new_plugin_set: Option<String>,
    /// See [`Event::outcome`].
    pub outcome: Outcome,
    /// See [`Event::detail`].
    pub detail: String,
    /// Hash of the entry before. For the first, that of an entry of another chain after which this one
    /// was begun, or [`NO_HASH`].
    #[serde(rename = "previous_hash")]
    pub previous: String,
    /// Hash of this entry, 64 hexadecimal digits.
    // Not `hash` in files and tables: BigQuery's SQL reserves that word.
    #[serde(rename = "entry_hash")]
    pub hash: String,
}

impl Action {
    /// Its name in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Swap => "swap",
            Action::Refuse => "refuse",
            Action::Promote => "promote",
            Action::Rollback => "rollback",
            Action::Grant => "grant",
            Action::Replay => "replay",
            Action::Unseal => "unseal",
            Action::Reveal => "reveal",
            Action::Deny => "deny",
        }
    }
}

/// Where a chain was begun, such as `web-1, machine 3f2a90c1d5e6f708`, by its first entry. `None` for other
/// entries, and for a chain of an earlier version.
pub fn begun_on(first: &Entry) -> Option<&str> {
    let told = first.detail.strip_prefix("chain ").filter(|_| first.sequence == 1)?;
    let (_, host) = told.split_once(" begun on host ")?;
    host.split(';').next()
}

/// What the first entry of a chain says before all else.
fn beginning(host: &Host, random: u128) -> String {
    format!("chain {random:032x} begun on {host}")
}

impl Outcome {
    /// Its name in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        }
    }
}

impl Entry {
    /// The entry of an event, with its hash.
    fn new(sequence: u64, time: i64, pipeline: &str, event: Event, previous: String) -> Self {
        let Event { actor, action, subject, old_plugin_set, new_plugin_set, outcome, detail } =
            event;
        let mut entry = Self {
            sequence,
            time,
            pipeline: pipeline.to_owned(),
            actor,
            action,
            subject,
            old_plugin_set,
            new_plugin_set,
            outcome,
            detail,
            previous,
            hash: String::new(),
        };
        entry.hash = entry.digest();
        entry
    }

    /// The hash that fits the content.
    fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[HASH_VERSION]);
        for (_, value) in self.fields().iter().filter(|(name, _)| *name != "entry_hash") {
            match value {
                None => hasher.update(&[0]),
                Some(value) => hasher
                    .update(&[1])
                    .update(&(value.len() as u64).to_le_bytes())
                    .update(value.as_bytes()),
            };
        }
        hasher.finalize().to_hex().to_string()
    }

    /// All fields as text, with the names and in the order of the table's columns.
    fn fields(&self) -> [(&'static str, Option<Cow<'_, str>>); 12] {
        fn text(value: &str) -> Option<Cow<'_, str>> {
            Some(Cow::Borrowed(value))
        }
        [
            ("sequence", Some(self.sequence.to_string().into())),
            ("time", Some(self.time.to_string().into())),
            ("pipeline", text(&self.pipeline)),
            ("actor", text(&self.actor)),
            ("action", text(self.action.as_str())),
            ("subject", text(&self.subject)),
            ("old_plugin_set", self.old_plugin_set.as_deref().and_then(text)),
            ("new_plugin_set", self.new_plugin_set.as_deref().and_then(text)),
            ("outcome", text(self.outcome.as_str())),
            ("detail", text(&self.detail)),
            ("previous_hash", text(&self.previous)),
            ("entry_hash", text(&self.hash)),
        ]
    }
}

#[cfg(test)]
mod tests;
