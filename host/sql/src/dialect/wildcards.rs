//! `* REPLACE (expression AS column)`: DataFusion passes over a column that is not there, which is an error in
//! BigQuery. So WHERE names each, in a condition that is always true.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, ReplaceSelectItem, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Value,
};

/// Has WHERE name the columns that are replaced.
pub(super) fn name_replaced(select: &mut Select) {
    let replaced = select.projection.iter().flat_map(|item| match item {
        SelectItem::Wildcard(options) => named(&[], options.opt_replace.as_ref()),
        SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(table),
            options,
        ) => {
            let path = table.0.iter().filter_map(|part| part.as_ident()).cloned();
            named(&path.collect::<Vec<_>>(), options.opt_replace.as_ref())
        }
        _ => Vec::new(),
    });
    let both = |left, op, right| {
        let [left, right] = [left, right].map(|side| Box::new(Expr::Nested(Box::new(side))));
        Expr::BinaryOp { left, op, right }
    };
    for column in replaced {
        let always = Expr::Value(Value::Boolean(true).into());
        let named = both(Expr::IsNull(Box::new(column)), BinaryOperator::Or, always);
        select.selection = Some(match select.selection.take() {
            Some(condition) => both(condition, BinaryOperator::And, named),
            None => named,
        });
    }
}

fn named(table: &[Ident], replaced: Option<&ReplaceSelectItem>) -> Vec<Expr> {
    let columns = replaced.iter().flat_map(|replaced| &replaced.items);
    let path = columns.map(|element| [table, std::slice::from_ref(&element.column_name)].concat());
    path.map(|path| match &path[..] {
        [column] => Expr::Identifier(column.clone()),
        _ => Expr::CompoundIdentifier(path),
    })
    .collect()
}
