//! How plugins change while the pipeline runs.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::plugin::Plugin;
use super::problem::{Problem, join, problem};
use clickmill_core::folder::is_known;

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
    /// A folder or `gs://bucket/prefix/` by which the processes that run this pipeline agree on one plugin set.
    pub fleet: Option<String>,
    /// How often a process of a fleet looks there, and says that it is alive.
    pub fleet_interval: Duration,
    /// How long a proposal is voted on, and how long a process may take to follow what was decided.
    pub fleet_deadline: Duration,
    /// How many processes of a fleet try a new set out before the others take it up: a share of them below 1, else
    /// their number. 0 for none.
    pub fleet_canary_replicas: f64,
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
    /// How much more, or less, of the good rows it may send to a table where there are routes: 0.1 is ten in a
    /// hundred. Before a swap, where both are given the same rows, the share that may go to other tables.
    pub max_routed_change: f64,
    /// How many more calls may end in a fault, as a share of the rows.
    pub max_fault_increase: f64,
    /// How many times the fuel per row it may use, in the stages that both sets have.
    pub max_fuel_ratio: f64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Swap")]
pub(super) struct RawSwap {
    /// A folder or `gs://bucket/prefix/` whose `<stage>.wasm` are taken up when they change.
    watch: Option<String>,
    /// How often what is watched is looked at.
    #[schemars(range(min = 0.05, max = 3600))]
    watch_interval_secs: f64,
    /// Where plugin sets are kept: a folder or `gs://bucket/prefix/`. Where absent, `_state` in the warehouse,
    /// and `clickmill-data/state` where the tables are in BigQuery. What runs is remembered there by the
    /// pipeline's name.
    state: Option<String>,
    /// A folder or `gs://bucket/prefix/` by which the processes that run this pipeline agree on one plugin set:
    /// `clickmill fleet swap` proposes another, all of them vote, and all take it up or none.
    fleet: Option<String>,
    /// How often a process of a fleet looks there, and says that it is alive. One that has not for three times as
    /// long is not waited for.
    #[schemars(range(min = 0.1, max = 60))]
    fleet_interval_secs: f64,
    /// How long a proposal is voted on, and how long a process may take to follow what was decided.
    #[schemars(range(min = 1, max = 3600))]
    fleet_deadline_secs: f64,
    /// How many processes of a fleet run a new set for `canary_secs` before the others take it up: a share of them
    /// below 1, else their number. 0 for none.
    #[schemars(range(min = 0, max = 1000))]
    fleet_canary_replicas: f64,
    /// A larger component is not read, nor at the start.
    #[schemars(range(min = 1024, max = ComponentLimits::MOST_BYTES))]
    max_component_bytes: usize,
    /// Processor time that compiling a component may take, in a process of its own.
    #[schemars(range(min = 1, max = 86_400))]
    max_compile_secs: u64,
    /// Memory that compiling a component may take.
    #[schemars(range(min = 100_000_000, max = 1_000_000_000_000_u64))]
    max_compile_bytes: u64,
    /// How many of the last batches a new set is tried on before it counts, 2048 rows of each.
    #[schemars(range(max = 64))]
    shadow_batches: usize,
    /// The share of batches, or objects, that a new set gets at first; 1 for all at once.
    #[schemars(range(min = 0.001, max = 1))]
    canary_share: f64,
    /// How long it gets no more than that.
    #[schemars(range(min = 0, max = 86_400))]
    canary_secs: f64,
    /// How long a new set is watched after that, and rolled back where it breaks a rule.
    #[schemars(range(min = 0, max = 7 * 86_400))]
    probation_secs: f64,
    /// Rates are those of the last so many rows.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    window_rows: u64,
    /// With fewer rows than that, nothing is said.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    min_rows: u64,
    /// How much more of the rows a new set may reject: 0.02 is two in a hundred.
    #[schemars(range(min = 0, max = 1))]
    max_rejected_increase: f64,
    /// How much more of the rows it may drop on purpose: 0.02 is two in a hundred.
    #[schemars(range(min = 0, max = 1))]
    max_filtered_increase: f64,
    /// The share of good rows that may have other values than the set before gives them; 1 for any.
    #[schemars(range(min = 0, max = 1))]
    max_changed_share: f64,
    /// How much more, or less, of the good rows it may send to a table where there are routes: 0.1 is ten in a
    /// hundred.
    #[schemars(range(min = 0, max = 1))]
    max_routed_change: f64,
    /// How many more calls may end in a fault, as a share of the rows.
    #[schemars(range(min = 0, max = 1))]
    max_fault_increase: f64,
    /// How many times the fuel per row it may use, in the stages that both sets have.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    max_fuel_ratio: f64,
}

