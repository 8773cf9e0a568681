//! Finds sensitive values, and stops their rows.

mod raw;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use regex::Regex;

use super::spelling::{Spellings, Writing};
use super::text::{Joined, Text, written_out};
use clickmill_config::{self as config, Dialect, Format};
use clickmill_core::batch::{Batch, Reason, Rejected, Rejector};
use clickmill_core::leaves::{Leaf, leaves};
use clickmill_core::path::Path;
use clickmill_core::schema::{Column, TableSchema};
use clickmill_core::words::texts;
use clickmill_core::{Digest, RawColumn, stage};
use raw::{Found, Guarded, Raw, are_short_numbers};

/// Why rows are stopped.
pub const CODE: &str = "unmasked";

/// The columns that are looked at.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    columns: Vec<Guarded>,
    /// The table's other columns, each with the form of values that may hold what came in.
    others: Vec<Other>,
    /// The table's columns by name, each with all that is below it.
    names: Vec<String>,
    /// How records that are delimited text are written.
    dialect: Option<Dialect>,
}

/// A column that may hold what came in.
#[derive(Debug, Clone)]
struct Other {
    name: String,
    form: Option<Regex>,
}

impl Guard {
    /// A guard of the sensitive columns of these tables, whose rows are from records of a format. What is
    /// sensitive in one of them is so in all that have it.
    pub fn of<'a>(
        schemas: impl IntoIterator<Item = &'a TableSchema>,
        config: &config::Guard,
        format: &Format,
    ) -> Self {
        if config.off {
            return Self::default();
        }
        let form = |name: &str| {
            let form = config.allow.iter().find(|(of, _)| of == name);
            form.map(|(_, form)| form.clone())
        };
        let mut all: Vec<(Path, &Column)> = Vec::new();
        for (path, column) in schemas.into_iter().flat_map(TableSchema::all_columns) {
            if all.iter().all(|(known, _)| *known != path) {
                all.push((path, column));
            }
        }
        let tagged = all.iter().filter(|(_, column)| column.policy_tags.is_some());
        let tagged: Vec<&Path> = tagged.map(|(path, _)| path).collect();
        let (mut columns, mut others) = (Vec::new(), Vec::new());
        for (path, _) in all.iter().filter(|(_, column)| column.fields.is_empty()) {
            let name = path.to_string();
            let form = form(&name);
            if tagged.iter().any(|tagged| path.starts_with(tagged)) {
                columns.push(Guarded { name, path: path.clone(), form, networks: false });
            } else {
                others.push(Other { name, form });
            }
        }
        let outermost = all.iter().filter(|(path, _)| path.parent().is_none());
        let names = outermost.map(|(_, column)| column.name.clone()).collect();
        let dialect = match format {
            Format::Csv { dialect, .. } => Some(*dialect),
            Format::Ndjson { .. } | Format::Message { .. } => None,
        };
        Self { columns, others, names, dialect }
    }

    /// The guard of a chain, of which `writes` are the columns that each stage writes, by path, and `decoded`
    /// those that come in: the decoder is the first that writes them.
    pub fn over(&self, decoded: &Schema, writes: impl Iterator<Item = Path>) -> Self {
        let mut guard = self.clone();
        let decoded = decoded.fields().iter().map(|field| Path::of(field.name()));
        // Whoever writes a record writes its fields; whoever writes a field of it writes no other.
        let written: Vec<Path> = decoded.chain(writes).collect();
        for column in &mut guard.columns {
            let times = written.iter().filter(|written| column.path.starts_with(written)).count();
            column.networks = times > 1;
        }
        guard
    }

    /// The names of the columns, or of the records that they are below.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let guarded =
            move |name: &&str| self.columns.iter().any(|column| column.path.first() == *name);
        self.names.iter().map(String::as_str).filter(guarded)
    }

    /// The sensitive columns, by path, that whoever writes these writes.
    pub fn among(&self, written: &[Path]) -> BTreeSet<String> {
        let is_written =
            |column: &&Guarded| written.iter().any(|written| column.path.starts_with(written));
        self.columns.iter().filter(is_written).map(|column| column.name.clone()).collect()
    }

    /// All sensitive columns, by path.
    pub fn all(&self) -> BTreeSet<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    fn guarded(&self, path: &Path) -> Option<&Guarded> {
        self.columns.iter().find(|column| column.path == *path)
    }

    /// Takes out the rows of which a sensitive value is as it came in. `raw` are the sensitive columns as
    /// they were before they were written anew.
    ///
    /// # Errors
    ///
    /// Arrow can't filter or read the columns.
    pub fn stop(
        &self,
        batch: Batch,
        raw: &[RawColumn],
        plugin_set: &Digest,
    ) -> Result<(Batch, Vec<Rejected>), ArrowError> {
        if self.columns.is_empty() {
            return Ok((batch, Vec::new()));
        }
        let batch = written_out(batch, &self.names)?;
        let found = self.find(&batch, raw)?;
        if found.is_empty() {
            return Ok((batch, Vec::new()));
        }
        let by = Rejector::host(stage::GUARD, plugin_set, batch.ingest_time);
        let stopped = found.iter().map(|(row, Found { at, of, is_unknown })| {
            let message = if *is_unknown {
                format!("`{of}` is sensitive, and has more values than are looked for")
            } else if at == of {
                format!("`{at}` is sensitive, and leaves the plugins as it came in")
            } else {
                format!("`{at}` holds the value of `{of}`, which is sensitive, as it came in")
            };
            let (code, column) = (CODE.to_owned(), Some((*at).to_owned()));
            batch.origins.reject(*row, &by, Reason { code, message, column })
        });
        let stopped = stopped.collect();
        let keep = (0..batch.rows()).map(|row| !found.contains_key(&row));
        let keep = BooleanArray::new(keep.collect::<BooleanBuffer>(), None);
        Ok((batch.keep(&keep)?, stopped))
    }

    fn find<'a>(
        &'a self,
        batch: &Batch,
        raw: &[RawColumn],
    ) -> Result<BTreeMap<usize, Found<'a>>, ArrowError> {
        let now = self
            .columns()
            .filter_map(|name| Some(leaves(name, batch.columns.column_by_name(name)?)));
        let own = self.values(now.flatten())?;
        let (raws, all) = (self.raws(raw)?, self.texts(&batch.columns)?);
        let origins = &batch.origins;
        let (mut joined, mut found) = (Joined::default(), BTreeMap::new());
        let writing =
            Writing::of(&origins.block[origins.extent()], self.dialect.as_ref(), &origins.source);
        let mut record = Spellings::new(writing);
        let mut rows = 0..;
        // The rows of a record follow each other, and there may be a thousand of a megabyte.
        for of_record in origins.ranges.chunk_by(|one, next| one == next) {
            record.begin(&origins.block[of_record[0].clone()]);
            let mut before = None;
            for row in rows.by_ref().take(of_record.len()) {
                // Most are of one visitor.
                let is_as_before = |own: &Raw<'_>| own.of_row(row).eq(own.of_row(row - 1));
                let as_it_came = match before {
                    Some(known) if own.iter().all(is_as_before) => known,
                    _ => own.iter().find_map(|own| Some((own, own.came_in(row, &record)?))),
                };
                before = Some(as_it_came);
                let as_it_came = as_it_came.map(|(own, is_unknown)| {
                    let name = own.guarded.name.as_str();
                    Found { at: name, of: name, is_unknown }
                });
                let elsewhere = || raws.iter().find_map(|raw| raw.find(row, &all, &mut joined));
                if let Some(one) = as_it_came.or_else(elsewhere) {
                    found.insert(row, one);
                }
            }
        }
        Ok(found)
    }

    /// Which rows hold no raw value, as far as they are made by now. `raw` is as in [`Guard::stop`].
    ///
    /// # Errors
    ///
    /// Arrow can't read the columns.
    pub fn holding_none(
        &self,
        rows: &RecordBatch,
        raw: &[RawColumn],
    ) -> Result<BooleanArray, ArrowError> {
        let (raws, all) = (self.raws(raw)?, self.texts(rows)?);
        let mut joined = Joined::default();
        let holds_none = |row| raws.iter().all(|raw| raw.find(row, &all, &mut joined).is_none());
        let holds_none: BooleanBuffer = (0..rows.num_rows()).map(holds_none).collect();
        Ok(BooleanArray::new(holds_none, None))
    }

    fn raws(&self, raw: &[RawColumn]) -> Result<Vec<Raw<'_>>, ArrowError> {
        let leaves = raw.iter().flat_map(RawColumn::leaves);
        // Each field in its first form: a later one may be masked.
        let mut seen = BTreeSet::new();
        self.values(leaves.filter(|leaf| seen.insert(leaf.path.to_string())))
    }

    /// The values of sensitive columns, in the order of the table.
    fn values(&self, leaves: impl Iterator<Item = Leaf>) -> Result<Vec<Raw<'_>>, ArrowError> {
        let mut all = Vec::new();
        for leaf in leaves {
            if let Some(guarded) = self.guarded(&leaf.path)
                && !are_short_numbers(&leaf.values)
                && let Some(values) = texts(&leaf.values)?
            {
                all.push(Raw { guarded, leaf, values });
            }
        }
        Ok(all)
    }

    fn texts<'a>(&'a self, rows: &RecordBatch) -> Result<Vec<Text<'a>>, ArrowError> {
        let columns = self.columns.iter().map(|guarded| (&guarded.name, &guarded.form, false));
        let others = self.others.iter().map(|other| (&other.name, &other.form, true));
        let all = columns.chain(others);
        let all: BTreeMap<&str, (Option<&Regex>, bool)> =
            all.map(|(name, form, is_other)| (name.as_str(), (form.as_ref(), is_other))).collect();
        let mut found = Vec::new();
        for name in &self.names {
            let Some(column) = rows.column_by_name(name) else { continue };
            for mut leaf in leaves(name, column) {
                // Text may come as a dictionary.
                if let DataType::Dictionary(..) = leaf.values.data_type()
                    && let Some(plain) = texts(&leaf.values)?
                {
                    leaf.values = Arc::new(plain);
                }
                let known = all.get_key_value(leaf.path.to_string().as_str());
                found.extend(known.and_then(|(name, (form, is_other))| {
                    Some((*is_other, Text::of(name, *form, &leaf)?))
                }));
            }
        }
        // The sensitive ones first: what is found there is told of them.
        found.sort_by_key(|(is_other, _)| *is_other);
        Ok(found.into_iter().map(|(_, text)| text).collect())
    }
}

#[cfg(test)]
mod tests;
