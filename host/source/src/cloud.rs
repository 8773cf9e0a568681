//! Objects in Cloud Storage: found by exact name, folder or pattern.
//!
//! An object is known by its bucket, its name and its generation, however it was asked for.

pub(super) mod bucket;
mod client;
mod page;
mod read;
#[cfg(test)]
mod server;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::runtime::Handle;

use super::SourceError;
use super::interrupt::Interrupt;
use super::names::{self, EMPTY, PassedOver, Selection, Verdict};
use bucket::{Bucket, BucketError, Names};
use clickmill_core::store::{self, StoreError};
use page::Found;
pub(super) use read::Reader;

/// An object as it was listed.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    bucket: Arc<Bucket>,
    found: Found,
}

impl Listed {
    pub(super) fn uri(&self) -> String {
        uri(&self.bucket, &self.found.key)
    }

    pub(super) fn generation(&self) -> String {
        // A store that numbers nothing has the tag at least.
        let Found { generation, e_tag, .. } = &self.found;
        if generation.is_empty() { e_tag.clone() } else { generation.clone() }
    }

    /// What a listing took for the generation once.
    pub(super) fn e_tag(&self) -> Option<&str> {
        Some(self.found.e_tag.as_str()).filter(|tag| !tag.is_empty())
    }

    /// Its size as stored, where it is known.
    pub(super) fn size(&self) -> Option<u64> {
        Some(self.found.size).filter(|size| *size != u64::MAX)
    }

    /// What reads it. Nothing is asked for before its first read.
    pub(super) fn reader(&self, runtime: &Handle, interrupt: &Interrupt) -> Reader {
        let bucket = self.bucket.clone();
        Reader::new(bucket, self.found.clone(), self.uri(), runtime, interrupt)
    }

    /// The object of the same name as it is now, where there is one.
    pub(super) fn again(&self) -> BoxFuture<'_, Result<Option<Self>, SourceError>> {
        Box::pin(async move {
            let found = self.bucket.head(&self.found.key).await;
            let found = found.map_err(|source| failed(&self.uri(), source))?;
            Ok(found.map(|found| Self { bucket: self.bucket.clone(), found }))
        })
    }
}

/// What there is of a URI, in the order of their names; of a folder or pattern only what comes after the name
/// that another URI has, where one is given. Nothing may be there.
pub(super) async fn list(
    uri: &str,
    after: Option<&str>,
) -> Result<(Vec<Listed>, Vec<PassedOver>), SourceError> {
    let after = after.map(|after| store::bucket_and_object(after).1);
    let (name, key) = store::bucket_and_object(uri);
    // As of a variable of the shell that is not set: nobody is to be asked for it.
    if name.is_empty() {
        return Err(StoreError::Uri { uri: uri.to_owned() }.into());
    }
    let bucket = Bucket::of(name).map_err(|source| failed(uri, source))?;
    // As it is spelled, and then as a path may be spelled.
    let collapsed = names::collapsed(key);
    let spellings = [Some(key), Some(collapsed.as_str()).filter(|other| *other != key)];
    for key in spellings.into_iter().flatten() {
        let (found, passed_over) = find(&bucket, key, uri, after).await?;
        if !found.is_empty() || !passed_over.is_empty() {
            let listed = found.into_iter().map(|found| Listed { bucket: bucket.clone(), found });
            return Ok((listed.collect(), passed_over));
        }
    }
    Ok((Vec::new(), Vec::new()))
}

/// What a name, as it is spelled, stands for.
async fn find(
    bucket: &Bucket,
    key: &str,
    uri: &str,
    after: Option<&str>,
) -> Result<(Vec<Found>, Vec<PassedOver>), SourceError> {
    let failed = |source| failed(uri, source);
    let is_folder = key.is_empty() || key.ends_with('/');
    // An exact name comes before what it may mean as a pattern.
    if !is_folder && let Some(found) = bucket.head(key).await.map_err(failed)? {
        return Ok(match found.size {
            0 => (Vec::new(), vec![PassedOver { uri: self::uri(bucket, key), why: EMPTY }]),
            _ => (vec![found], Vec::new()),
        });
    }
    if !is_folder && !names::is_pattern(key) {
        return Ok((Vec::new(), Vec::new()));
    }
    let (folder, mut pattern) = split(bucket, key).await.map_err(failed)?;
    let selection = match (pattern.is_empty(), is_folder) {
        (true, _) => Selection::all(),
        (false, true) => {
            pattern.push_str("**");
            Selection::matching(&pattern, uri)?
        }
        (false, false) => Selection::matching(&pattern, uri)?,
    };
    let (mut found, mut passed_over) = (Vec::new(), Vec::new());
    for object in bucket.list(&folder, Names::All { after }).await.map_err(failed)? {
        let relative = object.key.strip_prefix(folder.as_str()).unwrap_or_default();
        match selection.verdict(relative, object.size) {
            Verdict::Meant => found.push(object),
            Verdict::NotMeant => {}
            Verdict::PassedOver(why) => {
                passed_over.push(PassedOver { uri: self::uri(bucket, &object.key), why });
            }
        }
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok((found, passed_over))
}

/// The folder in which a pattern begins, and the pattern in it, which is empty where there is none. A
/// part that looks like a pattern is none where something lies in a folder of that very name.
async fn split(bucket: &Bucket, key: &str) -> Result<(String, String), BucketError> {
    let mut at = 0;
    while let Some(length) = key[at..].find('/') {
        let end = at + length + 1;
        if names::is_pattern(&key[at..end])
            && bucket.list(&key[..end], Names::First).await?.is_empty()
        {
            break;
        }
        at = end;
    }
    Ok((key[..at].to_owned(), key[at..].to_owned()))
}

fn uri(bucket: &Bucket, key: &str) -> String {
    format!("gs://{}/{key}", bucket.name)
}

fn failed(uri: &str, source: BucketError) -> SourceError {
    SourceError::Store { uri: uri.to_owned(), source: Box::new(source) }
}
