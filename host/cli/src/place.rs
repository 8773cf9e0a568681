//! Where things are: the cache of compiled plugins, the audit log, what comes with clickmill. And who is
//! asking.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Failure, owner};
use clickmill_config::{Pipeline, TableName};
use clickmill_dashboard::Folder;
use clickmill_sandbox::Engine;
use clickmill_warehouse::Warehouse;

/// The dataset where no pipeline file names one.
pub(crate) const DATASET: &str = "clickstream_analytics";

/// The names of a warehouse's tables.
pub(crate) fn tables(warehouse: &str) -> Result<Vec<TableName>, Failure> {
    let warehouse = Warehouse::open(warehouse)?;
    let known = tokio::runtime::Runtime::new()?.block_on(warehouse.tables())?;
    Ok(known.into_iter().map(|(name, _)| name).collect())
}

/// The dataset of a warehouse that has one of these tables, where nobody names one: [`DATASET`], or the only other one.
/// `known` are the tables that there are.
///
/// # Errors
///
/// Several others have them.
pub(crate) fn dataset_with(
    known: &[TableName],
    tables: &[&str],
    hint: &str,
) -> Result<String, Failure> {
    let known = known.iter().filter(|name| tables.contains(&name.table.as_str()));
    let mut others: BTreeSet<String> = known.map(|name| name.dataset.clone()).collect();
    let is_usual = others.remove(DATASET);
    let Some(first) = others.first().cloned() else { return Ok(DATASET.to_owned()) };
    let (tables, others) = (tables.join("` and `"), Vec::from_iter(others));
    if is_usual {
        eprintln!("note: `{}` also has `{tables}`: {hint}", others.join("`, `"));
        return Ok(DATASET.to_owned());
    }
    if others.len() == 1 {
        return Ok(first);
    }
    let told = format!("datasets `{}` all have `{tables}`", others.join("`, `"));
    Err(Failure::bad_input(told).hint(hint.to_owned()))
}

/// The environment variable that names the cache folder.
const CACHE_VARIABLE: &str = "CLICKMILL_CACHE";

/// The folder of compiled plugins, where a variable says where the user's caches are. One that others may
/// make, such as the temporary folder, is none: what is in there is run as it is.
pub(crate) fn cache() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = variable(CACHE_VARIABLE) {
        return Some(folder.into());
    }
    let base = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    base.map(|base| base.join("clickmill"))
}

/// An engine that keeps compiled plugins in that folder.
pub(crate) fn engine() -> Result<Engine, Failure> {
    match cache() {
        Some(folder) => Ok(Engine::new(&folder)?),
        None => Ok(Engine::without_cache()?),
    }
}

/// The environment variable that names the folder of what comes with clickmill.
const SHARE_VARIABLE: &str = "CLICKMILL_SHARE";
/// Where the pipelines are in such a folder.
const PIPELINES: &str = "host/pipelines";

/// A folder that may hold what comes with clickmill.
struct Share {
    folder: PathBuf,
    /// Whether it was found only since we happen to be in it or below it.
    met: bool,
}

/// Folders that may hold what comes with clickmill, as a clone of the project does: pipelines, schemas,
/// SQL, plugins. The one that is named, and no other; else the current folder and those above it, that of
/// the executable as packages have it, and `share/clickmill` beside its `bin`.
fn shares() -> Vec<Share> {
    let of = |met| move |folder: PathBuf| Share { folder, met };
    if let Some(named) = named_share() {
        return vec![of(false)(named)];
    }
    let here = std::env::current_dir().unwrap_or_default();
    let executable = std::env::current_exe().unwrap_or_default();
    let beside = executable.parent().map(Path::to_owned);
    let installed = executable.ancestors().nth(2).map(|prefix| prefix.join("share/clickmill"));
    let met = here.ancestors().map(Path::to_owned).map(of(true));
    met.chain(beside.into_iter().chain(installed).map(of(false))).collect()
}

impl Share {
    /// What it has by that name. A stranger's, in or above the current folder, is passed over and told: a
    /// pipeline runs code.
    fn find(&self, name: &Path, is_there: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        let path = self.folder.join(name);
        if !is_there(&path) {
            return None;
        }
        let below = path.ancestors().take_while(|above| above.starts_with(&self.folder));
        let mut parts = below.filter(|_| self.met);
        let strange = parts.find_map(|part| match owner::stranger(part) {
            Ok(why) => Some((part, why?)),
            Err(error) => Some((part, error.to_string())),
        });
        let Some((part, why)) = strange else { return Some(path) };
        eprintln!(
            "`{}` is passed over: `{}` {why}; {SHARE_VARIABLE}={} takes it all the same",
            path.display(),
            part.display(),
            self.folder.display(),
        );
        None
    }
}

