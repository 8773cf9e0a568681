//! Aggregates of FLOAT64 over frames. DataFusion subtracts what leaves a frame from what it has, which is no
//! inverse of adding: beside 1e17 a 1.0 is lost, and what was NaN once stays NaN. So nothing is subtracted: of the
//! older rows of a frame there is, for each, what it and those behind it come to, and of the newer ones what all of
//! them do. A row costs the same however wide the frame is.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Schema};
use datafusion::common::{DFSchema, internal_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ExprSchemable, Signature, WindowFunctionDefinition,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::scalar::ScalarValue;

/// Aggregates that take no row back or, as `BIT_XOR`, forget by it that there was none; and BigQuery's names.
const FORWARD: [(&str, &str); 6] = [
    ("bit_and", "BIT_AND"),
    ("bit_or", "BIT_OR"),
    ("bit_xor", "BIT_XOR"),
    ("bool_and", "LOGICAL_AND"),
    ("bool_or", "LOGICAL_OR"),
    ("string_agg", "STRING_AGG"),
];

/// A function of a window, which subtracts nothing where it is an aggregate of FLOAT64.
pub(super) fn recomputed(
    function: WindowFunctionDefinition,
    params: &WindowFunctionParams,
    schema: &DFSchema,
) -> Result<WindowFunctionDefinition, DataFusionError> {
    let (WindowFunctionDefinition::AggregateUDF(aggregate), [argument]) =
        (&function, &params.args[..])
    else {
        return Ok(function);
    };
    if let Some((_, name)) = FORWARD.iter().find(|(name, _)| *name == aggregate.name())
        && !params.window_frame.start_bound.is_unbounded()
    {
        return plan_err!(
            "{name} does not take a frame here that leaves rows behind: begin it UNBOUNDED PRECEDING"
        );
    }
    let done = (aggregate.inner().as_ref() as &dyn Any).is::<Recomputed>();
    // These take back what they were given.
    let exact = matches!(aggregate.name(), "count" | "array_agg" | "first_value")
        || argument.get_type(schema)? != DataType::Float64;
    if done || exact || params.distinct {
        return Ok(function);
    }
    let recomputed = Recomputed { aggregate: aggregate.clone() };
    Ok(WindowFunctionDefinition::AggregateUDF(Arc::new(recomputed.into())))
}

/// An aggregate that takes nothing back. Nor is it turned around, which would make a frame that grows one that
/// shrinks.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Recomputed {
    aggregate: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Recomputed {
    fn name(&self) -> &str {
        self.aggregate.name()
    }

    fn signature(&self) -> &Signature {
        self.aggregate.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        self.aggregate.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef, DataFusionError> {
        self.aggregate.return_field(fields)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        self.aggregate.coerce_types(types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>, DataFusionError> {
        self.aggregate.accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>, DataFusionError> {
        Ok(Box::new(Frame {
            aggregate: self.aggregate.clone(),
            gives: args.return_field.clone(),
            schema: args.schema.clone(),
            arguments: args.exprs.to_vec(),
            fields: args.expr_fields.to_vec(),
            older: Vec::new(),
            newer: Vec::new(),
            of_newer: None,
            answer: None,
        }))
    }
}

/// The rows of a frame.
#[derive(Debug)]
struct Frame {
    aggregate: Arc<AggregateUDF>,
    gives: FieldRef,
    schema: Schema,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<FieldRef>,
    /// By older row, the first one last: the state of the aggregate over it and the older ones behind it.
    older: Vec<Vec<ScalarValue>>,
    newer: Vec<Option<f64>>,
    /// The aggregate over the newer ones.
    of_newer: Option<Box<dyn Accumulator>>,
    /// What was told last, as long as no row has come or gone: many have one frame.
    answer: Option<ScalarValue>,
}

impl Frame {
    fn fresh(&self) -> Result<Box<dyn Accumulator>, DataFusionError> {
        self.aggregate.accumulator(AccumulatorArgs {
            return_field: self.gives.clone(),
            schema: &self.schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: self.aggregate.name(),
            is_distinct: false,
            exprs: &self.arguments,
            expr_fields: &self.fields,
        })
    }

    /// Makes the newer rows older ones.
    fn turn(&mut self) -> Result<(), DataFusionError> {
        let mut over = self.fresh()?;
        for row in self.newer.drain(..).rev() {
            over.update_batch(&[Arc::new(Float64Array::from(vec![row]))])?;
            self.older.push(over.state()?);
        }
        self.of_newer = None;
        Ok(())
    }
}

fn merge(over: &mut dyn Accumulator, state: &[ScalarValue]) -> Result<(), DataFusionError> {
    let state: Vec<ArrayRef> =
        state.iter().map(ScalarValue::to_array).collect::<Result<_, DataFusionError>>()?;
    over.merge_batch(&state)
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.answer = None;
        self.newer.extend(values[0].as_primitive::<Float64Type>());
        let mut over = match self.of_newer.take() {
            Some(over) => over,
            None => self.fresh()?,
        };
        over.update_batch(values)?;
        self.of_newer = Some(over);
        Ok(())
    }

    // Rows leave in the order in which they came.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.answer = None;
        let of_older = values[0].len().min(self.older.len());
        self.older.truncate(self.older.len() - of_older);
        let of_newer = (values[0].len() - of_older).min(self.newer.len());
        if of_newer > 0 {
            self.newer.drain(..of_newer);
            self.turn()?;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue, DataFusionError> {
        if let Some(answer) = &self.answer {
            return Ok(answer.clone());
        }
        let mut over = self.fresh()?;
        if let Some(state) = self.older.last() {
            merge(&mut *over, state)?;
        }
        if let Some(of_newer) = &mut self.of_newer {
            merge(&mut *over, &of_newer.state()?)?;
        }
        Ok(self.answer.insert(over.evaluate()?).clone())
    }

    fn size(&self) -> usize {
        let state = self.older.last().map_or(0, ScalarValue::size_of_vec);
        size_of_val(self)
            + self.older.len() * (state + size_of::<Vec<ScalarValue>>())
            + self.newer.capacity() * size_of::<Option<f64>>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>, DataFusionError> {
        internal_err!("a frame is never put together of parts")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<(), DataFusionError> {
        internal_err!("a frame is never put together of parts")
    }
}
