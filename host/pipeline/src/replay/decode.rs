//! Letters to batches: each record is decoded by itself, as it was found in its object or message, and
//! those of one source and one header make a batch.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;

use super::ReplayError;
use clickmill_config::{BatchLimits, Format};
use clickmill_core::Micros;
use clickmill_core::batch::{Batch, Message, Origins, Positions, Reason};
use clickmill_dead_letter::{HEADER_ATTRIBUTE, NO_HEADER_ATTRIBUTE};
use clickmill_decode::{Decoded, Decoder, in_utf8, messages};
use clickmill_sink::Letter;

/// As many records of a letter as tell that it holds not one.
const ENOUGH: usize = 2;

/// Letters by source and header, as decoded rows.
type Groups = BTreeMap<(String, Option<String>), Vec<(Letter, RecordBatch)>>;

/// Letters that can't be decoded, by id.
type Malformed = Vec<(String, Reason)>;

/// Batches of the letters' records, and those that can't be decoded, by letter id.
pub(super) fn batches(
    letters: Vec<Letter>,
    format: &Format,
    limits: BatchLimits,
) -> Result<(Vec<Batch>, Malformed), ReplayError> {
    let now = Micros::now();
    let mut groups = Groups::new();
    let mut malformed = Vec::new();
    for mut letter in letters {
        let header = letter.attributes.iter().find(|(key, _)| key == HEADER_ATTRIBUTE);
        let header = header.map(|(_, header)| header.clone());
        let is_text = recode(&mut letter, format);
        match is_text.and_then(|()| record(&letter, header.as_deref(), format, limits, now)) {
            Ok(columns) => {
                let group = groups.entry((letter.source.clone(), header)).or_default();
                group.push((letter, columns));
            }
            Err(reason) => malformed.push((letter.letter_id, reason)),
        }
    }
    let mut batches = Vec::new();
    for ((source, header), group) in groups {
        let mut left = group.as_slice();
        while !left.is_empty() {
            let (first, rest) = left.split_at(fit(left, limits));
            batches.push(batch(&source, header.as_deref(), first, now)?);
            left = rest;
        }
    }
    Ok((batches, malformed))
}

/// How many of the first letters make a batch: it is full with so many records, or so many bytes of them, as
/// one is that is read from their source.
fn fit(letters: &[(Letter, RecordBatch)], limits: BatchLimits) -> usize {
    let mut bytes = 0;
    let first = letters.iter().take(limits.max_rows).take_while(|(letter, _)| {
        let is_full = bytes >= limits.max_bytes;
        bytes += letter.payload.len();
        !is_full
    });
    first.count().max(1)
}

/// Has a letter's record in UTF-8, as it is from here on for whoever looks at it.
fn recode(letter: &mut Letter, format: &Format) -> Result<(), Reason> {
    letter.payload = in_utf8(format, letter.payload.clone()).map_err(|e| whole(&e))?;
    Ok(())
}

