//! Functions of dates, datetimes and timestamps, and so many units more or less. Units are texts here, which are the
//! same in every row.

use super::calendar::{DAY, Unit, add, boundaries, checked_day, checked_instant};
use super::cells::{Civil, Clocks, Date, Day, Instant, Int, Time};
use super::kind::Kind;
use super::scalar::{Cell, Form, Named, map2};
use super::times::{length, moved, unit};

const DIT: &[Kind] = &[Kind::Date, Kind::Int, Kind::Text];
const CIT: &[Kind] = &[Kind::Civil, Kind::Int, Kind::Text];
const TIT: &[Kind] = &[Kind::Time, Kind::Int, Kind::Text];

const DATE_ADD: Form = Form::new(DIT, Kind::Date, |a, safe| {
    let unit = unit(&a[2])?;
    map2::<Date, Int, Day>(a, safe, |day, number| later_day(day, Some(number), unit))
});
const DATE_SUB: Form = Form::new(DIT, Kind::Date, |a, safe| {
    let unit = unit(&a[2])?;
    map2::<Date, Int, Day>(a, safe, |day, number| later_day(day, number.checked_neg(), unit))
});
const DATETIME_ADD: Form = Form::new(CIT, Kind::Civil, |a, safe| {
    let unit = unit(&a[2])?;
    map2::<Civil, Int, Clocks>(a, safe, |micros, number| later(micros, Some(number), unit))
});
const DATETIME_SUB: Form = Form::new(CIT, Kind::Civil, |a, safe| {
    let unit = unit(&a[2])?;
    map2::<Civil, Int, Clocks>(a, safe, |micros, number| later(micros, number.checked_neg(), unit))
});
const TIMESTAMP_ADD: Form = Form::new(TIT, Kind::Time, |a, safe| {
    let length = length(unit(&a[2])?)?;
    map2::<Time, Int, Instant>(a, safe, |micros, number| {
        moved(number.checked_mul(length).and_then(|by| micros.checked_add(by)))
    })
});
const TIMESTAMP_SUB: Form = Form::new(TIT, Kind::Time, |a, safe| {
    let length = length(unit(&a[2])?)?;
    map2::<Time, Int, Instant>(a, safe, |micros, number| {
        moved(number.checked_mul(length).and_then(|by| micros.checked_sub(by)))
    })
});

/// All of them.
pub(super) static ALL: &[Named] = &[
    Named("date_add", &[DATE_ADD]),
    Named("date_sub", &[DATE_SUB]),
    Named("datetime_add", &[DATETIME_ADD]),
    Named("datetime_sub", &[DATETIME_SUB]),
    Named(
        "datetime_diff",
        &[Form::new(&[Kind::Civil, Kind::Civil, Kind::Text], Kind::Int, |a, safe| {
            let unit = unit(&a[2])?;
            map2::<Civil, Civil, i64>(a, safe, |end, start| match unit {
                Unit::Micros(length) => Ok(Some(end.div_euclid(length) - start.div_euclid(length))),
                unit => boundaries(end.div_euclid(DAY), start.div_euclid(DAY), unit).map(Some),
            })
        })],
    ),
    Named("timestamp_add", &[TIMESTAMP_ADD]),
    Named("timestamp_sub", &[TIMESTAMP_SUB]),
    // A date and an INTERVAL are a datetime.
    Named(
        "add_interval",
        &[
            TIMESTAMP_ADD,
            DATETIME_ADD,
            Form::new(DIT, Kind::Civil, |a, safe| {
                let unit = unit(&a[2])?;
                map2::<Date, Int, Clocks>(a, safe, |day, number| {
                    later(i64::from(day) * DAY, Some(number), unit)
                })
            }),
        ],
    ),
    Named(
        "subtract_interval",
        &[
            TIMESTAMP_SUB,
            DATETIME_SUB,
            Form::new(DIT, Kind::Civil, |a, safe| {
                let unit = unit(&a[2])?;
                map2::<Date, Int, Clocks>(a, safe, |day, number| {
                    later(i64::from(day) * DAY, number.checked_neg(), unit)
                })
            }),
        ],
    ),
];

/// A day and so many units more, where that is a number.
fn later_day(day: i32, number: Option<i64>, unit: Unit) -> Cell<Day> {
    let later = match number {
        Some(number) => add(i64::from(day), number, unit),
        None => checked_day(None),
    };
    later.map(|day| Some(Day(day)))
}

/// What clocks show, and so many units more: longer ones than an hour leave the time of day as it is.
fn later(micros: i64, number: Option<i64>, unit: Unit) -> Cell<Clocks> {
    let later = match (unit, number) {
        (Unit::Micros(length), Some(number)) => {
            number.checked_mul(length).and_then(|by| micros.checked_add(by))
        }
        (unit, Some(number)) => {
            let day = add(micros.div_euclid(DAY), number, unit)?;
            Some(i64::from(day) * DAY + micros.rem_euclid(DAY))
        }
        (_, None) => None,
    };
    checked_instant(later).map(|micros| Some(Clocks(micros)))
}
