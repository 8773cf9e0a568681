//! Lists and records of messages to columns: the spans that the scanner has found are walked through once
//! more, for there the values of a row are many.
//!
//! Recurses no deeper than the configured records.

use clickmill_plugin::{Column, Validity, Values};

use super::reading::Reading;
use super::shape::Shape;
use super::value::{Kind, Span};
use super::walk::Walk;
use crate::config::ColumnType;
use crate::typed::Builder;

/// A column of lists or records in the making.
pub(super) struct Nested<'s> {
    shape: &'s Shape,
    offsets: Option<Vec<u32>>,
    len: u32,
    of: Of<'s>,
    /// The place among the containers, after what was added last to a column of the batch.
    place: usize,
}

enum Of<'s> {
    Values(Builder),
    Records(Validity, Vec<Nested<'s>>),
}

impl<'s> Nested<'s> {
    pub(super) fn new(shape: &'s Shape, rows: usize) -> Self {
        let of = match shape.column.column_type {
            ColumnType::Record => {
                let fields = shape.fields.iter().map(|field| Self::new(field, rows)).collect();
                Of::Records(Validity::default(), fields)
            }
            column_type => Of::Values(Builder::new(column_type, rows)),
        };
        Self { shape, offsets: shape.column.repeated.then(|| vec![0]), len: 0, of, place: 0 }
    }

    /// Adds what stands there: the value of a row.
    pub(super) fn push_row(&mut self, span: Span, reading: &mut Reading<'_, 's>) {
        reading.containers.go_to(self.place);
        self.push(span, reading);
        self.place = reading.containers.place();
    }

    /// Adds what stands there: the value of a row or record, or its list.
    fn push(&mut self, span: Span, reading: &mut Reading<'_, 's>) {
        if self.offsets.is_none()
            && let Of::Values(builder) = &mut self.of
        {
            self.len += 1;
            return reading.scalar(builder, &self.shape.column, span, false);
        }
        reading.room.way.push((&self.shape.column.name, None));
        if self.offsets.is_some() {
            self.list(span, reading);
        } else {
            self.value(span, false, reading);
        }
        reading.room.way.pop();
    }

    /// Adds nothing: null, or an empty list.
    fn nothing(&mut self) {
        match &mut self.offsets {
            Some(offsets) => offsets.push(self.len),
            None => {
                self.len += 1;
                match &mut self.of {
                    Of::Values(builder) => builder.push_null(),
                    Of::Records(validity, fields) => {
                        validity.push(false);
                        fields.iter_mut().for_each(Nested::nothing);
                    }
                }
            }
        }
    }

    fn list(&mut self, span: Span, reading: &mut Reading<'_, 's>) {
        match span.kind {
            Kind::Absent | Kind::Null => {}
            Kind::Array => {
                let mut walk = Walk::into(reading.text, span, reading.containers);
                let mut number = 0;
                while let Some(element) = walk.element(reading.containers) {
                    if let Some((_, at)) = reading.room.way.last_mut() {
                        *at = Some(number);
                    }
                    self.value(element, true, reading);
                    number += 1;
                }
            }
            _ if reading.is_empty(span) => {}
            _ => reading.refuse_list(span),
        }
        if let Some(offsets) = &mut self.offsets {
            offsets.push(self.len);
        }
    }

    fn value(&mut self, span: Span, is_element: bool, reading: &mut Reading<'_, 's>) {
        self.len += 1;
        let shape = self.shape;
        match &mut self.of {
            Of::Values(builder) => reading.scalar(builder, &shape.column, span, is_element),
            Of::Records(validity, fields) => {
                let base = reading.room.spans.len();
                let is_record = reading.record(shape, span, is_element);
                validity.push(is_record || is_element);
                for (at, field) in fields.iter_mut().enumerate() {
                    if is_record {
                        let span = reading.room.spans[base + at];
                        field.push(span, reading);
                    } else {
                        field.nothing();
                    }
                }
                reading.room.spans.truncate(base);
            }
        }
    }

    /// Adds the finished columns.
    pub(super) fn finish(self, parent: Option<u32>, columns: &mut Vec<Column>) {
        let name = &self.shape.column.name;
        let (column, fields) = match self.of {
            Of::Values(builder) => (builder.finish(name), Vec::new()),
            Of::Records(validity, fields) => {
                (Column::new(name, Values::Records, validity.finish()), fields)
            }
        };
        columns.push(Column { parent, offsets: self.offsets, ..column });
        let at = Some(columns.len() as u32 - 1);
        fields.into_iter().for_each(|field| field.finish(at, columns));
    }
}
