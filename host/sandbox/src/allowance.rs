//! What a plugin may use for a batch, however many calls are made of it.
//!
//! A batch on which a plugin fails is split, and each piece is another call, with fuel by its rows and by the
//! bytes that the plugin is given of them. Enough is set aside for all of them together to find some dozens of
//! rows on each of which the plugin uses up all it may. A plugin that fails more often, or at more cost, is not
//! asked any further for this batch: so it costs a fixed multiple of what it may use, and its verdicts are the
//! same wherever it runs.

use std::fmt;
use std::time::Duration;

use clickmill_config::Limits;

/// All calls for a batch may use so many times the fuel of its records, …
const TIMES_RECORDS: u64 = 8;
/// … so many times what a call may cost beside that, …
const TIMES_CALL: u64 = 64;
/// … and so many times the processor time of a call.
const TIMES_TIME: u64 = 8;

/// A column of texts holds no more bytes, so the columns of all pieces can be joined.
const MAX_OUTPUT_BYTES: usize = i32::MAX as usize;

/// What a fresh instance costs the host: about what the same work costs in Wasm.
const FUEL_PER_INSTANCE: u64 = 200_000;
/// So many bytes that the host clears or copies cost it one.
const BYTES_PER_FUEL: u64 = 8;

/// The fuel that a call for so many rows, of so many bytes, may use.
fn fuel_of_call(limits: &Limits, rows: usize, bytes: usize) -> u64 {
    fuel_of_rows(limits, rows, bytes).saturating_add(limits.max_fuel_per_batch)
}

/// What of that is for the rows.
pub(super) fn fuel_of_rows(limits: &Limits, rows: usize, bytes: usize) -> u64 {
    let records = limits.max_fuel_per_record.saturating_mul(rows as u64);
    records.saturating_add(fuel_of_bytes(limits, bytes))
}

fn fuel_of_bytes(limits: &Limits, bytes: usize) -> u64 {
    limits.max_fuel_per_kib.saturating_mul(bytes as u64 / 1024)
}

/// How often the bytes of one row may be given to a plugin on the way to it: halves of rows are no halves of
/// bytes, so each piece that holds it may hold nearly all of them, and its neighbour the rest.
fn times_bytes(rows: usize) -> u64 {
    u64::from(usize::BITS - rows.leading_zeros()) + 2
}

/// What a call costs the host, as fuel, by the bytes of memory that have to be clean for it and those of
/// its answer.
fn fuel_of_host(bytes: usize) -> u64 {
    FUEL_PER_INSTANCE + bytes as u64 / BYTES_PER_FUEL
}

/// A limit that grants fuel, by its name in the pipeline file, and what it is: as a message goes on that says how much
/// there was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FuelLimit(&'static str, u64);

impl FuelLimit {
    /// The one that grants most of what rows of so many bytes may use.
    pub(crate) fn of(limits: &Limits, rows: usize, bytes: usize) -> Self {
        if fuel_of_bytes(limits, bytes) > limits.max_fuel_per_record.saturating_mul(rows as u64) {
            Self("max_fuel_per_kib", limits.max_fuel_per_kib)
        } else {
            Self("max_fuel_per_record", limits.max_fuel_per_record)
        }
    }

    /// The one that grants what a question may use.
    pub(crate) fn of_question(limits: &Limits) -> Self {
        Self("max_fuel_per_batch", limits.max_fuel_per_batch)
    }
}

impl fmt::Display for FuelLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, value) = self;
        write!(f, "which its `{name}` under `[plugin.limits]` raises, {value} now")
    }
}

/// What is left for a batch.
pub(super) struct Allowance {
    limits: Limits,
    all_fuel: u64,
    granted_by: FuelLimit,
    all_time: Duration,
    fuel: u64,
    time: Duration,
    /// The processor time of this thread at which the first call began.
    since: Option<Duration>,
    /// Bytes that its pieces may still return.
    pub output_bytes: usize,
    /// Log lines that may still be written.
    pub log_lines: usize,
}

/// What a call may use.
pub(super) struct Share {
    pub fuel: u64,
    pub time: Duration,
    /// Where they are less than a call may have: of what nothing is left after it.
    pub last_fuel: Option<UsedUp>,
    pub last_time: Option<UsedUp>,
}

