//! Hive type strings: the one grammar that Glue, Athena, Hive and Spark agree on.
//!
//! A type string has no quoting, so a name with `:`, `,`, `>` or `-` in it cannot be written at all;
//! this parser therefore accepts exactly what this crate writes (lower case, `[a-z0-9_]` names, no
//! blanks) and names the byte where anything else begins. It recurses at most [`MAX_TYPE_DEPTH`]
//! levels. [`HiveType::is_additive`] is the rule by which tables may grow: readers check a
//! partition's type against the table's field by field, by position, so that a struct may only get
//! new fields at its end, at every level.

use std::collections::HashSet;
use std::fmt;

use super::Column;
use crate::error::{Error, ErrorKind, Result};

/// How deep a type may nest. CloudTrail's deepest documented struct has 4 levels.
pub const MAX_TYPE_DEPTH: usize = 64;

const PLAIN: [&str; 12] = [
    "string",
    "boolean",
    "bigint",
    "double",
    "timestamp",
    "int",
    "date",
    "binary",
    "float",
    "smallint",
    "tinyint",
    "decimal",
];

/// A type of the Hive grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HiveType {
    /// A scalar, as written: `string`, `decimal(10,2)`.
    Primitive(String),
    /// `array<element>`.
    Array(Box<HiveType>),
    /// `map<key,value>`; the key is a scalar.
    Map(Box<HiveType>, Box<HiveType>),
    /// `struct<name:type,…>`; never empty, no name twice.
    Struct(Vec<StructField>),
}

/// A member of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructField {
    /// The member's name, of `[a-z0-9_]`.
    pub name: String,
    /// The member's type.
    pub hive_type: HiveType,
}

impl HiveType {
    /// Parses a type string.
    ///
    /// # Errors
    /// `Config`, with the byte where the string stops being a type this crate writes.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text, at: 0 };
        let parsed = parser.hive_type(0)?;
        if parser.at < text.len() {
            return Err(parser.error("unexpected text after the type"));
        }
        Ok(parsed)
    }

    /// Returns whether a reader that knows `new` can read data and partitions registered as `self`.
    ///
    /// Scalars must be the same; a struct may only have more fields at its end; both at every level.
    pub fn is_additive(&self, new: &Self) -> bool {
        match (self, new) {
            (Self::Primitive(old), Self::Primitive(new)) => old == new,
            (Self::Array(old), Self::Array(new)) => old.is_additive(new),
            (Self::Map(old_key, old), Self::Map(new_key, new)) => {
                old_key == new_key && old.is_additive(new)
            }
            (Self::Struct(old), Self::Struct(new)) => {
                old.len() <= new.len()
                    && old
                        .iter()
                        .zip(new)
                        .all(|(o, n)| o.name == n.name && o.hive_type.is_additive(&n.hive_type))
            }
            _ => false,
        }
    }

    /// Returns the struct members one level down, through arrays and map values; else none.
    pub fn members(&self) -> &[StructField] {
        match self {
            Self::Primitive(_) => &[],
            Self::Array(inner) | Self::Map(_, inner) => inner.members(),
            Self::Struct(fields) => fields,
        }
    }
}

/// Returns whether `new` columns only append to `old`: same names, order and types up to growth at
/// the end of structs. A type that does not parse must be the same text.
pub fn is_additive(old: &[Column], new: &[Column]) -> bool {
    old.len() <= new.len()
        && old
            .iter()
            .zip(new)
            .all(|(o, n)| o.name == n.name && type_change_is_additive(&o.hive_type, &n.hive_type))
}

pub(super) fn type_change_is_additive(old: &str, new: &str) -> bool {
    old == new
        || match (HiveType::parse(old), HiveType::parse(new)) {
            (Ok(old), Ok(new)) => old.is_additive(&new),
            _ => false,
        }
}

