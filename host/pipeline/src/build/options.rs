//! What is said of a run beside its pipeline file.

use std::path::PathBuf;

use clickmill_config::PipelineFile;
use clickmill_sandbox::{Compiler, Secrets};

/// What a run needs beside the pipeline file.
#[derive(Debug, Clone)]
pub struct Options {
    /// Path or URI of the warehouse.
    pub warehouse: String,
    /// Folder for compiled plugins; none are kept where absent.
    pub cache: Option<PathBuf>,
    /// What compiles plugins; else this process does, without bounds of time and memory.
    pub compiler: Option<Compiler>,
    /// Values of secrets that do not come from the environment.
    pub secrets: Secrets,
    /// Run the set of the pipeline file, whatever was swapped since.
    pub forget_swaps: bool,
    /// Folder of the audit log.
    pub audit: PathBuf,
    /// Who runs the pipeline, for the audit log.
    pub actor: String,
    /// The pipeline file, where it can be read again while the pipeline runs.
    pub file: Option<PipelineFile>,
}
