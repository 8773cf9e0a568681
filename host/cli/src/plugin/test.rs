//! `clickmill plugin test`: a plugin's golden cases, without a pipeline.

use std::path::{Path, PathBuf};

use clap::Args;

use super::built::built;
use super::swap::golden;
use crate::compile::Limits;
use crate::{Exit, Failure};
use clickmill_config::Grant;
use clickmill_sandbox::Library;

const EXAMPLES: &str = "\
Examples:
  clickmill plugin test plugins/mask
  clickmill plugin test mask.wasm

Cases are the `tests/*.json` in the crate or beside the component: rows that go in, and what is to become of them. A pipeline that takes the plugin up runs them first.";

/// Run a plugin's golden cases
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    /// A component file, or the folder of a plugin crate
    plugin: PathBuf,

    #[command(flatten)]
    limits: Limits,
}

impl Test {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (path, beside) = if self.plugin.is_dir() {
            (built(&self.plugin)?, self.plugin)
        } else {
            let folder = self.plugin.parent().map(Path::to_owned).unwrap_or_default();
            (self.plugin, folder)
        };
        let files = golden(&beside)?;
        let stage = "plugin";
        let plugin = clickmill_config::Plugin {
            component: path,
            reads: Grant::All,
            writes: Grant::All,
            ..clickmill_config::Plugin::named(stage.parse().expect("a name that stages may have"))
        };
        let library = Library::load(&self.limits.engine()?, &[plugin])?;
        let (mut cases, mut failed) = (0, 0);
        for file in &files {
            let problems =
                library.golden(stage, file).map_err(|error| Failure::new(Exit::BadInput, error))?;
            cases += file.cases();
            failed += problems.len();
            for problem in problems {
                println!("{problem}");
            }
        }
        if files.is_empty() {
            return Err(Failure::bad_input(format!(
                "there are no golden cases `{}`",
                beside.join("tests/*.json").display()
            )));
        }
        if failed > 0 {
            let error = anyhow::anyhow!("{failed} of {cases} golden cases fail");
            return Err(Failure::new(Exit::Failed, error));
        }
        println!("{cases} golden cases pass");
        let pipeline = beside.join("pipeline.toml");
        if pipeline.is_file() {
            eprintln!("next: clickmill run {} --watch", pipeline.display());
        }
        Ok(())
    }
}
