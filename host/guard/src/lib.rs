//! What masking promises, checked by the host: no value of a sensitive column reaches the table as it
//! came in. Columns with policy tags in the table's schema are sensitive.
//!
//! A value came in as it is where it stands in the record's original bytes as a word of its own, plainly
//! or with the escapes of JSON and CSV. Its row is stopped: it becomes a dead letter, which names the
//! column and not the value.
//!
//! Nor may another column hold it. A column that is there before a stage writes it anew has raw values:
//! each is looked for in all texts of its row, as a word, in large letters of ASCII and small ones, and with
//! the escapes of JSON and of URLs. Not looked for are short values and mere words, which stand anywhere by
//! chance, and addresses that tell nobody apart.
//!
//! The network of an address, such as `192.0.2.0`, is what masking makes of all addresses in it, so it
//! may well stand in the record too: the address may have come masked, and a browser's version looks the
//! same. It tells nobody apart, and passes: in a column that a stage has written after the one from which
//! it is, or nobody has said that its values are addresses. A column that comes in was made by the decoder.
//!
//! Of records and lists each field is a column by its path, and each element a value of the row.
//!
//! What is seen are values. One that a plugin has transformed (encoded, cut into pieces, hashed without a
//! key) is another value.

mod guard;
mod search;
mod spelling;
mod text;

pub use guard::{CODE, Guard};
