//! A bucket of Cloud Storage, asked over its XML API by the names that objects really have.
//!
//! The crate object_store takes names for paths: it does without empty parts, `.` and `..`, and a listing
//! fails that holds one of them. It also limits a read to some minutes and some cuts in all, and fails
//! where an answer says no length. So objects are listed and read here; credentials, proxies and TLS are
//! that crate's.

use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode};
use object_store::client::ReqwestConnector;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequestBody, HttpResponse};
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ClientOptions};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

use clickmill_core::store;

const BASE_URL: &str = "https://storage.googleapis.com";
/// How long an answer may take to begin.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a question is asked again; with the waits between, about half a minute.
const RETRIES: u32 = 8;
/// The first wait before that; each is twice the one before it, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

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
    #[error("bucket `{bucket}` answers what is no listing")]
    Listing {
        /// The bucket.
        bucket: String,
        /// Why.
        source: quick_xml::Error,
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
            Self::Request { .. } | Self::Listing { .. } => false,
        }
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

/// An object as it is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub key: String,
    /// Counts up with every write. Empty where the listing does not say.
    pub generation: String,
    /// Without quotes.
    pub e_tag: String,
    pub size: u64,
}

/// A bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub name: String,
    base_url: String,
    client: HttpClient,
    /// None where requests are not signed.
    credentials: Option<GcpCredentialProvider>,
}

impl Bucket {
    /// A bucket by its name. Nothing is asked of it yet.
    pub(super) fn open(name: &str) -> Result<Self, BucketError> {
        let failed = |source| BucketError::Client { bucket: name.to_owned(), source };
        let builder = store::cloud(name);
        let value = |key| builder.get_config_value(&key);
        let unsigned = value(GoogleConfigKey::SkipSignature).is_some_and(|skip| skip == "true");
        let base_url = base_url(&builder);
        let client = ReqwestConnector::default().connect(&options(&builder)).map_err(failed)?;
        let store = builder.build().map_err(failed)?;
        let credentials = (!unsigned).then(|| store.credentials().clone());
        Ok(Self { name: name.to_owned(), base_url, client, credentials })
    }

