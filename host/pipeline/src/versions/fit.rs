//! A plugin set's chain, fitted to the columns that come in and to the table that its rows go to.

use arrow::datatypes::SchemaRef;

use clickmill_config::{Sink, TableName};
use clickmill_core::Fault;
use clickmill_core::path::Path;
use clickmill_core::schema::TableSchema;
use clickmill_core::schema::provenance::RECORD_INDEX;
use clickmill_guard::Guard;
use clickmill_sandbox::{Chain, Library, PluginError, Secrets};
use clickmill_tables::{Misfit, Router, Unroutable};

/// What every chain of a pipeline has to fit, and what its columns are filled with.
pub(crate) struct Target {
    /// The tables.
    pub sink: Sink,
    /// The dead-letter table and its columns.
    pub dead_letter: (TableName, TableSchema),
    /// Columns of provenance that rows of this source have no value for.
    pub unknown: &'static [&'static str],
    /// The columns that come in, where they are known before anything does.
    pub columns: Option<SchemaRef>,
    pub guard: Guard,
}

/// A chain that fits the columns that come in and the table that its rows go to.
pub(crate) struct Fitted {
    pub columns: SchemaRef,
    pub chain: Chain,
    pub guard: Guard,
    pub router: Router,
}

/// Why a chain does not fit.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// A plugin can't run on the columns that come in.
    #[error(transparent)]
    Plugin(Box<PluginError>),
    /// What the chain gives does not fit a table, or the condition of a route.
    #[error(transparent)]
    Tables(#[from] Unroutable),
}

impl From<PluginError> for FitError {
    fn from(error: PluginError) -> Self {
        Self::Plugin(Box::new(error))
    }
}

impl FitError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Plugin(error) => error.fault(),
            Self::Tables(_) => Fault::Input,
        }
    }
}

impl Target {
    /// Fits a library, whose stages are granted these secrets, without running it.
    pub(crate) fn fit(
        &self,
        library: &Library,
        columns: &SchemaRef,
        secrets: &Secrets,
    ) -> Result<Fitted, FitError> {
        let Self { sink, dead_letter, unknown, guard, .. } = self;
        let chain = library.configure(columns, secrets)?.guarding(guard.columns());
        let of_tables = sink.tables().flat_map(|(_, schema)| &schema.columns);
        let chain = chain.wanting(of_tables.map(|column| column.name.as_str()));
        let router = Router::new(sink, chain.output(), unknown)?;
        let lacks_place =
            |schema: &TableSchema| schema.columns.iter().all(|column| column.name != RECORD_INDEX);
        let (letters, schema) = dead_letter;
        let mut tables = sink.tables().chain([(letters, schema)]);
        if chain.multiplies()
            && let Some((table, _)) = tables.find(|(_, schema)| lacks_place(schema))
        {
            let misfits = vec![Misfit::NoPlace { column: Path::of(RECORD_INDEX) }];
            return Err(Unroutable::Misfit { table: table.clone(), misfits }.into());
        }
        let guard = guard.over(columns, chain.written_paths());
        Ok(Fitted { columns: columns.clone(), chain, guard, router })
    }
}

#[cfg(test)]
impl Target {
    /// That of a warehouse's table without routes and of letters with the same columns.
    pub(crate) fn of_columns(schema: &str) -> Self {
        let schema = TableSchema::parse(schema, std::path::Path::new("out.json"));
        let schema = schema.expect("a schema");
        let table = TableName { dataset: "test".to_owned(), table: "out".to_owned() };
        Self {
            dead_letter: (table.clone(), schema.clone()),
            sink: Sink {
                table,
                schema,
                routes: Vec::new(),
                unrouted: clickmill_config::Unrouted::default(),
                place: clickmill_config::Place::Warehouse,
                retention_days: None,
            },
            unknown: &[],
            columns: None,
            guard: Guard::default(),
        }
    }
}
