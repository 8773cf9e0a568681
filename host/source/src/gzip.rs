//! Gzip as `gunzip` reads it: members one after another, and zeros behind the last one, with which tapes
//! and block devices pad. Other bytes there are an error: something is lost.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// The decompressed bytes of `R`.
pub(super) struct Gzip<R>(State<R>);

enum State<R> {
    /// Within a member.
    Member(Box<GzDecoder<R>>),
    /// Behind the last one, where there is more.
    Padding(R),
    /// Behind all of it.
    Ended,
}

impl<R: BufRead> Gzip<R> {
    pub(crate) fn new(input: R) -> Self {
        Self(State::Member(Box::new(GzDecoder::new(input))))
    }
}

impl<R: BufRead> Read for Gzip<R> {
    /// After an error it goes on where it was: a read that was interrupted is asked for again.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let next = match &mut self.0 {
                State::Member(member) => {
                    let got = member.read(buffer)?;
                    if got > 0 || buffer.is_empty() {
                        return Ok(got);
                    }
                    member.get_mut().fill_buf()?.first().copied()
                }
                State::Padding(input) => {
                    padding(input)?;
                    None
                }
                State::Ended => return Ok(0),
            };
            let before = std::mem::replace(&mut self.0, State::Ended);
            match (before, next) {
                (State::Member(member), Some(0)) => self.0 = State::Padding(member.into_inner()),
                (State::Member(member), Some(_)) => *self = Self::new(member.into_inner()),
                _ => {}
            }
        }
    }
}

/// Reads to the end of what has to be zeros.
fn padding(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        if bytes.iter().any(|byte| *byte != 0) {
            let message = "there is more than zeros behind the gzip data";
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        match bytes.len() {
            0 => return Ok(()),
            read => input.consume(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{BufReader, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn compressed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).and_then(|()| encoder.finish()).expect("a vector takes all")
    }

    fn read(bytes: &[u8], buffer: usize) -> Result<String, String> {
        let mut text = String::new();
        let input = BufReader::with_capacity(buffer, bytes);
        match Gzip::new(input).read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn members_are_read_one_after_another_and_padding_is_passed_over() {
        let (one, two) = (compressed(b"a,b\n"), compressed(b"1,2\n"));
        for buffer in [1, 3, 16, 1 << 16] {
            for zeros in [0, 1, 2, 500] {
                let padded = [&one[..], &two, &vec![0; zeros]].concat();
                assert_eq!(read(&padded, buffer), Ok("a,b\n1,2\n".to_owned()), "{zeros} zeros");
            }
            let empty = [&one[..], &compressed(b""), &two].concat();
            assert_eq!(read(&empty, buffer), Ok("a,b\n1,2\n".to_owned()));
        }
    }

    /// Pieces, before each of which a read is interrupted.
    struct Interrupted(VecDeque<Vec<u8>>, bool);

    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            self.1 = !self.1;
            if self.1 {
                return self.0.pop_front().map_or(Ok(0), |piece| piece.as_slice().read(buffer));
            }
            Err(ErrorKind::Interrupted.into())
        }
    }

    #[test]
    fn where_a_read_is_interrupted_between_members_it_goes_on() {
        let (one, two) = (compressed(b"a,b\n"), compressed(b"1,2\n"));
        for (more, is_fine) in [(&[0, 0][..], true), (&[0, 7], false)] {
            let pieces = [&one, &two, &[0][..], more].map(<[u8]>::to_vec);
            let mut text = String::new();
            let input = BufReader::new(Interrupted(pieces.into(), false));
            let read = Gzip::new(input).read_to_string(&mut text);
            assert_eq!(read.is_ok().then_some(text), is_fine.then(|| "a,b\n1,2\n".to_owned()));
        }
    }

    #[test]
    fn other_bytes_behind_the_last_member_and_members_that_are_cut_off_are_errors() {
        let one = compressed(b"a,b\n");
        let told = Err("there is more than zeros behind the gzip data".to_owned());
        assert_eq!(read(&[&one[..], &[0, 0, 7]].concat(), 2), told);
        assert_eq!(read(&[&one[..], &[0], &one].concat(), 64), told);
        assert!(read(&[&one[..], b"more"].concat(), 64).is_err());
        for cut in 1..one.len() {
            assert!(read(&one[..cut], 64).is_err(), "cut to {cut} bytes");
            assert!(read(&[&one[..], &one[..cut]].concat(), 64).is_err(), "cut to {cut} bytes");
        }
    }
}
