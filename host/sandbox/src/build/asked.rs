//! What is asked of a build.

/// When a component that is there already is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// When its sources are those that it was made of.
    Sources,
    /// Never: ask the compiler.
    Rebuild,
}

/// Whether tools may be installed where none here can build plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// No: the error says the line to run.
    Never,
    /// Yes: somebody has asked for it.
    Allowed,
}
