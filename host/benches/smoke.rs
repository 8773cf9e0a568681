//! The smoke mode, `CLICKMILL_BENCH=smoke`: a bench does its work once on little data, which tells that it
//! still runs, and nothing about speed.

/// What the mode that was asked for takes of the two.
pub(crate) fn of<T>(full: T, smoke: T) -> T {
    match std::env::var_os("CLICKMILL_BENCH") {
        None => full,
        Some(mode) if mode == "smoke" => smoke,
        Some(mode) => panic!("CLICKMILL_BENCH is {mode:?}, wanted smoke or nothing"),
    }
}
