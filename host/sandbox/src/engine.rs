//! The wasmtime engine: one per process, with compiled code cached on disk and instances pooled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compiler::{Afforded, CompileError, Compiler, Processes};
use super::settings;
use super::shape::{self, ShapeError};
use super::signature::{Keys, SignatureError};
use super::slots::Slots;
use clickmill_config::ComponentLimits;
use clickmill_core::Fault;
use rustix::process::{Resource, getrlimit};
use wasmtime::component::Component;
use wasmtime::{InstanceAllocationStrategy, PoolingAllocationConfig};

/// Plugins that run at a time, over all stages and threads; others wait. Each reserves address space for
/// one linear memory, so the pool is not oversized.
const MAX_INSTANCES: u32 = 512;

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
    /// Places for instances. What a place is good for is more than any component may have, so whoever has
    /// one is not refused an instance by the pool, whatever others use.
    pub(super) slots: Slots,
    /// Who may sign components; where there are none, unsigned ones are compiled too.
    keys: Arc<Keys>,
    limits: ComponentLimits,
    compiling: Arc<Compiling>,
}

/// How components are compiled.
#[derive(Debug)]
struct Compiling {
    /// The folder of compiled code.
    cache: PathBuf,
    afforded: Afforded,
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
    Untrusted(#[from] SignatureError),
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
            Self::Cache { .. } | Self::Start(_) | Self::Addresses { .. } => Fault::Environment,
            Self::TooLarge { .. } | Self::Shape(_) | Self::Untrusted(_) | Self::Compile(_) => {
                Fault::Input
            }
            Self::Compiler(error) => error.fault(),
        }
    }
}

impl Engine {
    /// Starts an engine that keeps compiled code under `cache`.
    pub fn new(cache: &Path) -> Result<Self, EngineError> {
        Self::with_instances(cache, MAX_INSTANCES)
    }

    /// An engine of which so many plugins run at a time.
    pub(super) fn with_instances(cache: &Path, instances: u32) -> Result<Self, EngineError> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances * MAX_CORE_INSTANCES)
            .total_memories(instances)
            .total_tables(instances * MAX_TABLES)
            .total_stacks(instances)
            .max_core_instances_per_component(MAX_CORE_INSTANCES)
            .max_memories_per_component(1)
            .max_tables_per_component(MAX_TABLES)
            .table_elements(MAX_TABLE_ELEMENTS)
            .max_memory_size(MAX_MEMORY_BYTES)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .pagemap_scan(wasmtime::Enabled::Auto);
        let cache = std::path::absolute(cache).unwrap_or_else(|_| cache.to_owned());
        let mut config = settings::config(&cache).map_err(|error| EngineError::Cache {
            path: cache.display().to_string(),
            source: error.into(),
        })?;
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let wasmtime = wasmtime::Engine::new(&config).map_err(|error| {
            match getrlimit(Resource::As).current {
                Some(limit) => EngineError::Addresses { limit, source: error.into() },
                None => EngineError::Start(error.into()),
            }
        })?;
        let afforded = Afforded::of(&cache, wasmtime.precompile_compatibility_hash());
        let processes = Processes::default();
        let compiling = Compiling { cache, afforded, compiler: None, processes };
        let (keys, limits) = (Arc::default(), ComponentLimits::default());
        let slots = Slots::new(instances as usize);
        Ok(Self { wasmtime, slots, keys, limits, compiling: Arc::new(compiling) })
    }

    /// The engine, which from now on takes components within these limits. Time and memory are bounded where
    /// a [`Compiler`] compiles.
    pub fn limiting(self, limits: ComponentLimits) -> Self {
        Self { limits, ..self }
    }

    /// The engine, for which from now on processes of this compiler compile what is not in the cache. Without
    /// one it is compiled in this process, without bounds but those of its size and shape.
    pub fn compiling_by(self, compiler: Compiler) -> Self {
        let Compiling { cache, afforded, .. } = &*self.compiling;
        let (cache, afforded) = (cache.clone(), afforded.clone());
        let (compiler, processes) = (Some(compiler), Processes::default());
        let compiling = Arc::new(Compiling { cache, afforded, compiler, processes });
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

    /// The engine, which from now on compiles only what one of these keys has signed.
    pub fn trusting(self, keys: Keys) -> Self {
        Self { keys: Arc::new(keys), ..self }
    }

    /// Whether it takes signed components only.
    pub(super) fn wants_signatures(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Compiles a component, or takes it from the cache.
    pub(super) fn compile(
        &self,
        bytes: &[u8],
        signature: Option<&str>,
    ) -> Result<Component, EngineError> {
        if bytes.len() > self.limits.max_bytes {
            return Err(EngineError::TooLarge { bytes: bytes.len(), limit: self.limits.max_bytes });
        }
        if self.wants_signatures() {
            self.keys.check(bytes, signature.unwrap_or_default())?;
        }
        shape::check(bytes)?;
        let Compiling { cache, afforded, compiler, processes } = &*self.compiling;
        if let Some(compiler) = compiler
            && !afforded.has(bytes)
        {
            processes.compile(compiler, cache, self.limits, bytes)?;
            afforded.add(bytes);
        }
        Component::from_binary(&self.wasmtime, bytes)
            .map_err(|error| EngineError::Compile(error.into()))
    }
}
