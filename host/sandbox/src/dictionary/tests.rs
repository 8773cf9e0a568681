//! Whatever guests return, and whatever becomes of it between two of them, the next one is given distinct texts.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter;
use arrow::datatypes::{DataType as ArrowType, Field};
use proptest::prelude::*;

use crate::boundary::{
    Column, ColumnIn, DataType, Dictionary, DictionaryIn, Output, Text, TextIn, Values, ValuesIn,
};
use crate::isolate::concat_two;
use crate::kind::{Columns, Kind};
use crate::lift::{Announced, check, share};
use crate::lower::lower;
use clickmill_config::Limits;

type Rows = Vec<Option<String>>;

/// What happens to a column.
#[derive(Debug, Clone)]
enum Step {
    /// A guest returns a dictionary of these words: for each row the number of one, or null.
    Returned { words: Vec<String>, picks: Vec<Option<u32>> },
    /// A guest makes so many rows of each.
    Multiplied(Vec<usize>),
    /// These rows stay.
    Kept(Vec<bool>),
    /// A guest is given the rows in two pieces, and returns them so.
    Split(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let words = proptest::collection::vec("[ab]{0,1}", 1..5);
    let picks = proptest::collection::vec(proptest::option::of(0..5_u32), 1..9);
    prop_oneof![
        (words, picks).prop_map(|(words, picks)| Step::Returned { words, picks }),
        proptest::collection::vec(1..4_usize, 1..5).prop_map(Step::Multiplied),
        proptest::collection::vec(any::<bool>(), 1..9).prop_map(Step::Kept),
        (0..9_usize).prop_map(Step::Split),
    ]
}

fn columns() -> Columns {
    let text = Kind { data_type: DataType::Text, repeated: false, fields: Vec::new() };
    let fields = vec![("t".to_owned(), text)];
    Columns::of_kind(&Kind { data_type: DataType::Record, repeated: false, fields })
}

fn batch(column: &ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("t", column.clone(), true)]).unwrap()
}

fn text<'a>(words: impl Iterator<Item = &'a String>) -> Text {
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for word in words {
        bytes.extend_from_slice(word.as_bytes());
        offsets.push(bytes.len() as u32);
    }
    Text { offsets, bytes }
}

/// What a guest reads in the column, of which each dictionary has been held to the contract.
fn given(column: &ArrayRef) -> Rows {
    let (batch, columns) = (batch(column), columns());
    let lowered = lower(&batch, &columns, true);
    let ColumnIn { values, validity, .. } = lowered[0].column();
    let words = |text: &TextIn<'_>| -> Vec<String> {
        let word = |ends: &[u32]| text.bytes[ends[0] as usize..ends[1] as usize].to_vec();
        let words = text.offsets.windows(2).map(|ends| String::from_utf8(word(ends)).unwrap());
        words.collect()
    };
    let texts: Vec<String> = match &values {
        ValuesIn::Texts(texts) => words(texts),
        ValuesIn::Dictionary(DictionaryIn { indices, values }) => {
            let words = words(values);
            let distinct: BTreeSet<&String> = words.iter().collect();
            assert_eq!(distinct.len(), words.len(), "{words:?} are not distinct");
            let word = |index: &u32| words.get(*index as usize).cloned().unwrap_or_default();
            indices.iter().map(word).collect()
        }
        _ => panic!("text is given as something else"),
    };
    let is_valid = |row: usize| validity.is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1);
    texts.into_iter().enumerate().map(|(row, text)| is_valid(row).then_some(text)).collect()
}

/// The column after a step, and what is in it then.
fn after(column: &ArrayRef, rows: &Rows, step: Step) -> (ArrayRef, Rows) {
    match step {
        Step::Returned { words, picks } => {
            let picks: Vec<Option<u32>> = picks
                .into_iter()
                .cycle()
                .take(rows.len())
                .map(|pick| Some(pick? % words.len() as u32))
                .collect();
            let mut bits = vec![0_u8; rows.len().div_ceil(8)];
            for (row, _) in picks.iter().enumerate().filter(|(_, pick)| pick.is_some()) {
                bits[row / 8] |= 1 << (row % 8);
            }
            // Where it is null it is the number of no word.
            let indices = picks.iter().map(|pick| pick.unwrap_or(99)).collect();
            let values = Values::Dictionary(Dictionary { indices, values: text(words.iter()) });
            let (name, validity) = ("t".to_owned(), Some(bits));
            let answered = Column { name, parent: None, offsets: None, values, validity };
            let output = Output { columns: vec![answered], ..Output::default() };
            let columns = columns();
            let announced =
                Announced { reads: &columns, writes: &columns, multiplies: false, wanted: None };
            let answer = check(output, &batch(column), announced, &Limits::default());
            let answer = answer.map_err(|error| error.to_string()).unwrap();
            let rows = picks.iter().map(|pick| Some(words[(*pick)? as usize].clone())).collect();
            (answer.columns[0].clone(), rows)
        }
        Step::Multiplied(times) => {
            let times = times.into_iter().cycle();
            let came_from: Vec<u32> = (0..rows.len() as u32)
                .zip(times)
                .flat_map(|(row, times)| std::iter::repeat_n(row, times))
                .collect();
            let field = Arc::new(Field::new("t", column.data_type().clone(), true));
            let (_, shared) = share(&field, column, &came_from).unwrap();
            (shared, came_from.iter().map(|row| rows[*row as usize].clone()).collect())
        }
        Step::Kept(kept) => {
            let kept: Vec<bool> = kept.into_iter().cycle().take(rows.len()).collect();
            let left = rows.iter().zip(&kept).filter(|(_, kept)| **kept);
            let left = left.map(|(row, _)| row.clone()).collect();
            (filter(column, &BooleanArray::from(kept)).unwrap(), left)
        }
        Step::Split(at) => {
            let at = at.min(rows.len());
            let (first, second) = (column.slice(0, at), column.slice(at, rows.len() - at));
            (concat_two(&first, &second, &ArrowType::Utf8), rows.clone())
        }
    }
}

proptest! {
    #[test]
    fn each_guest_is_given_distinct_texts_whatever_the_others_have_returned(
        rows in proptest::collection::vec(proptest::option::of("[ab]{0,1}"), 1..9),
        steps in proptest::collection::vec(step(), 1..8),
    ) {
        let mut column: ArrayRef = Arc::new(StringArray::from(rows.clone()));
        let mut rows = rows;
        prop_assert_eq!(given(&column), rows.clone());
        for step in steps {
            (column, rows) = after(&column, &rows, step);
            prop_assert_eq!(given(&column), rows.clone());
        }
    }
}

#[test]
fn a_dictionary_with_more_texts_than_values_is_given_as_plain_text() {
    let column: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 2]));
    let words = ["a", "a", "b"].map(str::to_owned).to_vec();
    let returned = Step::Returned { words, picks: vec![Some(2), Some(1)] };
    let (column, rows) = after(&column, &vec![None, None], returned);
    assert!(super::given(&column).is_none());
    assert_eq!(given(&column), rows);
    // Once each row is several, there are values enough.
    let (column, rows) = after(&column, &rows, Step::Multiplied(vec![3]));
    assert_eq!(super::given(&column).expect("a dictionary").1.len(), 2);
    assert_eq!(given(&column), rows);
}
