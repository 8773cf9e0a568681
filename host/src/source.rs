//! Where records come from: objects (files, Cloud Storage), standard input, the generator.
//!
//! Goes out: a list of [`Object`]s, each of which opens as a stream of decompressed bytes. This module
//! does not know what is in them; `decode` does.

pub mod generator;
mod object;

pub use object::{Object, Progress, SourceError};

use crate::config::Source;

/// The objects of a source, in the order of their names.
pub async fn list(source: &Source) -> Result<Vec<Object>, SourceError> {
    match source {
        Source::Storage { uri } => object::list(uri).await,
        Source::Stdin => Ok(vec![Object::stdin()]),
        Source::Generator { data, rows, seed, bad } => {
            Ok(vec![Object::generator(data, *rows, *seed, bad)?])
        }
    }
}
