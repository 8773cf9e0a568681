//! Why a pipeline can't run.

use crate::audit_sink::AuditSinkError;
use crate::components::ComponentError;
use crate::context::PublishError;
use crate::fleet::error::FleetError;
use crate::swap::set_store::SetStoreError;
use crate::versions::fit::FitError;
use clickmill_core::Fault;
use clickmill_core::schema::SchemaError;
use clickmill_dead_letter::SealError;
use clickmill_sandbox::signature::KeyError;
use clickmill_sandbox::{EngineError, PluginError, SecretsError};
use clickmill_sink::SinkError;

/// Why a pipeline can't run.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A trusted key is malformed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Secrets of plugins are not as they have to be.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A plugin can't run.
    #[error(transparent)]
    Plugin(Box<PluginError>),
    /// A component cannot be had.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The tables can't be used.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The ledger's own schema is broken.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The chain does not fit the columns that come in, or the table.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A swapped plugin set can't be taken up again.
    #[error(
        "cannot take up the plugin set of the last swap (`run --forget-swaps` goes on with the pipeline file)"
    )]
    Resume(#[source] Box<SetStoreError>),
    /// What the fleet runs can't be begun with.
    #[error(transparent)]
    Fleet(Box<FleetError>),
    /// The plugin set can't be kept or entered into its table.
    #[error("cannot enter the plugin set")]
    Publish(#[source] Box<PublishError>),
    /// Dead letters can't be sealed.
    #[error("environment variable `{variable}` does not hold a key for dead letters")]
    Seal {
        /// The variable.
        variable: String,
        /// Why.
        source: SealError,
    },
    /// There is no audit log.
    #[error(transparent)]
    Audit(#[from] AuditSinkError),
    /// There is no runtime for I/O.
    #[error("cannot start threads for input and output")]
    Runtime(#[source] std::io::Error),
}

impl From<FleetError> for BuildError {
    fn from(error: FleetError) -> Self {
        Self::Fleet(Box::new(error))
    }
}

impl From<PluginError> for BuildError {
    fn from(error: PluginError) -> Self {
        Self::Plugin(Box::new(error))
    }
}

impl BuildError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Plugin(error) => error.fault(),
            Self::Component(error) => error.fault(),
            Self::Sink(error) => error.fault(),
            Self::Fit(error) => error.fault(),
            Self::Resume(error) => error.fault(),
            Self::Fleet(error) => error.fault(),
            Self::Publish(error) => error.fault(),
            Self::Audit(error) => error.fault(),
            Self::Engine(_) | Self::Runtime(_) => Fault::Environment,
            Self::Schema(_) | Self::Key(_) | Self::Seal { .. } | Self::Secrets(_) => Fault::Input,
        }
    }
}
