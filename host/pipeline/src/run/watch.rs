//! A source that is watched: what is there is loaded, and then what comes.
//!
//! A file is left until it rests: it is listed twice as the same, and was not written for a while. An object
//! that can't be loaded is set aside, and tried again after waits that grow; written anew, it is another
//! object, and is loaded at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use super::error::RunError;
use super::load_failures;
use super::objects::{Failed, Loader, TableRetries};
use super::places::Places;
use super::stop::{Ending, Stop};
use crate::context::Context;
use crate::observe::status::Status;
use crate::observe::summary::{FailedObject, Summary};
use clickmill_config::Watch;
use clickmill_core::causes;
use clickmill_source as source;
use clickmill_source::{Listing, NotSeen, Object, SourceError};

/// So far the clock that gives files their times may be from ours.
const SKEW: Duration = Duration::from_secs(3600);
/// The longest wait before an object that was set aside is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How soon a file is looked at for the second time.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Loads what is there, and then what comes, until told to stop.
pub(super) fn watch(
    context: &Context,
    watch: Watch,
    ending: Ending,
    status: &Status,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let mut loader = Loader::new(context, status, stop, TableRetries::UntilStopped);
    let mut known = Known { watch, ..Known::default() };
    let mut places = Places::remembered(context);
    let mut last_arrival = Instant::now();
    while !stop.after_object() {
        let after = known.last_name();
        let listing = stop.or(source::list_after(&context.pipeline.source, after.as_deref()));
        let listed = context.runtime.block_on(listing);
        let Some(listed) = listed else { break };
        let listing = match listed {
            Ok(listing) => Some(listing),
            // There will be some.
            Err(SourceError::Nothing { .. }) => Some(Listing::default()),
            Err(error @ (SourceError::Store { .. } | SourceError::Folder { .. })) => {
                tracing::warn!(error = causes(&error), "cannot list the source, trying again");
                None
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(listing) = listing {
            if after.is_none() {
                known.begin_anew(&listing);
            }
            known.tell_passed_over(&listing);
            known.tell_not_seen(context, listing.not_seen);
            places.look(known.not_seen.keys(), stop);
            let ready = known.ready(listing.objects);
            if !ready.is_empty() {
                let names: Vec<String> = ready.iter().map(Object::name).collect();
                let done = loader.load(ready, |failed| known.tell(failed))?;
                known.finish(done.over);
                done.failed.into_iter().for_each(|failed| known.set_aside(failed));
                if ending.when_idle.is_some() {
                    known.meet_again(&names);
                }
                // Those that hold nothing are known by now.
                loader.summary.passed_over.clear();
                last_arrival = Instant::now();
            }
            status.set_aside((known.aside.len() + known.not_seen.len()) as u64);
        }
        let is_idle = known.resting.is_empty();
        if is_idle && ending.when_idle.is_some_and(|idle| last_arrival.elapsed() >= idle) {
            break;
        }
        let wait = ending.when_idle.map_or(watch.interval, |idle| watch.interval.min(idle));
        let wait = if is_idle { wait } else { wait.min(SECOND_LOOK) };
        stop.pause(&context.runtime, wait);
    }
    let aside = known.aside.into_values().map(|aside| aside.object);
    loader.summary.failed = aside.chain(known.not_seen.into_values()).collect();
    Ok(loader.summary)
}

/// What is known of a source's objects, by name with generation. Once all are listed again, nothing is kept of
/// those that are not among them.
#[derive(Default)]
struct Known {
    watch: Watch,
    /// Those with which nothing is to be done any more.
    over: HashSet<String>,
    aside: HashMap<String, SetAside>,
    /// Files that may still grow, since when they are listed as they are.
    resting: HashMap<String, Instant>,
    /// URIs of what was passed over, which was said.
    passed_over: HashSet<String>,
    /// What can't be looked at, by URI.
    not_seen: BTreeMap<String, FailedObject>,
    /// The last name that was listed, as a URI.
    last: Option<String>,
    /// When all objects were listed last.
    all_listed: Option<Instant>,
}

/// An object that could not be loaded.
struct SetAside {
    object: FailedObject,
    wait: Duration,
    due: Instant,
}

impl Known {
    /// After which name is listed next. `None` where it is time for all of them.
    fn last_name(&self) -> Option<String> {
        let is_fresh = self.all_listed?.elapsed() < self.watch.all?;
        self.last.clone().filter(|_| is_fresh)
    }

    /// All objects are listed: what is not among them is forgotten.
    fn begin_anew(&mut self, listing: &Listing) {
        (self.last, self.all_listed) = (None, Some(Instant::now()));
        let names: HashSet<String> = listing.objects.iter().map(Object::name).collect();
        self.over.retain(|name| names.contains(name));
        self.aside.retain(|name, _| names.contains(name));
        self.resting.retain(|name, _| names.contains(name));
        let passed_over: HashSet<&str> =
            listing.passed_over.iter().map(|passed_over| passed_over.uri.as_str()).collect();
        self.passed_over.retain(|uri| passed_over.contains(uri.as_str()));
    }

    /// Those that are to be loaded now.
    fn ready(&mut self, listed: Vec<Object>) -> Vec<Object> {
        let last = listed.iter().map(|object| object.uri.as_str()).max();
        self.last = self.last.take().max(last.map(str::to_owned));
        let now = Instant::now();
        listed.into_iter().filter(|object| self.is_ready(object, now)).collect()
    }

    fn is_ready(&mut self, object: &Object, now: Instant) -> bool {
        let name = object.name();
        if self.over.contains(&name) {
            return false;
        }
        if let Some(aside) = self.aside.get(&name) {
            return aside.due <= now;
        }
        let Some(modified) = object.may_grow() else { return true };
        let Some(since) = self.resting.get(&name) else {
            self.resting.insert(name, now);
            return false;
        };
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        let is_ready = rests(now - *since, age, self.watch.rest);
        if is_ready {
            self.resting.remove(&name);
        }
        is_ready
    }

    /// Says why an object can't be loaded, unless it was said.
    fn tell(&self, failed: &Failed) {
        let (object, error) = (&failed.object.object, failed.object.causes.join(": "));
        match self.aside.get(&failed.name) {
            Some(aside) if aside.object.causes == failed.object.causes => {
                tracing::debug!(object, error, "an object can still not be loaded");
            }
            _ => tracing::warn!(
                object,
                error,
                "an object can't be loaded: it is set aside and tried again, the others go on"
            ),
        }
    }

    fn finish(&mut self, over: Vec<String>) {
        over.iter().for_each(|name| drop(self.aside.remove(name)));
        self.over.extend(over);
    }

    /// Has all objects be listed next where another run is at some of these: they may be nobody's by then, and
    /// a run that ends when there is nothing to do has them to do.
    fn meet_again(&mut self, names: &[String]) {
        let is_open = |name: &String| !self.over.contains(name) && !self.aside.contains_key(name);
        if names.iter().any(is_open) {
            self.all_listed = None;
        }
    }

    fn set_aside(&mut self, failed: Failed) {
        let before = self.aside.get(&failed.name).map(|aside| aside.wait * 2);
        let wait = before.unwrap_or(self.watch.interval).min(LONGEST_WAIT);
        let aside = SetAside { object: failed.object, wait, due: Instant::now() + wait };
        self.aside.insert(failed.name, aside);
    }

    fn tell_not_seen(&mut self, context: &Context, not_seen: Vec<NotSeen>) {
        let before = std::mem::take(&mut self.not_seen);
        for NotSeen { uri, error } in not_seen {
            let failed = FailedObject::new(&uri, &error, error.fault());
            if !before.contains_key(&uri) {
                tracing::warn!(error = causes(&error), "what can't be looked at is not loaded");
                load_failures::enter(context, &uri, &uri, &failed);
            }
            self.not_seen.insert(uri, failed);
        }
    }

    fn tell_passed_over(&mut self, listing: &Listing) {
        for passed_over in &listing.passed_over {
            if self.passed_over.insert(passed_over.uri.clone()) {
                let (object, why) = (&passed_over.uri, passed_over.why);
                tracing::info!(object, why, "nothing to load");
            }
        }
    }
}

/// Whether a file is whole that was seen as it is for so long, and is so old by its own time. That is by the clock
/// of whoever has the disk, so it tells of files only that are far older than clocks differ.
fn rests(seen: Duration, age: Duration, rest: Duration) -> bool {
    seen >= rest || age >= rest + SKEW
}

#[cfg(test)]
mod tests {
    use super::*;
    use clickmill_core::Fault;
    use clickmill_source::PassedOver;

    #[test]
    fn an_object_is_tried_again_after_waits_that_double_up_to_an_hour() {
        let interval = Duration::from_secs(10);
        let mut known = Known { watch: Watch { interval, ..Watch::default() }, ..Known::default() };
        let mut wait_after_failure = || {
            let error = std::io::Error::other("it is damaged");
            let object = FailedObject::new("in/a.csv", &error, Fault::Input);
            known.set_aside(Failed { name: "in/a.csv@1".to_owned(), object });
            let aside = &known.aside["in/a.csv@1"];
            assert!(aside.due <= Instant::now() + aside.wait);
            aside.wait.as_secs()
        };
        let waits: Vec<u64> = (0..12).map(|_| wait_after_failure()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
        known.finish(vec!["in/a.csv@1".to_owned()]);
        assert!(known.aside.is_empty() && known.over.contains("in/a.csv@1"));
    }

    #[test]
    fn a_file_rests_by_one_clock_unless_it_is_old_by_any() {
        let (rest, seconds) = (Duration::from_secs(10), Duration::from_secs);
        for (seen, age, wanted) in [
            (0, 5, false),
            (1, 15, false),
            (1, 3599, false),
            (9, 3609, false),
            (10, 0, true),
            (1, 3610, true),
        ] {
            assert_eq!(rests(seconds(seen), seconds(age), rest), wanted, "{seen}, {age}");
        }
    }

    #[test]
    fn names_are_listed_from_the_last_one_on_until_it_is_time_for_all() {
        let watch = |all| Watch { all, ..Watch::default() };
        let listing = || {
            let passed_over = vec![PassedOver { uri: "gs://b/x/".to_owned(), why: "is empty" }];
            Listing { objects: vec![Object::stdin()], passed_over, not_seen: Vec::new() }
        };
        let list = |known: &mut Known| {
            known.begin_anew(&listing());
            known.tell_passed_over(&listing());
            known.ready(listing().objects);
        };
        let hour = Some(Duration::from_secs(3600));
        for (all, last) in [(None, None), (hour, Some("stdin")), (Some(Duration::ZERO), None)] {
            let mut known = Known { watch: watch(all), ..Known::default() };
            assert_eq!(known.last_name(), None, "all, at first");
            list(&mut known);
            assert_eq!(known.last_name().as_deref(), last);
        }
        let mut known = Known { watch: watch(hour), ..Known::default() };
        known.begin_anew(&Listing::default());
        assert_eq!(known.last_name(), None, "there was nothing");
        list(&mut known);
        // A listing of what comes after it has nothing of what was before.
        known.finish(vec!["gs://b/a.csv@1".to_owned()]);
        known.tell_passed_over(&Listing::default());
        assert!(known.ready(Vec::new()).is_empty());
        assert_eq!(known.last_name().as_deref(), Some("stdin"));
        assert!(known.over.contains("gs://b/a.csv@1") && known.passed_over.contains("gs://b/x/"));
        let names = ["gs://b/a.csv@1", "gs://b/b.csv@1"].map(str::to_owned);
        known.meet_again(&names[..1]);
        assert!(known.last_name().is_some());
        known.meet_again(&names);
        assert_eq!(known.last_name(), None, "another run is at one of them");
        known.begin_anew(&Listing::default());
        assert!(known.over.is_empty() && known.passed_over.is_empty());
    }
}