/// A letter's record as a row.
fn record(
    letter: &Letter,
    header: Option<&str>,
    format: &Format,
    limits: BatchLimits,
    now: Micros,
) -> Result<RecordBatch, Reason> {
    if let Some(lender) = &letter.lender {
        let message = format!(
            "its record's bytes are with letter `{}`, which is not in the table",
            lender.letter_id
        );
        return Err(Reason { code: "no_payload".to_owned(), message, column: None });
    }
    let (decoded, others) = match format {
        Format::Message { max_record_bytes, payload } => {
            let given = vec![(message(letter), Bytes::copy_from_slice(&letter.payload))];
            let source = letter.source.as_str().into();
            let decoded = messages::decode(given, source, *max_record_bytes, *payload, now);
            (decoded.map_err(|e| whole(&e))?, 0)
        }
        Format::Csv { .. } | Format::Ndjson { .. } => {
            let mut own = letter.attributes.iter();
            if let Some((_, why)) = own.find(|(key, _)| key == NO_HEADER_ATTRIBUTE) {
                let message = format!("{why}: load its object again");
                return Err(Reason { code: "no_header".to_owned(), message, column: None });
            }
            let mut text = Vec::new();
            if let Some(header) = header {
                text.extend_from_slice(header.as_bytes());
                text.push(b'\n');
            }
            text.extend_from_slice(&letter.payload);
            text.push(b'\n');
            // A batch has room for as many rows as it may get, and there is one per letter.
            let limits = BatchLimits { max_rows: ENOUGH, ..limits };
            let source: Arc<str> = letter.source.as_str().into();
            let input = Box::new(Cursor::new(text));
            let mut decoder =
                Decoder::new(&format.of_one(header.is_some()), limits, source, now, input)
                    .map_err(|e| whole(&e))?;
            let mut batches = std::iter::from_fn(|| decoder.next_batch().transpose());
            let first = batches.next().ok_or_else(|| Reason {
                code: "empty".to_owned(),
                message: "the letter holds no record".to_owned(),
                column: None,
            })?;
            let (mut decoded, mut others) = (first.map_err(|e| whole(&e))?, 0);
            // A batch ends where a block does: what comes behind it is of the same letter.
            for more in batches {
                let more = more.map_err(|e| whole(&e))?;
                others += more.batch.rows();
                decoded.malformed.extend(more.malformed);
            }
            (decoded, others)
        }
    };
    let Decoded { batch, malformed, .. } = decoded;
    match (batch.rows() + others, malformed.into_iter().next()) {
        (1, None) => Ok(batch.columns),
        (_, Some(malformed)) => Err(malformed.reason),
        (rows, None) => Err(Reason {
            code: "not_one_record".to_owned(),
            message: format!(
                "the letter holds {} records",
                if rows == 0 { "no" } else { "several" }
            ),
            column: None,
        }),
    }
}

fn whole(error: &dyn std::error::Error) -> Reason {
    Reason { code: "undecodable".to_owned(), message: clickmill_core::causes(error), column: None }
}

fn message(letter: &Letter) -> Arc<Message> {
    Arc::new(Message {
        id: letter.message_id.clone().unwrap_or_default(),
        publish_time: letter.publish_time.unwrap_or_default(),
        ordering_key: String::new(),
        attributes: letter.attributes.clone(),
    })
}

