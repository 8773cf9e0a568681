//! What of a query's syntax may pass. What is not named here is refused: either BigQuery does not have it, or
//! nobody has compared the two.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, Offset,
    OffsetRows, OrderByExpr, OrderByKind, Query, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Spanned, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, UnaryOperator, Value,
    WildcardAdditionalOptions, WindowFrameBound, WindowFrameUnits, WindowSpec,
};

use super::given::{name, no_text, no_texts};
use super::unnest;

type Checked = Result<(), DataFusionError>;

/// Whether a visitor goes on.
pub(super) fn go_on(done: Result<(), DataFusionError>) -> ControlFlow<DataFusionError> {
    match done {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// Says that something is not taken.
pub(super) fn refused(what: impl std::fmt::Display) -> DataFusionError {
    plan_datafusion_err!(
        "{what} is not taken here: BigQuery does not have it, or it was not checked against BigQuery \
         (sql/README.md says what was)"
    )
}

fn only(allowed: bool, what: &str) -> Checked {
    if allowed { Ok(()) } else { Err(refused(what)) }
}

/// A query without what is in its subqueries.
pub(super) fn query(query: &Query) -> Checked {
    let Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    only(!with.as_ref().is_some_and(|with| with.recursive), "WITH RECURSIVE")?;
    if let Some(with) = with {
        with.cte_tables.iter().try_for_each(|query| alias_of(Some(&query.alias)))?;
        let mut names = with.cte_tables.iter().map(|query| &query.alias.name.value);
        let mut known = HashSet::new();
        if let Some(twice) = names.find(|name| !known.insert(name.to_lowercase())) {
            return Err(plan_datafusion_err!(
                "WITH gives the name `{twice}` twice, whatever the capitals"
            ));
        }
    }
    only(fetch.is_none(), "FETCH")?;
    only(locks.is_empty() && for_clause.is_none(), "FOR")?;
    only(settings.is_none() && format_clause.is_none(), "SETTINGS or FORMAT")?;
    only(pipe_operators.is_empty(), "a pipe operator")?;
    match limit_clause {
        None => {}
        Some(LimitClause::LimitOffset { limit: Some(limit), offset, limit_by })
            if limit_by.is_empty()
                && offset.as_ref().is_none_or(|offset| is_behind(offset, limit)) =>
        {
            let skipped = offset.as_ref().map(|offset| &offset.value);
            if let Some(other) = [limit].into_iter().chain(skipped).find(|count| !is_count(count)) {
                return Err(plan_datafusion_err!(
                    "LIMIT and OFFSET take a number or a parameter here, not `{other}`"
                ));
            }
        }
        Some(_) => return Err(refused("LIMIT other than `LIMIT count [OFFSET skip]`")),
    }
    if let Some(order_by) = order_by {
        if matches!(&**body, SetExpr::Select(select) if select.from.is_empty()) {
            return Err(plan_datafusion_err!(
                "SELECT takes no ORDER BY without FROM: write `FROM (SELECT 1)`"
            ));
        }
        only(order_by.interpolate.is_none(), "INTERPOLATE")?;
        match &order_by.kind {
            OrderByKind::All(_) => return Err(refused("ORDER BY ALL")),
            OrderByKind::Expressions(orders) => {
                orders_by(orders)?;
                for order in orders {
                    key(&order.expr, "ORDER BY")?;
                }
            }
        }
    }
    set(body)
}

/// Whether this is `OFFSET skip` behind its LIMIT.
fn is_behind(offset: &Offset, limit: &Expr) -> bool {
    offset.rows == OffsetRows::None && offset.value.span().start > limit.span().start
}

/// NULL, which also a computed number may be, would be no bound.
fn is_count(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Cast { expr: of, .. } => is_count(of),
        Expr::Value(value) => value.value != Value::Null,
        Expr::Identifier(name) => name.value.starts_with('@'),
        _ => false,
    }
}

fn orders_by(orders: &[OrderByExpr]) -> Checked {
    only(orders.iter().all(|order| order.with_fill.is_none()), "WITH FILL")
}

fn set(body: &SetExpr) -> Checked {
    match body {
        // Both are visited by themselves.
        SetExpr::Select(_) | SetExpr::Query(_) => Ok(()),
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            match (op, set_quantifier) {
                (SetOperator::Union, SetQuantifier::All | SetQuantifier::Distinct)
                | (SetOperator::Except | SetOperator::Intersect, SetQuantifier::Distinct) => {}
                _ => {
                    return Err(plan_datafusion_err!(
                        "{op} {set_quantifier}: BigQuery wants UNION ALL, UNION DISTINCT, EXCEPT DISTINCT or INTERSECT DISTINCT"
                    ));
                }
            }
            for side in [left, right] {
                if let SetExpr::SetOperation { op: other, set_quantifier: of_other, .. } = &**side {
                    let same = other == op && of_other == set_quantifier;
                    only(
                        same,
                        "one set operation in another of another kind, without parentheses",
                    )?;
                }
                set(side)?;
            }
            Ok(())
        }
        _ => Err(refused("a query that is no SELECT")),
    }
}

