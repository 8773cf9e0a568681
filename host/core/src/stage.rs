//! The stages that are the host's own. Dead letters, counters and taps name them as they name plugins,
//! so no plugin may have one of these names.

/// Bytes to records.
pub const DECODE: &str = "decode";
/// Sensitive values are compared with what came in.
pub const GUARD: &str = "guard";
/// The table, and its schema.
pub const SINK: &str = "sink";

/// All of them.
pub const ALL: [&str; 3] = [DECODE, GUARD, SINK];
