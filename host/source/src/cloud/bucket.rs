//! A bucket of Cloud Storage, asked over its XML API by the names that objects really have.
//!
//! The crate object_store takes names for paths: it does without empty parts, `.` and `..`, and a listing
//! fails that holds one of them. It also limits a read to some minutes and some cuts in all, and fails
//! where an answer says no length. So objects are listed and read here; credentials, proxies and TLS are
//! that crate's.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode};
use object_store::client::ReqwestConnector;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequestBody, HttpResponse};
use object_store::gcp::{GcpCredentialProvider, GoogleConfigKey};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::client::{base_url, options};
use super::page::{Found, PageError, parse};
use clickmill_core::{causes, lock, store};

/// How long an answer may take to begin, and a page to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a question is asked again; with the waits between, about half a minute.
const RETRIES: u32 = 8;
/// The first wait before that; each is twice the one before it, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// A page has a thousand names of a kilobyte at most, each byte of which may be written as six.
const MOST_OF_PAGE: usize = 32 << 20;
/// So much of a refusal is read.
const MOST_OF_REFUSAL: usize = 16 << 10;

/// Why a bucket does not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// There are no credentials, or no such client.
    #[error("cannot reach bucket `{bucket}`")]
    Client {
        /// The bucket.
        bucket: String,
        /// Why.
        source: object_store::Error,
    },
    /// The question can't be sent.
    #[error("cannot ask bucket `{bucket}` for `{key}`")]
    Request {
        /// The bucket.
        bucket: String,
        /// The object, or where it was to be listed.
        key: String,
        /// Why.
        source: http::Error,
    },
    /// Nothing comes back.
    #[error("bucket `{bucket}` does not answer")]
    Http {
        /// The bucket.
        bucket: String,
        /// Why.
        source: HttpError,
    },
    /// Nothing comes back in time.
    #[error("bucket `{bucket}` has not answered for {} s", .patience.as_secs())]
    Late {
        /// The bucket.
        bucket: String,
        /// For how long.
        patience: Duration,
    },
    /// It refuses.
    #[error("bucket `{bucket}` answers {status}{told}")]
    Status {
        /// The bucket.
        bucket: String,
        /// With what.
        status: StatusCode,
        /// What it says.
        told: String,
    },
    /// Its answer makes no sense.
    #[error("bucket `{bucket}` answers what is not a listing")]
    Listing {
        /// The bucket.
        bucket: String,
        /// Why.
        source: PageError,
    },
}

impl BucketError {
    /// Whether the same may succeed soon.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Http { .. } | Self::Late { .. } => true,
            Self::Client { source, .. } => !matches!(
                source,
                object_store::Error::PermissionDenied { .. }
                    | object_store::Error::UnknownConfigurationKey { .. }
            ),
            // Tokens are renewed meanwhile.
            Self::Status { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::UNAUTHORIZED
                            | StatusCode::REQUEST_TIMEOUT
                            | StatusCode::TOO_MANY_REQUESTS
                    )
            }
            Self::Listing { source, .. } => matches!(source, PageError::Cut),
            Self::Request { .. } => false,
        }
    }

    /// Whether asking again at once may help. Credentials were asked for again already.
    fn may_pass(&self) -> bool {
        self.is_transient() && !matches!(self, Self::Client { .. })
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Waits between tries, each longer than the one before.
#[derive(Debug, Default)]
pub(super) struct Waits(u32);

impl Waits {
    pub(super) fn next(&mut self) -> Duration {
        let wait = FIRST_WAIT.saturating_mul(1 << self.0.min(10)).min(LONGEST_WAIT);
        self.0 += 1;
        wait
    }
}

/// Which names are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names<'a> {
    /// All of them, or all after one.
    All { after: Option<&'a str> },
    /// The first.
    First,
}

/// A bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub name: String,
    base_url: String,
    client: HttpClient,
    /// How long an answer may take to begin, and a page to end.
    patience: Duration,
    /// None where requests are not signed.
    credentials: Option<GcpCredentialProvider>,
}

impl Bucket {
    /// A bucket by its name, with the connections and the token that it has already. Nothing is asked of
    /// it yet.
    pub(super) fn of(name: &str) -> Result<Arc<Self>, BucketError> {
        static OPEN: Mutex<BTreeMap<String, Arc<Bucket>>> = Mutex::new(BTreeMap::new());
        let mut open = lock(&OPEN);
        if let Some(bucket) = open.get(name) {
            return Ok(bucket.clone());
        }
        let bucket = Arc::new(Self::open(name)?);
        open.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }

    fn open(name: &str) -> Result<Self, BucketError> {
        let failed = |source| BucketError::Client { bucket: name.to_owned(), source };
        let builder = store::cloud(name);
        let value = |key| builder.get_config_value(&key);
        let unsigned = value(GoogleConfigKey::SkipSignature).is_some_and(|skip| skip == "true");
        let base_url = base_url(&builder);
        let client = ReqwestConnector::default().connect(&options(&builder)).map_err(failed)?;
        let store = builder.build().map_err(failed)?;
        let credentials = (!unsigned).then(|| store.credentials().clone());
        Ok(Self { name: name.to_owned(), base_url, client, patience: PATIENCE, credentials })
    }

