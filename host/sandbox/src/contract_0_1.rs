//! Contract 0.1: its types as wasmtime sees them, and both ways between them and today's.
//!
//! A plugin that was built for it sees and makes flat columns of seven types. It neither prepares anything
//! nor makes several rows of one, and says in a line of its log what it could not read.

use wasmtime::component::{ComponentType, Lift, Lower};

use super::boundary::{self as now, DictionaryIn, LookupError, TextIn};
use super::manifest::Answers;
use clickmill_core::path::MAX_NAME_BYTES;

/// Its name.
pub(super) const CONTRACT: &str = "clickmill:plugin@0.1.0";

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(variant)]
pub(super) enum ValuesIn<'a> {
    #[component(name = "booleans")]
    Booleans(&'a [u8]),
    #[component(name = "int64s")]
    Int64s(&'a [i64]),
    #[component(name = "float64s")]
    Float64s(&'a [f64]),
    #[component(name = "dates")]
    Dates(&'a [i32]),
    #[component(name = "timestamps")]
    Timestamps(&'a [i64]),
    #[component(name = "texts")]
    Texts(TextIn<'a>),
    #[component(name = "blobs")]
    Blobs(TextIn<'a>),
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct ColumnIn<'a> {
    pub name: &'a str,
    pub values: ValuesIn<'a>,
    pub validity: Option<&'a [u8]>,
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct BatchIn<'a> {
    pub rows: u32,
    #[component(name = "ingest-time")]
    pub ingest_time: i64,
    pub columns: &'a [ColumnIn<'a>],
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum Values {
    #[component(name = "booleans")]
    Booleans(Vec<u8>),
    #[component(name = "int64s")]
    Int64s(Vec<i64>),
    #[component(name = "float64s")]
    Float64s(Vec<f64>),
    #[component(name = "dates")]
    Dates(Vec<i32>),
    #[component(name = "timestamps")]
    Timestamps(Vec<i64>),
    #[component(name = "texts")]
    Texts(now::Text),
    #[component(name = "blobs")]
    Blobs(now::Text),
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Column {
    pub name: String,
    pub values: Values,
    pub validity: Option<Vec<u8>>,
}

#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct Output {
    pub columns: Vec<Column>,
    pub rejections: Vec<now::Rejection>,
    pub dropped: Vec<u32>,
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, PartialEq, Eq, Debug)]
#[component(enum)]
#[repr(u8)]
pub(super) enum DataType {
    #[component(name = "boolean")]
    Boolean,
    #[component(name = "int64")]
    Int64,
    #[component(name = "float64")]
    Float64,
    #[component(name = "date")]
    Date,
    #[component(name = "timestamp")]
    Timestamp,
    #[component(name = "text")]
    Text,
    #[component(name = "blob")]
    Blob,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct ColumnSpec {
    pub name: String,
    #[component(name = "data-type")]
    pub data_type: DataType,
}

#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct Manifest {
    pub name: String,
    pub version: String,
    pub description: String,
    #[component(name = "config-schema")]
    pub config_schema: String,
    pub secrets: Vec<String>,
}

#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct Needs {
    pub reads: Vec<ColumnSpec>,
    pub writes: Vec<ColumnSpec>,
    pub lookups: Vec<String>,
}

/// What `configure` takes: the configuration, and the columns there are.
pub(super) type ConfigureIn<'a> = (&'a str, &'a [ColumnSpec]);
/// What `configure` answers: what the plugin needs, or every problem.
pub(super) type ConfigureOut = Result<Needs, Vec<String>>;
/// What `process` takes: the configuration with its secrets, and a batch.
pub(super) type ProcessIn<'a> = (&'a str, BatchIn<'a>);
/// What `process` answers.
pub(super) type ProcessOut = Result<Output, now::Fault>;

impl<'a> ColumnIn<'a> {
    /// The column, where this contract has such ones.
    pub(crate) fn of(column: now::ColumnIn<'a>) -> Option<Self> {
        let now::ColumnIn { name, parent: None, offsets: None, values, validity } = column else {
            return None;
        };
        let values = match values {
            now::ValuesIn::Booleans(values) => ValuesIn::Booleans(values),
            now::ValuesIn::Int64s(values) => ValuesIn::Int64s(values),
            now::ValuesIn::Float64s(values) => ValuesIn::Float64s(values),
            now::ValuesIn::Dates(values) => ValuesIn::Dates(values),
            now::ValuesIn::Timestamps(values) => ValuesIn::Timestamps(values),
            now::ValuesIn::Texts(values) => ValuesIn::Texts(values),
            now::ValuesIn::Blobs(values) => ValuesIn::Blobs(values),
            now::ValuesIn::Decimals(_)
            | now::ValuesIn::Times(_)
            | now::ValuesIn::Datetimes(_)
            | now::ValuesIn::Dictionary(DictionaryIn { .. })
            | now::ValuesIn::Jsons(_)
            | now::ValuesIn::Records => return None,
        };
        Some(Self { name, values, validity })
    }
}

impl Column {
    /// The column, where this contract has such ones.
    pub(crate) fn of(column: now::Column) -> Option<Self> {
        let now::Column { name, parent: None, offsets: None, values, validity } = column else {
            return None;
        };
        let values = match values {
            now::Values::Booleans(values) => Values::Booleans(values),
            now::Values::Int64s(values) => Values::Int64s(values),
            now::Values::Float64s(values) => Values::Float64s(values),
            now::Values::Dates(values) => Values::Dates(values),
            now::Values::Timestamps(values) => Values::Timestamps(values),
            now::Values::Texts(values) => Values::Texts(values),
            now::Values::Blobs(values) => Values::Blobs(values),
            now::Values::Decimals(_)
            | now::Values::Times(_)
            | now::Values::Datetimes(_)
            | now::Values::Dictionary(_)
            | now::Values::Jsons(_)
            | now::Values::Records => return None,
        };
        Some(Self { name, values, validity })
    }

    fn now(self) -> now::Column {
        let values = match self.values {
            Values::Booleans(values) => now::Values::Booleans(values),
            Values::Int64s(values) => now::Values::Int64s(values),
            Values::Float64s(values) => now::Values::Float64s(values),
            Values::Dates(values) => now::Values::Dates(values),
            Values::Timestamps(values) => now::Values::Timestamps(values),
            Values::Texts(values) => now::Values::Texts(values),
            Values::Blobs(values) => now::Values::Blobs(values),
        };
        let (name, validity) = (self.name, self.validity);
        now::Column { name, parent: None, offsets: None, values, validity }
    }
}

impl Output {
    /// The same answer.
    pub(crate) fn now(self) -> now::Output {
        let Self { columns, rejections, dropped } = self;
        let columns = columns.into_iter().map(Column::now).collect();
        now::Output { came_from: None, columns, rejections, dropped }
    }
}

impl DataType {
    /// The type, where this contract has it.
    fn of(data_type: now::DataType) -> Option<Self> {
        Some(match data_type {
            now::DataType::Boolean => Self::Boolean,
            now::DataType::Int64 => Self::Int64,
            now::DataType::Float64 => Self::Float64,
            now::DataType::Date => Self::Date,
            now::DataType::Timestamp => Self::Timestamp,
            now::DataType::Text => Self::Text,
            now::DataType::Blob => Self::Blob,
            now::DataType::Decimal
            | now::DataType::Time
            | now::DataType::Datetime
            | now::DataType::Json
            | now::DataType::Record => return None,
        })
    }

    fn now(self) -> now::DataType {
        match self {
            Self::Boolean => now::DataType::Boolean,
            Self::Int64 => now::DataType::Int64,
            Self::Float64 => now::DataType::Float64,
            Self::Date => now::DataType::Date,
            Self::Timestamp => now::DataType::Timestamp,
            Self::Text => now::DataType::Text,
            Self::Blob => now::DataType::Blob,
        }
    }
}

impl ColumnSpec {
    /// The column, where this contract has such ones. One whose name has dots is a column of that name.
    pub(crate) fn of(spec: &now::ColumnSpec) -> Option<Self> {
        let data_type = DataType::of(spec.data_type).filter(|_| !spec.repeated)?;
        Some(Self { name: spec.path.clone(), data_type })
    }

    fn now(self) -> now::ColumnSpec {
        now::ColumnSpec { path: self.name, data_type: self.data_type.now(), repeated: false }
    }
}

impl Answers for Manifest {
    type Checked = now::Manifest;

    fn checked(self) -> Result<now::Manifest, String> {
        self.now().checked()
    }
}

impl Answers for ConfigureOut {
    type Checked = now::ConfigureOut;

    fn checked(self) -> Result<now::ConfigureOut, String> {
        self.map(Needs::now).checked()
    }
}

impl Manifest {
    /// The same of today. A secret has as many bytes as every secret must have.
    fn now(self) -> now::Manifest {
        let Self { name, version, description, config_schema, secrets } = self;
        let secrets = secrets.into_iter().map(|name| now::Secret { name, min_bytes: 0 });
        let secrets = secrets.collect();
        now::Manifest { name, version, description, config_schema, secrets }
    }
}

impl Needs {
    /// The same of today, with nothing prepared.
    fn now(self) -> now::Configured {
        let specs = |specs: Vec<ColumnSpec>| specs.into_iter().map(ColumnSpec::now).collect();
        let (reads, writes) = (specs(self.reads), specs(self.writes));
        let needs = now::Needs { reads, writes, lookups: self.lookups, multiplies: false };
        now::Configured { needs, prepared: Vec::new() }
    }
}

/// What `find` answers.
pub(super) fn found(answer: Result<now::Column, LookupError>) -> Result<Column, LookupError> {
    // Lookup tables have texts only.
    let none =
        || LookupError::MalformedKeys("the answer is not a column of contract 0.1".to_owned());
    Column::of(answer?).ok_or_else(none)
}

/// Reads `unreadable 3 ip`, by which a plugin says that three values of a column could not be read and are
/// null instead. This contract has no counters, so it is a line of the log.
pub(super) fn unreadable(line: &str) -> Option<(&str, u64)> {
    let (values, column) = line.strip_prefix("unreadable ")?.split_once(' ')?;
    let values = values.parse().ok()?;
    (column.len() <= MAX_NAME_BYTES).then_some((column, values))
}

#[cfg(test)]
mod tests {
    use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower};

    use super::*;
    use crate::guest::{Guest, given, store};
    use crate::testing::{CONTRACT_0_1_WIT, World, engine};

    fn typed<Params, Answer>(store: &mut wasmtime::Store<Guest>, instance: &Instance, export: &str)
    where
        Params: ComponentNamedList + Lower,
        Answer: ComponentNamedList + Lift,
    {
        let func = instance.get_func(&mut *store, export).expect("an export");
        func.typed::<Params, Answer>(&*store).unwrap_or_else(|e| panic!("{export}: {e:#}"));
    }

    /// Wasmtime compares the types of each function, with the names and the order of all fields and cases.
    #[test]
    fn the_types_mirror_the_contract() {
        let (_folder, engine) = engine();
        let world = World::parse(CONTRACT_0_1_WIT).expect("the contract parses");
        let component = engine.compile(&world.component(&[])).expect("a component");
        let linker = given(&engine.wasmtime).expect("a linker");
        let limits = clickmill_config::Limits::default();
        let mut store = store(&engine.wasmtime, Guest::new("t".into(), limits, Default::default()));
        store.set_fuel(u64::MAX).expect("fuel is counted");
        let instance = linker.instantiate(&mut store, &component).expect("an instance");
        typed::<(), (Manifest,)>(&mut store, &instance, "describe");
        typed::<ConfigureIn<'_>, (ConfigureOut,)>(&mut store, &instance, "configure");
        typed::<ProcessIn<'_>, (ProcessOut,)>(&mut store, &instance, "process");
    }

    #[test]
    fn what_could_not_be_read_is_counted_by_the_name_of_a_column() {
        assert_eq!(unreadable("unreadable 3 ip"), Some(("ip", 3)));
        assert_eq!(unreadable("unreadable 3 two words"), Some(("two words", 3)));
        let longest = "x".repeat(MAX_NAME_BYTES);
        assert_eq!(unreadable(&format!("unreadable 1 {longest}")), Some((longest.as_str(), 1)));
        assert_eq!(unreadable(&format!("unreadable 1 {longest}x")), None);
        for line in ["", "unreadable", "unreadable 3", "unreadable x ip", "unreadable -1 ip"] {
            assert_eq!(unreadable(line), None, "{line}");
        }
    }
}
