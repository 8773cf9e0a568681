//! Letters through the chains of a plugin set: one chain for each set of columns that comes in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decode;
use super::{Fate, ReplayError};
use crate::context::Context;
use crate::run::transform::Transformed;
use crate::versions::fit::Fitted;
use clickmill_core::batch::{Batch, Position, Reason, Rejected};
use clickmill_core::{RawColumn, StageName, stage};
use clickmill_dead_letter::is_cut;
use clickmill_sandbox::{ChainWorker, Library};
use clickmill_sink::{Key, Letter, Record};
use clickmill_tables::Routed;

/// A library's chains, by the columns that they are fitted to.
pub(super) struct Chains<'a> {
    context: &'a Context,
    pub library: Library,
    fitted: Vec<Arc<Fitted>>,
}

impl<'a> Chains<'a> {
    pub(super) fn new(context: &'a Context, library: Library) -> Self {
        Self { context, library, fitted: Vec::new() }
    }

    /// Runs letters through the set, those of one record together: a letter is of one of its rows, and the
    /// set makes all of them. Good rows are returned, and refused ones that no letter is of; what is refused
    /// of the letters is told in `fates`, what is dropped on purpose is in neither. `watch` sees a batch
    /// when it comes in and after each stage, and sensitive columns as they were before they were written anew.
    pub(super) fn run(
        &mut self,
        letters: Vec<Letter>,
        fates: &mut Vec<(String, Fate)>,
        mut watch: impl FnMut(&Fitted, &str, &Batch, &[RawColumn]),
    ) -> Result<Made, ReplayError> {
        let ids: BTreeMap<Key, String> = letters
            .iter()
            .filter_map(|letter| Some((letter.key()?, letter.letter_id.clone())))
            .collect();
        let is_cut = |of: &Letter| is_cut(&of.stage, &of.code, &of.message, &of.payload);
        let (cut, mut letters): (Vec<Letter>, Vec<Letter>) = letters.into_iter().partition(is_cut);
        // What is left of these records is not what was refused, even where it can be decoded.
        fates.extend(cut.into_iter().map(|letter| {
            let reason = Reason { code: letter.code, message: letter.message, column: None };
            let stage = letter.stage.parse();
            let stage = stage.unwrap_or_else(|_| StageName::of_host(stage::DECODE));
            (letter.letter_id, Fate::Rejected { stage, reason })
        }));
        let pipeline = &self.context.pipeline;
        let mut of_records: BTreeMap<Record, Vec<String>> = BTreeMap::new();
        let mut records: Vec<Letter> = Vec::with_capacity(letters.len());
        // Of a record the first is taken that has its bytes.
        letters.sort_by_key(|letter| letter.lender.is_some());
        for letter in letters {
            let Some(Key { record, .. }) = letter.key() else {
                records.push(letter);
                continue;
            };
            let of_record = of_records.entry(record).or_default();
            of_record.push(letter.letter_id.clone());
            if of_record.len() == 1 {
                records.push(letter);
            }
        }
        let (batches, malformed) = decode::batches(records, &pipeline.format, pipeline.batch)?;
        for (id, reason) in malformed {
            let together = of_records.values().find(|ids| ids.contains(&id));
            let fate = Fate::Rejected { stage: StageName::of_host(stage::DECODE), reason };
            let ids = together.cloned().unwrap_or_else(|| vec![id]);
            fates.extend(ids.into_iter().map(|id| (id, fate.clone())));
        }
        let (mut good, mut strays) = (Vec::new(), Vec::new());
        for batch in batches {
            let fitted = self.fit(&batch)?;
            watch(&fitted, stage::DECODE, &batch, &[]);
            let mut worker = ChainWorker::new(&fitted.chain);
            let made = fitted.make(&mut worker, batch, |stage, batch, raw| {
                watch(&fitted, stage, batch, raw);
            })?;
            let Transformed { rows, rejected, .. } = made;
            for rejected in rejected {
                match ids.get(&key_of(&rejected)) {
                    Some(id) => {
                        let (stage, reason) = (rejected.stage, rejected.reason);
                        fates.push((id.clone(), Fate::Rejected { stage, reason }));
                    }
                    None => strays.push(rejected),
                }
            }
            good.push(rows);
        }
        good.retain(|rows| rows.count() > 0);
        Ok(Made { good, strays })
    }

    fn fit(&mut self, batch: &Batch) -> Result<Arc<Fitted>, ReplayError> {
        let columns = batch.columns.schema();
        if let Some(fitted) = self.fitted.iter().find(|fitted| fitted.columns == columns) {
            return Ok(fitted.clone());
        }
        let slot = &self.context.slot;
        let secrets = &slot.current().reading.secrets;
        let fitted = Arc::new(slot.target().fit(&self.library, &columns, secrets)?);
        self.fitted.push(fitted.clone());
        Ok(fitted)
    }
}

/// What a set has made of letters.
pub(super) struct Made {
    /// Good rows, of whatever places in their records.
    pub good: Vec<Routed>,
    /// Rows that are refused, and that no letter is of.
    pub strays: Vec<Rejected>,
}

/// The keys of rows.
pub(super) fn keys_of(rows: &Routed) -> Vec<Key> {
    let origins = rows.origins();
    let key = |row| Key {
        record: record_of(&origins.source, &origins.position(row)),
        place: origins.record_index(row),
    };
    (0..rows.count()).map(key).collect()
}

/// The key of a row that was refused.
pub(super) fn key_of(rejected: &Rejected) -> Key {
    let record = record_of(&rejected.source, &rejected.position);
    Key { record, place: rejected.record_index }
}

/// A record by its place in its source.
pub(super) fn record_of(source: &str, position: &Position) -> Record {
    match position {
        Position::Line(line) => Record::Line(source.to_owned(), *line as i64),
        Position::Message(message) => Record::Message(message.id.clone(), message.publish_time),
    }
}
