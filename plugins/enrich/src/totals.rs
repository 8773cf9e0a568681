//! Sums and counts over lists: how many items a row has, and what they cost together.
//!
//! In: a list, or columns within one. Out: one value per row, exact where the column is. Of an empty list
//! both are 0, and null elements add nothing. A row of which the sum is beyond its type is refused.

use clickmill_plugin::{
    Batch, Column, DataType, Decimal, Decimals, Fault, Float64s, Int64s, Places, Values,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Answer;
use crate::columns::column;
use crate::plan::Plan;

/// Adds up a list: give `count`, or `sum` with or without `times`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The list of which the elements are counted.
    #[serde(default)]
    count: Option<String>,
    /// The column that is added up, decimal, int64 or float64: `items.price`. The sum is of the same type; one
    /// beyond it refuses the row with code `out_of_range`.
    #[serde(default)]
    sum: Option<String>,
    /// An int64 column beside `sum` that each of its values is multiplied with: `items.quantity`.
    #[serde(default)]
    times: Option<String>,
    /// The column to write.
    to: String,
}

/// The enrichment, ready.
#[derive(Serialize, Deserialize)]
pub(crate) struct Total {
    of: Of,
    to: String,
}

#[derive(Serialize, Deserialize)]
enum Of {
    /// The elements of a list, told by a column within it.
    Count {
        list: String,
        by: String,
    },
    Sum {
        column: String,
        times: Option<String>,
    },
}

const NUMBERS: &[DataType] = &[DataType::Decimal, DataType::Int64, DataType::Float64];

impl Total {
    pub(crate) fn configure(config: Config, at: usize, plan: &mut Plan<'_>) -> Option<Self> {
        let Config { count, sum, times, to } = config;
        let place = |key: &str| format!("totals[{at}].{key}");
        let (of, data_type) = match (count, sum, times) {
            (Some(list), None, None) => {
                if plan.list_of(&list).as_ref() != Some(&list) {
                    let what = format!("no list `{list}` is available here");
                    plan.problem(place("count"), what);
                    return None;
                }
                // Naming the record would have all its fields copied.
                let by = match plan.field_of(&list) {
                    Some(field) => {
                        plan.read_values(place("count"), &field.path, &[field.data_type]);
                        field.path.clone()
                    }
                    None => {
                        let of = plan.type_of(&list)?;
                        plan.read_values(place("count"), &list, &[of]);
                        list.clone()
                    }
                };
                (Of::Count { list, by }, DataType::Int64)
            }
            (None, Some(column), times) => {
                plan.read_values(place("sum"), &column, NUMBERS);
                if let Some(times) = &times {
                    plan.read_values(place("times"), times, &[DataType::Int64]);
                    let record = |path: &str| path.rsplit_once('.').map(|(of, _)| of.to_owned());
                    if record(times) != record(&column)
                        || plan.list_of(times) != plan.list_of(&column)
                    {
                        let what = format!("`{times}` is not in the record of `{column}`");
                        plan.problem(place("times"), what);
                    }
                }
                let data_type = plan.type_of(&column)?;
                (Of::Sum { column, times }, data_type)
            }
            _ => {
                plan.problem(
                    format_args!("totals[{at}]"),
                    "give `count`, or `sum` and perhaps `times`",
                );
                return None;
            }
        };
        plan.write(place("to"), &to, data_type);
        Some(Self { of, to })
    }

    pub(crate) fn enrich(&self, batch: &Batch, answer: &mut Answer) -> Result<(), Fault> {
        let made = match &self.of {
            Of::Count { list, by } => {
                // The list itself, of which `by` brought the lengths.
                let places = places(batch, if batch.column(list).is_some() { list } else { by })?;
                let rows = 0..batch.rows as usize;
                let counts = rows.map(|row| Some(places.values(row).len() as i64));
                Int64s::collect(counts).finish(&self.to)
            }
            Of::Sum { column, times } => self.sum(column, times.as_deref(), batch, answer)?,
        };
        answer.add(made);
        Ok(())
    }

    fn sum(
        &self,
        name: &str,
        times: Option<&str>,
        batch: &Batch,
        answer: &mut Answer,
    ) -> Result<Column, Fault> {
        let of = column(batch, name)?;
        let times = times.map(|times| column(batch, times)).transpose()?;
        // How often a value counts: not at all where that is null.
        let often = |value: usize| times.map_or(Some(1), |times| times.int64(value));
        let places = places(batch, name)?;
        let to = &self.to;
        let sums = Sums { name, to, batch, places: &places };
        Ok(match &of.values {
            Values::Decimals(_) => {
                let term = |at| Some((of.decimal(at)?, often(at)?));
                let add = |sum: Decimal, (value, often): (Decimal, i64)| {
                    sum.checked_add(value.checked_times(often)?)
                };
                Decimals::collect(sums.of(term, add, answer)).finish(to)
            }
            Values::Int64s(_) => {
                let term = |at| Some((of.int64(at)?, often(at)?));
                let add = |sum: i64, (value, often): (i64, i64)| {
                    sum.checked_add(value.checked_mul(often)?)
                };
                Int64s::collect(sums.of(term, add, answer)).finish(to)
            }
            Values::Float64s(_) => {
                let term = |at| Some((of.float64(at)?, often(at)?));
                let add = |sum: f64, (value, often): (f64, i64)| Some(sum + value * often as f64);
                Float64s::collect(sums.of(term, add, answer)).finish(to)
            }
            _ => return Err(Fault { message: format!("column `{name}` is no number") }),
        })
    }
}

fn places<'b>(batch: &'b Batch, name: &str) -> Result<Places<'b>, Fault> {
    batch
        .places(name)
        .ok_or_else(|| Fault { message: format!("the host did not pass column `{name}`") })
}

/// The sums of a column, a row each.
struct Sums<'a> {
    name: &'a str,
    to: &'a str,
    batch: &'a Batch,
    places: &'a Places<'a>,
}

impl Sums<'_> {
    fn of<T: Default, V>(
        &self,
        term: impl Fn(usize) -> Option<V>,
        add: impl Fn(T, V) -> Option<T>,
        answer: &mut Answer,
    ) -> Vec<Option<T>> {
        let rows = self.batch.rows as usize;
        let sum = |row: usize| {
            let mut terms = self.places.values(row).filter_map(&term);
            let sum = terms.try_fold(T::default(), &add);
            if sum.is_none() {
                let message =
                    format!("the sum of `{}` is beyond what `{}` can hold", self.name, self.to);
                answer.refuse(row, rows, "out_of_range", self.name, message);
            }
            sum
        };
        (0..rows).map(sum).collect()
    }
}
