//! Where things are: the cache of compiled plugins, the audit log, the project with its pipelines. And
//! who is asking.

use std::path::{Path, PathBuf};

use clickmill_dashboard::Folder;

/// The environment variable that names the cache folder.
const CACHE_VARIABLE: &str = "CLICKMILL_CACHE";

/// The folder of compiled plugins.
pub(crate) fn cache() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = variable(CACHE_VARIABLE) {
        return folder.into();
    }
    let base = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("clickmill")
}

/// A pipeline that comes with the project: in the current folder or one above it, and else where the
/// binary was built.
pub(crate) fn pipeline(name: &str) -> Option<PathBuf> {
    let within = Path::new("host/pipelines").join(name);
    let here = std::env::current_dir().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned);
    here.ancestors()
        .map(Path::to_owned)
        .chain(built)
        .map(|root| root.join(&within))
        .find(|path| path.is_file())
}

/// The tiles of the dashboard: in the current folder or one above it, and else those that the binary was
/// built with.
pub(crate) fn tiles() -> Folder {
    let here = std::env::current_dir().unwrap_or_default();
    let folders = here.ancestors().map(|root| root.join("sql/dashboard"));
    folders.into_iter().find(|path| path.is_dir()).map_or(Folder::Embedded, Folder::At)
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
