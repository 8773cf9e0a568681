//! What is said between `clickmill` and `clickmill-sql`, on the latter's standard input and output.
//!
//! A frame is the length of what follows (4 bytes), the question's number (8), the length of a JSON
//! header (4), the header, and rows as an Arrow IPC stream, where there are any; numbers are little
//! endian. Questions are answered in any order, each once. The first frame is the engine's, with number
//! 0: [`Hello`]. The engine ends with its standard input.

use std::io::{self, Read, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use clickmill_tables::result_set::{Answer, Bounds, Parameter};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of what is said here.
pub const VERSION: u32 = 4;

/// Bytes of a frame, at most: an answer has to fit into memory on both sides.
const MAX_FRAME_BYTES: usize = 1 << 30;

/// What the engine says first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The version that it speaks.
    pub version: u32,
}

/// A question.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// A query over a warehouse.
    Query {
        /// Where the warehouse is.
        warehouse: String,
        /// The query, in BigQuery's dialect.
        sql: String,
        /// Values of named parameters.
        parameters: Vec<(String, Parameter)>,
        /// How much of its answer is wanted.
        bounds: Bounds,
    },
    /// Whether a text is a condition.
    Check {
        /// The text.
        condition: String,
    },
    /// Which of the frame's rows a condition holds for.
    Filter {
        /// The condition.
        condition: String,
    },
    /// Nobody waits for the answer to the question of this number any more.
    Cancel,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The frame's rows; of a check, none.
    Rows,
    /// There is none.
    Failed {
        /// What is at fault.
        fault: Fault,
        /// Why, for a person.
        what: String,
    },
}

/// What is at fault where there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The question.
    Question,
    /// The question, which names a table that is not there.
    NoTable,
    /// The tables, which can't be read.
    Tables,
}

/// A frame that was read: the question's number, the header, and rows as Arrow IPC.
pub type Frame<H> = (u64, H, Vec<u8>);

/// Writes a frame.
pub fn write<H: Serialize>(
    to: &mut impl Write,
    number: u64,
    header: &H,
    body: &[u8],
) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    let length = 8 + 4 + header.len() + body.len();
    let too_long = |_| io::Error::other(format!("{length} bytes are too many for one answer"));
    if length > MAX_FRAME_BYTES {
        return Err(too_long(()));
    }
    let mut head = Vec::with_capacity(16 + header.len());
    head.extend((length as u32).to_le_bytes());
    head.extend(number.to_le_bytes());
    head.extend((header.len() as u32).to_le_bytes());
    head.extend(header);
    to.write_all(&head)?;
    to.write_all(body)?;
    to.flush()
}

/// Reads a frame; `None` at the end.
pub fn read<H: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<Frame<H>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length) as usize;
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "this is not a frame");
    if !(12..=MAX_FRAME_BYTES).contains(&length) {
        return Err(odd());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or_else(odd)?;
    let (header, rest) = rest.split_first_chunk::<4>().ok_or_else(odd)?;
    let header = u32::from_le_bytes(*header) as usize;
    let (header, body) = rest.split_at_checked(header).ok_or_else(odd)?;
    Ok(Some((u64::from_le_bytes(*number), serde_json::from_slice(header)?, body.to_vec())))
}

/// Rows as an Arrow IPC stream. Rows of other types than the schema's are refused: whoever reads them would
/// take the bits of one type for another's.
pub fn write_rows(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    for batch in batches {
        let (told, found) = (schema.fields(), batch.schema_ref().fields());
        let alike = |(told, found): (&FieldRef, &FieldRef)| {
            is_read_alike(told.data_type(), found.data_type())
        };
        if told.len() != found.len() || !told.iter().zip(found).all(alike) {
            return Err(ArrowError::SchemaError(format!("rows of {found:?}, not {told:?}")));
        }
        writer.write(batch)?;
    }
    writer.into_inner()
}

