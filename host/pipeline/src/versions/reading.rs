//! The stages of the pipeline file, as they were read together.

use clickmill_config::Plugin;
use clickmill_sandbox::{Library, PluginSet, Secrets};

/// The stages of the pipeline file, as they were read at the start or since. A version that goes back to goes
/// back to those with which it ran: what a stage may do, and where it is, is nowhere else.
pub(crate) struct Reading {
    /// The stages, in order.
    pub plugins: Vec<Plugin>,
    /// They, without any swap.
    pub library: Library,
    /// What each stage is granted.
    pub secrets: Secrets,
}

impl Reading {
    /// Whether a set has these stages in this order.
    pub(crate) fn has_stages_of(&self, set: &PluginSet) -> bool {
        self.library.stage_names().eq(set.stages.iter().map(|made| made.stage.as_str()))
    }
}
