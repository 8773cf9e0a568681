//! Components that are taken up when they change: a file, a plugin crate, which is built on each save,
//! or the `<stage>.wasm` of a folder or of a prefix in Cloud Storage. So are the lookup tables of stages
//! that are watched; where another's file changes, that is told.
//!
//! What changes is noticed by looking again and again: that works for every kind of place. A change that
//! is refused is not tried again until the next change, unless it was refused only since something else was
//! taken up or taken back meanwhile.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use object_store::ObjectStore;
use tokio::runtime::Handle;

use super::gate::SwapRefused;
use super::{Request, Swaps};
use crate::threads::Threads;
use crate::versions::actor::{self, Actor};
use crate::versions::slot::Slot;
use clickmill_config::Pipeline;
use clickmill_core::{Digest, causes, store};
use clickmill_sandbox::build::{self, Freshness, Install};
use clickmill_sandbox::{Change, Engine, FetchError, Golden, LookupFile, NewComponent};

/// What is looked at.
enum Place {
    /// A stage's component file.
    File { stage: String, path: PathBuf },
    /// A stage's crate.
    Crate { stage: String, folder: PathBuf },
    /// A lookup table's file.
    Lookup(LookupPlace),
    /// Where each stage may have its component.
    Prefix { store: Arc<dyn ObjectStore>, prefix: object_store::path::Path },
}

/// A lookup table's file.
#[derive(Clone)]
struct LookupPlace {
    stage: String,
    table: String,
    path: PathBuf,
    /// What changes is taken up, and not only told.
    watched: bool,
}

/// Something whose plugins are watched.
pub(crate) trait Watched: Send + 'static {
    fn pipeline(&self) -> &Pipeline;
    fn runtime(&self) -> &Handle;
    fn engine(&self) -> &Engine;
    fn slot(&self) -> &Slot;
    /// Checks what has changed and takes it up. What is refused is told.
    fn take(&self, request: &Request) -> Result<(), SwapRefused>;
}

impl Watched for Swaps {
    fn pipeline(&self) -> &Pipeline {
        &self.0.pipeline
    }

    fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    fn engine(&self) -> &Engine {
        &self.0.engine
    }

    fn slot(&self) -> &Slot {
        &self.0.slot
    }

    fn take(&self, request: &Request) -> Result<(), SwapRefused> {
        self.swap(request).map(|_| ())
    }
}

/// What becomes of what lies in `swap.watch` at the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AtStart {
    /// It runs already, as far as it was taken up before.
    Runs,
    /// It is taken up before anything runs.
    IsTakenUp,
}

/// Looks at what is to be watched, on a thread of its own, as long as the pipeline is there. With `all`
/// all stages are watched.
pub(crate) fn watch<W: Watched>(watched: W, all: bool, at_start: AtStart, threads: &Threads) {
    let (pipeline, config) = (watched.pipeline(), &watched.pipeline().swap);
    let mut places: Vec<Place> = pipeline
        .plugins
        .iter()
        .filter(|plugin| all || plugin.watch)
        .map(|plugin| {
            let (stage, path) = (plugin.name.to_string(), plugin.component.clone());
            if path.is_dir() {
                Place::Crate { stage, folder: path }
            } else {
                Place::File { stage, path }
            }
        })
        .collect();
    for plugin in &pipeline.plugins {
        places.extend(plugin.lookups.iter().map(|(table, path)| {
            Place::Lookup(LookupPlace {
                stage: plugin.name.to_string(),
                table: table.clone(),
                path: path.clone(),
                watched: all || plugin.watch,
            })
        }));
    }
    if let Some(uri) = &config.watch {
        match store::open(uri) {
            Ok((store, prefix)) => places.push(Place::Prefix { store, prefix }),
            Err(error) => tracing::error!(error = causes(&error), "cannot watch `swap.watch`"),
        }
    }
    if places.is_empty() {
        return;
    }
    let interval = config.watch_interval;
    let watcher = Watcher(watched);
    let mut seen = Seen::default();
    if at_start == AtStart::IsTakenUp {
        let mut there = watcher.changed(&places, &mut seen);
        // Files are what the pipeline file names, and were just read.
        there.retain(|changed| matches!(changed, Changed::Object { .. }));
        watcher.take_up(there, || true);
    }
    threads.spawn("watch", move |end| {
        if at_start == AtStart::Runs {
            watcher.changed(&places, &mut seen);
        }
        while !end.comes_within(interval) {
            let changed = watcher.changed(&places, &mut seen);
            if !changed.is_empty() {
                watcher.take_up(changed, || !end.comes_within(Duration::ZERO));
            }
        }
    });
}

