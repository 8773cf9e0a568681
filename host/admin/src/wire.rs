//! What the admin interface is asked and answers, as JSON. The command line speaks it too.

pub mod fleet;
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use clickmill_core::{Digest, Micros};
use clickmill_pipeline::{Rates, Rollout, Shadow, Standing, Swapped, VersionRecord};
use clickmill_sandbox::{Golden, StageCounts};

pub use status::{
    CostBody, LatencyBody, PluginBody, QueueBody, RatesBody, ReasonBody, SeriesBody, StatusBody,
    TableBody,
};

/// A canary that is asked for longer than that ends with the process: a clock does not count further than
/// so and so many seconds, and this is 31 years.
const FOR_EVER_SECS: f64 = 1e9;

/// Answer to `POST /v1/links`.
#[derive(Debug, Serialize, Deserialize)]
pub struct LinkBody {
    /// The link, from the first slash on.
    pub path: String,
    /// How long it works, in seconds.
    pub works_secs: u64,
}

/// `POST /v1/sessions`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBody {
    /// The code of a link, which stands in it behind `#open=`.
    pub code: String,
}

/// Answer to `POST /v1/sessions`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionBody {
    /// A reader's token, which lives as long as the process.
    pub token: String,
}

/// `POST /v1/plugins/swap`
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapBody {
    /// Who asks, for the history.
    #[serde(default)]
    pub actor: String,
    /// What they say about it.
    #[serde(default)]
    pub note: String,
    /// What is to be different, by stage. All of it counts at once.
    pub changes: BTreeMap<String, ChangeBody>,
    /// The share of batches it gets at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_share: Option<f64>,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_secs: Option<f64>,
    /// Only check.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/plugins/reload`: the process reads its own pipeline file again. What the file says is not in here.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadBody {
    /// Who asks, for the history.
    #[serde(default)]
    pub actor: String,
    /// What they say about it.
    #[serde(default)]
    pub note: String,
    /// BLAKE3 of the file that is to be taken up, in hexadecimal; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Digest>,
    /// The share of batches it gets at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_share: Option<f64>,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_secs: Option<f64>,
    /// Only check.
    #[serde(default)]
    pub dry_run: bool,
}

/// What is to be different about a stage.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// The component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<FileBody>,
    /// Its signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// A component in Cloud Storage, which the host reads, its signature beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Keys of its configuration that get another value; null takes a key away.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Json>,
    /// The same, as it was written on a command line: JSON or else text, and text too where the key has
    /// text now and a number or a truth value is written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub written: BTreeMap<String, String>,
    /// Lookup tables, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookups: BTreeMap<String, FileBody>,
    /// Golden cases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub golden: Vec<Golden>,
}

/// A file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileBody {
    /// Its name, for messages; the ending tells the format of a lookup table.
    pub name: PathBuf,
    /// Its content.
    #[serde(with = "base64_bytes")]
    pub base64: Bytes,
}

/// `POST /v1/plugins/rollback`
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackBody {
    /// Who asks.
    #[serde(default)]
    pub actor: String,
    /// Why.
    #[serde(default)]
    pub note: String,
    /// The plugin set to go to, or how it begins; the one before where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The answer to a rollback.
#[derive(Debug, Serialize, Deserialize)]
pub struct RolledBackBody {
    /// The version that runs now.
    #[serde(flatten)]
    pub version: VersionBody,
    /// The plugin set that the pipeline file still has, where that was taken back: a start runs the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Digest>,
}

/// The answer to a swap.
#[derive(Debug, Serialize, Deserialize)]
pub struct SwappedBody {
    /// The plugin set before.
    pub from: Digest,
    /// The new one.
    pub to: Digest,
    /// What was checked: name and finding.
    pub checks: Vec<(String, String)>,
    /// What it changes on the last batches.
    pub shadow: ShadowBody,
    /// The new version; absent where it was only checked.
    pub version: Option<VersionBody>,
}

/// What a new set changes on the last batches.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShadowBody {
    /// Rows both sets were given.
    pub rows: u64,
    /// Good rows whose values differ.
    #[serde(default)]
    pub changed_rows: u64,
    /// The same, by column.
    pub changed: BTreeMap<String, u64>,
    /// Good rows that go to other tables.
    #[serde(default)]
    pub rerouted: u64,
    /// Rows newly rejected: stage, code, how many.
    pub newly_rejected: Vec<(String, String, u64)>,
    /// Rows no longer rejected.
    pub newly_accepted: u64,
    /// Rows newly dropped on purpose.
    pub newly_dropped: u64,
    /// Fuel a row, before.
    pub fuel_per_row_before: f64,
    /// Fuel a row, now.
    pub fuel_per_row: f64,
}

