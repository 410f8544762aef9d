//! What changed between two locks, and a lock as a tree that a person reads.

use crate::family::Form;
use crate::schema::kind::{Field, Kind};
use crate::schema::lock::Lock;
use serde::Serialize;
use std::fmt::Write;

/// One difference between two locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The field is only in the second lock.
    Added {
        /// Table, column and members, joined by dots; `[]` for the elements of a list.
        path: String,
        /// Its Hive type.
        hive_type: String,
    },
    /// The field is only in the first lock.
    Removed {
        /// See [`Change::Added`].
        path: String,
        /// Its Hive type.
        hive_type: String,
    },
    /// The field has another kind.
    Retyped {
        /// See [`Change::Added`].
        path: String,
        /// The Hive type in the first lock.
        from: String,
        /// The Hive type in the second lock.
        to: String,
    },
}

/// Returns what `new` adds, removes or retypes against `old`.
pub fn changes(old: &Lock, new: &Lock) -> Vec<Change> {
    let mut out = Vec::new();
    for (family, columns) in &new.tables {
        let empty = Vec::new();
        let before = old.tables.get(family).unwrap_or(&empty);
        compare_fields(&family.table_of(Form::Typed, "cloudtrail"), before, columns, &mut out);
    }
    out
}

fn compare_fields(path: &str, old: &[Field], new: &[Field], out: &mut Vec<Change>) {
    for field in new {
        let path = format!("{path}.{}", field.name);
        match old.iter().find(|before| before.name == field.name) {
            Some(before) => compare(&path, &before.kind, &field.kind, out),
            None if field.kind.is_omitted() => {}
            None => out.push(Change::Added { path, hive_type: field.kind.hive_type() }),
        }
    }
    let is_gone = |field: &&Field| {
        !field.kind.is_omitted() && new.iter().all(|after| after.name != field.name)
    };
    for field in old.iter().filter(is_gone) {
        let path = format!("{path}.{}", field.name);
        out.push(Change::Removed { path, hive_type: field.kind.hive_type() });
    }
}

fn compare(path: &str, old: &Kind, new: &Kind, out: &mut Vec<Change>) {
    match (old, new) {
        (Kind::Struct(old), Kind::Struct(new)) => compare_fields(path, old, new, out),
        (Kind::List(old), Kind::List(new)) => compare(&format!("{path}[]"), old, new, out),
        (old, new) if old == new => {}
        (old, new) => out.push(Change::Retyped {
            path: path.to_owned(),
            from: old.hive_type(),
            to: new.hive_type(),
        }),
    }
}

/// Renders a lock as an indented tree.
pub fn render(lock: &Lock) -> String {
    let mut out = format!("schema version {}\n", lock.version);
    for (family, columns) in &lock.tables {
        let leaves: usize = columns.iter().map(|c| c.kind.leaves()).sum();
        let _ = writeln!(
            out,
            "\n{}  ({leaves} nested leaves)",
            family.table_of(Form::Typed, "cloudtrail")
        );
        render_fields(columns, 1, &mut out);
    }
    if !lock.left_out.is_empty() {
        out.push_str("\nleft out (the values are in the text columns)\n");
        for (path, why) in &lock.left_out {
            let _ = writeln!(out, "  {path}: {why}");
        }
    }
    out
}

fn render_fields(fields: &[Field], depth: usize, out: &mut String) {
    for field in fields {
        let mut lists = 0;
        let mut kind = &field.kind;
        while let Kind::List(element) = kind {
            lists += 1;
            kind = element;
        }
        let word = match kind {
            Kind::Boolean => "boolean",
            Kind::Bigint => "bigint",
            Kind::Double => "double",
            Kind::String => "string",
            Kind::Text => "text",
            Kind::Map => "map",
            Kind::Omitted => "text only",
            Kind::Struct(_) | Kind::List(_) => "struct",
        };
        let _ =
            write!(out, "{}{}: {}{word}", "  ".repeat(depth), field.name, "list of ".repeat(lists));
        if !field.spellings.is_empty() {
            let spellings: Vec<_> =
                field.spellings.iter().map(|s| s.escape_debug().to_string()).collect();
            let _ = write!(out, "  (spelled {})", spellings.join(", "));
        }
        if let Some(why) = &field.why {
            let _ = write!(out, "  [{why}]");
        }
        out.push('\n');
        if let Kind::Struct(members) = kind {
            render_fields(members, depth + 1, out);
        }
    }
}
