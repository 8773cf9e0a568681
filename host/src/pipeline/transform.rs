//! One batch through chain and projection: what both kinds of run do with it.

use std::sync::Arc;

use arrow::error::ArrowError;

use super::status::Counts;
use crate::batch::Rejected;
use crate::decode::Decoded;
use crate::plugin::{Chain, ChainWorker};
use crate::sink::{Projection, Refused, Rows};

/// A batch that is ready to be written. Every record of it is here: as a row, refused or filtered.
pub(super) struct Done {
    pub rows_in: u64,
    pub bytes: u64,
    pub rows: Rows,
    pub rejected: Vec<Rejected>,
    pub filtered: u64,
}

/// Runs a batch through a chain and makes rows of it.
pub(super) fn transform(
    worker: &mut ChainWorker,
    chain: &Chain,
    projection: &Projection,
    decoded: Decoded,
) -> Result<Done, ArrowError> {
    let Decoded { batch, malformed, bytes } = decoded;
    let rows_in = (batch.rows() + malformed.len()) as u64;
    let ingest_time = batch.ingest_time;
    let plugin_set = chain.plugin_set();
    let source = batch.origins.source.clone();
    let stage: Arc<str> = "decode".into();
    let mut rejected: Vec<Rejected> = malformed
        .into_iter()
        .map(|bad| Rejected {
            source: source.clone(),
            position: bad.position,
            payload: bad.payload,
            stage: stage.clone(),
            plugin_digest: None,
            plugin_set: plugin_set.clone(),
            reason: bad.reason,
            ingest_time,
        })
        .collect();
    let processed = worker.run(batch)?;
    rejected.extend(processed.rejected);
    let (rows, lacking) = projection.rows(processed.batch, plugin_set)?;
    rejected.extend(by_sink(lacking, plugin_set));
    rejected.sort_by(|a, b| a.position.cmp(&b.position));
    Ok(Done { rows_in, bytes: bytes as u64, rows, rejected, filtered: processed.filtered })
}

/// Rows that the table does not take, as dead letters.
pub(super) fn by_sink(
    refused: Vec<Refused>,
    plugin_set: &Arc<str>,
) -> impl Iterator<Item = Rejected> {
    let stage: Arc<str> = "sink".into();
    let plugin_set = plugin_set.clone();
    refused.into_iter().map(move |refused| Rejected {
        source: refused.source,
        position: refused.position,
        payload: refused.payload,
        stage: stage.clone(),
        plugin_digest: None,
        plugin_set: plugin_set.clone(),
        reason: refused.reason,
        ingest_time: refused.ingest_time,
    })
}

impl Counts {
    /// Counts a batch as the chain leaves it.
    pub(super) fn count(&mut self, done: &Done) {
        self.rows_in += done.rows_in;
        self.rows_out += done.rows.rows.num_rows() as u64;
        self.rows_filtered += done.filtered;
        self.bytes += done.bytes;
        self.reject(&done.rejected);
    }

    /// Counts refused records.
    pub(super) fn reject(&mut self, rejected: &[Rejected]) {
        self.rows_rejected += rejected.len() as u64;
        for rejected in rejected {
            let key = (rejected.stage.to_string(), rejected.reason.code.clone());
            *self.rejected_by.entry(key).or_default() += 1;
        }
    }

    /// Counts rows that the table refused after they were counted as written.
    pub(super) fn refuse(&mut self, refused: &[Rejected]) {
        self.rows_out -= refused.len() as u64;
        self.reject(refused);
    }
}
