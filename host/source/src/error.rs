//! Why there is nothing to read.

use std::io;

use clickmill_core::Fault;
use clickmill_core::store::StoreError;

use super::cloud::bucket::BucketError;

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The URI leads nowhere.
    #[error(transparent)]
    Address(#[from] StoreError),
    /// Invalid glob pattern.
    #[error("`{uri}` is not a glob pattern")]
    Pattern {
        /// What was given.
        uri: String,
        /// Why.
        source: glob::PatternError,
    },
    /// The store does not answer.
    #[error("cannot list `{uri}`")]
    Store {
        /// What was given.
        uri: String,
        /// Why.
        source: Box<BucketError>,
    },
    /// A folder can't be listed.
    #[error("cannot list `{uri}`")]
    Folder {
        /// What was given.
        uri: String,
        /// Why.
        source: io::Error,
    },
    /// What is in a folder can't be looked at.
    #[error("cannot look at `{uri}`")]
    Look {
        /// The file or folder.
        uri: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing is there.
    #[error("there is no object `{uri}`")]
    Nothing {
        /// What was given.
        uri: String,
    },
    /// Something is there, which the source does not name.
    #[error(
        "`{uri}` is not among what `source.uri` names now: set that with `--set`, or name the load too, and it is loaded all the same"
    )]
    NotNamed {
        /// The object.
        uri: String,
    },
    /// The object can't be opened.
    #[error("cannot open `{uri}`")]
    Open {
        /// The object.
        uri: String,
        /// Why.
        source: io::Error,
    },
    /// The object can't be read on.
    #[error("cannot read `{uri}`")]
    Read {
        /// The object.
        uri: String,
        /// Why.
        source: io::Error,
    },
    /// The object is not what was listed any more.
    #[error(
        "`{uri}` is not what it was when it was listed: it is still being written, or was replaced"
    )]
    Changed {
        /// The object.
        uri: String,
    },
    /// The object is not there any more.
    #[error("`{uri}` was removed since it was listed")]
    Gone {
        /// The object.
        uri: String,
    },
    /// Its bytes do not make what their compression promises.
    #[error(
        "`{uri}` cannot be decompressed: it is damaged or cut off, or its compression is one that is not taken"
    )]
    Compression {
        /// The object.
        uri: String,
        /// Why.
        source: io::Error,
    },
    /// The read was given up.
    #[error("the read of `{uri}` was given up")]
    Interrupted {
        /// The object.
        uri: String,
    },
    /// A client can't be made: no credentials, say.
    #[error("cannot connect to `{what}`")]
    Client {
        /// The subscription or topic.
        what: String,
        /// Why.
        source: google_cloud_gax::client_builder::Error,
    },
    /// The subscription can't be pulled from.
    #[error("cannot pull from `{what}`")]
    Pull {
        /// The subscription.
        what: String,
        /// Why.
        source: google_cloud_gax::error::Error,
    },
    /// A topic or subscription can't be created.
    #[error("cannot create `{what}`")]
    Create {
        /// Which.
        what: String,
        /// Why.
        source: google_cloud_gax::error::Error,
    },
    /// A topic takes no messages.
    #[error("cannot publish to `{topic}`")]
    Publish {
        /// The topic.
        topic: String,
        /// Why.
        source: Box<google_cloud_pubsub::error::PublishError>,
    },
    /// There is no such subscription.
    #[error(
        "there is no subscription `{name}`: create it, or name its topic in `source.create_from_topic`"
    )]
    NoSubscription {
        /// Its name.
        name: String,
    },
    /// The generator can't make that.
    #[error("the generator cannot make `{what}`")]
    Generator {
        /// What it was asked for.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SourceError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Store { .. }
            | Self::Folder { .. }
            | Self::Look { .. }
            | Self::Open { .. }
            | Self::Read { .. }
            | Self::Changed { .. }
            | Self::Gone { .. }
            | Self::Client { .. }
            | Self::Create { .. }
            | Self::Publish { .. }
            | Self::Pull { .. } => Fault::Environment,
            Self::Address(_)
            | Self::Pattern { .. }
            | Self::Nothing { .. }
            | Self::NotNamed { .. }
            | Self::Compression { .. }
            | Self::NoSubscription { .. }
            | Self::Generator { .. } => Fault::Input,
            Self::Interrupted { .. } => Fault::Run,
        }
    }

    /// The error of a source that a reader has failed with, as [`super::Object::open`]'s readers do.
    pub fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<SourceError> for io::Error {
    /// Damaged bytes are invalid data; all else is no fault of the bytes.
    fn from(error: SourceError) -> Self {
        let kind = match error.fault() {
            Fault::Input => io::ErrorKind::InvalidData,
            Fault::Environment | Fault::Run | Fault::Bug => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
