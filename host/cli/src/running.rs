//! What runs on this machine. Each process writes the address and token of its admin interface into a file
//! that it keeps locked, in a folder that only its user can read. The lock ends with the process, so that the
//! file of a killed process is told from that of a running one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{owner, place};
use clickmill_admin::Interface;
use clickmill_core::{file, private};

/// What a process says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunningProcess {
    /// The pipeline's name; none where it is a dashboard alone.
    pub pipeline: Option<String>,
    /// Where its admin interface is.
    pub admin: SocketAddr,
    /// The process.
    pub process: u32,
    /// An operator's token.
    token: String,
}

/// A process that has said so. Its file is removed when it is dropped.
pub(super) struct Announced {
    path: PathBuf,
    _locked: File,
}

impl Drop for Announced {
    fn drop(&mut self) {
        // One that stays is removed by whoever looks next.
        let _ = fs::remove_file(&self.path);
    }
}

/// Says that a process has an admin interface. Where that can't be said, commands have to be told the
/// address and a token.
pub(super) fn announce(pipeline: Option<&str>, interface: &Interface) -> Option<Announced> {
    let said = RunningProcess {
        pipeline: pipeline.map(str::to_owned),
        admin: interface.address(),
        process: std::process::id(),
        token: interface.token().to_owned(),
    };
    let mut why = Vec::new();
    for folder in folders() {
        match announce_in(&folder, &said) {
            Ok(announced) => return Some(announced),
            Err(error) => why.push(format!("{}: {error}", folder.display())),
        }
    }
    tracing::warn!(
        why = why.join("; "),
        "this user has no private folder, so that commands on this machine do not find this process by themselves: they want `--admin` and a token that `admin.token_file` or `admin.token_env` of the pipeline file names"
    );
    None
}

/// What runs here now, in the order of the pipelines' names.
pub(super) fn all() -> Vec<RunningProcess> {
    let mut all: Vec<RunningProcess> = folders().iter().flat_map(|folder| all_in(folder)).collect();
    all.sort_by(|a, b| (&a.pipeline, a.admin).cmp(&(&b.pipeline, b.admin)));
    all
}

/// The token of what listens at an address of this machine, where that runs here and has said it to us; and
/// the address in numbers, which is the one to show it to: a name may lead to somebody else.
pub(super) fn token_at(address: &str) -> Option<(SocketAddr, String)> {
    token_of(&all(), address)
}

fn token_of(all: &[RunningProcess], address: &str) -> Option<(SocketAddr, String)> {
    let address = match address.strip_prefix("localhost:") {
        Some(port) => SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port.parse().ok()?),
        None => address.parse().ok()?,
    };
    // What listens everywhere does so on loopback too.
    let is_there = |said: &&RunningProcess| {
        let everywhere = said.admin.ip().is_unspecified() && address.ip().is_loopback();
        said.admin == address || (everywhere && said.admin.port() == address.port())
    };
    let exactly = all.iter().find(|said| said.admin == address);
    let said = exactly.or_else(|| all.iter().find(is_there))?;
    Some((address, said.token.clone()))
}

/// Where processes say it, the best place first. All are looked at: a service may lack a variable that a
/// terminal has.
fn folders() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
    let runtime = runtime.map(|folder| Path::new(&folder).join("clickmill"));
    let cache = place::cache().map(|folder| folder.join("processes"));
    runtime.into_iter().chain(cache).collect()
}

fn announce_in(folder: &Path, said: &RunningProcess) -> io::Result<Announced> {
    private::create_dir_all(folder)?;
    owner::check_is_ours_alone(folder)?;
    let name = format!("{}-{}-{:08x}", said.process, said.admin.port(), rand::random::<u32>());
    let part = folder.join(format!("{name}.part"));
    let mut file = private::options().write(true).create_new(true).open(&part)?;
    // Locked before it has the name that others look at.
    file.try_lock()?;
    file.write_all(&serde_json::to_vec(said)?)?;
    let path = folder.join(format!("{name}.json"));
    fs::rename(&part, &path)?;
    Ok(Announced { path, _locked: file })
}

