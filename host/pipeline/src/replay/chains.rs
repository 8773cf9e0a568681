//! Letters through the chains of a plugin set: one chain for each set of columns that comes in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decode;
use super::{Fate, ReplayError};
use crate::context::Context;
use crate::run::transform::Transformed;
use crate::versions::fit::Fitted;
use clickmill_core::batch::{Batch, Position, Reason};
use clickmill_core::{StageName, stage};
use clickmill_dead_letter::is_cut;
use clickmill_sandbox::{ChainWorker, Library};
use clickmill_sink::{Key, Letter};
use clickmill_tables::Rows;

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

    /// Runs letters through the set. Good rows are returned; what is refused is told in `fates`, what is
    /// dropped on purpose is in neither. `watch` sees a batch when it comes in and after each stage.
    pub(super) fn run(
        &mut self,
        letters: Vec<Letter>,
        fates: &mut Vec<(String, Fate)>,
        mut watch: impl FnMut(&str, &Batch),
    ) -> Result<Vec<Rows>, ReplayError> {
        let ids: BTreeMap<Key, String> = letters
            .iter()
            .filter_map(|letter| Some((letter.key()?, letter.letter_id.clone())))
            .collect();
        let is_cut = |of: &Letter| is_cut(&of.stage, &of.code, &of.message, &of.payload);
        let (cut, letters): (Vec<Letter>, Vec<Letter>) = letters.into_iter().partition(is_cut);
        // What is left of these records is not what was refused, even where it can be decoded.
        fates.extend(cut.into_iter().map(|letter| {
            let reason = Reason { code: letter.code, message: letter.message, column: None };
            let stage = letter.stage.parse();
            let stage = stage.unwrap_or_else(|_| StageName::of_host(stage::DECODE));
            (letter.letter_id, Fate::Rejected { stage, reason })
        }));
        let pipeline = &self.context.pipeline;
        let (batches, malformed) = decode::batches(letters, &pipeline.format, pipeline.batch)?;
        for (id, reason) in malformed {
            fates.push((id, Fate::Rejected { stage: StageName::of_host(stage::DECODE), reason }));
        }
        let mut good = Vec::new();
        for batch in batches {
            watch(stage::DECODE, &batch);
            let fitted = self.fit(&batch)?;
            let mut worker = ChainWorker::new(&fitted.chain);
            let made = fitted.make(&mut worker, batch, |stage, batch, _| watch(stage, batch))?;
            let Transformed { rows, rejected, .. } = made;
            for rejected in rejected {
                let key = key_of(&rejected.source, &rejected.position);
                let (stage, reason) = (rejected.stage, rejected.reason);
                fates
                    .extend(ids.get(&key).map(|id| (id.clone(), Fate::Rejected { stage, reason })));
            }
            good.push(rows);
        }
        good.retain(|rows| rows.rows.num_rows() > 0);
        Ok(good)
    }

    fn fit(&mut self, batch: &Batch) -> Result<Arc<Fitted>, ReplayError> {
        let columns = batch.columns.schema();
        if let Some(fitted) = self.fitted.iter().find(|fitted| fitted.columns == columns) {
            return Ok(fitted.clone());
        }
        let fitted = Arc::new(self.context.slot.target().fit(&self.library, &columns)?);
        self.fitted.push(fitted.clone());
        Ok(fitted)
    }
}

/// The keys of rows.
pub(super) fn keys_of(rows: &Rows) -> Vec<Key> {
    let origins = &rows.origins;
    let key = |row| key_of(&origins.source, &origins.position(row));
    (0..rows.rows.num_rows()).map(key).collect()
}

/// The key of a row of this source.
pub(super) fn key_of(source: &str, position: &Position) -> Key {
    match position {
        Position::Line(line) => Key::Line(source.to_owned(), *line as i64),
        Position::Message(message) => Key::Message(message.id.clone(), message.publish_time),
    }
}
