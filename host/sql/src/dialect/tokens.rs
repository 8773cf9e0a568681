//! Literals as GoogleSQL writes them (lexical.md). The parser's own reading of escapes drops a backslash that
//! it does not know, so literals are read here, before it sees them.

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::BigQueryDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::raw;

/// What a literal is of.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Text,
    Bytes,
}

/// The tokens of a text, its literals read.
pub(super) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, DataFusionError> {
    let sql = &*raw::readable(sql);
    let tokens = Tokenizer::new(&BigQueryDialect {}, sql)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| plan_datafusion_err!("{error}"))?;
    let tokens = apart(tokens)?;
    let read = |TokenWithSpan { token, span }| -> Result<TokenWithSpan, DataFusionError> {
        let begins = || {
            let line = sql.lines().nth(span.start.line as usize - 1)?;
            line.chars().nth(span.start.column as usize - 1)
        };
        Ok(TokenWithSpan { token: literal(token, begins)?, span })
    };
    let mut tokens: Vec<TokenWithSpan> = tokens.into_iter().map(read).collect::<Result<_, _>>()?;
    name_safe(&mut tokens);
    one_distinct(tokens)
}

/// The tokens, none of them a literal that runs into a word or another literal: those would be an alias. `0X` begins
/// a number as `0x` does.
fn apart(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, DataFusionError> {
    let mut apart: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if let Some(last) = apart.last_mut()
            && let (Token::Number(zero, false), Token::Word(word)) = (&last.token, &token.token)
            && zero == "0"
            && word.quote_style.is_none()
            && let Some(digits) = word.value.strip_prefix('X')
        {
            last.token = Token::HexStringLiteral(digits.to_owned());
            last.span.end = token.span.end;
            continue;
        }
        if let [.., last] = &apart[..]
            && runs_into(&last.token, &token.token)
            && !is_of_name(&apart)
        {
            let (last, next) = (&last.token, &token.token);
            return Err(plan_datafusion_err!(
                "`{last}{next}`: a literal wants white space behind it"
            ));
        }
        apart.push(token);
    }
    Ok(apart)
}

fn runs_into(literal: &Token, next: &Token) -> bool {
    let number = matches!(literal, Token::Number(..) | Token::HexStringLiteral(_));
    match next {
        // `'a'AND` is read as it is meant.
        Token::Word(word) => number || (is_text(literal) && word.keyword == Keyword::NoKeyword),
        Token::Number(..) | Token::HexStringLiteral(_) => number || is_text(literal),
        next => (number || is_text(literal)) && is_text(next),
    }
}

fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
            | Token::TripleSingleQuotedRawStringLiteral(_)
            | Token::TripleDoubleQuotedRawStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::TripleSingleQuotedByteStringLiteral(_)
            | Token::TripleDoubleQuotedByteStringLiteral(_)
    )
}

/// Whether the last token is of a name with a dash, such as the project of `my-project-1.dataset.table`.
fn is_of_name(tokens: &[TokenWithSpan]) -> bool {
    let [.., word, dash, number] = tokens else { return false };
    matches!(
        (&word.token, &dash.token, &number.token),
        (Token::Word(_), Token::Minus, Token::Number(number, false)) if number.ends_with('.')
    )
}

