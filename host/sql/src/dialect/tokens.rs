//! Literals as GoogleSQL writes them (lexical.md). The parser's own reading of escapes drops a backslash that
//! it does not know, so literals are read here, before it sees them.

use datafusion::common::plan_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::BigQueryDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// What a literal is of.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Text,
    Bytes,
}

/// The tokens of a text, its literals read.
pub(super) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, DataFusionError> {
    let tokens = Tokenizer::new(&BigQueryDialect {}, sql)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| plan_datafusion_err!("{error}"))?;
    let read = |TokenWithSpan { token, span }| -> Result<TokenWithSpan, DataFusionError> {
        let begins = || {
            let line = sql.lines().nth(span.start.line as usize - 1)?;
            line.chars().nth(span.start.column as usize - 1)
        };
        Ok(TokenWithSpan { token: literal(token, begins)?, span })
    };
    let mut tokens: Vec<TokenWithSpan> = tokens.into_iter().map(read).collect::<Result<_, _>>()?;
    name_safe(&mut tokens);
    Ok(tokens)
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
        Token::DoubleEq
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

/// A literal that the tokenizer ended at a quotation mark behind a backslash went on in BigQuery.
fn ends_here(raw: String) -> Result<String, DataFusionError> {
    let backslashes = raw.bytes().rev().take_while(|byte| *byte == b'\\').count();
    match backslashes % 2 {
        0 => Ok(raw),
        _ => Err(plan_datafusion_err!(
            "a quotation mark behind a backslash in a raw or byte literal is not read here: use the other kind of marks"
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
            return Err(plan_datafusion_err!(
                "a doubled quotation mark is no mark in BigQuery: write `\\{character}`"
            ));
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
            let digits: String = first.chars().chain(rest.by_ref().take(digits)).collect();
            let whole = digits.chars().all(|digit| digit.is_digit(radix));
            u32::from_str_radix(&digits, radix).ok().filter(|_| whole)
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
