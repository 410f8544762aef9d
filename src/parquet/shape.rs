//! Which leaves a file has, and how a tree's values become them.
//!
//! Documented columns are always there with all their members. Inferred columns carry only the
//! members that have a fitting value in the file, in the lock's order: readers match by name.

use crate::error::Result;
use crate::family::{Documented, Member};
use crate::parquet::leaf::Leaf;
use crate::parquet::levels::{Levels, Stream};
use crate::parse::{ScalarKind, escape_json, minify_json};
use crate::rows::{Cell, ListAt, NONE, Node, ScalarAt, Texts, Tree, as_bigint};
use crate::schema::{Field, Kind};
use polars_parquet::parquet::schema::Repetition;
use polars_parquet::parquet::schema::types::{
    FieldInfo, GroupConvertedType, GroupLogicalType, ParquetType, PhysicalType,
    PrimitiveConvertedType, PrimitiveLogicalType, PrimitiveType,
};
use std::ops::Range;

/// What a leaf holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeafKind {
    Text,
    Json,
    Bigint,
    Double,
    Boolean,
}

/// A column of a file, or a part of one, and the tree node its values come from.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Leaf { node: u32, kind: LeafKind },
    Struct { node: u32, members: Vec<(String, Shape)> },
    List { node: u32, element: Box<Shape> },
    Map { node: u32 },
}

impl Shape {
    /// Returns how many leaves it has.
    pub(super) fn leaves(&self) -> usize {
        match self {
            Self::Leaf { .. } => 1,
            Self::Struct { members, .. } => members.iter().map(|(_, shape)| shape.leaves()).sum(),
            Self::List { element, .. } => element.leaves(),
            Self::Map { .. } => 2,
        }
    }
}

/// Adds to the shape of an inferred column all that its kind has and the file has no value for.
pub(super) fn complete(shape: Option<Shape>, kind: &Kind) -> Option<Shape> {
    Some(match (kind, shape) {
        (Kind::Struct(fields), shape) => {
            let (node, mut present) = match shape {
                Some(Shape::Struct { node, members }) => (node, members),
                _ => (NONE, Vec::new()),
            };
            present.reverse();
            let member = |field: &Field| {
                // Both have the lock's order.
                let is_next = present.last().is_some_and(|(name, _)| *name == field.name);
                let shape = if is_next { present.pop().map(|(_, shape)| shape) } else { None };
                Some((field.name.clone(), complete(shape, &field.kind)?))
            };
            let members: Vec<_> = fields.iter().filter_map(member).collect();
            if members.is_empty() {
                return None;
            }
            Shape::Struct { node, members }
        }
        (Kind::List(kind), shape) => {
            let (node, element) = match shape {
                Some(Shape::List { node, element }) => (node, Some(*element)),
                _ => (NONE, None),
            };
            Shape::List { node, element: Box::new(complete(element, kind)?) }
        }
        (_, Some(shape)) => shape,
        (kind, None) => Shape::Leaf { node: NONE, kind: leaf_kind(kind)? },
    })
}

/// The kind of a leaf; nothing for what has members, elements or no column.
fn leaf_kind(kind: &Kind) -> Option<LeafKind> {
    Some(match kind {
        Kind::Text | Kind::Map => LeafKind::Json,
        Kind::Boolean => LeafKind::Boolean,
        Kind::Bigint => LeafKind::Bigint,
        Kind::Double => LeafKind::Double,
        Kind::String => LeafKind::Text,
        Kind::Struct(_) | Kind::List(_) | Kind::Omitted => return None,
    })
}

/// The slots of the elements of the lists in `range`.
fn element_range(lists: &[ListAt]) -> Range<u32> {
    match (lists.first(), lists.last()) {
        (Some(first), Some(last)) => first.first..last.first + last.count,
        _ => 0..0,
    }
}

