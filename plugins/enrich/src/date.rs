//! The day of the event: the UTC day of a timestamp, or year, month and day put together.
//!
//! A null timestamp gives a null day. A row of which a part is missing, or the parts are not a day of
//! the calendar, is refused.

use clickmill_plugin::{Batch, Column, DataType, Fault, Values};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Answer;
use crate::columns::{all_but, column};
use crate::plan::Plan;

/// Where the day comes from: give `timestamp`, or `year`, `month` and `day`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A timestamp column, of which the UTC day is taken. A null one gives a null day.
    timestamp: Option<String>,
    /// An int64 column, the year from 1 to 9999. A missing part, or parts that are not a day of the
    /// calendar, refuse the row with code `bad_date`.
    year: Option<String>,
    /// An int64 column, the month from 1 to 12.
    month: Option<String>,
    /// An int64 column, the day of the month from 1.
    day: Option<String>,
    /// The date column to write.
    #[serde(default = "default_to")]
    to: String,
}

fn default_to() -> String {
    "event_date".to_owned()
}

/// The enrichment, ready.
#[derive(Serialize, Deserialize)]
pub(crate) struct EventDate {
    from: From,
    to: String,
}

#[derive(Serialize, Deserialize)]
enum From {
    Timestamp(String),
    /// Year, month, day.
    Parts([String; 3]),
}

impl EventDate {
    pub(crate) fn configure(config: Config, plan: &mut Plan<'_>) -> Option<Self> {
        let from = match (config.timestamp, config.year, config.month, config.day) {
            (Some(timestamp), None, None, None) => {
                plan.read("event_date.timestamp", &timestamp, &[DataType::Timestamp]);
                From::Timestamp(timestamp)
            }
            (None, Some(year), Some(month), Some(day)) => {
                plan.read("event_date.year", &year, &[DataType::Int64]);
                plan.read("event_date.month", &month, &[DataType::Int64]);
                plan.read("event_date.day", &day, &[DataType::Int64]);
                From::Parts([year, month, day])
            }
            _ => {
                plan.problem("event_date", "give `timestamp`, or `year`, `month` and `day`");
                return None;
            }
        };
        plan.write("event_date.to", &config.to, DataType::Date);
        Some(Self { from, to: config.to })
    }

    pub(crate) fn enrich(&self, batch: &Batch, answer: &mut Answer) -> Result<(), Fault> {
        let (days, validity) = match &self.from {
            From::Timestamp(name) => {
                let timestamps = column(batch, name)?;
                let Values::Timestamps(micros) = &timestamps.values else {
                    return Err(wrong_type(name));
                };
                (utc_days(micros), timestamps.validity.clone())
            }
            From::Parts(names) => self.joined(names, batch, answer)?,
        };
        answer.add(Column::new(&self.to, Values::Dates(days), validity));
        Ok(())
    }

    fn joined(
        &self,
        names: &[String; 3],
        batch: &Batch,
        answer: &mut Answer,
    ) -> Result<(Vec<i32>, Option<Vec<u8>>), Fault> {
        let columns =
            [column(batch, &names[0])?, column(batch, &names[1])?, column(batch, &names[2])?];
        let [years, months, days] = [int64s(columns[0])?, int64s(columns[1])?, int64s(columns[2])?];
        let rows = batch.rows as usize;
        let nullable = columns.iter().any(|column| column.validity.is_some());
        let mut dates = Vec::with_capacity(rows);
        let mut bad = Vec::new();
        // The parts of the row before: most rows have the same.
        let mut last = ((0, 0, 0), None);
        for (row, ((year, month), day)) in years.iter().zip(months).zip(days).enumerate() {
            let parts = (*year, *month, *day);
            if last.0 != parts {
                last = (parts, date([*year, *month, *day]));
            }
            let missing = nullable && columns.iter().any(|column| !column.is_valid(row));
            match last.1.filter(|_| !missing) {
                Some(date) => dates.push(date),
                None => {
                    dates.push(0);
                    bad.push(row);
                }
            }
        }
        for row in &bad {
            let missing = columns.iter().position(|column| !column.is_valid(*row));
            let (column, message) = match missing {
                Some(part) => (&names[part], format!("`{}` is missing", names[part])),
                None => {
                    let parts = [years[*row], months[*row], days[*row]];
                    (&names[2], not_a_day(names, parts))
                }
            };
            answer.refuse(*row, rows, "bad_date", column, message);
        }
        Ok((dates, all_but(rows, &bad)))
    }
}

fn int64s(column: &Column) -> Result<&[i64], Fault> {
    match &column.values {
        Values::Int64s(values) => Ok(values),
        _ => Err(wrong_type(&column.name)),
    }
}

fn wrong_type(column: &str) -> Fault {
    Fault { message: format!("column `{column}` is of another type than configured") }
}

fn not_a_day([year, month, day]: &[String; 3], parts: [i64; 3]) -> String {
    let [y, m, d] = parts;
    format!("`{year}` {y}, `{month}` {m}, `{day}` {d} is not a day of the calendar")
}

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The days since 1970-01-01 of instants in microseconds since then.
fn utc_days(micros: &[i64]) -> Vec<i32> {
    // Events of a batch mostly share their day, and comparing is far cheaper than dividing. Wrapping
    // for null rows, which may hold anything: others are within the years 1 to 9999.
    let mut start = 0;
    let mut day = 0;
    micros
        .iter()
        .map(|micros| {
            if !(0..DAY_MICROS).contains(&micros.wrapping_sub(start)) {
                let exact = micros.div_euclid(DAY_MICROS);
                start = exact.wrapping_mul(DAY_MICROS);
                day = exact as i32;
            }
            day
        })
        .collect()
}

/// The days since 1970-01-01 of a day of the proleptic Gregorian calendar, years 1 to 9999.
fn date([year, month, day]: [i64; 3]) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last_day = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || !(1..=last_day).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let days_before_month = (153 * month + 2) / 5;
    let days_before_year = year * 365 + year / 4 - year / 100 + year / 400;
    let days_to_1970 = 719_468;
    Some((days_before_year + days_before_month + day - 1 - days_to_1970) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_of_the_calendar_follows_the_one_before() {
        let mut expected = date([1, 1, 1]).expect("the first day");
        assert_eq!(date([1970, 1, 1]), Some(0));
        for year in 1..=9999 {
            for month in 0..=13 {
                for day in 0..=32 {
                    if let Some(found) = date([year, month, day]) {
                        assert_eq!(found, expected, "{year}-{month}-{day}");
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected - 1, 2_932_896, "9999-12-31");
    }

    #[test]
    fn instants_before_1970_belong_to_the_day_they_are_in() {
        let cases = [
            (0, 0),
            (-1, -1),
            (DAY_MICROS - 1, 0),
            (DAY_MICROS, 1),
            (-DAY_MICROS, -1),
            (-DAY_MICROS - 1, -2),
            (-719_162 * DAY_MICROS, -719_162),
            (2_932_897 * DAY_MICROS - 1, 2_932_896),
        ];
        for (micros, day) in cases {
            assert_eq!(utc_days(&[micros]), [day], "{micros}");
        }
        let micros: Vec<i64> = cases.iter().map(|case| case.0).collect();
        let days: Vec<i32> = cases.iter().map(|case| case.1).collect();
        assert_eq!(utc_days(&micros), days, "whatever came before");
    }
}