/// A SELECT without what is in its expressions.
pub(super) fn select(select: &Select) -> Checked {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window,
        qualify,
        window_before_qualify,
        value_table_mode,
        flavor,
    } = select;
    only(optimizer_hints.is_empty() && select_modifiers.is_none(), "a hint or modifier of SELECT")?;
    only(!matches!(distinct, Some(Distinct::On(_))), "DISTINCT ON")?;
    only(top.is_none(), "TOP")?;
    only(exclude.is_none(), "EXCLUDE")?;
    only(into.is_none(), "SELECT INTO")?;
    only(lateral_views.is_empty(), "LATERAL VIEW")?;
    only(prewhere.is_none() && connect_by.is_empty(), "PREWHERE or CONNECT BY")?;
    only(
        cluster_by.is_empty() && distribute_by.is_empty() && sort_by.is_empty(),
        "CLUSTER BY, DISTRIBUTE BY or SORT BY",
    )?;
    only(value_table_mode.is_none(), "SELECT AS STRUCT or AS VALUE")?;
    only(matches!(flavor, SelectFlavor::Standard), "FROM before SELECT")?;
    match group_by {
        GroupByExpr::Expressions(keys, modifiers) if modifiers.is_empty() => {
            keys.iter().try_for_each(|grouped| key(grouped, "GROUP BY"))?;
        }
        _ => return Err(refused("GROUP BY ALL or WITH")),
    }
    for item in projection {
        match item {
            SelectItem::UnnamedExpr(_) => {}
            SelectItem::ExprWithAlias { alias, .. } => name(alias)?,
            SelectItem::ExprWithAliases { .. } => return Err(refused("an alias of several names")),
            SelectItem::Wildcard(options) => wildcard(options)?,
            SelectItem::QualifiedWildcard(of, options) => {
                match of {
                    SelectItemQualifiedWildcardKind::ObjectName(table) => no_texts(table)?,
                    SelectItemQualifiedWildcardKind::Expr(_) => {
                        return Err(refused("`.*` of an expression"));
                    }
                }
                wildcard(options)?;
            }
        }
    }
    only(named_window.is_empty(), "WINDOW")?;
    only(!window_before_qualify || qualify.is_none(), "WINDOW before QUALIFY")?;
    let is_whole = |join: &Join| {
        use JoinOperator as Of;
        matches!(join.join_operator, Of::Right(_) | Of::RightOuter(_) | Of::FullOuter(_))
    };
    if from.iter().skip(1).any(|tables| tables.joins.iter().any(is_whole)) {
        return Err(plan_datafusion_err!(
            "RIGHT or FULL JOIN behind a comma is none of BigQuery's: write CROSS JOIN, or parentheses"
        ));
    }
    from.iter().try_for_each(joined)
}

fn wildcard(options: &WildcardAdditionalOptions) -> Checked {
    let plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none();
    only(plain, "`*` with other than EXCEPT or REPLACE")?;
    let replaced = || options.opt_replace.iter().flat_map(|replaced| &replaced.items);
    only(replaced().all(|item| item.as_keyword), "REPLACE without AS")?;
    let replaced = replaced().map(|item| &item.column_name);
    let excepted = options.opt_except.iter();
    let excepted = excepted
        .flat_map(|except| [&except.first_element].into_iter().chain(&except.additional_elements));
    let mut names = HashSet::new();
    for name in excepted.chain(replaced) {
        no_text(name)?;
        if !names.insert(name.value.to_lowercase()) {
            return Err(plan_datafusion_err!("EXCEPT and REPLACE of `*` name `{name}` twice"));
        }
    }
    Ok(())
}

fn joined(tables: &TableWithJoins) -> Checked {
    tables.joins.iter().try_for_each(join)
}

