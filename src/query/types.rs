//! The types of the catalog as polars has them.

use crate::catalog::HiveType;
use crate::query::rewrite::Words;
use polars::prelude::{DataType, Field, TimeUnit};

/// Returns the polars type of a column. A map is the list of pairs that it is in the file, and instants have
/// no zone, as in Athena: all of them are UTC.
pub(super) fn data_type(hive: &HiveType) -> DataType {
    match hive {
        HiveType::Primitive(name) => match name.as_str() {
            "boolean" => DataType::Boolean,
            "bigint" => DataType::Int64,
            "double" => DataType::Float64,
            "timestamp" => DataType::Datetime(TimeUnit::Milliseconds, None),
            _ => DataType::String,
        },
        HiveType::Array(element) => DataType::List(Box::new(data_type(element))),
        HiveType::Map(key, value) => {
            let pair = [("key", key), ("value", value)];
            let fields = pair.map(|(name, inner)| Field::new(name.into(), data_type(inner)));
            DataType::List(Box::new(DataType::Struct(fields.into())))
        }
        HiveType::Struct(fields) => {
            let field = |field: &crate::catalog::StructField| {
                Field::new(field.name.as_str().into(), data_type(&field.hive_type))
            };
            DataType::Struct(fields.iter().map(field).collect())
        }
    }
}

/// Keeps the members of a struct that a statement names; all of one that it uses as a whole.
pub(super) fn narrowed(name: &str, data_type: DataType, words: &Words) -> DataType {
    match data_type {
        DataType::Struct(fields) if !words.whole.contains(name) => {
            let is_named = |field: &Field| words.named.contains(field.name().as_str());
            let any = fields.iter().any(is_named);
            let kept = fields.into_iter().filter(|field| !any || is_named(field)).map(|field| {
                let name = field.name().clone();
                Field::new(name.clone(), narrowed(&name, field.dtype, words))
            });
            DataType::Struct(kept.collect())
        }
        other => other,
    }
}
