//! Which columns are read, and which members of structs.

use polars_parquet::parquet::schema::types::ParquetType;

/// A column that is read, whole or in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// The column's name.
    pub root: &'a str,
    /// Paths of members; an empty one is the whole column.
    paths: Vec<Vec<&'a str>>,
}

impl<'a> Wanted<'a> {
    /// Takes names such as `column` and `column.member` apart; each column is there once.
    pub(super) fn of(names: &[&'a str]) -> Vec<Self> {
        let mut out: Vec<Self> = Vec::new();
        for name in names {
            let mut parts = name.split('.');
            let root = parts.next().unwrap_or_default();
            let path: Vec<&str> = parts.collect();
            match out.iter_mut().find(|wanted| wanted.root == root) {
                Some(wanted) => wanted.paths.push(path),
                None => out.push(Self { root, paths: vec![path] }),
            }
        }
        out
    }

    /// Returns a column's type with the members that are wanted; nothing if it has none of them.
    pub(super) fn narrow(&self, field: &ParquetType) -> Option<ParquetType> {
        let paths: Vec<&[&str]> = self.paths.iter().map(Vec::as_slice).collect();
        narrowed(field, &paths)
    }
}

fn narrowed(field: &ParquetType, paths: &[&[&str]]) -> Option<ParquetType> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(field.clone());
    }
    let ParquetType::GroupType { field_info, logical_type, converted_type, fields } = field else {
        return None;
    };
    let member = |member: &ParquetType| {
        let split = paths.iter().filter_map(|path| path.split_first());
        let below = split.filter(|(name, _)| **name == member.name()).map(|(_, path)| path);
        let below: Vec<&[&str]> = below.collect();
        if below.is_empty() { None } else { narrowed(member, &below) }
    };
    let fields: Vec<ParquetType> = fields.iter().filter_map(member).collect();
    (!fields.is_empty()).then(|| ParquetType::GroupType {
        field_info: field_info.clone(),
        logical_type: *logical_type,
        converted_type: *converted_type,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_parquet::parquet::metadata::SchemaDescriptor;

    #[test]
    fn of_a_struct_the_members_that_are_asked_for_are_kept() {
        let message = "message m { optional group u { optional binary a (UTF8); \
                       optional group s { optional binary b (UTF8); optional binary c (UTF8); } } }";
        let schema = SchemaDescriptor::try_from_message(message).unwrap();
        let leaves = |names: &[&str]| {
            let wanted = Wanted::of(names);
            assert_eq!(wanted.len(), 1, "a column is read once");
            let kept = wanted[0].narrow(&schema.fields()[0]);
            let leaves = SchemaDescriptor::new("m".into(), kept.into_iter().collect());
            let name = |leaf: &polars_parquet::parquet::metadata::ColumnDescriptor| {
                leaf.path_in_schema.join(".")
            };
            leaves.columns().iter().map(name).collect::<Vec<_>>()
        };

        assert_eq!(leaves(&["u.s.c"]), ["u.s.c"]);
        assert_eq!(leaves(&["u.s.c", "u.a"]), ["u.a", "u.s.c"]);
        assert_eq!(leaves(&["u.s.c", "u.s"]), ["u.s.b", "u.s.c"]);
        assert_eq!(leaves(&["u.a", "u"]).len(), 3);
        assert!(leaves(&["u.nothing", "u.a.b"]).is_empty());
    }
}
