//! The wasmtime engine: one per process, with compiled code cached on disk and instances pooled.
//!
//! Components that are made of more than the pool has places for, as those of interpreters are, have an engine
//! of their own beside it, which sets memory aside for an instance as it is made. Code is compiled alike for
//! both, so what a plugin answers and what it costs in fuel is the same by either.

use std::path::Path;
use std::sync::Arc;

use super::cache::{self, CacheError};
use super::compiler::{CompileError, Compiler, LARGE_BYTES, Processes, WithinBounds};
use super::permits::Permits;
use super::settings;
use super::shape::{self, Parts, ShapeError};
use super::trust::{Claim, Trust, TrustError};
use clickmill_config::ComponentLimits;
use clickmill_core::{Digest, Fault};
use rustix::process::{Resource, getrlimit};
use wasmtime::component::Component;
use wasmtime::{InstanceAllocationStrategy, PoolingAllocationConfig};

/// Plugins that run at a time, over all stages and threads; others wait. Each reserves address space for
/// one linear memory, so the pool is not oversized.
const MAX_INSTANCES: u32 = 512;

/// Memory of a slot that is cleared instead of given back to the kernel: what a stage touches for a
/// full batch. Below that, a fresh instance per batch pays for page faults.
const KEEP_RESIDENT_BYTES: usize = 16 << 20;

/// The same of a table: what a plugin's functions that are called indirectly take, and more.
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// The most linear memory that a pipeline file may grant an instance.
const MAX_MEMORY_BYTES: usize = 1 << 30;

/// With so many addresses it reserves all that it wants, by a wide margin.
const ADDRESSES: u64 = 2 << 40;

/// What the pool has for a component: core instances, of the plugin's module and of those that tools put
/// around it to adapt its imports, and their memories and tables.
const POOLED: Parts = Parts { core_instances: 16, memories: 1, tables: 4 };

/// Elements of a table, which are the functions that a plugin calls indirectly. The pool sets memory for so
/// many aside in each slot, so no guest may grow a table beyond them.
pub(super) const MAX_TABLE_ELEMENTS: usize = 20_000;

/// Compiles components and holds the pool of instances.
#[derive(Clone)]
pub struct Engine {
    /// Has a pool of instances.
    pub(super) wasmtime: wasmtime::Engine,
    /// Has none: for components of more parts than the pool has places for.
    on_demand: wasmtime::Engine,
    /// Permits for instances. What a permit is good for is more than any component may have, so whoever has
    /// one is not refused an instance by the pool, whatever others use.
    pub(super) permits: Permits,
    /// Which components are taken; without keys, unsigned ones too.
    trust: Arc<Trust>,
    limits: ComponentLimits,
    compiling: Arc<Compiling>,
}

/// How components are compiled.
#[derive(Debug)]
struct Compiling {
    /// Where compiled code is kept. As long as there is an engine, there is its folder.
    folder: Arc<cache::Folder>,
    afforded: WithinBounds,
    /// By a process of this, and else in this one.
    compiler: Option<Compiler>,
    processes: Processes,
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
    /// This process may not have the addresses that the engine reserves.
    #[error(
        "cannot start the WebAssembly engine: it reserves 1.1 TB of addresses, most of which it never uses, and `ulimit -v` (RLIMIT_AS) allows {limit} bytes\nhint: `ulimit -v unlimited`; memory is bounded by `ulimit -d` (RLIMIT_DATA), or by a control group"
    )]
    Addresses {
        /// How many it may have.
        limit: u64,
        /// What the system says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The component is larger than is allowed.
    #[error("it has {bytes} bytes, wanted at most {limit} (`max_component_bytes`)")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// The bytes are no component, or have more of something than any plugin.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The component is not signed as it has to be.
    #[error("it is not trusted")]
    Untrusted(#[from] TrustError),
    /// The bytes are not a component, or one that can't be compiled.
    #[error("not a component that can be compiled")]
    Compile(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Compiling it takes too much, or its process does not run.
    #[error(transparent)]
    Compiler(CompileError),
}

impl From<CompileError> for EngineError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Refused(what) => Self::Compile(what.into()),
            other => Self::Compiler(other),
        }
    }
}

impl EngineError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Cache { .. } | Self::NoCache(_) | Self::Start(_) | Self::Addresses { .. } => {
                Fault::Environment
            }
            Self::TooLarge { .. } | Self::Shape(_) | Self::Untrusted(_) | Self::Compile(_) => {
                Fault::Input
            }
            Self::Compiler(error) => error.fault(),
        }
    }
}

impl Engine {
    /// Starts an engine that keeps compiled code under `folder`, which is made for the user alone where it was
    /// not there. Where others than the user can write to it or to one above, or something of others is in
    /// there, it keeps none, and says so at `warn`.
    ///
    /// # Errors
    ///
    /// The folder cannot be made, or not even one for this process alone; the engine cannot start here, such as for want
    /// of addresses.
    pub fn new(folder: &Path) -> Result<Self, EngineError> {
        Self::start(Some(folder), MAX_INSTANCES)
    }

