//! Where lines lead that were refused since a quote that they open leads nowhere (`refused.rs` says more).

use super::extent::Follower;

/// Where those lines lead that open a quote.
pub(super) struct Ahead {
    /// The end of the first of them, within quotes.
    pub from: usize,
    /// As far as it was followed.
    pub follower: Follower,
    pub leads: Leads,
}

/// Where they do.
pub(super) enum Leads {
    /// To where quotes are not in order.
    Astray,
    /// Further than is looked.
    Beyond,
    /// To an end, with a backslash before a quote at the place given.
    Escaped(usize),
}

impl Ahead {
    /// What is known of the block that begins at a place of this one.
    pub(super) fn moved(mut self, begin: usize) -> Option<Self> {
        self.from = self.from.saturating_sub(begin);
        self.follower.at = self.follower.at.checked_sub(begin)?;
        if let Leads::Escaped(last) = &mut self.leads {
            *last = last.checked_sub(begin)?;
        }
        Some(self)
    }
}
