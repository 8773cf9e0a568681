//! Dead letters as they are kept, for trying them again: read page by page, and which of their rows are
//! in the table already.

mod letter;
mod present;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value as Json;

pub use letter::{Key, Lender, Letter, LetterError, Record};
pub use present::{Kinds, Present};

use letter::decode;

use super::condition::check_condition;
use super::{SinkError, Tables};
use clickmill_config::TableName;
use clickmill_core::schema::TableSchema;
use clickmill_core::schema::provenance::{PUBLISH_TIME, RECORD_INDEX};
use clickmill_tables::result_set::{Parameter, ResultSet};

/// Which letters.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The dead-letter table.
    pub table: &'a TableName,
    /// Its columns.
    pub schema: &'a TableSchema,
    /// The attempts: letters that the pipeline has resolved there for its table are left out. Another pipeline's letter
    /// of the same record has the same id, and so has its own from before it wrote to this table.
    pub attempts: TableName,
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// Its own table.
    pub into: &'a TableName,
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
        let found = self.query(&wanted.sql(), &wanted.parameters(), "read dead letters").await?;
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

    /// Which of these rows are in the table. Of a table of letters, those of a `pipeline` count.
    pub async fn present(
        &self,
        table: &TableName,
        schema: &TableSchema,
        keys: &[Key],
        pipeline: Option<&str>,
    ) -> Result<BTreeSet<Key>, SinkError> {
        let there = self.rows_of(table, schema, keys, pipeline).await?;
        Ok(keys.iter().filter(|key| there.has(key)).cloned().collect())
    }

    /// The rows of these keys that are in the table. Messages are told by their ids alone where the table does
    /// not say when they were published, and rows by their records where it does not say their places. Of a
    /// table of letters, those of a `pipeline` count.
    pub async fn rows_of(
        &self,
        table: &TableName,
        schema: &TableSchema,
        keys: &[Key],
        pipeline: Option<&str>,
    ) -> Result<Present, SinkError> {
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
        let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
        let rows = Rows { table, schema };
        let own = pipeline.map(|name| format!(" AND there.pipeline = {}", quoted(name)));
        let own = own.unwrap_or_default();
        let mut there = Present::default();
        if !ids.is_empty() {
            let of = format!("WHERE there.message_id IN ({}){own}", list(ids));
            there.add_messages(&self.query(&rows.of_messages("", &of), &[], WHAT).await?);
        }
        if !lines.is_empty() {
            let (sources, lines) = (list(sources), list(lines));
            let of = format!(
                "WHERE there.source IN ({sources}) AND there.source_line IN ({lines}){own}"
            );
            there.add_lines(&self.query(&rows.of_lines("", &of), &[], WHAT).await?);
        }
        Ok(there)
    }

    /// The rows of letters that are in the table, and which letters those are: the first that are wanted, those
    /// that were tried before among them, and no other rows of their records. One answer says both, since a condition
    /// that asks for the time, say, is met by other letters each time.
    pub async fn rows_of_letters(
        &self,
        table: &TableName,
        schema: &TableSchema,
        wanted: &Wanted<'_>,
        kinds: Kinds,
    ) -> Result<(BTreeSet<String>, Present), SinkError> {
        check_condition(wanted.condition)?;
        let Wanted { condition, limit, .. } = wanted;
        let first = format!(
            "letters.letter_id > @after AND ({condition}) ORDER BY letters.letter_id LIMIT {limit}"
        );
        let parameters = wanted.parameters();
        let rows = Rows { table, schema };
        let place = format!("{} AS place", wanted.place());
        // Of a record with many letters and many rows, each letter has its own row, and not all of them.
        let same_place = if rows.has(RECORD_INDEX) {
            format!(" AND {} = wanted.place", rows.place())
        } else {
            String::new()
        };
        let (mut asked, mut there) = (Vec::new(), Present::default());
        if kinds.messages {
            let columns = format!("letters.letter_id, letters.message_id, {place}");
            let letters = wanted.those(&columns, &first);
            let of = format!(
                "RIGHT JOIN ({letters}) AS wanted \
                 ON there.message_id = wanted.message_id{same_place}"
            );
            let sql = rows.of_messages(", wanted.letter_id", &of);
            let found = self.query(&sql, &parameters, WHAT).await?;
            there.add_messages(&found);
            asked.push(ids(&found));
        }
        if kinds.lines {
            let columns =
                format!("letters.letter_id, letters.source, letters.source_line, {place}");
            let letters = wanted.those(&columns, &first);
            let of = format!(
                "RIGHT JOIN ({letters}) AS wanted ON there.source = wanted.source \
                 AND there.source_line = wanted.source_line{same_place}"
            );
            let sql = rows.of_lines(", wanted.letter_id", &of);
            let found = self.query(&sql, &parameters, WHAT).await?;
            there.add_lines(&found);
            asked.push(ids(&found));
        }
        Ok((asked.into_iter().reduce(|one, other| &one & &other).unwrap_or_default(), there))
    }
}

