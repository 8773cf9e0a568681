//! The types of columns: as a plugin names them, by path and type, and as Arrow has them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Fields, TimeUnit};

use super::boundary::{ColumnSpec, DataType};
use clickmill_core::path::{MAX_DEPTH, Path};
use clickmill_core::schema::timestamp_type;

/// How a field says that its texts are JSON values: Arrow's canonical extension type.
const EXTENSION: &str = "ARROW:extension:name";
const JSON: &str = "arrow.json";

/// Digits of a decimal, and those of them after the point.
pub(super) const DIGITS: u8 = 38;
pub(super) const DIGITS_AFTER_POINT: i8 = 9;

/// The name of a list's elements.
pub(super) const ELEMENT: &str = "item";

/// The type of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind {
    pub data_type: DataType,
    /// It is a list of them.
    pub repeated: bool,
    /// Those of a record, in order.
    pub fields: Vec<(String, Kind)>,
}

impl Kind {
    /// The type of a column, where the contract has one. Fields of a record for which it has none are left
    /// out, and so is what lies deeper than a record may.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        Self::within(field, 0)
    }

    fn within(field: &Field, records: usize) -> Option<Self> {
        let (field, repeated) = match field.data_type() {
            ArrowType::List(element) => (&**element, true),
            _ => (field, false),
        };
        let ArrowType::Struct(inner) = field.data_type() else {
            let data_type = scalar(field)?;
            return Some(Self { data_type, repeated, fields: Vec::new() });
        };
        if records == MAX_DEPTH {
            return None;
        }
        let fields = inner.iter().filter_map(|field| {
            let is_name = !field.name().is_empty() && !field.name().contains('.');
            let kind = is_name.then(|| Self::within(field, records + 1)).flatten()?;
            Some((field.name().clone(), kind))
        });
        let fields: Vec<_> = fields.collect();
        (!fields.is_empty()).then_some(Self { data_type: DataType::Record, repeated, fields })
    }

    /// A column of this type. Lists are never null, they are empty.
    pub(crate) fn field(&self, name: &str) -> Field {
        if !self.repeated {
            return marked(Field::new(name, self.arrow_element(), true), self.data_type);
        }
        let element = Field::new(ELEMENT, self.arrow_element(), false);
        let element = marked(element, self.data_type);
        Field::new(name, ArrowType::List(Arc::new(element)), true)
    }

    /// The Arrow type of a value, or of a list's element.
    fn arrow_element(&self) -> ArrowType {
        match self.data_type {
            DataType::Boolean => ArrowType::Boolean,
            DataType::Int64 => ArrowType::Int64,
            DataType::Float64 => ArrowType::Float64,
            DataType::Decimal => ArrowType::Decimal128(DIGITS, DIGITS_AFTER_POINT),
            DataType::Date => ArrowType::Date32,
            DataType::Time => ArrowType::Time64(TimeUnit::Microsecond),
            DataType::Datetime => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp => timestamp_type(),
            DataType::Text | DataType::Json => ArrowType::Utf8,
            DataType::Blob => ArrowType::Binary,
            DataType::Record => {
                let fields = self.fields.iter().map(|(name, kind)| kind.field(name));
                ArrowType::Struct(fields.collect::<Fields>())
            }
        }
    }

    /// How many columns it is, with all below it.
    pub(crate) fn count(&self) -> usize {
        1 + self.fields.iter().map(|(_, kind)| kind.count()).sum::<usize>()
    }

    /// The column and, behind it, all below it.
    pub(crate) fn specs(&self, path: &Path, specs: &mut Vec<ColumnSpec>) {
        let (data_type, repeated) = (self.data_type, self.repeated);
        specs.push(ColumnSpec { path: path.to_string(), data_type, repeated });
        for (name, kind) in &self.fields {
            kind.specs(&path.field(name), specs);
        }
    }
}

/// The contract's type of a field that is neither a list nor a record.
fn scalar(field: &Field) -> Option<DataType> {
    Some(match field.data_type() {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int64 => DataType::Int64,
        ArrowType::Float64 => DataType::Float64,
        ArrowType::Decimal128(DIGITS, DIGITS_AFTER_POINT) => DataType::Decimal,
        ArrowType::Date32 => DataType::Date,
        ArrowType::Time64(TimeUnit::Microsecond) => DataType::Time,
        ArrowType::Timestamp(TimeUnit::Microsecond, None) => DataType::Datetime,
        ArrowType::Timestamp(_, _) if *field.data_type() == timestamp_type() => DataType::Timestamp,
        ArrowType::Utf8 if is_json(field) => DataType::Json,
        ArrowType::Utf8 => DataType::Text,
        ArrowType::Dictionary(_, values) if **values == ArrowType::Utf8 => DataType::Text,
        ArrowType::Binary => DataType::Blob,
        _ => return None,
    })
}

/// Whether its texts are JSON values.
pub(super) fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION).is_some_and(|name| name == JSON)
}

/// The field, marked where its texts are JSON values.
pub(super) fn marked(field: Field, data_type: DataType) -> Field {
    if data_type != DataType::Json {
        return field;
    }
    field.with_metadata(HashMap::from([(EXTENSION.to_owned(), JSON.to_owned())]))
}

