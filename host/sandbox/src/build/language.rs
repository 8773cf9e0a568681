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

    /// Whether a plugin is made of a file, by its path from the folder. Golden cases and unit tests are looked at when it
    /// is tested; and where a build is never the same twice, whatever is taken for a source makes another component.
    pub(super) fn is_source(self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
        let is_at_top = path.parent() == Some(Path::new(""));
        let is_test = path.starts_with("tests")
            || match self {
                Self::Rust | Self::C => false,
                Self::Go => stem.ends_with("_test"),
                Self::Python => {
                    stem == "conftest" || stem.starts_with("test_") || stem.ends_with("_test")
                }
                Self::JavaScript => stem.ends_with(".test") || stem.ends_with(".spec"),
            };
        let is_made_of = match self {
            Self::Rust => ["rs", "toml", "lock"].contains(&ending),
            Self::C => ["c", "h"].contains(&ending),
            Self::Go => ["go", "mod", "sum"].contains(&ending),
            Self::Python => ending == "py" || (is_at_top && name == self.file()),
            // Of what is installed the lock says which it is.
            Self::JavaScript => {
                ["js", "mjs", "ts"].contains(&ending)
                    || (is_at_top && [self.file(), "package-lock.json"].contains(&&*name))
            }
        };
        is_made_of && !is_test
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

    #[test]
    fn a_plugin_is_made_of_its_modules_and_not_of_what_it_is_tested_with() {
        let of = |language: Language, file: &str| language.is_source(Path::new(file));
        for (language, source) in [
            (Language::Python, "plugin.py"),
            (Language::Python, "words/spellings.py"),
            (Language::Python, "sdk/clickmill_plugin/testing.py"),
            (Language::Python, "pyproject.toml"),
            (Language::JavaScript, "plugin.ts"),
            (Language::JavaScript, "words/latest.mjs"),
            (Language::JavaScript, "package.json"),
            (Language::JavaScript, "package-lock.json"),
            (Language::Go, "words/words.go"),
            (Language::Go, "go.sum"),
            (Language::C, "src/words.h"),
        ] {
            assert!(of(language, source), "{source} of {language}");
        }
        for language in Language::ALL.into_iter().filter(|language| *language != Language::Rust) {
            for other in [
                "pipeline.toml",
                "another.toml",
                "README.md",
                "tests/cases.json",
                "tests/package.json",
                "schemas/shout.json",
                "events/events.csv",
                "shout.cpuprofile",
                "py",
                "",
            ] {
                assert!(!of(language, other), "{other} of {language}");
            }
        }
        for (language, test) in [
            (Language::Python, "test_plugin.py"),
            (Language::Python, "words/spellings_test.py"),
            (Language::Python, "conftest.py"),
            (Language::Python, "tests/helpers.py"),
            (Language::Python, "words/pyproject.toml"),
            (Language::JavaScript, "plugin.test.js"),
            (Language::JavaScript, "words/words.test.ts"),
            (Language::JavaScript, "plugin.spec.mjs"),
            (Language::JavaScript, "words/package.json"),
            (Language::Go, "plugin_test.go"),
            (Language::C, "tests/plugin_test.c"),
        ] {
            assert!(!of(language, test), "{test} of {language}");
        }
    }
}
