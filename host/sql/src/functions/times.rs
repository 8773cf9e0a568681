//! Functions of dates and timestamps. Their units are texts here, which are the same in every row.

use std::cell::Cell as Kept;

use arrow::array::{Array, ArrayRef, AsArray};

use super::calendar::{
    DAY, SECOND, Unit, Zone, add, boundaries, checked_day, checked_instant, date, day_of, day_ymd,
    first_day, no_unit, part,
};
use super::casts::{
    CLOCKS_OF_DAY, CLOCKS_OF_TIME, DAY_OF_CLOCKS, TIME_OF_CLOCKS, read_time, time_text,
};
use super::cells::{Civil, Clocks, Date, Day, Instant, Int, Text, Time};
use super::formats::{format_date, format_time};
use super::kind::Kind;
use super::scalar::{Cell, Form, Named, Wrong, map1, map2, map3};

const D: &[Kind] = &[Kind::Date];
const T: &[Kind] = &[Kind::Time];
const I: &[Kind] = &[Kind::Int];
const DT: &[Kind] = &[Kind::Date, Kind::Text];
const TT: &[Kind] = &[Kind::Time, Kind::Text];
const TTT: &[Kind] = &[Kind::Time, Kind::Text, Kind::Text];
const CT: &[Kind] = &[Kind::Civil, Kind::Text];

const TRUNC_TIME: Form = Form::new(TT, Kind::Time, |a, safe| {
    let unit = unit(&a[1])?;
    map1::<Time, Instant>(a, safe, |micros| truncated(micros, unit, Zone::UTC))
});
const TRUNC_IN_ZONE: Form = Form::new(TTT, Kind::Time, |a, safe| {
    let (unit, zones) = (unit(&a[1])?, Zones::default());
    map3::<Time, Text, Text, Instant>(a, safe, |micros, _, zone| {
        truncated(micros, unit, zones.get(zone)?)
    })
});
const DIFF: &[Form] = &[
    Form::new(&[Kind::Date, Kind::Date, Kind::Text], Kind::Int, |a, safe| {
        let unit = unit(&a[2])?;
        map2::<Date, Date, i64>(a, safe, |end, start| {
            boundaries(i64::from(end), i64::from(start), unit).map(Some)
        })
    }),
    Form::new(&[Kind::Time, Kind::Time, Kind::Text], Kind::Int, |a, safe| {
        let length = length(unit(&a[2])?)?;
        map2::<Time, Time, i64>(a, safe, |end, start| match end.checked_sub(start) {
            Some(between) => Ok(Some(between / length)),
            None => checked_instant(None).map(Some),
        })
    }),
];

