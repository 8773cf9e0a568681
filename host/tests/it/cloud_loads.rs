//! Loads between emulators: objects in a Cloud Storage, tables in a BigQuery, a scratch folder.

use std::process::Command;

use serde_json::Value as Json;

use crate::cloud::summary;
use crate::emulators::{BigQuery, Storage};
use crate::support::{Scratch, plugins, root};

/// How many rows the table has.
pub(crate) const ROWS: &str = "SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch";

/// A load from Cloud Storage to BigQuery, and where they are reached.
pub(crate) struct Loads {
    pub(crate) scratch: Scratch,
    storage: Storage,
    pub(crate) bigquery: BigQuery,
    /// BigQuery's REST and gRPC.
    pub(crate) via: [String; 2],
}

impl Loads {
    pub(crate) fn start() -> Self {
        plugins();
        let bigquery = BigQuery::start();
        let via = [bigquery.rest.clone(), bigquery.grpc.clone()];
        Self { scratch: Scratch::new(), storage: Storage::start(None), bigquery, via }
    }

    pub(crate) fn put(&self, name: &str, rows: u64, seed: u64) {
        self.put_with(name, rows, seed, "");
    }

    /// With more at the end.
    pub(crate) fn put_with(&self, name: &str, rows: u64, seed: u64, more: &str) {
        let (rows, seed) = (rows.to_string(), seed.to_string());
        let text = self.scratch.done(&["generate", "shop", "--rows", &rows, "--seed", &seed]);
        self.storage.put(name, (text + more).as_bytes());
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.verb(&[&["run", "--json", &Self::pipeline()], arguments].concat())
    }

    /// The pipeline file.
    pub(crate) fn pipeline() -> String {
        root().join("host/pipelines/batch_gcp.toml").to_string_lossy().into_owned()
    }

    /// Any verb, with the emulators in its environment.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Command {
        let mut command = self.scratch.command(arguments);
        command
            .env("CLICKSTREAM_BUCKET", "lake")
            .env("STORAGE_EMULATOR_HOST", format!("http://{}", self.storage.address))
            .env("BIGQUERY_EMULATOR_HOST", &self.via[0])
            .env("BIGQUERY_STORAGE_EMULATOR_HOST", &self.via[1]);
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Json {
        summary(&self.command(arguments).output().unwrap())
    }

    /// Loads that are entered as committed. Who completes another's load enters it, too.
    pub(crate) fn loaded(&self) -> u64 {
        self.bigquery.number(
            "SELECT COUNT(DISTINCT load_id) FROM clickstream_analytics.load_ledger WHERE state = 'committed'",
        )
    }

    /// How many entries of loads the ledger has as `state`.
    pub(crate) fn entries(&self, state: &str) -> u64 {
        let table = self.bigquery.table("clickstream_analytics", "load_ledger");
        if table["id"].is_null() {
            return 0;
        }
        self.bigquery.number(&format!(
            "SELECT COUNT(*) FROM clickstream_analytics.load_ledger WHERE state = '{state}'"
        ))
    }
}