/// Shapes of documented columns: everything, whether it has values or not.
pub(crate) fn whole_shape(tree: &Tree, node: u32, documented: &Documented) -> Shape {
    match documented {
        Documented::Struct(members) => {
            let children = tree.node(node).children();
            let shape_of = |(member, child): (&Member, &u32)| {
                (member.name.to_owned(), whole_shape(tree, *child, &member.shape))
            };
            Shape::Struct { node, members: members.iter().zip(children).map(shape_of).collect() }
        }
        Documented::List(element) => {
            let child = tree.node(node).element();
            Shape::List { node, element: Box::new(whole_shape(tree, child, element)) }
        }
        Documented::Map => Shape::Map { node },
        Documented::String => Shape::Leaf { node, kind: LeafKind::Text },
    }
}

/// Finds the shape of an inferred column over some rows, and counts what does not fit.
pub(crate) struct Fitting<'a> {
    pub tree: &'a Tree,
    pub texts: &'a Texts,
    /// Values that the lock's kind cannot hold, or that it has no field for.
    pub unfit: u64,
}

impl Fitting<'_> {
    /// Returns the shape of `node` as a value of `kind` in the slots of `range`, or nothing when
    /// no value fits.
    pub(super) fn shape(&mut self, node: u32, kind: &Kind, range: Range<u32>) -> Option<Shape> {
        let this = self.tree.node(node);
        let scalars = this.scalars(range.clone());
        let objects = this.objects(range.clone());
        let lists = this.lists(range.clone());
        let containers = objects.len() + lists.len();
        match kind {
            Kind::Struct(fields) => {
                self.unfit += (scalars.len() + lists.len()) as u64;
                return self.members(node, fields, range);
            }
            Kind::List(element) => {
                self.unfit += (scalars.len() + objects.len()) as u64;
                if this.element() == NONE || lists.is_empty() {
                    return None;
                }
                let element = self.shape(this.element(), element, element_range(lists))?;
                return Some(Shape::List { node, element: Box::new(element) });
            }
            Kind::Text | Kind::Map => {
                let leaf = Shape::Leaf { node, kind: LeafKind::Json };
                return (scalars.len() + containers > 0).then_some(leaf);
            }
            // It is left out on purpose: that is no misfit.
            Kind::Omitted => return None,
            Kind::Boolean | Kind::Bigint | Kind::Double | Kind::String => {}
        }
        let leaf_kind = leaf_kind(kind)?;
        let fit = scalars.iter().filter(|scalar| fits(scalar, leaf_kind, self.texts)).count();
        self.unfit += (scalars.len() - fit + containers) as u64;
        (fit > 0).then_some(Shape::Leaf { node, kind: leaf_kind })
    }

    fn members(&mut self, node: u32, fields: &[Field], range: Range<u32>) -> Option<Shape> {
        let this = self.tree.node(node);
        let mut taken = vec![false; this.children().len()];
        let mut members = Vec::new();
        // Children are looked up from the side that has fewer names.
        let mut by_name: Vec<(&str, usize)> = this
            .children()
            .iter()
            .enumerate()
            .map(|(i, child)| (self.tree.node(*child).name(), i))
            .collect();
        by_name.sort_unstable();
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            if let Ok(found) = by_name.binary_search_by(|(name, _)| (*name).cmp(&field.name)) {
                order.push((at, by_name[found].1));
            }
        }
        for (at, child) in order {
            taken[child] = true;
            let id = this.children()[child];
            if let Some(shape) = self.shape(id, &fields[at].kind, range.clone()) {
                members.push((fields[at].name.clone(), shape));
            }
        }
        for (child, _) in taken.iter().enumerate().filter(|(_, taken)| !**taken) {
            let child = self.tree.node(this.children()[child]);
            self.unfit += (child.scalars(range.clone()).len()
                + child.objects(range.clone()).iter().filter(|o| !is_empty(o.text)).count()
                + child.lists(range.clone()).iter().filter(|l| l.count > 0).count())
                as u64;
        }
        (!members.is_empty()).then_some(Shape::Struct { node, members })
    }
}

/// `{}` has no shape yet, so that it is no misfit either.
fn is_empty(text: Cell) -> bool {
    text.len() <= 2
}

