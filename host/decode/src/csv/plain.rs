//! Records in which nothing but a quote stands for a quote, as RFC 4180 has them.

use csv_core::{ReadRecordResult, Reader};

use super::lines::BYTE_ORDER_MARK;
use super::parsed::{Parsed, Stop};

/// Reads the record that `input` begins with: its fields, end to end, to `fields`, and where each ends to
/// `ends`. `ended` says that the input has no more than this.
pub(super) fn read(
    parser: &mut Reader,
    input: &[u8],
    ended: bool,
    fields: &mut [u8],
    ends: &mut [usize],
) -> Parsed {
    let (mut read, mut written, mut count) = (0, 0, 0);
    parser.reset();
    // At a record's beginning the parser passes over a byte order mark that it sees whole. One within an
    // object is a field's own.
    let mut given = if input.starts_with(BYTE_ORDER_MARK) { 1 } else { input.len() };
    let stop = loop {
        let (result, nin, nout, nend) =
            parser.read_record(&input[read..given], &mut fields[written..], &mut ends[count..]);
        read += nin;
        written += nout;
        count += nend;
        match result {
            ReadRecordResult::InputEmpty if given < input.len() => given = input.len(),
            ReadRecordResult::Record if nin > 0 => break Stop::LineEnd,
            ReadRecordResult::Record => break Stop::Input,
            ReadRecordResult::InputEmpty | ReadRecordResult::End if !ended => break Stop::Block,
            // At the very end of the input an empty read closes the last record.
            ReadRecordResult::InputEmpty if nin > 0 => {}
            ReadRecordResult::InputEmpty
            | ReadRecordResult::End
            | ReadRecordResult::OutputFull
            | ReadRecordResult::OutputEndsFull => break Stop::Full,
        }
    };
    Parsed { stop, read, count, quotes: None }
}
