//! Conditions over the columns of a row, in a part of GoogleSQL: comparisons, `IN`, `IS NULL`, `AND`, `OR`,
//! `NOT` and parentheses over columns by path and literals. They are evaluated over Arrow columns, without
//! the SQL engine: a null is neither true nor false, as in SQL.
//!
//! Reading one ([`Condition`]) needs no columns. Binding it to them ([`Bound`]) checks that they are there
//! and that each literal is a value of its column's type, so that nothing is left to fail on a row.

mod bind;
mod parse;
mod tree;

pub use bind::{BindError, Bound};
pub use parse::SyntaxError;

use std::fmt;
use std::str::FromStr;

use tree::Tree;

/// A condition, as it was written.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    tree: Tree,
}

/// Two are one where they say the same.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.tree == other.tree
    }
}

impl FromStr for Condition {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Ok(Self { text: text.to_owned(), tree: parse::parse(text)? })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
