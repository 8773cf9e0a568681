//! The wasmtime engine: one per process, with compiled code cached on disk and instances pooled.

use std::path::Path;
use std::sync::Arc;

use super::cache::{self, CacheError};
use super::trust::{Claim, Trust, TrustError};
use clickmill_core::Fault;
use wasmtime::component::Component;
use wasmtime::{
    Cache, CacheConfig, Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

/// Each pooled slot reserves address space for one linear memory, so the pool is not oversized.
const MAX_INSTANCES: u32 = 256;

/// Memory of a slot that is cleared instead of given back to the kernel: what a stage touches for a
/// full batch. Below that, a fresh instance per batch pays for page faults.
const KEEP_RESIDENT_BYTES: usize = 16 << 20;

/// The most linear memory that a pipeline file may grant an instance.
const MAX_MEMORY_BYTES: usize = 1 << 30;

/// Core instances of a component: the plugin's module, and those that tools put around it to adapt its
/// imports.
const MAX_CORE_INSTANCES: u32 = 16;

/// Tables of a component: the plugin's own, and those of its adapters.
const MAX_TABLES: u32 = 4;

/// Elements of a table, which are the functions that a plugin calls indirectly. The pool sets memory for so
/// many aside in each slot, so no guest may grow a table beyond them.
pub(super) const MAX_TABLE_ELEMENTS: usize = 20_000;

/// Compiles components and holds the pool of instances.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    /// Which components are taken; without keys, unsigned ones too.
    trust: Arc<Trust>,
    /// As long as there is the engine, there is its folder.
    _cache: Arc<cache::Folder>,
}

/// Why there is no engine or no component.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The cache folder can't be used.
    #[error("cannot use the cache of compiled plugins `{path}`")]
    Cache {
        /// The folder.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no folder for compiled code, not even for this process alone.
    #[error("there is no folder for compiled plugins")]
    NoCache(#[from] CacheError),
    /// This machine can't run the engine.
    #[error("cannot start the WebAssembly engine")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bytes are not WebAssembly.
    #[error("it is not WebAssembly: it does not begin with the bytes `\\0asm`")]
    NotWasm,
    /// The component is not signed as it has to be.
    #[error("it is not trusted")]
    Untrusted(#[from] TrustError),
    /// The bytes are not a component, or one that can't be compiled.
    #[error("not a component that can be compiled")]
    Compile(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl EngineError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Cache { .. } | Self::NoCache(_) | Self::Start(_) => Fault::Environment,
            Self::NotWasm | Self::Untrusted(_) | Self::Compile(_) => Fault::Input,
        }
    }
}

impl Engine {
    /// Starts an engine that keeps compiled code under `folder`. Where that is not [`cache::usable`], it keeps
    /// none, and says so at `warn`.
    pub fn new(folder: &Path) -> Result<Self, EngineError> {
        Self::start(Some(folder))
    }

    /// Starts an engine that keeps no compiled code: each start compiles anew.
    pub fn without_cache() -> Result<Self, EngineError> {
        Self::start(None)
    }

    fn start(folder: Option<&Path>) -> Result<Self, EngineError> {
        let folder = cache::Folder::open(folder)?;
        let mut config = CacheConfig::new();
        config.with_directory(folder.path());
        let cache = Cache::new(config).map_err(|error| EngineError::Cache {
            path: folder.path().display().to_string(),
            source: error.into(),
        })?;
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(MAX_INSTANCES)
            .total_core_instances(MAX_INSTANCES)
            .total_memories(MAX_INSTANCES)
            .total_tables(MAX_INSTANCES)
            .max_core_instances_per_component(MAX_CORE_INSTANCES)
            .max_memories_per_component(1)
            .max_tables_per_component(MAX_TABLES)
            .table_elements(MAX_TABLE_ELEMENTS)
            .max_memory_size(MAX_MEMORY_BYTES)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .pagemap_scan(wasmtime::Enabled::Auto);
        let mut config = Config::new();
        config
            .cache(Some(cache))
            .cranelift_opt_level(OptLevel::Speed)
            // Deterministic, and it measures what a plugin costs: see `host/benches`.
            .consume_fuel(true)
            // A plugin call is a plain call; with it on, each costs half a microsecond more.
            .concurrency_support(false)
            // Without wasmtime's feature `gc`, what a guest may ask of this proposal (whether one type of
            // functions is another's subtype) ends the process: RUSTSEC-2026-0570.
            .wasm_gc(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let wasmtime =
            wasmtime::Engine::new(&config).map_err(|error| EngineError::Start(error.into()))?;
        Ok(Self { wasmtime, trust: Arc::default(), _cache: Arc::new(folder) })
    }

    /// The engine, which from now on takes only these components.
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust: Arc::new(trust), ..self }
    }

    /// Makes sure that a component may be taken as this stage's, before anything of it is looked at. Returns
    /// what has to hold of it yet.
    pub(super) fn check_trust(
        &self,
        stage: &str,
        bytes: &[u8],
        signature: Option<&str>,
    ) -> Result<Claim, EngineError> {
        Ok(self.trust.check(stage, bytes, signature.unwrap_or_default())?)
    }

    /// Whether it takes signed components only.
    pub(super) fn wants_signatures(&self) -> bool {
        self.trust.wants_signatures()
    }

    /// Compiles a component, or takes it from the cache.
    pub(super) fn compile(&self, bytes: &[u8]) -> Result<Component, EngineError> {
        if !bytes.starts_with(b"\0asm") {
            return Err(EngineError::NotWasm);
        }
        Component::from_binary(&self.wasmtime, bytes)
            .map_err(|error| EngineError::Compile(error.into()))
    }
}

#[cfg(test)]
mod tests;