fn batch(
    source: &str,
    header: Option<&str>,
    group: &[(Letter, RecordBatch)],
    now: Micros,
) -> Result<Batch, ReplayError> {
    let schema = group[0].1.schema();
    let columns = concat_batches(&schema, group.iter().map(|(_, columns)| columns))?;
    let is_message = group[0].0.message_id.is_some();
    let mut block = Vec::new();
    let mut ranges = Vec::with_capacity(group.len());
    for (letter, _) in group {
        let begin = block.len();
        block.extend_from_slice(&letter.payload);
        ranges.push(begin..block.len());
    }
    let letters = group.iter().map(|(letter, _)| letter);
    let positions = if is_message {
        Positions::Messages(letters.map(message).collect())
    } else {
        let line = |letter: &Letter| letter.source_line.unwrap_or_default() as u64;
        Positions::Lines(letters.map(line).collect())
    };
    let header = header.map(|header| Bytes::from(header.to_owned()));
    let origins = Origins {
        source: source.into(),
        header,
        positions,
        places: None,
        block: block.into(),
        ranges,
    };
    Ok(Batch { columns, origins, ingest_time: now })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arrow::array::AsArray;

    use super::*;
    use clickmill_config::Dialect;
    use clickmill_core::batch::Position;
    use clickmill_sink::Lender;

    fn letter(payload: String, header: String) -> Letter {
        Letter {
            letter_id: "0a1b".to_owned(),
            source: "shop.csv@1".to_owned(),
            source_line: Some(7),
            message_id: None,
            publish_time: None,
            record_index: 0,
            payload: payload.into_bytes().into(),
            lender: None,
            sealed_with: None,
            attributes: vec![(HEADER_ATTRIBUTE.to_owned(), header)],
            stage: "validate".to_owned(),
            plugin_set: String::new(),
            code: "bad_model".to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn a_letter_without_its_header_is_not_taken_for_one() {
        let format = Format::Csv { dialect: Dialect::default(), max_record_bytes: 1024 };
        let mut letter = letter("1,2".to_owned(), String::new());
        letter.attributes = vec![(NO_HEADER_ATTRIBUTE.to_owned(), "it is too long".to_owned())];
        let (batches, malformed) = batches(vec![letter], &format, BatchLimits::default()).unwrap();
        assert!(batches.is_empty());
        assert_eq!(malformed[0].1.message, "it is too long: load its object again");
    }

    #[test]
    fn a_letter_whose_payload_is_gone_says_where_it_was() {
        let format = Format::Ndjson { max_record_bytes: 1024 };
        let lender = Lender { letter_id: "77aa".to_owned(), sealed_with: None, payload: None };
        let letter = Letter { lender: Some(lender), ..letter(String::new(), String::new()) };
        let (batches, malformed) = batches(vec![letter], &format, BatchLimits::default()).unwrap();
        assert!(batches.is_empty());
        assert_eq!(malformed[0].1.code, "no_payload");
        assert!(malformed[0].1.message.contains("`77aa`"), "{}", malformed[0].1.message);
    }

    #[test]
    fn a_decoded_letter_takes_no_room_for_other_rows() {
        let limits = BatchLimits { max_rows: 1 << 20, ..BatchLimits::default() };
        let csv = Format::Csv { dialect: Dialect::default(), max_record_bytes: 1024 };
        let ndjson = Format::Ndjson { max_record_bytes: 1024 };
        for (format, payload, header) in [(csv, "1,2", Some("a,b")), (ndjson, "{}", None)] {
            let letter = letter(payload.to_owned(), String::new());
            let row = record(&letter, header, &format, limits, Micros::default()).expect("a row");
            assert_eq!(row.num_rows(), 1);
            assert!(row.get_array_memory_size() < 16 << 10, "{}", row.get_array_memory_size());
        }
    }

    #[test]
    fn a_letter_takes_no_room_for_the_largest_record() {
        let dialect = Dialect::default();
        // As much as no machine has.
        let format = Format::Csv { dialect, max_record_bytes: 1 << 46 };
        let letters = (0..100).map(|_| letter("1,2".to_owned(), "a,b".to_owned())).collect();
        let (batches, malformed) = batches(letters, &format, BatchLimits::default()).unwrap();
        assert!(malformed.is_empty(), "{malformed:?}");
        assert_eq!(batches.iter().map(Batch::rows).sum::<usize>(), 100);
    }

    #[test]
    fn a_letter_that_is_not_utf_8_is_in_the_encoding_that_is_named_now() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../pipelines/batch.toml");
        let format = |encoding: &str| {
            let overrides = [format!("source.csv.encoding={encoding}")];
            clickmill_config::read(Path::new(file), &overrides).expect("a pipeline").format
        };
        let letters = |payloads: &[&[u8]]| -> Vec<Letter> {
            let letter = |payload: &&[u8]| Letter {
                payload: (*payload).into(),
                ..letter(String::new(), "country;city".to_owned())
            };
            payloads.iter().map(letter).collect()
        };
        // The second was in an object in that encoding.
        let payloads = [&b"DE;K\xf6ln"[..], "DE;K\u{f6}ln".as_bytes()];
        let (made, malformed) =
            batches(letters(&payloads), &format("windows-1252"), BatchLimits::default()).unwrap();
        assert!(malformed.is_empty(), "{malformed:?}");
        let [batch] = &made[..] else { panic!("{} batches", made.len()) };
        let cities = batch.columns.column(1).as_string::<i32>();
        for row in 0..2 {
            assert_eq!(cities.value(row), "K\u{f6}ln");
            // What values are looked for in is the text that they came from.
            assert_eq!(batch.origins.payload(row), "DE;K\u{f6}ln".as_bytes());
        }
        let (made, malformed) =
            batches(letters(&[b"DE;K\xff"]), &format("shift_jis"), BatchLimits::default()).unwrap();
        assert!(made.is_empty());
        assert_eq!(malformed[0].1.code, "undecodable");
        assert_eq!(malformed[0].1.message, "0xff at offset 4 is not text in Shift_JIS");
    }

    #[test]
    fn batches_are_full_with_so_many_records_or_bytes_of_them() {
        let format = Format::Ndjson { max_record_bytes: 1024 };
        let letter = |_| Letter {
            attributes: Vec::new(),
            ..letter("{\"n\": 420}".to_owned(), String::new())
        };
        let letters = || (0..7).map(letter).collect::<Vec<_>>();
        for (max_rows, max_bytes, wanted) in [
            (8192, 1 << 20, &[7][..]),
            (3, 1 << 20, &[3, 3, 1]),
            (8192, 1, &[1; 7]),
            // Ten bytes each.
            (8192, 10, &[1; 7]),
            (8192, 11, &[2, 2, 2, 1]),
            (3, 50, &[3, 3, 1]),
        ] {
            let limits = BatchLimits { max_rows, max_bytes, ..BatchLimits::default() };
            let (batches, malformed) = batches(letters(), &format, limits).unwrap();
            assert!(malformed.is_empty(), "{malformed:?}");
            let rows: Vec<usize> = batches.iter().map(Batch::rows).collect();
            assert_eq!(rows, wanted, "{max_rows} rows, {max_bytes} bytes");
        }
    }

    #[test]
    fn a_letter_of_several_records_is_not_taken_for_one() {
        let format = Format::Csv { dialect: Dialect::default(), max_record_bytes: 1024 };
        let letter = letter("1,2\n3,4\n5,6".to_owned(), "a,b".to_owned());
        let (batches, malformed) = batches(vec![letter], &format, BatchLimits::default()).unwrap();
        assert!(batches.is_empty());
        assert_eq!(malformed[0].1.message, "the letter holds several records");
    }

    /// A batch ends where a block of what is read ends, wherever that is.
    #[test]
    fn a_record_behind_the_first_of_a_letter_is_not_lost_however_long_that_is() {
        let format = Format::Csv { dialect: Dialect::default(), max_record_bytes: 8 << 20 };
        let limits = BatchLimits::default();
        for bytes in [1 << 10, 65_000, 65_530, 65_536, 70_000, 2 << 20, 5 << 20] {
            let first = format!("1,{}", "x".repeat(bytes));
            let header = || "a,b".to_owned();
            let one = letter(first.clone(), header());
            let two = letter(format!("{first}\n3,{}", "y".repeat(2000)), header());
            let bad = letter(format!("{first}\n3,{},5", "y".repeat(2000)), header());
            let (batches, malformed) = batches(vec![one, two, bad], &format, limits).unwrap();
            let rows: Vec<_> = batches.iter().map(Batch::rows).collect();
            assert_eq!(rows, [1], "{bytes}");
            let codes: Vec<_> = malformed.iter().map(|(_, reason)| &*reason.code).collect();
            assert_eq!(codes, ["not_one_record", "wrong_field_count"], "{bytes}");
        }
    }

    #[test]
    fn records_and_headers_that_hold_line_ends_are_decoded_again_as_they_were() {
        let dialect = Dialect { delimiter: Some(b';'), ..Dialect::default() };
        let format = Format::Csv { dialect, max_record_bytes: 1024 };
        for end in ["\n", "\r\n", "\r"] {
            let letters = vec![
                letter(format!("1;\"x{end}{end}y\""), format!("a;\"b{end}c\"")),
                letter("1;\"x".to_owned(), "a;b".to_owned()),
            ];
            let (batches, malformed) = batches(letters, &format, BatchLimits::default()).unwrap();
            let [batch] = &batches[..] else { panic!("{} batches for {end:?}", batches.len()) };
            assert_eq!(batch.rows(), 1, "{end:?}");
            assert_eq!(*batch.columns.schema().field(1).name(), format!("b{end}c"));
            let text = batch.columns.column(1).as_string::<i32>();
            assert_eq!(text.value(0), format!("x{end}{end}y"));
            assert_eq!(batch.origins.position(0), Position::Line(7));
            let codes = malformed.iter().map(|(_, reason)| reason.code.as_str());
            assert_eq!(codes.collect::<Vec<_>>(), ["unbalanced_quote"], "{end:?}");
        }
    }
}
