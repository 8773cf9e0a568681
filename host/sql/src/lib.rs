//! SQL over the warehouse, with DataFusion, which no other crate names: BigQuery's dialect put into its
//! words, and conditions over rows that are in no table.
//!
//! [`serve`] is the executable `clickmill-sql`, which `clickmill` starts and asks; what the two say to
//! each other is in `clickmill_query::wire`.

mod dialect;
mod each_once;
mod functions;
#[cfg(test)]
mod googlesql;
mod memory;
mod nested;
mod optimizer;
mod query;
mod row_filter;
mod said;
mod semi_joins;
mod serve;
mod types;

pub use query::{Queries, QueryError};
pub use row_filter::{RowFilter, RowFilterError};
pub use serve::serve;
