//! The schema lock: the nested columns of a lake, which only ever grow at the end.
//!
//! A locked field never changes its kind or its place; new fields go to the end of their struct, at
//! every level, because readers refuse anything else on old partitions (docs/aws-facts.md A11). What does not
//! fit a budget is left out and listed with the reason.

use crate::error::{Error, ErrorKind, Result};
use crate::family::{FAMILIES, Family, Form};
use crate::schema::documented::nested_columns;
use crate::schema::kind::{Field, Kind, Observed, ObservedField};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest Hive type of a nested column. Glue allows 131,072 characters; the rest is reserve.
pub const MAX_TYPE_CHARS: usize = 125_000;

/// The most scalar leaves of a nested column: each costs every file that has a value for it.
pub const MAX_LEAVES: usize = 3_000;

/// The most members of a struct below a nested column: more are a map whose keys are data.
pub const MAX_KEYS: usize = 200;

/// The most left-out paths that are listed by name.
const MAX_LISTED: usize = 500;

/// The schema of a lake's nested columns, in one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Grows by one with every commit that added a field.
    pub version: u32,
    /// The nested columns of each family's table.
    pub tables: BTreeMap<Family, Vec<Field>>,
    /// Paths that are text-only because of a budget, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, String>,
}

impl Lock {
    /// Returns the lock a new lake starts from: fields of common services, kept in `schemas/`.
    ///
    /// # Errors
    /// `Bug` when a file in `schemas/` is damaged; a test reads them all.
    pub fn seed() -> Result<Self> {
        let mut lock = Self::empty();
        for spec in &FAMILIES {
            let columns: Vec<Field> = serde_json::from_str(spec.seed)
                .map_err(|err| Error::new(ErrorKind::Bug, "schema seed is damaged").because(err))?;
            lock.tables.insert(spec.family, columns);
        }
        Ok(lock)
    }

    /// Returns a lock in which every nested column is still without fields.
    pub fn empty() -> Self {
        let tables = Family::ALL
            .into_iter()
            .map(|family| {
                let columns = nested_columns(family)
                    .into_iter()
                    .map(|(_, name)| Field::new(name, Kind::Struct(Vec::new())))
                    .collect();
                (family, columns)
            })
            .collect();
        Self { version: 1, tables, left_out: BTreeMap::new() }
    }

    /// Returns the nested column of this name.
    pub fn column(&self, family: Family, name: &str) -> Option<&Field> {
        self.tables.get(&family)?.iter().find(|column| column.name == name)
    }

    /// Merges what a unit observed in one nested column; returns the paths that were added.
    pub fn merge(&mut self, family: Family, name: &str, observed: &Observed) -> Vec<String> {
        // A lake that was begun before the program knew the family learns it from the seed.
        if !self.tables.contains_key(&family)
            && let Some(columns) = Self::seed().ok().and_then(|mut s| s.tables.remove(&family))
        {
            self.tables.insert(family, columns);
        }
        let Some(column) =
            self.tables.get_mut(&family).and_then(|t| t.iter_mut().find(|c| c.name == name))
        else {
            return Vec::new();
        };
        let mut merge = Merge {
            chars_left: MAX_TYPE_CHARS.saturating_sub(column.kind.hive_len()),
            leaves_left: MAX_LEAVES.saturating_sub(column.kind.leaves()),
            added: Vec::new(),
            left_out: &mut self.left_out,
            path: format!("{}.{name}", family.table_of(Form::Typed, "cloudtrail")),
            depth: 0,
        };
        if let Kind::Struct(fields) = &mut column.kind {
            merge.fields(fields, &observed.fields);
        }
        merge.added
    }

    /// Returns whether it has something that `other` lacks, whatever their versions.
    pub fn is_more_than(&self, other: &Self) -> bool {
        self.tables != other.tables || self.left_out != other.left_out
    }

    /// Returns the part of what was observed in a nested column that the lock has no place for, and
    /// could have one: merged later, it adds what merging all of it would.
    pub fn news(&self, family: Family, name: &str, observed: &Observed) -> Option<Observed> {
        let mut path = format!("{}.{name}", family.table_of(Form::Typed, "cloudtrail"));
        self.beyond(&self.column(family, name)?.kind, observed, &mut path)
    }

