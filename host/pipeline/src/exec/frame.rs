//! Frames on a pipe: eight bytes that say how long the body is and what it holds, and the body.

use std::io::{self, Read};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use crossbeam_channel::{Receiver, bounded};
use serde_json::Value as Json;

/// Bytes before the body. Eight of them keep Arrow's buffers aligned.
pub(super) const HEADER_BYTES: usize = 8;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    Hello = 1,
    Batch = 2,
    Object = 3,
    Crashed = 4,
    Find = 5,
    Rows = 16,
    Letters = 17,
    PluginSet = 18,
    Counts = 19,
    Failed = 20,
    Objects = 21,
    Error = 22,
}

impl Kind {
    /// Those that a caller sends.
    const OF_CALLERS: [Self; 5] =
        [Self::Hello, Self::Batch, Self::Object, Self::Crashed, Self::Find];
}

/// A frame of the caller.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    pub kind: Kind,
    pub body: Bytes,
}

/// Why a frame can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("cannot read standard input")]
    Read(#[from] io::Error),
    #[error("standard input ends within a frame, after {got} of its {wanted} bytes")]
    Cut { got: usize, wanted: usize },
    #[error("a frame has {bytes} bytes, the limit is {max}")]
    TooLong { bytes: usize, max: usize },
    #[error("a frame begins with {header:02x?}, which is not a header of a caller's frame")]
    Header { header: [u8; HEADER_BYTES] },
}

/// Reads a frame; `None` where the input ends before one. Memory is taken as bytes come.
pub(super) fn read(input: &mut impl Read, max: usize) -> Result<Option<Frame>, FrameError> {
    let header = match <[u8; HEADER_BYTES]>::try_from(up_to(input, HEADER_BYTES)?) {
        Ok(header) => header,
        Err(begun) if begun.is_empty() => return Ok(None),
        Err(begun) => return Err(FrameError::Cut { got: begun.len(), wanted: HEADER_BYTES }),
    };
    let [a, b, c, d, kind, 0, 0, 0] = header else { return Err(FrameError::Header { header }) };
    let Some(kind) = Kind::OF_CALLERS.into_iter().find(|known| *known as u8 == kind) else {
        return Err(FrameError::Header { header });
    };
    let bytes = u32::from_le_bytes([a, b, c, d]) as usize;
    if bytes > max {
        return Err(FrameError::TooLong { bytes, max });
    }
    let body = up_to(input, bytes)?;
    if body.len() < bytes {
        return Err(FrameError::Cut {
            got: HEADER_BYTES + body.len(),
            wanted: HEADER_BYTES + bytes,
        });
    }
    Ok(Some(Frame { kind, body: body.into() }))
}

/// So many bytes, or those up to the end.
fn up_to(input: &mut impl Read, bytes: usize) -> io::Result<Vec<u8>> {
    // Of what is reserved the system gives what is written to.
    let mut read = Vec::with_capacity(bytes);
    input.by_ref().take(bytes as u64).read_to_end(&mut read)?;
    Ok(read)
}

/// Reads frames on a thread of its own, which is left where nobody wants more: it ends with the process.
pub(super) fn read_all(
    mut input: impl Read + Send + 'static,
    max: usize,
) -> Receiver<Result<Frame, FrameError>> {
    let (to, frames) = bounded(1);
    std::thread::spawn(move || {
        while let Some(frame) = read(&mut input, max).transpose() {
            let is_last = frame.is_err();
            if to.send(frame).is_err() || is_last {
                break;
            }
        }
    });
    frames
}

/// A frame with a text.
pub(super) fn json(kind: Kind, body: &Json) -> Vec<u8> {
    let mut frame = begin();
    frame.extend(body.to_string().as_bytes());
    end(frame, kind, 0)
}

/// A frame that tells a schema, with no rows.
pub(super) fn schema(kind: Kind, table: u16, schema: &Schema) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(begin(), schema)?;
    writer.finish()?;
    Ok(end(writer.into_inner()?, kind, table))
}

