//! Merged files against rows taken apart one by one: random rows, nulls, lists, dictionaries and mixed schemas.

use super::joined::join_groups;
use super::page::{Levels, Page, Value, Wanted};
use super::*;
use crate::family::Family;
use crate::parquet::{Compression, Encoder, LeafChunk, LeafValues, MergedFile};
use crate::schema::Lock;
use bytes::Bytes;
use polars_parquet::parquet::metadata::SchemaDescriptor;
use polars_parquet::parquet::schema::types::ParquetType;
use proptest::prelude::*;

const SCHEMA: &str = "message m { optional binary eventsource (UTF8); optional binary eventname (UTF8); \
    optional int64 event_timestamp; optional group s { optional binary a (UTF8); optional boolean b; \
    optional group l (LIST) { repeated group list { optional group element { optional int64 x; \
    optional binary y (UTF8); } } } } }";

/// An element of a list, whose members may be absent.
type Element = Option<(Option<i64>, Option<u16>)>;

/// The members of the struct: a text, a boolean and a list.
type Inner = (Option<u16>, Option<bool>, Option<Vec<Element>>);

#[derive(Clone, Debug)]
struct Row {
    kind: (u8, u8),
    instant: i64,
    inner: Option<Inner>,
}

/// A level of definition, one of repetition, and the value as text.
type Entry = (u8, u8, Option<String>);

fn text(number: u16) -> String {
    // Some repeat, most do not; some are long.
    "t".repeat(number as usize % 7) + &number.to_string()
}

/// Takes a leaf of a row apart.
fn entries(row: &Row, path: &str) -> Vec<Entry> {
    let one = |def: u8, value: Option<String>| vec![(def + u8::from(value.is_some()), 0, value)];
    match (path, &row.inner) {
        ("eventsource", _) => one(0, Some(format!("source{}", row.kind.0))),
        ("eventname", _) => one(0, Some(format!("name{}", row.kind.1))),
        ("event_timestamp", _) => one(0, Some(row.instant.to_string())),
        (_, None) => vec![(0, 0, None)],
        ("s.a", Some((a, ..))) => one(1, a.map(text)),
        ("s.b", Some((_, b, _))) => one(1, b.map(|b| b.to_string())),
        (_, Some((_, _, None))) => vec![(1, 0, None)],
        (_, Some((_, _, Some(list)))) if list.is_empty() => vec![(2, 0, None)],
        (path, Some((_, _, Some(list)))) => {
            let entry = |(n, element): (usize, &Element)| {
                let rep = u8::from(n > 0);
                let Some((x, y)) = element else { return (3, rep, None) };
                let value = match path.ends_with('x') {
                    true => x.map(|x| x.to_string()),
                    false => y.map(text),
                };
                (4 + u8::from(value.is_some()), rep, value)
            };
            list.iter().enumerate().map(entry).collect()
        }
    }
}

/// What a row is in a file that has only some members.
fn cut(row: &Row, [has_s, has_a, has_b, has_x, has_y]: [bool; 5]) -> Row {
    let mut row = row.clone();
    let has_any = has_s && (has_a || has_b || has_x || has_y);
    row.inner = row.inner.filter(|_| has_any).map(|(a, b, list)| {
        let element =
            |element: Element| element.map(|(x, y)| (x.filter(|_| has_x), y.filter(|_| has_y)));
        let list = list.filter(|_| has_x || has_y);
        (
            a.filter(|_| has_a),
            b.filter(|_| has_b),
            list.map(|list| list.into_iter().map(element).collect()),
        )
    });
    row
}

/// The columns of such a file, without those in `left`.
fn types([has_s, has_a, has_b, has_x, has_y]: [bool; 5], left: &[&str]) -> Vec<ParquetType> {
    let mut fields = SchemaDescriptor::try_from_message(SCHEMA).unwrap().fields().to_vec();
    if let Some(ParquetType::GroupType { fields: members, .. }) = fields.last_mut() {
        if let Some(ParquetType::GroupType { fields, .. }) = members.last_mut()
            && let Some(ParquetType::GroupType { fields, .. }) = fields.first_mut()
            && let Some(ParquetType::GroupType { fields, .. }) = fields.first_mut()
        {
            fields.retain(|field| if field.name() == "x" { has_x } else { has_y });
        }
        members.retain(|member| match member.name() {
            "a" => has_a,
            "b" => has_b,
            _ => has_x || has_y,
        });
        if members.is_empty() || !has_s {
            fields.pop();
        }
    }
    fields.retain(|field| !left.contains(&field.name()));
    fields
}