fn fits(scalar: &ScalarAt, kind: LeafKind, texts: &Texts) -> bool {
    match kind {
        LeafKind::Text | LeafKind::Json => true,
        LeafKind::Boolean => scalar.kind == ScalarKind::Bool,
        LeafKind::Bigint => bigint(scalar, texts).is_some(),
        LeafKind::Double => double(scalar, texts).is_some(),
    }
}

fn is_number(scalar: &ScalarAt) -> bool {
    matches!(scalar.kind, ScalarKind::Integer | ScalarKind::Float)
}

fn bigint(scalar: &ScalarAt, texts: &Texts) -> Option<i64> {
    if is_number(scalar) { as_bigint(texts.get(scalar.text)) } else { None }
}

fn double(scalar: &ScalarAt, texts: &Texts) -> Option<f64> {
    if !is_number(scalar) {
        return None;
    }
    let value = std::str::from_utf8(texts.get(scalar.text)).ok()?.parse::<f64>().ok()?;
    value.is_finite().then_some(value)
}

/// What [`walk`] hands out: one leaf with its levels and values, in the file's column order.
pub(crate) type OnLeaf<'f> = &'f mut dyn FnMut(&Leaf<'_>, Levels<'_>) -> Result<()>;

/// Lays out a shape over the slots of `stream`, leaf by leaf.
pub(crate) fn walk(
    tree: &Tree,
    shape: &Shape,
    stream: &Stream,
    texts: &Texts,
    on_leaf: OnLeaf<'_>,
) -> Result<()> {
    let range = stream.start..stream.end;
    match shape {
        Shape::Leaf { node, kind } => leaf(tree.node(*node), *kind, stream, texts, on_leaf),
        Shape::Struct { node, members } => {
            let objects = tree.node(*node).objects(range);
            let inside = stream.present(objects.iter().map(|object| object.slot));
            members.iter().try_for_each(|(_, member)| walk(tree, member, &inside, texts, on_leaf))
        }
        Shape::List { node, element } => {
            let inside = stream.elements(tree.node(*node).lists(range));
            walk(tree, element, &inside, texts, on_leaf)
        }
        Shape::Map { node } => {
            let this = tree.node(*node);
            let inside = stream.elements(this.lists(range));
            let [key, value] = *tree.node(this.element()).children() else {
                return Ok(());
            };
            let keys = tree.node(key).scalars(inside.start..inside.end);
            let keys: Vec<_> = keys.iter().map(|scalar| texts.get(scalar.text)).collect();
            on_leaf(&Leaf::Text { values: &keys, ids: false }, inside.levels())?;
            leaf(tree.node(value), LeafKind::Text, &inside, texts, on_leaf)
        }
    }
}

fn leaf(
    node: &Node,
    kind: LeafKind,
    stream: &Stream,
    texts: &Texts,
    on_leaf: OnLeaf<'_>,
) -> Result<()> {
    let range = stream.start..stream.end;
    let scalars = node.scalars(range.clone());
    let fitting = || scalars.iter().filter(|scalar| fits(scalar, kind, texts));
    let inside = || stream.present(fitting().map(|scalar| scalar.slot));
    match kind {
        LeafKind::Text => {
            if node.is_interned() {
                let cells: Vec<_> = scalars.iter().map(|scalar| scalar.text).collect();
                return on_leaf(&Leaf::Interned { cells: &cells, texts }, inside().levels());
            }
            let values: Vec<_> = scalars.iter().map(|scalar| texts.get(scalar.text)).collect();
            on_leaf(&Leaf::Text { values: &values, ids: false }, inside().levels())
        }
        LeafKind::Boolean => {
            let values: Vec<_> =
                fitting().map(|scalar| texts.get(scalar.text) == b"true").collect();
            on_leaf(&Leaf::Boolean(&values), inside().levels())
        }
        LeafKind::Bigint => {
            let values: Vec<_> = fitting().filter_map(|scalar| bigint(scalar, texts)).collect();
            on_leaf(&Leaf::Bigint(&values), inside().levels())
        }
        LeafKind::Double => {
            let values: Vec<_> = fitting().filter_map(|scalar| double(scalar, texts)).collect();
            on_leaf(&Leaf::Double(&values), inside().levels())
        }
        LeafKind::Json => json_leaf(node, stream, texts, on_leaf),
    }
}