    fn beyond(&self, locked: &Kind, seen: &Observed, path: &mut String) -> Option<Observed> {
        match locked {
            Kind::Struct(fields) if seen.object && seen.opaque.is_none() => {
                let news = |field: &ObservedField| self.field_beyond(fields, field, path);
                let fields: Vec<_> = seen.fields.iter().filter_map(news).collect();
                let is_any = !fields.is_empty();
                is_any.then(|| Observed { object: true, fields, ..Observed::default() })
            }
            Kind::List(element) => {
                let length = path.len();
                path.push_str("[]");
                let found = self.beyond(element, seen.element.as_deref()?, path);
                path.truncate(length);
                found.map(|element| Observed {
                    list: true,
                    element: Some(Box::new(element)),
                    ..Observed::default()
                })
            }
            _ => None,
        }
    }

    fn field_beyond(
        &self,
        locked: &[Field],
        seen: &ObservedField,
        path: &mut String,
    ) -> Option<ObservedField> {
        let length = path.len();
        path.push('.');
        path.push_str(&seen.name);
        let found = match locked.iter().find(|mine| mine.name == seen.name) {
            Some(mine) => {
                let is_known = |s: &&String| **s == mine.name || mine.spellings.contains(s);
                let value = self.beyond(&mine.kind, &seen.value, path);
                let is_news = value.is_some() || !seen.spellings.iter().all(|s| is_known(&s));
                is_news.then(|| ObservedField {
                    name: seen.name.clone(),
                    spellings: seen.spellings.clone(),
                    value: value.unwrap_or_default(),
                })
            }
            None if self.left_out.contains_key(path) => None,
            None => seen.value.resolve().map(|_| seen.clone()),
        };
        path.truncate(length);
        found
    }
}

struct Merge<'a> {
    chars_left: usize,
    leaves_left: usize,
    added: Vec<String>,
    left_out: &'a mut BTreeMap<String, String>,
    path: String,
    /// Structs and lists above the fields that are merged.
    depth: usize,
}

