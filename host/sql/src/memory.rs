//! How much memory this process may have: queries are somebody's text, and some ask for terabytes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Unless the environment says otherwise it is so much, or half of the machine's memory where that is less.
const DEFAULT_MB: u64 = 4096;

/// Bounds this process: beyond this, an allocation fails, which ends the process. The bound is on data,
/// not on addresses, of which allocators reserve more than they use. Returns it in bytes.
pub(super) fn bound() -> u64 {
    leave_no_image();
    // What is no number was told to whoever asks.
    let named = clickmill_query::memory_mb().ok().flatten();
    let megabytes = named.unwrap_or_else(|| DEFAULT_MB.min(machine_mb() / 2).max(256));
    let bytes = megabytes << 20;
    let before = getrlimit(Resource::Data);
    // Whoever started it may have set less.
    let bytes = before.current.map_or(bytes, |current| current.min(bytes));
    // Where the system refuses, the engine's own accounts still hold.
    let _ = setrlimit(Resource::Data, Rlimit { current: Some(bytes), ..before });
    bytes
}

/// Has the system write no image of the memory where the process ends so: it has the rows of visitors in it, and
/// whoever may ask decides how often that is.
fn leave_no_image() {
    let before = getrlimit(Resource::Core);
    // Less is always allowed.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..before });
}

/// The machine's memory in MiB, or what its container may have.
fn machine_mb() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes =
        total.and_then(|total| total.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let machine = kilobytes.map_or(u64::MAX, |kilobytes| kilobytes >> 10);
    // Of control groups in their second and first version: `max`, or a very large number, is none.
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limits = limits.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let limits = limits.filter_map(|text| text.trim().parse::<u64>().ok());
    limits.map(|bytes| bytes >> 20).fold(machine, u64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_ended_leaves_no_image_of_its_memory() {
        let before = getrlimit(Resource::Core);
        setrlimit(Resource::Core, Rlimit { current: before.maximum, ..before }).unwrap();
        leave_no_image();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }
}