    /// Starts an engine that keeps no compiled code: each start compiles anew.
    ///
    /// # Errors
    ///
    /// The engine cannot start here, such as for want of addresses.
    pub fn without_cache() -> Result<Self, EngineError> {
        Self::start(None, MAX_INSTANCES)
    }

    /// Starts an engine of which so many plugins run at a time.
    pub(super) fn start(folder: Option<&Path>, instances: u32) -> Result<Self, EngineError> {
        let folder = cache::Folder::open(folder)?;
        let mut config = settings::config(folder.path()).map_err(|error| EngineError::Cache {
            path: folder.path().display().to_string(),
            source: error.into(),
        })?;
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances * POOLED.core_instances)
            .total_memories(instances * POOLED.memories)
            .total_tables(instances * POOLED.tables)
            .total_stacks(instances)
            .max_core_instances_per_component(POOLED.core_instances)
            .max_memories_per_component(POOLED.memories)
            .max_tables_per_component(POOLED.tables)
            .table_elements(MAX_TABLE_ELEMENTS)
            .max_memory_size(MAX_MEMORY_BYTES)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
            .pagemap_scan(wasmtime::Enabled::Auto);
        let started = |config: &wasmtime::Config| {
            wasmtime::Engine::new(config).map_err(|error| match getrlimit(Resource::As).current {
                Some(limit) if limit < ADDRESSES => {
                    EngineError::Addresses { limit, source: error.into() }
                }
                _ => EngineError::Start(error.into()),
            })
        };
        let on_demand = started(&config)?;
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let wasmtime = started(&config)?;
        let afforded = WithinBounds::of(folder.path(), &settings::number(&wasmtime));
        let processes = Processes::default();
        let folder = Arc::new(folder);
        let compiling = Compiling { folder, afforded, compiler: None, processes };
        let (trust, limits) = (Arc::default(), ComponentLimits::default());
        let permits = Permits::new(instances as usize);
        Ok(Self { wasmtime, on_demand, permits, trust, limits, compiling: Arc::new(compiling) })
    }

    /// The engine, which from now on takes components within these limits. Time and memory are bounded where
    /// a [`Compiler`] compiles.
    pub fn limiting(self, limits: ComponentLimits) -> Self {
        Self { limits, ..self }
    }

    /// The engine, for which from now on processes of this compiler compile what is not in the cache. Without
    /// one it is compiled in this process, without bounds but those of its size and shape.
    pub fn compiling_by(self, compiler: Compiler) -> Self {
        let Compiling { folder, afforded, .. } = &*self.compiling;
        let (folder, afforded) = (folder.clone(), afforded.clone());
        let (compiler, processes) = (Some(compiler), Processes::default());
        let compiling = Arc::new(Compiling { folder, afforded, compiler, processes });
        Self { compiling, ..self }
    }

    /// What a component may have and take.
    pub fn limits(&self) -> ComponentLimits {
        self.limits
    }

    /// Compiles no more, for this engine and its clones, and ends the processes that do: whoever waits for
    /// them has an error.
    pub fn stop(&self) {
        self.compiling.processes.stop();
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
        if bytes.len() > self.limits.max_bytes {
            return Err(EngineError::TooLarge { bytes: bytes.len(), limit: self.limits.max_bytes });
        }
        let parts = shape::check(bytes)?;
        let wasmtime = if parts.fit(POOLED) { &self.wasmtime } else { &self.on_demand };
        let digest = Digest::of(bytes);
        let Some(mapped) = self.compiling.folder.mapped() else {
            return self.compile_as(wasmtime, bytes, &digest);
        };
        let name = format!("{}-{digest}", settings::number(wasmtime));
        if let Some(component) = mapped.open(wasmtime, &name) {
            return Ok(component);
        }
        let component = self.compile_as(wasmtime, bytes, &digest)?;
        if let Err(error) = mapped.keep(&component, &name) {
            tracing::warn!(%error, "a compiled plugin is not kept so that it can be mapped");
        }
        Ok(component)
    }

    fn compile_as(
        &self,
        wasmtime: &wasmtime::Engine,
        bytes: &[u8],
        digest: &Digest,
    ) -> Result<Component, EngineError> {
        let Compiling { folder, afforded, compiler, processes } = &*self.compiling;
        if let Some(compiler) = compiler
            && !afforded.has(digest)
        {
            if bytes.len() >= LARGE_BYTES {
                let (bytes, max_secs) = (bytes.len(), self.limits.max_compile_secs);
                tracing::info!(
                    bytes,
                    max_secs,
                    "compiling a large component, which takes a while the first time"
                );
            }
            processes.compile(compiler, folder.path(), self.limits, bytes)?;
            let swept = cache::sweep(folder.path(), cache::MAX_KEPT_BYTES, || afforded.forget());
            if let Err(error) = swept {
                tracing::warn!(%error, "compiled plugins beyond 512 MiB are not removed");
            }
            afforded.add(digest);
        }
        Component::from_binary(wasmtime, bytes).map_err(|error| EngineError::Compile(error.into()))
    }
}

#[cfg(test)]
mod tests;
