//! Text in another encoding, as UTF-8. Bytes that are no text in it end the object: what they meant is not guessed.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use encoding_rs::{Decoder, DecoderResult, Encoding};

/// Bytes read at once. A byte may become three.
const READ_BYTES: usize = 64 << 10;

/// A reader of UTF-8 over one of another encoding. A byte order mark goes before the encoding that was named.
pub(super) struct Recoded {
    inner: Box<dyn Read + Send>,
    encoding: &'static Encoding,
    decoder: Decoder,
    bytes: Vec<u8>,
    /// Those that are still to be decoded.
    left: Range<usize>,
    text: Vec<u8>,
    /// What is still to be handed out.
    ready: Range<usize>,
    /// Nothing more comes in.
    ended: bool,
    /// All that came in is decoded.
    done: bool,
}

impl Recoded {
    pub(super) fn new(encoding: &'static Encoding, inner: Box<dyn Read + Send>) -> Self {
        Self {
            inner,
            encoding,
            decoder: encoding.new_decoder(),
            bytes: vec![0; READ_BYTES],
            left: 0..0,
            text: vec![0; 3 * READ_BYTES],
            ready: 0..0,
            ended: false,
            done: false,
        }
    }

    /// Decodes until there is something to hand out, or nothing more.
    fn fill(&mut self) -> io::Result<()> {
        while self.ready.is_empty() && !self.done {
            if self.left.is_empty() && !self.ended {
                let got = self.inner.read(&mut self.bytes)?;
                self.left = 0..got;
                self.ended = got == 0;
            }
            let from = &self.bytes[self.left.clone()];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(from, &mut self.text, self.ended);
            self.left.start += read;
            self.ready = 0..written;
            match result {
                DecoderResult::InputEmpty => self.done = self.ended,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    let what =
                        format!("there are bytes that are not text in {}", self.encoding.name());
                    return Err(io::Error::new(ErrorKind::InvalidData, what));
                }
            }
        }
        Ok(())
    }
}

impl Read for Recoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let count = self.ready.len().min(buffer.len());
        let from = self.ready.start..self.ready.start + count;
        buffer[..count].copy_from_slice(&self.text[from]);
        self.ready.start += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(label: &str, bytes: Vec<u8>) -> io::Result<String> {
        let encoding = Encoding::for_label(label.as_bytes()).expect("an encoding");
        let mut text = String::new();
        Recoded::new(encoding, Box::new(Cursor::new(bytes))).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn text_comes_out_as_utf_8_whatever_its_length() {
        for length in [0, 1, READ_BYTES - 1, READ_BYTES, 3 * READ_BYTES + 1] {
            let wanted = "é".repeat(length);
            assert!(read("latin1", vec![0xe9; length]).expect("text") == wanted);
            let wide: Vec<u8> = wanted.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert!(read("utf-16", wide).expect("text") == wanted);
            let marked: Vec<u8> = "\u{feff}"
                .encode_utf16()
                .chain(wanted.encode_utf16())
                .flat_map(u16::to_be_bytes)
                .collect();
            assert!(read("utf-16", marked).expect("text") == wanted);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_not_guessed_at() {
        for bytes in [&b"a\xff"[..], b"a\x81"] {
            let error = read("shift_jis", bytes.to_vec()).expect_err("no text");
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
    }
}
