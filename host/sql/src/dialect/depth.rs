//! How deep the parts of a query may be within each other. Planning goes down as deep on a stack that grows, and what
//! it takes grows by the square and more: so there is a bound, which is told in words.

use std::mem;
use std::ops::ControlFlow;

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, SetExpr, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Parts may be as many deep within each other. `a + b + c` is as deep as it has operators.
const DEPTH: usize = 200;
/// What a query within another counts for: the parser takes forty kilobytes of a stack for it, where it looks for the
/// place of what it has parsed.
const QUERY_DEPTH: usize = 2;
/// A query has as many sides of UNION, and as many queries in its WITH.
const QUERIES: usize = 500;
/// The parser counts a part several times, such as a subquery in brackets. What it stops at it may take for another
/// error, so that its own bound is only for what [`in_tokens`] does not see.
pub(super) const PARSER_DEPTH: usize = 4 * DEPTH;
/// `AND` and `OR` that are more in a row are put into a tree that is as deep as their number has digits.
const ROW: usize = 16;

pub(super) fn too_deep() -> DataFusionError {
    plan_datafusion_err!(
        "parts of the query are more than {DEPTH} deep within each other, where a subquery counts as two"
    )
}

fn too_many() -> DataFusionError {
    plan_datafusion_err!("UNION and WITH take {QUERIES} queries, no more")
}

/// Refuses brackets, CASE, signs and names that are too deep within each other, before they are parsed.
pub(super) fn in_tokens(tokens: &[TokenWithSpan]) -> Result<(), DataFusionError> {
    let (mut depth, mut signs, mut names) = (0_usize, 0, 0);
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Word(word) if word.keyword == Keyword::CASE => depth += 1,
            Token::Word(word) if word.keyword == Keyword::END => depth = depth.saturating_sub(1),
            sign if is_sign(sign) => {
                signs += 1;
                continue;
            }
            Token::Period => names += 1,
            Token::Word(_) => {}
            _ => names = 0,
        }
        if depth + names + mem::take(&mut signs) > DEPTH {
            return Err(too_deep());
        }
    }
    Ok(())
}

fn is_sign(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword == Keyword::NOT,
        other => matches!(other, Token::Minus | Token::Plus | Token::Tilde),
    }
}

/// Refuses trees that are too deep.
pub(super) fn in_tree(tree: &mut impl VisitMut) -> Result<(), DataFusionError> {
    match tree.visit(&mut Depth(0)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// How deep the visitor is.
struct Depth(usize);

impl Depth {
    fn enter(&mut self, by: usize) -> ControlFlow<DataFusionError> {
        self.0 += by;
        if self.0 > DEPTH { ControlFlow::Break(too_deep()) } else { ControlFlow::Continue(()) }
    }
}

impl VisitorMut for Depth {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let named = query.with.as_ref().map_or(0, |with| with.cte_tables.len());
        let mut sides = 0;
        let mut body = &*query.body;
        while let SetExpr::SetOperation { left, .. } = body {
            sides += 1;
            body = left;
        }
        if named.max(sides + 1) > QUERIES {
            return ControlFlow::Break(too_many());
        }
        self.enter(QUERY_DEPTH)
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<DataFusionError> {
        self.0 -= QUERY_DEPTH;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        balance(expr);
        self.enter(1)
    }

    fn post_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<DataFusionError> {
        self.0 -= 1;
        ControlFlow::Continue(())
    }
}

/// Makes `((a OR b) OR c) OR d` into `(a OR b) OR (c OR d)`: the same, by parts that are less deep.
fn balance(expr: &mut Expr) {
    let Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } = expr else {
        return;
    };
    let op = op.clone();
    let (mut row, mut left) = (0, &*expr);
    while let Expr::BinaryOp { left: next, op: other, .. } = left
        && *other == op
    {
        row += 1;
        left = next;
    }
    if row <= ROW {
        return;
    }
    let mut operands = Vec::with_capacity(row + 1);
    let mut rest = mem::replace(expr, Expr::Identifier(Ident::new("")));
    loop {
        match rest {
            Expr::BinaryOp { left, op: other, right } if other == op => {
                operands.push(*right);
                rest = *left;
            }
            first => {
                operands.push(first);
                break;
            }
        }
    }
    operands.reverse();
    while operands.len() > 1 {
        let mut halves = operands.into_iter();
        let mut joined = Vec::with_capacity(halves.len().div_ceil(2));
        while let Some(left) = halves.next() {
            joined.push(match halves.next() {
                Some(right) => {
                    let (left, right) = (Box::new(left), Box::new(right));
                    Expr::BinaryOp { left, op: op.clone(), right }
                }
                None => left,
            });
        }
        operands = joined;
    }
    *expr = operands.remove(0);
}