fn named_share() -> Option<PathBuf> {
    std::env::var_os(SHARE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Folders that may hold what comes with clickmill. At last it is looked for in the clone that this was built in.
fn shares_and_clone() -> impl Iterator<Item = Share> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned);
    let built = built.filter(|_| named_share().is_none());
    shares().into_iter().chain(built.map(|folder| Share { folder, met: false }))
}

/// A pipeline that comes with clickmill.
pub(crate) fn pipeline(name: &str) -> Result<PathBuf, Failure> {
    let within = Path::new(PIPELINES).join(name);
    let found = shares_and_clone().find_map(|share| share.find(&within, Path::is_file));
    found.ok_or_else(|| {
        Failure::bad_input(format!(
            "there is no `{PIPELINES}/{name}` in this folder or above it, beside the executable, in `share/clickmill` beside its folder, or in {SHARE_VARIABLE}"
        )).hint(
            "in a clone of the project, `.ci/share FOLDER` puts into a folder what comes with clickmill",
        )
    })
}

/// The folders of the plugins that come with clickmill: crates in a clone, components elsewhere. Folders of that
/// name that others have are not looked at: a crate is built, which runs code.
pub(crate) fn plugins() -> Vec<PathBuf> {
    let found = shares_and_clone().find_map(|share| {
        share.find(Path::new(PIPELINES), Path::is_dir)?;
        share.find(Path::new("plugins"), Path::is_dir)
    });
    let entries = found.and_then(|folder| std::fs::read_dir(folder).ok());
    let folders = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    // Golden cases tell a plugin from a library.
    let mut plugins: Vec<PathBuf> = folders.filter(|path| path.join("tests").is_dir()).collect();
    plugins.sort();
    plugins
}

/// Reads a pipeline file, or the one of that name that comes with clickmill: `batch`, `batch.toml` and
/// `host/pipelines/batch.toml` are the same one, unless there is such a file here.
pub(crate) fn read_pipeline(given: &Path, set: &[String]) -> Result<Pipeline, Failure> {
    Ok(clickmill_config::read(&find_pipeline(given), set)?)
}

/// Where a pipeline file is that is named like that.
pub(crate) fn find_pipeline(given: &Path) -> PathBuf {
    let name = given.strip_prefix(PIPELINES).unwrap_or(given);
    let is_name = name.file_name() == Some(name.as_os_str());
    // A folder of that name is no pipeline file.
    let is_here = given.exists() && !given.is_dir();
    if is_name
        && !is_here
        && let Ok(shipped) = pipeline(&name.with_extension("toml").to_string_lossy())
    {
        // It is not to be taken for a file of the user's own.
        eprintln!("no `{}` here: it is {}", given.display(), shipped.display());
        return shipped;
    }
    given.to_owned()
}

/// The tiles of the dashboard: those that come with clickmill, and else those that the binary was built
/// with.
pub(crate) fn tiles() -> Folder {
    let within = Path::new("sql/dashboard");
    let found = shares().into_iter().find_map(|share| share.find(within, Path::is_dir));
    found.map_or(Folder::Embedded, Folder::At)
}

/// The environment variable that names the folder of the audit log, and the folder where it names none.
pub(crate) const AUDIT_VARIABLE: &str = "CLICKMILL_AUDIT";
pub(crate) const AUDIT_FOLDER: &str = "./clickmill-data/audit";

/// The folder of the audit log.
pub(crate) fn audit() -> PathBuf {
    let named = std::env::var_os(AUDIT_VARIABLE).filter(|value| !value.is_empty());
    named.map_or_else(|| AUDIT_FOLDER.into(), PathBuf::from)
}

/// Who runs this, for the audit log: `user@machine`.
pub(crate) fn actor() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME"));
    let machine = std::fs::read_to_string("/etc/hostname").ok();
    let machine = machine.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let machine = variable("HOSTNAME").or(machine);
    let known = |name: Option<String>| name.unwrap_or_else(|| "unknown".to_owned());
    format!("{}@{}", known(user), known(machine))
}