/// Writes rows to a file, row group by row group, without a fast way.
fn write(rows: &[Row], types: Vec<ParquetType>, group: usize, compression: Compression) -> Input {
    let mut file = MergedFile::new(types, 0).unwrap();
    let mut encoder = Encoder::default();
    for rows in rows.chunks(group) {
        let mut chunks = Vec::new();
        for column in file.leaves() {
            let path = column.path_in_schema.join(".");
            let all: Vec<Entry> = rows.iter().flat_map(|row| entries(row, &path)).collect();
            let def: Vec<u8> = all.iter().map(|entry| entry.0).collect();
            let repeats = column.descriptor.max_rep_level > 0;
            let rep: Vec<u8> = all.iter().filter(|_| repeats).map(|entry| entry.1).collect();
            let texts: Vec<&str> = all.iter().filter_map(|entry| entry.2.as_deref()).collect();
            let values = match path.rsplit('.').next() {
                Some("event_timestamp" | "x") => {
                    LeafValues::Bigint(texts.iter().map(|text| text.parse().unwrap()).collect())
                }
                Some("b") => {
                    LeafValues::Boolean(texts.iter().map(|text| *text == "true").collect())
                }
                _ => LeafValues::Text {
                    ids: (0..texts.len() as u32).collect(),
                    texts: texts.iter().map(|text| text.as_bytes()).collect(),
                },
            };
            let levels = (&def[..], &rep[..]);
            let chunk = LeafChunk::encode(&mut encoder, &values, levels, column, compression);
            chunks.push(chunk.unwrap());
        }
        file.add_group(rows.len() as u64, &chunks.iter().collect::<Vec<_>>(), false);
    }
    Input::open("f", Bytes::from(file.end(Vec::new()).unwrap())).unwrap()
}

/// Takes a leaf of a file apart, page by page and entry by entry.
fn read(input: &Input, path: &str) -> Vec<Entry> {
    let Some(leaf) = input.leaf(path) else { return Vec::new() };
    let mut inflater = page::Inflater::default();
    let rows = 0..input.rows();
    let mut out = Vec::new();
    for page in input.pages(leaf, &rows, (Wanted::Everything, &mut inflater)).unwrap() {
        let mut values = 0;
        let levels: Vec<(u8, u8)> = match &page.levels {
            Levels::Flat(runs) => {
                runs.iter().flat_map(|run| vec![(run.level, 0); run.entries as usize]).collect()
            }
            Levels::Nested { def, rep, .. } => {
                def.iter().copied().zip(rep.iter().copied()).collect()
            }
        };
        for (def, rep) in levels {
            let value = (def == page.max_def).then(|| value(&page, &mut values));
            out.push((def, rep, value));
        }
    }
    out
}

