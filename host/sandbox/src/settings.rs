//! How components are compiled, which is the same wherever they are: code that one process compiles is
//! another's to run.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::path::Path;

use wasmtime::{Cache, CacheConfig, Config, Engine, OptLevel};

/// Functions within each other that a trap tells, the innermost ones.
const MAX_FRAMES: usize = 64;

/// Settings with a cache folder, which is an absolute path.
pub(super) fn config(cache: &Path) -> wasmtime::Result<Config> {
    let mut cache_config = CacheConfig::new();
    cache_config.with_directory(cache);
    let cache = Cache::new(cache_config)?;
    let mut config = Config::new();
    config
        .cache(Some(cache))
        .cranelift_opt_level(OptLevel::Speed)
        // A profile tells where a call is down to its first function.
        .wasm_backtrace_max_frames(NonZeroUsize::new(MAX_FRAMES))
        // Nobody asks where in a component a function is, nor unwinds its frames by the system's means: compiled code
        // without that is smaller, and sooner in memory at each start.
        .generate_address_map(false)
        .native_unwind_info(false)
        // Deterministic, and it measures what a plugin costs: see `host/benches`.
        .consume_fuel(true)
        // A plugin call is a plain call; with it on, each costs half a microsecond more.
        .concurrency_support(false)
        // The same on every machine: processors make NaNs of different bits, and relax differently.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Growing a table of 64 bits by a number near its end makes the count of fuel overflow: what is left
        // then is as good as endless, and the guest stops for no clock. No plugin needs that proposal.
        .wasm_memory64(false)
        // Without wasmtime's feature `gc`, what a guest may ask of this proposal (whether one type of
        // functions is another's subtype) ends the process: RUSTSEC-2026-0570.
        .wasm_gc(false);
    Ok(config)
}

/// A number of an engine's compiler and settings: what another one has compiled it does not run.
pub(super) fn number(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