/// Values of any shape as JSON text.
fn json_leaf(node: &Node, stream: &Stream, texts: &Texts, on_leaf: OnLeaf<'_>) -> Result<()> {
    let range = stream.start..stream.end;
    let mut entries: Vec<(u32, Vec<u8>)> = Vec::new();
    for scalar in node.scalars(range.clone()) {
        let text = texts.get(scalar.text);
        let mut json = Vec::with_capacity(text.len() + 2);
        match scalar.kind {
            ScalarKind::String => escape_json(text, &mut json),
            _ => json.extend_from_slice(text),
        }
        entries.push((scalar.slot, json));
    }
    let containers = node
        .objects(range.clone())
        .iter()
        .map(|object| (object.slot, object.text))
        .chain(node.lists(range).iter().map(|list| (list.slot, list.text)));
    for (slot, text) in containers {
        let mut json = Vec::with_capacity(text.len());
        minify_json(texts.get(text), &mut json);
        entries.push((slot, json));
    }
    entries.sort_unstable_by_key(|(slot, _)| *slot);
    let inside = stream.present(entries.iter().map(|(slot, _)| *slot));
    let values: Vec<_> = entries.iter().map(|(_, json)| &json[..]).collect();
    on_leaf(&Leaf::Text { values: &values, ids: false }, inside.levels())
}

fn info(name: &str, repetition: Repetition) -> FieldInfo {
    FieldInfo { name: name.into(), repetition, id: None }
}

/// A text column's Parquet type.
pub(crate) fn text_type(name: &str, repetition: Repetition) -> ParquetType {
    ParquetType::PrimitiveType(PrimitiveType {
        field_info: info(name, repetition),
        logical_type: Some(PrimitiveLogicalType::String),
        converted_type: Some(PrimitiveConvertedType::Utf8),
        physical_type: PhysicalType::ByteArray,
    })
}

/// A column type without annotation.
pub(crate) fn plain_type(name: &str, physical_type: PhysicalType) -> ParquetType {
    ParquetType::PrimitiveType(PrimitiveType {
        field_info: info(name, Repetition::Optional),
        logical_type: None,
        converted_type: None,
        physical_type,
    })
}

/// The Parquet type of a shape; lists and maps have the three levels of the format's document
/// (<https://github.com/apache/parquet-format/blob/master/LogicalTypes.md>).
pub(crate) fn parquet_type(name: &str, shape: &Shape) -> ParquetType {
    let group =
        |name: &str, repetition, fields, logical_type, converted_type| ParquetType::GroupType {
            field_info: info(name, repetition),
            logical_type,
            converted_type,
            fields,
        };
    match shape {
        Shape::Leaf { kind, .. } => match kind {
            LeafKind::Text | LeafKind::Json => text_type(name, Repetition::Optional),
            LeafKind::Bigint => plain_type(name, PhysicalType::Int64),
            LeafKind::Double => plain_type(name, PhysicalType::Double),
            LeafKind::Boolean => plain_type(name, PhysicalType::Boolean),
        },
        Shape::Struct { members, .. } => {
            let fields = members.iter().map(|(name, shape)| parquet_type(name, shape)).collect();
            group(name, Repetition::Optional, fields, None, None)
        }
        Shape::List { element, .. } => {
            let element = parquet_type("element", element);
            let list = group("list", Repetition::Repeated, vec![element], None, None);
            group(
                name,
                Repetition::Optional,
                vec![list],
                Some(GroupLogicalType::List),
                Some(GroupConvertedType::List),
            )
        }
        Shape::Map { .. } => {
            let entry = vec![
                text_type("key", Repetition::Required),
                text_type("value", Repetition::Optional),
            ];
            let entries = group("key_value", Repetition::Repeated, entry, None, None);
            group(
                name,
                Repetition::Optional,
                vec![entries],
                Some(GroupLogicalType::Map),
                Some(GroupConvertedType::Map),
            )
        }
    }
}
