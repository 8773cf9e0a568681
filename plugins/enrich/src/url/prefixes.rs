//! Path prefixes that fit by whole segments, whatever the case.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::parts::segment_ends;

/// A list of prefixes, of which the first that fits counts.
#[derive(Serialize, Deserialize)]
#[serde(from = "Listed")]
pub(super) struct Prefixes {
    /// Without the slash at their ends.
    list: Vec<ByteBuf>,
    /// Places in `list`, those of one first letter of the path beside each other: few are to be tried for a path.
    #[serde(skip)]
    order: Vec<u16>,
    /// By letter, where in `order` its places begin, and at the end where the last one's end.
    #[serde(skip)]
    begins: [u16; LETTERS + 1],
}

/// What is handed on: the rest is made of it sooner than it is read.
#[derive(Deserialize)]
struct Listed {
    list: Vec<ByteBuf>,
}

/// So many have places of 16 bits.
pub(super) const MAX_PREFIXES: usize = u16::MAX as usize;
/// Buckets of first letters, and last that of the home page.
const LETTERS: usize = 33;

impl From<Listed> for Prefixes {
    fn from(Listed { list }: Listed) -> Self {
        let mut begins = [0; LETTERS + 1];
        list.iter().for_each(|path| begins[letter(path) + 1] += 1);
        for letter in 0..LETTERS {
            begins[letter + 1] += begins[letter];
        }
        let (mut next, mut order) = (begins, vec![0; list.len()]);
        for (at, path) in list.iter().enumerate() {
            let place = &mut next[letter(path)];
            order[usize::from(*place)] = at as u16;
            *place += 1;
        }
        Self { list, order, begins }
    }
}

impl Prefixes {
    /// Paths that begin with a slash, [`MAX_PREFIXES`] at most.
    pub(super) fn of<'p>(paths: impl Iterator<Item = &'p str>) -> Self {
        let list = paths.map(|path| ByteBuf::from(path.trim_end_matches('/').as_bytes()));
        Self::from(Listed { list: list.collect() })
    }

    /// The place of the first prefix that fits, and what comes below it. In: a url from its path on.
    pub(super) fn find<'u>(&self, rest: &'u [u8]) -> Option<(usize, &'u [u8])> {
        let letter = letter(rest);
        let [from, to] = [self.begins[letter], self.begins[letter + 1]].map(usize::from);
        self.order[from..to].iter().find_map(|at| {
            let at = usize::from(*at);
            let prefix = &self.list[at];
            let (start, rest) = rest.split_at_checked(prefix.len())?;
            let fits = segment_ends(rest.first())
                && start.iter().zip(prefix.iter()).all(|(a, b)| a.eq_ignore_ascii_case(b));
            fits.then(|| (at, rest.strip_prefix(b"/").unwrap_or_default()))
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
