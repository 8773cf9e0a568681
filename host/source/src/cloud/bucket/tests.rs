use std::sync::atomic::{AtomicU32, Ordering};

use super::super::server::{After, Server, whole};
use super::*;
use object_store::ClientOptions;

/// A bucket of that service, which asks nobody for a token.
pub(in super::super) fn bucket(server: &Server, patience: Duration) -> Bucket {
    let options = ClientOptions::new().with_allow_http(true).with_timeout_disabled();
    let client = ReqwestConnector::default().connect(&options).expect("a client");
    let (name, base_url) = ("lake".to_owned(), server.url.clone());
    Bucket { name, base_url, client, patience, credentials: None }
}

fn page(objects: &[&str], next: Option<&str>) -> String {
    let object = |key: &&str| {
        format!("<Contents><Key>{key}</Key><Generation>1</Generation><Size>1</Size></Contents>")
    };
    let objects: String = objects.iter().map(object).collect();
    let next = next.map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
    format!("<ListBucketResult>{objects}{}</ListBucketResult>", next.unwrap_or_default())
}

fn list(
    patience: Duration,
    answers: Vec<(String, After)>,
) -> (Result<Vec<String>, BucketError>, usize) {
    let server = Server::start(answers);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bucket = bucket(&server, patience);
    let listed = runtime.block_on(bucket.list("", Names::All { after: None }));
    let keys = listed.map(|found| found.into_iter().map(|found| found.key).collect());
    (keys, server.asked().len())
}

#[test]
fn a_page_that_stalls_or_is_cut_is_asked_for_again() {
    let (first, second) = (page(&["a", "b"], Some("t")), page(&["c"], None));
    let half = &second[..second.len() / 2];
    let open = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{half}");
    let (keys, asked) = list(
        Duration::from_secs(1),
        vec![
            whole("200 OK", "", &first),
            (open.clone(), After::Stall),
            (open, After::Close),
            whole("503 Service Unavailable", "", ""),
            whole("200 OK", "", &second),
        ],
    );
    assert_eq!(keys.expect("a list"), ["a", "b", "c"]);
    assert_eq!(asked, 5);
}

#[test]
fn pages_that_go_on_for_ever_are_no_listing() {
    let (keys, asked) = list(PATIENCE, vec![whole("200 OK", "", &page(&["a"], Some("t")))]);
    let error = keys.expect_err("it goes in a circle");
    assert!(matches!(error, BucketError::Listing { source: PageError::Repeated, .. }), "{error}");
    assert_eq!(asked, 2);
    let (keys, asked) = list(PATIENCE, vec![whole("200 OK", "", &" ".repeat(MOST_OF_PAGE + 1))]);
    assert!(matches!(
        keys.expect_err("too long"),
        BucketError::Listing { source: PageError::TooLong { .. }, .. }
    ));
    assert_eq!(asked, 1);
}

#[test]
fn a_listing_begins_after_a_name() {
    let server = Server::start(vec![whole("200 OK", "", &page(&["c"], None))]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bucket = bucket(&server, PATIENCE);
    let listed = runtime.block_on(bucket.list("in/", Names::All { after: Some("in/b") }));
    assert_eq!(listed.expect("a list").len(), 1);
    // In small letters, as the service keeps them.
    let asked = server.asked().concat();
    assert!(asked.contains("prefix=in%2f&start-after=in%2fb"), "{asked}");
}

#[test]
fn credentials_that_are_refused_are_not_asked_for_again() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let tries = |error: fn() -> BucketError| {
        let tries = AtomicU32::new(0);
        let asked = runtime.block_on(retried(|| async {
            if tries.fetch_add(1, Ordering::Relaxed) == 0 { Err(error()) } else { Ok(()) }
        }));
        (asked.is_ok(), tries.into_inner())
    };
    let bucket = || "lake".to_owned();
    assert_eq!(
        tries(|| BucketError::Client {
            bucket: "lake".to_owned(),
            source: object_store::Error::NotImplemented {
                operation: "a token".to_owned(),
                implementer: "a test".to_owned(),
            },
        }),
        (false, 1)
    );
    assert_eq!(
        tries(|| BucketError::Late { bucket: "lake".to_owned(), patience: PATIENCE }),
        (true, 2)
    );
    // A read goes on once there are some again.
    let source = object_store::Error::Generic { store: "GCS", source: "no token".into() };
    assert!(BucketError::Client { bucket: bucket(), source }.is_transient());
}

#[test]
fn a_bucket_is_opened_once() {
    let (one, other) = (Bucket::of("one"), Bucket::of("one"));
    // Without credentials at hand there is none, and no second one either.
    if let (Ok(one), Ok(other)) = (one, other) {
        assert!(Arc::ptr_eq(&one, &other));
    }
}
