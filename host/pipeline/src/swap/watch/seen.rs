//! What was last seen of what is watched.

use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

/// The state in which each thing was last seen, by its name.
#[derive(Default)]
pub(super) struct Seen(HashMap<String, String>);

impl Seen {
    /// Whether it is in another state than when it was last looked at, and has been so for two looks: a
    /// file that is being written may be a whole one with too few lines at any moment.
    pub(super) fn has_settled(&mut self, name: &str, state: String) -> bool {
        let (before, now) = (format!("{name} before"), format!("{name} now"));
        let is_known = self.0.get(&before) == Some(&state);
        let is_first = !self.0.contains_key(&before);
        let has_settled = !is_known && !is_first && self.0.get(&now) == Some(&state);
        if is_first || has_settled {
            self.0.insert(before, state.clone());
        }
        self.0.insert(now, state);
        has_settled
    }

    /// Whether it was looked at before, and is in another state now.
    pub(super) fn is_another(&mut self, name: &str, state: String) -> bool {
        self.0.insert(name.to_owned(), state.clone()).is_some_and(|known| known != state)
    }

    /// Whether it was never looked at, or is in another state than then.
    pub(super) fn is_new(&mut self, name: &str, state: String) -> bool {
        self.0.insert(name.to_owned(), state.clone()).is_none_or(|known| known != state)
    }
}

/// The state of a file, as far as its folder tells.
pub(super) fn state_of(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    let modified: Option<SystemTime> = meta.modified().ok();
    Some(format!("{modified:?} {}", meta.len()))
}
