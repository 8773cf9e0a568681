//! Text in another encoding, as UTF-8. Bytes that are no text in it end the object: what they meant is not guessed.

use std::io::{self, Cursor, ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;

use encoding_rs::{Decoder, DecoderResult, Encoding, ISO_2022_JP};

use clickmill_config::{Dialect, Format};

/// Bytes read at once. A byte may become three.
const READ_BYTES: usize = 64 << 10;
/// Bytes of what was read before that are kept: what is no text may begin there, six bytes back at most.
const KEPT_BYTES: usize = 8;

/// A record as it is kept, in UTF-8, where it was read without the encoding that its format names now: one that
/// was read with it is UTF-8 already. Fails where it is no text in that encoding.
pub fn in_utf8(format: &Format, record: Arc<[u8]>) -> io::Result<Arc<[u8]>> {
    match format {
        Format::Csv { dialect: Dialect { encoding: Some(encoding), .. }, .. }
            if is_encoded(encoding, &record) =>
        {
            // What looks like a byte order mark is none within an object.
            let decoder = encoding.new_decoder_without_bom_handling();
            let mut text = Vec::new();
            Recoded::of(decoder, Box::new(Cursor::new(record))).read_to_end(&mut text)?;
            Ok(text.into())
        }
        _ => Ok(record),
    }
}

/// Whether bytes are not UTF-8 yet. ISO-2022-JP has bytes of ASCII alone, and says by an escape character what they
/// mean, which text has for nothing else.
fn is_encoded(encoding: &'static Encoding, bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err() || encoding == ISO_2022_JP && bytes.contains(&0x1b)
}

/// A reader of UTF-8 over one of another encoding. A byte order mark goes before the encoding that was named.
pub(super) struct Recoded {
    inner: Box<dyn Read + Send>,
    decoder: Decoder,
    /// What was read last, behind the end of what was read before.
    bytes: Vec<u8>,
    /// Those that are still to be decoded.
    left: Range<usize>,
    /// All that came in.
    read: u64,
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
        Self::of(encoding.new_decoder(), inner)
    }

    fn of(decoder: Decoder, inner: Box<dyn Read + Send>) -> Self {
        Self {
            inner,
            decoder,
            bytes: vec![0; KEPT_BYTES + READ_BYTES],
            left: KEPT_BYTES..KEPT_BYTES,
            read: 0,
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
                self.bytes.copy_within(self.left.end - KEPT_BYTES..self.left.end, 0);
                self.left = KEPT_BYTES..KEPT_BYTES;
                let got = self.inner.read(&mut self.bytes[KEPT_BYTES..])?;
                self.left.end += got;
                self.read += got as u64;
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
                DecoderResult::Malformed(length, after) => {
                    return Err(self.no_text(length.into(), after.into()));
                }
            }
        }
        Ok(())
    }

    /// What is no text: so many bytes, behind which as many were decoded `after` them.
    fn no_text(&self, length: usize, after: usize) -> io::Error {
        let end = self.left.start - after;
        let bytes = &self.bytes[end - length..end];
        let offset = self.read - (self.left.end - end + length) as u64;
        let (value, digits) =
            (bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 2 * length);
        let encoding = self.decoder.encoding().name();
        let what = format!("0x{value:0digits$x} at offset {offset} is not text in {encoding}");
        io::Error::new(ErrorKind::InvalidData, what)
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
    fn bytes_that_are_no_text_are_not_guessed_at_and_told_with_their_place() {
        let check = |label: &str, bytes: Vec<u8>, wanted: &str| {
            let error = read(label, bytes).expect_err("no text");
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert_eq!(error.to_string(), wanted);
        };
        for (label, bytes, at, value, name) in [
            ("shift_jis", &b"a\xff"[..], 1, "0xff", "Shift_JIS"),
            ("shift_jis", b"a\x81", 1, "0x81", "Shift_JIS"),
            ("shift_jis", b"ab\xfdcd", 2, "0xfd", "Shift_JIS"),
            ("windows-1253", b"a\xd2b", 1, "0xd2", "windows-1253"),
            ("utf-16", b"a\0\x00\xd8b\0", 2, "0x00d8", "UTF-16LE"),
        ] {
            // Wherever what is read at once ends.
            for before in [0, READ_BYTES - 4, READ_BYTES - 2, 2 * READ_BYTES, 7 * READ_BYTES + 2] {
                let text = if label == "utf-16" { &b"x\0"[..] } else { b"xx" };
                let bytes = [text.repeat(before / 2), bytes.to_vec()].concat();
                let offset = before + at;
                check(label, bytes, &format!("{value} at offset {offset} is not text in {name}"));
            }
        }
        // A byte order mark goes before the encoding that was named.
        let marked = b"\xef\xbb\xbfa\xffb".to_vec();
        check("latin1", marked, "0xff at offset 4 is not text in UTF-8");
    }

    #[test]
    fn a_record_is_decoded_that_was_read_as_utf_8_and_is_not() {
        let format = |label: Option<&str>| {
            let encoding = label.and_then(|label| Encoding::for_label(label.as_bytes()));
            let dialect = Dialect { encoding, ..Dialect::default() };
            Format::Csv { dialect, max_record_bytes: 1024 }
        };
        for (label, record, wanted) in [
            (Some("windows-1252"), &b"N,K\xf6ln"[..], "N,K\u{f6}ln".as_bytes()),
            // It was in that encoding, and is UTF-8 since.
            (Some("windows-1252"), "N,K\u{f6}ln".as_bytes(), "N,K\u{f6}ln".as_bytes()),
            (Some("windows-1252"), b"\xff\xfe,1", "\u{ff}\u{fe},1".as_bytes()),
            (Some("shift_jis"), b"\x93\xfa,1", "\u{65e5},1".as_bytes()),
            (Some("iso-2022-jp"), b"\x1b$BF|\x1b(B,1", "\u{65e5},1".as_bytes()),
            (Some("iso-2022-jp"), "\u{65e5},1".as_bytes(), "\u{65e5},1".as_bytes()),
            (None, b"N,K\xf6ln", b"N,K\xf6ln"),
        ] {
            let found = in_utf8(&format(label), record.into()).expect("text");
            assert_eq!(&found[..], wanted, "{label:?}");
        }
        let error =
            in_utf8(&format(Some("shift_jis")), Arc::from(&b"1,\xff"[..])).expect_err("no text");
        assert_eq!(error.to_string(), "0xff at offset 2 is not text in Shift_JIS");
    }
}
