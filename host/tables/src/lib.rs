//! What every kind of table has: the seam between those who use tables and what keeps them, rows on their way
//! in, by their tables, and those that are refused, the entries of the load ledger, views, and the answers of
//! queries. It knows neither BigQuery nor the warehouse.

mod error;
pub mod failures;
pub mod ledger;
mod nested;
mod projection;
mod refused;
pub mod result_set;
mod router;
mod store;
pub mod views;

pub use error::{NoTableForAttempts, TableError};
pub use nested::Misfit;
pub use projection::Projection;
pub use refused::{Refused, Rows, name_table};
pub use router::{NO_ROUTE, Routed, Router, Unroutable};
pub use store::{Appended, Appender, Begun, Claim, Load, TableStore, Targets, Wait};
