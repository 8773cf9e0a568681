//! A plugin crate on disk: its name, where it is built, and whether its component is of the sources that are
//! there.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::encode::named;
use super::error::BuildError;
use super::made_of;
use super::toolchain::TARGET;

/// A plugin crate.
pub(super) struct Crate {
    pub folder: PathBuf,
    pub name: String,
    /// Where plugins of this crate's workspace are built: apart from the host, so that neither waits for
    /// the other's lock nor rebuilds the other's dependencies.
    pub target: PathBuf,
}

/// Below where plugins are built: what cargo has made of each, by its name.
const CRATES: &str = "crates";

impl Crate {
    pub(super) fn read(folder: &Path) -> Result<Self, BuildError> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        Self::built_below(folder, &target.unwrap_or_else(|| workspace(folder).join("target")))
    }

    /// Reads a crate that is built below a target folder.
    pub(super) fn built_below(folder: &Path, target: &Path) -> Result<Self, BuildError> {
        let not_a_crate = |what: String| BuildError::NotACrate { path: folder.to_owned(), what };
        // Reading the two files is what `cargo metadata` does, without its half second.
        let manifest_path = folder.join("Cargo.toml");
        let text = fs::read_to_string(&manifest_path).map_err(|error| {
            not_a_crate(match error.kind() {
                ErrorKind::NotFound => "it has no `Cargo.toml`, and no component".to_owned(),
                _ => error.to_string(),
            })
        })?;
        let manifest: toml::Table =
            toml::from_str(&text).map_err(|error| not_a_crate(error.message().to_owned()))?;
        let name = manifest.get("package").and_then(|package| package.get("name"));
        let name = name
            .and_then(toml::Value::as_str)
            .ok_or_else(|| not_a_crate("it has no `package.name`".to_owned()))?;
        let target = std::path::absolute(target).unwrap_or(target.to_owned()).join("plugins");
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), target })
    }

    /// Cargo's target folder for this crate: it lets one of its calls at a time into each.
    pub(super) fn built_in(&self) -> PathBuf {
        self.target.join(CRATES).join(&self.name)
    }

    /// A folder in which cargo has built this crate, or else another one of its workspace.
    pub(super) fn built_before(&self) -> Option<PathBuf> {
        let own = Some(self.built_in()).filter(|folder| folder.is_dir());
        let others = || fs::read_dir(self.target.join(CRATES)).into_iter().flatten().flatten();
        own.or_else(|| others().map(|entry| entry.path()).find(|path| is_of_cargo(path)))
    }

    /// Begins with what was compiled for another crate: dependencies are mostly the same. What is not, cargo compiles
    /// anew.
    pub(super) fn begin_with(&self, other: &Path) -> io::Result<()> {
        let own = self.built_in();
        if own.is_dir() || own == other {
            return Ok(());
        }
        // Nobody compiles there meanwhile.
        let mut locks = Vec::new();
        for folder in [other.join("release"), other.join(TARGET).join("release")] {
            let lock = File::open(folder.join(LOCK))?;
            lock.lock_shared()?;
            locks.push(lock);
        }
        let copy = tempfile::Builder::new().prefix(COPY).tempdir_in(self.target.join(CRATES))?;
        copy_of(other, copy.path())?;
        // Where another process was first, the copy goes with its name.
        fs::rename(copy.path(), own)
    }

    fn artifact(&self, extension: &str) -> PathBuf {
        let stem = self.name.replace('-', "_");
        self.built_in().join(TARGET).join("release").join(format!("{stem}.{extension}"))
    }

    /// Where cargo leaves the module.
    pub(super) fn module(&self) -> PathBuf {
        self.artifact("wasm")
    }

    /// Where the component is.
    pub(super) fn component(&self) -> PathBuf {
        self.target.join("components").join(format!("{}.wasm", self.name))
    }

    /// Whether the component was made of the sources that are there, none of which cargo takes for newer, and the one
    /// with names is there too.
    pub(super) fn is_fresh(&self) -> bool {
        let component = self.component();
        let Some(made) = modified(&component) else { return false };
        if !named(&component).is_file() {
            return false;
        }
        let Some(sources) = self.sources() else { return false };
        self.has_one_of(&sources)
            && sources.iter().all(|path| modified(path).is_some_and(|at| at <= made))
            && self.made_of(&sources).is_some_and(|now| made_of::is_of(&component, &now))
    }

    /// Every file that the last build was made of.
    fn sources(&self) -> Option<Vec<PathBuf>> {
        sources(&self.dep_info(), &self.folder)
    }

    fn made_of(&self, sources: &[PathBuf]) -> Option<String> {
        made_of::made_of(&self.folder, sources)
    }

    /// Keeps of what the component, which has these bytes, was made that was begun then; not where a source was saved
    /// since, which may not be in it. What cargo and build scripts write meanwhile is.
    pub(super) fn keep_sources(
        &self,
        component: &[u8],
        begun: SystemTime,
    ) -> Result<(), BuildError> {
        let is_before = |path: &PathBuf| {
            path.ends_with("Cargo.lock")
                || path.starts_with(&self.target)
                || modified(path).is_some_and(|at| at <= begun)
        };
        let sources = self.sources().filter(|sources| sources.iter().all(is_before));
        let made_of = sources.and_then(|sources| self.made_of(&sources));
        made_of::keep(&self.component(), component, made_of.as_deref())
    }

    /// Has cargo compile all anew where a source was changed and is as old as before, or older: it goes by times, and
    /// would take what it has for that.
    pub(super) fn forget_what_is_older(&self) {
        if !self.has_older() {
            return;
        }
        let folders = [self.built_in(), self.built_in().join(TARGET)];
        let folders = folders.map(|folder| folder.join("release"));
        // Another process may compile there, and fails where what cargo knows goes meanwhile.
        let locks = folders.iter().filter_map(|folder| File::open(folder.join(LOCK)).ok());
        let _locks: Vec<File> = locks.filter(|lock| lock.lock().is_ok()).collect();
        if self.has_older() {
            for folder in folders {
                // By these it knows what it has.
                let _ = fs::remove_dir_all(folder.join(".fingerprint"));
            }
        }
    }

    /// Whether a source is another than the component was made of, and no newer than that.
    fn has_older(&self) -> bool {
        let component = self.component();
        let (Some(made), Some(sources)) = (modified(&component), self.sources()) else {
            return false;
        };
        let Some(kept) = made_of::kept(&component) else { return false };
        let is_older = |path: &PathBuf| modified(path).is_some_and(|at| at <= made);
        let older: Vec<PathBuf> = sources.into_iter().filter(is_older).collect();
        let now = self.made_of(&older).unwrap_or_default();
        now.lines().any(|source| kept.lines().all(|known| known != source))
    }

    /// Whether one of the sources is this folder's: a folder that was copied whole has in its target folder
    /// what was made of the other one's.
    fn has_one_of(&self, sources: &[PathBuf]) -> bool {
        let Ok(folder) = self.folder.canonicalize() else { return false };
        let is_code = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "rs");
        let mut code = sources.iter().filter(is_code).filter_map(|path| path.canonicalize().ok());
        code.any(|path| path.starts_with(&folder))
    }

    /// The list of every source file the module was made of, which cargo leaves beside it.
    fn dep_info(&self) -> PathBuf {
        self.artifact("d")
    }
}

