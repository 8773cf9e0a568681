//! A stage of the chain: its component, what it may touch and what it may use.

use std::path::PathBuf;

use clickmill_core::StageName;
use clickmill_core::oci::Reference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows that a plugin may be allowed to make of one: the place of a row in its record has so much room for
/// each stage that makes several.
const MAX_ROWS_PER_RECORD: u32 = 10_000;

/// A stage of the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// The stage's name, unique in the pipeline.
    pub name: StageName,
    /// A component file, the folder of a plugin crate, which is built, or the text of a reference to what a
    /// registry holds, which is pulled.
    pub component: PathBuf,
    /// Columns it may read.
    pub reads: Grant,
    /// Columns it may write.
    pub writes: Grant,
    /// Its configuration, as JSON, without secrets.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// The secrets that it is granted, by name, each with the environment variable that holds it.
    pub secrets: Vec<(String, String)>,
    /// Lookup tables it may ask, each with its file.
    pub lookups: Vec<(String, PathBuf)>,
    /// What it may use.
    pub limits: Limits,
    /// Whether an instance lives for one batch or many.
    pub instance: InstanceLife,
    /// Whether the component is taken up when it changes, a crate when its sources do.
    pub watch: bool,
}

impl Plugin {
    /// A stage of this name that may touch nothing, with the limits that hold unless a pipeline file says
    /// otherwise.
    pub fn named(name: StageName) -> Self {
        Self {
            name,
            component: PathBuf::new(),
            reads: Grant::Only(Vec::new()),
            writes: Grant::Only(Vec::new()),
            config: serde_json::Map::new(),
            secrets: Vec::new(),
            lookups: Vec::new(),
            limits: Limits::default(),
            instance: InstanceLife::default(),
            watch: false,
        }
    }

    /// Where a registry holds the component, if one does.
    pub fn reference(&self) -> Option<Reference> {
        self.component.to_str()?.parse().ok()
    }

    /// Most bytes of a secret's name.
    pub const MAX_SECRET_NAME_BYTES: usize = 64;

    /// Whether a secret may be called so: by 1 to [`Plugin::MAX_SECRET_NAME_BYTES`] letters, digits, `_` and
    /// `-`, of ASCII.
    pub fn is_secret_name(text: &str) -> bool {
        let fine = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        (1..=Self::MAX_SECRET_NAME_BYTES).contains(&text.len()) && text.bytes().all(fine)
    }

    /// The environment variable that holds a secret of a stage unless the pipeline file names another:
    /// `CLICKMILL_MASK_KEY` for secret `key` of stage `mask`.
    pub fn secret_variable(stage: &str, secret: &str) -> String {
        format!("CLICKMILL_{stage}_{secret}").to_uppercase().replace('-', "_")
    }
}

/// Columns that a plugin may touch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub enum Grant {
    /// All of them: `["*"]`.
    All,
    /// These.
    Only(Vec<String>),
}

impl From<Vec<String>> for Grant {
    fn from(columns: Vec<String>) -> Self {
        if columns.iter().any(|column| column == "*") { Self::All } else { Self::Only(columns) }
    }
}

impl From<Grant> for Vec<String> {
    fn from(grant: Grant) -> Self {
        match grant {
            Grant::All => vec!["*".to_owned()],
            Grant::Only(columns) => columns,
        }
    }
}

/// Whether an instance lives for one batch or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstanceLife {
    /// A fresh instance per batch: nothing leaks from one to the next.
    #[default]
    Fresh,
    /// One instance per worker until it faults: faster for small batches.
    Reuse,
}

/// What a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of an instance.
    #[schemars(range(min = 1 << 20, max = 1 << 30))]
    pub max_memory_bytes: usize,
    /// Fuel per record of the batch; roughly one unit per Wasm instruction.
    #[schemars(range(min = 1))]
    pub max_fuel_per_record: u64,
    /// Fuel on top for each KiB of the columns that it is given: large records take more than small ones. What
    /// is less than a KiB for a whole call is not counted; 0 for none.
    pub max_fuel_per_kib: u64,
    /// Fuel per batch on top: start-up, configuration.
    #[schemars(range(min = 1))]
    pub max_fuel_per_batch: u64,
    /// Seconds of processor time that a call may take. Fuel ends a call long before, unless a guest found
    /// what takes time and hardly any fuel.
    #[schemars(range(min = 1))]
    pub max_call_secs: u64,
    /// Bytes it may return for a batch.
    #[schemars(range(min = 1024, max = 1 << 30))]
    pub max_output_bytes: usize,
    /// Rows that it may make of a record, and that a record may be after it: places of rows in their record
    /// are told by it.
    #[schemars(range(min = 1, max = MAX_ROWS_PER_RECORD))]
    pub max_rows_per_record: u32,
    /// Bytes of a message (rejection, fault, log line), cut beyond.
    #[schemars(range(min = 64))]
    pub max_message_bytes: usize,
    /// Log lines per batch, counted beyond.
    pub max_log_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_memory_bytes: 64 << 20,
            max_fuel_per_record: 200_000,
            max_fuel_per_kib: 500_000,
            max_fuel_per_batch: 10_000_000,
            max_call_secs: 30,
            max_output_bytes: 64 << 20,
            max_rows_per_record: 1000,
            max_message_bytes: 1024,
            max_log_lines: 16,
        }
    }
}
