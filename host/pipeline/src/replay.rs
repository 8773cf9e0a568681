//! Dead letters, once more: from their original bytes through the plugin set that runs now, or another.
//!
//! Letters are read page by page. Of each page, those whose rows are in the table already are resolved; the
//! rest is decoded and transformed. Good rows and what became of each letter, for `dead_letter_attempts`, are
//! written as one load, all or nothing: of a record that is several rows those that the table does not have, and
//! of a row that goes to several tables to those that lack it. However often replays are killed and repeated and
//! however many are at it at once, each row is written once and each letter resolved once: [`load`] tells how.

pub(crate) mod attempts;
mod chains;
mod decode;
mod error;
mod load;
mod record;
mod rows;
mod sealed;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;

pub use attempts::Fate;
pub use error::ReplayError;
pub use record::{RecordedRows, Recording, Tapped, record_tapped, tapped};

use chains::{Chains, Made, key_of, keys_of};
use rows::Rows;

use super::build::PreparedPipeline;
use super::context::Context;
use super::run::load::in_turn;
use super::run::stop::Stop;
use clickmill_audit::{Action, Event};
use clickmill_core::schema::provenance;
use clickmill_core::{Digest, Micros, StageName};
use clickmill_dead_letter::SEALED_MESSAGE;
use clickmill_sandbox::Change;
use clickmill_sink::{Claim, Key, Letter, Record, SinkError, Wanted};
use clickmill_tables::ledger::{self, Committed};

/// Letters that are read, and loaded, at once.
const PAGE: usize = 5000;

/// What to replay.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Which letters: a condition in SQL.
    pub condition: String,
    /// What is different from the plugin set that runs.
    pub changes: Vec<Change>,
    /// Only say what would become of them.
    pub dry_run: bool,
}

/// What became of letters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replayed {
    /// The plugin set they went through.
    pub plugin_set: Digest,
    /// All of them.
    pub letters: u64,
    /// Their rows are in the table, or would be.
    pub resolved: u64,
    /// Of these, those whose rows were there before.
    pub there_before: u64,
    /// Dropped on purpose.
    pub filtered: u64,
    /// Refused again: by stage and code, how many, and what one of them says.
    pub rejected: BTreeMap<(StageName, String), (u64, String)>,
}

impl Replayed {
    fn count(&mut self, fate: &Fate) {
        match fate {
            Fate::Resolved => self.resolved += 1,
            Fate::Filtered => self.filtered += 1,
            Fate::Rejected { stage, reason } => {
                let key = (stage.clone(), reason.code.clone());
                let entry = self.rejected.entry(key).or_insert_with(|| (0, reason.message.clone()));
                entry.0 += 1;
            }
        }
    }
}

/// A letter's way through its plugin set.
#[derive(Debug)]
pub struct Explained {
    /// The letter.
    pub letter: Letter,
    /// The set that refused it.
    pub plugin_set: Digest,
    /// The row when it comes in and after each stage, by name.
    pub steps: Vec<(String, RecordBatch)>,
    /// What becomes of it.
    pub fate: Fate,
}

/// Replays dead letters of a pipeline.
pub fn replay(prepared: &PreparedPipeline, request: &Replay) -> Result<Replayed, ReplayError> {
    let context = prepared.context();
    let current = context.slot.current();
    let library = if request.changes.is_empty() {
        current.library.clone()
    } else {
        current.library.with(request.changes.clone())?
    };
    has_provenance(context)?;
    // Until the last page is loaded.
    let _claim = if request.dry_run { None } else { claim(context)? };
    if !request.dry_run {
        // Another may have been killed since this process began.
        context.runtime.block_on(context.tables.clear_up())?;
        context.publish(&library)?;
        let (table, schema) =
            (context.pipeline.sink.table.beside(ledger::TABLE), ledger::schema()?);
        context.runtime.block_on(context.tables.ensure(&table, &schema))?;
    }
    let mut chains = Chains::new(context, library);
    let mut done = Replayed { plugin_set: chains.library.digest().clone(), ..Replayed::default() };
    let plugin_set = done.plugin_set.clone();
    let event = |detail| Event {
        subject: request.condition.clone(),
        new_plugin_set: Some(plugin_set.to_string()),
        ..Event::new(&context.actor, Action::Replay, detail)
    };
    if !request.dry_run {
        // Before the first row is written; what became of the letters is entered at the end.
        let entered = context.audit.enter(event("begins".to_owned()));
        entered.map_err(ReplayError::Audit)?;
    }
    let (mut after, mut there) = (String::new(), Rows::default());
    let mut number = if request.dry_run { None } else { Some(load::free_number(context)?) };
    loop {
        let wanted = wanted(context, &request.condition, &after);
        let mut letters = read(context, &wanted)?;
        let Some(last) = letters.last().map(|letter| letter.letter_id.clone()) else { break };
        there.look(context, &wanted, &letters, letters.len() < PAGE)?;
        sealed::open_all(context, &mut letters)?;
        if page(context, &mut chains, letters, number, &mut there, &mut done)? {
            (after, number) = (last, number.map(|number| number + 1));
        } else {
            let table = &context.pipeline.sink.table;
            tracing::info!(%table, "the number of this page is taken, looking at the letters again");
            (there, number) = (Rows::default(), Some(load::free_number(context)?));
        }
    }
    let rejected: u64 = done.rejected.values().map(|(count, _)| count).sum();
    let detail = format!(
        "{} letters: {} resolved, {} filtered, {rejected} rejected again",
        done.letters, done.resolved, done.filtered
    );
    context.audit.end((!request.dry_run).then(|| event(detail)));
    Ok(done)
}

