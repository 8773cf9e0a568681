//! What a plugin is offered of the columns there are, and whether what it wants is granted. Columns are
//! named by path: what is granted is granted with all below it.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType as ArrowType, Field, Fields};

use crate::boundary::{ColumnSpec, DataType, Needs};
use crate::contract::Contract;
use crate::kind::{Columns, Kind, Node, Spec, covers};
use crate::manifest::MAX_COLUMNS;
use clickmill_config::{Grant, Plugin};
use clickmill_core::near;
use clickmill_core::path::Path;
use clickmill_core::schema::provenance;

/// Stages of a chain that may make several rows of one. The place of a row in its record has four digits
/// for each.
const MAX_MULTIPLYING: u32 = 4;

/// The columns that a plugin is offered.
pub(super) struct Offer {
    /// Those that it may read, each record before its fields.
    pub specs: Vec<ColumnSpec>,
    /// All columns for which a contract has a type.
    kinds: HashMap<String, Kind>,
    contract: Contract,
}

impl Offer {
    pub(super) fn of(columns: &[Field], reads: &Grant, contract: Contract) -> Self {
        let kinds = columns.iter().filter_map(|column| Some((column.name(), Kind::of(column)?)));
        let kinds: Vec<(&String, Kind)> = kinds.collect();
        let mut specs = Vec::new();
        for (name, kind) in &kinds {
            if contract == Contract::V0_2 || contract_0_1_has(kind) {
                offer(reads, &Path::of(name), kind, &mut specs);
            }
        }
        let kinds = kinds.into_iter().map(|(name, kind)| (name.clone(), kind)).collect();
        Self { specs, kinds, contract }
    }

    /// Whether the plugin can be given what it is granted by name, as far as it is there.
    pub(super) fn check(&self, reads: &Grant) -> Result<(), Vec<String>> {
        let Grant::Only(names) = reads else { return Ok(()) };
        if self.contract == Contract::V0_2 {
            return Ok(());
        }
        let foreign = names.iter().filter(|name| {
            let kind = self.kind(&self.path(name)).or_else(|| self.kind(&name.parse().ok()?));
            kind.is_some_and(|kind| {
                name.contains('.') && !self.kinds.contains_key(*name) || !contract_0_1_has(kind)
            })
        });
        let problems = foreign.map(|name| {
            let contract = self.contract.name();
            format!("`{name}` is granted, and `{contract}`, for which it was built, has no such columns: take it out of `reads`, or build the plugin for `{}`", Contract::V0_2.name())
        });
        let problems: Vec<String> = problems.collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Columns that are granted by name and are not there, each with the one that may be meant. That is no error by
    /// itself: objects may have different columns.
    pub(super) fn missing(&self, reads: &Grant) -> Vec<String> {
        let Grant::Only(names) = reads else { return Vec::new() };
        let missing = names.iter().filter(|name| self.kind(&self.path(name)).is_none());
        let told = missing.map(|name| {
            let near = near(name, self.kinds.keys().map(String::as_str));
            let near = near.map(|column| format!(", but `{column}`")).unwrap_or_default();
            format!("`reads` names `{name}`, and there is no such column here{near}")
        });
        told.collect()
    }

    /// The path that a name means. A column of just that name comes first.
    fn path(&self, name: &str) -> Path {
        if self.contract == Contract::V0_1 || self.kinds.contains_key(name) {
            return Path::of(name);
        }
        name.parse().unwrap_or_else(|_| Path::of(name))
    }

    /// The type of a column by path, whether it is offered or not.
    fn kind(&self, path: &Path) -> Option<&Kind> {
        let mut names = path.names();
        let mut kind = self.kinds.get(names.next()?)?;
        for name in names {
            kind = kind.fields.iter().find(|(field, _)| field == name).map(|(_, kind)| kind)?;
        }
        Some(kind)
    }
}

/// Whether contract 0.1 has such columns.
fn contract_0_1_has(kind: &Kind) -> bool {
    use DataType::{Blob, Boolean, Date, Float64, Int64, Text, Timestamp};
    let flat = [Boolean, Int64, Float64, Date, Timestamp, Text, Blob];
    !kind.repeated && flat.contains(&kind.data_type)
}

/// Offers a column as far as it is granted. Says whether any of it is.
fn offer(grant: &Grant, path: &Path, kind: &Kind, specs: &mut Vec<ColumnSpec>) -> bool {
    if granted(grant, path) {
        kind.specs(path, specs);
        return true;
    }
    let before = specs.len();
    let (data_type, repeated) = (kind.data_type, kind.repeated);
    specs.push(ColumnSpec { path: path.to_string(), data_type, repeated });
    let mut any = false;
    for (name, field) in &kind.fields {
        any |= offer(grant, &path.field(name), field, specs);
    }
    if !any {
        specs.truncate(before);
    }
    any
}

fn granted(grant: &Grant, path: &Path) -> bool {
    match grant {
        Grant::All => true,
        Grant::Only(names) => covers(names, path),
    }
}

/// What a plugin wants, where it is offered so much.
pub(super) struct Wanted<'a> {
    pub offer: &'a Offer,
    pub needs: &'a Needs,
    pub plugin: &'a Plugin,
    pub contract: Contract,
}

