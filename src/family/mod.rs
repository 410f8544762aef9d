//! The families of CloudTrail objects, and everything that tells one from another.
//!
//! A family has a folder in the layout of keys, two tables in the lake, their columns, and a way to know
//! its records without a key. All of it is one entry of [`FAMILIES`]: `keys`, `parse`,
//! `schema`, `rows` and, through them, the catalog take their facts from there.
//!
//! # To add a family
//!
//! 1. A variant of [`Family`], at the end: locks and plans name families, and tables come in this order.
//! 2. Its columns, a constant in `columns.rs`, of which [`Role::Extra`] is the last; and those of its
//!    typed table: which ones it shares, and what is inferred from a key's values ([`Role::Nested`]), whose
//!    text is a column.
//! 3. Its entry in [`FAMILIES`], with what its records are recognized by.
//! 4. Its seed, `schemas/<table>.json`: one field of kind `struct` for each inferred column, in their
//!    order, with the members that every lake is to know from the start, or none.
//! 5. The proof's own copies, which share nothing with this one on purpose: `verify/contract.rs`,
//!    `verify/expected.rs`, and `verify/exported.rs` for names in exports (`parse/exported.rs` here);
//!    `tests/readers/contract.py` and `source.py`.
//! 6. Objects of it in samples, so that every test meets some: `sample/layout.rs` has the folder,
//!    `sample/plan.rs` how many, `sample/families.rs` the records, `sample/mod.rs` calls them.
//! 7. `docs/columns.md` and the tests that list all tables: `tests/cloud/lakes.py`,
//!    `tests/cloud/test_glue.py`, `tests/readers/test_format.py`.
//!
//! The compiler refuses an entry at the wrong place, and tests refuse a seed that does not fit its
//! columns, and keys that no column holds.

mod columns;
mod comments;

pub use columns::{ColumnSpec, Documented, Member, PLACES, Place, Role, TypedColumns};
use serde::{Deserialize, Serialize};

/// A family of CloudTrail objects; each has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Management and data events, folder `CloudTrail`.
    Events,
    /// Network activity events, folder `CloudTrail-NetworkActivity`.
    NetworkActivity,
    /// Insights events, folder `CloudTrail-Insight`.
    Insight,
    /// Aggregated events, folder `CloudTrail-Aggregated`.
    Aggregated,
    /// Digests of log files, folder `CloudTrail-Digest`: an object is one record.
    Digest,
}

/// Facts about a family.
#[derive(Debug)]
pub struct FamilySpec {
    /// The family.
    pub family: Family,
    /// The folder of its objects in the layout of keys; file names repeat it.
    pub folder: &'static str,
    /// What its table's name ends with after the base name.
    pub suffix: &'static str,
    /// A sentence for the catalog.
    pub description: &'static str,
    /// Values of `eventCategory` and `eventType` that only its records have. Records with none of any
    /// family are [`Family::Events`].
    pub categories: &'static [&'static str],
    /// Where a record says when its event was.
    pub time: EventTime,
    /// The key of the account that a record belongs to.
    pub account: &'static str,
    /// The key of the event's id.
    pub event_id: &'static str,
    /// Keys that hardly any other JSON has, unless an earlier family lists them.
    pub marks: &'static [&'static str],
    /// Keys that other JSON has at times: they count in an object of its own, and not in an array of
    /// unknown values.
    pub weak_marks: &'static [&'static str],
    /// The columns of its table; [`PLACES`] follow.
    pub columns: &'static [ColumnSpec],
    /// The columns of its typed table; [`PLACES`] follow.
    pub typed: TypedColumns,
    /// The inferred columns that every lake starts with, as JSON.
    pub seed: &'static str,
}

/// Which of a family's two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// The records: documented columns, JSON texts, and everything else a record has.
    Main,
    /// An index over the JSON texts: the same rows, with structs that are inferred.
    Typed,
}

impl Form {
    /// Both, in the order of the tables.
    pub const ALL: [Self; 2] = [Self::Main, Self::Typed];
}

/// What the name of a typed table ends with.
pub const TYPED_SUFFIX: &str = "_typed";

/// Returns the names of all tables that a lake may have, for a base name.
pub fn tables(base: &str) -> Vec<String> {
    let forms = |family: &Family| if family.has_typed_table() { 2 } else { 1 };
    let all = |family: &Family| {
        Form::ALL
            .into_iter()
            .take(forms(family))
            .map(|form| family.table_of(form, base))
            .collect::<Vec<_>>()
    };
    Family::ALL.iter().flat_map(all).collect()
}

/// Returns the main table beside a typed one; of a main table, itself.
pub fn main_table(table: &str) -> &str {
    table.strip_suffix(TYPED_SUFFIX).unwrap_or(table)
}

