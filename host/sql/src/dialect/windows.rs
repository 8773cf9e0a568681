//! Named windows. DataFusion knows them among what is selected alone, and does not look at the name that a
//! window extends, so each is put in its place: `OVER w` and `OVER (w ROWS …)` become windows that are
//! written out.

use std::ops::ControlFlow;

use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SelectItem, VisitMut,
    VisitorMut, WindowSpec, WindowType,
};

use super::given::no_text;
use super::syntax::{go_on, window};

/// Puts the windows that a SELECT defines into their places.
pub(super) fn expand(select: &mut Select) -> Result<(), DataFusionError> {
    let mut windows = Windows::default();
    for NamedWindowDefinition(name, definition) in std::mem::take(&mut select.named_window) {
        no_text(&name)?;
        if windows.find(&name).is_ok() {
            return plan_err!("WINDOW defines `{name}` twice");
        }
        let spec = match definition {
            NamedWindowExpr::NamedWindow(of) => windows.find(&of)?.clone(),
            NamedWindowExpr::WindowSpec(spec) => windows.extended(spec)?,
        };
        window(&spec)?;
        windows.known.push((name, spec));
    }
    let selected = select.projection.iter_mut().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    for expr in selected.chain(&mut select.qualify) {
        if let ControlFlow::Break(error) = expr.visit(&mut windows) {
            return Err(error);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Windows {
    known: Vec<(Ident, WindowSpec)>,
    /// How many queries within the SELECT it is in: they have windows of their own.
    depth: usize,
}

impl Windows {
    fn find(&self, name: &Ident) -> Result<&WindowSpec, DataFusionError> {
        no_text(name)?;
        let mut known = self.known.iter();
        let found = known.find(|(known, _)| known.value.eq_ignore_ascii_case(&name.value));
        found.map(|(_, spec)| spec).ok_or_else(|| {
            plan_datafusion_err!("the window `{name}` is not defined, or only behind this")
        })
    }

    /// A window with what the one that it names has. It adds to that, and repeats nothing of it.
    fn extended(&self, spec: WindowSpec) -> Result<WindowSpec, DataFusionError> {
        let Some(name) = &spec.window_name else { return Ok(spec) };
        let base = self.find(name)?.clone();
        if !spec.partition_by.is_empty() {
            return plan_err!("PARTITION BY stands in the window `{name}`, not beside its name");
        }
        let ordered = !spec.order_by.is_empty();
        let framed = spec.window_frame.is_some();
        if (ordered && !base.order_by.is_empty())
            || (base.window_frame.is_some() && (ordered || framed))
        {
            return plan_err!("the window `{name}` has ORDER BY or a frame already");
        }
        Ok(WindowSpec {
            window_name: None,
            partition_by: base.partition_by,
            order_by: if ordered { spec.order_by } else { base.order_by },
            window_frame: spec.window_frame.or(base.window_frame),
        })
    }
}

impl VisitorMut for Windows {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let over = match &function.over {
            Some(WindowType::NamedWindow(name)) if self.depth == 0 => self.find(name).cloned(),
            Some(WindowType::WindowSpec(spec)) if self.depth == 0 => self.extended(spec.clone()),
            _ => return ControlFlow::Continue(()),
        };
        go_on(over.map(|spec| function.over = Some(WindowType::WindowSpec(spec))))
    }
}
