//! Path prefixes that fit by whole segments, whatever the case.

use serde::{Deserialize, Serialize};

use super::parts::segment_ends;

/// A list of prefixes, of which the first that fits counts.
#[derive(Serialize, Deserialize)]
pub(super) struct Prefixes {
    /// Without the slash at their ends.
    list: Vec<Box<[u8]>>,
    /// Places in `list`, by the path's first letter: few are to be tried for a path.
    by_letter: Vec<Vec<usize>>,
}

/// Buckets of first letters, and last that of the home page.
const LETTERS: usize = 33;

impl Prefixes {
    pub(super) fn new() -> Self {
        Self { list: Vec::new(), by_letter: vec![Vec::new(); LETTERS] }
    }

    /// Adds a path that begins with a slash.
    pub(super) fn add(&mut self, path: &str) {
        let path = path.trim_end_matches('/').as_bytes();
        self.by_letter[letter(path)].push(self.list.len());
        self.list.push(path.into());
    }

    /// The place of the first prefix that fits, and what comes below it. In: a url from its path on.
    pub(super) fn find<'u>(&self, rest: &'u [u8]) -> Option<(usize, &'u [u8])> {
        self.by_letter[letter(rest)].iter().find_map(|at| {
            let prefix = &self.list[*at];
            let (start, rest) = rest.split_at_checked(prefix.len())?;
            let fits = segment_ends(rest.first())
                && start.iter().zip(prefix).all(|(a, b)| a.eq_ignore_ascii_case(b));
            fits.then(|| (*at, rest.strip_prefix(b"/").unwrap_or_default()))
        })
    }
}

fn letter(rest: &[u8]) -> usize {
    match rest {
        // Upper and lower case fall together, and so do some others, which does no harm.
        [b'/', letter, ..] if !matches!(letter, b'?' | b'#') => usize::from(letter % 32),
        _ => LETTERS - 1,
    }
}
