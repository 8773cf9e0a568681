//! Exit codes, and errors on their way to the terminal.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clickmill_bigquery::BigQueryError;
use clickmill_config::ConfigError;
use clickmill_core::{Fault, causes, chain, list};
use clickmill_pipeline::{Misspelt, RunError};
use clickmill_query::QueryError;
use clickmill_sandbox::PluginError;
use clickmill_sink::{ConditionError, SinkError};
use clickmill_source::SourceError;
use clickmill_warehouse::WarehouseError;

/// How the process ends. The numbers are part of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The run failed.
    Failed = 1,
    /// Bad input or configuration: the same command fails again.
    BadInput = 2,
    /// The environment: unreachable, denied, full. The same command may succeed later.
    Environment = 3,
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Input => Exit::BadInput,
            Fault::Environment => Exit::Environment,
            Fault::Run | Fault::Bug => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error for the terminal, with its causes, perhaps with advice.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    /// An error and its exit code.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    /// Several errors that are told at once, as one: it ends as the first of them does.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            n => {
                let told = errors.iter().map(|failure| causes(failure.error.as_ref()));
                let what = format!("{n} things keep the pipeline from running:{}", list(told));
                Err(Self::new(errors[0].exit, anyhow::Error::msg(what)))
            }
        }
    }

    /// Something wrong with what was given, in words.
    pub fn bad_input(what: impl Into<String>) -> Self {
        Self::new(Exit::BadInput, anyhow::Error::msg(what.into()))
    }

    /// A file that was named and cannot be read.
    pub fn unreadable(path: &Path, error: io::Error) -> Self {
        let what = format!("cannot read `{}`", path.display());
        Self::new(Exit::BadInput, anyhow::Error::new(error).context(what))
    }

    /// A file that cannot be written.
    pub fn unwritable(path: &Path, error: io::Error) -> Self {
        let what = format!("cannot write `{}`", path.display());
        Self::new(Exit::Environment, anyhow::Error::new(error).context(what))
    }

    /// The error and the advice, for programs.
    pub(crate) fn told(&self) -> (&(dyn std::error::Error + 'static), Option<&str>) {
        (self.error.as_ref(), self.hint.as_deref())
    }

    /// Adds advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.error)?;
        for cause in chain(self.error.as_ref()).iter().skip(1) {
            write!(f, "\n  caused by: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

macro_rules! failure_from {
    ($($error:ty => $exit:expr),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let exit: fn(&$error) -> Exit = $exit;
                Self::new(exit(&error), error)
            }
        }
    )*};
}

failure_from! {
    ConfigError => |_| Exit::BadInput,
    PluginError => |error| error.fault().into(),
    Misspelt => |_| Exit::BadInput,
    SourceError => |error| error.fault().into(),
    WarehouseError => |error| error.fault().into(),
    SinkError => |error| error.fault().into(),
    ConditionError => |_| Exit::BadInput,
    BigQueryError => |error| error.fault().into(),
    QueryError => |error| error.fault().into(),
    RunError => |error| error.fault().into(),
    clickmill_sandbox::EngineError => |error| error.fault().into(),
    clickmill_sandbox::build::BuildError => |error| error.fault().into(),
    clickmill_sandbox::GoldenError => |error| error.fault().into(),
    clickmill_pipeline::AuditSinkError => |error| error.fault().into(),
    clickmill_pipeline::BuildError => |error| error.fault().into(),
    clickmill_pipeline::FleetError => |error| error.fault().into(),
    clickmill_pipeline::ProposeError => |error| error.fault().into(),
    clickmill_pipeline::ExecError => |error| error.fault().into(),
    clickmill_pipeline::ReplayError => |error| error.fault().into(),
    clickmill_registry::RegistryError => |error| error.fault().into(),
    clickmill_core::oci::NotAReference => |_| Exit::BadInput,
    clickmill_core::schema::SchemaError => |_| Exit::BadInput,
    clickmill_audit::AuditError => |error| error.fault().into(),
    clickmill_admin::AdminError => |error| error.fault().into(),
    serde_json::Error => |_| Exit::Failed,
    io::Error => |_| Exit::Environment,
    arrow::error::ArrowError => |_| Exit::Failed,
}
