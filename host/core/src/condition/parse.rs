//! Reads a condition.

use std::iter::Peekable;
use std::str::CharIndices;

use super::tree::{Literal, Operator, Tree};
use crate::path::Path;

/// Bytes of a condition, at most.
const MAX_BYTES: usize = 8 << 10;
/// Parentheses and `NOT`s that may stand one in another.
const MAX_DEPTH: usize = 64;
/// Words that are no columns, unless they stand in backquotes.
const WORDS: [&str; 8] = ["AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE"];

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {why}")]
pub struct SyntaxError {
    /// The character at fault, from 1; one beyond the last where the text ends too early.
    pub at: usize,
    /// What is wrong there.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// As it was written, without backquotes.
    Name(String),
    /// One of [`WORDS`].
    Word(&'static str),
    Literal(Literal),
    Operator(Operator),
    Dot,
    Comma,
    Open,
    Close,
}

/// Reads a condition to its end.
pub(super) fn parse(text: &str) -> Result<Tree, SyntaxError> {
    if text.len() > MAX_BYTES {
        let why = format!("it has {} bytes, at most {MAX_BYTES} are allowed", text.len());
        return Err(SyntaxError { at: 1, why });
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.chars().count() + 1 };
    let tree = parser.either(0)?;
    match parser.peek() {
        None => Ok(tree),
        Some(_) => Err(parser.error("wanted `AND`, `OR` or the end")),
    }
}

struct Parser {
    /// Each with the character at which it begins.
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn error(&self, why: &str) -> SyntaxError {
        let at = self.tokens.get(self.next).map_or(self.end, |(at, _)| *at);
        SyntaxError { at, why: why.to_owned() }
    }

    /// Whether this token is next. If so, it is passed.
    fn takes(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.next += usize::from(is_next);
        is_next
    }

    fn either(&mut self, depth: usize) -> Result<Tree, SyntaxError> {
        let first = self.both(depth)?;
        let mut all = vec![first];
        while self.takes(&Token::Word("OR")) {
            all.push(self.both(depth)?);
        }
        Ok(one_or(all, Tree::Or))
    }

    fn both(&mut self, depth: usize) -> Result<Tree, SyntaxError> {
        let first = self.one(depth)?;
        let mut all = vec![first];
        while self.takes(&Token::Word("AND")) {
            all.push(self.one(depth)?);
        }
        Ok(one_or(all, Tree::And))
    }

    fn one(&mut self, depth: usize) -> Result<Tree, SyntaxError> {
        if depth == MAX_DEPTH {
            return Err(self.error("it is nested too deeply"));
        }
        if self.takes(&Token::Word("NOT")) {
            return Ok(Tree::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes(&Token::Open) {
            let inner = self.either(depth + 1)?;
            self.wants(&Token::Close, "wanted `)`")?;
            return Ok(inner);
        }
        let column = self.column()?;
        if let Some(Token::Operator(operator)) = self.peek() {
            let operator = *operator;
            self.next += 1;
            return Ok(Tree::Compare(column, operator, self.literal()?));
        }
        if self.takes(&Token::Word("IS")) {
            let is_not = self.takes(&Token::Word("NOT"));
            self.wants(&Token::Word("NULL"), "wanted `NULL`")?;
            return Ok(negated(Tree::IsNull(column), is_not));
        }
        let is_not = self.takes(&Token::Word("NOT"));
        if self.takes(&Token::Word("IN")) {
            self.wants(&Token::Open, "wanted `(` and a list of values")?;
            let mut values = vec![self.literal()?];
            while self.takes(&Token::Comma) {
                values.push(self.literal()?);
            }
            self.wants(&Token::Close, "wanted `,` or `)`")?;
            return Ok(negated(Tree::In(column, values), is_not));
        }
        if is_not { Err(self.error("wanted `IN`")) } else { Ok(Tree::Column(column)) }
    }

    fn wants(&mut self, token: &Token, why: &str) -> Result<(), SyntaxError> {
        if self.takes(token) { Ok(()) } else { Err(self.error(why)) }
    }

    fn column(&mut self) -> Result<Path, SyntaxError> {
        let first = self.name()?;
        let mut path = Path::of(&first);
        while self.takes(&Token::Dot) {
            path = path.field(&self.name()?);
        }
        Ok(path)
    }

    fn name(&mut self) -> Result<String, SyntaxError> {
        let Some(Token::Name(name)) = self.peek() else {
            return Err(self.error("wanted a column, such as `event_type` or `user.country`"));
        };
        let name = name.clone();
        self.next += 1;
        Ok(name)
    }

    fn literal(&mut self) -> Result<Literal, SyntaxError> {
        let literal = match self.peek() {
            Some(Token::Literal(literal)) => literal.clone(),
            Some(Token::Word("TRUE")) => Literal::Truth(true),
            Some(Token::Word("FALSE")) => Literal::Truth(false),
            Some(Token::Word("NULL")) => {
                return Err(self.error("nothing is equal to NULL: write `IS NULL`"));
            }
            _ => {
                return Err(self.error("wanted a text such as 'purchase', a number, TRUE or FALSE"));
            }
        };
        self.next += 1;
        Ok(literal)
    }
}

fn negated(tree: Tree, is_not: bool) -> Tree {
    if is_not { Tree::Not(Box::new(tree)) } else { tree }
}

fn one_or(mut all: Vec<Tree>, several: impl FnOnce(Vec<Tree>) -> Tree) -> Tree {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            several(all)
        }
        None => several(all),
    }
}

/// The tokens of a text, each with the character at which it begins, from 1.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    let mut reader = Reader { text, rest: &mut rest };
    while let Some((at, token)) = reader.token()? {
        found.push((character(text, at), token));
    }
    Ok(found)
}

