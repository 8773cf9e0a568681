//! How long something is to be, as it is given on the command line.

use std::time::Duration;

/// A clock does not count to any second: what is added to a moment has a bound.
const MOST: Duration = Duration::from_secs(366 * 86_400);

/// Reads `30s`, `5m` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time > MOST {
        Err("wanted at most a year, such as 30s, 5m or 2days".to_owned())
    } else {
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_that_a_clock_counts() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("366days"), Ok(MOST));
        for text in ["367days", "500000000000years", "18446744073709551615s"] {
            let told = duration(text).expect_err(text);
            assert!(told.contains("at most a year"), "{text}: {told}");
        }
        for text in ["", "5", "soon", "-1s", "99999999999999999999999s"] {
            duration(text).expect_err(text);
        }
    }
}