fn join(join: &Join) -> Checked {
    use JoinOperator as Of;
    only(!join.global, "GLOBAL JOIN")?;
    let (constraint, whole) = match &join.join_operator {
        Of::Join(constraint)
        | Of::Inner(constraint)
        | Of::Left(constraint)
        | Of::LeftOuter(constraint) => (constraint, false),
        Of::CrossJoin(JoinConstraint::None) => return Ok(()),
        Of::Right(constraint) | Of::RightOuter(constraint) | Of::FullOuter(constraint) => {
            (constraint, true)
        }
        _ => return Err(refused("this kind of JOIN")),
    };
    match constraint {
        JoinConstraint::On(_) => Ok(()),
        // A column of both is the first that is not null in BigQuery, the left one here.
        JoinConstraint::Using(columns) => {
            columns.iter().try_for_each(no_texts)?;
            only(!whole, "RIGHT or FULL JOIN with USING")
        }
        JoinConstraint::Natural => Err(refused("NATURAL JOIN")),
        JoinConstraint::None => {
            // Each row is joined with its own elements.
            only(unnest::is_of_column(&join.relation), "JOIN without ON or USING")
        }
    }
}

/// Something in FROM.
pub(super) fn table(table: &TableFactor) -> Checked {
    match table {
        TableFactor::Table {
            name: path,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            no_texts(path)?;
            only(args.is_none(), "a table function")?;
            only(version.is_none(), "FOR SYSTEM_TIME AS OF")?;
            only(sample.is_none(), "TABLESAMPLE")?;
            let plain = with_hints.is_empty()
                && !with_ordinality
                && partitions.is_empty()
                && json_path.is_none()
                && index_hints.is_empty();
            only(plain, "a table with hints, partitions or ordinality")?;
            alias_of(alias.as_ref())
        }
        TableFactor::Derived { lateral, alias, sample, .. } => {
            only(!lateral, "LATERAL")?;
            only(sample.is_none(), "TABLESAMPLE")?;
            alias_of(alias.as_ref())
        }
        TableFactor::UNNEST { alias, array_exprs, with_offset, with_ordinality, .. } => {
            only(array_exprs.len() == 1 && !with_ordinality, "UNNEST of several arrays")?;
            only(!with_offset, "UNNEST WITH OFFSET")?;
            alias_of(alias.as_ref())
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            only(alias.is_none(), "an alias of a join")?;
            joined(table_with_joins)
        }
        _ => Err(refused("what stands in FROM")),
    }
}

fn alias_of(alias: Option<&TableAlias>) -> Checked {
    let plain = alias.is_none_or(|alias| alias.columns.is_empty() && alias.at.is_none());
    only(plain, "names of columns in an alias")?;
    alias.map_or(Ok(()), |alias| name(&alias.name))
}

/// What rows are grouped or ordered by: of literals, the place of a column alone. A parameter by itself is no place,
/// which it would be once its number is in its place.
fn key(expr: &Expr, what: &str) -> Checked {
    let is_place =
        |value: &Value| matches!(value, Value::Number(number, _) if number.parse::<u64>().is_ok());
    match (expr, bare(expr)) {
        (Expr::Value(place), _) if is_place(&place.value) => Ok(()),
        (_, Expr::Identifier(name)) if name.value.starts_with('@') => {
            Err(plan_datafusion_err!("{what} does not take the parameter `{name}` by itself"))
        }
        (_, Expr::Value(_)) => Err(plan_datafusion_err!(
            "{what} takes no literal but the place of a column, such as `{what} 1`: `{expr}` is none"
        )),
        _ => Ok(()),
    }
}

/// An expression without parentheses and signs.
pub(super) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner)
        | Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus, expr: inner } => {
            bare(inner)
        }
        _ => expr,
    }
}

/// The alias of UNNEST is the name of its column, and not of its table alone.
pub(super) fn name_element(table: &mut TableFactor) {
    if let TableFactor::UNNEST { alias: Some(alias), .. } = table {
        let name = alias.name.clone();
        alias.columns = vec![TableAliasColumnDef { name, data_type: None }];
    }
}

/// A window: of rows, or of all peers. What it names is in its place already.
pub(super) fn window(spec: &WindowSpec) -> Checked {
    if let Some(name) = &spec.window_name {
        return Err(plan_datafusion_err!("the window `{name}` is not defined here"));
    }
    orders_by(&spec.order_by)?;
    let Some(frame) = &spec.window_frame else { return Ok(()) };
    let unbounded = matches!(frame.start_bound, WindowFrameBound::Preceding(None))
        && matches!(frame.end_bound, Some(WindowFrameBound::Following(None)));
    only(unbounded || !spec.order_by.is_empty(), "a frame without ORDER BY")?;
    let counted = |bound: &WindowFrameBound| {
        matches!(bound, WindowFrameBound::Preceding(Some(_)) | WindowFrameBound::Following(Some(_)))
    };
    let any = counted(&frame.start_bound) || frame.end_bound.as_ref().is_some_and(counted);
    match frame.units {
        WindowFrameUnits::Rows => Ok(()),
        WindowFrameUnits::Range => only(!any, "RANGE with a number"),
        WindowFrameUnits::Groups => Err(refused("GROUPS")),
    }
}
