//! What is passed over on the way to the next record: line ends, blank lines, the rest of a line beyond the size limit.

use super::Csv;
use super::lines::first_end;

impl Csv {
    /// The place after the line end at `at`, or `at` where there is none. `None` where only the next
    /// block tells: it may begin with the LF of a CRLF.
    pub(super) fn past_line_end(&self, at: usize) -> Option<usize> {
        match &self.block[at..] {
            [b'\r', b'\n', ..] => Some(at + 2),
            [b'\r'] if !self.blocks.ended => None,
            [b'\r' | b'\n', ..] => Some(at + 1),
            _ => Some(at),
        }
    }

    /// Goes on to the first line that is not blank; `false` where the block has none.
    pub(super) fn skip_blank_lines(&mut self) -> bool {
        while let Some(next) = self.past_line_end(self.at) {
            if next == self.at {
                return self.at < self.block.len();
            }
            self.at = next;
            self.line += 1;
        }
        false
    }

    /// Passes over the rest of a line; `false` where it goes on in the next block.
    pub(super) fn skip_line(&mut self) -> bool {
        let rest = &self.block[self.at..];
        self.at += first_end(rest).unwrap_or(rest.len());
        if let Some(next) = self.past_line_end(self.at)
            && next > self.at
        {
            self.at = next;
            self.skipping = false;
        }
        !self.skipping
    }
}