/// Frames with rows: one, or where that had more than `max` bytes, as many as it takes.
pub(super) fn rows(
    kind: Kind,
    table: u16,
    rows: &RecordBatch,
    max: usize,
    frames: &mut Vec<Vec<u8>>,
) -> Result<(), ArrowError> {
    let count = rows.num_rows();
    if count == 0 {
        return Ok(());
    }
    let mut frame = begin();
    frame.reserve(rows.get_array_memory_size().min(max));
    let mut writer = StreamWriter::try_new(frame, &rows.schema())?;
    writer.write(rows)?;
    writer.finish()?;
    let frame = writer.into_inner()?;
    if frame.len() - HEADER_BYTES <= max {
        frames.push(end(frame, kind, table));
        return Ok(());
    }
    if count == 1 {
        let bytes = frame.len() - HEADER_BYTES;
        let what = format!("a row has {bytes} bytes, a frame at most {max}");
        return Err(ArrowError::ComputeError(what));
    }
    let half = count / 2;
    self::rows(kind, table, &rows.slice(0, half), max, frames)?;
    self::rows(kind, table, &rows.slice(half, count - half), max, frames)
}

fn begin() -> Vec<u8> {
    vec![0; HEADER_BYTES]
}

fn end(mut frame: Vec<u8>, kind: Kind, table: u16) -> Vec<u8> {
    let bytes = (frame.len() - HEADER_BYTES) as u32;
    let ([a, b, c, d], [low, high]) = (bytes.to_le_bytes(), table.to_le_bytes());
    let header: [u8; HEADER_BYTES] = [a, b, c, d, kind as u8, 0, low, high];
    for (at, byte) in frame.iter_mut().zip(header) {
        *at = byte;
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
        read(&mut &*bytes, 100)
    }

    #[test]
    fn what_is_written_is_read() {
        let frame = json(Kind::Find, &serde_json::json!({}));
        assert_eq!(frame, [2, 0, 0, 0, 5, 0, 0, 0, b'{', b'}']);
        let wanted = Frame { kind: Kind::Find, body: Bytes::from_static(b"{}") };
        assert_eq!(read_from(&frame).expect("a frame"), Some(wanted));
        assert_eq!(read_from(b"").expect("the end"), None);
    }

    #[test]
    fn a_frame_that_is_none_is_told_by_what_is_wrong() {
        for (bytes, said) in [
            (&b"\x02\0\0"[..], "standard input ends within a frame, after 3 of its 8 bytes"),
            (
                b"\x02\0\0\0\x05\0\0\0{",
                "standard input ends within a frame, after 9 of its 10 bytes",
            ),
            (b"\xff\xff\xff\xff\x05\0\0\0{", "a frame has 4294967295 bytes, the limit is 100"),
            (
                b"\x02\0\0\0\x10\0\0\0{}",
                "a frame begins with [02, 00, 00, 00, 10, 00, 00, 00], which is not a header of a caller's frame",
            ),
            (
                b"\x02\0\0\0\x05\0\x01\0{}",
                "a frame begins with [02, 00, 00, 00, 05, 00, 01, 00], which is not a header of a caller's frame",
            ),
            (
                b"GET / HTTP/1.1\r\n",
                "a frame begins with [47, 45, 54, 20, 2f, 20, 48, 54], which is not a header of a caller's frame",
            ),
        ] {
            assert_eq!(read_from(bytes).expect_err("no frame").to_string(), said);
        }
    }

    #[test]
    fn rows_that_do_not_fit_one_frame_come_in_several() {
        use std::sync::Arc;

        use arrow::array::{ArrayRef, Int64Array};

        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).expect("a batch");
        let mut frames = Vec::new();
        rows(Kind::Rows, 3, &batch, 4000, &mut frames).expect("frames");
        assert_eq!(frames.len(), 4);
        for frame in &frames {
            assert!(frame.len() <= 4000 + HEADER_BYTES);
            assert_eq!(frame[4..8], [16, 0, 3, 0]);
        }
        assert!(rows(Kind::Rows, 0, &batch, 10, &mut frames).is_err());
    }
}