/// What a plugin reads and writes, all of which it may.
pub(super) struct Granted {
    pub reads: Columns,
    pub writes: Columns,
}

impl Wanted<'_> {
    /// What it wants, if it may have it. The error is everything in which it goes beyond its grant.
    pub(super) fn granted(&self, multiplying: u32) -> Result<Granted, Vec<String>> {
        let mut problems = Vec::new();
        let reads = self.reads(&mut problems);
        let writes = self.writes(&reads, &mut problems);
        for table in &self.needs.lookups {
            if !self.plugin.lookups.iter().any(|(name, _)| name == table) {
                problems.push(format!(
                    "it asks lookup table `{table}`: name its file under `lookups` if it may"
                ));
            }
        }
        if self.needs.multiplies && multiplying >= MAX_MULTIPLYING {
            problems.push(format!(
                "it makes several rows of one, and {multiplying} stages before it do: a chain may have {MAX_MULTIPLYING} such stages"
            ));
        }
        if problems.is_empty() { Ok(Granted { reads, writes }) } else { Err(problems) }
    }

    fn specs(&self, specs: &[ColumnSpec]) -> Vec<Spec> {
        let spec = |ColumnSpec { path, data_type, repeated }: &ColumnSpec| Spec {
            path: self.offer.path(path),
            data_type: *data_type,
            repeated: *repeated,
        };
        specs.iter().map(spec).collect()
    }

    fn reads(&self, problems: &mut Vec<String>) -> Columns {
        let offered: HashMap<&str, &ColumnSpec> =
            self.offer.specs.iter().map(|spec| (spec.path.as_str(), spec)).collect();
        let before = problems.len();
        let specs = self.specs(&self.needs.reads);
        for Spec { path, data_type, repeated } in &specs {
            let wanted = word(*data_type, *repeated);
            match offered.get(path.to_string().as_str()) {
                Some(is) if (is.data_type, is.repeated) == (*data_type, *repeated) => {}
                Some(is) => problems.push(format!(
                    "it reads `{path}` as {wanted}, but the column is {}",
                    word(is.data_type, is.repeated)
                )),
                None if !granted(&self.plugin.reads, path) => {
                    problems.push(format!("it reads `{path}`: add it to `reads` if it may"));
                }
                None => {
                    problems.push(format!("it reads `{path}`, and there is no such column here"));
                }
            }
        }
        if problems.len() > before {
            return Columns::default();
        }
        // A batch has each column once, however often it is asked for.
        let (mut reads, _) = match Columns::of(&specs, |path| self.offer.kind(path).cloned()) {
            Ok(columns) => columns,
            Err(problem) => {
                problems.push(format!("it reads {problem}"));
                return Columns::default();
            }
        };
        for node in &mut reads.all {
            self.fill(node, &Path::of(&node.name.clone()), problems);
        }
        reads
    }

    /// A record that is read without any of its fields is read with all of them.
    fn fill(&self, node: &mut Node, path: &Path, problems: &mut Vec<String>) {
        if node.data_type != DataType::Record {
            return;
        }
        if node.fields.all.is_empty() {
            if !granted(&self.plugin.reads, path) {
                problems.push(format!(
                    "it reads `{path}` with all its fields, of which not all are granted: add it to `reads` if it may"
                ));
            } else if let Some(kind) = self.offer.kind(path) {
                node.fields = Columns::of_kind(kind);
            }
            return;
        }
        for field in &mut node.fields.all {
            let path = path.field(&field.name);
            self.fill(field, &path, problems);
        }
    }

    fn writes(&self, reads: &Columns, problems: &mut Vec<String>) -> Columns {
        let specs = self.specs(&self.needs.writes);
        let mut seen = HashSet::new();
        for Spec { path, .. } in &specs {
            if !granted(&self.plugin.writes, path) {
                problems.push(format!("it writes `{path}`: add it to `writes` if it may"));
            }
            if provenance::ALL.contains(&path.first()) {
                problems.push(format!("it writes `{path}`, which only the host fills in"));
            }
            if self.contract == Contract::V0_2
                && path.names().any(|name| name.is_empty() || name.contains('.'))
                && !self.offer.kinds.contains_key(path.first())
            {
                problems.push(format!(
                    "it writes `{}`, which is not a path of a column",
                    path.to_string().escape_debug()
                ));
            }
            if !seen.insert(path) {
                problems.push(format!("it writes `{path}` twice"));
            }
        }
        // Only fields are written of a record that is read.
        let record = |path: &Path| {
            let is_read = reads.find(path).is_some();
            is_read.then(|| self.offer.kind(path).cloned()).flatten()
        };
        let (writes, again) = match Columns::of(&specs, record) {
            Ok(columns) => columns,
            Err(problem) => {
                problems.push(format!("it writes {problem}: a record that it does not read must be written itself, before its fields"));
                return Columns::default();
            }
        };
        let behind = again.iter().filter(|spec| {
            let first = specs.iter().find(|first| first.path == spec.path);
            first.is_some_and(|first| std::ptr::eq(first, **spec))
        });
        problems.extend(behind.map(|spec| {
            format!("it writes record `{}` behind a field of it, wanted before", spec.path)
        }));
        for node in &writes.all {
            check_record(node, &Path::of(&node.name), false, problems);
        }
        let columns = self.offer.kinds.iter().filter(|(name, _)| writes.position(name).is_none());
        let beside: usize = columns.map(|(_, kind)| kind.count()).sum();
        let all = beside + specs.len();
        if all > MAX_COLUMNS {
            problems.push(format!("with what it writes there are {all} columns and fields, wanted at most {MAX_COLUMNS}"));
        }
        writes
    }
}

