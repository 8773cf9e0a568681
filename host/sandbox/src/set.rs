//! What a plugin set is made of, in a form that can be kept: enough to make the same chain again.

use serde::{Deserialize, Serialize};

use clickmill_config::{Grant, InstanceLife, Limits};
use clickmill_core::{Digest, StageName};

/// A plugin set: the stages of a chain with everything that makes a row what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginSet {
    /// Its digest, which rows and dead letters carry.
    pub digest: Digest,
    /// The stages, in order.
    pub stages: Vec<StageMade>,
}

/// One stage of a plugin set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageMade {
    /// The stage's name in the pipeline file.
    pub stage: StageName,
    /// Its author's name for the plugin.
    pub plugin: String,
    /// The plugin's version.
    pub version: String,
    /// The contract it speaks.
    pub contract: String,
    /// Digest of the component.
    pub component: Digest,
    /// The signature that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Its configuration, without secrets.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Columns it may read.
    pub reads: Grant,
    /// Columns it may write.
    pub writes: Grant,
    /// Secrets by name, each with the environment variable that holds it.
    pub secrets: Vec<(String, String)>,
    /// The lookup tables it may ask.
    pub lookups: Vec<LookupMade>,
    /// What it may use.
    pub limits: Limits,
    /// Whether an instance lives for one batch or many.
    pub instance: InstanceLife,
}

/// A lookup table of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookupMade {
    /// The table's name.
    pub table: String,
    /// The name of its file.
    pub file: String,
    /// Digest of its content.
    pub digest: Digest,
}
