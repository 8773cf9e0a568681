//! What the columns are called: by the header, or by their places where there is none.

use bytes::Bytes;

use super::super::DecodeError;
use super::{Csv, Next, UNBALANCED_QUOTE, WRONG_FIELD_COUNT, header};

impl Csv {
    pub(super) fn read_header(&mut self) -> Result<(), DecodeError> {
        let mut count = loop {
            match self.next_record(None) {
                Next::Record { count, range, .. } => {
                    // A copy: every batch has it, and a part of the block would keep all of it.
                    self.context.header = Some(Bytes::copy_from_slice(&self.block[range]));
                    break count;
                }
                Next::Malformed(bad) if bad.reason.code == UNBALANCED_QUOTE => {
                    return Err(DecodeError::HeaderQuotes { message: bad.reason.message });
                }
                Next::Malformed(bad) if bad.reason.code == WRONG_FIELD_COUNT => {
                    return Err(DecodeError::HeaderWide { most: self.ends.len() });
                }
                Next::Malformed(_) => {
                    return Err(DecodeError::HeaderText { max_bytes: self.max_record_bytes });
                }
                Next::BlockEnds if self.next_block()? => {}
                // An empty object has no columns and no records.
                Next::BlockEnds => return Ok(()),
            }
        };
        if self.ends_in_delimiter(count) {
            count -= 1;
        }
        let mut names: Vec<String> = Vec::with_capacity(count);
        let mut places = header::Places::default();
        for column in 0..count {
            let start = if column == 0 { 0 } else { self.ends[column - 1] };
            let name = std::str::from_utf8(&self.fields[start..self.ends[column]])
                .map_err(|_| DecodeError::HeaderText { max_bytes: self.max_record_bytes })?;
            let name = match name {
                "" => header::place(column),
                name => name.to_owned(),
            };
            let name = match places.of(&name) {
                None => name,
                Some(_) if self.repeated_names => places.numbered(&name),
                Some(first) => {
                    let (first, second) = (first + 1, column + 1);
                    return Err(DecodeError::HeaderTwice { name, first, second });
                }
            };
            places.take(&name, column);
            names.push(name);
        }
        self.schema = header::schema(names);
        Ok(())
    }

    /// Names the columns by their places, as many as the first record has. It is still the first to be read.
    pub(super) fn name_columns(&mut self) -> Result<(), DecodeError> {
        let (mut count, at, line) = loop {
            let (at, line) = (self.at, self.line);
            match self.next_record(None) {
                Next::Record { count, .. } => break (count, at, line),
                Next::Malformed(bad) if bad.reason.code == WRONG_FIELD_COUNT => {
                    return Err(DecodeError::FirstWide { most: self.ends.len() });
                }
                Next::Malformed(bad) => {
                    return Err(DecodeError::FirstRecord { message: bad.reason.message });
                }
                Next::BlockEnds if self.next_block()? => {}
                Next::BlockEnds => return Ok(()),
            }
        };
        if self.ends_in_delimiter(count) {
            count -= 1;
        }
        (self.at, self.line) = (at, line);
        let names = header::by_place(count);
        self.context.header = Some(header::of(&names, self.delimiter, self.quote));
        self.schema = header::schema(names);
        Ok(())
    }
}
