//! What lies in a fleet's place, as it is written and as it is believed: all of it comes from neighbours.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use clickmill_audit::{MAX_NAME_BYTES, one_line};
use clickmill_config as config;
use clickmill_core::Digest;

/// The most that an object has, in bytes: the names of all replicas.
pub(crate) const MAX_BYTES: u64 = 128 << 10;
/// The most entries of a log.
pub(crate) const MAX_ENTRIES: u64 = 10_000;
/// How many of them, the last ones, are for rollbacks only: what is proposed last can be taken back too.
pub(crate) const FOR_ROLLBACKS: u64 = 100;
/// The most replicas of a fleet.
pub(crate) const MAX_REPLICAS: usize = 1000;
/// What a replica calls itself before its name.
const REPLICA: &str = "replica ";
/// The most of a text that is told, in bytes.
const MAX_TEXT: usize = 4000;
/// The longest time that a set may get a share of the batches only, in seconds: as in the pipeline file.
const MAX_CANARY_SECS: f64 = 86_400.0;

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// Another set is proposed.
    Proposal(Proposal),
    /// What is in effect is taken back.
    Rollback(Rollback),
}

/// That another set is to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The entry that it follows: the one that was in effect; 0 where none was.
    pub after: u64,
    /// The set that ran then.
    pub parent: Digest,
    /// The set that is to run.
    pub plugin_set: Digest,
    /// Who proposes it, as they call themselves.
    pub actor: String,
    /// What they say about it.
    #[serde(default)]
    pub note: String,
    /// When, by their clock: for people.
    pub at: String,
    /// With what part of the replicas, or of their batches, it begins; with all of them where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

impl Proposal {
    /// How many replicas try it out before the others take it up, as [`Canary::replicas`] has it, and for how long;
    /// `None` where none does.
    pub(crate) fn trial(&self) -> Option<(f64, Duration)> {
        let canary = self.canary?;
        Some((canary.replicas?, Duration::from_secs_f64(canary.secs)))
    }
}

/// How a set begins with some of the replicas, or with a share of the batches of each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The share of its batches with which each replica begins: 0.05 is every twentieth batch.
    pub share: f64,
    /// For how long, in seconds.
    pub secs: f64,
    /// How many replicas try it out before the others take it up: a share of them below 1, else their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<f64>,
}

impl Canary {
    /// With a share of each replica's batches.
    pub fn of_batches(share: f64, secs: f64) -> Self {
        Self { share, secs, replicas: None }
    }

    /// With so many of the replicas: a share of them below 1, else their number.
    pub fn of_replicas(replicas: f64, secs: f64) -> Self {
        Self { share: 1.0, secs, replicas: Some(replicas) }
    }

    /// As the pipeline file says; `None` where a set begins with all batches of all replicas.
    pub(crate) fn of_config(swap: &config::Swap) -> Option<Self> {
        let secs = swap.canary.as_secs_f64();
        if swap.fleet_canary_replicas > 0.0 {
            Some(Self::of_replicas(swap.fleet_canary_replicas, secs))
        } else {
            (swap.canary_share < 1.0).then(|| Self::of_batches(swap.canary_share, secs))
        }
    }

    /// Whether the share, the time and the replicas are within what the pipeline file takes.
    pub fn is_within_bounds(&self) -> bool {
        (0.001..=1.0).contains(&self.share)
            && (0.0..=MAX_CANARY_SECS).contains(&self.secs)
            && self
                .replicas
                .is_none_or(|replicas| replicas > 0.0 && replicas <= MAX_REPLICAS as f64)
    }
}

/// The replicas that try a proposal out before the others take it up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Canaries {
    /// Their names.
    pub replicas: BTreeSet<String>,
    /// Who named them.
    pub by: String,
    /// When, by their clock: for people.
    pub at: String,
}

/// That what is in effect is to be taken back, everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The proposal that is taken back.
    pub of: u64,
    /// Who takes it back.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, by their clock: for people.
    pub at: String,
}

impl Rollback {
    /// By a replica that has given the proposal up.
    pub(crate) fn by_replica(replica: &str, of: u64, reason: String, at: String) -> Self {
        Self { of, actor: format!("{REPLICA}{replica}"), reason, at }
    }

    /// Whether it is such a one.
    pub(crate) fn is_of_replica(&self) -> bool {
        self.actor.starts_with(REPLICA)
    }
}

/// What a replica says of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// It can take the set up, and found nothing against it.
    pub ok: bool,
    /// What it found.
    pub why: String,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// All take it up; else none does.
    pub commit: bool,
    /// Who decided.
    pub by: String,
    /// Why.
    pub why: String,
    /// When, by their clock: for people.
    pub at: String,
}

