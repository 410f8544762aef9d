//! What a record is by its own fields, where its object's key does not say.

use crate::family::{Family, family_of_key, is_category_key, is_mark};
use crate::parse::Cursor;

/// The family a record belongs to by its own fields, for objects whose key does not say.
pub fn family_of(record: &Cursor<'_>) -> Family {
    let mut cursor = record.clone();
    let Some(len) = cursor.object_len() else { return Family::Events };
    cursor.enter(len);
    for _ in 0..len {
        let key = cursor.key();
        if let Some(family) = family_of_key(key.text) {
            return family;
        }
        let is_scalar = || cursor.object_len().or(cursor.array_len()).is_none();
        if is_category_key(key.text) && is_scalar() {
            if let Some(family) = Family::of_category(cursor.scalar().text) {
                return family;
            }
        } else {
            cursor.skip();
        }
        cursor.end_entry();
    }
    Family::Events
}

/// Whether a record has any of the fields that make a CloudTrail record.
pub fn is_cloudtrail(record: &Cursor<'_>) -> bool {
    let mut cursor = record.clone();
    let Some(len) = cursor.object_len() else { return false };
    let mut fields = 0;
    cursor.enter(len);
    for _ in 0..len {
        fields += usize::from(is_mark(cursor.key().text));
        cursor.skip();
        cursor.end_entry();
    }
    fields >= 2
}
