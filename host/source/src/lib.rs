//! Where records come from: objects (files, Cloud Storage), standard input, the generator, Pub/Sub.
//!
//! Goes out: a list of [`Object`]s, each of which opens as a stream of decompressed bytes; or a
//! [`stream::Stream`] of messages. This module does not know what is in them; `decode` does.

mod delivery;
mod gzip;
mod live;
mod object;
pub mod publish;
mod pubsub;
pub mod stream;

pub use delivery::{Delivery, Receipt, acknowledge};
pub use object::{Object, Progress, SourceError};

use clickmill_config::Source;

/// The objects of a source, in the order of their names.
pub async fn list(source: &Source) -> Result<Vec<Object>, SourceError> {
    match source {
        Source::Storage { uri, .. } => object::list(uri).await,
        Source::Stdin => Ok(vec![Object::stdin()]),
        Source::Generator(generated) => Ok(vec![Object::generator(generated)?]),
        // Their messages are not objects.
        Source::Live { .. } | Source::PubSub(_) => Ok(Vec::new()),
    }
}
