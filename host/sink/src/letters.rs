//! Dead letters as they are kept, for trying them again: read page by page, and which of their rows are
//! in the table already.

mod letter;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value as Json;

pub use letter::{Key, Lender, Letter, LetterError, Record};

use letter::decode;

use super::condition::check_condition;
use super::{SinkError, Tables};
use clickmill_config::TableName;
use clickmill_core::Micros;
use clickmill_core::schema::TableSchema;
use clickmill_core::schema::provenance::{PUBLISH_TIME, RECORD_INDEX};
use clickmill_tables::result_set::Parameter;

/// Which letters.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The dead-letter table.
    pub table: &'a TableName,
    /// Its columns.
    pub schema: &'a TableSchema,
    /// The attempts: letters that are resolved there are left out.
    pub attempts: &'a TableName,
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// A condition in SQL.
    pub condition: &'a str,
    /// Only those whose id comes after this one.
    pub after: &'a str,
    /// How many at most.
    pub limit: usize,
}

impl From<LetterError> for SinkError {
    fn from(error: LetterError) -> Self {
        Self::new(error.fault(), error.is_transient(), error)
    }
}

impl Tables {
    /// Letters that are wanted, in the order of their ids.
    pub async fn letters(&self, wanted: &Wanted<'_>) -> Result<Vec<Letter>, SinkError> {
        check_condition(wanted.condition)?;
        let text = |text: &str| Parameter::Text(Some(text.to_owned()));
        // Parameters, since a table may hold any text for an id.
        let parameters = [("pipeline", text(wanted.pipeline)), ("after", text(wanted.after))];
        let found = self.query(&wanted.sql(), &parameters, "read dead letters").await?;
        let mut letters = decode(&found)?;
        // A record that was refused twice has two letters of one id.
        letters.dedup_by(|later, earlier| later.letter_id == earlier.letter_id);
        self.lend(wanted, &mut letters).await?;
        Ok(letters)
    }

    /// Gives letters without a payload that of the letter which has it.
    async fn lend(&self, wanted: &Wanted<'_>, letters: &mut [Letter]) -> Result<(), SinkError> {
        let lenders: BTreeSet<String> = letters
            .iter()
            .filter_map(|letter| Some(format!("'{}'", letter.lender.as_ref()?.letter_id)))
            .collect();
        if lenders.is_empty() {
            return Ok(());
        }
        let lenders = lenders.into_iter().collect::<Vec<_>>().join(", ");
        let sql = wanted.select(&format!("letters.letter_id IN ({lenders})"));
        let pipeline = [("pipeline", Parameter::Text(Some(wanted.pipeline.to_owned())))];
        let found = self.query(&sql, &pipeline, "read payloads of dead letters").await?;
        // Of two letters of one id, one may have the bytes and the other not.
        let found = decode(&found)?.into_iter().filter(|letter| letter.lender.is_none());
        let found: HashMap<String, Letter> =
            found.map(|letter| (letter.letter_id.clone(), letter)).collect();
        for letter in letters {
            let Some(lender) = &letter.lender else { continue };
            if let Some(found) = found.get(&lender.letter_id) {
                letter.borrow(found);
            }
        }
        Ok(())
    }

