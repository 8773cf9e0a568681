//! What is wrong with a pipeline file: found by every check, collected, told all at once.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong with a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where: `plugin[1].reads`, say.
    pub path: String,
    /// What it got and what it wanted.
    pub message: String,
    /// Whether a value of another type stands there: then its line is told.
    pub(super) is_mistyped: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.message)
    }
}

/// Adds a problem.
pub(super) fn problem(problems: &mut Vec<Problem>, path: &str, message: String) {
    problems.push(Problem { path: path.to_owned(), message, is_mistyped: false });
}

/// Adds that a value of another type than is wanted stands there.
pub(super) fn mistyped(problems: &mut Vec<Problem>, path: &str, message: String) {
    problems.push(Problem { path: path.to_owned(), message, is_mistyped: true });
}

/// `file` as seen from `folder`, without the `..` and `.` in it, so that messages stay readable.
pub(super) fn join(folder: &Path, file: &str) -> PathBuf {
    let mut joined = PathBuf::new();
    for part in folder.join(file).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir
                if matches!(
                    joined.components().next_back(),
                    Some(std::path::Component::Normal(_))
                ) =>
            {
                joined.pop();
            }
            other => joined.push(other),
        }
    }
    if joined.as_os_str().is_empty() {
        // The current folder: nothing has no name.
        joined.push(".");
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_seen_from_a_folder() {
        for (folder, file, wanted) in [
            ("host/pipelines", "../../plugins/mask", "plugins/mask"),
            ("project", ".", "project"),
            ("", ".", "."),
            (".", ".", "."),
            ("project", "..", "."),
            ("", "./mask", "mask"),
            ("", "../mask", "../mask"),
            ("..", "../mask", "../../mask"),
        ] {
            assert_eq!(join(Path::new(folder), file), Path::new(wanted), "{folder}, {file}");
        }
    }
}
