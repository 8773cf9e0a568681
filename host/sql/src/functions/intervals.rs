//! Functions of dates, datetimes and timestamps, and so many units more or less. Units are texts here, which are the
//! same in every row. `SIGN` is 1 for more and -1 for less.

use arrow::array::ArrayRef;

use super::calendar::{DAY, Unit, add, boundaries, checked_day, checked_instant};
use super::cells::{Civil, Clocks, Date, Day, Instant, Int, Time};
use super::kind::Kind;
use super::scalar::{Answer, Cell, Form, Named, map2};
use super::times::{length, moved, unit};

const DIT: &[Kind] = &[Kind::Date, Kind::Int, Kind::Text];
const CIT: &[Kind] = &[Kind::Civil, Kind::Int, Kind::Text];
const TIT: &[Kind] = &[Kind::Time, Kind::Int, Kind::Text];

/// All of them.
pub(super) static ALL: &[Named] = &[
    Named("date_add", &[Form::new(DIT, Kind::Date, dates::<1>)]),
    Named("date_sub", &[Form::new(DIT, Kind::Date, dates::<-1>)]),
    Named("datetime_add", &[Form::new(CIT, Kind::Civil, datetimes::<1>)]),
    Named("datetime_sub", &[Form::new(CIT, Kind::Civil, datetimes::<-1>)]),
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
    Named("timestamp_add", &[Form::new(TIT, Kind::Time, timestamps::<1>)]),
    Named("timestamp_sub", &[Form::new(TIT, Kind::Time, timestamps::<-1>)]),
    Named(
        "add_interval",
        &[
            Form::new(TIT, Kind::Time, timestamps::<1>),
            Form::new(CIT, Kind::Civil, datetimes::<1>),
            Form::new(DIT, Kind::Civil, days::<1>),
        ],
    ),
    Named(
        "subtract_interval",
        &[
            Form::new(TIT, Kind::Time, timestamps::<-1>),
            Form::new(CIT, Kind::Civil, datetimes::<-1>),
            Form::new(DIT, Kind::Civil, days::<-1>),
        ],
    ),
];

fn dates<const SIGN: i64>(a: &[ArrayRef], safe: bool) -> Answer {
    let unit = unit(&a[2])?;
    map2::<Date, Int, Day>(a, safe, |day, number| {
        let later = match number.checked_mul(SIGN) {
            Some(number) => add(i64::from(day), number, unit),
            None => checked_day(None),
        };
        later.map(|day| Some(Day(day)))
    })
}

fn datetimes<const SIGN: i64>(a: &[ArrayRef], safe: bool) -> Answer {
    let unit = unit(&a[2])?;
    map2::<Civil, Int, Clocks>(a, safe, |micros, number| {
        later(micros, number.checked_mul(SIGN), unit)
    })
}

/// A date and an INTERVAL are a datetime.
fn days<const SIGN: i64>(a: &[ArrayRef], safe: bool) -> Answer {
    let unit = unit(&a[2])?;
    map2::<Date, Int, Clocks>(a, safe, |day, number| {
        later(i64::from(day) * DAY, number.checked_mul(SIGN), unit)
    })
}

fn timestamps<const SIGN: i64>(a: &[ArrayRef], safe: bool) -> Answer {
    let length = SIGN * length(unit(&a[2])?)?;
    map2::<Time, Int, Instant>(a, safe, |micros, number| {
        moved(number.checked_mul(length).and_then(|by| micros.checked_add(by)))
    })
}

/// What clocks show, and so many units more, where that is a number: longer ones than an hour leave the time of day as
/// it is.
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