fn value(page: &Page, next: &mut usize) -> String {
    *next += 1;
    match page.value(*next - 1).unwrap() {
        Value::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        Value::Bigint(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Boolean(value) => value.to_string(),
    }
}

fn row() -> impl Strategy<Value = Row> {
    let number = || prop_oneof![4 => 0..9_u16, 1 => any::<u16>()];
    let element = prop::option::of((prop::option::of(0..5_i64), prop::option::of(number())));
    // Most lists have one element, and most rows have no list: pages are flat then.
    let list = prop_oneof![
        8 => Just(None),
        3 => prop::collection::vec(element.clone(), 1..2).prop_map(Some),
        1 => prop::collection::vec(element, 0..4).prop_map(Some),
    ];
    let inner = (prop::option::of(number()), prop::option::of(any::<bool>()), list);
    ((0..3_u8, 0..2_u8), 0..40_i64, prop::option::weighted(0.8, inner))
        .prop_map(|(kind, instant, inner)| Row { kind, instant, inner })
}

type File = (Vec<Row>, [bool; 5], usize, bool);

fn files() -> impl Strategy<Value = Vec<File>> {
    let rows = prop_oneof![3 => prop::collection::vec(row(), 1..60), 1 => prop::collection::vec(row(), 200..400)];
    let members = prop::array::uniform5(prop::bool::weighted(0.7));
    prop::collection::vec((rows, members, 1..120_usize, any::<bool>()), 1..5)
}

const PATHS: [&str; 7] = [
    "eventsource",
    "eventname",
    "event_timestamp",
    "s.a",
    "s.b",
    "s.l.list.element.x",
    "s.l.list.element.y",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn merged_leaves_are_those_of_the_rows_in_order(files in files(), group in 1..300_usize) {
        let (mut main, mut typed, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for (of_file, members, group, is_same) in &files {
            let of_file: Vec<Row> = of_file.iter().map(|row| cut(row, *members)).collect();
            main.push(write(&of_file, types(*members, &[]), *group, Compression::Zstd(1)));
            // Of some files, the columns of both tables are the same bytes.
            let codec = if *is_same { Compression::Zstd(1) } else { Compression::None };
            typed.push(write(&of_file, types(*members, &["eventname"]), *group, codec));
            rows.extend(of_file);
        }
        let lock = Lock::empty();
        let unions = [&main, &typed].map(|of| Union::of(of, Family::ALL[0], &lock).unwrap());

        let order = Order::of(&main).unwrap();
        let sides = [(&main[..], &unions[0]), (&typed[..], &unions[1])];
        let notes = [Vec::new(), Vec::new()];
        let joined = join_groups(group, sides[0], Some(sides[1]), &order, Compression::Zstd(1), notes);
        let joined = joined.unwrap();

        rows.sort_by_key(|row| (row.kind, row.instant));
        let open = |bytes: Vec<u8>| Input::open("joined", Bytes::from(bytes)).unwrap();
        let made = [open(joined.main), open(joined.typed.unwrap())];
        for (made, left) in made.iter().zip(["", "eventname"]) {
            for path in PATHS.iter().filter(|path| **path != left && made.leaf(path).is_some()) {
                let expected: Vec<Entry> = rows.iter().flat_map(|row| entries(row, path)).collect();
                prop_assert_eq!(read(made, path), expected, "{}", path);
            }
        }
        // Read side by side, alone, or as they were merged: the sums are the same.
        let sums = sums_of((&made[0], &unions[0]), Some((&made[1], &unions[1]))).unwrap();
        prop_assert_eq!(sums, joined.sums);
        for (side, (inputs, union)) in sides.into_iter().enumerate() {
            prop_assert_eq!(sum_of(inputs, union).unwrap(), sums[side]);
            prop_assert_eq!(sum_of(&made[side..=side], union).unwrap(), sums[side]);
        }
    }

    #[test]
    fn a_row_that_is_changed_lost_or_doubled_changes_the_sum(
        rows in prop::collection::vec(row(), 2..40),
        other in row(),
        at in any::<prop::sample::Index>(),
    ) {
        let lock = Lock::empty();
        let file = |rows: &[Row]| vec![write(rows, types([true; 5], &[]), 1000, Compression::None)];
        let union = Union::of(&file(&rows), Family::ALL[0], &lock).unwrap();
        let sum = |rows: &[Row]| sum_of(&file(rows), &union).unwrap();
        let before = sum(&rows);
        let at = at.index(rows.len());

        let (mut changed, mut lost, mut doubled) = (rows.clone(), rows.clone(), rows.clone());
        changed[at] = other.clone();
        lost.remove(at);
        doubled[at] = rows[(at + 1) % rows.len()].clone();

        let all = |row: &Row| PATHS.map(|path| entries(row, path));
        prop_assert_eq!(sum(&changed) == before, all(&rows[at]) == all(&other));
        prop_assert_ne!(sum(&lost), before);
        prop_assert_eq!(sum(&doubled) == before, all(&doubled[at]) == all(&rows[at]));
        let mut turned = rows.clone();
        turned.reverse();
        prop_assert_eq!(sum(&turned), before);
    }
}
