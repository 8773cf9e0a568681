//! Components that are taken up when they change: a file, a plugin crate, which is built on each save,
//! or the `<stage>.wasm` of a folder or of a prefix in Cloud Storage. So are the lookup tables of stages
//! that are watched; where another's file changes, that is told. And so is the pipeline file, where all stages
//! are watched.
//!
//! What changes is noticed by looking again and again: that works for every kind of place. A change that
//! is refused is not tried again until the next change, unless it was refused only since something else was
//! taken up or taken back meanwhile. What was taken up once is not taken up again until its bytes are others: a
//! volume that is mounted anew, or a file that is copied over itself, brings nothing back that an operator or a
//! rule has taken back. A pipeline file that is refused changes with the components that it names:
//! one may not compile yet, or fail its golden cases.

mod changed;
mod place;
mod seen;
mod taken;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::ready;
use object_store::ObjectMeta;
use tokio::runtime::Handle;

use changed::{Changed, Content};
use place::{LookupPlace, Place, stages};
use seen::{Seen, state_of};
use taken::Taken;

use super::gate::SwapRefused;
use super::reload::Reload;
use super::{Request, Swaps};
use crate::components::all_fetched;
use crate::threads::Threads;
use crate::versions::actor::{self, Actor};
use crate::versions::slot::Slot;
use clickmill_config::{Pipeline, PipelineFile};
use clickmill_core::{Digest, causes, store};
use clickmill_sandbox::build;
use clickmill_sandbox::{Change, Engine, LookupFile};

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

/// How often files are looked at for somebody who writes plugins, at least.
const AUTHOR_WAITS: Duration = Duration::from_millis(250);

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
    // A look at files costs little; one at a bucket costs a request.
    let interval = if all && config.watch.is_none() {
        config.watch_interval.min(AUTHOR_WAITS)
    } else {
        config.watch_interval
    };
    let watcher = Watcher(watched);
    let mut seen = Seen::default();
    let mut taken = Taken::default();
    if at_start == AtStart::IsTakenUp {
        let mut there = watcher.changed(fixed.iter(), &mut seen, &Awaited::new(), true);
        there.retain(|changed| matches!(changed, Changed::Object { .. }));
        watcher.take_up(there, &mut taken, || true);
    }
    threads.spawn("watch", move |end| {
        // Objects that were taken up are noted, and what was refused with them was never taken up.
        let objects = if at_start == AtStart::Runs { &fixed[..] } else { &[] };
        // Before it is looked at: what changes from now on is another.
        watcher.note_start(objects, all, &mut taken);
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
                let goes_on = || !end.comes_within(Duration::ZERO);
                let of_file = watcher.take_up(found, &mut taken, goes_on);
                awaited = of_file.unwrap_or(awaited);
            }
            if end.comes_within(interval) {
                return;
            }
            found = changed(&awaited, false);
        }
    });
}

/// Says that a place has again what was last taken up from it, which something else has replaced since.
fn tell_left(place: &str) {
    tracing::info!(
        place,
        "holds what was taken up before and is left: `clickmill plugin swap` takes it up again"
    );
}

/// Says of a lookup table that it has changed.
fn tell(Change { stage, lookups, .. }: &Change) {
    for LookupFile { table, path, .. } in lookups {
        let path = path.display();
        tracing::warn!(
            stage,
            table,
            %path,
            "a lookup table has changed and what was read before is still asked: \
             `clickmill plugin swap --lookup STAGE.TABLE=FILE` takes it up, and so does `watch = true`"
        );
    }
}

/// A request of nobody but the watch.
fn of_watch() -> Request {
    Request { actor: Actor::host(actor::WATCH), ..Request::default() }
}

