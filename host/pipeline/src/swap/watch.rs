//! Components that are taken up when they change: a file, a plugin crate, which is built on each save,
//! or the `<stage>.wasm` of a folder or of a prefix in Cloud Storage. So are the lookup tables of stages
//! that are watched; where another's file changes, that is told. And so is the pipeline file, where all stages
//! are watched.
//!
//! What changes is noticed by looking again and again: that works for every kind of place. A change that
//! is refused is not tried again until the next change, unless it was refused only since something else was
//! taken up or taken back meanwhile. A pipeline file that is refused changes with the components that it names:
//! one may not compile yet, or fail its golden cases.

mod place;
mod seen;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::ObjectStore;
use tokio::runtime::Handle;

use place::{LookupPlace, Place, stages};
use seen::{Seen, state_of, state_of_component};

use super::gate::SwapRefused;
use super::reload::Reload;
use super::{Request, Swaps};
use crate::components::all_fetched;
use crate::threads::Threads;
use crate::versions::actor::{self, Actor};
use crate::versions::slot::Slot;
use clickmill_config::{Pipeline, PipelineFile};
use clickmill_core::{Digest, causes, store};
use clickmill_sandbox::build::{self, Freshness, Install};
use clickmill_sandbox::{Change, Engine, FetchError, Golden, LookupFile, NewComponent};

/// What a pipeline file names that was refused: components, each in the state in which it was tried.
type Awaited = Vec<(PathBuf, Option<String>)>;

