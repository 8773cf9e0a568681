//! The chain of click events from a stream, which benches run by themselves.

use std::path::{Path, PathBuf};

use clickmill_config::{Payload, Pipeline};
use clickmill_core::schema::provenance;
use clickmill_decode::messages;
use clickmill_sandbox::{Chain, Engine, Library, Secrets};
use clickmill_tables::Projection;

pub(crate) const KEY: &str = "a key for benches, 32 bytes long";
/// "Now" for the rules on timestamps: shortly after the generated events.
pub(crate) const NOW: i64 = 1_790_000_000_000_000;

/// What the pipeline's messages go through.
pub(crate) struct Clicks {
    pub chain: Chain,
    pub projection: Projection,
    /// It lives as long as what it has compiled.
    pub _engine: Engine,
}

/// The pipeline file.
pub(crate) fn file() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    root.join("host/pipelines/stream.toml")
}

pub(crate) fn pipeline() -> Pipeline {
    clickmill_config::read(&file(), &[]).unwrap()
}

/// Where compiled components are kept.
pub(crate) fn cache() -> PathBuf {
    std::env::temp_dir().join("clickmill-bench-cache")
}

impl Clicks {
    pub(crate) fn new() -> Self {
        let pipeline = pipeline();
        let engine = Engine::new(&cache()).unwrap();
        let library = Library::load(&engine, &pipeline.plugins).unwrap();
        let secrets = Secrets::new().with("mask", "key", KEY);
        let chain = library.configure(&messages::schema(Payload::Text), &secrets).unwrap();
        let unknown = provenance::UNKNOWN_OF_MESSAGES;
        let projection = Projection::new(&pipeline.sink.schema, chain.output(), unknown).unwrap();
        Self { chain, projection, _engine: engine }
    }
}
