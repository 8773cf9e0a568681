//! JSON: messages, one object a row, to typed columns.
//!
//! A block of messages is scanned first ([`scan`]) into a span per wanted key and message; then every
//! column takes its spans of the block ([`convert`]), with null where a message or value is refused. So
//! columns are of equal length whatever comes.

mod containers;
mod convert;
mod cursor;
mod explode;
mod extras;
mod nested;
mod paths;
mod place;
mod reading;
mod scan;
mod shape;
mod told;
mod value;
mod walk;

use std::collections::BTreeSet;
use std::ops::Range;

use clickmill_plugin::{
    Batch, Column, ColumnSpec, DataType, Fault, Needs, Output, Problems, Text, Texts, Values,
};

use crate::config::{self, ColumnConfig, Config, Packing, Unknown};
use crate::rejection::Refusals;
use crate::typed::Builder;
use crate::unpack::{Unpacked, unpack};
use containers::Containers;
use convert::Block;
use cursor::{Cursor, Stop};
use explode::{Around, Elements, Explode};
use nested::Nested;
use paths::Paths;
use place::Step;
use reading::{Reading, Room};
use scan::{BLOCK, Options, Scanner};
use shape::Shape;
use told::{Told, Unread};
use value::Span;

/// Whether a text is one JSON value.
pub(crate) fn is_json(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text, 0..text.len());
    cursor.white_space();
    let is_value = cursor.value(0, u32::MAX, &mut Containers::default()).is_some();
    cursor.white_space();
    is_value && cursor.at == text.len()
}

/// The reader, configured.
pub(crate) struct Json {
    payload: String,
    payload_type: DataType,
    packed: Vec<Packing>,
    max_unpacked_bytes: u32,
    columns: Vec<ColumnConfig>,
    /// The node of each column.
    nodes: Vec<u16>,
    /// Of each column that is a list or record: what it is made of.
    shapes: Vec<Option<Shape>>,
    paths: Paths,
    explode: Option<Explode>,
    unknown_column: Option<String>,
    empty_is_null: bool,
    options: Options,
}

/// A column in the making.
enum Making<'s> {
    Flat(Builder),
    Nested(Nested<'s>),
}

/// The messages of a batch: as they came, or taken apart.
struct Messages<'a> {
    payload: &'a Column,
    text: &'a Text,
    elements: Option<&'a Elements>,
}

impl Messages<'_> {
    fn len(&self) -> usize {
        self.elements.map_or(self.text.offsets.len() - 1, |elements| elements.rows.len())
    }

    /// Where a row's message stands: `None` where there is none.
    #[inline]
    fn get(&self, row: usize) -> Option<Range<usize>> {
        match self.elements {
            None => self.payload.is_valid(row).then(|| self.span(row)),
            Some(elements) => elements.rows[row].range.clone(),
        }
    }

    fn span(&self, row: usize) -> Range<usize> {
        self.text.offsets[row] as usize..self.text.offsets[row + 1] as usize
    }
}

