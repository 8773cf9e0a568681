//! Where things are: the cache of compiled plugins, and the project with its pipelines.

use std::path::{Path, PathBuf};

/// The environment variable that names the cache folder.
const CACHE_VARIABLE: &str = "CLICKMILL_CACHE";

/// The folder of compiled plugins.
pub fn cache() -> PathBuf {
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
pub fn pipeline(name: &str) -> Option<PathBuf> {
    let within = Path::new("host/pipelines").join(name);
    let here = std::env::current_dir().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
    here.ancestors()
        .map(Path::to_owned)
        .chain(built)
        .map(|root| root.join(&within))
        .find(|path| path.is_file())
}
