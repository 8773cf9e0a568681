//! What a reader asks a tile for, as query parameters.

use std::collections::HashMap;

use clickmill_core::{Micros, NotAMoment};
use clickmill_tables::result_set::Parameter;

/// The parameter that says how wide a bucket of time is.
pub(super) const BUCKET: &str = "bucket_secs";
/// The parameter that says what the moment is.
pub(super) const NOW: &str = "now";

/// Buckets that a range has, about.
const BUCKETS: i64 = 60;
/// How wide they may be: seconds that a person counts in.
pub(super) const WIDTHS: [i64; 16] = [
    1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000,
    31_536_000,
];

/// A range of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    from: Option<Micros>,
    to: Option<Micros>,
}

/// An end of a range that is not a moment.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` is `{value}`, {wanted}")]
pub(super) struct RangeError {
    key: &'static str,
    value: String,
    wanted: NotAMoment,
}

impl Range {
    /// Reads `from` and `to`; each may be missing.
    pub(crate) fn parse(asked: &HashMap<String, String>) -> Result<Self, RangeError> {
        let read = |key: &'static str| match asked.get(key).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => {
                let wrong = |wanted| RangeError { key, value: value.clone(), wanted };
                value.parse().map(Some).map_err(wrong)
            }
        };
        Ok(Self { from: read("from")?, to: read("to")? })
    }

    /// The values of a tile's parameters. What is not asked for is null: all of it. `extent` is from when
    /// to when there are rows in it.
    pub(crate) fn parameters<'a>(
        &self,
        names: &'a [String],
        asked: &HashMap<String, String>,
        now: Micros,
        extent: Option<(Micros, Micros)>,
    ) -> Vec<(&'a str, Parameter)> {
        let (earliest, latest) = extent.unwrap_or(((now.get() - DAY_MICROS).into(), now));
        let range = self.to.unwrap_or(latest).since(self.from.unwrap_or(earliest));
        let value = |name: &str| match name {
            "from" => Parameter::Timestamp(self.from.unwrap_or_default()),
            "to" => Parameter::Timestamp(self.to.unwrap_or_else(end)),
            NOW => Parameter::Timestamp(now),
            BUCKET => Parameter::Integer(width(range.as_secs() as i64)),
            other => Parameter::Text(asked.get(other).filter(|value| !value.is_empty()).cloned()),
        };
        names.iter().map(|name| (name.as_str(), value(name))).collect()
    }
}

/// The width of buckets among the values of a tile's parameters, in seconds, where it asks for one.
pub(super) fn bucket(parameters: &[(&str, Parameter)]) -> Option<i64> {
    parameters.iter().find_map(|(name, value)| match value {
        Parameter::Integer(width) if *name == BUCKET => Some(*width),
        _ => None,
    })
}

/// The microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// 9999-12-31T00:00:00Z: the last day that BigQuery knows.
pub(super) fn end() -> Micros {
    Micros::from(253_402_214_400_000_000)
}

/// A width that gives about [`BUCKETS`] buckets.
fn width(seconds: i64) -> i64 {
    let wanted = seconds / BUCKETS;
    let found = WIDTHS.iter().find(|width| **width >= wanted);
    *found.unwrap_or(&WIDTHS[WIDTHS.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_about_sixty_buckets_of_a_width_that_people_count_in() {
        for (seconds, wanted) in [
            (0, 1),
            (900, 30),
            (3600, 60),
            (86_400, 1800),
            (604_800, 10_800),
            (2_592_000, 43_200),
            (10_000_000_000, 31_536_000),
        ] {
            assert_eq!(width(seconds), wanted, "{seconds} s");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_all_of_it() {
        let asked = HashMap::from([
            ("from".to_owned(), "2026-11-25T10:00:00Z".to_owned()),
            ("country".to_owned(), String::new()),
            ("category".to_owned(), "it's".to_owned()),
        ]);
        let names = ["from", "to", "country", "category"].map(str::to_owned);
        let range = Range::parse(&asked).unwrap();
        let parameters = range.parameters(&names, &asked, 7.into(), None);
        let values: Vec<Parameter> = parameters.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(
            values,
            [
                Parameter::Timestamp(1_795_600_800_000_000.into()),
                Parameter::Timestamp(end()),
                Parameter::Text(None),
                Parameter::Text(Some("it's".to_owned())),
            ]
        );
        assert_eq!(bucket(&parameters), None);
        let names = [BUCKET.to_owned()];
        let hour = (0.into(), 3_600_000_000.into());
        let all = Range::parse(&HashMap::new()).unwrap();
        let parameters = all.parameters(&names, &HashMap::new(), 7.into(), Some(hour));
        assert_eq!(bucket(&parameters), Some(60));
        let asked = HashMap::from([("to".to_owned(), "noon".to_owned())]);
        let error = Range::parse(&asked).unwrap_err().to_string();
        assert_eq!(error, "`to` is `noon`, wanted a moment such as 2026-11-25T10:00:00Z");
    }
}
