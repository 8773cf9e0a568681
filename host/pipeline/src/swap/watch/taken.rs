//! What was last taken up from each place.

use std::collections::HashMap;

use clickmill_core::Digest;

/// The content that was last taken up, or that the process started with, by the place's name.
#[derive(Default)]
pub(super) struct Taken(HashMap<String, Digest>);

impl Taken {
    /// Whether a place has what was last taken up from it.
    pub(super) fn is(&self, place: &str, content: &Digest) -> bool {
        self.0.get(place) == Some(content)
    }

    pub(super) fn note(&mut self, place: String, content: Digest) {
        self.0.insert(place, content);
    }
}