    /// All objects whose names begin so, or the first one.
    pub(super) async fn list(&self, prefix: &str, first: bool) -> Result<Vec<Found>, BucketError> {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            if first {
                query.push(("max-keys", "1"));
            }
            let page = self.ask(&Method::GET, "", &query).await?;
            let page = page.into_body().bytes().await.map_err(|error| self.http(error))?;
            let (objects, next) = parse(&page)
                .map_err(|source| BucketError::Listing { bucket: self.name.clone(), source })?;
            found.extend(objects);
            token = next;
            if token.is_none() || first {
                break;
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
        match self.ask(&Method::HEAD, key, &[]).await {
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

    /// Asks until there is an answer, or no hope of one.
    async fn ask(
        &self,
        method: &Method,
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<HttpResponse, BucketError> {
        let mut waits = Waits::default();
        for _ in 0..RETRIES {
            match self.send(method, key, query, &[]).await {
                Err(error) if error.is_transient() => tokio::time::sleep(waits.next()).await,
                answer => return answer,
            }
        }
        self.send(method, key, query, &[]).await
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
        let answer = tokio::time::timeout(PATIENCE, self.client.execute(request)).await;
        let answer = answer
            .map_err(|_| BucketError::Late { bucket: self.name.clone(), patience: PATIENCE })?
            .map_err(|error| self.http(error))?;
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

/// What a refusal says, in a few words.
async fn told(answer: HttpResponse) -> String {
    let body = tokio::time::timeout(PATIENCE, answer.into_body().bytes()).await;
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

/// Where the service is: Google's, unless the environment or the key says otherwise.
fn base_url(builder: &GoogleCloudStorageBuilder) -> String {
    let value = |key| builder.get_config_value(&key);
    let of_account = || {
        let key = value(GoogleConfigKey::ServiceAccountKey)
            .or_else(|| std::fs::read_to_string(value(GoogleConfigKey::ServiceAccount)?).ok())?;
        let key: serde_json::Value = serde_json::from_str(&key).ok()?;
        key["gcs_base_url"].as_str().map(str::to_owned)
    };
    let url = value(GoogleConfigKey::BaseUrl).or_else(of_account);
    url.map_or_else(|| BASE_URL.to_owned(), |url| url.trim_end_matches('/').to_owned())
}

/// How the service is reached: as the builder says, but without a limit to how long an answer may take to
/// its end: that depends on what is done with it.
fn options(builder: &GoogleCloudStorageBuilder) -> ClientOptions {
    let kept = [
        ClientConfigKey::AllowHttp,
        ClientConfigKey::AllowInvalidCertificates,
        ClientConfigKey::ConnectTimeout,
        ClientConfigKey::Http1Only,
        ClientConfigKey::Http2Only,
        ClientConfigKey::ProxyUrl,
        ClientConfigKey::ProxyCaCertificate,
        ClientConfigKey::ProxyExcludes,
        ClientConfigKey::UserAgent,
    ];
    let mut options = ClientOptions::new();
    for key in kept {
        if let Some(value) = builder.get_config_value(&GoogleConfigKey::Client(key)) {
            options = options.with_config(key, value);
        }
    }
    options.with_timeout_disabled()
}

/// The objects of a page, and what asks for the next one.
fn parse(page: &[u8]) -> Result<(Vec<Found>, Option<String>), quick_xml::Error> {
    let mut reader = Reader::from_reader(page);
    let (mut found, mut next) = (Vec::new(), None);
    let mut object = Found::default();
    // Text between two tags, to the byte: names may begin and end with white space.
    let mut text = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(tag) => {
                text.clear();
                if tag.local_name().as_ref() == b"Contents" {
                    object = Found::default();
                }
            }
            Event::Text(piece) => text.push_str(&piece.decode()?),
            Event::CData(piece) => text.push_str(&piece.decode()?),
            Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                Some(character) => text.push(character),
                None => text.push_str(resolve_xml_entity(&reference.decode()?).unwrap_or_default()),
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                b"Key" => object.key = std::mem::take(&mut text),
                b"Generation" => object.generation = std::mem::take(&mut text),
                b"ETag" => object.e_tag = text.trim_matches('"').to_owned(),
                b"Size" => object.size = text.trim().parse().unwrap_or(u64::MAX),
                b"Contents" => found.push(std::mem::take(&mut object)),
                b"NextContinuationToken" => {
                    next = Some(std::mem::take(&mut text)).filter(|token| !token.is_empty());
                }
                _ => {}
            },
            Event::Eof => return Ok((found, next)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_objects_to_the_byte() {
        let page = b"<?xml version='1.0'?>\n<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>\
            <Name>lake</Name><Contents><Key> a//b &amp; &lt;c&#62;\n.csv </Key>\
            <Generation>17</Generation><ETag>&quot;abc&quot;</ETag><Size>3</Size>\
            <Owner><ID>x</ID></Owner></Contents>\n <Contents><Key>../[x]/</Key><ETag>\"d\"</ETag>\
            <Size>0</Size></Contents><NextContinuationToken>t=</NextContinuationToken></ListBucketResult>";
        let (found, next) = parse(page).expect("a page");
        let object = |key: &str, generation: &str, e_tag: &str, size| Found {
            key: key.to_owned(),
            generation: generation.to_owned(),
            e_tag: e_tag.to_owned(),
            size,
        };
        let wanted = [object(" a//b & <c>\n.csv ", "17", "abc", 3), object("../[x]/", "", "d", 0)];
        assert_eq!((found.as_slice(), next.as_deref()), (&wanted[..], Some("t=")));
        assert!(parse(b"<a><b></a>").is_err());
    }
}