/// A file that cargo locks while it builds.
const LOCK: &str = ".cargo-lock";
/// How copies in the making are named.
const COPY: &str = ".copy";

fn is_of_cargo(folder: &Path) -> bool {
    folder.join(TARGET).join("release").join(LOCK).is_file()
        && !folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(COPY))
}

/// Copies a folder with the times of its files, which tell cargo what is fresh. No links: cargo writes over some files
/// in place.
fn copy_of(folder: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            fs::create_dir(&to)?;
            copy_of(&from, &to)?;
        } else if entry.file_name() != LOCK {
            fs::copy(&from, &to)?;
            let modified = entry.metadata()?.modified()?;
            File::options().append(true).open(&to)?.set_modified(modified)?;
        }
    }
    Ok(())
}

/// The nearest folder from a crate upwards that has a lock file: the root of its workspace. A project that
/// lies within another has a lock file of its own.
fn workspace(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let root = folder.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    root.unwrap_or(&folder).to_owned()
}

/// In which state a crate's sources are: its manifest and those in its `src` and `tests`, and of those of others that
/// its last build was made of when the newest was changed, since a first build tells of them.
pub(super) fn state(folder: &Path) -> String {
    let mut own = vec![folder.join("Cargo.toml")];
    for below in ["src", "tests"] {
        add_files(&folder.join(below), &mut own);
    }
    // One that is malformed has changed all the same.
    let built = Crate::read(folder).ok().and_then(|krate| krate.sources());
    let newest = built.iter().flatten().filter_map(|path| modified(path)).max();
    format!("{}{newest:?}", made_of::seen(own))
}

