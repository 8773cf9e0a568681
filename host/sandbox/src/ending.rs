//! Why a call ended, where it did not end well: a code for counting, and words for the operator.

use wasmtime::Trap;

use super::allowance::{Share, UsedUp};
use super::engine_words::{called_unknown_import, copied_too_much};
use super::guest::Guest;
use super::processor_time::OutOfTime;
use clickmill_config::Limits;

/// The code of a call that used up its fuel.
const OUT_OF_FUEL: &str = "plugin_out_of_fuel";
/// The code of rows that were not tried, since their batch had used up its fuel.
const GIVEN_UP: &str = "plugin_batch_given_up";
/// The code of a call that took too long.
pub(super) const TIMED_OUT: &str = "plugin_timed_out";

/// The code of a call that returned or passed more than it may.
const OUTPUT_TOO_LARGE: &str = "plugin_output_too_large";

/// Whether rows of this code were refused since their plugin had no fuel left, for them or for all of their batch.
pub fn lacked_fuel(code: &str) -> bool {
    [OUT_OF_FUEL, GIVEN_UP].contains(&code)
}

/// Why a call ended.
pub(super) struct Ending {
    pub code: &'static str,
    /// What the plugin did, as it goes on after its name.
    pub text: String,
}

/// The limits of a call, as its ending tells them.
pub(super) struct CallLimits<'a> {
    pub limits: Limits,
    /// The fuel of the call, what for, and how it gets more: `10200000 for a batch of 1, which its …`.
    pub fuel: &'a str,
    /// Bytes that it may return, and what for, as [`output_of_batch`] says it.
    pub output: &'a str,
}

/// What a plugin may return for a batch, and how it gets room for more.
pub(super) fn output_of_batch(limits: &Limits) -> String {
    let bytes = limits.max_output_bytes;
    format!(
        "{bytes} bytes for a batch, which its `max_output_bytes` raises; with a smaller `batch.max_bytes` it passes less"
    )
}

impl Ending {
    /// Why a call of a guest ended in an error.
    pub(crate) fn of(error: &wasmtime::Error, guest: &Guest, told: &CallLimits<'_>) -> Self {
        let CallLimits { limits, fuel, output } = told;
        if error.is::<OutOfTime>() {
            let secs = limits.max_call_secs;
            let text = format!("took too long: limit {secs} s of processor time a call");
            return Self { code: TIMED_OUT, text };
        }
        if let Some(wanted) = guest.refused_memory {
            let limit = limits.max_memory_bytes;
            let text =
                format!("exceeded its memory limit: limit {limit} bytes, wanted {wanted} bytes");
            return Self { code: "plugin_out_of_memory", text };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => {
                Self { code: OUT_OF_FUEL, text: format!("ran out of fuel: limit {fuel}") }
            }
            Some(Trap::StackOverflow) => Self::trap("trapped: its call stack overflowed"),
            Some(trap) => {
                let said = guest.last_error.clone().unwrap_or_else(|| in_words(*trap));
                Self::trap(&format!("trapped: {said}"))
            }
            None if copied_too_much(error) => Self::output_too_large(output),
            None => {
                let text = error.root_cause().to_string();
                let text = guest.redactor.clean(text, limits.max_message_bytes);
                if called_unknown_import(error) {
                    Self::trap(&format!("called what no plugin is given: {text}"))
                } else {
                    Self::bad_output(&text)
                }
            }
        }
    }

    /// The same, unless the call had no more than what was left for its batch.
    pub(crate) fn with(self, share: &Share) -> Self {
        let last = match self.code {
            OUT_OF_FUEL => share.last_fuel,
            TIMED_OUT => share.last_time,
            _ => None,
        };
        last.map_or(self, Self::gave_up)
    }

    fn trap(text: &str) -> Self {
        Self { code: "plugin_trap", text: text.to_owned() }
    }

    /// It answered what is no answer.
    pub(crate) fn bad_output(what: &str) -> Self {
        Self { code: "plugin_bad_output", text: format!("answered nonsense: {what}") }
    }

    /// It said itself that it could not work on the batch.
    pub(crate) fn fault(what: &str) -> Self {
        Self { code: "plugin_fault", text: format!("failed: {what}") }
    }

    /// It returned more than it may, or passed more to a function of the host.
    pub(crate) fn output_too_large(limit: &str) -> Self {
        let text = format!("passed the host too much: limit {limit}");
        Self { code: OUTPUT_TOO_LARGE, text }
    }

    /// Its rows have so many bytes, with all that is repeated for each of them, and there is room for fewer.
    pub(crate) fn answer_too_large(bytes: usize, room: usize, limits: &Limits) -> Self {
        let limit = output_of_batch(limits);
        let text = format!(
            "made rows of {bytes} bytes, with what is repeated for each of them, and had room for {room}: limit {limit}"
        );
        Self { code: OUTPUT_TOO_LARGE, text }
    }

    /// It used up all that it may for a batch, however often that is split: the rest is not tried.
    pub(crate) fn gave_up(of: UsedUp) -> Self {
        let failed = "failed on so much of a batch that the rest was not tried: limit";
        match of {
            UsedUp::Fuel(limit, granted_by) => Self {
                code: GIVEN_UP,
                text: format!("{failed} {limit} fuel for all calls, {granted_by}"),
            },
            UsedUp::Time(limit) => Self {
                code: TIMED_OUT,
                text: format!("{failed} {} s of processor time for all calls", limit.as_secs()),
            },
        }
    }
}

/// A trap that a plugin said nothing of before, by what such traps come from: the machine itself knows no line.
fn in_words(trap: Trap) -> String {
    let text = match trap {
        Trap::MemoryOutOfBounds => {
            "memory that it does not have was read or written, as by a wild pointer or a recursion without an end"
        }
        Trap::UnreachableCodeReached => {
            "it ended itself, as by `exit`, `abort`, or a function that ends without its `return`"
        }
        Trap::IndirectCallToNull | Trap::BadSignature => {
            "a function was called by a pointer that is none of such a function"
        }
        _ => return trap.to_string(),
    };
    text.to_owned()
}
