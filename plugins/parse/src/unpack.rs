//! Payloads that are packed: base64 and gzip, to the text of the messages.

use std::io::Read;

use clickmill_plugin::{Column, Text};
use flate2::read::MultiGzDecoder;

use crate::config::Packing;
use crate::rejection::Code;
use crate::typed::base64;

/// Messages unpacked: of those that cannot be, nothing is there but what is said of them.
pub(crate) struct Unpacked {
    pub(crate) text: Text,
    /// By row, in their order.
    pub(crate) refused: Vec<(usize, Code, String)>,
}

/// Unpacks the messages of a column of text or bytes.
pub(crate) fn unpack(column: &Column, packed: &[Packing], max_bytes: u32) -> Unpacked {
    let rows = column.len();
    let mut text = Text { offsets: Vec::with_capacity(rows + 1), bytes: Vec::new() };
    text.offsets.push(0);
    let mut refused = Vec::new();
    let (mut message, mut scratch) = (Vec::new(), Vec::new());
    for row in 0..rows {
        if let Some(payload) = column.bytes(row) {
            message.clear();
            message.extend_from_slice(payload);
            match steps(&mut message, &mut scratch, packed, max_bytes) {
                Ok(()) => text.bytes.extend_from_slice(&message),
                Err((code, told)) => refused.push((row, code, told)),
            }
        }
        text.offsets.push(text.bytes.len() as u32);
    }
    Unpacked { text, refused }
}

fn steps(
    message: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    packed: &[Packing],
    max_bytes: u32,
) -> Result<(), (Code, String)> {
    for packing in packed {
        scratch.clear();
        match packing {
            Packing::Base64 => {
                if !base64(message.trim_ascii(), scratch) {
                    return Err((Code::NotBase64, "the payload is not base64".to_owned()));
                }
            }
            // One byte more than there may be tells that there are more.
            Packing::Gzip => {
                let gzip = MultiGzDecoder::new(message.as_slice());
                gzip.take(u64::from(max_bytes) + 1).read_to_end(scratch).map_err(|error| {
                    (Code::NotGzip, format!("the payload is not gzip: {error}"))
                })?;
            }
        }
        if scratch.len() > max_bytes as usize {
            let told = format!("the payload is larger unpacked than {max_bytes} bytes");
            return Err((Code::TooLarge, told));
        }
        std::mem::swap(message, scratch);
    }
    match std::str::from_utf8(message) {
        Ok(_) => Ok(()),
        Err(error) => {
            let at = error.valid_up_to();
            Err((Code::NotUtf8, format!("the payload unpacked is not UTF-8: byte {at}")))
        }
    }
}
