//! The points of a curve, as a CSV file has them: `x`, then a column for each figure.

/// Figures by `x`, in rows.
pub(crate) struct Table {
    /// Their names, of which the first is what `x` is.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<f64>>,
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn from_csv(text: &str) -> Self {
        let mut lines = text.lines();
        let columns = lines.next().unwrap().split(',').map(str::to_owned).collect();
        let number = |text: &str| text.parse().unwrap();
        let rows = lines.map(|line| line.split(',').map(number).collect()).collect();
        Self { columns, rows }
    }

    pub(crate) fn to_csv(&self) -> String {
        let numbers = self.rows.iter().map(|row| {
            let numbers: Vec<String> = row.iter().map(|number| significant(*number)).collect();
            numbers.join(",")
        });
        let lines: Vec<String> = std::iter::once(self.columns.join(",")).chain(numbers).collect();
        lines.join("\n") + "\n"
    }

    /// A figure by `x`.
    pub(crate) fn points(&self, column: &str) -> Vec<(f64, f64)> {
        let at = self.columns.iter().position(|name| name == column).unwrap();
        self.rows.iter().map(|row| (row[0], row[at])).collect()
    }

    /// How a picture calls a column.
    pub(crate) fn label(&self, column: &str) -> String {
        column.rsplit_once('_').map_or(column, |(name, _unit)| name).replace('_', " ")
    }
}

/// A number by four digits that count, or all of a whole one.
fn significant(number: f64) -> String {
    if number.fract() == 0.0 {
        return format!("{number}");
    }
    let before_point = number.abs().log10().floor() as i32 + 1;
    format!("{number:.*}", (4 - before_point).max(0) as usize)
}
