//! `clickmill plugin new`: begins a plugin, as a project of its own in any folder. Nothing that is there is
//! written over.

mod language;
mod project;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::{Failure, new_folder};
use clickmill_core::schema::provenance;
use clickmill_core::{shell_word, stage};
use clickmill_sandbox::build;
use language::Language;
use project::Project;

const EXAMPLES: &str = "\
Examples:
  clickmill plugin new traffic-source
  clickmill plugin new plugins/city --reads city,region --writes city
  clickmill plugin new traffic-source --language go

The project has a plugin that works, with documentation, unit tests and golden cases; a pipeline that runs it over made-up events; the SDK; an example of continuous integration. Then:
  clickmill plugin test traffic-source
  clickmill run traffic-source/pipeline.toml --watch";

/// Begin a plugin: a project of its own, in any folder
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct New {
    /// The folder to make; its last part is the plugin's name
    #[arg(value_name = "NAME")]
    folder: PathBuf,

    /// What it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    language: Language,

    /// Columns that it reads, of text (default: utm_source,referrer)
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', requires = "writes")]
    reads: Vec<String>,

    /// The column that it writes, of text (default: traffic_source)
    #[arg(long, value_name = "COLUMN", requires = "reads")]
    writes: Option<String>,
}

/// Columns where none are named.
const READS: [&str; 2] = ["utm_source", "referrer"];
const WRITES: &str = "traffic_source";

impl New {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let project = self.project()?;
        make(&self.folder, &project)?;
        println!("{}", self.folder.display());
        let columns: Vec<String> = project.reads.iter().map(|name| format!("`{name}`")).collect();
        eprintln!(
            "made the plugin `{}`, which reads {} and writes `{}`: `{}` says what is in it",
            project.name,
            columns.join(", "),
            project.writes,
            self.folder.join("README.md").display(),
        );
        let folder = shell_word(&self.folder.to_string_lossy());
        if let Some(line) = build::missing_tools(self.language.built()) {
            let language = self.language;
            let line = match language {
                Language::Rust => line,
                _ => format!("clickmill plugin build --install {folder}, or {line}"),
            };
            eprintln!("no {language} toolchain here can build it, so first: {line}");
        }
        eprintln!("next: clickmill plugin test {folder}");
        Ok(())
    }

    /// What is to be made, checked.
    fn project(&self) -> Result<Project, Failure> {
        let Some(name) = self.folder.file_name() else {
            let given = self.folder.display();
            return Err(Failure::bad_input(format!(
                "`{given}` is no name of a folder to make, which is that of a plugin and a stage"
            ))
            .hint("`clickmill plugin new traffic-source` makes the folder `traffic-source`"));
        };
        let name = name.to_string_lossy();
        check_name(self.language, &name)?;
        let (reads, writes) = match &self.writes {
            Some(writes) => (self.reads.clone(), writes.clone()),
            None => (READS.map(str::to_owned).to_vec(), WRITES.to_owned()),
        };
        let mut names = HashSet::new();
        for column in &reads {
            check_column("reads", column)?;
            // As BigQuery tells them apart.
            if !names.insert(column.to_ascii_lowercase()) {
                return Err(Failure::bad_input(format!("`--reads` has `{column}` twice")));
            }
        }
        check_column("writes", &writes)?;
        let is_alike = |read: &&String| read.eq_ignore_ascii_case(&writes) && **read != writes;
        if let Some(read) = reads.iter().find(is_alike) {
            return Err(Failure::bad_input(format!(
                "`--writes` has `{writes}`, and `--reads` has `{read}`, which BigQuery takes for the same column"
            )));
        }
        Ok(Project { language: self.language, name: name.into_owned(), reads, writes })
    }
}

/// Words that no crate can be called: those of the language, and the crates that come with it.
const RESERVED: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum \
    extern false final fn for gen if impl in let loop macro match mod move mut override priv proc-macro proc_macro \
    pub ref return self static std struct super test trait true try type typeof unsafe unsized use virtual where \
    while yield";

/// What no package of npm can be called: there lie all that another is made of, and Node looks for no tests.
const OF_NPM: &str = "node_modules";

/// A plugin's name is that of its stage, in Rust of its crate, and in JavaScript of its package.
fn check_name(language: Language, name: &str) -> Result<(), Failure> {
    let refused = |why: &str| {
        let hint = "a name begins with a letter and has a-z, 0-9, `-` and `_`, 64 at most: `traffic-source`";
        Err(Failure::bad_input(format!("no plugin can be called `{name}`: {why}")).hint(hint))
    };
    if stage::check_name(name).is_err() || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return refused("it is not a name of a plugin and a stage");
    }
    if stage::ALL.contains(&name) {
        return refused("the host has a stage of that name");
    }
    // Its table is called after it.
    if name.replace('-', "_") == "dead_letter" {
        return refused("the table of dead letters is called so");
    }
    if language == Language::JavaScript && name == OF_NPM {
        return refused("npm keeps packages in folders of that name");
    }
    if language != Language::Rust {
        return Ok(());
    }
    if RESERVED.split_whitespace().any(|word| word == name) {
        return refused("it is a word of Rust's own");
    }
    if Project::is_built_with(name) {
        return refused("it is built with a crate of that name");
    }
    Ok(())
}

/// Longest name of a column, as BigQuery has it.
const MAX_COLUMN_CHARS: usize = 300;

fn check_column(flag: &str, column: &str) -> Result<(), Failure> {
    let mut chars = column.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let is_name = begins && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name || column.len() > MAX_COLUMN_CHARS {
        let error = Failure::bad_input(format!(
            "`--{flag}` has `{column}`, wanted the name of one column: letters, digits and `_`, {MAX_COLUMN_CHARS} at most, no digit first"
        ));
        return Err(error.hint("further columns to write, other types, records and lists are named in the source that is made"));
    }
    if provenance::ALL.iter().any(|filled| filled.eq_ignore_ascii_case(column)) {
        return Err(Failure::bad_input(format!(
            "`--{flag}` has `{column}`, which the host fills in itself"
        )));
    }
    Ok(())
}

/// Writes the project into a folder that is not there yet.
fn make(folder: &Path, project: &Project) -> Result<(), Failure> {
    let files = project.files();
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    new_folder::make(folder, files, "choose another name")
}

#[cfg(test)]
mod tests;
