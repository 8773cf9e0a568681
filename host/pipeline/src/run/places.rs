//! Places that could not be looked at, such as a folder without rights. Nothing is known to be in them, so no load ends
//! their failures: they are remembered beside the plugin sets until a run has looked at them, whatever it loads, and
//! that is entered beside the ledger. What is remembered no more stays in the list of what failed.

use std::collections::BTreeSet;

use super::load_failures;
use super::stop::Stop;
use crate::context::Context;
use clickmill_core::causes;
use clickmill_source as source;

/// Those of a pipeline and its table, by their URIs.
pub(super) struct Places<'a> {
    context: &'a Context,
    not_seen: BTreeSet<String>,
    /// Those of them that were looked at since.
    seen: BTreeSet<String>,
}

impl<'a> Places<'a> {
    /// Those that earlier runs could not look at.
    pub(super) fn remembered(context: &'a Context) -> Self {
        let (name, table) = (&context.pipeline.name, &context.pipeline.sink.table);
        let not_seen = context.sets.not_seen(name, &table.to_string());
        let not_seen = not_seen.unwrap_or_else(|error| {
            let error = causes(&error);
            tracing::warn!(error, "what could not be looked at before is not looked at now");
            BTreeSet::new()
        });
        Self { context, not_seen, seen: BTreeSet::new() }
    }

    /// Others that could not be looked at.
    pub(super) fn add(&mut self, places: &[String]) {
        self.not_seen.extend(places.iter().cloned());
    }

    /// Whether it was looked at since, or found gone.
    pub(super) fn is_over(&self, place: &str) -> bool {
        self.seen.contains(place)
    }

    /// Looks at them, and enters which can be looked at by now, or are gone. `now` are those that just could not be.
    pub(super) fn look<'b>(&mut self, now: impl IntoIterator<Item = &'b String>, stop: &Stop) {
        let mut not_seen: BTreeSet<String> = now.into_iter().cloned().collect();
        let before = self.not_seen.difference(&not_seen).cloned();
        let (over, still): (Vec<String>, Vec<String>) = before.partition(|place| {
            let looked = self.context.runtime.block_on(stop.or(source::is_seen(place)));
            looked == Some(true) && load_failures::enter_seen(self.context, place)
        });
        self.seen.extend(over);
        not_seen.extend(still);
        if not_seen == self.not_seen {
            return;
        }
        self.not_seen = not_seen;
        let (name, table) = (&self.context.pipeline.name, &self.context.pipeline.sink.table);
        let kept = self.context.sets.set_not_seen(name, &table.to_string(), &self.not_seen);
        if let Err(error) = kept {
            let error = causes(&error);
            tracing::warn!(error, "what can't be looked at is not remembered for the next run");
        }
    }
}
