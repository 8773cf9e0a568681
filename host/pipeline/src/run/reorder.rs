//! Puts back in order what overtook each other.

use std::collections::BTreeMap;

/// Items by number, handed on in the order of their numbers, from 0 and without a gap.
#[derive(Debug)]
pub(super) struct Reorder<T> {
    early: BTreeMap<u64, T>,
    next: u64,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { early: BTreeMap::new(), next: 0 }
    }
}

impl<T> Reorder<T> {
    /// Takes an item in.
    pub(super) fn push(&mut self, number: u64, item: T) {
        self.early.insert(number, item);
    }

    /// The next item, once it is there.
    pub(super) fn pop(&mut self) -> Option<T> {
        let item = self.early.remove(&self.next)?;
        self.next += 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_handed_on_in_order_whatever_order_they_come_in() {
        let mut reorder = Reorder::default();
        let mut handed_on = Vec::new();
        for number in [2, 0, 1, 4, 3] {
            reorder.push(number, number);
            handed_on.push(std::iter::from_fn(|| reorder.pop()).collect::<Vec<_>>());
        }
        assert_eq!(handed_on, [vec![], vec![0], vec![1, 2], vec![], vec![3, 4]]);
    }
}
