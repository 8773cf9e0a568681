//! What every other crate knows: batches and where their rows came from, table schemas, object stores by
//! URI, folders as stores, durable files and private ones, errors on one line, words of texts, columns as a
//! table has them and conditions over them. It knows neither plugins nor services nor the pipeline file.

pub mod batch;
mod build_tool;
pub mod columns;
pub mod condition;
mod digest;
pub mod durable;
mod fault;
pub mod file;
pub mod folder;
pub mod leaves;
mod micros;
mod near;
pub mod oci;
pub mod panics;
pub mod parts;
pub mod path;
pub mod private;
mod raw_column;
pub mod schema;
mod shell;
pub mod stage;
pub mod store;
pub mod terminal;
pub mod tls;
mod window;
pub mod words;

pub use build_tool::{build_tool, is_build_setting};
pub use digest::{Digest, NotADigest};
pub use fault::{Fault, causes, chain, indented, list};
pub use micros::{Micros, NotAMoment};
pub use near::near;
pub use raw_column::RawColumn;
pub use shell::shell_word;
pub use stage::StageName;
pub use window::{Counted, Window};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Target of the spans that traces are made of. The log does not show them.
pub const SPANS: &str = "clickmill_spans";

/// What a lock guards, also where a thread that held it has panicked: every change under our locks is
/// whole at any moment.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
