//! The page: the files of `web`, and the chart library as its crate ships it.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/web"]
struct Web;

/// plotly.js, out of the script element that the crate gives it in.
static PLOTLY: LazyLock<(Bytes, String)> = LazyLock::new(|| {
    let scripts = plotly::Plot::offline_js_sources();
    let (_, script) = scripts.split_once('>').unwrap_or_default();
    let (script, _) = script.split_once("</script>").unwrap_or_default();
    let script = Bytes::copy_from_slice(script.as_bytes());
    let tag = tag(blake3::hash(&script).as_bytes());
    (script, tag)
});

/// Nothing but what this server serves is loaded or run. Plotly sets styles on elements.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`
pub(super) async fn index(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// `GET /assets/{name}`
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match name.as_str() {
        "plotly.js" => {
            let (script, tag) = &*PLOTLY;
            answer(script.clone(), "text/javascript; charset=utf-8", tag, &headers)
        }
        name => file(name, &headers),
    }
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = Web::get(name) else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let tag = tag(&file.metadata.sha256_hash());
    answer(file.data.into_owned().into(), kind, &tag, headers)
}

/// What tells a version of a file from another.
fn tag(hash: &[u8; 32]) -> String {
    let digits: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// A file, or word that the browser has it.
fn answer(body: Bytes, kind: &str, tag: &str, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag);
    let fields = [
        (header::CONTENT_TYPE, kind),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    if known {
        (StatusCode::NOT_MODIFIED, fields).into_response()
    } else {
        (fields, body).into_response()
    }
}
