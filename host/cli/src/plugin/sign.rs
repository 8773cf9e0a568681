//! `clickmill plugin sign`: signs components, so that a host can tell who made them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;

use crate::compile::Limits;
use crate::{Exit, Failure};
use clickmill_core::{StageName, private};
use clickmill_sandbox::signature::{self, SigningError};
use clickmill_sandbox::{NewComponent, describe};

const EXAMPLES: &str = "\
Examples:
  clickmill plugin sign mask.wasm --key release.key
  clickmill plugin sign parse.wasm mask.wasm --key release.key \\
      --comment \"release 7\"
  clickmill plugin sign mask-1.4.2.wasm --key release.key --stage mask \\
      --stage mask-eu
  minisign -V -p release.pub -m mask.wasm

The signed comment says when, for which stages and as which version: what a pipeline with
`trust.bind` or `trust.not_before` asks for.

The password of the key, if it has one, comes from CLICKMILL_SIGNING_PASSWORD.
Signs again what is signed already: the signature is replaced.";

/// The environment variable that holds the password of a secret key.
pub(super) const PASSWORD_VARIABLE: &str = "CLICKMILL_SIGNING_PASSWORD";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sign {
    /// Component files
    #[arg(required = true, value_name = "COMPONENT")]
    components: Vec<PathBuf>,

    /// File of the secret key, as `plugin keygen` or the minisign tool makes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Text to sign along, before the time, the stages and the version [default: the file's name]
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,

    /// Stage that it is meant for (may be repeated) [default: the file's name without its ending]
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<StageName>,

    #[command(flatten)]
    limits: Limits,
}

impl Sign {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let key =
            fs::read_to_string(&self.key).map_err(|error| Failure::unreadable(&self.key, error))?;
        if private::is_open_to_others(&self.key).unwrap_or_default() {
            let key = self.key.display();
            eprintln!("others may read the secret key: chmod 600 {key}");
        }
        let password = password()?;
        let engine = self.limits.engine()?;
        for path in &self.components {
            let component = NewComponent::read(path, engine.limits().max_bytes)?.bytes;
            let version = describe(&engine, path, &component, None)?.version;
            // Its author is not who signs: words of the comment are the signer's.
            if version.is_empty() || version.contains(char::is_whitespace) {
                let path = path.display();
                return Err(Failure::bad_input(format!(
                    "cannot sign `{path}`: it says that its version is `{version}`, wanted a word"
                )));
            }
            let comment = self.comment_of(path, &version);
            let signature = signature::sign(&key, password.clone(), &component, &comment)
                .map_err(|error| unsigned(path, &self.key, error))?;
            let beside = signature::beside(path);
            fs::write(&beside, signature).map_err(|error| Failure::unwritable(&beside, error))?;
            println!("{}", beside.display());
        }
        Ok(())
    }

    /// Words as the minisign tool writes them when it is not told a comment, and what binds the signature.
    fn comment_of(&self, path: &Path, version: &str) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.replace(char::is_whitespace, "_");
        let said = self.comment.clone().unwrap_or_else(|| format!("file:{name}\thashed"));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let of_name = stem.parse::<StageName>().ok().filter(|_| self.stages.is_empty());
        let stages = self.stages.iter().chain(&of_name);
        let stages: String = stages.map(|stage| format!("\tstage:{stage}")).collect();
        format!("{said}\ttimestamp:{}{stages}\tversion:{version}", now.as_secs())
    }
}

/// The password from the environment; a variable that is empty is as good as none.
pub(super) fn password() -> Result<Option<String>, Failure> {
    let Some(password) = std::env::var_os(PASSWORD_VARIABLE).filter(|value| !value.is_empty())
    else {
        return Ok(None);
    };
    // Taken for none, it would leave a new key without protection.
    password.into_string().map(Some).map_err(|_| {
        Failure::bad_input(format!("environment variable `{PASSWORD_VARIABLE}` is not UTF-8"))
    })
}

fn unsigned(path: &Path, key: &Path, error: SigningError) -> Failure {
    let exit = Exit::from(error.fault());
    let hint = match error {
        SigningError::NoPassword | SigningError::WrongPassword => {
            Some(format!("the password comes from {PASSWORD_VARIABLE}"))
        }
        SigningError::SecretKey => {
            let made = "`clickmill plugin keygen` makes a `.key` file, and so does `minisign -G`";
            Some(made.to_owned())
        }
        SigningError::Damaged
        | SigningError::CommentCharacter { .. }
        | SigningError::CommentLength { .. }
        | SigningError::Failed { .. } => None,
    };
    let what = format!("cannot sign `{}` with `{}`", path.display(), key.display());
    let failure = Failure::new(exit, anyhow::Error::new(error).context(what));
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