/// Of what nothing is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum UsedUp {
    /// Fuel, of which there was so much, most of it by this limit.
    Fuel(u64, FuelLimit),
    /// Processor time, of which there was so much.
    Time(Duration),
}

impl Allowance {
    /// Of a batch of so many rows, of which the plugin is given so many bytes.
    pub(crate) fn new(limits: Limits, rows: usize, bytes: usize) -> Self {
        let records = limits.max_fuel_per_record.saturating_mul(rows as u64);
        let host = fuel_of_host(limits.max_memory_bytes.saturating_add(limits.max_output_bytes));
        let call = limits.max_fuel_per_batch.saturating_add(host);
        let fuel = records
            .saturating_mul(TIMES_RECORDS)
            .saturating_add(fuel_of_bytes(&limits, bytes).saturating_mul(times_bytes(rows)))
            .saturating_add(call.saturating_mul(TIMES_CALL));
        let time = Duration::from_secs(limits.max_call_secs.saturating_mul(TIMES_TIME));
        Self {
            limits,
            all_fuel: fuel,
            granted_by: FuelLimit::of(&limits, rows, bytes),
            all_time: time,
            fuel,
            time,
            since: None,
            output_bytes: limits.max_output_bytes.min(MAX_OUTPUT_BYTES),
            log_lines: limits.max_log_lines,
        }
    }

    /// What a call for so many rows, of so many bytes, may use.
    pub(crate) fn share(&self, rows: usize, bytes: usize) -> Share {
        let fuel = fuel_of_call(&self.limits, rows, bytes);
        let time = Duration::from_secs(self.limits.max_call_secs);
        Share {
            fuel: fuel.min(self.fuel),
            time: time.min(self.time),
            last_fuel: (fuel > self.fuel).then_some(self.used_up_fuel()),
            last_time: (time > self.time).then_some(UsedUp::Time(self.all_time)),
        }
    }

    /// What nothing is left of, if so.
    pub(crate) fn used_up(&self) -> Option<UsedUp> {
        if self.fuel == 0 {
            Some(self.used_up_fuel())
        } else {
            self.time.is_zero().then_some(UsedUp::Time(self.all_time))
        }
    }

    fn used_up_fuel(&self) -> UsedUp {
        UsedUp::Fuel(self.all_fuel, self.granted_by)
    }

    /// Takes off what a call used: fuel, and the bytes of its memory and answer.
    pub(crate) fn spend(&mut self, fuel: u64, bytes: usize) {
        self.fuel = self.fuel.saturating_sub(fuel.saturating_add(fuel_of_host(bytes)));
    }