/// All of them.
pub(super) static ALL: &[Named] = &[
    Named(
        "date",
        &[
            Form::new(D, Kind::Date, |a, _| Ok(a[0].clone())),
            Form::new(T, Kind::Date, |a, safe| {
                map1::<Time, Day>(a, safe, |micros| Ok(Some(Day(micros.div_euclid(DAY) as i32))))
            }),
            DAY_OF_CLOCKS,
            Form::new(TT, Kind::Date, |a, safe| {
                let zones = Zones::default();
                map2::<Time, Text, Day>(a, safe, |micros, zone| {
                    let local = micros + zones.get(zone)?.ahead(micros)?;
                    checked_day(Some(local.div_euclid(DAY))).map(|day| Some(Day(day)))
                })
            }),
            Form::new(&[Kind::Int; 3], Kind::Date, |a, safe| {
                map3::<Int, Int, Int, Day>(a, safe, |year, month, day| {
                    day_ymd(year, month, day).map(|day| Some(Day(day as i32)))
                })
            }),
        ],
    ),
    Named(
        "datetime",
        &[
            CLOCKS_OF_DAY,
            CLOCKS_OF_TIME,
            Form::new(TT, Kind::Civil, |a, safe| {
                let zones = Zones::default();
                map2::<Time, Text, Clocks>(a, safe, |micros, zone| {
                    let local = micros + zones.get(zone)?.ahead(micros)?;
                    Ok(Some(Clocks(checked_instant(Some(local))?)))
                })
            }),
        ],
    ),
    Named(
        "datetime_trunc",
        &[
            Form::new(CT, Kind::Civil, |a, safe| {
                let unit = unit(&a[1])?;
                map1::<Civil, Clocks>(a, safe, |micros| {
                    let instant = truncated(micros, unit, Zone::UTC)?;
                    Ok(instant.map(|instant| Clocks(instant.0)))
                })
            }),
            TRUNC_TIME,
            TRUNC_IN_ZONE,
        ],
    ),
    Named(
        "timestamp",
        &[
            Form::new(T, Kind::Time, |a, _| Ok(a[0].clone())),
            TIME_OF_CLOCKS,
            Form::new(&[Kind::Text], Kind::Time, |a, safe| {
                map1::<Text, Instant>(a, safe, |text| {
                    read_time(text, None).map(|micros| Some(Instant(micros)))
                })
            }),
            Form::new(&[Kind::Text, Kind::Text], Kind::Time, |a, safe| {
                let zones = Zones::default();
                map2::<Text, Text, Instant>(a, safe, |text, zone| {
                    read_time(text, Some(zones.get(zone)?)).map(|micros| Some(Instant(micros)))
                })
            }),
            Form::new(D, Kind::Time, |a, safe| {
                map1::<Date, Instant>(a, safe, |day| Ok(Some(Instant(i64::from(day) * DAY))))
            }),
            Form::new(DT, Kind::Time, |a, safe| {
                let zones = Zones::default();
                map2::<Date, Text, Instant>(a, safe, |day, zone| {
                    zones
                        .get(zone)?
                        .instant(i64::from(day) * DAY)
                        .map(|micros| Some(Instant(micros)))
                })
            }),
        ],
    ),
    Named(
        "string",
        &[
            Form::new(T, Kind::Text, |a, safe| {
                map1::<Time, String>(a, safe, |micros| time_text(micros, Zone::UTC).map(Some))
            }),
            Form::new(TT, Kind::Text, |a, safe| {
                let zones = Zones::default();
                map2::<Time, Text, String>(a, safe, |micros, zone| {
                    time_text(micros, zones.get(zone)?).map(Some)
                })
            }),
        ],
    ),
    Named(
        "date_trunc",
        &[
            Form::new(DT, Kind::Date, |a, safe| {
                let unit = unit(&a[1])?;
                map1::<Date, Day>(a, safe, |day| {
                    first_day(i64::from(day), unit).map(|day| Some(Day(day as i32)))
                })
            }),
            TRUNC_TIME,
            TRUNC_IN_ZONE,
        ],
    ),
    Named("timestamp_trunc", &[TRUNC_TIME, TRUNC_IN_ZONE]),
    Named("date_diff", DIFF),
    Named("timestamp_diff", DIFF),
    Named(
        "last_day",
        &[
            Form::new(D, Kind::Date, |a, safe| {
                map1::<Date, Day>(a, safe, |day| last_day(i64::from(day), Unit::Month))
            }),
            Form::new(DT, Kind::Date, |a, safe| {
                let unit = unit(&a[1])?;
                map1::<Date, Day>(a, safe, |day| last_day(i64::from(day), unit))
            }),
        ],
    ),
    Named(
        "extract",
        &[
            Form::new(DT, Kind::Int, |a, safe| {
                let unit = unit(&a[1])?;
                map1::<Date, i64>(a, safe, |day| part(i64::from(day), unit).map(Some))
            }),
            Form::new(TT, Kind::Int, |a, safe| {
                let unit = unit(&a[1])?;
                map1::<Time, i64>(a, safe, |micros| extracted(micros, unit, Zone::UTC))
            }),
            Form::new(CT, Kind::Int, |a, safe| {
                let unit = unit(&a[1])?;
                map1::<Civil, i64>(a, safe, |micros| extracted(micros, unit, Zone::UTC))
            }),
            Form::new(TTT, Kind::Int, |a, safe| {
                let (unit, zones) = (unit(&a[1])?, Zones::default());
                map3::<Time, Text, Text, i64>(a, safe, |micros, _, zone| {
                    extracted(micros, unit, zones.get(zone)?)
                })
            }),
        ],
    ),
    Named(
        "unix_seconds",
        &[Form::new(T, Kind::Int, |a, safe| {
            map1::<Time, i64>(a, safe, |micros| Ok(Some(micros.div_euclid(SECOND))))
        })],
    ),
    Named(
        "unix_millis",
        &[Form::new(T, Kind::Int, |a, safe| {
            map1::<Time, i64>(a, safe, |micros| Ok(Some(micros.div_euclid(1_000))))
        })],
    ),
    Named(
        "unix_micros",
        &[Form::new(T, Kind::Int, |a, safe| map1::<Time, i64>(a, safe, |micros| Ok(Some(micros))))],
    ),
    Named(
        "unix_date",
        &[Form::new(D, Kind::Int, |a, safe| {
            map1::<Date, i64>(a, safe, |day| Ok(Some(i64::from(day))))
        })],
    ),
    Named(
        "timestamp_seconds",
        &[Form::new(I, Kind::Time, |a, safe| {
            map1::<Int, Instant>(a, safe, |number| moved(number.checked_mul(SECOND)))
        })],
    ),
    Named(
        "timestamp_millis",
        &[Form::new(I, Kind::Time, |a, safe| {
            map1::<Int, Instant>(a, safe, |number| moved(number.checked_mul(1_000)))
        })],
    ),
    Named(
        "timestamp_micros",
        &[Form::new(I, Kind::Time, |a, safe| {
            map1::<Int, Instant>(a, safe, |number| moved(Some(number)))
        })],
    ),
    Named(
        "date_from_unix_date",
        &[Form::new(I, Kind::Date, |a, safe| {
            map1::<Int, Day>(a, safe, |day| checked_day(Some(day)).map(|day| Some(Day(day))))
        })],
    ),
    Named(
        "format_date",
        &[Form::new(&[Kind::Text, Kind::Date], Kind::Text, |a, safe| {
            map2::<Text, Date, String>(a, safe, |form, day| {
                format_date(form, i64::from(day)).map(Some)
            })
        })],
    ),
    Named(
        "format_timestamp",
        &[
            Form::new(&[Kind::Text, Kind::Time], Kind::Text, |a, safe| {
                map2::<Text, Time, String>(a, safe, |form, micros| {
                    format_time(form, micros, Zone::UTC).map(Some)
                })
            }),
            Form::new(&[Kind::Text, Kind::Time, Kind::Text], Kind::Text, |a, safe| {
                let zones = Zones::default();
                map3::<Text, Time, Text, String>(a, safe, |form, micros, zone| {
                    format_time(form, micros, zones.get(zone)?).map(Some)
                })
            }),
        ],
    ),
];

