//! What a column of lists or records is made of, as configured, and the fast finding of its fields.

use std::cell::Cell;

use clickmill_plugin::{Problems, same};

use super::paths::{self, Pattern, Table};
use super::place::Step;
use crate::config::ColumnConfig;

/// A column with its fields, as configured.
pub(super) struct Shape {
    pub(super) column: ColumnConfig,
    /// The key that it has in the object of its record.
    key: Box<[u8]>,
    /// How the key mostly stands there.
    pattern: Pattern,
    pub(super) fields: Vec<Shape>,
    /// The fields by key, each key once: their numbers from 1.
    by_key: Table,
    /// The field that came after each last time, and first the one that came first.
    order: Vec<Cell<u16>>,
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
        let mut by_key: Vec<&Self> = fields.iter().collect();
        by_key.sort_by(|a, b| a.key.cmp(&b.key));
        for pair in by_key.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            if a.key == b.key {
                problems.push(format!(
                    "`{place}.fields` has `{}` and `{}` from the same key",
                    a.column.name, b.column.name
                ));
            }
        }
        let key = paths::split(column.from()).pop().unwrap_or_default().into_bytes();
        let mut by_key = Table::with_room(fields.len());
        for (number, field) in (1..).zip(&fields) {
            by_key.enter(&field.key, number);
        }
        let order = (0..=fields.len() as u16).map(Cell::new).collect();
        let pattern = Pattern::new(&key);
        Self { column, key: key.into_boxed_slice(), pattern, fields, by_key, order }
    }

    /// The path of what a way leads to from its value, as far as there are fields: `items[3].price`.
    pub(super) fn path(&self, mut way: &[Step]) -> String {
        let mut path = self.column.name.clone();
        if self.column.repeated {
            let [Step::Element(number), rest @ ..] = way else { return path };
            path.push_str(&format!("[{number}]"));
            way = rest;
        }
        if let [Step::Key(key), rest @ ..] = way
            && let Some(field) = self.fields.iter().find(|field| *field.key == **key)
        {
            path.push('.');
            path.push_str(&field.path(rest));
        }
        path
    }

    /// The field that mostly comes after so many, and how its key mostly stands there.
    #[inline]
    pub(super) fn guess(&self, before: usize) -> Option<(usize, &Pattern)> {
        let guess = usize::from(self.order[before].get());
        self.fields.get(guess).map(|field| (guess, &field.pattern))
    }

    /// The field of that key. `before` is how many come up to the last one that was found, in the order of the
    /// fields: 0 where none was.
    #[inline]
    pub(super) fn field(&self, key: &[u8], before: usize) -> Option<usize> {
        let guess = usize::from(self.order[before].get());
        if self.fields.get(guess).is_some_and(|field| same(&field.key, key)) {
            return Some(guess);
        }
        let number = self.by_key.find(key, |number| &self.fields[usize::from(number) - 1].key);
        let found = number.checked_sub(1)?;
        self.order[before].set(found);
        Some(usize::from(found))
    }
}