impl Json {
    pub(crate) fn new(config: Config, available: &[ColumnSpec], problems: &mut Problems) -> Self {
        let payload = available.iter().find(|column| column.path == config.payload);
        let payload_type = match payload {
            Some(column) if column.data_type == DataType::Blob && !config.packed.is_empty() => {
                DataType::Blob
            }
            _ => {
                config::check_text("payload", &config.payload, available, problems);
                DataType::Text
            }
        };
        let mut paths = Paths::new();
        let columns = config.columns;
        let nodes: Vec<u16> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                paths.add(column.from(), format_args!("columns[{at}].from"), problems)
            })
            .collect();
        let shapes = columns.iter().enumerate().map(|(at, column)| {
            let place = || format!("columns[{at}]");
            (!column.is_flat()).then(|| Shape::new(column.clone(), &place(), problems))
        });
        let shapes = shapes.collect();
        let options = Options {
            max_depth: config.max_depth,
            duplicates: config.duplicates,
            unknown: config.unknown,
        };
        let around = config.envelope.into_iter().filter_map(|(column, key)| {
            let at = columns.iter().position(|of| of.name == column)?;
            Some(Around { node: nodes[at], column, key })
        });
        let around = around.collect();
        let explode = config.explode.map(|name| Explode::new(name, around, options, problems));
        Self {
            payload: config.payload,
            payload_type,
            packed: config.packed,
            max_unpacked_bytes: config.max_unpacked_bytes,
            columns,
            nodes,
            shapes,
            paths,
            explode,
            unknown_column: (config.unknown == Unknown::Keep).then_some(config.unknown_column),
            empty_is_null: config.empty_is_null,
            options,
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        let needs = Needs::new().reads(&self.payload, self.payload_type);
        let needs = config::writes(needs, self.columns.iter(), self.unknown_column.as_deref());
        if self.explode.is_some() { needs.multiplies() } else { needs }
    }

    pub(crate) fn process(&self, batch: &Batch) -> Result<Output, Fault> {
        let absent =
            || Fault { message: format!("the batch has no text column `{}`", self.payload) };
        let payload = batch.column(&self.payload).ok_or_else(absent)?;
        let unpacked = (!self.packed.is_empty())
            .then(|| unpack(payload, &self.packed, self.max_unpacked_bytes));
        let text = match (&unpacked, &payload.values) {
            (Some(unpacked), _) => &unpacked.text,
            (None, Values::Texts(text)) => text,
            _ => return Err(absent()),
        };
        let nested = self.shapes.iter().any(Option::is_some);
        let mut elements =
            self.explode.as_ref().map(|explode| explode.elements(payload, text, nested));
        // Where arrays and objects end is known, or is recorded block by block.
        let containers = elements.as_mut().map(|all| std::mem::take(&mut all.containers));
        let messages = Messages { payload, text, elements: elements.as_ref() };
        let mut refusals = Refusals::new(messages.len());
        refuse_packed(unpacked.as_ref(), messages.elements, &mut refusals);
        for (row, told) in elements.iter().flat_map(|elements| &elements.refused) {
            let column = self.explode.as_ref().and_then(|explode| {
                match (explode.within_element(&told.way), explode.taken_around(&told.way)) {
                    (Some(way), _) => self.column_at(way),
                    (None, around) => around.and_then(|(node, way)| self.column_of(node, way)),
                }
            });
            refuse_whole(*row, told, column, &mut refusals);
        }
        for row in elements.iter().flat_map(|elements| &elements.dropped) {
            refusals.settle(*row as usize);
        }
        let mut output = self.read(&messages, containers, &mut refusals);
        if let Some(Elements { rows, dropped, .. }) = elements {
            output.came_from = Some(rows.iter().map(|element| element.from).collect());
            output.dropped = dropped;
        }
        output.rejections = refusals.into_rejections();
        if let Some(unpacked) = &unpacked {
            // The host has the packed bytes only: it cannot keep their values out of what is told.
            let packed: BTreeSet<u32> =
                unpacked.refused.iter().map(|(row, ..)| *row as u32).collect();
            let from = |row: u32| output.came_from.as_ref().map_or(row, |from| from[row as usize]);
            for rejection in &mut output.rejections {
                if !packed.contains(&from(rejection.row)) {
                    rejection.message = "no more is told of a message that was packed".to_owned();
                }
            }
        }
        Ok(output)
    }

    fn read(
        &self,
        messages: &Messages<'_>,
        containers: Option<Containers>,
        refusals: &mut Refusals,
    ) -> Output {
        let rows = messages.len();
        let text = messages.text;
        let mut making: Vec<Making<'_>> = self.making(rows);
        let mut unknown = self.unknown_column.as_ref().map(|_| Texts::with_capacity(rows, 0));
        let mut kept = Vec::new();
        let mut room = Room::default();
        let mut scanner = Scanner::new(&self.paths, self.options);
        let records = containers.is_none() && self.shapes.iter().any(Option::is_some);
        scanner.containers = containers.unwrap_or_default();
        let mut scratch = Vec::new();
        for first in (0..rows).step_by(BLOCK) {
            if first == BLOCK {
                // A column that grew by doubling would copy its bytes and touch twice the memory.
                for making in &mut making {
                    if let Making::Flat(builder) = making {
                        builder.expect_rows(BLOCK, rows - BLOCK);
                    }
                }
            }
            let len = BLOCK.min(rows - first);
            if first > 0 {
                scanner.clear();
            }
            if records {
                scanner.containers.record(text.bytes.len());
            }
            for slot in 0..len {
                let row = first + slot;
                let message = messages.get(row);
                let scanned = match message.clone() {
                    Some(message) => scanner.scan(slot, &text.bytes, message),
                    None => Err((Stop::Null, 0)),
                };
                let is_object = scanned.is_ok();
                if let Err((stop, at)) = scanned {
                    scanner.forget(slot);
                    self.refuse(row, messages, &stop, at, refusals);
                } else if let (Some(explode), Some(elements)) = (&self.explode, messages.elements) {
                    let is_empty = |span: Span| self.empty_is_null && span.is_empty(&text.bytes);
                    explode.fill(&mut scanner, slot, elements, row, is_empty);
                }
                if let Some(unknown) = &mut unknown {
                    let end = message.map_or(0, |message| message.end);
                    if is_object && scanner.write_extras(&text.bytes[..end], unknown.buffer()) {
                        unknown.end_row();
                    } else {
                        unknown.push_null();
                    }
                }
            }
            let mut containers = std::mem::take(&mut scanner.containers);
            containers.stop();
            let empty_is_null = self.empty_is_null;
            let block = Block { scanner: &scanner, text: &text.bytes, first, len, empty_is_null };
            for ((column, node), making) in self.columns.iter().zip(&self.nodes).zip(&mut making) {
                match making {
                    Making::Flat(to) => block.convert(column, *node, to, &mut scratch, refusals),
                    Making::Nested(nested) => {
                        for slot in 0..len {
                            let mut reading = Reading {
                                text: &text.bytes,
                                row: first + slot,
                                options: self.options,
                                empty_is_null,
                                refusals: &mut *refusals,
                                kept: &mut kept,
                                room: &mut room,
                                containers: &mut containers,
                            };
                            nested.push_row(scanner.value_of(*node, slot), &mut reading);
                        }
                    }
                }
            }
            scanner.containers = containers;
        }
        let mut columns = Vec::with_capacity(self.columns.len() + 1);
        for (making, column) in making.into_iter().zip(&self.columns) {
            match making {
                Making::Flat(builder) => columns.push(builder.finish(&column.name)),
                Making::Nested(nested) => nested.finish(None, &mut columns),
            }
        }
        if let Some((texts, name)) = unknown.zip(self.unknown_column.as_ref()) {
            kept.extend(messages.elements.into_iter().flat_map(|elements| elements.kept.clone()));
            columns.push(extras::merge(texts.finish(name), kept));
        }
        Output::new(columns)
    }

    fn making(&self, rows: usize) -> Vec<Making<'_>> {
        let each = self.columns.iter().zip(&self.shapes);
        each.map(|(column, shape)| match shape {
            None => Making::Flat(Builder::new(column.column_type, rows)),
            Some(shape) => Making::Nested(Nested::new(shape, rows)),
        })
        .collect()
    }

    /// Refuses a message as a whole.
    #[cold]
    fn refuse(
        &self,
        row: usize,
        messages: &Messages<'_>,
        stop: &Stop,
        at: usize,
        refusals: &mut Refusals,
    ) {
        let mut name = "the message".to_owned();
        let mut message = 0..0;
        match messages.elements {
            None => message = messages.span(row),
            Some(elements) => {
                let element = &elements.rows[row];
                match (&element.range, &self.explode) {
                    (Some(range), Some(explode)) => {
                        message = range.clone();
                        name = explode.shown(element.number);
                    }
                    // There is none, and why is told with the message that it is of.
                    _ => return,
                }
            }
        }
        let at = at.max(message.start);
        let max_depth = self.options.max_depth;
        let text = &messages.text.bytes;
        let unread = Unread { paths: &self.paths, text, message, max_depth, name: &name };
        let told = unread.told(stop, at);
        refuse_whole(row, &told, self.column_at(&told.way), refusals);
    }

    /// The column that a way leads to from a message, or into, with its fields: `items[3].price`.
    fn column_at(&self, way: &[Step]) -> Option<String> {
        let mut node = 0;
        for (at, step) in way.iter().enumerate() {
            let Step::Key(key) = step else { return None };
            node = self.paths.find(node, key);
            if node == 0 {
                return None;
            }
            if let Some(column) = self.column_of(node, &way[at + 1..]) {
                return Some(column);
            }
        }
        None
    }

    /// The column of a node, and where a way leads from its value.
    fn column_of(&self, node: u16, way: &[Step]) -> Option<String> {
        let at = self.nodes.iter().position(|of| *of == node)?;
        let shape = self.shapes[at].as_ref();
        Some(shape.map_or_else(|| self.columns[at].name.clone(), |shape| shape.path(way)))
    }
}

/// Refuses a row for what its message is, or for what stands in it.
fn refuse_whole(row: usize, told: &Told, column: Option<String>, refusals: &mut Refusals) {
    let Told { code, message, .. } = told;
    match column {
        Some(column) => refusals.add_column(row, *code, &column, message.clone()),
        None => refusals.add(row, *code, message.clone()),
    }
}

/// Refuses the rows of messages that could not be unpacked. They come first, so that nothing else is said.
fn refuse_packed(
    unpacked: Option<&Unpacked>,
    elements: Option<&Elements>,
    refusals: &mut Refusals,
) {
    for (row, code, told) in unpacked.map_or(&[][..], |unpacked| &unpacked.refused) {
        let at = elements.map_or(*row, |elements| {
            elements.rows.partition_point(|element| (element.from as usize) < *row)
        });
        refusals.add(at, *code, told.clone());
    }
}