/// A version of the plugins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionBody {
    /// Counts from 1 at the start.
    pub number: u64,
    /// `current`, `canary`, `replaced`, `rolled back`.
    pub standing: String,
    /// Why it was rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Digest of the set.
    pub plugin_set: Digest,
    /// The stages, in order.
    pub stages: Vec<StageBody>,
    /// Who asked for it.
    pub actor: String,
    /// What they said about it.
    pub note: String,
    /// What is different from the version before.
    pub changes: Vec<String>,
    /// Since when, in microseconds since 1970-01-01T00:00:00Z.
    pub since: Micros,
    /// Until when, in the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Micros>,
    /// Batches it was given.
    pub batches: u64,
    /// Rows it was given.
    pub rows: u64,
    /// Rows it rejected.
    pub rejected: u64,
    /// Rows it dropped on purpose.
    pub filtered: u64,
    /// Calls that ended in a fault.
    pub faults: u64,
    /// Fuel a row.
    pub fuel_per_row: f64,
}

/// A stage of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageBody {
    /// The stage's name.
    pub stage: String,
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Digest of the component.
    pub component: Digest,
    /// Rows it was given.
    pub rows: u64,
    /// Rows it rejected.
    pub rejected: u64,
    /// Calls that ended in a fault.
    pub faults: u64,
    /// Fuel it used.
    pub fuel: u64,
    /// Time in it, in seconds.
    pub seconds: f64,
}

/// Any error.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong, with its causes.
    pub error: String,
    /// The check that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

impl SwapBody {
    /// How it is to begin.
    pub fn rollout(&self) -> Option<Rollout> {
        rollout(self.canary_share, self.canary_secs)
    }
}

impl ReloadBody {
    /// How it is to begin.
    pub fn rollout(&self) -> Option<Rollout> {
        rollout(self.canary_share, self.canary_secs)
    }
}

fn rollout(canary_share: Option<f64>, canary_secs: Option<f64>) -> Option<Rollout> {
    match (canary_share, canary_secs) {
        (None, None) => None,
        (Some(share), _) if share >= 1.0 => Some(Rollout::All),
        (share, seconds) => Some(Rollout::Canary {
            share: share.unwrap_or(0.05).max(0.0),
            time: Duration::try_from_secs_f64(seconds.unwrap_or(30.0).min(FOR_EVER_SECS))
                .unwrap_or_default(),
        }),
    }
}

impl From<&Swapped> for SwappedBody {
    fn from(swapped: &Swapped) -> Self {
        let checks = swapped.checks.iter();
        Self {
            from: swapped.from.clone(),
            to: swapped.to.clone(),
            checks: checks.map(|check| (check.name.to_owned(), check.found.clone())).collect(),
            shadow: (&swapped.shadow).into(),
            version: swapped.version.as_ref().map(|version| (&**version).into()),
        }
    }
}

impl From<&Shadow> for ShadowBody {
    fn from(shadow: &Shadow) -> Self {
        let rejected = shadow.newly_rejected.iter();
        let fuel = |rates: &Rates| rates.share(rates.fuel);
        Self {
            rows: shadow.rows,
            changed_rows: shadow.changed_rows,
            changed: shadow.changed.clone(),
            rerouted: shadow.rerouted,
            newly_rejected: rejected
                .map(|((stage, code), rows)| (stage.to_string(), code.clone(), *rows))
                .collect(),
            newly_accepted: shadow.newly_accepted,
            newly_dropped: shadow.newly_dropped,
            fuel_per_row_before: fuel(&shadow.before),
            fuel_per_row: fuel(&shadow.now),
        }
    }
}

impl From<&VersionRecord> for VersionBody {
    fn from(record: &VersionRecord) -> Self {
        let (standing, until, reason) = match record.standing() {
            Standing::Canary => ("canary", None, None),
            Standing::Current => ("current", None, None),
            Standing::Replaced { until } => ("replaced", Some(until), None),
            Standing::RolledBack { until, reason } => ("rolled back", Some(until), Some(reason)),
        };
        let tally = record.tally();
        let nothing = StageCounts::default();
        let stages = record.set.stages.iter().enumerate().map(|(at, made)| {
            let counts = tally.stages.get(at).unwrap_or(&nothing);
            StageBody {
                stage: made.stage.to_string(),
                plugin: made.plugin.clone(),
                version: made.version.clone(),
                component: made.component.clone(),
                rows: counts.rows_in,
                rejected: counts.rejected,
                faults: counts.faults,
                fuel: counts.fuel,
                seconds: counts.time.as_secs_f64(),
            }
        });
        Self {
            number: record.number,
            standing: standing.to_owned(),
            reason,
            plugin_set: record.set.digest.clone(),
            stages: stages.collect(),
            actor: record.origin.actor.clone(),
            note: record.origin.note.clone(),
            changes: record.origin.changes.clone(),
            since: record.since,
            until,
            batches: tally.batches,
            rows: tally.all.rows,
            rejected: tally.all.rejected,
            filtered: tally.all.filtered,
            faults: tally.all.faults,
            fuel_per_row: tally.all.share(tally.all.fuel),
        }
    }
}

mod base64_bytes {
    use super::{Bytes, Engine, STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
