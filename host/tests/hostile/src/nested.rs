//! Nested columns, and what can be wrong with them.

use crate::speak::{Column, ColumnSpec, DataType, Needs, Text, Values, spec};

/// Where the columns are in the answer.
const ITEMS: usize = 2;
const PRICE: usize = 3;
const TAGS: usize = 4;
const USER: usize = 5;
const ID: usize = 6;
const AT: usize = 7;
const DOC: usize = 8;

/// What is written, after other columns.
pub fn needs(needs: Needs) -> Needs {
    let repeated = |spec| ColumnSpec { repeated: true, ..spec };
    let mut needs = needs;
    needs.writes.extend([
        repeated(spec("items", DataType::Record)),
        spec("items.price", DataType::Decimal),
        repeated(spec("items.tags", DataType::Text)),
        spec("user", DataType::Record),
        spec("user.id", DataType::Text),
        spec("at", DataType::Time),
        spec("doc", DataType::Json),
    ]);
    needs
}

/// For each row one item with one tag, and a user.
pub fn columns(rows: usize) -> Vec<Column> {
    let one_each = || Some((0..=rows as u32).collect());
    let of = |column: Column, parent: usize| Column { parent: Some(parent as u32), ..column };
    let values = |name: &str, values| Column { values, ..Column::texts(name, []) };
    let texts = |name: &str, text| Column::texts(name, (0..rows).map(|_| text));
    let Column { values: Values::Texts(docs), .. } = texts("doc", "{}") else { return Vec::new() };
    vec![
        Column { offsets: one_each(), ..values("items", Values::Records) },
        of(values("price", Values::Decimals([1_000_000_000, 0].repeat(rows))), ITEMS),
        Column { offsets: one_each(), ..of(texts("tags", "t"), ITEMS) },
        values("user", Values::Records),
        of(texts("id", "u"), USER),
        values("at", Values::Times(vec![0; rows])),
        values("doc", Values::Jsons(docs)),
    ]
}

/// Commits a misdeed, where there is such a one.
pub fn commit(misdeed: &str, columns: &mut Vec<Column>) -> bool {
    if columns.len() <= DOC {
        return false;
    }
    match misdeed {
        "lists_from_one" => columns[ITEMS].offsets.iter_mut().for_each(|ends| ends[0] = 1),
        "lists_beyond" => {
            columns[TAGS]
                .offsets
                .iter_mut()
                .flat_map(|ends| ends.last_mut())
                .for_each(|end| *end = u32::MAX);
        }
        "lists_of_one_more" => {
            columns[ITEMS].offsets.iter_mut().for_each(|ends| ends.push(ends.len() as u32))
        }
        "no_lists" => columns[TAGS].offsets = None,
        "null_element" => columns[ITEMS].validity = Some(vec![0; 1]),
        "value_in_null" => columns[USER].validity = Some(vec![0; 1]),
        "too_many_digits" => {
            if let Values::Decimals(words) = &mut columns[PRICE].values {
                words.fill(i64::MAX as u64);
            }
        }
        "half_a_decimal" => {
            if let Values::Decimals(words) = &mut columns[PRICE].values {
                words.pop();
            }
        }
        "beyond_the_day" => {
            if let Values::Times(times) = &mut columns[AT].values {
                times.fill(86_400_000_000);
            }
        }
        "no_json" => {
            if let Values::Jsons(Text { bytes, .. }) = &mut columns[DOC].values {
                bytes.fill(b'{');
            }
        }
        "field_before_its_record" => columns.swap(USER, ID),
        "field_of_another" => columns[ID].parent = Some(ITEMS as u32),
        "record_without_its_field" => drop(columns.remove(ID)),
        _ => return false,
    }
    true
}
