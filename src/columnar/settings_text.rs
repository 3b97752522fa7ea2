//! Lists of columns as options give them: `device, "Site"`, `time DESC NULLS LAST, n`, `bloom(a, b), minmax(c)`.
//!
//! Identifiers are read as PostgreSQL reads them: folded to lower case unless quoted, cut to the length of a name.

use std::iter::Peekable;
use std::str::Chars;

use pgrx::pg_sys;

use super::settings::OrderColumn;
use crate::pg::relation::quote_identifier;

/// A kind of sparse index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SparseKind {
    /// A bloom filter: is the value there at all?
    Bloom,
    /// The least and the greatest value.
    MinMax,
    /// The first and the last value.
    FirstLast,
}

impl SparseKind {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bloom => "bloom",
            Self::MinMax => "minmax",
            Self::FirstLast => "firstlast",
        }
    }

    fn of(name: &str) -> Option<Self> {
        match name {
            "bloom" | "compress_bloom" => Some(Self::Bloom),
            "minmax" => Some(Self::MinMax),
            "firstlast" => Some(Self::FirstLast),
            _ => None,
        }
    }
}

/// A sparse index over batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseIndex {
    /// What it keeps.
    pub kind: SparseKind,
    /// Of which columns together.
    pub columns: Vec<String>,
}

/// Why a text can't be read: what stands where something else was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

type Result<T> = std::result::Result<T, Unreadable>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// An identifier, and whether it was quoted.
    Name(String, bool),
    /// A comma, a parenthesis, or what has no place here.
    Sign(char),
    End,
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Name(name, false) if name == word)
    }

    fn unexpected<T>(&self) -> Result<T> {
        Err(Unreadable(match self {
            Self::Name(name, _) => format!("Unexpected \"{name}\"."),
            Self::Sign(sign) => format!("Unexpected \"{sign}\"."),
            Self::End => String::from("Unexpected end."),
        }))
    }
}

struct Tokens<'a> {
    text: Peekable<Chars<'a>>,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        Self { text: text.chars().peekable() }
    }

    fn next(&mut self) -> Result<Token> {
        while self.text.next_if(|c| c.is_ascii_whitespace() || *c == '\u{b}').is_some() {}
        Ok(match self.text.next() {
            None => Token::End,
            Some('"') => Token::Name(self.quoted()?, true),
            Some(first) if is_start(first) => {
                let mut name = String::from(first);
                while let Some(next) = self.text.next_if(|c| is_start(*c) || c.is_ascii_digit() || *c == '$') {
                    name.push(next);
                }
                name.make_ascii_lowercase();
                Token::Name(cut(name), false)
            }
            Some(sign) => Token::Sign(sign),
        })
    }

    fn quoted(&mut self) -> Result<String> {
        let mut name = String::new();
        loop {
            match self.text.next() {
                None => return Err(Unreadable(String::from("A quoted name does not end."))),
                Some('"') if self.text.next_if_eq(&'"').is_none() => break,
                Some(character) => name.push(character),
            }
        }
        if name.is_empty() { Err(Unreadable(String::from("A quoted name is empty."))) } else { Ok(cut(name)) }
    }

    fn name(&mut self) -> Result<String> {
        match self.next()? {
            Token::Name(name, _) => Ok(name),
            other => other.unexpected(),
        }
    }

    fn is_blank(&self) -> bool {
        self.text.clone().all(|c| c.is_ascii_whitespace() || c == '\u{b}')
    }
}

fn is_start(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_' || !character.is_ascii()
}

