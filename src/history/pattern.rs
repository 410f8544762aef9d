//! Globs.

use crate::error::{Error, Result};
use std::str::FromStr;
use wildmatch::WildMatch;

/// A glob: `*` stands for any characters, `?` for one. Case is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// In lower case.
    glob: WildMatch,
    /// The longest part without `*` and `?`, in lower case.
    literal: String,
    /// What stands before the first `*` or `?`, in lower case.
    beginning: String,
    /// Whether there is nothing else.
    is_literal: bool,
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::config("invalid pattern: expected a value or a glob, not nothing"));
        }
        let text = text.to_lowercase();
        let literal = text.split(['*', '?']).max_by_key(|part| part.len()).unwrap_or_default();
        let beginning = text.split(['*', '?']).next().unwrap_or_default();
        Ok(Self {
            beginning: beginning.to_owned(),
            glob: WildMatch::new(&text),
            literal: literal.to_owned(),
            is_literal: literal.len() == text.len(),
        })
    }
}

impl Pattern {
    /// Returns whether a value matches. Nothing matches an absent value, `*` least of all.
    pub fn matches(&self, value: &str) -> bool {
        if self.is_literal && value.is_ascii() {
            return value.eq_ignore_ascii_case(&self.literal);
        }
        !value.is_empty() && self.glob.matches(&value.to_lowercase())
    }

    /// Returns whether a value may match that begins with a text, whose last character is an ASCII one: the
    /// lower case of others can depend on what follows.
    pub(super) fn may_begin_with(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.beginning.starts_with(&text) || (!self.is_literal && text.starts_with(&self.beginning))
    }

    /// Returns whether a string that matches may be in a JSON text: it is not where the text has no escapes
    /// and lacks what every match has.
    pub(super) fn may_be_in_json(&self, text: &str) -> bool {
        if text.is_empty() {
            return false;
        }
        // The lower case of some other letters is an ASCII one.
        if !text.is_ascii() || text.contains('\\') {
            return true;
        }
        let literal = self.literal.as_bytes();
        let Some(first) = literal.first() else { return true };
        let mut windows = text.as_bytes().windows(literal.len());
        windows.any(|part| {
            part.first().is_some_and(|it| it.eq_ignore_ascii_case(first))
                && part.eq_ignore_ascii_case(literal)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn globs_ignore_case_and_never_match_an_absent_value() {
        let glob = pattern("Get*Identity");
        assert!(glob.matches("GetCallerIdentity") && glob.matches("getcalleridentity"));
        assert!(!glob.matches("GetCallerIdentityX"));
        assert!(!pattern("*").matches(""));
        assert!("".parse::<Pattern>().is_err());
    }

    #[test]
    fn values_without_a_wildcard_ignore_case_too() {
        assert!(pattern("GetObject").matches("getOBJECT") && !pattern("GetObject").matches("Get"));
        assert!(
            pattern("J\u{fc}rgen").matches("J\u{dc}RGEN")
                && !pattern("Jurgen").matches("J\u{fc}rgen")
        );
        assert!(pattern("k").matches("\u{212a}"), "the sign of Kelvin");
    }

    #[test]
    fn a_value_is_ruled_out_by_its_beginning_where_no_such_value_can_match() {
        for glob in ["Ledger/2024/*", "LED*", "*", "?edger/a", "ledger/a"] {
            assert!(pattern(glob).may_begin_with("ledger/"), "{glob}");
        }
        for glob in ["ledgers/*", "ledger", "edger/*", "l/*"] {
            assert!(!pattern(glob).may_begin_with("ledger/"), "{glob}");
        }
    }

    #[test]
    fn a_text_is_ruled_out_only_where_no_string_in_it_can_match() {
        let text = r#"{"bucketName":"Ledger","key":"2024/a.csv"}"#;
        for glob in ["ledger", "LED*", "*", "?", "2024/?.csv", "*a.csv"] {
            assert!(pattern(glob).may_be_in_json(text), "{glob}");
        }
        for glob in ["ledgers", "*b.csv", "ledger/2024/*"] {
            assert!(!pattern(glob).may_be_in_json(text), "{glob}");
        }
        assert!(pattern("a/b").may_be_in_json(r#"{"key":"a\/b"}"#), "an escape");
        assert!(pattern("mark").may_be_in_json("{\"key\":\"mar\u{212a}\"}"));
        assert!(!pattern("*").may_be_in_json(""));
    }
}