/// Columns side by side: those of a batch, or the fields of a record.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Columns {
    pub all: Vec<Node>,
    by_name: HashMap<String, usize>,
}

/// A column that a plugin reads or writes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub name: String,
    pub data_type: DataType,
    pub repeated: bool,
    /// It was named itself: a record that was not is there for its fields only.
    pub named: bool,
    /// Those of a record that are read or written, in order.
    pub fields: Columns,
}

/// A column by path and type, as a plugin has named it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub path: Path,
    pub data_type: DataType,
    pub repeated: bool,
}

impl Columns {
    /// The columns of these specs, a record's fields within it, and the specs of which the column was there
    /// already. A record that is not named before its fields is taken from `record`, by path.
    pub(crate) fn of(
        specs: &[Spec],
        record: impl Fn(&Path) -> Option<Kind>,
    ) -> Result<(Self, Vec<&Spec>), String> {
        let mut columns = Self::default();
        let mut again = Vec::new();
        for spec in specs {
            let path = &spec.path;
            let mut level = &mut columns;
            let mut here: Option<Path> = None;
            for name in path.names() {
                let path_here = here.map_or_else(|| Path::of(name), |above| above.field(name));
                let is_it = path_here == *path;
                let at = match level.position(name) {
                    Some(at) => {
                        if is_it {
                            level.all[at].named = true;
                            again.push(spec);
                        }
                        at
                    }
                    None => {
                        let kind = if is_it {
                            let Spec { data_type, repeated, .. } = *spec;
                            Kind { data_type, repeated, fields: Vec::new() }
                        } else {
                            record(&path_here).ok_or_else(|| {
                                format!("`{path}` is a field of `{path_here}`, and there is no such record here")
                            })?
                        };
                        level.push(Node {
                            name: name.to_owned(),
                            data_type: kind.data_type,
                            repeated: kind.repeated,
                            named: is_it,
                            fields: Self::default(),
                        })
                    }
                };
                let node = &mut level.all[at];
                if !is_it && node.data_type != DataType::Record {
                    return Err(format!(
                        "`{path}` is a field of `{path_here}`, which is not a record"
                    ));
                }
                level = &mut node.fields;
                here = Some(path_here);
            }
        }
        Ok((columns, again))
    }

    /// All below a record of this type.
    pub(crate) fn of_kind(kind: &Kind) -> Self {
        let mut columns = Self::default();
        for (name, kind) in &kind.fields {
            columns.push(Node {
                name: name.clone(),
                data_type: kind.data_type,
                repeated: kind.repeated,
                named: true,
                fields: Self::of_kind(kind),
            });
        }
        columns
    }

    fn push(&mut self, node: Node) -> usize {
        let at = self.all.len();
        self.by_name.insert(node.name.clone(), at);
        self.all.push(node);
        at
    }

    /// The place of a column.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        // Most plugins have so few that looking at each is quicker.
        if self.all.len() <= 8 {
            return self.all.iter().position(|node| node.name == name);
        }
        self.by_name.get(name).copied()
    }

    /// The paths of those that are named themselves, the outermost of each: all below it is meant too.
    pub(crate) fn named(&self) -> Vec<Path> {
        let of = |node: &Node| -> Vec<Path> {
            let path = Path::of(&node.name);
            if node.named {
                return vec![path];
            }
            node.fields.named().iter().map(|below| path.join(below)).collect()
        };
        self.all.iter().flat_map(of).collect()
    }

    /// Adds the names of all, and their paths: `above` is that of the record.
    pub(crate) fn add_names(&self, above: Option<&Path>, names: &mut HashSet<String>) {
        for Node { name, fields, .. } in &self.all {
            let path = above.map_or_else(|| Path::of(name), |above| above.field(name));
            names.extend([name.clone(), path.to_string()]);
            fields.add_names(Some(&path), names);
        }
    }

    /// A column by path.
    pub(crate) fn find(&self, path: &Path) -> Option<&Node> {
        let mut level = self;
        let mut found = None;
        for name in path.names() {
            let node = &level.all[level.position(name)?];
            level = &node.fields;
            found = Some(node);
        }
        found
    }
}

impl Node {
    /// The column as it is once it was written, of this type.
    pub(crate) fn field_of(&self, data_type: &ArrowType) -> Field {
        let field = Field::new(&self.name, data_type.clone(), true);
        if self.repeated { field } else { marked(field, self.data_type) }
    }

    /// The type of the whole column.
    pub(crate) fn kind(&self) -> Kind {
        let fields = self.fields.all.iter().map(|field| (field.name.clone(), field.kind()));
        let fields = fields.collect();
        Kind { data_type: self.data_type, repeated: self.repeated, fields }
    }
}

/// Whether a grant of these names, each with all below it, covers a path.
pub(super) fn covers(names: &[String], path: &Path) -> bool {
    names.iter().any(|name| {
        // Whatever a column is called, its own name grants it.
        *name == path.to_string()
            || name.parse::<Path>().is_ok_and(|granted| path.starts_with(&granted))
    })
}
