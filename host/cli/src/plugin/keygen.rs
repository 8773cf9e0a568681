//! `clickmill plugin keygen`: makes the key pair that components are signed with.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::sign::{PASSWORD_VARIABLE, password};
use crate::{Exit, Failure};
use clickmill_core::private;
use clickmill_sandbox::signature;

const EXAMPLES: &str = "\
Examples:
  clickmill plugin keygen --output release
  CLICKMILL_SIGNING_PASSWORD=... clickmill plugin keygen --output release

Writes release.pub and release.key, which the minisign tool reads too.
CLICKMILL_SIGNING_PASSWORD protects the secret key; without it whoever has the file can sign.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Keygen {
    /// Where to write: NAME.pub and NAME.key
    #[arg(long, short, value_name = "NAME")]
    output: PathBuf,
}

impl Keygen {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let public_path = with_ending(&self.output, ".pub");
        let secret_path = with_ending(&self.output, ".key");
        for path in [&secret_path, &public_path] {
            // A link that leads nowhere is there too.
            if path.symlink_metadata().is_ok() {
                return Err(unwritten(path, ErrorKind::AlreadyExists.into()));
            }
        }
        let password = password()?;
        let protected = password.is_some();
        let (public, secret) = signature::generate(password)
            .map_err(|error| Failure::new(Exit::Environment, error))?;
        write_new(&mut private::options(), &secret_path, &secret)
            .map_err(|error| unwritten(&secret_path, error))?;
        if let Err(error) = write_new(&mut OpenOptions::new(), &public_path, &public) {
            // Nobody has seen its public half: it is good for nothing.
            let _ = fs::remove_file(&secret_path);
            return Err(unwritten(&public_path, error));
        }
        let line = public.lines().last().unwrap_or_default();
        println!("{line}");
        eprintln!("wrote `{}` and `{}`", public_path.display(), secret_path.display());
        if !protected {
            eprintln!("the secret key has no password: {PASSWORD_VARIABLE} would give it one");
        }
        eprintln!("to trust it, list it in the pipeline file:\n\n[trust]\nkeys = [\"{line}\"]");
        Ok(())
    }
}

/// `NAME.pub`, also for a name with a dot in it.
fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(name);
    name.push(ending);
    name.into()
}

/// Writes a file that is not there yet: also one that appears meanwhile is not overwritten.
fn write_new(options: &mut OpenOptions, path: &Path, text: &str) -> io::Result<()> {
    let mut file = options.write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        // Half a key is no key, and would be in the way of the next try.
        let _ = fs::remove_file(path);
    })
}

fn unwritten(path: &Path, error: io::Error) -> Failure {
    if error.kind() != ErrorKind::AlreadyExists {
        return Failure::unwritable(path, error);
    }
    let what = format!("cannot write `{}`", path.display());
    Failure::new(Exit::BadInput, anyhow::Error::new(error).context(what))
        .hint("a key is not overwritten: choose another name, or move the old one away")
}
