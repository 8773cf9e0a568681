//! How much memory the SQL engine's process may have.

/// The environment variable that says so, in MiB.
pub const MEMORY_VARIABLE: &str = "CLICKMILL_SQL_MEMORY_MB";
/// 16 TiB. In bytes it is a number that fits.
const MOST_MB: u64 = 16 << 20;

/// What [`MEMORY_VARIABLE`] says, if it says anything.
///
/// # Errors
///
/// The value, where it is no such number.
pub fn memory_mb() -> Result<Option<u64>, String> {
    let Some(value) = std::env::var_os(MEMORY_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let value = value.to_string_lossy();
    read(&value).map(Some).ok_or_else(|| value.into_owned())
}

fn read(value: &str) -> Option<u64> {
    value.parse().ok().filter(|megabytes| (1..=MOST_MB).contains(megabytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_number_that_a_machine_may_have() {
        assert_eq!(read("1"), Some(1));
        assert_eq!(read("4096"), Some(4096));
        assert_eq!(read("16777216"), Some(MOST_MB));
        for value in ["0", "-1", "4GB", "4096 ", "1e3", "16777217", "17592186044416", "soon"] {
            assert_eq!(read(value), None, "{value}");
        }
        assert!(MOST_MB.checked_mul(1 << 20).is_some());
    }
}