/// The components that a pipeline file names, each in its state.
fn named(pipeline: &Pipeline) -> Awaited {
    let components = pipeline.plugins.iter().map(|plugin| plugin.component.clone());
    components.map(|path| (path.clone(), build::state(&path))).collect()
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
            let is_another = match place {
                Place::Pipeline(file) => {
                    let text = file.text().map(|text| Digest::of(text.as_bytes()));
                    // Touched, one that was refused is tried again: what it names may be there by now.
                    let state = format!("{:?} {text:?}", state_of(&file.path));
                    let has_settled = seen.has_settled("pipeline file", state);
                    let is_another =
                        |(path, tried): &(PathBuf, Option<String>)| build::state(path) != *tried;
                    has_settled || first || awaited.iter().any(is_another)
                }
                Place::File { stage, path } => state_of(path).is_some_and(|state| {
                    seen.is_another(&format!("{stage} {}", path.display()), state)
                }),
                Place::Crate { stage, folder } => {
                    let state = build::state(folder).unwrap_or_default();
                    seen.is_another(&format!("{stage} {}", folder.display()), state)
                }
                Place::Lookup(LookupPlace { stage, table, path, .. }) => state_of(path)
                    .is_some_and(|state| {
                        seen.has_settled(&format!("lookup {stage}.{table}"), state)
                    }),
                Place::Prefix { store, prefix } => {
                    let running = self.0.slot().current();
                    let named = |stage: &str| {
                        (stage.to_owned(), prefix.clone().join(format!("{stage}.wasm")))
                    };
                    let named: Vec<_> = running.library.stage_names().map(named).collect();
                    let stage_of = |object: &ObjectMeta| {
                        let mut named = named.iter();
                        named
                            .find(|(_, path)| *path == object.location)
                            .map(|(stage, _)| stage.clone())
                    };
                    // One of each stage: whoever may write there may put any number of others below.
                    let listed = store.list(Some(prefix)).try_filter_map(|object| {
                        ready(Ok(stage_of(&object).map(|stage| (stage, object))))
                    });
                    let listed = listed.try_collect::<Vec<_>>();
                    let objects = match self.0.runtime().block_on(listed) {
                        Ok(objects) => objects,
                        Err(error) => {
                            tracing::warn!(error = causes(&error), "cannot look at `swap.watch`");
                            continue;
                        }
                    };
                    for (stage, object) in objects {
                        let state = format!(
                            "{:?} {:?} {} {}",
                            object.version, object.e_tag, object.last_modified, object.size
                        );
                        if seen.is_new(object.location.as_ref(), state) {
                            let store = store.clone();
                            changed.push(Changed::Object { stage, store, path: object.location });
                        }
                    }
                    false
                }
            };
            if is_another {
                changed.extend(Changed::of(place));
            }
        }
        changed
    }

    /// Swaps all of it at once, against what runs by then. Where the pipeline file is among it, returns what that
    /// waits for.
    fn take_up(
        &self,
        changed: Vec<Changed>,
        taken: &mut Taken,
        goes_on: impl Fn() -> bool,
    ) -> Option<Awaited> {
        let mut awaited = None;
        let mut request = of_watch();
        let mut asked = Vec::new();
        for changed in changed {
            let place = changed.place();
            if let Changed::Pipeline(file) = &changed {
                awaited = Some(self.take_file(file, place, taken, &goes_on));
                continue;
            }
            let only_told = matches!(&changed, Changed::Lookup(place) if !place.watched);
            let Content { change, golden, digest } =
                match changed.read(self.0.engine(), self.0.runtime()) {
                    Ok(Some(content)) => content,
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::warn!(
                            place,
                            error,
                            "a change is not taken up, what ran before still runs"
                        );
                        continue;
                    }
                };
            // What runs already is left, and so are its cases.
            if self.runs(&change, &digest) {
                taken.note(place, digest);
            } else if only_told {
                tell(&change);
            } else if taken.is(&place, &digest) {
                tell_left(&place);
            } else {
                asked.push((place, digest));
                request
                    .golden
                    .extend(golden.into_iter().map(|golden| (change.stage.clone(), golden)));
                request.changes.push(change);
            }
        }
        // A stage may have gone with the pipeline file.
        let running = self.0.slot().current();
        request.changes.retain(|change| running.library.stage_names().any(|s| s == change.stage));
        request.golden.retain(|(stage, _)| running.library.stage_names().any(|s| s == stage));
        // What is refused is told where it is.
        if !request.changes.is_empty() && self.swap_at_last(&request, &goes_on).is_ok() {
            asked.into_iter().for_each(|(place, digest)| taken.note(place, digest));
        }
        awaited
    }

    /// Whether the stage has it already.
    fn runs(&self, change: &Change, digest: &Digest) -> bool {
        let running = self.0.slot().current();
        let mut stages =
            running.record.set.stages.iter().filter(|made| made.stage == *change.stage);
        match change.lookups.first() {
            None => stages.any(|made| made.component == *digest),
            Some(file) => stages
                .flat_map(|made| &made.lookups)
                .any(|made| made.table == file.table && made.digest == *digest),
        }
    }

    /// Notes what there is. What cannot be read, or has to be built first, is left; the pipeline file is noted
    /// with what it says.
    fn note_start(&self, fixed: &[Place], all: bool, taken: &mut Taken) {
        let of_stages = stages(&self.0.slot().current().reading.plugins, all);
        let is_crate = |place: &&Place| matches!(place, Place::Crate { .. });
        let places = fixed.iter().chain(of_stages.iter().filter(|place| !is_crate(place)));
        let mut nothing_seen = Seen::default();
        let files = places.clone().filter_map(Changed::of);
        let objects = self.changed(places, &mut nothing_seen, &Awaited::new(), true);
        let objects = objects.into_iter().filter(|c| matches!(c, Changed::Object { .. }));
        for changed in files.chain(objects) {
            let place = changed.place();
            if let Ok(Some(content)) = changed.read(self.0.engine(), self.0.runtime()) {
                taken.note(place, content.digest);
            }
        }
    }

    /// Has the stages of the pipeline file taken up, where they are others. Returns what it waits for then.
    fn take_file(
        &self,
        file: &PipelineFile,
        place: String,
        taken: &mut Taken,
        goes_on: &impl Fn() -> bool,
    ) -> Awaited {
        // One that can't be read is told there where it is refused.
        let read = file.read().ok();
        if let Some((pipeline, text)) = &read {
            if !self.has_other_stages(pipeline) {
                taken.note(place, text.clone());
                return Awaited::new();
            }
            if taken.is(&place, text) {
                tell_left(&place);
                return Awaited::new();
            }
        }
        // What is saved while it is built may be in it or not.
        let named = read.as_ref().map(|(pipeline, _)| named(pipeline)).unwrap_or_default();
        let reload = Some(Reload::default());
        match self.swap_at_last(&Request { reload, ..of_watch() }, goes_on) {
            Ok(()) => {
                read.into_iter().for_each(|(_, text)| taken.note(place.clone(), text));
                Awaited::new()
            }
            // No component mends that.
            Err(SwapRefused::Restart { .. }) => Awaited::new(),
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
}
