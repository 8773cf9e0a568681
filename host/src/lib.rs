//! clickmill: a host for sandboxed plugins that transform clickstream data.
//!
//! `host/README.md` is the architecture note; each module says what it does and what it must not know.

#![warn(missing_docs)]

pub mod access;
pub mod admin;
pub mod audit;
pub mod batch;
pub mod cli;
pub mod config;
pub mod dashboard;
pub mod dead_letter;
pub mod decode;
pub mod google;
pub mod pipeline;
pub mod plugin;
pub mod schema;
pub mod sink;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod tls;
