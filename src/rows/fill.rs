//! A record's values into the columns, once it is known to become a row.

use crate::family::Role;
use crate::parse::Cursor;
use crate::rows::extra::Extra;
use crate::rows::found::{Found, Shape};
use crate::rows::last_partition::LastPartition;
use crate::rows::scratch::Scratch;
use crate::rows::table_rows::{TableRows, TextColumn, Values};
use crate::rows::text::{Cell, Interner, Texts};
use crate::rows::tree::{FieldText, Tree};
use crate::rows::typed::Typed;

/// The record that is moved into the columns.
struct Filling<'a, 't> {
    cursor: &'a Cursor<'t>,
    texts: &'a mut Texts,
    extra: &'a mut Extra,
    /// The values that the row's partition could have, where they are columns.
    places: &'a LastPartition,
    /// `requestParameters`, of which some members have columns of their own.
    request: Option<Found>,
    is_s3: bool,
    is_lambda: bool,
    row: u32,
}

impl TableRows {
    /// Moves what was found into the columns of the newest row.
    pub(super) fn fill(
        &mut self,
        scratch: &mut Scratch,
        cursor: &Cursor<'_>,
        texts: &mut Texts,
        known: &[u8],
    ) {
        let Scratch { found, leftover, extra, .. } = scratch;
        extra.clear();
        if !known.is_empty() {
            extra.wrapper = Some(texts.keep(known));
        }
        for leftover in leftover {
            let text = texts.json(&mut cursor.at(leftover.place));
            extra.add_top(leftover.key, text);
        }
        let all = &*found;
        let of = |column: Option<usize>| column.and_then(|column| all[column]);
        let event_source = of(self.keys.source).and_then(|found| found.string(cursor));
        let mut filling = Filling {
            cursor,
            texts,
            extra,
            places: &self.last_partition,
            request: of(self.keys.request),
            is_s3: event_source == Some(b"s3.amazonaws.com"),
            is_lambda: event_source == Some(b"lambda.amazonaws.com"),
            row: (self.rows.len() - 1) as u32,
        };
        for (at, spec) in self.specs.iter().enumerate() {
            let found = all[at];
            let (before, values) = self.values.split_at_mut(at);
            match (&mut values[0], &spec.role) {
                (Values::Text(column), role) => filling.text(column, role, found),
                (Values::Booleans(flags), _) => flags.push(filling.boolean(found)),
                (Values::Typed(tree), Role::Typed(_, shape)) => {
                    if let Some(found) = found {
                        let text = found.raw.of(cursor.bytes());
                        let Filling { texts, extra, row, .. } = &mut filling;
                        let mut typed = Typed { tree, texts, extra };
                        typed.take_row(cursor.at(found.place), text, shape, found.key, *row);
                    }
                }
                (Values::Nested(tree), Role::Nested(_)) => {
                    let from = self.nested_from[at];
                    let (Some(from), Some(found)) = (from, of(from)) else { continue };
                    filling.nested(tree, before.get(from), found);
                }
                _ => {}
            }
        }
    }
}

impl<'t> Filling<'_, 't> {
    #[inline]
    fn text(&mut self, column: &mut TextColumn, role: &Role, found: Option<Found>) {
        let cursor = self.cursor;
        if let Role::Place(place) = role {
            let cell = column.keep(self.places.place(*place), self.texts);
            return column.cells.push(cell);
        }
        let text = match role {
            Role::Text(_) => found.and_then(|found| found.text(cursor)),
            Role::Json(_) => found.and_then(|found| found.json(cursor)),
            Role::S3Bucket if self.is_s3 => self.promote("bucketName"),
            Role::S3Key if self.is_s3 => self.promote("key"),
            Role::LambdaFunction if self.is_lambda => {
                self.promote("functionName").map(function_name)
            }
            _ => None,
        };
        let cell = match (role, found) {
            // The last column of a record's own: everything else has been looked at by then.
            (Role::Extra, _) => self.extra.render(cursor.bytes(), self.texts),
            (_, Some(found)) if found.is_container() && cursor.has_space() => {
                column.interner.iter_mut().for_each(Interner::give_up);
                self.texts.json(&mut cursor.at(found.place))
            }
            _ => text.map_or(Cell::NULL, |text| column.keep(text, self.texts)),
        };
        column.cells.push(cell);
    }

    /// A member of the request that has a column of its own.
    fn promote(&self, name: &str) -> Option<&'t [u8]> {
        self.request?.member(name, self.cursor)
    }

    /// A value that is no boolean is a leftover.
    #[inline]
    fn boolean(&mut self, found: Option<Found>) -> Option<bool> {
        let flag = found.and_then(|found| found.boolean(self.cursor));
        if let (None, Some(found)) = (flag, found)
            && found.shape != Shape::Null
        {
            let text = self.texts.json(&mut self.cursor.at(found.place));
            self.extra.add_top(found.key, text);
        }
        flag
    }

    /// Shreds an object. Its values are parts of the text in the column it is inferred `from`, where
    /// that is as delivered.
    #[inline]
    fn nested(&mut self, tree: &mut Tree, from: Option<&Values>, found: Found) {
        if found.shape != Shape::Object {
            return;
        }
        let kept = match from {
            Some(Values::Text(column)) if !self.cursor.has_space() => {
                column.cells[self.row as usize]
            }
            _ => self.texts.keep(found.raw.of(self.cursor.bytes())),
        };
        let field = FieldText { start: found.raw.start as usize, kept };
        tree.shred(&mut self.cursor.at(found.place), self.texts, field, self.row);
    }
}

/// The plain name in a function's name, ARN, partial ARN or `name:alias`.
fn function_name(text: &[u8]) -> &[u8] {
    let name = match memchr::memmem::find(text, b"function:") {
        Some(at) => &text[at + 9..],
        None => text,
    };
    name.split(|b| *b == b':').next().unwrap_or_default()
}