/// Whether a record that is written has fields, and those of one that is written itself are too.
fn check_record(node: &Node, path: &Path, is_within: bool, problems: &mut Vec<String>) {
    if node.data_type != DataType::Record {
        return;
    }
    if node.fields.all.is_empty() {
        problems.push(format!("it writes record `{path}` without fields"));
    }
    if is_within && !node.named {
        problems.push(format!("it writes a field of `{path}` and not that record itself, though the record around it is written anew"));
    }
    for field in &node.fields.all {
        check_record(field, &path.field(&field.name), is_within || node.named, problems);
    }
}

/// A type as it is told.
fn word(data_type: DataType, repeated: bool) -> String {
    if repeated { format!("a list of {data_type:?}") } else { format!("{data_type:?}") }
}

/// Puts in what is written: a column replaces the one of its name, or is added at the end, and so is a field
/// of a record of which only fields are written.
pub(super) fn set_fields(columns: &mut Vec<Field>, writes: &Columns) {
    for node in &writes.all {
        let at = columns.iter().position(|column| *column.name() == node.name);
        let field = written(node, at.map(|at| &columns[at]));
        match at {
            Some(at) => columns[at] = field,
            None => columns.push(field),
        }
    }
}

fn written(node: &Node, before: Option<&Field>) -> Field {
    let Some(before) = before.filter(|_| !node.named) else {
        return node.kind().field(&node.name);
    };
    let within = |fields: &Fields| {
        let mut fields: Vec<Field> = fields.iter().map(|field| field.as_ref().clone()).collect();
        set_fields(&mut fields, &node.fields);
        ArrowType::Struct(fields.into())
    };
    let data_type = match before.data_type() {
        ArrowType::Struct(fields) => within(fields),
        ArrowType::List(element) => match element.data_type() {
            ArrowType::Struct(fields) => {
                let element = element.as_ref().clone().with_data_type(within(fields));
                ArrowType::List(element.into())
            }
            _ => before.data_type().clone(),
        },
        other => other.clone(),
    };
    before.clone().with_data_type(data_type)
}

#[cfg(test)]
mod tests;