    /// The processor time of this thread as the next call begins: what was spent since the first began is taken off,
    /// on calls and between them.
    pub(crate) fn comes_to(&mut self, now: Duration) {
        let since = *self.since.get_or_insert(now);
        self.time = self.all_time.saturating_sub(now.saturating_sub(since));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The dearest way to the one row on which a plugin uses all it may: every piece that holds it does,
    /// and so does the neighbour of each.
    fn search(limits: Limits, rows: usize, bytes: usize) -> (u64, Allowance) {
        let mut allowance = Allowance::new(limits, rows, bytes);
        let mut calls = 0;
        let mut piece = rows;
        while piece > 0 {
            // The row has all the bytes that there are.
            let pieces = [bytes, 0];
            for bytes in &pieces[..if piece == rows { 1 } else { 2 }] {
                let last = allowance.share(piece, *bytes).last_fuel;
                assert_eq!(last, None, "{rows} rows, {calls} calls");
                allowance.spend(
                    fuel_of_call(&limits, piece, *bytes),
                    limits.max_memory_bytes + limits.max_output_bytes,
                );
                calls += 1;
            }
            piece /= 2;
        }
        (calls, allowance)
    }

    proptest! {
        #[test]
        fn a_guilty_row_is_found_whatever_the_limits_and_the_batch(
            per_record in 1..1_000_000_u64,
            per_batch in 1..1_000_000_000_u64,
            (per_kib, bytes) in (0..10_000_000_u64, 0..1_usize << 26),
            memory in 1..1_usize << 30,
            output in 1..1_usize << 30,
            rows in 1..1_usize << 20,
        ) {
            let limits = Limits {
                max_fuel_per_record: per_record,
                max_fuel_per_kib: per_kib,
                max_fuel_per_batch: per_batch,
                max_memory_bytes: memory,
                max_output_bytes: output,
                ..Limits::default()
            };
            let (calls, allowance) = search(limits, rows, bytes);
            prop_assert!(calls <= 41);
            prop_assert_eq!(allowance.used_up(), None);
        }
    }

    #[test]
    fn a_batch_costs_a_fixed_multiple_of_what_it_may_use() {
        let limits = Limits::default();
        for (rows, bytes) in [(1, 100), (1, 1 << 20), (100, 1 << 20), (8192, 4 << 20)] {
            let mut allowance = Allowance::new(limits, rows, bytes);
            let mut used = 0;
            while allowance.used_up().is_none() {
                let share = allowance.share(rows, bytes);
                used += share.fuel;
                allowance.spend(share.fuel, 0);
            }
            let call = fuel_of_call(&limits, rows, bytes) + (20 << 20);
            assert!(used <= 64 * call, "{rows}: {used}");
            let granted_by = FuelLimit::of(&limits, rows, bytes);
            assert_eq!(allowance.used_up(), Some(UsedUp::Fuel(allowance.all_fuel, granted_by)));
        }
    }

    /// By the KiB, so that a batch of small records costs what it did.
    #[test]
    fn large_records_may_use_more_and_small_ones_no_more() {
        let limits = Limits::default();
        let of = |rows, bytes| Allowance::new(limits, rows, bytes).share(rows, bytes).fuel;
        assert_eq!(of(1, 0), 10_200_000);
        assert_eq!(of(1, 1023), of(1, 0));
        assert_eq!(of(1, 1 << 20), of(1, 0) + 1024 * 500_000);
        assert_eq!(of(1024, 1 << 20), of(1024, 0) + 1024 * 500_000);
        let none = Limits { max_fuel_per_kib: 0, ..limits };
        assert_eq!(Allowance::new(none, 1, 1 << 30).share(1, 1 << 30).fuel, of(1, 0));
    }

    #[test]
    fn the_limit_is_named_that_grants_most() {
        let limits = Limits::default();
        let told = |rows, bytes| FuelLimit::of(&limits, rows, bytes).to_string();
        let by_record =
            "which its `max_fuel_per_record` under `[plugin.limits]` raises, 200000 now";
        let by_kib = "which its `max_fuel_per_kib` under `[plugin.limits]` raises, 500000 now";
        for (rows, bytes, wanted) in [
            (1, 100, by_record),
            (1000, 300_000, by_record),
            (1, 2048, by_kib),
            (2, 1 << 20, by_kib),
        ] {
            assert_eq!(told(rows, bytes), wanted, "{rows} rows of {bytes} bytes");
        }
    }

    #[test]
    fn calls_that_use_nothing_come_to_an_end_too() {
        let mut allowance = Allowance::new(Limits::default(), 1 << 20, 0);
        let calls = (0_u64..).take_while(|_| {
            allowance.spend(0, 0);
            allowance.used_up().is_none()
        });
        assert!(calls.count() < 1 << 24);
    }

    /// Whatever an embedder allows.
    #[test]
    fn what_the_pieces_return_together_fits_a_column() {
        let limits = Limits { max_output_bytes: usize::MAX, ..Limits::default() };
        let allowance = Allowance::new(limits, 100, 0);
        assert!(i32::try_from(allowance.output_bytes).is_ok(), "{}", allowance.output_bytes);
    }

    #[test]
    fn time_is_used_up_after_so_many_calls() {
        let mut allowance = Allowance::new(Limits::default(), 100, 0);
        let mut now = Duration::from_secs(4711);
        for call in 1..=TIMES_TIME {
            allowance.comes_to(now);
            assert_eq!(allowance.used_up(), None);
            let share = allowance.share(100, 0);
            assert_eq!(share.time, Duration::from_secs(30), "{call}");
            assert_eq!(share.last_time, None, "{call}");
            now += share.time;
        }
        allowance.comes_to(now);
        assert_eq!(allowance.used_up(), Some(UsedUp::Time(Duration::from_secs(240))));
    }
}