/// Runs one letter through the very set that refused it, stage by stage.
pub fn explain(prepared: &PreparedPipeline, id: &str) -> Result<Explained, ReplayError> {
    let context = prepared.context();
    let condition = format!("letters.letter_id LIKE '{}%'", id.replace('\'', ""));
    let letters = read(context, &wanted(context, &condition, ""))?;
    let found = letters.len();
    // Before any is opened: of several none is shown.
    let mut letter = <[Letter; 1]>::try_from(letters)
        .map_err(|_| ReplayError::NoLetter { id: id.to_owned(), found })?;
    sealed::open_all(context, &mut letter)?;
    let [letter] = letter;
    // Before anything of it is shown.
    let revealed = context.audit.enter(Event {
        subject: letter.letter_id.clone(),
        ..Event::new(&context.actor, Action::Reveal, "the letter's values, stage by stage")
    });
    revealed.map_err(ReplayError::Audit)?;
    context.audit.end(None);
    let sets = &context.sets;
    let set = sets.set(&letter.plugin_set)?;
    let current = context.slot.current();
    let mut chains = Chains::new(context, sets.restore(&current.library, &set)?);
    let mut steps = Vec::new();
    let mut fates = Vec::new();
    let made = chains.run(vec![letter.clone()], &mut fates, |_, stage, batch, _| {
        steps.push((stage.to_owned(), batch.columns.clone()));
    })?;
    let fate = match fates.pop() {
        Some((_, fate)) => fate,
        None if made.good.iter().flat_map(keys_of).any(|key| Some(key) == letter.key()) => {
            Fate::Resolved
        }
        None => Fate::Filtered,
    };
    Ok(Explained { letter, plugin_set: set.digest, steps, fate })
}

/// Makes golden cases of the rows that dead letters were when they came to a stage.
pub fn record(
    prepared: &PreparedPipeline,
    recording: &Recording,
) -> Result<RecordedRows, ReplayError> {
    let context = prepared.context();
    let mut letters = read(context, &wanted(context, &recording.condition, ""))?;
    letters.truncate(recording.letters);
    if letters.is_empty() {
        return Err(ReplayError::NoLetters { condition: recording.condition.clone() });
    }
    sealed::open_all(context, &mut letters)?;
    // Before anything of them is shown, as far as it is.
    let ids: Vec<&str> = letters.iter().map(|letter| letter.letter_id.as_str()).collect();
    let detail = format!("golden cases of the rows of {} letters", letters.len());
    let revealed = context.audit.enter(Event {
        subject: ids.join(", "),
        ..Event::new(&context.actor, Action::Reveal, detail)
    });
    revealed.map_err(ReplayError::Audit)?;
    context.audit.end(None);
    record::record(context, recording, letters)
}

/// Claims the replay of a table's letters, where the tables have locks: there a replay sees rows of another before
/// their load has happened.
fn claim(context: &Context) -> Result<Option<Claim>, SinkError> {
    let table = &context.pipeline.sink.table;
    let id = ledger::load_id(table, "replay of dead letters");
    let tell = || {
        tracing::info!(%table, "another replay into this table is running, waiting for it");
    };
    in_turn(&context.runtime, &Stop::default(), tell, || context.tables.claim(&id))
}

fn has_provenance(context: &Context) -> Result<(), ReplayError> {
    for (table, schema) in context.pipeline.sink.tables() {
        let has = |name: &str| schema.columns.iter().any(|column| column.name == name);
        let fine = if context.pipeline.source.is_stream() {
            has(provenance::MESSAGE_ID)
        } else {
            has(provenance::SOURCE) && has(provenance::SOURCE_LINE)
        };
        if !fine {
            return Err(ReplayError::NoProvenance { table: table.to_string() });
        }
    }
    Ok(())
}

/// A page of letters that are not resolved.
fn read(context: &Context, wanted: &Wanted<'_>) -> Result<Vec<Letter>, ReplayError> {
    Ok(context.runtime.block_on(context.tables.letters(wanted))?)
}

/// Which letters a page is of: those behind the id `after`.
fn wanted<'a>(context: &'a Context, condition: &'a str, after: &'a str) -> Wanted<'a> {
    let pipeline = &context.pipeline;
    Wanted {
        table: &pipeline.dead_letter.table,
        schema: &pipeline.dead_letter.schema,
        attempts: pipeline.sink.table.beside(attempts::TABLE),
        pipeline: &pipeline.name,
        into: &pipeline.sink.table,
        condition,
        after,
        limit: PAGE,
    }
}

