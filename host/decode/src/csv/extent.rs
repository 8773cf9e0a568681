//! How far a record goes that is not read: one beyond a limit.

use super::escaped::Signs;

/// How far a record goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Extent {
    /// Its quotes are in order, and so many bytes are before its line end or the end of the input.
    Ends(usize),
    /// Its quotes are not in order.
    NotInOrder,
    /// Further than what is at hand.
    Beyond,
}

/// Where in a record the next byte is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// Where a field begins.
    Begin,
    /// In a field without quotes.
    Plain,
    /// Within quotes.
    Quoted,
    /// Behind the closing quote.
    Behind,
}

/// Follows a record, and goes on where it was once there is more of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Follower {
    place: Place,
    /// The byte that comes next.
    pub at: usize,
}

impl Follower {
    /// At the record that begins here.
    pub(super) fn new(at: usize) -> Self {
        Self { place: Place::Begin, at }
    }

    /// Whether it is within quotes.
    pub(super) fn is_quoted(&self) -> bool {
        self.place == Place::Quoted
    }

    /// Follows the record as far as `input` goes. `ended` says that there is no more than this. With more of it,
    /// what is known stays. Where the quotes are not in order, it stands at the first byte that shows it.
    pub(super) fn follow(&mut self, input: &[u8], signs: Signs, ended: bool) -> Extent {
        let Signs { delimiter, quote, escape } = signs;
        let is_escape = |byte| Some(byte) == escape;
        loop {
            let Some(&byte) = input.get(self.at) else {
                return match self.place {
                    _ if !ended => Extent::Beyond,
                    Place::Quoted => Extent::NotInOrder,
                    Place::Begin | Place::Plain | Place::Behind => Extent::Ends(self.at),
                };
            };
            let next = input.get(self.at + 1).copied();
            if next.is_none() && !ended && (byte == quote || is_escape(byte)) {
                return Extent::Beyond;
            }
            self.at += match self.place {
                Place::Quoted => {
                    let is_escaped = match next {
                        Some(next) if is_escape(byte) => next == quote || is_escape(next),
                        Some(next) => byte == quote && next == quote,
                        None => false,
                    };
                    if byte == quote && !is_escaped {
                        self.place = Place::Behind;
                    }
                    if is_escaped { 2 } else { 1 }
                }
                Place::Begin if byte == quote => {
                    self.place = Place::Quoted;
                    1
                }
                _ if matches!(byte, b'\r' | b'\n') => return Extent::Ends(self.at),
                _ if byte == delimiter => {
                    self.place = Place::Begin;
                    1
                }
                Place::Behind => return Extent::NotInOrder,
                Place::Begin | Place::Plain => {
                    self.place = Place::Plain;
                    match next {
                        _ if !is_escape(byte) => 1,
                        // It would escape the line's end, which only a quoted field may hold.
                        None | Some(b'\r' | b'\n') => return Extent::NotInOrder,
                        Some(next) if next == quote || is_escape(next) || next == delimiter => 2,
                        Some(_) => 1,
                    }
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(escape: Option<u8>, input: &[u8], ended: bool, wanted: Extent) {
        let signs = Signs { delimiter: b',', quote: b'"', escape };
        let told = Follower::new(0).follow(input, signs, ended);
        assert_eq!(told, wanted, "{}", String::from_utf8_lossy(input));
        // In two pieces.
        let mut follower = Follower::new(0);
        let first = follower.follow(&input[..input.len() / 2], signs, false);
        let both =
            if first == Extent::Beyond { follower.follow(input, signs, ended) } else { first };
        assert_eq!(both, wanted, "{}", String::from_utf8_lossy(input));
    }

    #[test]
    fn a_record_goes_on_where_its_quotes_do() {
        for ended in [false, true] {
            check(None, b"1,2\n3", ended, Extent::Ends(3));
            check(None, b"1,\"x\n7,8,9\n\",3\r\n", ended, Extent::Ends(14));
            check(None, b"1,\"x\"\"\n\"\n", ended, Extent::Ends(8));
            check(None, b"1,\"x\n2,\"y\n", ended, Extent::NotInOrder);
            check(None, b"1,x \"y\"\n", ended, Extent::Ends(7));
            check(Some(b'^'), b"1,\"x^\"\n\"\n", ended, Extent::Ends(8));
            check(Some(b'^'), b"1,x^\n", ended, Extent::NotInOrder);
        }
        for (input, at_the_end) in [
            (&b"1,\"x\n2"[..], Extent::NotInOrder),
            (b"1,\"x\"", Extent::Ends(5)),
            (b"1,2", Extent::Ends(3)),
            (b"", Extent::Ends(0)),
        ] {
            check(None, input, false, Extent::Beyond);
            check(None, input, true, at_the_end);
        }
    }
}
