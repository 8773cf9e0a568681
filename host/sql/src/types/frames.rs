//! Aggregates of FLOAT64 over frames. DataFusion subtracts what leaves a frame from what it has, which is no
//! inverse of adding: beside 1e17 a 1.0 is lost, and what was NaN once stays NaN. So each frame is computed anew.

use std::any::Any;
use std::collections::VecDeque;
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

/// A function of a window, which is computed anew for each frame where it is an aggregate of FLOAT64.
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
    let done = (aggregate.inner().as_ref() as &dyn Any).is::<Recomputed>();
    let exact = aggregate.name() == "count" || argument.get_type(schema)? != DataType::Float64;
    if done || exact || params.distinct {
        return Ok(function);
    }
    let frame = &params.window_frame;
    if !frame.start_bound.is_unbounded() && frame.end_bound.is_unbounded() {
        return plan_err!(
            "a frame of FLOAT64 that ends with UNBOUNDED FOLLOWING wants to begin with UNBOUNDED PRECEDING here: \
             turn ORDER BY around, and let the frame end at the row"
        );
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
            rows: VecDeque::new(),
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
    rows: VecDeque<Option<f64>>,
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.rows.extend(values[0].as_primitive::<Float64Type>());
        Ok(())
    }

    // Rows leave in the order in which they came.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<(), DataFusionError> {
        self.rows.drain(..values[0].len().min(self.rows.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue, DataFusionError> {
        let mut anew = self.aggregate.accumulator(AccumulatorArgs {
            return_field: self.gives.clone(),
            schema: &self.schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: self.aggregate.name(),
            is_distinct: false,
            exprs: &self.arguments,
            expr_fields: &self.fields,
        })?;
        let rows: Float64Array = self.rows.iter().copied().collect();
        anew.update_batch(&[Arc::new(rows)])?;
        anew.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows.capacity() * size_of::<Option<f64>>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>, DataFusionError> {
        internal_err!("a frame is never put together of parts")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<(), DataFusionError> {
        internal_err!("a frame is never put together of parts")
    }
}
