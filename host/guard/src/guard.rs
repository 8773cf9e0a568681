//! Finds sensitive values, and stops their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::error::ArrowError;
use memchr::memchr;
use regex::Regex;

use super::search::Known;
use super::spelling::{Spellings, Stands, Writing};
use super::text::{Joined, Text, written_out};
use clickmill_config::{self as config, Dialect, Format};
use clickmill_core::batch::{Batch, Reason, Rejected, Rejector};
use clickmill_core::columns::is_text;
use clickmill_core::leaves::{Leaf, leaves};
use clickmill_core::path::Path;
use clickmill_core::schema::{Column, TableSchema};
use clickmill_core::words::{has_digits, is_plain, texts};
use clickmill_core::{Digest, RawColumn, stage};

/// Why rows are stopped.
pub const CODE: &str = "unmasked";

/// Shorter values stand in other texts by chance.
const LEAST_BYTES: usize = 6;
/// Shorter ones are other texts by chance.
const LEAST_BYTES_ALONE: usize = 4;

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

/// A column that is looked at.
#[derive(Debug, Clone)]
struct Guarded {
    /// Its path.
    name: String,
    path: Path,
    /// The form of values that may stay as they are.
    form: Option<Regex>,
    /// Networks of addresses may.
    networks: bool,
}

/// What is found in a row: where, and the sensitive column of which it is.
struct Found<'a> {
    at: &'a str,
    of: &'a str,
    /// Not found, but not looked for either: there are too many values.
    is_unknown: bool,
}

/// A column's raw values.
struct Raw<'a> {
    guarded: &'a Guarded,
    leaf: Leaf,
    values: StringArray,
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

impl Guarded {
    /// Whether a value may stay as it came in.
    fn allows(&self, value: &str) -> bool {
        self.form.as_ref().is_some_and(|form| form.is_match(value))
            || (self.networks && is_network(value))
    }
}

impl<'a> Raw<'a> {
    /// The values of a row.
    fn of_row(&self, row: usize) -> impl Iterator<Item = &str> {
        let there = self.leaf.of_row(row).filter(|at| self.values.is_valid(*at));
        there.map(|at| self.values.value(at))
    }

    /// Finds a value of a row that is as it came in, and returns whether that is unknown.
    fn came_in(&self, row: usize, record: &Spellings<'_>) -> Option<bool> {
        // A short number, such as an age, is in the record by chance.
        let is_text = is_text(self.leaf.values.data_type());
        let least = if is_text { 1 } else { LEAST_BYTES };
        self.of_row(row).filter(|value| value.len() >= least).find_map(|value| {
            if record.were_many() && self.guarded.allows(value) {
                return None;
            }
            match record.hold(value) {
                Stands::Nowhere => None,
                Stands::Here => (!self.guarded.allows(value)).then_some(false),
                Stands::Unknown => Some(true),
            }
        })
    }

    /// Finds a raw value of a row in one of its texts.
    fn find(&self, row: usize, texts: &[Text<'a>], joined: &mut Joined) -> Option<Found<'a>> {
        self.of_row(row).find_map(|value| self.find_value(row, value.trim(), texts, joined))
    }

    fn find_value(
        &self,
        row: usize,
        value: &str,
        texts: &[Text<'a>],
        joined: &mut Joined,
    ) -> Option<Found<'a>> {
        let is_short = value.len() < LEAST_BYTES;
        let is_chance =
            value.len() < LEAST_BYTES_ALONE || value.bytes().all(|byte| byte.is_ascii_digit());
        if is_short && is_chance {
            return None;
        }
        joined.fill(texts, row);
        let has_digits = has_digits(value.as_bytes());
        // As a form writes it into a URL.
        let of_form = memchr(b' ', value.as_bytes()).map(|_| value.replace(' ', "+"));
        let both = [value, of_form.as_deref().unwrap_or_default()];
        let spelled = if of_form.is_some() { &both[..] } else { &both[..1] };
        let guarded = self.guarded;
        let form = guarded.form.as_ref();
        let may_stay = || is_of_nobody(value) || form.is_some_and(|form| form.is_match(value));
        if joined.search.are_many() && may_stay() {
            return None;
        }
        let is_plain = is_plain(value);
        // A mere word is looked for in its own column.
        let of_column =
            (is_plain && joined.search.are_many()).then(|| format!("{}\0{value}", guarded.name));
        let key = of_column.as_deref().unwrap_or(value);
        match joined.known(key, spelled, texts, row) {
            Known::Absent => return None,
            Known::TooMany => {
                let name = guarded.name.as_str();
                return Some(Found { at: name, of: name, is_unknown: true });
            }
            Known::Unknown => {}
        }
        let may_be_there =
            !has_digits || is_short || spelled.iter().any(|value| joined.may_hold(value));
        let found = texts.iter().filter(|_| may_be_there).find(|text| {
            (!has_digits || text.has_digits)
                && (!is_plain || text.name == guarded.name)
                && if is_short { text.is(row, value) } else { text.holds(row, spelled) }
        });
        let Some(text) = found else {
            joined.search.was_absent(key);
            return None;
        };
        (!may_stay()).then_some(Found { at: text.name, of: &guarded.name, is_unknown: false })
    }
}

/// Whether all values are numbers of so few digits that each stands in other texts by chance: they are looked for
/// nowhere.
fn are_short_numbers(values: &ArrayRef) -> bool {
    const FIRST_LONG: i64 = 10_i64.pow(LEAST_BYTES as u32 - 1);
    let numbers = values.as_primitive_opt::<Int64Type>();
    let ends = numbers.and_then(|numbers| Some((min(numbers)?, max(numbers)?)));
    ends.is_some_and(|(least, greatest)| least >= 0 && greatest < FIRST_LONG)
}

/// Whether a text is an address of which the part that tells people apart is zero: the last byte of IPv4,
/// the last ten of IPv6.
fn is_network(text: &str) -> bool {
    match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.octets()[3] == 0,
        // 6to4 has a whole IPv4 address in the first six: masked, it is that address's network.
        Ok(IpAddr::V6(address)) => {
            address.segments()[0] != 0x2002 && address.segments()[3..] == [0; 5]
        }
        Err(_) => false,
    }
}

/// Whether a text tells nobody apart: the address of a network or the machine's own, or an identifier of one sign, as
/// `00000000-0000-0000-0000-000000000000` is of a device that gives none.
fn is_of_nobody(text: &str) -> bool {
    is_network(text)
        || text.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
        || is_of_one_sign(text)
}

fn is_of_one_sign(text: &str) -> bool {
    let mut signs = text.bytes().filter(|byte| *byte != b'-');
    let first = signs.next();
    first.is_some_and(|first| first.is_ascii_hexdigit() && signs.all(|sign| sign == first))
}

#[cfg(test)]
mod tests;
