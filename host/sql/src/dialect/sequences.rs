//! What tokens in a row tell and the tree does not: the parser reads these in another way than GoogleSQL does, or reads
//! what GoogleSQL refuses.

use std::mem;

use datafusion::common::plan_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::given::is_reserved;

/// Refuses them.
pub(super) fn checked(tokens: &[TokenWithSpan]) -> Result<(), DataFusionError> {
    let tokens = tokens.iter().map(|token| &token.token);
    let tokens: Vec<&Token> =
        tokens.filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    // Of each bracket that is open, whether the last JOIN in it has its condition.
    let mut conditions = vec![false];
    for (at, token) in tokens.iter().enumerate() {
        let before = |steps: usize| Some(tokens[at.checked_sub(steps)?]);
        let behind = tokens.get(at + 1).copied();
        match (token, keyword(token)) {
            (Token::LParen | Token::LBracket, _) => conditions.push(false),
            (Token::RParen | Token::RBracket, _) => {
                conditions.pop();
            }
            (_, word @ (Keyword::JOIN | Keyword::ON | Keyword::USING)) => {
                let is_condition = word != Keyword::JOIN;
                let last = conditions.last_mut();
                if last.is_some_and(|last| mem::replace(last, is_condition)) && is_condition {
                    return plan_err!(
                        "a JOIN has one ON or USING, right behind it: of several in a row, write parentheses around \
                         what is joined first, as in `a JOIN (b JOIN c ON …) ON …`"
                    );
                }
            }
            (_, Keyword::NULL)
                if before(1).is_some_and(|token| keyword(token) == Keyword::NOT)
                    && before(2).is_some_and(ends_operand) =>
            {
                return plan_err!(
                    "`x NOT NULL` is no condition of BigQuery: write `x IS NOT NULL`"
                );
            }
            (_, Keyword::ARRAY) if behind == Some(&Token::Lt) => {
                return plan_err!(
                    "`ARRAY<…>` is not taken here: an array is `[x, y]`, of the type of its elements; CAST them to \
                     another"
                );
            }
            (_, Keyword::EXCEPT)
                if before(1) == Some(&Token::Mul) && behind != Some(&Token::LParen) =>
            {
                return plan_err!("`* EXCEPT` wants parentheses: `* EXCEPT (column)`");
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a token is as a word of SQL.
fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// Whether an expression may end with this token.
fn ends_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            let ends = [Keyword::END, Keyword::NULL, Keyword::TRUE, Keyword::FALSE];
            ends.contains(&keyword(token))
                || word.quote_style.is_some()
                || !is_reserved(&word.value)
        }
        Token::Number(..) | Token::SingleQuotedString(_) | Token::HexStringLiteral(_) => true,
        other => matches!(other, Token::RParen | Token::RBracket),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    #[test]
    fn what_the_parser_would_misread_is_refused() {
        for (sql, said) in [
            ("SELECT x NOT NULL", "write `x IS NOT NULL`"),
            ("SELECT `AND` NOT /* a */ NULL", "write `x IS NOT NULL`"),
            ("SELECT f(x) not null", "write `x IS NOT NULL`"),
            ("SELECT ARRAY<INT64>[1]", "`[x, y]`"),
            ("SELECT * EXCEPT x FROM t", "`* EXCEPT (column)`"),
            ("FROM a JOIN b JOIN c ON x = y ON y = z", "in a row"),
            ("FROM (a JOIN b JOIN c USING (x) USING (y)) AS t", "in a row"),
            ("FROM a JOIN b ON x = (SELECT 1 FROM c JOIN d ON TRUE) ON y", "in a row"),
        ] {
            let error = checked(&tokens(sql).unwrap()).expect_err(sql).to_string();
            assert!(error.contains(said), "{sql}: {error}");
        }
    }

    #[test]
    fn what_it_reads_as_it_is_meant_is_taken() {
        for sql in [
            "SELECT NOT NULL, (NOT NULL), x IS NOT NULL, x = NOT NULL",
            "SELECT CASE WHEN NOT NULL THEN NOT NULL END AND NOT NULL",
            "SELECT ARRAY[1] < ARRAY[2], `array` < 1",
            "SELECT * EXCEPT (x) FROM t EXCEPT DISTINCT SELECT 1",
            "FROM a JOIN b ON x = y JOIN (c JOIN d ON TRUE) ON z CROSS JOIN e JOIN f USING (x)",
            "SELECT 1 FROM a JOIN b ON x UNION ALL SELECT 2 FROM c JOIN d ON y",
            ")))",
        ] {
            assert!(checked(&tokens(sql).unwrap()).is_ok(), "{sql}");
        }
    }
}