/// The state in which each thing was last seen, by its name.
#[derive(Default)]
struct Seen(HashMap<String, String>);

impl Seen {
    /// Whether it is in another state than when it was last looked at, and has been so for two looks: a
    /// file that is being written may be a whole one with too few lines at any moment.
    fn has_settled(&mut self, name: &str, state: String) -> bool {
        let (before, now) = (format!("{name} before"), format!("{name} now"));
        let is_known = self.0.get(&before) == Some(&state);
        let is_first = !self.0.contains_key(&before);
        let has_settled = !is_known && !is_first && self.0.get(&now) == Some(&state);
        if is_first || has_settled {
            self.0.insert(before, state.clone());
        }
        self.0.insert(now, state);
        has_settled
    }

    /// Whether it is in another state than when it was last looked at.
    fn is_new(&mut self, name: &str, state: String) -> bool {
        match self.0.get_mut(name) {
            Some(known) if *known == state => false,
            Some(known) => {
                *known = state;
                true
            }
            None => {
                self.0.insert(name.to_owned(), state);
                true
            }
        }
    }
}

/// Something that has changed.
enum Changed {
    File { stage: String, path: PathBuf },
    Crate { stage: String, folder: PathBuf },
    Lookup(LookupPlace),
    Object { stage: String, store: Arc<dyn ObjectStore>, path: object_store::path::Path },
}

/// Looks, and has taken up what has changed.
struct Watcher<W>(W);

impl<W: Watched> Watcher<W> {
    fn changed(&self, places: &[Place], seen: &mut Seen) -> Vec<Changed> {
        let mut changed = Vec::new();
        for place in places {
            match place {
                Place::File { stage, path } => {
                    if let Some(state) = state_of(path)
                        && seen.is_new(&path.to_string_lossy(), state)
                    {
                        changed.push(Changed::File { stage: stage.clone(), path: path.clone() });
                    }
                }
                Place::Crate { stage, folder } => {
                    let state = format!("{:?}", build::last_change(folder));
                    if seen.is_new(&folder.to_string_lossy(), state) {
                        let folder = folder.clone();
                        changed.push(Changed::Crate { stage: stage.clone(), folder });
                    }
                }
                Place::Lookup(place) => {
                    let name = format!("lookup {}.{}", place.stage, place.table);
                    if let Some(state) = state_of(&place.path)
                        && seen.has_settled(&name, state)
                    {
                        changed.push(Changed::Lookup(place.clone()));
                    }
                }
                Place::Prefix { store, prefix } => {
                    let listed = store.list(Some(prefix)).try_collect::<Vec<_>>();
                    let objects = match self.0.runtime().block_on(listed) {
                        Ok(objects) => objects,
                        Err(error) => {
                            tracing::warn!(error = causes(&error), "cannot look at `swap.watch`");
                            continue;
                        }
                    };
                    for object in objects {
                        let name = object.location.filename().unwrap_or_default();
                        let Some(stage) = name.strip_suffix(".wasm") else { continue };
                        let known = self.0.slot().current();
                        let state = format!(
                            "{:?} {:?} {} {}",
                            object.version, object.e_tag, object.last_modified, object.size
                        );
                        if known.library.stage_names().any(|known| known == stage)
                            && seen.is_new(object.location.as_ref(), state)
                        {
                            let (stage, store) = (stage.to_owned(), store.clone());
                            changed.push(Changed::Object { stage, store, path: object.location });
                        }
                    }
                }
            }
        }
        changed
    }

