//! A plugin set's chain, fitted to the columns that come in and to the table that its rows go to.

use arrow::datatypes::SchemaRef;

use super::guard::Guard;
use clickmill_config::TableName;
use clickmill_core::path::Path;
use clickmill_core::schema::TableSchema;
use clickmill_core::schema::provenance::RECORD_INDEX;
use clickmill_core::{Fault, list};
use clickmill_sandbox::{Chain, Library, PluginError, Secrets};
use clickmill_tables::{Misfit, Projection};

/// What every chain of a pipeline has to fit, and what its columns are filled with.
pub(crate) struct Target {
    pub table: TableName,
    pub schema: TableSchema,
    /// Columns of provenance that rows of this source have no value for.
    pub unknown: &'static [&'static str],
    /// The columns that come in, where they are known before anything does.
    pub columns: Option<SchemaRef>,
    pub guard: Guard,
    /// What each stage is granted, as the pipeline file says.
    pub secrets: Secrets,
}

/// A chain that fits the columns that come in and the table that its rows go to.
pub(crate) struct Fitted {
    pub columns: SchemaRef,
    pub chain: Chain,
    pub guard: Guard,
    pub projection: Projection,
}

/// Why a chain does not fit.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// A plugin can't run on the columns that come in.
    #[error(transparent)]
    Plugin(Box<PluginError>),
    /// What the chain gives does not fit the table.
    #[error("the chain's rows do not fit table `{table}`:{list}", list = list(misfits))]
    Misfit {
        /// The table.
        table: String,
        /// Every column that does not fit.
        misfits: Vec<Misfit>,
    },
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
            Self::Misfit { .. } => Fault::Input,
        }
    }
}

impl Target {
    /// Fits a library, without running it.
    pub(crate) fn fit(&self, library: &Library, columns: &SchemaRef) -> Result<Fitted, FitError> {
        let Self { table, schema, unknown, guard, secrets, .. } = self;
        let chain = library.configure(columns, secrets)?.guarding(guard.columns());
        let misfit = |misfits| FitError::Misfit { table: table.to_string(), misfits };
        let projection = Projection::new(schema, chain.output(), unknown).map_err(misfit)?;
        let has_place = schema.columns.iter().any(|column| column.name == RECORD_INDEX);
        if chain.multiplies() && !has_place {
            return Err(misfit(vec![Misfit::NoPlace { column: Path::of(RECORD_INDEX) }]));
        }
        let guard = guard.over(columns, chain.written_paths());
        Ok(Fitted { columns: columns.clone(), chain, guard, projection })
    }
}