    /// Objects whose names begin so.
    pub(super) async fn list(
        &self,
        prefix: &str,
        names: Names<'_>,
    ) -> Result<Vec<Found>, BucketError> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        let mut before = HashSet::new();
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            match names {
                Names::First => query.push(("max-keys", "1")),
                Names::All { after } => query.extend(after.map(|after| ("start-after", after))),
            }
            let (objects, next) = retried(|| self.page(&query)).await?;
            found.extend(objects);
            match next {
                Some(next) if names != Names::First => {
                    if !before.insert(next.clone()) {
                        return Err(self.no_listing(PageError::Repeated));
                    }
                    token = Some(next);
                }
                _ => break,
            }
        }
        for object in found.iter_mut().filter(|object| object.generation.is_empty()) {
            if let Some(told) = self.head(&object.key).await? {
                *object = told;
            }
        }
        Ok(found)
    }

    /// The object of this very name, where there is one.
    pub(super) async fn head(&self, key: &str) -> Result<Option<Found>, BucketError> {
        match retried(|| self.send(&Method::HEAD, key, &[], &[])).await {
            Ok(answer) => {
                let text = |name: &str| header(answer.headers(), name).unwrap_or_default();
                let size = ["x-goog-stored-content-length", "content-length"];
                let size = size.iter().find_map(|name| text(name).parse().ok());
                Ok(Some(Found {
                    key: key.to_owned(),
                    generation: text("x-goog-generation").to_owned(),
                    e_tag: text("etag").trim_matches('"').to_owned(),
                    // Of one whose length is not told, it is found out.
                    size: size.unwrap_or(u64::MAX),
                }))
            }
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for a page of a listing, once.
    async fn page(
        &self,
        query: &[(&str, &str)],
    ) -> Result<(Vec<Found>, Option<String>), BucketError> {
        let answer = self.send(&Method::GET, "", query, &[]).await?;
        let page = beginning(answer, MOST_OF_PAGE);
        let page = self.in_time(page).await?.map_err(|error| self.http(error))?;
        if page.len() > MOST_OF_PAGE {
            return Err(self.no_listing(PageError::TooLong { most: MOST_OF_PAGE }));
        }
        parse(&page).map_err(|source| self.no_listing(source))
    }

    fn no_listing(&self, source: PageError) -> BucketError {
        BucketError::Listing { bucket: self.name.clone(), source }
    }

    async fn in_time<T>(&self, asked: impl Future<Output = T>) -> Result<T, BucketError> {
        let patience = self.patience;
        let late = |_| BucketError::Late { bucket: self.name.clone(), patience };
        tokio::time::timeout(patience, asked).await.map_err(late)
    }

    /// Asks once. An answer other than a success is an error.
    pub(super) async fn send(
        &self,
        method: &Method,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Result<HttpResponse, BucketError> {
        // Encoded whole, slashes and dots too, so that nobody on the way takes it for a path.
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut url = format!("{}/{}", self.base_url, encode(&self.name));
        if !key.is_empty() {
            url.push('/');
            url.push_str(&encode(key));
        }
        for (at, (name, value)) in query.iter().enumerate() {
            let between = if at == 0 { '?' } else { '&' };
            url.push_str(&format!("{between}{name}={}", encode(value)));
        }
        // What is stored compressed comes as it is stored: with a length, and from any byte on.
        let mut request = Request::builder().method(method).uri(url);
        request = request.header("accept-encoding", "gzip");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(credentials) = &self.credentials {
            let credential = credentials.get_credential().await;
            let credential = credential
                .map_err(|source| BucketError::Client { bucket: self.name.clone(), source })?;
            if !credential.bearer.is_empty() {
                request = request.header("authorization", format!("Bearer {}", credential.bearer));
            }
        }
        let request = request.body(HttpRequestBody::empty()).map_err(|source| {
            BucketError::Request { bucket: self.name.clone(), key: key.to_owned(), source }
        })?;
        let answer = self.in_time(self.client.execute(request)).await?;
        let answer = answer.map_err(|error| self.http(error))?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => Err(BucketError::Status {
                bucket: self.name.clone(),
                status,
                told: told(answer).await,
            }),
        }
    }

    fn http(&self, source: HttpError) -> BucketError {
        BucketError::Http { bucket: self.name.clone(), source }
    }
}

/// Asks until there is an answer, or no hope of one.
async fn retried<T, F>(ask: impl Fn() -> F) -> Result<T, BucketError>
where
    F: Future<Output = Result<T, BucketError>>,
{
    let mut waits = Waits::default();
    for tried in 0..RETRIES {
        match ask().await {
            Err(error) if error.may_pass() => {
                let error = causes(&error);
                if tried == 0 {
                    tracing::warn!(error, "Cloud Storage fails, asking again");
                } else {
                    tracing::debug!(error, tried, "Cloud Storage still fails, asking again");
                }
                tokio::time::sleep(waits.next()).await;
            }
            answer => return answer,
        }
    }
    ask().await
}

/// The body of an answer, up to the piece that goes beyond so many bytes.
async fn beginning(answer: HttpResponse, most: usize) -> Result<Vec<u8>, HttpError> {
    let mut bytes = Vec::new();
    let mut pieces = answer.into_body().bytes_stream();
    while bytes.len() <= most
        && let Some(piece) = pieces.next().await
    {
        let piece: Bytes = piece?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// What a refusal says, in a few words.
async fn told(answer: HttpResponse) -> String {
    let body = tokio::time::timeout(PATIENCE, beginning(answer, MOST_OF_REFUSAL)).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let said = ["Details", "Message", "Code"].iter().find_map(|name| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(said, _)| said)
    });
    said.map_or_else(String::new, |said| {
        format!(": {}", said.chars().take(300).collect::<String>())
    })
}

/// The value of a header, as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
pub(super) mod tests;
