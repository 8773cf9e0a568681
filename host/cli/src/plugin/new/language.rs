//! Languages that there are projects in: of each, the template and the SDK that comes along whole.

use std::fmt;

use clap::ValueEnum;
use rust_embed::RustEmbed;

use clickmill_sandbox::build;

/// What is in every project.
#[derive(RustEmbed)]
#[folder = "templates/common"]
struct CommonTemplate;

#[derive(RustEmbed)]
#[folder = "templates/rust"]
struct RustTemplate;

#[derive(RustEmbed)]
#[folder = "../../plugins/sdk"]
struct RustSdk;

#[derive(RustEmbed)]
#[folder = "templates/python"]
struct PythonTemplate;

#[derive(RustEmbed)]
#[folder = "../../plugins/sdk-python"]
struct PythonSdk;

#[derive(RustEmbed)]
#[folder = "templates/javascript"]
struct JavaScriptTemplate;

#[derive(RustEmbed)]
#[folder = "../../plugins/sdk-javascript"]
struct JavaScriptSdk;

#[derive(RustEmbed)]
#[folder = "templates/c"]
struct CTemplate;

#[derive(RustEmbed)]
#[folder = "../../plugins/sdk-c"]
struct CSdk;

#[derive(RustEmbed)]
#[folder = "templates/go"]
struct GoTemplate;

#[derive(RustEmbed)]
#[folder = "../../plugins/sdk-go"]
struct GoSdk;

/// Files by their path, with their text.
pub(super) type Files = Vec<(String, String)>;

/// A language. Whatever makes components can speak the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Python,
    #[value(name = "javascript")]
    JavaScript,
    Go,
    C,
}

impl Language {
    /// The files of a project, whose names in double braces are to be filled in, and those of the SDK.
    pub(super) fn files(self) -> (Files, Files) {
        let (own, sdk) = match self {
            Self::Rust => (all::<RustTemplate>(), all::<RustSdk>()),
            Self::Python => (all::<PythonTemplate>(), all::<PythonSdk>()),
            Self::JavaScript => (all::<JavaScriptTemplate>(), all::<JavaScriptSdk>()),
            Self::C => (all::<CTemplate>(), all::<CSdk>()),
            Self::Go => (all::<GoTemplate>(), all::<GoSdk>()),
        };
        // Where the language has a file of that name, it is the one.
        let mut files = all::<CommonTemplate>();
        files.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
        files.extend(own);
        (files, sdk)
    }

    /// What a pipeline file grants the plugin beyond what it has by default, as a section with a blank line before it;
    /// nothing where that does.
    pub(super) fn limits(self) -> String {
        let why = match self {
            Self::Rust | Self::C => return String::new(),
            Self::Python => {
                "# The interpreter takes some 60,000 for a row of this plugin; a few dates or a text in JSON more, and it is beyond the\n\
                 # 200,000 that a row has by default."
            }
            Self::JavaScript => {
                "# The engine takes some 136,000 for a row of this plugin; a little more, and it is beyond the 200,000 that a row has\n\
                 # by default."
            }
            Self::Go => {
                "# Go takes some 23,000 for a row of this plugin; some JSON, which is read by reflection, and it is beyond the 200,000\n\
                 # that a row has by default."
            }
        };
        format!(
            "\n[plugin.limits]\n{why}\n\
             # A batch whose rows take more is split until its allowance is used up: rows that are left then are letters of the code\n\
             # `plugin_batch_given_up`. `clickmill plugin test . --fuel` tells what a row takes.\n\
             max_fuel_per_record = 2_000_000\n"
        )
    }

    /// What the host calls it.
    pub(super) fn built(self) -> build::Language {
        match self {
            Self::Rust => build::Language::Rust,
            Self::Python => build::Language::Python,
            Self::JavaScript => build::Language::JavaScript,
            Self::Go => build::Language::Go,
            Self::C => build::Language::C,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.built().fmt(f)
    }
}

/// Files that are compiled in; they are texts.
fn all<T: RustEmbed>() -> Files {
    let text = |path: &str| {
        let file = T::get(path).expect("its name is one of the folder's");
        String::from_utf8_lossy(&file.data).into_owned()
    };
    // What an interpreter left there is none of them.
    let paths = T::iter().filter(|path| !path.contains("__pycache__"));
    paths.map(|path| (path.to_string(), text(&path))).collect()
}
