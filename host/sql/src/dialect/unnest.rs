//! `FROM table, UNNEST(table.items) AS item`: DataFusion has UNNEST of a column among what is selected, and not
//! in FROM. So the table becomes one with a column more, `item`, and a row for each element:
//! `FROM (SELECT *, unnest(table.items) AS item FROM table) AS table`.

use datafusion::common::plan_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins,
};
use datafusion::sql::sqlparser::dialect::BigQueryDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::trees::call;

/// Puts each UNNEST of a column into the table that has the column.
pub(super) fn expand(select: &mut Select) -> Result<(), DataFusionError> {
    if !select.from.iter().any(has_element) {
        return Ok(());
    }
    let mut tables: Vec<TableWithJoins> = Vec::new();
    let mut elements: Vec<Element> = Vec::new();
    for TableWithJoins { relation, joins } in std::mem::take(&mut select.from) {
        match Unnested::of(&relation)? {
            Some(_) if tables.is_empty() => {
                return plan_err!(
                    "UNNEST of a column wants its table before it in FROM, not around the query: \
                     write `FROM table, UNNEST(table.column) AS element`, and GROUP BY where one row is wanted"
                );
            }
            Some(_) if !joins.is_empty() => {
                return plan_err!(
                    "UNNEST of a column stands behind the joins: write it as the last in FROM"
                );
            }
            Some(unnested) => attach(&mut tables, &mut elements, unnested)?,
            None => {
                tables.push(TableWithJoins { relation, joins: Vec::new() });
                for join in joins {
                    add(&mut tables, &mut elements, join)?;
                }
            }
        }
    }
    select.from = tables;
    for item in &select.projection {
        let takes_all = match item {
            SelectItem::Wildcard(_) => true,
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(of), _) => {
                elements.iter().any(|element| of.to_string() == element.table.value)
            }
            _ => false,
        };
        if takes_all {
            return plan_err!(
                "`*` beside UNNEST of a column is not taken here, since BigQuery takes the element apart: name the columns"
            );
        }
    }
    Ok(())
}

/// Names fields of records as BigQuery does: by their own name, whatever the way to them.
pub(super) fn name_fields(select: &mut Select) {
    let tables = select.from.iter().flat_map(|TableWithJoins { relation, joins }| {
        std::iter::once(relation).chain(joins.iter().map(|join| &join.relation))
    });
    let tables: Vec<Ident> = tables.filter_map(name_of).collect();
    let named: Vec<String> = select.projection.iter().filter_map(own_name).collect();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(path)) = item else { continue };
        let of_table = tables.iter().any(|table| table.value.eq_ignore_ascii_case(&path[0].value));
        let Some(name) = path.last().filter(|_| path.len() > 1 + usize::from(of_table)) else {
            continue;
        };
        // Two columns of one name are told apart by where they are from.
        let alike = named.iter().filter(|other| other.eq_ignore_ascii_case(&name.value));
        if alike.count() == 1 {
            let (expr, alias) = (Expr::CompoundIdentifier(path.clone()), name.clone());
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

/// The name of a column that a query gives.
fn own_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name))
        | SelectItem::ExprWithAlias { alias: name, .. } => Some(name.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(path)) => {
            path.last().map(|name| name.value.clone())
        }
        _ => None,
    }
}

fn has_element(tables: &TableWithJoins) -> bool {
    let joined = tables.joins.iter().map(|join| &join.relation);
    joined.chain([&tables.relation]).any(is_of_column)
}

/// Whether it is UNNEST of a column, rather than of an array that is written out or made.
pub(super) fn is_of_column(table: &TableFactor) -> bool {
    matches!(table, TableFactor::UNNEST { array_exprs, .. } if array_exprs.iter().any(is_column))
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => !name.value.starts_with('@'),
        Expr::CompoundIdentifier(_) => true,
        Expr::Nested(inner) => is_column(inner),
        _ => false,
    }
}

/// A join of what was there with a table, or with a column's elements.
fn add(
    tables: &mut [TableWithJoins],
    elements: &mut Vec<Element>,
    join: Join,
) -> Result<(), DataFusionError> {
    let Some(unnested) = Unnested::of(&join.relation)? else {
        if let Some(last) = tables.last_mut() {
            last.joins.push(join);
        }
        return Ok(());
    };
    match join.join_operator {
        JoinOperator::CrossJoin(JoinConstraint::None)
        | JoinOperator::Join(JoinConstraint::None)
        | JoinOperator::Inner(JoinConstraint::None) => attach(tables, elements, unnested),
        _ => plan_err!(
            "UNNEST of a column is taken with a comma or CROSS JOIN before it here, and conditions in WHERE: \
             rows whose list is empty are left out"
        ),
    }
}

