//! Of which values a rule is asked: of rows, of the records or elements of a list, or of lists as a whole.

use clickmill_plugin::prelude::*;

use crate::rule::Check;

/// The columns that there are, for their lists.
pub(crate) struct Levels<'a>(pub(crate) &'a [ColumnSpec]);

impl Levels<'_> {
    /// The column whose values a column is asked of: itself, or the record that a list is a field of, where the
    /// list as a whole is meant.
    fn of(column: &ColumnSpec, check: &Check) -> Option<String> {
        let whole = column.repeated && matches!(check, Check::Required | Check::Elements { .. });
        if whole { column.record().map(str::to_owned) } else { Some(column.path.clone()) }
    }

    /// That column, where it lies in a list. None: the rule is asked of rows.
    pub(crate) fn in_list(&self, column: &ColumnSpec, check: &Check) -> Option<String> {
        let level = Self::of(column, check)?;
        self.list(&level).is_some().then_some(level)
    }

    /// The innermost list that a column lies in.
    fn list(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|spec| spec.path == path)?.list(self.0)
    }

    /// All columns of a rule must lie in the same list, `when` perhaps in none.
    pub(crate) fn problems(
        &self,
        columns: &[ColumnSpec],
        check: &Check,
        when: Option<&ColumnSpec>,
    ) -> Problems {
        let of = |column: &ColumnSpec| self.list(&Self::of(column, check)?);
        let told = |list: Option<&str>| {
            list.map_or_else(|| "no list".to_owned(), |list| format!("the list `{list}`"))
        };
        let mut problems = Problems::new();
        // Each column of `required` is a rule of its own.
        if let ([first, others @ ..], false) = (columns, matches!(check, Check::Required)) {
            for other in others.iter().filter(|other| of(first) != of(other)) {
                problems.push(format!(
                    "`{}` lies in {} and `{}` in {}: wanted them in the same",
                    first.path,
                    told(of(first)),
                    other.path,
                    told(of(other))
                ));
            }
        }
        let Some((when, Some(list))) = when.map(|when| (when, self.list(&when.path))) else {
            return problems;
        };
        for column in columns.iter().filter(|column| of(column) != Some(list)) {
            problems.push(format!(
                "`when` is about `{}`, which lies in {}, and `{}` lies in {}",
                when.path,
                told(Some(list)),
                column.path,
                told(of(column))
            ));
        }
        problems
    }
}