impl Default for RawSwap {
    fn default() -> Self {
        let components = ComponentLimits::default();
        Self {
            watch: None,
            watch_interval_secs: 1.0,
            state: None,
            fleet: None,
            fleet_interval_secs: 5.0,
            fleet_deadline_secs: 120.0,
            fleet_canary_replicas: 0.0,
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
            max_routed_change: 0.1,
            max_fault_increase: 0.001,
            max_fuel_ratio: 3.0,
        }
    }
}

/// What is watched counts for one process at once, and what a fleet agrees on for all: not both.
pub(super) fn check(swap: &Swap, plugins: &[Plugin], problems: &mut Vec<Problem>) {
    if swap.fleet.is_none() {
        return;
    }
    let replicas = swap.fleet_canary_replicas;
    if replicas >= 1.0 && replicas.fract() > 0.0 {
        let message = format!("is {replicas}, wanted a share below 1, or a whole number");
        problem(problems, "swap.fleet_canary_replicas", message);
    }
    let message = "is for one process, and `swap.fleet` for all that run the pipeline: leave one of them out, and propose to a fleet by `clickmill fleet swap`";
    if swap.watch.is_some() {
        problem(problems, "swap.watch", message.to_owned());
    }
    for (at, _) in plugins.iter().enumerate().filter(|(_, plugin)| plugin.watch) {
        problem(problems, &format!("plugin[{at}].watch"), message.to_owned());
    }
}

pub(super) fn swap(raw: RawSwap, folder: &Path, problems: &mut Vec<Problem>) -> Swap {
    let seconds = Duration::from_secs_f64;
    let mut place = |key: &str, given: Option<String>| {
        let given = given?;
        let is_uri = given.contains("://");
        let place = if is_uri {
            given.clone()
        } else {
            join(folder, &given).to_string_lossy().into_owned()
        };
        // No text at all would be the folder of the pipeline file.
        if given.is_empty() || !is_known(&place) {
            let message = format!("is `{given}`, wanted a folder or `gs://bucket/prefix/`");
            problem(problems, &format!("swap.{key}"), message);
        }
        Some(place)
    };
    Swap {
        watch: place("watch", raw.watch),
        watch_interval: seconds(raw.watch_interval_secs),
        state: place("state", raw.state),
        fleet: place("fleet", raw.fleet),
        fleet_interval: seconds(raw.fleet_interval_secs),
        fleet_deadline: seconds(raw.fleet_deadline_secs),
        fleet_canary_replicas: raw.fleet_canary_replicas,
        components: ComponentLimits {
            max_bytes: raw.max_component_bytes,
            max_compile_secs: raw.max_compile_secs,
            max_compile_bytes: raw.max_compile_bytes,
        },
        shadow_batches: raw.shadow_batches,
        canary_share: raw.canary_share,
        canary: seconds(raw.canary_secs),
        probation: seconds(raw.probation_secs),
        rules: Rules {
            window_rows: raw.window_rows,
            min_rows: raw.min_rows,
            max_rejected_increase: raw.max_rejected_increase,
            max_filtered_increase: raw.max_filtered_increase,
            max_changed_share: raw.max_changed_share,
            max_routed_change: raw.max_routed_change,
            max_fault_increase: raw.max_fault_increase,
            max_fuel_ratio: raw.max_fuel_ratio,
        },
    }
}