impl Merge<'_> {
    /// Adds what `seen` has and `locked` lacks; `seen` is sorted by name, so the order of new
    /// fields does not depend on the order of records.
    fn fields(&mut self, locked: &mut Vec<Field>, seen: &[ObservedField]) {
        for field in seen {
            let depth = self.path.len();
            self.path.push('.');
            self.path.push_str(&field.name);
            match locked.iter_mut().find(|mine| mine.name == field.name) {
                Some(mine) => {
                    for spelling in &field.spellings {
                        if *spelling != mine.name && !mine.spellings.contains(spelling) {
                            mine.spellings.push(spelling.clone());
                            mine.spellings.sort();
                        }
                    }
                    self.kind(&mut mine.kind, &field.value);
                }
                None => self.add(locked, field),
            }
            self.path.truncate(depth);
        }
    }

    fn kind(&mut self, locked: &mut Kind, seen: &Observed) {
        match locked {
            Kind::Struct(fields) if seen.object && seen.opaque.is_none() => {
                self.depth += 1;
                self.fields(fields, &seen.fields);
                self.depth -= 1;
            }
            Kind::List(element) => {
                if let Some(seen) = &seen.element {
                    self.path.push_str("[]");
                    self.kind(element, seen);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, locked: &mut Vec<Field>, seen: &ObservedField) {
        let Some(field) = seen.resolve() else { return };
        let chars = field.name.len() + 2 + field.kind.hive_len();
        let leaves = field.kind.leaves();
        let is_full = self.depth > 0 && locked.len() >= MAX_KEYS;
        if is_full || chars > self.chars_left || leaves > self.leaves_left {
            if self.left_out.len() < MAX_LISTED {
                let why = if is_full {
                    format!("its object has {MAX_KEYS} members already")
                } else if chars > self.chars_left {
                    format!("the column's type would exceed {MAX_TYPE_CHARS} characters")
                } else {
                    format!("the column would exceed {MAX_LEAVES} leaves")
                };
                self.left_out.entry(self.path.clone()).or_insert(why);
            }
            return;
        }
        self.chars_left -= chars;
        self.leaves_left -= leaves;
        if !field.kind.is_omitted() {
            self.added.push(self.path.clone());
        }
        locked.push(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(name: &str) -> ObservedField {
        let value = Observed { string: true, ..Default::default() };
        ObservedField { name: name.into(), spellings: vec![name.into()], value }
    }

    fn object(name: &str, fields: Vec<ObservedField>) -> ObservedField {
        let value = Observed { object: true, fields, ..Default::default() };
        ObservedField { name: name.into(), spellings: vec![name.into()], value }
    }

    fn root(fields: Vec<ObservedField>) -> Observed {
        object("root", fields).value
    }

    fn hive(lock: &Lock) -> String {
        lock.column(Family::Events, "request").unwrap().kind.hive_type()
    }

    #[test]
    fn new_fields_go_to_the_end_at_every_level() {
        let mut lock = Lock::empty();
        lock.merge(
            Family::Events,
            "request",
            &root(vec![object("m", vec![string("b")]), string("z")]),
        );
        let added = lock.merge(
            Family::Events,
            "request",
            &root(vec![string("a"), object("m", vec![string("a"), string("b")])]),
        );
        assert_eq!(hive(&lock), "struct<m:struct<b:string,a:string>,z:string,a:string>");
        assert_eq!(added, ["cloudtrail_typed.request.a", "cloudtrail_typed.request.m.a"]);
    }

    #[test]
    fn a_locked_kind_never_changes() {
        let mut lock = Lock::empty();
        lock.merge(Family::Events, "request", &root(vec![string("policy")]));
        let added =
            lock.merge(Family::Events, "request", &root(vec![object("policy", vec![string("x")])]));
        assert!(added.is_empty());
        assert_eq!(hive(&lock), "struct<policy:string>");
    }

    #[test]
    fn news_add_to_a_lock_what_all_of_it_would() {
        let mut lock = Lock::empty();
        let first = root(vec![object("m", vec![string("b")]), string("z")]);
        lock.merge(Family::Events, "request", &first);
        assert_eq!(lock.news(Family::Events, "request", &first), None);
        let mut spelled = string("z");
        spelled.spellings = vec!["Z".into()];
        let list = Observed {
            list: true,
            element: Some(Box::new(root(vec![string("x")]))),
            ..Default::default()
        };
        let list = ObservedField { name: "l".into(), spellings: vec!["l".into()], value: list };
        let later = root(vec![list, object("m", vec![string("a"), string("b")]), spelled]);

        let news = lock.news(Family::Events, "request", &later).unwrap();

        assert_eq!(news.fields[1].value.fields.len(), 1, "what is locked is no news");
        let text = serde_json::to_string(&news).unwrap();
        assert_eq!(serde_json::from_str::<Observed>(&text).unwrap(), news);
        let mut whole = lock.clone();
        whole.merge(Family::Events, "request", &later);
        lock.merge(Family::Events, "request", &news);
        assert_eq!(lock, whole);
    }

    #[test]
    fn what_exceeds_the_width_budget_is_left_out_with_the_reason() {
        let mut lock = Lock::empty();
        let fields: Vec<_> = (0..MAX_LEAVES + 10).map(|i| string(&format!("f{i:05}"))).collect();
        let added = lock.merge(Family::Events, "request", &root(fields));
        assert_eq!(added.len(), MAX_LEAVES);
        assert_eq!(lock.left_out.len(), 10);
        let wide: Vec<_> = (0..2000).map(|i| string(&format!("{i:0100}"))).collect();
        lock.merge(Family::Events, "response", &root(wide));
        let column = lock.column(Family::Events, "response").unwrap();
        assert!(column.kind.hive_type().len() <= MAX_TYPE_CHARS);
    }

    #[test]
    fn a_lock_from_before_a_family_learns_it_from_the_seed() {
        let mut lock = Lock::seed().unwrap();
        let seeded = lock.tables.remove(&Family::Insight).unwrap();

        let added = lock.merge(Family::Insight, "insight", &root(vec![string("brand_new")]));

        assert_eq!(added.len(), 1);
        let column = lock.column(Family::Insight, "insight").unwrap();
        assert!(column.kind.leaves() > seeded[0].kind.leaves());
    }

    #[test]
    fn seeds_are_readable_and_name_every_nested_column() {
        let seed = Lock::seed().unwrap();
        for family in Family::ALL {
            let names: Vec<_> = seed.tables[&family].iter().map(|f| f.name.as_str()).collect();
            let wanted: Vec<_> = nested_columns(family).into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, wanted);
        }
    }
}
