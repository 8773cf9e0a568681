//! Everything that takes a whole host: real components, real files, the real binary. One test binary,
//! since each links the engine again.

#![cfg(test)]

mod admin;
mod analytics;
mod audit;
mod batch;
mod before;
mod bounds;
mod browser;
mod cloud;
mod cloud_loads;
mod command_line;
mod concurrent_loads;
mod conservation;
mod contract;
mod dashboard;
mod emulators;
mod exactly_once;
mod faults;
mod field;
mod fuzz;
mod guard;
mod hostile;
mod installed;
mod invalid;
mod kept;
mod kill;
mod layers;
mod line_ends;
mod live;
mod malformed;
mod monitoring;
mod objects;
mod origins;
mod permissions;
mod proxy;
mod readme;
mod replay;
mod routes;
mod schema;
mod secrets;
mod shop_events;
mod storage;
mod streaming;
mod streams;
mod support;
mod swap;
mod swap_load;
mod tables;
mod taps;
mod trust;
mod unkind_bigquery;
mod unkind_jobs;
mod upgrade;
mod warehouse;