/// Where a record says when its event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTime {
    /// The value of this key.
    At(&'static str),
    /// A member of the object under a key: the start of a window.
    Since {
        /// The key.
        key: &'static str,
        /// The member.
        member: &'static str,
    },
}

/// All families, in the order of their tables.
pub const FAMILIES: [FamilySpec; 5] = [
    FamilySpec {
        family: Family::Events,
        folder: "CloudTrail",
        suffix: "",
        description: "CloudTrail management and data events",
        categories: &[],
        time: EventTime::At("eventTime"),
        account: "recipientAccountId",
        event_id: "eventID",
        marks: &[
            "eventVersion",
            "userIdentity",
            "eventTime",
            "eventSource",
            "eventName",
            "awsRegion",
            "eventID",
        ],
        weak_marks: &[
            "sourceIPAddress",
            "userAgent",
            "requestParameters",
            "eventType",
            "recipientAccountId",
            "eventCategory",
        ],
        columns: columns::EVENTS,
        typed: columns::EVENTS_TYPED,
        seed: include_str!("../../schemas/cloudtrail.json"),
    },
    FamilySpec {
        family: Family::NetworkActivity,
        folder: "CloudTrail-NetworkActivity",
        suffix: "_network_activity",
        description: "CloudTrail network activity events",
        categories: &["NetworkActivity", "AwsVpceEvents"],
        time: EventTime::At("eventTime"),
        account: "recipientAccountId",
        event_id: "eventID",
        marks: &[],
        weak_marks: &[],
        columns: columns::EVENTS,
        typed: columns::EVENTS_TYPED,
        seed: include_str!("../../schemas/cloudtrail_network_activity.json"),
    },
    FamilySpec {
        family: Family::Insight,
        folder: "CloudTrail-Insight",
        suffix: "_insight",
        description: "CloudTrail Insights events",
        categories: &["Insight", "AwsCloudTrailInsight"],
        time: EventTime::At("eventTime"),
        account: "recipientAccountId",
        event_id: "eventID",
        marks: &["insightDetails"],
        weak_marks: &[],
        columns: columns::INSIGHT,
        typed: columns::INSIGHT_TYPED,
        seed: include_str!("../../schemas/cloudtrail_insight.json"),
    },
    FamilySpec {
        family: Family::Aggregated,
        folder: "CloudTrail-Aggregated",
        suffix: "_aggregated",
        description: "CloudTrail aggregated events",
        categories: &["Aggregated", "AwsAggregatedEvent"],
        time: EventTime::Since { key: "timeWindow", member: "windowStart" },
        account: "accountId",
        event_id: "eventId",
        marks: &["eventId", "timeWindow"],
        weak_marks: &[],
        columns: columns::AGGREGATED,
        typed: columns::AGGREGATED_TYPED,
        seed: include_str!("../../schemas/cloudtrail_aggregated.json"),
    },
    FamilySpec {
        family: Family::Digest,
        folder: "CloudTrail-Digest",
        suffix: "_digest",
        description: "CloudTrail digests: which log files were delivered, with their hashes",
        categories: &[],
        time: EventTime::At("digestEndTime"),
        account: "awsAccountId",
        event_id: "digestS3Object",
        marks: &["digestStartTime", "digestEndTime", "digestS3Bucket", "digestS3Object"],
        weak_marks: &["awsAccountId"],
        columns: columns::DIGEST,
        typed: columns::DIGEST_TYPED,
        seed: include_str!("../../schemas/cloudtrail_digest.json"),
    },
];

/// A key that only digests have.
const DIGEST_KEY: &str = "digestEndTime";

impl Family {
    /// All families, in the order of their tables.
    pub const ALL: [Self; FAMILIES.len()] = {
        let mut all = [Self::Events; FAMILIES.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = FAMILIES[at].family;
            assert!(all[at] as usize == at, "an entry of FAMILIES is not where its variant is");
            at += 1;
        }
        all
    };

