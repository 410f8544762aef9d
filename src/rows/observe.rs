//! What a tree's values say about the schema.

use crate::parse::ScalarKind;
use crate::rows::node::NONE;
use crate::rows::table_rows::{TableRows, Values};
use crate::rows::text::Texts;
use crate::rows::tree::Tree;
use crate::schema::{Observed, ObservedField, is_token};

impl TableRows {
    /// Returns what was seen in each nested column, by the column's name.
    pub fn observe_nested(&self, texts: &Texts) -> impl Iterator<Item = (&'static str, Observed)> {
        self.specs.iter().zip(&self.values).filter_map(|(spec, values)| match values {
            Values::Nested(tree) => Some((spec.name, tree.observed(texts))),
            _ => None,
        })
    }
}

impl Tree {
    /// Returns what was seen below the column, for the schema merge.
    pub fn observed(&self, texts: &Texts) -> Observed {
        self.observe(0, texts)
    }

    fn observe(&self, node: u32, texts: &Texts) -> Observed {
        let node = &self.nodes[node as usize];
        let mut seen = Observed {
            object: !node.objects.is_empty(),
            list: !node.lists.is_empty(),
            opaque: node.opaque.map(std::borrow::Cow::Borrowed),
            ..Observed::default()
        };
        for scalar in &node.scalars {
            match scalar.kind {
                ScalarKind::Null => {}
                ScalarKind::Bool => seen.boolean = true,
                ScalarKind::String if seen.string => {}
                ScalarKind::String => match is_token(texts.get(scalar.text)) {
                    true => seen.token = true,
                    false => seen.string = true,
                },
                ScalarKind::Integer | ScalarKind::Float if seen.integer && seen.float => {}
                ScalarKind::Integer | ScalarKind::Float => {
                    let is_integer = as_bigint(texts.get(scalar.text)).is_some();
                    seen.integer |= is_integer;
                    seen.float |= !is_integer;
                }
            }
        }
        for (at, child) in node.children.iter().enumerate() {
            let value = self.observe(*child, texts);
            if value == Observed::default() {
                continue;
            }
            let mut spellings: Vec<String> = node
                .keys
                .iter()
                .filter(|(_, to)| **to as usize == at)
                .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
                .collect();
            spellings.sort();
            let name = self.nodes[*child as usize].name.to_string();
            seen.fields.push(ObservedField { name, spellings, value });
        }
        seen.fields.sort_by(|a, b| a.name.cmp(&b.name));
        if node.element != NONE {
            let element = self.observe(node.element, texts);
            seen.element = (element != Observed::default()).then(|| Box::new(element));
        }
        seen
    }
}

/// Reads a number's text as a 64-bit integer; `243.0` is one too.
pub(crate) fn as_bigint(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    // By the digits and not by way of a double, which rounds.
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::Parser;
    use crate::rows::tree::FieldText;
    use crate::schema::{Kind, MAX_KEYS};

    fn observe(records: &str) -> Observed {
        let mut tree = Tree::default();
        let mut texts = Texts::default();
        let field = FieldText { start: 0, kept: texts.keep(records.as_bytes()) };
        Parser::default()
            .parse(records.as_bytes(), 0..records.len(), |mut cursor, count| {
                for row in 0..count {
                    tree.shred(&mut cursor, &mut texts, field, row as u32);
                    cursor.end_entry();
                }
            })
            .unwrap();
        tree.observed(&texts)
    }

    fn hive(records: &str) -> String {
        observe(records).resolve().map_or("nothing".to_owned(), |kind| kind.hive_type())
    }

    #[test]
    fn the_oddities_of_real_data_get_a_kind() {
        for (records, want) in [
            (r#"{"bytesOut":0.0},{"bytesOut":931}"#, "struct<bytesout:bigint>"),
            (r#"{"x":0.5},{"x":1}"#, "struct<x:double>"),
            (r#"{"maxResults":5},{"maxResults":"5"}"#, "struct<maxresults:string>"),
            (r#"{"policy":"{}"},{"policy":[]},{"policy":{"a":1}}"#, "struct<policy:string>"),
            (r#"{"Tagging":{"a":"b"},"tagging":""}"#, "struct<tagging:struct<a:string>>"),
            (r#"{"x-amz-acl":["private"]}"#, "struct<x_amz_acl:array<string>>"),
            (r#"{"a":{}},{"b":[]},{"c":null}"#, "nothing"),
            (
                r#"{"s":[{"i":[{"k":true}]},{}]}"#,
                "struct<s:array<struct<i:array<struct<k:boolean>>>>>",
            ),
            (r#"{"n":18446744073709551616}"#, "struct<n:double>"),
            (r#"{"tags":{"arn:aws:s3:::b":"x"}}"#, "struct<tags:string>"),
            (r#"{"tags":{"team":"x"}},{"tags":{"env":"y"}}"#, "struct<tags:string>"),
            (r#"{"condition":{"aws:SourceIp":"x"}}"#, "struct<condition:string>"),
            (
                r#"{"t":"lJz0bQ2y7Vt5Rk9nWxP3cMfH8dTgUa1e","n":1},{"t":"eY7sKqB4iO6hE9vNwXr2ZuC5jL0pF3mD"}"#,
                "struct<n:bigint>",
            ),
            (r#"{"t":"lJz0bQ2y7Vt5Rk9nWxP3cMfH8dTgUa1e"},{"t":"plain"}"#, "struct<t:string>"),
            (r#"{"grantee":{"xsi:type":"x"}}"#, "struct<grantee:struct<xsi_type:string>>"),
        ] {
            assert_eq!(hive(records), want, "{records}");
        }
    }

    #[test]
    fn an_object_with_very_many_keys_is_taken_for_a_map() {
        let keys: Vec<_> = (0..=MAX_KEYS).map(|i| format!(r#""key{i}":1"#)).collect();
        let seen = observe(&format!(r#"{{"m":{{{}}}}}"#, keys.join(",")));
        let field = seen.fields[0].resolve().unwrap();
        assert_eq!(field.kind, Kind::Text);
        assert_eq!(field.why.as_deref(), Some("more than 200 different keys"));
    }

    #[test]
    fn spellings_that_share_a_column_are_kept() {
        let seen = observe(r#"{"cIDRIP":"a"},{"cidrIp":"b"}"#);
        assert_eq!(seen.fields[0].name, "cidrip");
        assert_eq!(seen.fields[0].spellings, ["cIDRIP", "cidrIp"]);
    }
}
