//! Which components are taken: signed by whom, for which stage and version, since when, and which not any
//! more.
//!
//! A signature covers a component and a line, its trusted comment. That holds words `key:value`, between
//! blanks: `timestamp:1767225600`, the second of signing, which the `minisign` tool writes too; `stage:mask`,
//! as often as there are stages that it is meant for; `version:1.4.2`. It covers no configuration, no lookup
//! table and no golden case.

use std::collections::BTreeSet;

use super::signature::{KeyError, Keys, SignatureError};
use clickmill_core::{Digest, Fault, Micros};

/// Which components are taken.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: Keys,
    bind: bool,
    not_before: Option<Micros>,
    revoked: BTreeSet<Digest>,
}

/// Why a component is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrustError {
    /// No trusted key has signed it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is not to be run any more.
    #[error("`trust.revoked` lists its digest, `{digest}`")]
    Revoked {
        /// Its digest.
        digest: Digest,
    },
    /// It was signed too early.
    #[error("it was signed {signed}, `trust.not_before` is {not_before}", signed = moment(*signed))]
    TooOld {
        /// When, where the signature says so.
        signed: Option<Micros>,
        /// What is wanted.
        not_before: Micros,
    },
    /// It is meant for another stage.
    #[error("it is signed for {stages}, and the stage is `{stage}`: `plugin sign --stage {stage}` says that it is meant for it", stages = named(stages))]
    Stage {
        /// The stage.
        stage: String,
        /// Those that the signature names.
        stages: Vec<String>,
    },
    /// The signature says nothing of a version, or of another.
    #[error("it is signed as {signed}, and says that it is version `{version}`", signed = version_of(signed.as_deref()))]
    Version {
        /// What the component says.
        version: String,
        /// What the signature says.
        signed: Option<String>,
    },
}

impl TrustError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Signature(error) => error.fault(),
            Self::Revoked { .. }
            | Self::TooOld { .. }
            | Self::Stage { .. }
            | Self::Version { .. } => Fault::Input,
        }
    }
}

/// What a component has to say of itself, to be the one that was signed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Claim {
    is_bound: bool,
    version: Option<String>,
}

impl Trust {
    /// As a pipeline file says.
    ///
    /// # Errors
    ///
    /// One of the keys is none.
    pub fn of(config: &clickmill_config::Trust) -> Result<Self, KeyError> {
        Ok(Self {
            keys: Keys::parse(&config.keys)?,
            bind: config.bind,
            not_before: config.not_before,
            revoked: config.revoked.iter().cloned().collect(),
        })
    }

    /// Whether it takes signed components only.
    pub(super) fn wants_signatures(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether a signature is one that counts for a component that is to be this stage's: of a trusted key, signed
    /// late enough, and meant for the stage, as far as that is asked for. Without keys nothing has to be signed.
    pub fn takes(&self, stage: &str, component: &[u8], signature: Option<&str>) -> bool {
        // What is revoked stays so under any signature.
        let taken = |signature| {
            matches!(
                self.check(stage, component, signature),
                Ok(_) | Err(TrustError::Revoked { .. })
            )
        };
        !self.wants_signatures() || signature.is_some_and(taken)
    }

    /// Checks a component that is to be this stage's.
    pub(super) fn check(
        &self,
        stage: &str,
        component: &[u8],
        signature: &str,
    ) -> Result<Claim, TrustError> {
        if !self.revoked.is_empty() {
            let digest = Digest::of(component);
            if self.revoked.contains(&digest) {
                return Err(TrustError::Revoked { digest });
            }
        }
        if !self.wants_signatures() {
            return Ok(Claim::default());
        }
        let comment = self.keys.check(component, signature)?.comment;
        if let Some(not_before) = self.not_before {
            // One that says so twice says nothing.
            let signed =
                one(words(&comment, "timestamp")).and_then(|text| text.parse::<i64>().ok());
            let signed =
                signed.and_then(|seconds| seconds.checked_mul(1_000_000)).map(Micros::from);
            if signed.is_none_or(|signed| signed < not_before) {
                return Err(TrustError::TooOld { signed, not_before });
            }
        }
        if self.bind && !words(&comment, "stage").any(|named| named == stage) {
            let stages = words(&comment, "stage").map(str::to_owned).collect();
            return Err(TrustError::Stage { stage: stage.to_owned(), stages });
        }
        let version = one(words(&comment, "version")).map(str::to_owned);
        Ok(Claim { is_bound: self.bind, version })
    }
}

impl Claim {
    /// Checks what the component says that its version is.
    pub(super) fn check_version(&self, version: &str) -> Result<(), TrustError> {
        if self.is_bound && self.version.as_deref() != Some(version) {
            let (version, signed) = (version.to_owned(), self.version.clone());
            return Err(TrustError::Version { version, signed });
        }
        Ok(())
    }
}

/// The values of a comment's words with this key.
fn words<'a>(comment: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    comment.split([' ', '\t']).filter_map(move |word| word.strip_prefix(key)?.strip_prefix(':'))
}

fn one<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = words.next()?;
    words.next().is_none().then_some(first)
}

fn moment(signed: Option<Micros>) -> String {
    signed
        .map_or("without saying when".to_owned(), |signed| format!("at {}", signed.to_the_second()))
}

fn named(stages: &[String]) -> String {
    match stages {
        [] => "no stage".to_owned(),
        stages => format!("stage `{}`", stages.join("`, `")),
    }
}

fn version_of(signed: Option<&str>) -> String {
    signed.map_or("no version, or several".to_owned(), |version| format!("version `{version}`"))
}

#[cfg(test)]
mod tests;
