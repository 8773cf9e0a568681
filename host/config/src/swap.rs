//! How plugins change while the pipeline runs.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::problem::{Problem, join, problem};

/// How a changed plugin set is checked, taken up and watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Swap {
    /// A folder or `gs://bucket/prefix/` whose `<stage>.wasm` are taken up when they change.
    pub watch: Option<String>,
    /// How often what is watched is looked at.
    pub watch_interval: Duration,
    /// Where plugin sets are kept: a folder or `gs://bucket/prefix/`. Beside the tables, or under
    /// `clickmill-data`, where absent.
    pub state: Option<String>,
    /// What components may have and take, at the start too.
    pub components: ComponentLimits,
    /// How many of the last batches a new set is tried on before it counts.
    pub shadow_batches: usize,
    /// The share of batches that a new set gets at first; 1 for all at once.
    pub canary_share: f64,
    /// How long it gets no more than that.
    pub canary: Duration,
    /// How long a new set is watched, and rolled back where it breaks a rule.
    pub probation: Duration,
    /// The rules.
    pub rules: Rules,
}

/// What a component may have, and what compiling it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComponentLimits {
    /// Its size in bytes.
    pub max_bytes: usize,
    /// Processor time that compiling it takes, over all threads, in whole seconds.
    pub max_compile_secs: u64,
    /// Memory that compiling it takes, in bytes.
    pub max_compile_bytes: u64,
}

impl ComponentLimits {
    /// The largest component that may be allowed, in bytes.
    pub const MOST_BYTES: usize = 256 << 20;
}

impl Default for ComponentLimits {
    /// With what surrounds compiling, any file is inspected within 60 s of processor time and 1 GB.
    fn default() -> Self {
        Self { max_bytes: 32 << 20, max_compile_secs: 50, max_compile_bytes: 900_000_000 }
    }
}

/// What a new plugin set may do worse than the one before it. Rates are those of the last
/// `window_rows` rows of each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Rows that rates are taken over.
    pub window_rows: u64,
    /// With fewer rows than that, nothing is said.
    pub min_rows: u64,
    /// How much more of the rows it may reject: 0.02 is two in a hundred.
    pub max_rejected_increase: f64,
    /// How much more of the rows it may drop on purpose: 0.02 is two in a hundred. Such rows are in no
    /// table.
    pub max_filtered_increase: f64,
    /// The share of good rows that may have other values than the set before gives them; 1 for any. Told
    /// only where both are given the same rows: before a swap.
    pub max_changed_share: f64,
    /// How many more calls may end in a fault, as a share of the rows.
    pub max_fault_increase: f64,
    /// How many times the fuel per row it may use.
    pub max_fuel_ratio: f64,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSwap {
    watch: Option<String>,
    watch_interval_secs: f64,
    state: Option<String>,
    max_component_bytes: usize,
    max_compile_secs: u64,
    max_compile_bytes: u64,
    shadow_batches: usize,
    canary_share: f64,
    canary_secs: f64,
    probation_secs: f64,
    window_rows: u64,
    min_rows: u64,
    max_rejected_increase: f64,
    max_filtered_increase: f64,
    max_changed_share: f64,
    max_fault_increase: f64,
    max_fuel_ratio: f64,
}

impl Default for RawSwap {
    fn default() -> Self {
        let components = ComponentLimits::default();
        Self {
            watch: None,
            watch_interval_secs: 1.0,
            state: None,
            max_component_bytes: components.max_bytes,
            max_compile_secs: components.max_compile_secs,
            max_compile_bytes: components.max_compile_bytes,
            shadow_batches: 8,
            canary_share: 1.0,
            canary_secs: 30.0,
            probation_secs: 600.0,
            window_rows: 10_000,
            min_rows: 500,
            max_rejected_increase: 0.02,
            max_filtered_increase: 0.02,
            max_changed_share: 1.0,
            max_fault_increase: 0.001,
            max_fuel_ratio: 3.0,
        }
    }
}

pub(super) fn swap(raw: RawSwap, folder: &Path, problems: &mut Vec<Problem>) -> Swap {
    let mut within = |key: &str, value: f64, least: f64, most: f64| {
        if !(least..=most).contains(&value) {
            let message = format!("is {value}, wanted {least} to {most}");
            problem(problems, &format!("swap.{key}"), message);
            return least;
        }
        value
    };
    let seconds = Duration::from_secs_f64;
    let uri = |uri: String| {
        if uri.contains("://") { uri } else { join(folder, &uri).to_string_lossy().into_owned() }
    };
    Swap {
        watch_interval: seconds(within(
            "watch_interval_secs",
            raw.watch_interval_secs,
            0.05,
            3600.0,
        )),
        components: ComponentLimits {
            max_bytes: within(
                "max_component_bytes",
                raw.max_component_bytes as f64,
                1024.0,
                ComponentLimits::MOST_BYTES as f64,
            ) as usize,
            max_compile_secs: within("max_compile_secs", raw.max_compile_secs as f64, 1.0, 86_400.0)
                as u64,
            max_compile_bytes: within("max_compile_bytes", raw.max_compile_bytes as f64, 1e8, 1e12)
                as u64,
        },
        shadow_batches: within("shadow_batches", raw.shadow_batches as f64, 0.0, 64.0) as usize,
        canary_share: within("canary_share", raw.canary_share, 0.001, 1.0),
        canary: seconds(within("canary_secs", raw.canary_secs, 0.0, 86_400.0)),
        probation: seconds(within("probation_secs", raw.probation_secs, 0.0, 7.0 * 86_400.0)),
        rules: Rules {
            window_rows: within("window_rows", raw.window_rows as f64, 1.0, 1e9) as u64,
            min_rows: within("min_rows", raw.min_rows as f64, 1.0, 1e9) as u64,
            max_rejected_increase: within(
                "max_rejected_increase",
                raw.max_rejected_increase,
                0.0,
                1.0,
            ),
            max_filtered_increase: within(
                "max_filtered_increase",
                raw.max_filtered_increase,
                0.0,
                1.0,
            ),
            max_changed_share: within("max_changed_share", raw.max_changed_share, 0.0, 1.0),
            max_fault_increase: within("max_fault_increase", raw.max_fault_increase, 0.0, 1.0),
            max_fuel_ratio: within("max_fuel_ratio", raw.max_fuel_ratio, 1.0, 1e9),
        },
        watch: raw.watch.map(uri),
        state: raw.state.map(uri),
    }
}
