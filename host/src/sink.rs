//! Where good rows go. [`Projection`] makes a table's rows of what the chain gives; [`warehouse`] keeps
//! them.

mod projection;
pub mod warehouse;

pub use projection::{Misfit, Projection};