    /// Which of these rows are in the table. Messages are told by their ids alone where the table does
    /// not say when they were published, and rows by their records where it does not say their places. Of a
    /// table of letters, those of a `pipeline` count.
    pub async fn present(
        &self,
        table: &TableName,
        schema: &TableSchema,
        keys: &[Key],
        pipeline: Option<&str>,
    ) -> Result<BTreeSet<Key>, SinkError> {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let (mut ids, mut sources, mut lines) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for key in keys {
            match &key.record {
                Record::Message(id, _) => {
                    ids.insert(quoted(id));
                }
                Record::Line(source, line) => {
                    sources.insert(quoted(source));
                    lines.insert(line.to_string());
                }
            }
        }
        const WHAT: &str = "look for rows of letters";
        let has = |name: &str| schema.columns.iter().any(|column| column.name == name);
        let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
        let place = if has(RECORD_INDEX) { "COALESCE(record_index, 0)" } else { "-1" };
        let from = format!("FROM `{}`.`{}`", table.dataset, table.table);
        let own = pipeline.map(|name| format!(" AND pipeline = {}", quoted(name)));
        let own = own.unwrap_or_default();
        let mut there: BTreeMap<Record, Vec<Option<u64>>> = BTreeMap::new();
        if !ids.is_empty() {
            let time = if has(PUBLISH_TIME) { "UNIX_MICROS(publish_time)" } else { "-1" };
            let sql = format!(
                "SELECT DISTINCT message_id, {place} AS place, {time} AS published {from} \
                 WHERE message_id IN ({ids}){own}",
                ids = list(ids)
            );
            let found = self.query(&sql, &[], WHAT).await?;
            for row in &found.rows {
                let [Json::String(id), place, published] = row.as_slice() else { continue };
                let published = published.as_i64().filter(|micros| *micros >= 0);
                let record = Record::Message(id.clone(), published.unwrap_or_default().into());
                there.entry(record).or_default().push(place.as_u64());
            }
        }
        if !lines.is_empty() {
            let sql = format!(
                "SELECT DISTINCT source, source_line, {place} AS place {from} \
                 WHERE source IN ({sources}) AND source_line IN ({lines}){own}",
                sources = list(sources),
                lines = list(lines)
            );
            let found = self.query(&sql, &[], WHAT).await?;
            for row in &found.rows {
                let [Json::String(source), line, place] = row.as_slice() else { continue };
                let Some(line) = line.as_i64() else { continue };
                there.entry(Record::Line(source.clone(), line)).or_default().push(place.as_u64());
            }
        }
        Ok(keys.iter().filter(|key| is_among(&there, key)).cloned().collect())
    }
}

/// Whether one of these rows, by their records and places, is that of a key. Where either side does not say
/// when a message was published, its id decides; where a row does not say its place, its record.
fn is_among(there: &BTreeMap<Record, Vec<Option<u64>>>, key: &Key) -> bool {
    let is_there = |places: &Vec<Option<u64>>| {
        places.iter().any(|place| place.is_none_or(|place| place == key.place))
    };
    match &key.record {
        Record::Message(id, time) if *time == Micros::default() => there
            .iter()
            .filter(|(record, _)| matches!(record, Record::Message(other, _) if other == id))
            .any(|(_, places)| is_there(places)),
        Record::Message(id, _) => {
            let unknown = Record::Message(id.clone(), Micros::default());
            [&key.record, &unknown].into_iter().filter_map(|of| there.get(of)).any(is_there)
        }
        Record::Line(..) => there.get(&key.record).is_some_and(is_there),
    }
}

impl Wanted<'_> {
    fn sql(&self) -> String {
        let Self { attempts, condition, limit, .. } = self;
        self.select(&format!(
            "letters.letter_id > @after AND ({condition}) \
             AND letters.letter_id NOT IN (SELECT tried.letter_id FROM `{}`.`{}` AS tried WHERE tried.outcome <> 'rejected') \
             ORDER BY letters.letter_id LIMIT {limit}",
            attempts.dataset, attempts.table,
        ))
    }

    /// What is read of letters of the pipeline that meet a condition.
    fn select(&self, condition: &str) -> String {
        let table = self.table;
        // Letters of a version before told no rows of a record apart.
        let has_place = self.schema.columns.iter().any(|column| column.name == RECORD_INDEX);
        let place = if has_place { "letters.record_index" } else { "0 AS record_index" };
        format!(
            "SELECT letters.letter_id, letters.source, letters.source_line, letters.message_id, \
             {place}, UNIX_MICROS(letters.publish_time) AS published, letters.sealed_with, letters.stage, \
             letters.plugin_set, letters.code, letters.errorMessage, \
             TO_BASE64(letters.payloadBytes) AS payload, \
             TO_JSON_STRING(letters.attributes) AS pairs \
             FROM `{}`.`{}` AS letters \
             WHERE letters.pipeline = @pipeline AND {condition}",
            table.dataset, table.table,
        )
    }
}

#[cfg(test)]
mod tests;
