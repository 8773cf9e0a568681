//! From the text of a pipeline file to a checked [`Pipeline`].

use std::io;
use std::path::{Path, PathBuf};

use super::{ConfigError, Pipeline, check, environment, lines, overrides, schema, secrets};
use clickmill_core::{Digest, file};

/// A pipeline file that can be read again, with what was said beside it.
#[derive(Debug, Clone)]
pub struct PipelineFile {
    /// The file.
    pub path: PathBuf,
    /// The `key=value` of `--set`.
    pub overrides: Vec<String>,
}

impl PipelineFile {
    /// Reads and checks the file as it is now, and says what its text is known by. A link is followed, and a pipe
    /// is not waited for.
    ///
    /// # Errors
    ///
    /// As of [`read`], and where it is no file any more or a huge one.
    pub fn read(&self) -> Result<(Pipeline, Digest), ConfigError> {
        let Self { path, overrides } = self;
        let text = self.text();
        let text = text.map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let pipeline = read_text(&text, path, overrides, &|name| std::env::var(name).ok())?;
        Ok((pipeline, Digest::of(text.as_bytes())))
    }

    /// Its text as it is now.
    ///
    /// # Errors
    ///
    /// Where it can't be read, is no file, a huge one or not UTF-8.
    pub fn text(&self) -> io::Result<String> {
        file::text(&self.path)
    }
}

/// Reads and checks a pipeline file. `overrides` are the `key=value` of `--set`.
///
/// # Errors
///
/// Where the file cannot be read or is not TOML, the latter with its line; where an override makes no sense,
/// with its key; else every problem, each with its key.
pub fn read(path: &Path, overrides: &[String]) -> Result<Pipeline, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    read_text(&text, path, overrides, &|name| std::env::var(name).ok())
}

/// Checks the text of a pipeline file that lies at `path`: relative paths in it are relative to the file's
/// folder, and errors name it. `variable` looks up what `${NAME}` stands for, and the
/// project where the file names none.
pub(super) fn read_text(
    text: &str,
    path: &Path,
    overrides: &[String],
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Pipeline, ConfigError> {
    let mut document: toml::Table =
        toml::from_str(text).map_err(|error| no_toml(path, text, &error))?;
    for given in overrides {
        overrides::set(&mut document, given)?;
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let secrets = secrets::variables(&document);
    let mut problems = environment::fill_in(&mut document, variable, &secrets);
    let checked = check::check(document, folder, variable);
    match checked {
        Ok(pipeline) if problems.is_empty() => Ok(pipeline),
        checked => {
            problems.extend(checked.err().unwrap_or_default());
            for problem in problems.iter_mut().filter(|problem| problem.is_mistyped) {
                if let Some(line) = lines::line(text, &problem.path, overrides) {
                    problem.message.push_str(&format!(", on line {line}"));
                }
            }
            problems.sort_by_key(|problem| schema::place(&problem.path));
            Err(ConfigError::Problems { path: path.to_owned(), problems })
        }
    }
}

fn no_toml(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| text.floor_char_boundary(span.start));
    let before = text.get(..at).unwrap_or_default();
    let last = before.rsplit('\n').next().unwrap_or_default();
    ConfigError::Syntax {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: last.chars().count() + 1,
        why: error.message().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests;