const WHAT: &str = "look for rows of letters";

/// The ids of letters, which come last.
fn ids(found: &ResultSet) -> BTreeSet<String> {
    let ids = found.rows.iter().filter_map(|row| row.last().and_then(Json::as_str));
    ids.map(str::to_owned).collect()
}

/// Rows of a table, by what tells them.
struct Rows<'a> {
    table: &'a TableName,
    schema: &'a TableSchema,
}

impl Rows<'_> {
    /// With `more` columns.
    fn of_messages(&self, more: &str, of: &str) -> String {
        let has_time = self.has(PUBLISH_TIME);
        let time = if has_time { "UNIX_MICROS(there.publish_time)" } else { "-1" };
        self.select(
            &format!("there.message_id, {} AS place, {time} AS published{more}", self.place()),
            of,
        )
    }

    /// With `more` columns.
    fn of_lines(&self, more: &str, of: &str) -> String {
        let place = self.place();
        self.select(&format!("there.source, there.source_line, {place} AS place{more}"), of)
    }

    fn place(&self) -> &'static str {
        if self.has(RECORD_INDEX) { "COALESCE(there.record_index, 0)" } else { "-1" }
    }

    fn select(&self, columns: &str, of: &str) -> String {
        let TableName { dataset, table } = self.table;
        format!("SELECT DISTINCT {columns} FROM `{dataset}`.`{table}` AS there {of}")
    }

    fn has(&self, name: &str) -> bool {
        self.schema.columns.iter().any(|column| column.name == name)
    }
}

impl Wanted<'_> {
    /// What reads letters that are wanted and open, the first so many.
    fn sql(&self) -> String {
        let Self { attempts, into, condition, limit, .. } = self;
        self.select(&format!(
            "letters.letter_id > @after AND ({condition}) \
             AND letters.letter_id NOT IN (SELECT tried.letter_id FROM `{}`.`{}` AS tried \
             WHERE tried.pipeline = @pipeline AND COALESCE(tried.`table`, '{into}') = '{into}' \
             AND tried.outcome <> 'rejected') \
             ORDER BY letters.letter_id LIMIT {limit}",
            attempts.dataset, attempts.table,
        ))
    }

    /// Values of `@pipeline` and `@after`: parameters, since a table may hold any text for an id.
    fn parameters(&self) -> [(&'static str, Parameter); 2] {
        let text = |text: &str| Parameter::Text(Some(text.to_owned()));
        [("pipeline", text(self.pipeline)), ("after", text(self.after))]
    }

    /// What is read of letters of the pipeline that meet a condition.
    fn select(&self, condition: &str) -> String {
        let place = self.place();
        let columns = format!(
            "letters.letter_id, letters.source, letters.source_line, letters.message_id, \
             {place} AS record_index, UNIX_MICROS(letters.publish_time) AS published, letters.sealed_with, letters.stage, \
             letters.plugin_set, letters.code, letters.errorMessage, \
             TO_BASE64(letters.payloadBytes) AS payload, \
             TO_JSON_STRING(letters.attributes) AS pairs"
        );
        self.those(&columns, condition)
    }

    /// A letter's place among the rows of its record, which a version before did not tell apart.
    fn place(&self) -> &'static str {
        let has_place = self.schema.columns.iter().any(|column| column.name == RECORD_INDEX);
        if has_place { "COALESCE(letters.record_index, 0)" } else { "0" }
    }

    /// Columns of letters of the pipeline that meet a condition.
    fn those(&self, columns: &str, condition: &str) -> String {
        let TableName { dataset, table } = self.table;
        format!(
            "SELECT {columns} FROM `{dataset}`.`{table}` AS letters \
             WHERE letters.pipeline = @pipeline AND {condition}"
        )
    }
}

#[cfg(test)]
mod tests;