/// An element's name, and the table that it is a column of now.
struct Element {
    name: Ident,
    table: Ident,
}

/// `UNNEST(column) AS name`
struct Unnested {
    column: Expr,
    /// The names that the column is called by.
    names: Vec<Ident>,
    name: Ident,
}

impl Unnested {
    fn of(table: &TableFactor) -> Result<Option<Self>, DataFusionError> {
        let TableFactor::UNNEST { alias, array_exprs, .. } = table else { return Ok(None) };
        let [column] = &array_exprs[..] else { return Ok(None) };
        let mut inner = column;
        while let Expr::Nested(of) = inner {
            inner = of;
        }
        let names = match inner {
            Expr::Identifier(name) if !name.value.starts_with('@') => vec![name.clone()],
            Expr::CompoundIdentifier(names) => names.clone(),
            _ => return Ok(None),
        };
        match alias {
            Some(alias) => {
                let (column, name) = (inner.clone(), alias.name.clone());
                Ok(Some(Self { column, names, name }))
            }
            None => plan_err!(
                "UNNEST of a column wants a name for its elements: `UNNEST({column}) AS element`"
            ),
        }
    }
}

/// Puts a column's elements into the table that has it.
fn attach(
    tables: &mut [TableWithJoins],
    elements: &mut Vec<Element>,
    unnested: Unnested,
) -> Result<(), DataFusionError> {
    let Unnested { column, names, name } = unnested;
    let owner = names.first().map(|first| first.value.as_str()).unwrap_or_default();
    let of_element = elements.iter().find(|element| element.name.value == owner);
    let owner = of_element.map_or(owner, |element| element.table.value.as_str()).to_owned();
    let mut found: Vec<(&mut TableFactor, bool)> = Vec::new();
    for TableWithJoins { relation, joins } in tables {
        let is_whole = |join: &Join| {
            use JoinOperator as Of;
            let of = &join.join_operator;
            matches!(of, Of::Right(_) | Of::RightOuter(_) | Of::FullOuter(_))
        };
        let is_outer = joins.iter().any(is_whole);
        found.push((relation, is_outer));
        found.extend(joins.iter_mut().map(|join| {
            let is_left =
                matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
            (&mut join.relation, is_outer || is_left)
        }));
    }
    let is_only = found.len() == 1;
    let named = found
        .into_iter()
        .find(|(table, _)| is_only || name_of(table).is_some_and(|name| name.value == owner));
    let Some((table, is_outer)) = named else {
        return plan_err!(
            "UNNEST({column}): say which table has the column, as in `UNNEST(table.column)`"
        );
    };
    if is_outer {
        return plan_err!(
            "UNNEST({column}) of a table of an outer join is not taken here: UNNEST it in a subquery, and join that"
        );
    }
    let Some(of) = name_of(table) else {
        return plan_err!("UNNEST({column}) wants a name for what it is of: `(SELECT …) AS name`");
    };
    *table = with_element(table.clone(), column, name.clone(), of.clone())?;
    elements.push(Element { name, table: of });
    Ok(())
}

/// What the columns of a table may be called by.
pub(super) fn name_of(table: &TableFactor) -> Option<Ident> {
    match table {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, alias: None, .. } => {
            name.0.last().and_then(|part| part.as_ident()).cloned()
        }
        _ => None,
    }
}

/// `(SELECT *, unnest(column) AS name FROM table) AS of`
fn with_element(
    table: TableFactor,
    column: Expr,
    name: Ident,
    of: Ident,
) -> Result<TableFactor, DataFusionError> {
    let sql = "SELECT * FROM _0";
    let parsed = Parser::parse_sql(&BigQueryDialect {}, sql);
    let parsed = parsed.map_err(|error| DataFusionError::SQL(Box::new(error), None))?;
    let Some(Statement::Query(mut subquery)) = parsed.into_iter().next() else {
        return plan_err!("`{sql}` is no query");
    };
    if let SetExpr::Select(select) = &mut *subquery.body {
        let expr = call("UNNEST[]", vec![column]);
        select.projection.push(SelectItem::ExprWithAlias { expr, alias: name });
        select.from = vec![TableWithJoins { relation: table, joins: Vec::new() }];
    }
    let alias = Some(TableAlias { explicit: true, name: of, columns: Vec::new(), at: None });
    Ok(TableFactor::Derived { lateral: false, subquery, alias, sample: None })
}