impl fmt::Display for HiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primitive(name) => f.write_str(name),
            Self::Array(element) => write!(f, "array<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", field.name, field.hive_type)?;
                }
                f.write_str(">")
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn hive_type(&mut self, depth: usize) -> Result<HiveType> {
        if depth > MAX_TYPE_DEPTH {
            return Err(self.error(format!("the type nests deeper than {MAX_TYPE_DEPTH} levels")));
        }
        let start = self.at;
        match self.word() {
            "array" => {
                self.byte(b'<')?;
                let element = self.hive_type(depth + 1)?;
                self.byte(b'>')?;
                Ok(HiveType::Array(Box::new(element)))
            }
            "map" => self.map(depth),
            "struct" => self.structure(depth),
            "decimal" if self.peek() == Some(b'(') => self.decimal(start),
            word @ ("char" | "varchar") => {
                self.byte(b'(')?;
                self.number(1, if word == "char" { 255 } else { 65_535 })?;
                self.byte(b')')?;
                Ok(self.primitive(start))
            }
            word if PLAIN.contains(&word) => Ok(self.primitive(start)),
            _ => {
                self.at = start;
                Err(self.error("unknown type"))
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<HiveType> {
        self.byte(b'<')?;
        let start = self.at;
        let key = self.hive_type(depth + 1)?;
        if !matches!(key, HiveType::Primitive(_)) {
            self.at = start;
            return Err(self.error("a map's key must be a scalar"));
        }
        self.byte(b',')?;
        let value = self.hive_type(depth + 1)?;
        self.byte(b'>')?;
        Ok(HiveType::Map(Box::new(key), Box::new(value)))
    }

    fn structure(&mut self, depth: usize) -> Result<HiveType> {
        self.byte(b'<')?;
        let mut fields = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let start = self.at;
            let name = self.word();
            if name.is_empty() {
                return Err(self.error("expected a field name of a-z, 0-9 and `_`"));
            }
            if !seen.insert(name) {
                self.at = start;
                return Err(self.error("duplicate field name in a struct"));
            }
            self.byte(b':')?;
            let hive_type = self.hive_type(depth + 1)?;
            fields.push(StructField { name: name.to_owned(), hive_type });
            if self.peek() != Some(b',') {
                self.byte(b'>')?;
                return Ok(HiveType::Struct(fields));
            }
            self.at += 1;
        }
    }

    fn decimal(&mut self, start: usize) -> Result<HiveType> {
        self.byte(b'(')?;
        let precision = self.number(1, 38)?;
        if self.peek() == Some(b',') {
            self.at += 1;
            self.number(0, precision)?;
        }
        self.byte(b')')?;
        Ok(self.primitive(start))
    }

    fn number(&mut self, least: u32, most: u32) -> Result<u32> {
        let start = self.at;
        match self.word().parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => {
                self.at = start;
                Err(self.error(format!("expected a number from {least} to {most}")))
            }
        }
    }

    fn primitive(&self, start: usize) -> HiveType {
        HiveType::Primitive(self.text.get(start..self.at).unwrap_or_default().to_owned())
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'0'..=b'9' | b'_')) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn byte(&mut self, wanted: u8) -> Result<()> {
        if self.peek() != Some(wanted) {
            return Err(self.error(format!("expected `{}`", char::from(wanted))));
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error(&self, why: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Config, format!("cannot parse a Hive type: {why}"))
            .at_byte(self.at as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::{HiveType, MAX_TYPE_DEPTH, is_additive};
    use crate::catalog::Column;

    fn error_of(text: &str) -> String {
        HiveType::parse(text).expect_err("the text is no type").to_string()
    }

    #[test]
    fn what_is_parsed_prints_as_it_was_written() {
        for text in [
            "string",
            "decimal",
            "decimal(38,0)",
            "varchar(65535)",
            "array<struct<arn:string,accountid:string>>",
            "map<string,array<map<int,double>>>",
            "struct<_a:string,2fa:struct<map:boolean,array:array<bigint>>>",
        ] {
            assert_eq!(HiveType::parse(text).expect("a type").to_string(), text);
        }
    }

    #[test]
    fn what_engines_refuse_is_refused_at_its_byte() {
        for (text, byte, why) in [
            ("", 0, "unknown type"),
            ("text", 0, "unknown type"),
            ("STRING", 0, "unknown type"),
            ("struct<>", 7, "expected a field name"),
            ("struct<a-b:string>", 8, "expected `:`"),
            ("struct<a:string,a:int>", 16, "duplicate"),
            ("struct<A:string>", 7, "expected a field name"),
            ("struct<a:string", 15, "expected `>`"),
            ("struct<a:string,>", 16, "expected a field name"),
            ("struct<a: string>", 9, "unknown type"),
            ("struct<a:string>>", 16, "unexpected text"),
            ("array<string", 12, "expected `>`"),
            ("array<>", 6, "unknown type"),
            ("map<string>", 10, "expected `,`"),
            ("map<array<int>,int>", 4, "key must be a scalar"),
            ("decimal(39,2)", 8, "from 1 to 38"),
            ("decimal(5,6)", 10, "from 0 to 5"),
            ("char(256)", 5, "from 1 to 255"),
            ("varchar", 7, "expected `(`"),
            ("struct<é:string>", 7, "expected a field name"),
        ] {
            let message = error_of(text);
            assert!(message.contains(why), "{text}: {message}");
            assert!(message.ends_with(&format!("(byte {byte})")), "{text}: {message}");
        }
    }

    #[test]
    fn nesting_is_limited_before_the_stack_is() {
        let nested = |depth| format!("{}string{}", "array<".repeat(depth), ">".repeat(depth));

        assert!(HiveType::parse(&nested(MAX_TYPE_DEPTH)).is_ok());
        assert!(error_of(&nested(10_000)).contains("deeper than 64"));
        assert!(error_of(&"struct<a:".repeat(10_000)).contains("deeper than 64"));
    }

    #[test]
    fn a_type_grows_only_at_the_end_of_a_struct_at_every_level() {
        let old = "struct<a:string,b:array<struct<x:int>>,c:map<string,struct<y:int>>>";
        for (new, additive) in [
            (old, true),
            ("struct<a:string,b:array<struct<x:int>>,c:map<string,struct<y:int>>,d:int>", true),
            ("struct<a:string,b:array<struct<x:int,z:int>>,c:map<string,struct<y:int>>>", true),
            ("struct<a:string,b:array<struct<x:int>>,c:map<string,struct<y:int,z:int>>>", true),
            ("struct<d:int,a:string,b:array<struct<x:int>>,c:map<string,struct<y:int>>>", false),
            ("struct<a:string,b:array<struct<z:int,x:int>>,c:map<string,struct<y:int>>>", false),
            ("struct<a:string,b:array<struct<x:int>>,c:map<string,struct<z:int,y:int>>>", false),
            ("struct<a:string,b:array<struct<x:bigint>>,c:map<string,struct<y:int>>>", false),
            ("struct<a:string,b:array<struct<x:int>>,c:map<int,struct<y:int>>>", false),
            ("struct<a:string,b:array<struct<x:int>>>", false),
            ("string", false),
        ] {
            let (old, new) = (HiveType::parse(old).expect("old"), HiveType::parse(new).expect(new));
            assert_eq!(old.is_additive(&new), additive, "{new}");
        }
    }

    #[test]
    fn columns_are_only_appended() {
        let columns = |list: &[(&str, &str)]| -> Vec<Column> {
            list.iter().map(|(name, hive_type)| Column::new(*name, *hive_type)).collect()
        };
        let old = columns(&[("a", "string"), ("b", "struct<x:int>")]);

        assert!(is_additive(&old, &old));
        assert!(is_additive(
            &old,
            &columns(&[("a", "string"), ("b", "struct<x:int,y:int>"), ("c", "int")])
        ));
        assert!(!is_additive(&old, &columns(&[("a", "string")])));
        assert!(!is_additive(&old, &columns(&[("b", "struct<x:int>"), ("a", "string")])));
        assert!(!is_additive(&old, &columns(&[("a", "int"), ("b", "struct<x:int>")])));
    }
}
