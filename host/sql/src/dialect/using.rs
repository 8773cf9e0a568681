//! `SELECT *` over JOIN with USING. In BigQuery the columns of USING come first, and once; DataFusion leaves them where
//! they are.

use datafusion::common::plan_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Select,
    SelectItem, SelectItemQualifiedWildcardKind, TableFactor, WildcardAdditionalOptions,
};

/// Puts the columns of `*` into BigQuery's order.
pub(super) fn order(select: &mut Select) -> Result<(), DataFusionError> {
    let is_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_));
    let uses = |join: &Join| shared(join).is_some();
    let has_using = select.from.iter().flat_map(|tables| &tables.joins).any(uses);
    if !has_using || !select.projection.iter().any(is_all) {
        return Ok(());
    }
    let columns = match &select.from[..] {
        [tables] if let [join] = &tables.joins[..] => {
            let sides = [&tables.relation, &join.relation].map(called);
            match (shared(join), sides) {
                (Some(shared), [Some(left), Some(right)]) => in_order(shared, left, right),
                _ => None,
            }
        }
        _ => None,
    };
    let is_plain = |item: &SelectItem| match item {
        SelectItem::Wildcard(WildcardAdditionalOptions { opt_except, opt_replace, .. }) => {
            opt_except.is_none() && opt_replace.is_none()
        }
        _ => true,
    };
    let (Some(columns), true) = (columns, select.projection.iter().all(is_plain)) else {
        return plan_err!(
            "`*` over JOIN with USING is taken here of two tables that have names, without EXCEPT and REPLACE: name \
             the columns"
        );
    };
    let expanded = std::mem::take(&mut select.projection)
        .into_iter()
        .flat_map(|item| if is_all(&item) { columns.clone() } else { vec![item] });
    select.projection = expanded.collect();
    Ok(())
}

/// The columns that a join names.
fn shared(join: &Join) -> Option<&[ObjectName]> {
    use JoinOperator as Of;
    match &join.join_operator {
        Of::Join(JoinConstraint::Using(columns))
        | Of::Inner(JoinConstraint::Using(columns))
        | Of::Left(JoinConstraint::Using(columns))
        | Of::LeftOuter(JoinConstraint::Using(columns)) => Some(columns),
        _ => None,
    }
}

/// What the columns of a table are called by.
fn called(table: &TableFactor) -> Option<ObjectName> {
    match table {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } => Some(alias.name.clone().into()),
        TableFactor::Table { name, .. } => {
            name.0.last().cloned().map(|last| ObjectName(vec![last]))
        }
        _ => None,
    }
}

/// `left.shared, left.* EXCEPT (shared), right.* EXCEPT (shared)`
fn in_order(shared: &[ObjectName], left: ObjectName, right: ObjectName) -> Option<Vec<SelectItem>> {
    let column = |name: &ObjectName| name.0.last()?.as_ident().cloned();
    let shared: Vec<Ident> = shared.iter().map(column).collect::<Option<_>>()?;
    let (first_element, additional_elements) = shared.split_first()?;
    let others = WildcardAdditionalOptions {
        opt_except: Some(ExceptSelectItem {
            first_element: first_element.clone(),
            additional_elements: additional_elements.to_vec(),
        }),
        ..WildcardAdditionalOptions::default()
    };
    let of_left = left.0.last()?.as_ident().cloned()?;
    let merged = shared.iter().map(|column| {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![of_left.clone(), column.clone()]))
    });
    let rest = [left, right].map(|table| {
        let all = SelectItemQualifiedWildcardKind::ObjectName(table);
        SelectItem::QualifiedWildcard(all, others.clone())
    });
    Some(merged.chain(rest).collect())
}
