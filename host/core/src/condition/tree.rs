//! What a condition says, read.

use crate::path::Path;

/// What a condition says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Or(Vec<Tree>),
    And(Vec<Tree>),
    Not(Box<Tree>),
    /// A column of truth values.
    Column(Path),
    IsNull(Path),
    Compare(Path, Operator, Literal),
    In(Path, Vec<Literal>),
}

/// How a column's value is compared with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Number(String),
    Truth(bool),
}
