//! What a column of lists or records is made of, as configured, and the fast finding of its fields.

use clickmill_plugin::Problems;

use super::paths;
use crate::config::ColumnConfig;

/// A column with its fields, as configured.
pub(super) struct Shape {
    pub(super) column: ColumnConfig,
    /// The key that it has in the object of its record.
    key: Box<[u8]>,
    pub(super) fields: Vec<Shape>,
    /// The fields by key, each key once.
    by_key: Vec<u16>,
}

impl Shape {
    pub(super) fn new(mut column: ColumnConfig, place: &str, problems: &mut Problems) -> Self {
        let fields = std::mem::take(&mut column.fields);
        let unreadable = column.unreadable;
        let fields: Vec<Self> = fields
            .into_iter()
            .enumerate()
            .map(|(at, mut field)| {
                field.unreadable = field.unreadable.or(unreadable);
                let place = format!("{place}.fields[{at}]");
                if paths::split(field.from()).len() > 1 {
                    problems.push(format!(
                        "`{place}.from` is `{}`: a field of a record is taken from a key of it, without dots",
                        field.from()
                    ));
                }
                Self::new(field, &place, problems)
            })
            .collect();
        let mut by_key: Vec<u16> = (0..fields.len() as u16).collect();
        by_key.sort_by(|a, b| fields[usize::from(*a)].key.cmp(&fields[usize::from(*b)].key));
        for pair in by_key.windows(2) {
            let (a, b) = (&fields[usize::from(pair[0])], &fields[usize::from(pair[1])]);
            if a.key == b.key {
                problems.push(format!(
                    "`{place}.fields` has `{}` and `{}` from the same key",
                    a.column.name, b.column.name
                ));
            }
        }
        let key = paths::split(column.from()).pop().unwrap_or_default().into_bytes();
        Self { column, key: key.into_boxed_slice(), fields, by_key }
    }

    /// The field of that key. `guess` is the one that it mostly is.
    #[inline]
    pub(super) fn field(&self, key: &[u8], guess: usize) -> Option<usize> {
        if self.fields.get(guess).is_some_and(|field| *field.key == *key) {
            return Some(guess);
        }
        let found =
            self.by_key.binary_search_by(|at| (*self.fields[usize::from(*at)].key).cmp(key));
        found.ok().map(|at| usize::from(self.by_key[at]))
    }
}
