//! Moments, as tables, plugins and the wire have them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use arrow::array::{AsArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};

/// A moment: microseconds since 1970-01-01T00:00:00Z. It is shown in RFC 3339 and in UTC; in JSON it is
/// the number.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(i64);

/// A text that is not a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("wanted a moment such as 2026-11-25T10:00:00Z")]
pub struct NotAMoment;

impl Micros {
    /// Later than any other.
    pub const MAX: Self = Self(i64::MAX);

    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(since.map_or(0, |since| since.as_micros() as i64))
    }

    /// The number of microseconds since 1970-01-01T00:00:00Z.
    pub fn get(self) -> i64 {
        self.0
    }

    /// In RFC 3339, to the second.
    pub fn to_the_second(self) -> String {
        Self(self.0.saturating_sub(self.0.rem_euclid(1_000_000))).to_string()
    }

    /// How long after another moment this one is: zero where it is before that.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<i64> for Micros {
    fn from(micros: i64) -> Self {
        Self(micros)
    }
}

impl FromStr for Micros {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        let texts = StringArray::from(vec![text]);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let moments = arrow::compute::cast(&texts, &micros).map_err(|_| NotAMoment)?;
        let moment = moments.as_primitive::<TimestampMicrosecondType>().iter().next();
        moment.flatten().map(Self).ok_or(NotAMoment)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = TimestampMicrosecondArray::from(vec![self.0]).with_timezone("UTC");
        let options = FormatOptions::default();
        let shown = ArrayFormatter::try_new(&moment, &options);
        match shown.and_then(|shown| shown.value(0).try_to_string()) {
            Ok(text) => f.pad(&text),
            // Beyond the years that a table may hold.
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_is_shown() {
        let moments = [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2026-11-25T10:00:00.500Z", 1_795_600_800_500_000),
        ];
        for (text, micros) in moments {
            assert_eq!(text.parse(), Ok(Micros(micros)), "{text}");
            assert_eq!(Micros(micros).to_string(), text);
        }
        assert_eq!("2026-11-25T11:00:00+01:00".parse(), "2026-11-25T10:00:00Z".parse::<Micros>());
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z"] {
            assert_eq!(wrong.parse::<Micros>(), Err(NotAMoment), "{wrong}");
        }
        assert_eq!(Micros(1_999_999).to_the_second(), "1970-01-01T00:00:01Z");
        assert_eq!(Micros(-1).to_the_second(), "1969-12-31T23:59:59Z");
        assert_eq!(Micros::MAX.to_string(), "9223372036854775807 µs");
    }

    #[test]
    fn time_between_moments_is_never_negative() {
        assert_eq!(Micros(5).since(Micros(2)), Duration::from_micros(3));
        assert_eq!(Micros(2).since(Micros(5)), Duration::ZERO);
        assert_eq!(Micros(i64::MIN).since(Micros::MAX), Duration::ZERO);
    }

    #[test]
    fn in_json_a_moment_is_its_number() {
        assert_eq!(serde_json::to_string(&Micros(7)).unwrap(), "7");
        assert_eq!(serde_json::from_str::<Micros>("7").unwrap(), Micros(7));
    }
}