/// The number of the character at a byte, from 1.
fn character(text: &str, at: usize) -> usize {
    text[..at].chars().count() + 1
}

struct Reader<'a, 'b> {
    text: &'a str,
    rest: &'b mut Peekable<CharIndices<'a>>,
}

impl Reader<'_, '_> {
    fn token(&mut self) -> Result<Option<(usize, Token)>, SyntaxError> {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        let Some((at, c)) = self.rest.next() else { return Ok(None) };
        let token = match c {
            '.' => Token::Dot,
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '=' => Token::Operator(Operator::Equal),
            '!' if self.takes('=') => Token::Operator(Operator::Unequal),
            '<' if self.takes('>') => Token::Operator(Operator::Unequal),
            '<' if self.takes('=') => Token::Operator(Operator::LessOrEqual),
            '<' => Token::Operator(Operator::Less),
            '>' if self.takes('=') => Token::Operator(Operator::GreaterOrEqual),
            '>' => Token::Operator(Operator::Greater),
            '\'' | '"' => Token::Literal(Literal::Text(self.quoted(at, c)?)),
            '`' => Token::Name(self.quoted(at, c)?),
            '-' | '+' | '0'..='9' => Token::Literal(Literal::Number(self.number(at)?)),
            c if c.is_alphabetic() || c == '_' => self.word(at),
            c => return Err(self.error(at, format!("`{c}` has no meaning here"))),
        };
        Ok(Some((at, token)))
    }

    fn takes(&mut self, c: char) -> bool {
        self.rest.next_if(|(_, next)| *next == c).is_some()
    }

    fn error(&self, at: usize, why: String) -> SyntaxError {
        SyntaxError { at: character(self.text, at), why }
    }

    /// The byte that comes next.
    fn here(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn word(&mut self, from: usize) -> Token {
        while self.rest.next_if(|(_, c)| c.is_alphanumeric() || *c == '_').is_some() {}
        let end = self.here();
        let word = &self.text[from..end];
        let known = WORDS.into_iter().find(|known| known.eq_ignore_ascii_case(word));
        known.map_or_else(|| Token::Name(word.to_owned()), Token::Word)
    }

    /// A number: whole, with a point, or with an exponent.
    fn number(&mut self, from: usize) -> Result<String, SyntaxError> {
        let mut before = ' ';
        while let Some((_, c)) = self.rest.next_if(|(_, c)| {
            c.is_ascii_alphanumeric()
                || *c == '.'
                || (matches!(c, '-' | '+') && matches!(before, 'e' | 'E'))
        }) {
            before = c;
        }
        let end = self.here();
        let number = &self.text[from..end];
        let digits = number.trim_start_matches(['-', '+']);
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
            && number.parse::<f64>().is_ok_and(f64::is_finite);
        if !is_number {
            return Err(self.error(from, format!("`{number}` is not a number")));
        }
        Ok(number.trim_start_matches('+').to_owned())
    }

    /// A text or a name between marks. Of the escapes those of the marks and of the backslash are known.
    fn quoted(&mut self, from: usize, mark: char) -> Result<String, SyntaxError> {
        let mut text = String::new();
        while let Some((at, c)) = self.rest.next() {
            match c {
                c if c == mark => {
                    // GoogleSQL takes two marks for two texts, and those it does not join.
                    if self.takes(mark) {
                        let why = format!("write `\\{mark}` for `{mark}` in a text");
                        return Err(self.error(at, why));
                    }
                    return Ok(text);
                }
                '\\' => match self.rest.next() {
                    Some((_, c @ ('\\' | '\'' | '"' | '`'))) => text.push(c),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    _ => {
                        let why = "wanted one of the escapes `\\\\`, `\\'`, `\\\"`, `\\n`, `\\t`";
                        return Err(self.error(at, why.to_owned()));
                    }
                },
                c => text.push(c),
            }
        }
        Err(self.error(from, format!("`{mark}` has no second one")))
    }
}