    /// Returns the facts of the family.
    pub fn spec(self) -> &'static FamilySpec {
        const SPECS: &[FamilySpec; FAMILIES.len()] = &FAMILIES;
        &SPECS[self.index()]
    }

    /// Returns the family whose objects lie in a folder of this name, in whatever case.
    pub fn of_folder(name: &str) -> Option<Self> {
        FAMILIES.iter().find(|spec| spec.folder.eq_ignore_ascii_case(name)).map(|spec| spec.family)
    }

    /// Returns the family of records with this `eventCategory` or `eventType`, if only one has it.
    pub fn of_category(text: &str) -> Option<Self> {
        let is_its = |spec: &&FamilySpec| spec.categories.contains(&text);
        FAMILIES.iter().find(is_its).map(|spec| spec.family)
    }

    /// Returns what the table's name ends with after the base name.
    pub fn suffix(self) -> &'static str {
        self.spec().suffix
    }

    /// Returns the main table's name for a base name such as `cloudtrail`.
    pub fn table(self, base: &str) -> String {
        format!("{base}{}", self.suffix())
    }

    /// Returns the name of one of its tables.
    pub fn table_of(self, form: Form, base: &str) -> String {
        match form {
            Form::Main => self.table(base),
            Form::Typed => self.table(base) + TYPED_SUFFIX,
        }
    }

    /// Returns the columns of one of its tables, without [`PLACES`]; those that the typed table shares are
    /// the main table's.
    pub fn columns_of(self, form: Form) -> impl Iterator<Item = &'static ColumnSpec> {
        let FamilySpec { columns, typed: TypedColumns { shared, inferred }, .. } = self.spec();
        let (shared, inferred): (&[&str], &[ColumnSpec]) = match form {
            Form::Main => (&[], &[]),
            Form::Typed => (shared, inferred),
        };
        let is_in = move |column: &&ColumnSpec| form == Form::Main || shared.contains(&column.name);
        columns.iter().filter(is_in).chain(inferred)
    }

    /// Returns whether it has a typed table: whether anything of its records is inferred.
    pub fn has_typed_table(self) -> bool {
        !self.spec().typed.inferred.is_empty()
    }

    /// Returns the position in [`Family::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns a sentence for the catalog.
    pub fn description(self) -> &'static str {
        self.spec().description
    }
}

/// Returns whether the value of a key may tell the family: see [`Family::of_category`].
pub fn is_category_key(key: &str) -> bool {
    matches!(key, "eventCategory" | "eventType")
}

/// Returns the family of records with this key, if no other family has it: digests have no category.
pub fn family_of_key(key: &str) -> Option<Family> {
    (key == DIGEST_KEY).then_some(Family::Digest)
}

/// Returns whether a record of some family has a key that hardly any other JSON has.
pub fn is_mark(key: &str) -> bool {
    FAMILIES.iter().any(|spec| spec.marks.contains(&key))
}

/// Returns whether a record of some family has a key that other JSON rarely has.
pub fn is_mark_or_weak(key: &[u8]) -> bool {
    let is_it = |mark: &&str| mark.as_bytes() == key;
    FAMILIES.iter().any(|spec| spec.marks.iter().chain(spec.weak_marks).any(&is_it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_of_a_spec_has_a_column() {
        for spec in &FAMILIES {
            let has = |wanted: &str| spec.columns.iter().any(|column| column.key() == Some(wanted));
            let time = match spec.time {
                EventTime::At(key) | EventTime::Since { key, .. } => key,
            };
            assert!(has(time) && has(spec.account) && has(spec.event_id), "{:?}", spec.family);
            for mark in spec.marks.iter().chain(spec.weak_marks) {
                assert!(has(mark), "{:?} {mark}", spec.family);
            }
        }
    }

    #[test]
    fn no_two_families_share_a_folder_a_table_or_a_category() {
        let all = |facts: Vec<&'static str>| {
            let distinct: BTreeSet<_> = facts.iter().collect();
            assert_eq!(distinct.len(), facts.len(), "{facts:?}");
        };
        all(FAMILIES.iter().map(|spec| spec.folder).collect());
        all(FAMILIES.iter().map(|spec| spec.suffix).collect());
        all(FAMILIES.iter().flat_map(|spec| spec.categories).copied().collect());
    }

    #[test]
    fn leftovers_are_the_last_column_and_every_inferred_column_has_its_text() {
        for spec in &FAMILIES {
            let (last, before) = spec.columns.split_last().unwrap();
            assert_eq!(last.role, Role::Extra);
            assert!(before.iter().all(|column| column.role != Role::Extra));
            for column in spec.typed.inferred {
                let Role::Nested(key) = column.role else { panic!("{column:?}") };
                assert!(before.iter().any(|column| column.role == Role::Json(key)), "{key}");
            }
        }
    }

    #[test]
    fn a_typed_table_shares_columns_that_are_there_in_their_order() {
        for spec in &FAMILIES {
            let typed = spec.family.columns_of(Form::Typed).map(|column| column.name);
            let named = spec.typed.shared.iter().copied();
            let inferred = spec.typed.inferred.iter().map(|column| column.name);
            assert!(typed.eq(named.chain(inferred)), "{:?}", spec.family);
        }
    }

    #[test]
    fn a_table_s_columns_have_different_names() {
        for spec in &FAMILIES {
            for form in Form::ALL {
                let columns = || spec.family.columns_of(form).chain(&PLACES);
                let names: BTreeSet<_> = columns().map(|column| column.name).collect();
                assert_eq!(names.len(), columns().count(), "{:?}", spec.family);
            }
        }
    }

    #[test]
    fn no_two_tables_share_a_name() {
        let names = tables("t");
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        for (at, name) in names.iter().enumerate() {
            assert_eq!(main_table(name), names[at / 2 * 2]);
        }
    }
}