/// What stands behind `SAFE.` is a name, also where the parser knows a syntax of its own for the function.
fn name_safe(tokens: &mut [TokenWithSpan]) {
    for at in 2..tokens.len() {
        let safe = matches!(&tokens[at - 2].token, Token::Word(word) if word.value.eq_ignore_ascii_case("SAFE"));
        if safe
            && tokens[at - 1].token == Token::Period
            && let Token::Word(word) = &mut tokens[at].token
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
}

/// What stands for `IS DISTINCT FROM`, and for `IS NOT DISTINCT FROM`: operators that bind as comparisons do. The parser
/// takes all that follows the words for their right side, AND and OR too.
const DISTINCT: [Token; 2] = [Token::DoubleTilde, Token::DoubleTildeAsterisk];

/// The tokens, with one in the place of `IS [NOT] DISTINCT FROM`.
fn one_distinct(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, DataFusionError> {
    if let Some(other) = tokens.iter().find(|token| DISTINCT.contains(&token.token)) {
        return Err(plan_datafusion_err!("the operator `{}` is not one of BigQuery", other.token));
    }
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // The words of it that were just said, and where the first one is.
    let (mut said, mut begin) = (Vec::new(), 0);
    for token in tokens {
        let keyword = match &token.token {
            Token::Word(word) if word.quote_style.is_none() => word.keyword,
            Token::Whitespace(_) => {
                kept.push(token);
                continue;
            }
            _ => Keyword::NoKeyword,
        };
        match (&said[..], keyword) {
            (_, Keyword::IS) => (said, begin) = (vec![keyword], kept.len()),
            ([Keyword::IS], Keyword::NOT)
            | ([Keyword::IS] | [Keyword::IS, Keyword::NOT], Keyword::DISTINCT) => {
                said.push(keyword);
            }
            ([Keyword::IS, not @ .., Keyword::DISTINCT], Keyword::FROM) => {
                kept[begin].token = DISTINCT[not.len()].clone();
                kept.truncate(begin + 1);
                said.clear();
                continue;
            }
            _ => said.clear(),
        }
        kept.push(token);
    }
    Ok(kept)
}

/// They stand in literals with three quotation marks alone.
const LINE_BREAKS: [char; 2] = ['\n', '\r'];

fn line_break() -> DataFusionError {
    plan_datafusion_err!(
        "a literal with a line break wants three quotation marks around it, or `\\n`"
    )
}

fn literal(token: Token, begins: impl Fn() -> Option<char>) -> Result<Token, DataFusionError> {
    let text = |text: String, quote| Ok(Token::SingleQuotedString(unescaped_text(&text, quote)?));
    let bytes = |text: String, quote| {
        let bytes = unescaped(&ends_here(text)?, quote, Of::Bytes)?;
        let digits = bytes.into_iter().map(|code| format!("{code:02x}")).collect();
        Ok(Token::HexStringLiteral(digits))
    };
    match token {
        Token::SingleQuotedString(raw) => text(raw, Some('\'')),
        Token::DoubleQuotedString(raw) => text(raw, Some('"')),
        Token::TripleSingleQuotedString(raw) | Token::TripleDoubleQuotedString(raw) => {
            text(raw, None)
        }
        Token::SingleQuotedRawStringLiteral(raw) | Token::DoubleQuotedRawStringLiteral(raw)
            if raw.contains(LINE_BREAKS) =>
        {
            Err(line_break())
        }
        Token::SingleQuotedRawStringLiteral(raw) if raw.contains('\'') => {
            Err(doubled("other marks"))
        }
        Token::DoubleQuotedRawStringLiteral(raw) if raw.contains('"') => {
            Err(doubled("other marks"))
        }
        Token::SingleQuotedRawStringLiteral(raw)
        | Token::DoubleQuotedRawStringLiteral(raw)
        | Token::TripleSingleQuotedRawStringLiteral(raw)
        | Token::TripleDoubleQuotedRawStringLiteral(raw) => {
            Ok(Token::SingleQuotedString(ends_here(raw)?))
        }
        Token::SingleQuotedByteStringLiteral(raw) => bytes(raw, Some('\'')),
        Token::DoubleQuotedByteStringLiteral(raw) => bytes(raw, Some('"')),
        Token::TripleSingleQuotedByteStringLiteral(raw)
        | Token::TripleDoubleQuotedByteStringLiteral(raw) => bytes(raw, None),
        // `0x1F` is a number; `X'1F'` is not of GoogleSQL.
        Token::HexStringLiteral(digits) if begins() == Some('0') => {
            match i64::from_str_radix(&digits, 16) {
                Ok(number) => Ok(Token::Number(number.to_string(), false)),
                Err(_) => Err(plan_datafusion_err!("`0x{digits}` is no INT64")),
            }
        }
        Token::ShiftLeft | Token::ShiftRight => {
            Err(plan_datafusion_err!("`{token}` is not taken here: the parser does not know it"))
        }
        Token::Word(word)
            if word.quote_style == Some('`')
                && (word.value.is_empty() || word.value.contains(['`', '\\'])) =>
        {
            Err(plan_datafusion_err!(
                "{word}: a name in backticks is not empty here, and has no backslash and no other backtick in it"
            ))
        }
        Token::DoubleEq
        | Token::LBrace
        | Token::HexStringLiteral(_)
        | Token::Number(_, true)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::QuoteDelimitedStringLiteral(_)
        | Token::NationalQuoteDelimitedStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::Placeholder(_) => Err(plan_datafusion_err!("BigQuery does not read `{token}`")),
        other => Ok(other),
    }
}

fn doubled(instead: &str) -> DataFusionError {
    plan_datafusion_err!("a doubled quotation mark is no mark in BigQuery: write {instead}")
}

/// What is read by [`raw`] ends behind no backslash.
fn ends_here(raw: String) -> Result<String, DataFusionError> {
    let backslashes = raw.bytes().rev().take_while(|byte| *byte == b'\\').count();
    match backslashes % 2 {
        0 => Ok(raw),
        _ => Err(plan_datafusion_err!(
            "a raw or byte literal has no end: a backslash takes the quotation mark behind it along"
        )),
    }
}

fn unescaped_text(raw: &str, quote: Option<char>) -> Result<String, DataFusionError> {
    let character = |code| {
        char::from_u32(code)
            .ok_or_else(|| plan_datafusion_err!("{code:#x} is no code point of Unicode"))
    };
    unescaped(raw, quote, Of::Text)?.into_iter().map(character).collect()
}

/// The code points of a text or the bytes of bytes, `quote` being what would end the literal.
fn unescaped(raw: &str, quote: Option<char>, of: Of) -> Result<Vec<u32>, DataFusionError> {
    let mut codes = Vec::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(character) = rest.next() {
        if Some(character) == quote {
            return Err(doubled(&format!("`\\{character}`")));
        }
        if quote.is_some() && LINE_BREAKS.contains(&character) {
            return Err(line_break());
        }
        if character != '\\' {
            match of {
                Of::Text => codes.push(u32::from(character)),
                Of::Bytes => {
                    codes.extend(character.encode_utf8(&mut [0; 4]).bytes().map(u32::from));
                }
            }
            continue;
        }
        let escaped = rest.next();
        let mut number = |first: &str, digits: usize, radix: u32| {
            let wanted = first.len() + digits;
            let digits: String = first.chars().chain(rest.by_ref().take(digits)).collect();
            let is_whole =
                digits.len() == wanted && digits.chars().all(|digit| digit.is_digit(radix));
            u32::from_str_radix(&digits, radix).ok().filter(|_| is_whole)
        };
        let code = match escaped {
            Some('a') => Some(7),
            Some('b') => Some(8),
            Some('f') => Some(12),
            Some('n') => Some(10),
            Some('r') => Some(13),
            Some('t') => Some(9),
            Some('v') => Some(11),
            Some(same @ ('\\' | '?' | '"' | '\'' | '`')) => Some(u32::from(same)),
            Some(first @ '0'..='3') => number(&first.to_string(), 2, 8),
            Some('x' | 'X') => number("", 2, 16),
            Some('u') if of == Of::Text => number("", 4, 16),
            Some('U') if of == Of::Text => number("", 8, 16),
            _ => None,
        };
        codes.push(code.ok_or_else(|| {
            let escaped = escaped.unwrap_or_default();
            plan_datafusion_err!(
                "`\\{escaped}` is no escape sequence of BigQuery: write `\\\\` or r'…'"
            )
        })?);
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(sql: &str) -> String {
        tokens(sql).expect_err(sql).to_string()
    }

    #[test]
    fn a_line_break_stands_between_three_marks_alone() {
        for sql in ["'a\nb'", "\"a\r\nb\"", "r'a\nb'", "b'a\nb'", "'a\\\nb'"] {
            let error = error(sql);
            assert!(error.contains("line break") || error.contains("escape"), "{sql}: {error}");
        }
        for sql in ["'''a\nb'''", "\"\"\"a\nb\"\"\"", "r'''a\nb'''", "b'''a\nb'''"] {
            assert!(tokens(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn a_literal_ends_before_what_follows() {
        for sql in ["10x", "1_000", "0x1_0", "1.5.5", "1e5e5", "'a'b", "'a'\"b\"", "1'a'", "'a'1"] {
            assert!(error(sql).contains("white space"), "{sql}");
        }
        assert!(error("0XFFg").contains("is no INT64"));
        for sql in
            ["10 x", "x10", "x = 'a'AND y", "DATE'2026-01-01'", "(1)x", "1/**/x", "1. + .5", "1-2"]
        {
            assert!(tokens(sql).is_ok(), "{sql}");
        }
        assert!(tokens("SELECT 1 FROM my-project-1.dataset.table").is_ok());
        let read = |sql| tokens(sql).map(|tokens| tokens[0].token.clone());
        assert_eq!(read("0XfF").unwrap(), Token::Number("255".to_owned(), false));
    }
}