    /// Swaps all of it at once, against what runs by then.
    fn take_up(&self, changed: Vec<Changed>, goes_on: impl Fn() -> bool) {
        let mut request = Request { actor: Actor::host(actor::WATCH), ..Request::default() };
        for changed in changed {
            let (change, golden) = match self.read(changed) {
                Ok(Some(read)) => read,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(error, "a change is not taken up, what ran before still runs");
                    continue;
                }
            };
            let digest = change.component.as_ref().map(|component| Digest::of(&component.bytes));
            if digest.is_none() {
                request.changes.push(change);
                continue;
            }
            let running = self.0.slot().current();
            let mut made =
                running.record.set.stages.iter().filter(|made| made.stage == *change.stage);
            // What runs already is left, and so are its cases.
            if made.any(|made| Some(&made.component) == digest.as_ref()) {
                continue;
            }
            request.golden.extend(golden.into_iter().map(|golden| (change.stage.clone(), golden)));
            request.changes.push(change);
        }
        if request.changes.is_empty() {
            return;
        }
        // What is refused was told where it was.
        while let Err(SwapRefused::Overtaken { .. }) = self.0.take(&request)
            && goes_on()
        {}
    }

    /// What a stage is to have, with its golden cases; `None` where it is to have what it has.
    fn read(&self, changed: Changed) -> Result<Option<(Change, Vec<Golden>)>, String> {
        let max_bytes = self.0.engine().limits().max_bytes;
        let of_file =
            |path: &Path| NewComponent::read(path, max_bytes).map_err(|error| causes(&error));
        let (stage, component, golden) = match changed {
            Changed::File { stage, path } => {
                let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
                (stage, of_file(&path)?, Golden::beside(&folder))
            }
            Changed::Crate { stage, folder } => {
                let built = build::build(&folder, Freshness::Sources, Install::Never);
                let path = built.map_err(|error| causes(&error))?;
                (stage, of_file(&path)?, Golden::beside(&folder))
            }
            Changed::Lookup(place) => {
                let change = self.read_lookup(place)?;
                return Ok(change.map(|change| (change, Vec::new())));
            }
            Changed::Object { stage, store, path } => {
                let failed =
                    |error: FetchError| format!("cannot read `{path}`: {}", causes(&error));
                let named = PathBuf::from(path.to_string());
                let got = NewComponent::get(&*store, &path, named, max_bytes);
                let got = self.0.runtime().block_on(got);
                (stage, got.map_err(failed)?, Ok(Vec::new()))
            }
        };
        let golden = golden.map_err(|error| causes(&error))?;
        Ok(Some((Change { stage, component: Some(component), ..Change::default() }, golden)))
    }

    fn read_lookup(&self, place: LookupPlace) -> Result<Option<Change>, String> {
        let LookupPlace { stage, table, path, watched } = place;
        let file = LookupFile::read(&table, &path).map_err(|error| causes(&error))?;
        let digest = file.digest().clone();
        let running = self.0.slot().current();
        let mut stages = running.record.set.stages.iter().filter(|made| made.stage == *stage);
        let mut lookups = stages.by_ref().flat_map(|made| &made.lookups);
        if lookups.any(|made| made.table == table && made.digest == digest) {
            return Ok(None);
        }
        if !watched {
            let path = path.display();
            tracing::warn!(
                stage,
                table,
                %path,
                "a lookup table has changed and what was read before is still asked: \
                 `clickmill plugin swap --lookup STAGE.TABLE=FILE` takes it up, and so does `watch = true`"
            );
            return Ok(None);
        }
        Ok(Some(Change { stage, lookups: vec![file], ..Change::default() }))
    }
}

fn state_of(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    let modified: Option<SystemTime> = meta.modified().ok();
    Some(format!("{modified:?} {}", meta.len()))
}
