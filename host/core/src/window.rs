//! Counts over the last so many rows.

use std::collections::VecDeque;

/// What is counted of a batch, and can be summed up.
pub trait Counted: Clone + Default {
    /// The rows of it, by which the window is measured.
    fn rows(&self) -> u64;
    /// Adds another batch's counts.
    fn add(&mut self, other: &Self);
    /// Takes off counts that were added.
    fn take_off(&mut self, other: &Self);
}

/// The counts of the last batches: as few of them as have the window's rows.
#[derive(Debug, Clone, Default)]
pub struct Window<T> {
    batches: VecDeque<T>,
    sum: T,
}

impl<T: Counted> Window<T> {
    /// Adds a batch, and drops the oldest ones that `rows` rows do not need.
    pub fn push(&mut self, batch: T, rows: u64) {
        self.sum.add(&batch);
        self.batches.push_back(batch);
        while let Some(oldest) = self.batches.front()
            && self.sum.rows() - oldest.rows() >= rows
        {
            self.sum.take_off(oldest);
            self.batches.pop_front();
        }
    }

    /// The sum of the batches in the window.
    pub fn sum(&self) -> T {
        self.sum.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Counted for u64 {
        fn rows(&self) -> u64 {
            *self
        }

        fn add(&mut self, other: &Self) {
            *self += other;
        }

        fn take_off(&mut self, other: &Self) {
            *self -= other;
        }
    }

    #[test]
    fn a_window_holds_as_few_batches_as_have_its_rows() {
        let mut window = Window::<u64>::default();
        let sums = [40, 40, 40, 200, 1, 99].map(|batch| {
            window.push(batch, 100);
            window.sum()
        });
        assert_eq!(sums, [40, 80, 120, 200, 201, 100]);
    }
}
