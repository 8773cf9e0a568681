//! Names by their last letters.

use super::Holds;

/// The last three letters of names, those with the same last letter together and else in the order of the names.
/// They are looked at before the names, which lie about.
pub(super) struct Ends<const N: usize> {
    ends: [[u8; 3]; N],
    /// Which name each is of.
    names: [u8; N],
    /// By letter: where those with it as their last begin, and after the last of them.
    starts: [u8; 27],
}

impl<const N: usize> Ends<N> {
    pub(super) const fn of(names: &[(&[u8], Holds)]) -> Self {
        let mut sorted = Self { ends: [[0; 3]; N], names: [0; N], starts: [0; 27] };
        let (mut letter, mut next) = (0, 0);
        while letter < 26 {
            let mut at = 0;
            while at < N {
                let end = last(names[at].0);
                if self::letter(end[2]) == letter {
                    sorted.ends[next] = end;
                    sorted.names[next] = at as u8;
                    next += 1;
                }
                at += 1;
            }
            letter += 1;
            sorted.starts[letter] = next as u8;
        }
        assert!(next == N && N <= u8::MAX as usize);
        sorted
    }

    /// What the first of the names holds that ends with these letters and fits.
    pub(super) fn find(
        &self,
        names: &[(&[u8], Holds)],
        last_three: [u8; 3],
        fits: impl Fn(&[u8]) -> bool,
    ) -> Option<Holds> {
        let letter = letter(last_three[2]);
        let [start, end] = [self.starts.get(letter)?, self.starts.get(letter + 1)?];
        let of_letter = usize::from(*start)..usize::from(*end);
        let candidates = self.ends[of_letter.clone()].iter().zip(&self.names[of_letter]);
        candidates
            .filter(|(end, _)| **end == last_three)
            .map(|(_, name)| names[usize::from(*name)])
            .find(|(known, _)| fits(known))
            .map(|(_, holds)| holds)
    }
}

/// The last three letters of a name.
pub(super) const fn last(name: &[u8]) -> [u8; 3] {
    let length = name.len();
    [name[length - 3], name[length - 2], name[length - 1]]
}

/// Which letter of the alphabet this is, from 0.
pub(super) const fn letter(byte: u8) -> usize {
    ((byte | 0x20) as usize).wrapping_sub(b'a' as usize)
}
