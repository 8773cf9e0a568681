//! Exit codes, and errors on their way to the terminal.

use std::fmt;
use std::process::ExitCode;

use clickmill_bigquery::BigQueryError;
use clickmill_config::ConfigError;
use clickmill_pipeline::{DeliverError, LoadError, RunError, StreamError};
use clickmill_query::QueryError;
use clickmill_sandbox::PluginError;
use clickmill_sink::SinkError;
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

    /// Adds advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.error)?;
        let mut last = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let text = cause.to_string();
            // Some libraries repeat the cause in their own text.
            if !last.ends_with(&text) {
                write!(f, "\n  caused by: {text}")?;
            }
            last = text;
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
    PluginError => plugin,
    SourceError => source,
    WarehouseError => warehouse,
    SinkError => sink,
    BigQueryError => bigquery,
    QueryError => query,
    RunError => run,
    clickmill_sandbox::EngineError => |_| Exit::Environment,
    clickmill_pipeline::BuildError => build,
    clickmill_pipeline::ReplayError => replay,
    clickmill_core::schema::SchemaError => |_| Exit::BadInput,
    clickmill_audit::AuditError => audit,
    clickmill_admin::AdminError => |_| Exit::Environment,
    serde_json::Error => |_| Exit::Failed,
    std::io::Error => |_| Exit::Environment,
    arrow::error::ArrowError => |_| Exit::Failed,
}

fn plugin(error: &PluginError) -> Exit {
    match error {
        PluginError::Build {
            source: clickmill_sandbox::build::BuildError::NoToolchain { .. },
            ..
        } => Exit::Environment,
        _ => Exit::BadInput,
    }
}

fn source(error: &SourceError) -> Exit {
    match error {
        SourceError::Store { .. }
        | SourceError::Open { .. }
        | SourceError::Client { .. }
        | SourceError::Create { .. }
        | SourceError::Publish { .. }
        | SourceError::Pull { .. } => Exit::Environment,
        _ => Exit::BadInput,
    }
}

fn warehouse(error: &WarehouseError) -> Exit {
    match error {
        WarehouseError::OtherSchema { .. } | WarehouseError::Schema { .. } => Exit::BadInput,
        WarehouseError::Open { .. } => Exit::BadInput,
        _ => Exit::Environment,
    }
}

fn sink(error: &SinkError) -> Exit {
    match error {
        SinkError::Warehouse(error) => warehouse(error),
        SinkError::BigQuery(error) => bigquery(error),
        SinkError::Query(error) => query(error),
    }
}

fn bigquery(error: &BigQueryError) -> Exit {
    if error.is_environment() { Exit::Environment } else { Exit::BadInput }
}

fn stream(error: &StreamError) -> Exit {
    match error {
        StreamError::Source(error) => source(error),
        StreamError::Fit(error) => fit(error),
        StreamError::Sink(error) | StreamError::Deliver(DeliverError::Sink(error)) => sink(error),
        StreamError::Spool(_) => Exit::Environment,
        StreamError::Deliver(DeliverError::Letters(_))
        | StreamError::TooManyRejected { .. }
        | StreamError::Batch(_)
        | StreamError::Worker
        | StreamError::Interrupted => Exit::Failed,
    }
}

fn query(error: &QueryError) -> Exit {
    match error {
        QueryError::Query { .. } | QueryError::Condition { .. } => Exit::BadInput,
        QueryError::Tables { .. } | QueryError::Engine(_) => Exit::Environment,
    }
}

fn build(error: &clickmill_pipeline::BuildError) -> Exit {
    use clickmill_pipeline::BuildError;
    match error {
        BuildError::Plugin(error) => plugin(error),
        BuildError::Sink(error) => sink(error),
        BuildError::Engine(_) | BuildError::Runtime(_) => Exit::Environment,
        BuildError::Schema(_) | BuildError::Key(_) | BuildError::Seal { .. } => Exit::BadInput,
        BuildError::Fit(error) => fit(error),
        BuildError::Resume(_) | BuildError::Publish(_) | BuildError::Audit(_) => Exit::Environment,
    }
}

fn fit(error: &clickmill_pipeline::FitError) -> Exit {
    match error {
        clickmill_pipeline::FitError::Plugin(error) => plugin(error),
        clickmill_pipeline::FitError::Misfit { .. } => Exit::BadInput,
    }
}

fn run(error: &RunError) -> Exit {
    match error {
        RunError::Source(error) => source(error),
        RunError::Fit { source, .. } => fit(source),
        RunError::Sink(error) => sink(error),
        RunError::Stream(error) => stream(error),
        RunError::TooManyRejected { .. } | RunError::Interrupted { .. } => Exit::Failed,
        RunError::Load { source: cause, .. } => match &**cause {
            LoadError::Source(error) => source(error),
            LoadError::Decode(clickmill_decode::DecodeError::Read { .. }) => Exit::Environment,
            LoadError::Decode(_) => Exit::BadInput,
            LoadError::Fit(error) => fit(error),
            LoadError::Sink(error) => sink(error),
            LoadError::Arrow(_) | LoadError::Worker => Exit::Failed,
        },
    }
}

fn audit(error: &clickmill_audit::AuditError) -> Exit {
    use clickmill_audit::AuditError;
    match error {
        AuditError::Disk { .. } | AuditError::Locked { .. } => Exit::Environment,
        AuditError::Last { .. } | AuditError::Exhausted { .. } => Exit::Failed,
    }
}

fn replay(error: &clickmill_pipeline::ReplayError) -> Exit {
    use clickmill_pipeline::ReplayError;
    match error {
        ReplayError::Sink(error) => sink(error),
        ReplayError::Fit(error) => fit(error),
        ReplayError::Store(_) | ReplayError::Publish(_) => Exit::Environment,
        ReplayError::Change(_)
        | ReplayError::NoKey { .. }
        | ReplayError::Seal(_)
        | ReplayError::NoProvenance { .. }
        | ReplayError::NoLetter { .. } => Exit::BadInput,
        ReplayError::Schema(_) | ReplayError::Rows(_) => Exit::Failed,
    }
}