/// What becomes of a page's letters: written as the load of a number, or only told where there is none. `false`
/// where another replay has loaded under that number: then nothing is counted, and what is known is old.
fn page(
    context: &Context,
    chains: &mut Chains<'_>,
    mut letters: Vec<Letter>,
    number: Option<u64>,
    known: &mut Rows,
    done: &mut Replayed,
) -> Result<bool, ReplayError> {
    let sink = &context.pipeline.sink;
    // Of two letters of one row of a message, as two versions of clickmill may have left, the second is
    // looked at when the row of the first can be found: by the next replay.
    let mut messages = BTreeSet::new();
    letters.retain(|letter| match letter.key() {
        Some(key @ Key { record: Record::Message(..), .. }) => messages.insert(key),
        Some(Key { record: Record::Line(..), .. }) | None => true,
    });
    let asked: BTreeSet<Key> = letters.iter().filter_map(Letter::key).collect();
    let mut fates: Vec<(String, Fate)> = Vec::new();
    let all: Vec<(String, Option<Key>)> =
        letters.iter().map(|letter| (letter.letter_id.clone(), letter.key())).collect();
    let mut there_before = 0;
    if !sink.copies() {
        // A row that is in a table is in all of its tables.
        let is_there = |letter: &Letter| letter.key().is_some_and(|key| known.has(&key));
        let (before, others): (Vec<Letter>, Vec<Letter>) = letters.into_iter().partition(is_there);
        there_before += before.len() as u64;
        fates.extend(before.into_iter().map(|letter| (letter.letter_id, Fate::Resolved)));
        letters = others;
    }
    let Made { good: mut rows, mut strays } = chains.run(letters, &mut fates, |_, _, _, _| {})?;
    // Of a record that is several rows, some are in the table: what is missing is written, and no more.
    let made: BTreeSet<Key> = rows.iter().flat_map(keys_of).collect();
    let others = made.iter().cloned().chain(strays.iter().map(key_of));
    let others: Vec<Key> = others.filter(|key| !asked.contains(key)).collect();
    if !others.is_empty() {
        known.look_for(context, &others)?;
    }
    strays.retain(|stray| !known.has(&key_of(stray)));
    if !strays.is_empty() {
        // Those that have a letter, which this page need not have, get no second one.
        let letters = &context.pipeline.dead_letter;
        let of: Vec<Key> = strays.iter().map(key_of).collect();
        let own = Some(context.pipeline.name.as_str());
        let known = context.tables.present(&letters.table, &letters.schema, &of, own);
        let known = context.runtime.block_on(known)?;
        strays.retain(|stray| !known.contains(&key_of(stray)));
    }
    rows.iter_mut().try_for_each(|rows| known.leave_out(rows))?;
    rows.retain(|rows| rows.count() > 0);
    let mut good: BTreeSet<Key> = rows.iter().flat_map(keys_of).collect();
    let page = match number {
        Some(number) => match load::Page::write(context, number, &rows)? {
            None => return Ok(false),
            page => page,
        },
        None => None,
    };
    for refused in page.iter().flat_map(|page| &page.refused) {
        let key = key_of(refused);
        good.remove(&key);
        match all.iter().find(|(_, of)| of.as_ref() == Some(&key)) {
            Some((id, _)) => {
                let (stage, reason) = (refused.stage.clone(), refused.reason.clone());
                fates.push((id.clone(), Fate::Rejected { stage, reason }));
            }
            None => strays.push(refused.clone()),
        }
    }
    let told: BTreeSet<String> = fates.iter().map(|(id, _)| id.clone()).collect();
    for (id, key) in &all {
        if told.contains(id) {
            continue;
        }
        let fate = match key {
            Some(key) if good.contains(key) => Fate::Resolved,
            // In all of its tables.
            Some(key) if made.contains(key) => {
                there_before += 1;
                Fate::Resolved
            }
            Some(_) | None => Fate::Filtered,
        };
        fates.push((id.clone(), fate));
    }
    if let Some(page) = page {
        let set = chains.library.digest();
        let attempts = attempts_of(context, set, &fates)?;
        match page.commit(context, set, &strays, attempts)? {
            Committed::Now => known.add(good),
            Committed::ByAnother => return Ok(false),
        }
    }
    done.letters += all.len() as u64;
    done.there_before += there_before;
    fates.iter().for_each(|(_, fate)| done.count(fate));
    Ok(true)
}

/// What became of letters, as rows of `dead_letter_attempts`.
fn attempts_of(
    context: &Context,
    set: &Digest,
    fates: &[(String, Fate)],
) -> Result<RecordBatch, ReplayError> {
    let mut fates = fates.to_vec();
    if context.letters.keys.is_some() {
        // The table of attempts is no safer a place for a message than that of the letters.
        for (_, fate) in &mut fates {
            if let Fate::Rejected { reason, .. } = fate {
                SEALED_MESSAGE.clone_into(&mut reason.message);
            }
        }
    }
    let (pipeline, schema) = (&context.pipeline, attempts::schema()?);
    let (name, table) = (&pipeline.name, &pipeline.sink.table);
    Ok(attempts::rows(&fates, name, table, set, &context.actor, Micros::now(), &schema)?)
}