/// The last zone: nearly always all rows have the same.
#[derive(Default)]
struct Zones(std::cell::RefCell<Option<String>>, Kept<Option<Zone>>);

impl Zones {
    fn get(&self, name: &str) -> Result<Zone, Wrong> {
        if let (Some(known), Some(zone)) = (&*self.0.borrow(), self.1.get())
            && known == name
        {
            return Ok(zone);
        }
        let zone = Zone::of(name)?;
        self.0.replace(Some(name.to_owned()));
        self.1.set(Some(zone));
        Ok(zone)
    }
}

/// The unit that all rows have.
pub(super) fn unit(names: &ArrayRef) -> Result<Unit, Wrong> {
    if names.is_empty() || names.is_null(0) {
        Ok(Unit::Day)
    } else {
        Unit::of(names.as_string::<i32>().value(0))
    }
}

/// The microseconds of a unit whose length is fixed.
pub(super) fn length(unit: Unit) -> Result<i64, Wrong> {
    match unit {
        Unit::Micros(length) => Ok(length),
        Unit::Day => Ok(DAY),
        _ => Err(no_unit("a timestamp")),
    }
}

pub(super) fn moved(micros: Option<i64>) -> Cell<Instant> {
    checked_instant(micros).map(|micros| Some(Instant(micros)))
}

fn truncated(micros: i64, unit: Unit, zone: Zone) -> Cell<Instant> {
    let local = micros + zone.ahead(micros)?;
    Ok(Some(Instant(match unit {
        // What the clocks show beyond the unit is taken away.
        Unit::Micros(length) => checked_instant(Some(micros - local.rem_euclid(length)))?,
        unit => zone.instant(first_day(local.div_euclid(DAY), unit)? * DAY)?,
    })))
}

fn last_day(day: i64, unit: Unit) -> Cell<Day> {
    let first = first_day(day, unit)?;
    let next = match unit {
        Unit::Week(_) | Unit::IsoWeek => first + 7,
        Unit::Month | Unit::Quarter | Unit::Year => {
            i64::from(add(first, 1, unit).unwrap_or(i32::MAX))
        }
        // The fourth of January is always in the first week.
        Unit::IsoYear => {
            let year = i64::from(chrono::Datelike::iso_week(&date(day)?).year());
            first_day(day_ymd(year + 1, 1, 4)?, Unit::IsoWeek)?
        }
        _ => return Err(no_unit("LAST_DAY")),
    };
    // The last month, quarter and year end with the last day; no week does.
    let last = match unit {
        Unit::Week(_) | Unit::IsoWeek => next - 1,
        _ => (next - 1).min(day_of(date(2_932_896)?)),
    };
    checked_day(Some(last)).map(|day| Some(Day(day)))
}

fn extracted(micros: i64, unit: Unit, zone: Zone) -> Cell<i64> {
    let local = micros + zone.ahead(micros)?;
    Ok(Some(match unit {
        Unit::Micros(length) => {
            // Each part is of the next larger one; fractions are of a second.
            let of = match length {
                1 | 1_000 => SECOND,
                SECOND => 60 * SECOND,
                _ if length == 60 * SECOND => 3_600 * SECOND,
                _ => DAY,
            };
            local.rem_euclid(of) / length
        }
        unit => part(local.div_euclid(DAY), unit)?,
    }))
}