/// What runs, as a folder has it; nothing where there is none yet. In a folder that others may write to,
/// somebody else may want to be taken for us.
fn all_in(folder: &Path) -> Vec<RunningProcess> {
    let found = match owner::check_is_ours_alone(folder) {
        Ok(()) => read_in(folder),
        Err(error) => Err(error),
    };
    match found {
        Ok(all) => all,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "cannot look for what runs here");
            Vec::new()
        }
    }
}

fn read_in(folder: &Path) -> io::Result<Vec<RunningProcess>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        // It may have ended meanwhile.
        let Ok(file) = file::open(&path) else { continue };
        match file.try_lock_shared() {
            // Nobody has it any more.
            Ok(()) => {
                let _ = fs::remove_file(&path);
            }
            Err(TryLockError::WouldBlock) => {
                all.extend(serde_json::from_reader::<_, RunningProcess>(&file).ok());
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn said(pipeline: &str, admin: &str) -> RunningProcess {
        RunningProcess {
            pipeline: Some(pipeline.to_owned()),
            admin: admin.parse().unwrap(),
            process: 7,
            token: format!("the token of {pipeline}"),
        }
    }

    #[test]
    fn those_that_run_are_found_and_what_others_left_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("processes");
        let [one, other, gone] = [("clicks", 2), ("clicks", 1), ("shop", 3)]
            .map(|(name, port)| said(name, &format!("127.0.0.1:{port}")));
        let one_runs = announce_in(&folder, &one).unwrap();
        let _other_runs = announce_in(&folder, &other).unwrap();
        // As a process that was killed leaves it.
        let left = announce_in(&folder, &gone).unwrap();
        let text = fs::read(&left.path).unwrap();
        let path = left.path.clone();
        drop(left);
        fs::write(&path, text).unwrap();
        fs::write(folder.join("8-4-0.part"), "half").unwrap();
        let mode = fs::metadata(&one_runs.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut found = all_in(&folder);
        found.sort_by_key(|said| said.admin);
        assert_eq!(found, [other.clone(), one]);
        assert!(!path.exists());
        drop(one_runs);
        assert_eq!(all_in(&folder), [other]);
        assert_eq!(all_in(&folder.join("none")), []);
    }

    #[test]
    fn nothing_is_said_or_believed_in_a_folder_that_is_open_to_others() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("processes");
        let one = said("clicks", "127.0.0.1:7627");
        let announced = announce_in(&folder, &one).unwrap();
        assert_eq!(all_in(&folder), std::slice::from_ref(&one));
        for mode in [0o755, 0o777, 0o770] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let error = announce_in(&folder, &one).err().unwrap().to_string();
            assert!(error.contains("is open to others") && error.contains("XDG_RUNTIME_DIR"));
            assert_eq!(all_in(&folder), []);
        }
        drop(announced);
    }

    #[test]
    fn a_token_is_for_the_address_that_its_process_has_and_for_no_other() {
        let all = [
            said("local", "127.0.0.1:7627"),
            said("everywhere", "0.0.0.0:7628"),
            said("elsewhere", "192.0.2.7:7627"),
            said("six", "[::1]:7627"),
        ];
        for (address, found) in [
            ("127.0.0.1:7627", Some("local")),
            ("localhost:7627", Some("local")),
            ("127.0.0.1:7628", Some("everywhere")),
            ("localhost:7628", Some("everywhere")),
            ("0.0.0.0:7628", Some("everywhere")),
            ("192.0.2.7:7627", Some("elsewhere")),
            ("[::1]:7627", Some("six")),
            ("192.0.2.7:7628", None),
            ("127.0.0.1:7629", None),
            ("127.0.0.2:7627", None),
            ("localhost.attacker.example:7627", None),
            ("localhost", None),
            ("localhost:", None),
            ("", None),
        ] {
            let wanted = found.map(|name| format!("the token of {name}"));
            let found = token_of(&all, address).map(|(_, token)| token);
            assert_eq!(found, wanted, "{address}");
        }
        // Somebody else may have the port at the other address that the name leads to.
        let (address, _) = token_of(&all, "localhost:7627").unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:7627");
    }
}
