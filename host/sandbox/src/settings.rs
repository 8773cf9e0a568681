//! How components are compiled, which is the same wherever they are: code that one process compiles is
//! another's to run.

use std::path::Path;

use wasmtime::{Cache, CacheConfig, Config, OptLevel};

/// Settings with a cache folder, which is an absolute path.
pub(super) fn config(cache: &Path) -> wasmtime::Result<Config> {
    let mut cache_config = CacheConfig::new();
    cache_config.with_directory(cache);
    let cache = Cache::new(cache_config)?;
    let mut config = Config::new();
    config
        .cache(Some(cache))
        .cranelift_opt_level(OptLevel::Speed)
        // Deterministic, and it measures what a plugin costs: see `host/benches`.
        .consume_fuel(true)
        // A plugin call is a plain call; with it on, each costs half a microsecond more.
        .concurrency_support(false);
    Ok(config)
}
