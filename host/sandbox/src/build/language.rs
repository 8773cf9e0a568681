//! Languages that plugins are written in. What lies in a folder says which.

use std::fmt;
use std::path::Path;

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// A crate, built by cargo.
    Rust,
    /// C, built by clang or zig.
    C,
    /// A Go module.
    Go,
    /// A Python project.
    Python,
    /// A JavaScript or TypeScript package.
    JavaScript,
}

impl Language {
    /// All of them, in the order in which a folder is asked for them: what is in it for tools, such as a
    /// `package.json` beside a crate, comes last.
    pub const ALL: [Self; 5] = [Self::Rust, Self::Go, Self::C, Self::Python, Self::JavaScript];

    /// The file by which a folder is known.
    pub fn file(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::C => "plugin.c",
            Self::Go => "go.mod",
            Self::Python => "pyproject.toml",
            Self::JavaScript => "package.json",
        }
    }

    /// The language of the plugin whose sources lie in a folder.
    pub fn of(folder: &Path) -> Option<Self> {
        Self::ALL.into_iter().find(|language| folder.join(language.file()).is_file())
    }

    /// How names of files end that a plugin is made of.
    pub(super) fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["rs", "toml", "lock"],
            Self::C => &["c", "h"],
            Self::Go => &["go", "mod", "sum"],
            Self::Python => &["py", "toml", "txt"],
            Self::JavaScript => &["js", "mjs", "ts", "json"],
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Go => "Go",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_what_lies_in_it() {
        for language in Language::ALL {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(Language::of(folder.path()), None);
            std::fs::write(folder.path().join("README.md"), "").unwrap();
            std::fs::create_dir(folder.path().join("Cargo.toml")).unwrap();
            assert_eq!(Language::of(folder.path()), None, "a folder is no file");
            std::fs::remove_dir(folder.path().join("Cargo.toml")).unwrap();
            std::fs::write(folder.path().join("package.json"), "").unwrap();
            std::fs::write(folder.path().join(language.file()), "").unwrap();
            assert_eq!(Language::of(folder.path()), Some(language));
        }
    }
}
