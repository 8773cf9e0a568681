//! Why a stage can't run.

use std::path::PathBuf;

use super::boundary::CONTRACT;
use super::build::BuildError;
use super::contract_0_1::CONTRACT as BEFORE;
use super::engine::EngineError;
use super::golden::GoldenError;
use super::lookup::LookupFileError;
use clickmill_core::{Digest, Fault, causes, indented, list};

/// Why a stage can't run.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The crate can't be built.
    #[error("cannot build plugin `{stage}`")]
    Build {
        /// The stage.
        stage: String,
        /// Why.
        source: BuildError,
    },
    /// The component can't be read.
    #[error("cannot read component `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The component can't be compiled.
    #[error("cannot load plugin `{stage}` from `{path}`", path = path.display())]
    Compile {
        /// The stage.
        stage: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: EngineError,
    },
    /// The component does not speak the contract.
    #[error("plugin `{stage}` speaks neither `{CONTRACT}` nor `{BEFORE}`: {what}\nhint: {hint}")]
    Contract {
        /// The stage.
        stage: String,
        /// What is missing or different.
        what: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// Several stages can't run.
    #[error("{count} plugins cannot run:{list}", count = errors.len(), list = list(errors.iter().map(|error| causes(error))))]
    Several {
        /// Why, stage by stage.
        errors: Vec<PluginError>,
    },
    /// The component failed to describe itself or to check its configuration.
    #[error("plugin `{stage}` failed while it was asked to `{export}`: {what}", what = indented(what))]
    Failed {
        /// The stage.
        stage: String,
        /// What it was asked for.
        export: &'static str,
        /// How it failed.
        what: String,
    },
    /// A lookup table can't be used.
    #[error("plugin `{stage}`")]
    Lookup {
        /// The stage.
        stage: String,
        /// Why.
        source: LookupFileError,
    },
    /// The plugin refused its configuration.
    #[error("plugin `{stage}` refuses its configuration:{list}", list = list(problems))]
    Config {
        /// The stage.
        stage: String,
        /// Every problem.
        problems: Vec<String>,
    },
    /// A secret can be guessed, or stands in the configuration, which is kept and shown.
    #[error("the secrets of plugin `{stage}` are not in order:{list}", list = list(problems))]
    Secret {
        /// The stage.
        stage: String,
        /// Every secret or place, without the value.
        problems: Vec<String>,
    },
    /// The plugin is a crate, and only signed components are taken.
    #[error(
        "plugin `{stage}` is a crate, `{path}`, and `trust.keys` takes signed components only: build it with `clickmill plugin build`, sign the component with `clickmill plugin sign` and name that", path = path.display()
    )]
    UnsignedCrate {
        /// The stage.
        stage: String,
        /// The crate's folder.
        path: PathBuf,
    },
    /// The plugin goes beyond what it was granted.
    #[error("plugin `{stage}` goes beyond its grant:{list}", list = list(problems))]
    Grant {
        /// The stage.
        stage: String,
        /// Every excess.
        problems: Vec<String>,
    },
}

/// Why a change can't be made to a chain.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The pipeline has no such stages.
    #[error("there is no stage {stages} in this pipeline, only: {known}", stages = quoted(stages), known = known.join(", "))]
    UnknownStage {
        /// What was asked for.
        stages: Vec<String>,
        /// The stages there are.
        known: Vec<String>,
    },
    /// The stage has no such lookup table.
    #[error("stage `{stage}` was granted no lookup table `{table}`")]
    UnknownTable {
        /// The stage.
        stage: String,
        /// What was asked for.
        table: String,
    },
    /// Nothing would be different.
    #[error("nothing would change: plugin set `{plugin_set}` runs already")]
    Nothing {
        /// The set.
        plugin_set: Digest,
    },
    /// Several changes can't be made.
    #[error("{count} changes cannot be made:{list}", count = errors.len(), list = list(errors.iter().map(|error| causes(error))))]
    Several {
        /// Why, stage by stage.
        errors: Vec<ChangeError>,
    },
    /// The changed stage can't run.
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Why golden cases can't be run on a stage.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The stage can't run with the cases' configuration.
    #[error("golden cases `{file}` can't be run")]
    Change {
        /// Their file.
        file: String,
        /// Why.
        source: Box<ChangeError>,
    },
    /// The cases are no good.
    #[error(transparent)]
    Golden(#[from] GoldenError),
}

impl PluginError {
    /// All that went well, or all that did not.
    pub(super) fn all<T>(
        results: impl IntoIterator<Item = Result<T, Self>>,
    ) -> Result<Vec<T>, Self> {
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(one) => found.push(one),
                Err(error) => errors.push(error),
            }
        }
        match errors.pop() {
            None => Ok(found),
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(Self::Several { errors })
            }
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Build { source, .. } => source.fault(),
            Self::Compile { source, .. } => source.fault(),
            Self::Lookup { source, .. } => source.fault(),
            Self::Several { errors } => errors.first().map_or(Fault::Bug, Self::fault),
            Self::Read { .. }
            | Self::Contract { .. }
            | Self::Failed { .. }
            | Self::Config { .. }
            | Self::Secret { .. }
            | Self::UnsignedCrate { .. }
            | Self::Grant { .. } => Fault::Input,
        }
    }
}

impl ChangeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Plugin(source) => source.fault(),
            Self::Several { errors } => errors.first().map_or(Fault::Bug, Self::fault),
            Self::UnknownStage { .. } | Self::UnknownTable { .. } | Self::Nothing { .. } => {
                Fault::Input
            }
        }
    }
}

impl TestError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Change { source, .. } => source.fault(),
            Self::Golden(source) => source.fault(),
        }
    }
}
