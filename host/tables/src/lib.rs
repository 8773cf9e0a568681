//! What every kind of table has: rows on their way in and those that are refused, the entries of the load
//! ledger, views, and the answers of queries. It knows neither BigQuery nor the warehouse.

pub mod ledger;
mod projection;
mod refused;
pub mod result_set;
pub mod views;

pub use projection::{Misfit, Projection};
pub use refused::{Refused, Rows};
