//! Where records come from: objects (files, Cloud Storage), standard input, the generator, Pub/Sub.
//!
//! Goes out: a list of [`Object`]s, each of which opens as a stream of decompressed bytes; or a
//! [`stream::Stream`] of messages. This module does not know what is in them; `decode` does.
//!
//! What reaches Google's clients is a boxed future: the code of an `async fn` is compiled in each crate that
//! awaits it, and their clients with it.

mod cloud;
mod delivery;
mod error;
mod gzip;
mod interrupt;
mod live;
mod local;
mod names;
mod object;
pub mod publish;
mod pubsub;
pub mod stream;

pub use delivery::{Delivery, Receipt, acknowledge};
pub use error::SourceError;
pub use interrupt::Interrupt;
pub use names::{NotSeen, PassedOver};
pub use object::{Listing, Object, Progress};

use clickmill_config::Source;

/// What a source holds at this moment, in the order of the objects' names.
pub async fn list(source: &Source) -> Result<Listing, SourceError> {
    list_after(source, None).await
}

/// What a source holds. In Cloud Storage, where the name of an object is given as its URI, only what comes
/// after it: a bucket is asked for no more than that.
pub async fn list_after(source: &Source, after: Option<&str>) -> Result<Listing, SourceError> {
    match source {
        Source::Storage { uri, .. } => object::list(uri, after).await,
        Source::Stdin => Ok(Listing::of(Object::stdin())),
        Source::Generator(generated) => Ok(Listing::of(Object::generator(generated)?)),
        // Their messages are not objects.
        Source::Live { .. } | Source::PubSub(_) => Ok(Listing::default()),
    }
}

/// What there is under a path or URI: an object of exactly this name, or else all that it means as a
/// folder or a pattern.
pub async fn find(uri: &str) -> Result<Listing, SourceError> {
    object::list(uri, None).await
}

/// Whether what has this URI on a disk can be looked at, or nothing is there any more. What is in a folder is not
/// looked at.
pub async fn is_seen(uri: &str) -> bool {
    let uri = uri.to_owned();
    // A thread of its own, for which nobody waits who gives this up.
    let (to, seen) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || to.send(local::is_seen(&uri)));
    seen.await.unwrap_or(false)
}