/// What a replica says of itself with each sign of life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Life {
    /// The set that it runs.
    pub plugin_set: Digest,
    /// The set that gets a share of its batches beside that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Digest>,
    /// The entry that it has followed.
    pub entry: u64,
    /// Since when it runs, by its clock.
    pub since: String,
    /// What keeps it from following, or its canary from taking over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// An object that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is not the JSON that was expected, or of a later version of clickmill.
    #[error("it says `{0}`")]
    Json(String),
    /// A value is out of bounds.
    #[error("`{0}` is out of bounds")]
    Bounds(&'static str),
}

/// Something that is read from a fleet's place.
pub(crate) trait Object: Serialize + DeserializeOwned {
    /// Checks values, and makes texts fit to be told.
    fn checked(self) -> Result<Self, Malformed>;

    /// What bytes say.
    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let read = serde_json::from_slice::<Self>(bytes);
        read.map_err(|error| Malformed::Json(one_line(&error.to_string(), MAX_TEXT)))?.checked()
    }

    /// As it is written.
    fn written(self) -> Result<Vec<u8>, Malformed> {
        let checked = self.checked()?;
        serde_json::to_vec_pretty(&checked).map_err(|error| Malformed::Json(error.to_string()))
    }
}

impl Object for Entry {
    fn checked(self) -> Result<Self, Malformed> {
        match self {
            Self::Proposal(proposal) => {
                whole(&proposal.parent, "parent")?;
                whole(&proposal.plugin_set, "plugin_set")?;
                if proposal.canary.is_some_and(|canary| !canary.is_within_bounds()) {
                    return Err(Malformed::Bounds("canary"));
                }
                Ok(Self::Proposal(Proposal {
                    actor: name(&proposal.actor),
                    note: text(&proposal.note),
                    at: name(&proposal.at),
                    ..proposal
                }))
            }
            Self::Rollback(rollback) => Ok(Self::Rollback(Rollback {
                actor: name(&rollback.actor),
                reason: text(&rollback.reason),
                at: name(&rollback.at),
                ..rollback
            })),
        }
    }
}

impl Object for Vote {
    fn checked(self) -> Result<Self, Malformed> {
        Ok(Self { why: text(&self.why), ..self })
    }
}

impl Object for Decision {
    fn checked(self) -> Result<Self, Malformed> {
        Ok(Self { by: name(&self.by), why: text(&self.why), at: name(&self.at), ..self })
    }
}

impl Object for Canaries {
    fn checked(self) -> Result<Self, Malformed> {
        let fine = (1..=MAX_REPLICAS).contains(&self.replicas.len());
        if !fine || !self.replicas.iter().all(|replica| is_name(replica)) {
            return Err(Malformed::Bounds("replicas"));
        }
        Ok(Self { by: name(&self.by), at: name(&self.at), ..self })
    }
}

impl Object for Life {
    fn checked(self) -> Result<Self, Malformed> {
        whole(&self.plugin_set, "plugin_set")?;
        self.canary.as_ref().map_or(Ok(()), |set| whole(set, "canary"))?;
        let problem = self.problem.as_deref().map(text);
        Ok(Self { since: name(&self.since), problem, ..self })
    }
}

/// Whether a replica may be called so: what is a file's name, a label and a word in a line.
pub(crate) fn is_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=100).contains(&name.len()) && name.bytes().all(fine)
}

/// A name that no other process has: the machine's, the process's number, and a random part.
pub(crate) fn new_name(host: &str) -> String {
    let fine = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let host: String = host.chars().take(63).map(fine).collect();
    let random = rand::random::<u32>();
    format!("{host}-{}-{random:08x}", std::process::id())
}

/// The name of a sign of life's object, without its folder.
pub(crate) fn life_name(replica: &str, number: u64) -> String {
    format!("{replica}.{number:012}.json")
}

/// Whose sign of life an object is, and which.
pub(crate) fn life_of(name: &str) -> Option<(&str, u64)> {
    let (replica, number) = name.strip_suffix(".json")?.split_once('.')?;
    let digits = number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit());
    (digits && is_name(replica)).then_some((replica, number.parse().ok()?))
}

fn whole(digest: &Digest, what: &'static str) -> Result<(), Malformed> {
    match digest.len() {
        32 | 64 => Ok(()),
        _ => Err(Malformed::Bounds(what)),
    }
}

fn name(text: &str) -> String {
    one_line(text, MAX_NAME_BYTES)
}

fn text(text: &str) -> String {
    one_line(text, MAX_TEXT)
}

#[cfg(test)]
mod tests;
