//! A fleet as one of its replicas tells it.

use serde::{Deserialize, Serialize};

use clickmill_core::Digest;
use clickmill_pipeline::{FleetStanding, Replica};

/// `GET /v1/fleet`
#[derive(Debug, Serialize, Deserialize)]
pub struct FleetBody {
    /// The name of the replica that answers.
    pub replica: String,
    /// The entry of the log that it has followed; 0 where it runs what was before all entries.
    pub entry: u64,
    /// The proposal that is voted on.
    pub open: Option<u64>,
    /// Why it does not follow.
    pub problem: Option<String>,
    /// All replicas, by name.
    pub replicas: Vec<ReplicaBody>,
}

/// A replica.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReplicaBody {
    /// Its name.
    pub replica: String,
    /// How many seconds its newest sign of life is older than the newest of all.
    pub silent_secs: f64,
    /// The set that it runs.
    pub plugin_set: Digest,
    /// The set that gets a share of its batches beside that.
    pub canary: Option<Digest>,
    /// The entry that it has followed.
    pub entry: u64,
    /// Since when it runs, by its clock, in RFC 3339.
    pub since: String,
    /// What keeps it from following.
    pub problem: Option<String>,
}

impl FleetBody {
    /// What a replica tells.
    pub fn of(replica: String, standing: FleetStanding, replicas: Vec<ReplicaBody>) -> Self {
        let FleetStanding { entry, open, problem } = standing;
        Self { replica, entry, open, problem, replicas }
    }
}

impl From<&Replica> for ReplicaBody {
    fn from(replica: &Replica) -> Self {
        let Replica { name, age, plugin_set, canary, entry, since, problem } = replica.clone();
        let silent_secs = age.as_secs_f64();
        Self { replica: name, silent_secs, plugin_set, canary, entry, since, problem }
    }
}