/// Whether values of two types have the same buffers, whatever their fields are called.
fn is_read_alike(one: &DataType, other: &DataType) -> bool {
    match (one, other) {
        (DataType::List(one), DataType::List(other)) => {
            is_read_alike(one.data_type(), other.data_type())
        }
        (DataType::Struct(one), DataType::Struct(other)) => {
            let alike = |(one, other): (&FieldRef, &FieldRef)| {
                is_read_alike(one.data_type(), other.data_type())
            };
            one.len() == other.len() && one.iter().zip(other).all(alike)
        }
        _ => one == other,
    }
}

/// Rows of an Arrow IPC stream.
pub fn read_rows(bytes: &[u8]) -> Result<Answer, ArrowError> {
    let reader = StreamReader::try_new(bytes, None)?;
    let schema = reader.schema();
    Ok(Answer { schema, batches: reader.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, ListArray};
    use arrow::datatypes::{Field, Float64Type, Int64Type, Schema};

    use super::*;

    #[test]
    fn frames_come_through_one_after_the_other() {
        let mut bytes = Vec::new();
        write(&mut bytes, 7, &Request::Cancel, b"").unwrap();
        write(&mut bytes, 8, &Request::Check { condition: "a = 'ü'".to_owned() }, b"rows").unwrap();
        let mut from = &bytes[..];
        let (number, first, body): Frame<Request> = read(&mut from).unwrap().unwrap();
        assert!(matches!((number, first, body.len()), (7, Request::Cancel, 0)));
        let (number, second, body): Frame<Request> = read(&mut from).unwrap().unwrap();
        assert!(matches!(second, Request::Check { condition } if condition == "a = 'ü'"));
        assert_eq!((number, &body[..]), (8, &b"rows"[..]));
        assert!(read::<Request>(&mut from).unwrap().is_none());
    }

    #[test]
    fn what_is_cut_or_made_up_is_an_error() {
        let mut whole = Vec::new();
        write(&mut whole, 1, &Request::Check { condition: "x".to_owned() }, b"rows").unwrap();
        for cut in 4..whole.len() {
            assert!(read::<Request>(&mut &whole[..cut]).is_err(), "{cut}");
        }
        for bytes in [[0xff; 32], [0; 32]] {
            assert!(read::<Request>(&mut &bytes[..]).is_err());
        }
        // A header that is longer than its frame.
        whole[12] = 0xff;
        assert!(read::<Request>(&mut &whole[..]).is_err());
    }

    #[test]
    fn rows_of_other_types_than_are_told_are_refused() {
        let rows = |column: ArrayRef| RecordBatch::try_from_iter([("x", column)]).unwrap();
        let of = |kind| Arc::new(Schema::new(vec![Field::new("y", kind, true)]));
        let floats = rows(Arc::new(Float64Array::from(vec![1.0])));
        let through = write_rows(&of(DataType::Float64), std::slice::from_ref(&floats)).unwrap();
        let read = read_rows(&through).unwrap();
        assert_eq!(read.batches[0].column(0).as_primitive::<Float64Type>().value(0), 1.0);
        for told in [DataType::Int64, DataType::Null, DataType::Float32] {
            assert!(write_rows(&of(told), std::slice::from_ref(&floats)).is_err());
        }
        let none = Arc::new(Schema::empty());
        assert!(write_rows(&none, std::slice::from_ref(&floats)).is_err());
        // What elements are called is no matter, what they are is.
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)])]);
        let lists = rows(Arc::new(list));
        let told = |kind| DataType::List(Arc::new(Field::new("element", kind, false)));
        assert!(write_rows(&of(told(DataType::Int64)), std::slice::from_ref(&lists)).is_ok());
        assert!(write_rows(&of(told(DataType::Float64)), std::slice::from_ref(&lists)).is_err());
        let numbers = rows(Arc::new(Int64Array::from(vec![1])));
        assert!(write_rows(&of(DataType::Int64), &[numbers, floats]).is_err());
    }
}
