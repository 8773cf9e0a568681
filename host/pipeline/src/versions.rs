//! The plugin sets that run or have run: the slot that holds the current one, what is known of each, and
//! the rules by which one is taken back.

pub(crate) mod actor;
pub(crate) mod fit;
pub(crate) mod reading;
pub(crate) mod recent;
pub(crate) mod rules;
pub(crate) mod slot;
pub(crate) mod version;
pub(crate) mod workers;
