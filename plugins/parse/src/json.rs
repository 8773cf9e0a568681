//! JSON: messages, one object a row, to typed columns.
//!
//! A block of messages is scanned first ([`scan`]) into a span per wanted key and message; then every
//! column takes its spans of the block ([`convert`]), with null where a message or value is refused. So
//! columns are of equal length whatever comes.

mod convert;
mod cursor;
mod extras;
mod paths;
mod scan;
mod value;

use clickmill_plugin::{
    Batch, ColumnSpec, DataType, Fault, Needs, Output, Problems, Texts, Values,
};

use crate::config::{self, ColumnConfig, Config, Unknown};
use crate::rejection::{Code, Refusals, shown};
use crate::typed::Builder;
use convert::Block;
use cursor::Stop;
use paths::Paths;
use scan::{BLOCK, Options, Scanner};

/// The reader, configured.
pub(crate) struct Json {
    payload: String,
    columns: Vec<ColumnConfig>,
    /// The node of each column.
    nodes: Vec<u16>,
    paths: Paths,
    unknown_column: Option<String>,
    empty_is_null: bool,
    options: Options,
}

impl Json {
    pub(crate) fn new(config: Config, available: &[ColumnSpec], problems: &mut Problems) -> Self {
        config::check_text("payload", &config.payload, available, problems);
        let mut paths = Paths::new();
        let nodes = config
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| paths.add(column.from(), at, problems))
            .collect();
        Self {
            payload: config.payload,
            columns: config.columns,
            nodes,
            paths,
            unknown_column: (config.unknown == Unknown::Keep).then_some(config.unknown_column),
            empty_is_null: config.empty_is_null,
            options: Options {
                max_depth: config.max_depth,
                duplicates: config.duplicates,
                unknown: config.unknown,
            },
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        let needs = Needs::new().reads(&self.payload, DataType::Text);
        config::writes(needs, self.columns.iter(), self.unknown_column.as_deref())
    }

    pub(crate) fn process(&self, batch: &Batch) -> Result<Output, Fault> {
        let payload = batch.column(&self.payload);
        let Some((payload, Values::Texts(text))) = payload.map(|column| (column, &column.values))
        else {
            return Err(Fault {
                message: format!("the batch has no text column `{}`", self.payload),
            });
        };
        let rows = batch.rows as usize;
        let types = self.columns.iter().map(|column| column.column_type);
        let mut builders: Vec<Builder> = types.map(|of| Builder::new(of, rows)).collect();
        let mut unknown = self.unknown_column.as_ref().map(|_| Texts::with_capacity(rows, 0));
        let mut refusals = Refusals::new(rows);
        let mut scanner = Scanner::new(&self.paths, self.options);
        let mut scratch = Vec::new();
        for first in (0..rows).step_by(BLOCK) {
            if first == BLOCK {
                // A column that grew by doubling would copy its bytes and touch twice the memory.
                builders.iter_mut().for_each(|builder| builder.expect_rows(BLOCK, rows - BLOCK));
            }
            let len = BLOCK.min(rows - first);
            scanner.clear();
            for slot in 0..len {
                let row = first + slot;
                let (start, end) = (text.offsets[row] as usize, text.offsets[row + 1] as usize);
                let message = &text.bytes[..end];
                let scanned = if payload.is_valid(row) {
                    scanner.scan(slot, &text.bytes, start..end)
                } else {
                    Err((Stop::Null, start))
                };
                let is_object = scanned.is_ok();
                if let Err((stop, at)) = scanned {
                    scanner.forget(slot);
                    self.refuse(row, message, start, &stop, at, &mut refusals);
                }
                if let Some(unknown) = &mut unknown {
                    if is_object && scanner.write_extras(message, unknown.buffer()) {
                        unknown.end_row();
                    } else {
                        unknown.push_null();
                    }
                }
            }
            let empty_is_null = self.empty_is_null;
            let block = Block { scanner: &scanner, text: &text.bytes, first, len, empty_is_null };
            for ((column, node), builder) in self.columns.iter().zip(&self.nodes).zip(&mut builders)
            {
                block.convert(column, *node, builder, &mut scratch, &mut refusals);
            }
        }
        let finished = builders.into_iter().zip(&self.columns).map(|(b, c)| b.finish(&c.name));
        let unknown = unknown.zip(self.unknown_column.as_ref()).map(|(b, name)| b.finish(name));
        let mut output = Output::new(finished.chain(unknown).collect());
        output.rejections = refusals.into_rejections();
        Ok(output)
    }

    /// Refuses a message as a whole.
    #[cold]
    fn refuse(
        &self,
        row: usize,
        text: &[u8],
        start: usize,
        stop: &Stop,
        at: usize,
        refusals: &mut Refusals,
    ) {
        let offset = at - start;
        let (code, told) = match stop {
            Stop::Syntax(wanted) => {
                let got = match text.get(at..).unwrap_or_default().utf8_chunks().next() {
                    None => "the end".to_owned(),
                    Some(chunk) => {
                        let length = chunk.valid().chars().next().map_or(1, char::len_utf8);
                        format!("`{}`", shown(&text[at..at + length]))
                    }
                };
                (Code::NotJson, format!("not JSON: byte {offset} is {got}, wanted {wanted}"))
            }
            Stop::Null => (Code::NotJson, "the message is null, wanted a JSON object".to_owned()),
            Stop::NotAnObject => {
                let got = text[start..].trim_ascii_start();
                // Several events in a message are one record, and one record is one row.
                let told = match got.first() {
                    Some(b'[') => {
                        "the message is an array, wanted a JSON object: one message is one \
                                   row, an array of events is not split (there is no `explode` yet)"
                            .to_owned()
                    }
                    _ => format!("the message is `{}`, wanted a JSON object", shown(got)),
                };
                (Code::NotAnObject, told)
            }
            Stop::TooDeep => (
                Code::TooDeep,
                format!("nested too deep at byte {offset}: limit {}", self.options.max_depth),
            ),
            Stop::Duplicate(parent, key) => {
                let path = self.shown_path(*parent, &text[key.clone()]);
                (Code::DuplicateField, format!("key `{path}` is there twice"))
            }
            Stop::Unknown(parent, key) => {
                let path = self.shown_path(*parent, &text[key.clone()]);
                (Code::UnknownField, format!("key `{path}` is unknown"))
            }
        };
        refusals.add(row, code, told);
    }

    fn shown_path(&self, parent: u16, key: &[u8]) -> String {
        let way = self.paths.way_to(parent);
        let keys = way.iter().map(|node| &*self.paths.nodes[usize::from(*node)].key);
        keys.chain([key]).map(shown).collect::<Vec<_>>().join(".")
    }
}
