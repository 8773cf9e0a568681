//! A running pipeline as others look at it: what it counts, how it did lately, rows as they pass.

pub(crate) mod delivered;
pub(crate) mod metrics;
pub(crate) mod running;
pub(crate) mod series;
pub(crate) mod status;
pub(crate) mod summary;
pub(crate) mod tap;
