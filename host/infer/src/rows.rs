//! Rows of delimited text in little more room than their bytes.

/// So many columns are looked at: what comes beyond them no column takes.
pub(crate) const MAX_COLUMNS: usize = 1000;

/// Rows of delimited text, their fields end to end: a text for each of millions of them would take many times
/// their bytes.
#[derive(Debug, Default)]
pub struct Rows {
    columns: usize,
    count: usize,
    text: String,
    /// Where each field ends, row by row.
    ends: Vec<usize>,
}

impl Rows {
    /// No rows yet, of so many columns. What is beyond the first 1000 is not kept.
    pub fn new(columns: usize) -> Self {
        Self { columns: columns.min(MAX_COLUMNS), ..Self::default() }
    }

    /// Adds a row, which has a field for each column.
    pub fn push<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) {
        for field in fields.into_iter().take(self.columns) {
            self.text.push_str(field);
            self.ends.push(self.text.len());
        }
        self.count += 1;
        // A row is as wide as all others, whatever it is given.
        self.ends.resize(self.count * self.columns, self.text.len());
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many fields are kept.
    pub fn fields(&self) -> usize {
        self.ends.len()
    }

    /// A field by its row and column; nothing where there is none.
    pub(crate) fn field(&self, row: usize, column: usize) -> &str {
        let at = row * self.columns + column;
        let Some(end) = self.ends.get(at).filter(|_| column < self.columns) else { return "" };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..*end]
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn fields_are_found_by_row_and_column() {
        let mut rows = Rows::new(3);
        rows.push(["a", "", "łódź"]);
        rows.push(["", "", ""]);
        rows.push(["short"]);
        rows.push(["x", "y", "z", "too much"]);
        let all: Vec<String> = (0..rows.len())
            .map(|row| [0, 1, 2, 3].map(|column| rows.field(row, column)).join("|"))
            .collect();
        assert_eq!(all, ["a||łódź|", "|||", "short|||", "x|y|z|"]);
        assert_eq!((rows.fields(), rows.field(4, 0)), (12, ""));
    }

    #[test]
    fn of_wide_rows_the_first_thousand_fields_are_kept() {
        let mut rows = Rows::new(4000);
        rows.push(vec!["1"; 4000]);
        assert_eq!((rows.len(), rows.fields()), (1, 1000));
        let mut none = Rows::new(0);
        none.push([]);
        assert_eq!((none.len(), none.is_empty(), none.fields()), (1, false, 0));
    }
}