/// Something whose plugins are watched.
pub(crate) trait Watched: Send + 'static {
    fn pipeline(&self) -> &Pipeline;
    /// Where it was read from, if its stages may be read again.
    fn file(&self) -> Option<&PipelineFile>;
    /// Where components of registries are kept.
    fn cache(&self) -> Option<&Path>;
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

    fn file(&self) -> Option<&PipelineFile> {
        self.0.file.as_ref()
    }

    fn cache(&self) -> Option<&Path> {
        self.0.cache.as_deref()
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
/// all stages are watched, and so is the pipeline file.
pub(crate) fn watch<W: Watched>(watched: W, all: bool, at_start: AtStart, threads: &Threads) {
    let config = &watched.pipeline().swap;
    let prefix = config.watch.as_ref().and_then(|uri| match store::open(uri) {
        Ok((store, prefix)) => Some(Place::Prefix { store, prefix }),
        Err(error) => {
            tracing::error!(error = causes(&error), "cannot watch `swap.watch`");
            None
        }
    });
    let file = watched.file().cloned().filter(|_| all).map(Place::Pipeline);
    let fixed: Vec<Place> = prefix.into_iter().chain(file).collect();
    // Without the pipeline file no stage comes, and none goes.
    if fixed.is_empty() && stages(&watched.slot().current().reading.plugins, all).is_empty() {
        return;
    }
    let interval = config.watch_interval;
    let watcher = Watcher(watched);
    let mut seen = Seen::default();
    if at_start == AtStart::IsTakenUp {
        let mut there = watcher.changed(fixed.iter(), &mut seen, &Awaited::new(), true);
        there.retain(|changed| matches!(changed, Changed::Object { .. }));
        watcher.take_up(there, || true);
    }
    threads.spawn("watch", move |end| {
        let mut changed = |awaited: &Awaited, first: bool| {
            let of_stages = stages(&watcher.0.slot().current().reading.plugins, all);
            let places = fixed.iter().chain(&of_stages);
            watcher.changed(places, &mut seen, awaited, first)
        };
        let mut awaited = Awaited::new();
        // What is there at the start runs already. The pipeline file was read a while ago.
        let mut found = changed(&awaited, true);
        if at_start == AtStart::Runs {
            found.retain(|changed| matches!(changed, Changed::Pipeline(_)));
        }
        loop {
            if !found.is_empty() {
                let of_file = watcher.take_up(found, || !end.comes_within(Duration::ZERO));
                awaited = of_file.unwrap_or(awaited);
            }
            if end.comes_within(interval) {
                return;
            }
            found = changed(&awaited, false);
        }
    });
}

/// Something that has changed.
enum Changed {
    Pipeline(PipelineFile),
    File { stage: String, path: PathBuf },
    Crate { stage: String, folder: PathBuf },
    Lookup(LookupPlace),
    Object { stage: String, store: Arc<dyn ObjectStore>, path: object_store::path::Path },
}

/// A request of nobody but the watch.
fn of_watch() -> Request {
    Request { actor: Actor::host(actor::WATCH), ..Request::default() }
}

/// The components that a pipeline file names, each in its state.
fn named(pipeline: &Pipeline) -> Awaited {
    let components = pipeline.plugins.iter().map(|plugin| plugin.component.clone());
    components.map(|path| (path.clone(), state_of_component(&path))).collect()
}

/// Looks, and has taken up what has changed.
struct Watcher<W>(W);

impl<W: Watched> Watcher<W> {
    /// What has changed since the look before; at the `first`, the pipeline file since it was read.
    fn changed<'a>(
        &self,
        places: impl Iterator<Item = &'a Place>,
        seen: &mut Seen,
        awaited: &Awaited,
        first: bool,
    ) -> Vec<Changed> {
        let mut changed = Vec::new();
        for place in places {
            match place {
                Place::Pipeline(file) => {
                    let text = file.text().map(|text| Digest::of(text.as_bytes()));
                    // Touched, it is tried again: what it names may be there by now.
                    let state = format!("{:?} {text:?}", state_of(&file.path));
                    let has_settled = seen.has_settled("pipeline file", state);
                    let is_another = |(path, tried): &(PathBuf, Option<String>)| {
                        state_of_component(path) != *tried
                    };
                    if has_settled || first || awaited.iter().any(is_another) {
                        changed.push(Changed::Pipeline(file.clone()));
                    }
                }
                Place::File { stage, path } => {
                    if let Some(state) = state_of(path)
                        && seen.is_another(&format!("{stage} {}", path.display()), state)
                    {
                        changed.push(Changed::File { stage: stage.clone(), path: path.clone() });
                    }
                }
                Place::Crate { stage, folder } => {
                    let state = format!("{:?}", build::last_change(folder));
                    if seen.is_another(&format!("{stage} {}", folder.display()), state) {
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

    /// Swaps all of it at once, against what runs by then. Where the pipeline file is among it, returns what that
    /// waits for.
    fn take_up(&self, changed: Vec<Changed>, goes_on: impl Fn() -> bool) -> Option<Awaited> {
        let mut awaited = None;
        let mut request = of_watch();
        for changed in changed {
            if let Changed::Pipeline(file) = &changed {
                awaited = Some(self.take_file(file, &goes_on));
                continue;
            }
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
        // A stage may have gone with the pipeline file.
        let running = self.0.slot().current();
        request.changes.retain(|change| running.library.stage_names().any(|s| s == change.stage));
        request.golden.retain(|(stage, _)| running.library.stage_names().any(|s| s == stage));
        if !request.changes.is_empty() {
            // What is refused is told where it is.
            let _ = self.swap_at_last(&request, &goes_on);
        }
        awaited
    }

    /// Has the stages of the pipeline file taken up, where they are others. Returns what it waits for then.
    fn take_file(&self, file: &PipelineFile, goes_on: &impl Fn() -> bool) -> Awaited {
        // One that can't be read is told there where it is refused.
        let pipeline = file.read().ok().map(|(pipeline, _)| pipeline);
        if pipeline.as_ref().is_some_and(|pipeline| !self.has_other_stages(pipeline)) {
            return Awaited::new();
        }
        // What is saved while it is built may be in it or not.
        let named = pipeline.as_ref().map(named).unwrap_or_default();
        let reload = Some(Reload::default());
        match self.swap_at_last(&Request { reload, ..of_watch() }, goes_on) {
            // No component mends that.
            Ok(()) | Err(SwapRefused::Restart { .. }) => Awaited::new(),
            Err(_) => named,
        }
    }

    /// Swaps against what runs by then.
    fn swap_at_last(
        &self,
        request: &Request,
        goes_on: &impl Fn() -> bool,
    ) -> Result<(), SwapRefused> {
        loop {
            match self.0.take(request) {
                Err(SwapRefused::Overtaken { .. }) if goes_on() => {}
                taken => return taken,
            }
        }
    }

    /// Whether the pipeline file says anything else of its stages, or of what is not taken up.
    fn has_other_stages(&self, pipeline: &Pipeline) -> bool {
        let Ok(plugins) = all_fetched(pipeline, self.0.cache()) else { return true };
        let running = self.0.slot().current();
        let is_same = plugins == running.reading.plugins;
        if is_same {
            self.0.slot().reads_as(&running.reading);
        }
        !is_same || !self.0.pipeline().differs(pipeline).is_empty()
    }

    /// What a stage is to have, with its golden cases; `None` where it is to have what it has.
    fn read(&self, changed: Changed) -> Result<Option<(Change, Vec<Golden>)>, String> {
        let max_bytes = self.0.engine().limits().max_bytes;
        let of_file =
            |path: &Path| NewComponent::read(path, max_bytes).map_err(|error| causes(&error));
        let (stage, component, golden) = match changed {
            Changed::Pipeline(_) => return Ok(None),
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