/// A name has room for 63 bytes.
fn cut(mut name: String) -> String {
    let mut end = name.len().min(pg_sys::NAMEDATALEN as usize - 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// Reads names with commas between them; none in a blank text.
pub fn columns(text: &str) -> Result<Vec<String>> {
    let mut tokens = Tokens::of(text);
    let mut columns = Vec::new();
    if tokens.is_blank() {
        return Ok(columns);
    }
    loop {
        columns.push(tokens.name()?);
        match tokens.next()? {
            Token::Sign(',') => {}
            Token::End => return Ok(columns),
            other => return other.unexpected(),
        }
    }
}

/// Reads columns of an ORDER BY clause; none in a blank text.
pub fn order(text: &str) -> Result<Vec<OrderColumn>> {
    let mut tokens = Tokens::of(text);
    let mut columns = Vec::new();
    if tokens.is_blank() {
        return Ok(columns);
    }
    loop {
        let name = tokens.name()?;
        let mut token = tokens.next()?;
        let descending = token.is_word("desc");
        if descending || token.is_word("asc") {
            token = tokens.next()?;
        }
        let mut nulls_first = descending;
        if token.is_word("nulls") {
            token = tokens.next()?;
            nulls_first = token.is_word("first");
            if !nulls_first && !token.is_word("last") {
                return token.unexpected();
            }
            token = tokens.next()?;
        }
        columns.push(OrderColumn { name, descending, nulls_first });
        match token {
            Token::Sign(',') => {}
            Token::End => return Ok(columns),
            other => return other.unexpected(),
        }
    }
}

/// Reads sparse indexes; none in a blank text.
pub fn sparse(text: &str) -> Result<Vec<SparseIndex>> {
    let mut tokens = Tokens::of(text);
    let mut indexes = Vec::new();
    if tokens.is_blank() {
        return Ok(indexes);
    }
    loop {
        let name = tokens.name()?;
        let kind = SparseKind::of(&name)
            .ok_or_else(|| Unreadable(format!("There is no sparse index \"{name}\"; there are bloom, minmax and firstlast.")))?;
        let token = tokens.next()?;
        if token != Token::Sign('(') {
            return token.unexpected();
        }
        let mut columns = Vec::new();
        loop {
            columns.push(tokens.name()?);
            match tokens.next()? {
                Token::Sign(',') => {}
                Token::Sign(')') => break,
                other => return other.unexpected(),
            }
        }
        indexes.push(SparseIndex { kind, columns });
        match tokens.next()? {
            Token::Sign(',') => {}
            Token::End => return Ok(indexes),
            other => return other.unexpected(),
        }
    }
}

/// Writes sparse indexes so that [`sparse`] can read them.
pub fn sparse_text(indexes: &[SparseIndex]) -> String {
    let one = |index: &SparseIndex| {
        let columns: Vec<String> = index.columns.iter().map(|column| quote_identifier(column)).collect();
        format!("{}({})", index.kind.name(), columns.join(", "))
    };
    indexes.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{SparseIndex, SparseKind, columns, order, sparse};

    fn ordered(text: &str) -> Vec<(String, bool, bool)> {
        order(text).unwrap().into_iter().map(|column| (column.name, column.descending, column.nulls_first)).collect()
    }

    #[test]
    fn test_columns_are_folded_unless_quoted() {
        assert_eq!(columns("Device, \"Site, \"\"A\"\"\" ,\tπ_1$").unwrap(), ["device", "Site, \"A\"", "π_1$"]);
        assert!(columns(" \n").unwrap().is_empty());
    }

    #[test]
    fn test_long_names_are_cut_at_a_character() {
        assert_eq!(columns(&"ä".repeat(40)).unwrap(), ["ä".repeat(31)]);
    }

    #[test]
    fn test_columns_refuse_all_else() {
        for text in ["a b", "a,", ",a", "a;b", "f(a)", "a.b", "1", "\"a", "\"\"", "a -- b", "a DESC", "'a'"] {
            assert!(columns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn test_order_has_the_defaults_of_order_by() {
        assert_eq!(
            ordered("a, b desc, c ASC NULLS FIRST, \"desc\" DESC NULLS LAST"),
            [("a".into(), false, false), ("b".into(), true, true), ("c".into(), false, true), ("desc".into(), true, false),]
        );
    }

    #[test]
    fn test_order_refuses_all_else() {
        for text in ["a USING <", "a DESC ASC", "a NULLS", "a NULLS DESC", "a COLLATE \"C\"", "a LIMIT 1", "a \"desc\"", "a+1", "a desc,"] {
            assert!(order(text).is_err(), "{text}");
        }
    }

    #[test]
    fn test_sparse_indexes() {
        assert_eq!(
            sparse("bloom(a, \"B\"),MINMAX( c )").unwrap(),
            [
                SparseIndex { kind: SparseKind::Bloom, columns: vec!["a".into(), "B".into()] },
                SparseIndex { kind: SparseKind::MinMax, columns: vec!["c".into()] },
            ]
        );
        for text in ["a", "bloom", "bloom()", "bloom(a", "brin(a)", "bloom(a) minmax(b)", "bloom(a),"] {
            assert!(sparse(text).is_err(), "{text}");
        }
    }
}