fn add_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            add_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// When a file was changed.
fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Every file that the last build was made of.
fn sources(dep_info: &Path, folder: &Path) -> Option<Vec<PathBuf>> {
    let text = fs::read_to_string(dep_info).ok()?;
    // `artifact: source source …`, with spaces in names escaped.
    let sources = text.split_once(": ").map_or("", |(_, sources)| sources).replace("\\ ", "\0");
    let sources = sources.split_whitespace().map(|source| source.replace('\0', " ").into());
    let manifests = [folder.join("Cargo.toml"), workspace(folder).join("Cargo.lock")];
    Some(sources.chain(manifests).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_lock_file_is_the_workspaces() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("vendor/plugins");
        let krate = inner.join("shout");
        fs::create_dir_all(&krate).unwrap();
        assert_eq!(workspace(&krate), krate);
        fs::write(outer.path().join("Cargo.lock"), "").unwrap();
        assert_eq!(workspace(&krate), outer.path());
        fs::write(inner.join("Cargo.lock"), "").unwrap();
        assert_eq!(workspace(&krate), inner);
        fs::write(krate.join("Cargo.lock"), "").unwrap();
        assert_eq!(workspace(&krate), krate);
    }

    /// A crate as cargo leaves it.
    fn compiled(folder: PathBuf, target: PathBuf) -> Crate {
        let krate = Crate { folder, name: "shout".to_owned(), target };
        let source = krate.folder.join("src/lib.rs");
        let dep_info = format!("module: {}\n", source.display());
        let named = named(&krate.component());
        let files = [source, krate.component(), named].map(|file| (file, ""));
        for (file, text) in files.into_iter().chain([(krate.dep_info(), &*dep_info)]) {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        krate.keep_sources(b"", SystemTime::now()).unwrap();
        krate
    }

    /// A folder with all that a crate wants, which was built in it.
    fn whole(folder: PathBuf) -> Crate {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("Cargo.toml"), "[package]\nname = \"shout\"\n").unwrap();
        fs::write(folder.join("Cargo.lock"), "").unwrap();
        compiled(folder.clone(), folder.join("target/plugins"))
    }

    #[test]
    fn the_component_of_a_folder_is_none_of_its_copys() {
        let scratch = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| scratch.path().join(name));
        let crates = [&one, &other].map(|folder| whole(folder.clone()));
        assert!(crates.iter().all(Crate::is_fresh));
        let component = crates[0].component();
        let made = fs::read(&component).unwrap();
        fs::write(&component, "of an earlier commit").unwrap();
        assert!(!crates[0].is_fresh());
        fs::write(&component, made).unwrap();
        fs::copy(crates[0].dep_info(), crates[1].dep_info()).unwrap();
        assert!(!crates[1].is_fresh());
    }

    #[test]
    fn a_component_is_stale_where_the_nearest_lock_file_is_newer() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("plugins");
        let folder = inner.join("shout");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("Cargo.toml"), "[package]\nname = \"shout\"\n").unwrap();
        for lock in [outer.path().join("Cargo.lock"), inner.join("Cargo.lock")] {
            fs::write(lock, "").unwrap();
        }
        let target = inner.join("target/plugins");
        let krate = compiled(folder, target);
        let touch = |path: PathBuf, later: u64| {
            let at = SystemTime::now() + std::time::Duration::from_secs(later);
            fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
        };
        touch(krate.component(), 10);
        assert!(krate.is_fresh());
        touch(outer.path().join("Cargo.lock"), 20);
        assert!(krate.is_fresh(), "the lock file of another project");
        touch(inner.join("Cargo.lock"), 20);
        assert!(!krate.is_fresh());
    }

    #[test]
    fn a_component_is_stale_where_a_source_that_is_put_back_is_older() {
        let scratch = tempfile::tempdir().unwrap();
        let krate = whole(scratch.path().join("shout"));
        let fingerprints = krate.built_in().join(TARGET).join("release/.fingerprint");
        fs::create_dir(&fingerprints).unwrap();
        krate.forget_what_is_older();
        assert!(krate.is_fresh() && fingerprints.is_dir());
        let source = krate.folder.join("src/lib.rs");
        let write = |text: &str, at: SystemTime| {
            fs::write(&source, text).unwrap();
            fs::File::options().append(true).open(&source).unwrap().set_modified(at).unwrap();
        };
        let hour = std::time::Duration::from_secs(3600);
        // What is newer cargo sees itself.
        write("// other", SystemTime::now() + hour);
        krate.forget_what_is_older();
        assert!(!krate.is_fresh() && fingerprints.is_dir());
        // As earlier versions keep it, without the component's digest: what it was made of is known, and no more.
        let sources = krate.component().with_extension("sources");
        let kept = fs::read_to_string(&sources).unwrap();
        fs::write(&sources, kept.split_once('\n').unwrap().1).unwrap();
        write("", SystemTime::now() - hour);
        krate.forget_what_is_older();
        assert!(!krate.is_fresh() && fingerprints.is_dir());
        fs::write(&sources, kept).unwrap();
        write("// other", SystemTime::now() - hour);
        assert!(!krate.is_fresh());
        // As cargo does for another process.
        let lock = File::create(fingerprints.with_file_name(LOCK)).unwrap();
        lock.lock().unwrap();
        std::thread::scope(|scope| {
            let forgetting = scope.spawn(|| krate.forget_what_is_older());
            std::thread::sleep(std::time::Duration::from_millis(200));
            assert!(fingerprints.is_dir() && !forgetting.is_finished());
            lock.unlock().unwrap();
        });
        assert!(!fingerprints.exists());
        write("", SystemTime::now() - hour);
        assert!(krate.is_fresh());
    }

    #[test]
    fn a_component_is_fresh_however_its_folder_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let krate = whole(scratch.path().join("shout"));
        let fingerprints = krate.built_in().join(TARGET).join("release/.fingerprint");
        fs::create_dir(&fingerprints).unwrap();
        let folder = scratch.path().join("shout/../shout");
        let other = Crate { folder, name: krate.name.clone(), target: krate.target.clone() };
        other.forget_what_is_older();
        assert!(fingerprints.is_dir());
        let sources = krate.sources().unwrap();
        assert_eq!(other.made_of(&sources), krate.made_of(&sources));
    }

    #[test]
    fn of_what_is_saved_while_it_is_built_nothing_is_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let krate = whole(scratch.path().join("shout"));
        made_of::forget(&krate.component()).unwrap();
        let earlier = SystemTime::now() - std::time::Duration::from_secs(60);
        krate.keep_sources(b"", earlier).unwrap();
        assert!(!krate.is_fresh());
        krate.keep_sources(b"", SystemTime::now()).unwrap();
        assert!(krate.is_fresh());
    }
}
