//! A statement in Athena's spelling, as polars-sql takes it.
//!
//! Names become lower case, as Athena takes them; database and catalog before a table's name are dropped.
//! What polars-sql has under another name or in another place is moved there, constant expressions are
//! worked out so that files can be left out by them, and columns of the answer get names that differ.
//! Statements that do not read are refused.

mod calls;
mod constants;
mod fields;
mod tables;
mod visitor;

use crate::error::{Error, Result};
use crate::query::functions::Functions;
use crate::units::EpochMillis;
use sqlparser::ast::{SetExpr, Statement, VisitMut};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserOptions};
use sqlparser::tokenizer::{Token, Tokenizer, Word};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use visitor::Rewriter;

/// A statement that polars-sql takes.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Its text.
    pub sql: String,
    /// Tables and views that it reads.
    pub relations: BTreeSet<String>,
    /// Names that it gives to relations itself.
    pub names: BTreeSet<String>,
    /// Names in its expressions.
    pub words: Words,
}

/// The names that a statement uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    /// All of them.
    pub named: BTreeSet<String>,
    /// Those that stand for a column or a member as a whole, and not for the way to a member.
    pub whole: BTreeSet<String>,
    /// Whether a `*` stands for all columns of something.
    pub has_wildcard: bool,
}

impl Words {
    /// Adds the names of another statement.
    pub(super) fn join(&mut self, other: &Self) {
        self.named.extend(other.named.iter().cloned());
        self.whole.extend(other.whole.iter().cloned());
        self.has_wildcard |= other.has_wildcard;
    }
}

/// Prepares a statement; `is_table` says what the tables are called.
///
/// # Errors
/// `Config` for a text that is not one statement that reads.
pub(super) fn prepare(
    text: &str,
    is_table: &dyn Fn(&str) -> bool,
    functions: &Functions,
    now: EpochMillis,
) -> Result<Prepared> {
    let mut statements = parse(text)?;
    let (Some(mut statement), None) = (statements.pop(), statements.pop()) else {
        return Err(Error::config("expected one SQL statement"));
    };
    check(&statement)?;
    let mut rewriter = Rewriter::new(is_table, functions, now);
    if let ControlFlow::Break(message) = statement.visit(&mut rewriter) {
        return Err(Error::config(format!("cannot run the query: {message}")));
    }
    let (relations, names, mut words) = rewriter.into_parts();
    let sql = statement.to_string();
    for token in tokens(&sql)? {
        if let Token::Word(word) = token {
            words.named.insert(word.value);
        }
    }
    Ok(Prepared { sql, relations, names, words })
}

/// Takes a text apart at the semicolons between statements; empty statements are left out.
///
/// # Errors
/// `Config` for a text that ends within a literal or a comment.
pub fn split_statements(text: &str) -> Result<Vec<String>> {
    let mut all = vec![String::new()];
    for token in Tokenizer::new(&GenericDialect, text).tokenize().map_err(unreadable)? {
        match token {
            Token::SemiColon => all.push(String::new()),
            token => all.last_mut().into_iter().for_each(|last| *last += &token.to_string()),
        }
    }
    all.retain(|one| !one.trim().is_empty() && !is_comment(one));
    Ok(all.into_iter().map(|one| one.trim().to_owned()).collect())
}

fn is_comment(text: &str) -> bool {
    let is_space = |token: &Token| matches!(token, Token::Whitespace(_));
    Tokenizer::new(&GenericDialect, text).tokenize().is_ok_and(|all| all.iter().all(is_space))
}

fn unreadable(err: impl std::fmt::Display) -> Error {
    let text = err.to_string();
    let text = text.strip_prefix("sql parser error: ").unwrap_or(&text);
    Error::config(format!("cannot read the SQL: {}", crate::text::clean(text)))
}

/// Returns the tokens of a text, names in lower case.
fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Tokenizer::new(&GenericDialect, text).tokenize().map_err(unreadable)?;
    for token in &mut tokens {
        if let Token::Word(word) = token {
            word.value = word.value.to_lowercase();
            // As in Athena's DDL; in its queries, double quotes.
            if word.quote_style == Some('`') {
                word.quote_style = Some('"');
            }
        }
    }
    Ok(tokens)
}

fn parse(text: &str) -> Result<Vec<Statement>> {
    let tokens = literals_of_addresses(tokens(text)?);
    let options = ParserOptions { trailing_commas: true, ..ParserOptions::default() };
    let parser = Parser::new(&GenericDialect).with_options(options);
    parser.with_tokens(tokens).parse_statements().map_err(unreadable)
}

/// Writes `IPADDRESS '10.0.0.1'`, which is no literal to the parser, as a call.
fn literals_of_addresses(tokens: Vec<Token>) -> Vec<Token> {
    let is_type =
        |token: &Token| matches!(token, Token::Word(Word { value, .. }) if value == "ipaddress");
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let before = out.iter().rposition(|token| !matches!(token, Token::Whitespace(_)));
        let is_literal = matches!(token, Token::SingleQuotedString(_))
            && before.is_some_and(|before| is_type(&out[before]));
        if is_literal {
            out.extend([Token::LParen, token, Token::RParen]);
        } else {
            out.push(token);
        }
    }
    out
}

/// Refuses what does not only read.
fn check(statement: &Statement) -> Result<()> {
    let refused = |what: &str| {
        let message =
            format!("{what} is not supported: a lake is only read; expected SELECT or WITH");
        Err(Error::config(message))
    };
    match statement {
        Statement::Query(query) => match &*query.body {
            SetExpr::Insert(_) => refused("INSERT"),
            SetExpr::Update(_) => refused("UPDATE"),
            SetExpr::Delete(_) => refused("DELETE"),
            _ => Ok(()),
        },
        other => {
            let text = other.to_string();
            refused(text.split_whitespace().next().unwrap_or("this statement"))
        }
    }
}

#[cfg(test)]
mod tests;
