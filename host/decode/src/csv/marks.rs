//! Where fields and lines of delimited text end, found without a branch for each byte.

use std::ops::Range;

/// Bytes that are looked through at once. Records that go beyond are left to the parser.
const SEEN_BYTES: usize = 64 << 10;
/// Most fields are short: so many bytes are copied at once, whatever is behind the field.
const SHORT: usize = 16;

/// What a byte may be, in two bits: whether it ends a field, and whether it ends a line.
const DELIMITER: u8 = 0b01;
const LINE_END: u8 = 0b11;

/// The delimiters and line ends of a part of a block, and the records that are read by them.
pub(super) struct Marks {
    kinds: [u8; 256],
    /// The part of the block.
    seen: Range<usize>,
    /// Each mark's place in that part, and in the lowest bit whether it ends a line.
    marks: Vec<u32>,
    /// How many they are.
    count: usize,
    /// The mark at which the next record's first field ends, as far as there is one.
    next: usize,
    /// Of each record that was taken, where its fields end in that part, behind the place before it.
    taken: Vec<u32>,
}

impl Marks {
    pub(super) fn new(delimiter: u8) -> Self {
        let mut kinds = [0; 256];
        kinds[usize::from(delimiter)] = DELIMITER;
        kinds[usize::from(b'\r')] = LINE_END;
        kinds[usize::from(b'\n')] = LINE_END;
        Self { kinds, seen: 0..0, marks: Vec::new(), count: 0, next: 0, taken: Vec::new() }
    }

    /// Forgets what was seen: another block is at hand.
    pub(super) fn forget(&mut self) {
        self.seen = 0..0;
    }

    /// Sees to it that what is at `at` is seen, where the next record begins. None is taken yet.
    pub(super) fn see(&mut self, block: &[u8], at: usize) {
        self.taken.clear();
        if self.seen.contains(&at) {
            let at = (at - self.seen.start) as u32;
            self.next = self.marks[..self.count].partition_point(|mark| mark >> 1 < at);
            return;
        }
        self.seen = at..block.len().min(at + SEEN_BYTES);
        let part = &block[self.seen.clone()];
        self.marks.resize(self.marks.len().max(part.len()), 0);
        let (marks, mut count) = (&mut self.marks[..part.len()], 0);
        for (at, byte) in part.iter().enumerate() {
            let kind = self.kinds[usize::from(*byte)];
            // What is no mark is written over by the next one.
            marks[count] = (at as u32) << 1 | u32::from(kind >> 1);
            count += usize::from(kind & 1);
        }
        (self.count, self.next) = (count, 0);
    }

    /// Takes the record at `at`, if it has `width` fields, at most `max_bytes`, is not empty, and all of it was
    /// seen, with the byte behind a CR. What it is not is for the parser to say. Returns its bytes without
    /// the line end, and where the next one begins.
    pub(super) fn take(
        &mut self,
        block: &[u8],
        at: usize,
        width: usize,
        max_bytes: usize,
    ) -> Option<(Range<usize>, usize)> {
        let marks = self.marks[..self.count].get(self.next..self.next + width)?;
        let (last, others) = marks.split_last()?;
        let is_whole = last & 1 == 1 && others.iter().fold(0, |any, mark| any | mark) & 1 == 0;
        let end = self.seen.start + (last >> 1) as usize;
        // What ends in a backslash may go over the line's end.
        if !is_whole || end == at || end - at > max_bytes || block[end - 1] == b'\\' {
            return None;
        }
        // A CRLF is two marks.
        let bytes = match block[end] {
            b'\r' if *block[..self.seen.end].get(end + 1)? == b'\n' => 2,
            _ => 1,
        };
        self.taken.push(((at - self.seen.start) as u32).wrapping_sub(1));
        self.taken.extend(marks.iter().map(|mark| mark >> 1));
        self.next += width + bytes - 1;
        Some((at..end, end + bytes))
    }

    /// Adds the fields of the records that were taken to the columns: their bytes, and where each ends.
    pub(super) fn copy(&self, block: &[u8], columns: &mut [(Vec<u8>, Vec<i32>)]) {
        let part = &block[self.seen.clone()];
        let records = self.taken.chunks_exact(columns.len() + 1);
        for (field, (bytes, ends)) in columns.iter_mut().enumerate() {
            let place =
                |record: &[u32]| record[field].wrapping_add(1) as usize..record[field + 1] as usize;
            let mut to = bytes.len();
            let size: usize = records.clone().map(|record| place(record).len()).sum();
            bytes.resize(to + size + SHORT, 0);
            ends.extend(records.clone().map(|record| {
                let field = place(record);
                let size = field.len();
                match (part[field.start..].first_chunk::<SHORT>(), bytes[to..].first_chunk_mut()) {
                    (Some(from), Some(into)) if size <= SHORT => *into = *from,
                    _ => bytes[to..to + size].copy_from_slice(&part[field]),
                }
                to += size;
                to as i32
            }));
            bytes.truncate(to);
        }
    }
}
