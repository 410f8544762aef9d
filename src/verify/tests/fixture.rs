//! Lakes written by hand: rows as JSON objects with the columns' names, turned into Parquet by
//! polars. Nothing here derives a row from a record.

use crate::verify::contract::{Column, Family, Shape};
use crate::verify::{VerifyOptions, VerifyReport, verify};
use polars::prelude::*;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A record with something in every kind of column, pretty-printed as no converter would keep it.
pub(super) const RECORD: &str = r#"{
  "eventVersion": "1.10",
  "userIdentity": {
    "type": "AssumedRole", "accountId": 123456789012, "oddity": [1, 2],
    "sessionContext": {
      "attributes": {"mfaAuthenticated": "false", "novel": true},
      "webIdFederationData": {"federatedProvider": "p", "attributes": {"b:x": "2", "a": 1.50}}
    }
  },
  "eventTime": "2024-05-01T12:00:00Z",
  "awsRegion": "eu-west-1",
  "eventSource": "s3.amazonaws.com",
  "userAgent": ["a", "b\u0041"],
  "requestParameters": {"key": "caf\u00e9 \/x", "n": 1.0, "policy": " { } "},
  "responseElements": null,
  "additionalEventData": "text",
  "eventID": "id-1",
  "resources": [{"ARN": "arn:1", "type": "T"}, {"accountId": "1", "zone": "z"}, {}],
  "readOnly": true,
  "managementEvent": "true",
  "recipientAccountId": "123456789012",
  "novelField": {"x": [1, {"y": null}]},
  "tlsDetails": "none"
}"#;

/// The row that [`RECORD`] must become.
pub(super) fn row() -> Value {
    json!({
        "eventversion": "1.10",
        "useridentity": {
            "type": "AssumedRole",
            "accountid": "123456789012",
            "sessioncontext": {
                "attributes": {"mfaauthenticated": "false"},
                "webidfederationdata": {"federatedprovider": "p", "attributes": {"b:x": "2", "a": "1.50"}},
            },
        },
        "eventtime": "2024-05-01T12:00:00Z",
        "awsregion": "eu-west-1",
        "eventsource": "s3.amazonaws.com",
        "useragent": r#"["a","b\u0041"]"#,
        "requestparameters": r#"{"key":"caf\u00e9 \/x","n":1.0,"policy":" { } "}"#,
        "additionaleventdata": r#""text""#,
        "eventid": "id-1",
        "resources": [{"arn": "arn:1", "type": "T"}, {"accountid": "1"}, {}],
        "readonly": "true",
        "recipientaccountid": "123456789012",
        "event_timestamp": 1_714_564_800_000_i64,
        "managementevent": true,
        "extra_fields": r#"{"tlsDetails":"none","novelField":{"x":[1,{"y":null}]},
            "resources":[{},{"zone":"z"}],
            "userIdentity":{"oddity":[1,2],"sessionContext":{"attributes":{"novel":true}}}}"#,
    })
}

/// The row that `{"eventID":<id>,"eventTime":…,"eventName":"N"}` must become; see [`small`].
pub(super) fn small_row(id: &str) -> Value {
    json!({"eventid": id, "eventname": "N", "eventtime": "2024-05-01T12:00:00Z",
        "event_timestamp": 1_714_564_800_000_i64})
}

/// A record with an id and little else.
pub(super) fn small(id: &str) -> String {
    format!(r#"{{"eventID":"{id}","eventTime":"2024-05-01T12:00:00Z","eventName":"N"}}"#)
}

/// A source folder and a lake folder.
pub(super) struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("source")).unwrap();
        std::fs::create_dir(folder.path().join("lake")).unwrap();
        Self { folder }
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// The name of an object of the source.
    pub(super) fn key(&self, below: &str) -> String {
        let root = std::fs::canonicalize(self.path("source")).unwrap();
        root.join(below).to_str().unwrap().to_owned()
    }

    pub(super) fn source(self, key: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.path("source").join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().write_all(bytes.as_ref()).unwrap();
        self
    }

    pub(super) fn lake(self, name: &str, family: Family, rows: &[Value]) -> Self {
        self.lake_as(name, family, rows, |frame| frame)
    }

    /// Writes a file of a table after `change` had its way with the frame.
    pub(super) fn lake_as(
        self,
        name: &str,
        family: Family,
        rows: &[Value],
        change: impl Fn(DataFrame) -> DataFrame,
    ) -> Self {
        self.write(name, family.columns(), rows, change, &[])
    }

    /// Writes a file of a main table that says that the typed one has its rows.
    pub(super) fn paired(self, name: &str, family: Family, rows: &[Value]) -> Self {
        let says = [("trailmill.typed", "true")];
        self.write(name, family.columns(), rows, |frame| frame, &says)
    }

    /// Writes a file of a typed table, with what is shared alone.
    pub(super) fn typed(self, name: &str, family: Family, rows: &[Value]) -> Self {
        self.typed_as(name, family, rows, |frame| frame)
    }

    /// Writes a file of a typed table after `change` had its way with the frame.
    pub(super) fn typed_as(
        self,
        name: &str,
        family: Family,
        rows: &[Value],
        change: impl Fn(DataFrame) -> DataFrame,
    ) -> Self {
        let is_shared = |column: &&Column| family.typed_columns().contains(&column.name);
        let columns: Vec<_> = family.columns().iter().filter(is_shared).copied().collect();
        self.write(name, &columns, rows, change, &[])
    }

    fn write(
        self,
        name: &str,
        columns: &[Column],
        rows: &[Value],
        change: impl Fn(DataFrame) -> DataFrame,
        says: &[(&str, &str)],
    ) -> Self {
        let path = self.path("lake").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let columns = columns.iter().map(|column| {
            let values: Vec<_> =
                rows.iter().map(|row| any(&row[column.name], column.shape)).collect();
            let dtype = dtype(column.shape);
            Series::from_any_values_and_dtype(column.name.into(), &values, &dtype, true)
                .unwrap()
                .into_column()
        });
        let mut frame = change(DataFrame::new(rows.len(), columns.collect()).unwrap());
        write(&path, &mut frame, says);
        self
    }

    pub(super) fn options(&self) -> VerifyOptions {
        VerifyOptions::new(vec![self.path("source").into()], self.path("lake").into())
    }

    pub(super) fn verify(&self) -> VerifyReport {
        verify(&self.options(), &|_| ()).unwrap()
    }
}

fn write(path: &Path, frame: &mut DataFrame, says: &[(&str, &str)]) {
    // As every data file of a lake says.
    let says = [("trailmill.version", "0.0.0")].iter().chain(says);
    let says = says.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    // Two rows per row group, so that reading group by group is what every test does.
    ParquetWriter::new(File::create(path).unwrap())
        .with_row_group_size(Some(2))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(says)))
        .finish(frame)
        .unwrap();
}

fn fields(shape: Shape) -> Vec<(&'static str, Shape)> {
    match shape {
        Shape::Struct(members) | Shape::List(members) => {
            members.iter().map(|member| (member.name, member.shape)).collect()
        }
        _ => vec![("key", Shape::Text), ("value", Shape::Text)],
    }
}

fn struct_dtype(shape: Shape) -> DataType {
    let field = |(name, shape): (&'static str, Shape)| Field::new(name.into(), dtype(shape));
    DataType::Struct(fields(shape).into_iter().map(field).collect())
}

fn dtype(shape: Shape) -> DataType {
    match shape {
        Shape::Text | Shape::FreeForm | Shape::Extra => DataType::String,
        Shape::Flag => DataType::Boolean,
        Shape::Instant => DataType::Datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC)),
        Shape::Struct(_) => struct_dtype(shape),
        Shape::List(_) | Shape::Map => DataType::List(Box::new(struct_dtype(shape))),
    }
}

fn any(value: &Value, shape: Shape) -> AnyValue<'static> {
    match (shape, value) {
        (_, Value::Null) => AnyValue::Null,
        (Shape::Flag, _) => AnyValue::Boolean(value.as_bool().unwrap()),
        (Shape::Instant, _) => AnyValue::DatetimeOwned(
            value.as_i64().unwrap(),
            TimeUnit::Milliseconds,
            Some(TimeZone::UTC.into()),
        ),
        (Shape::Struct(_), _) => any_struct(value, shape),
        (Shape::List(_), _) => {
            let items: Vec<_> =
                value.as_array().unwrap().iter().map(|item| any_struct(item, shape)).collect();
            any_list(&items, shape)
        }
        (Shape::Map, _) => {
            let pair = |(key, value)| any_struct(&json!({"key": key, "value": value}), shape);
            let pairs: Vec<_> = value.as_object().unwrap().iter().map(pair).collect();
            any_list(&pairs, shape)
        }
        _ => AnyValue::StringOwned(value.as_str().unwrap().into()),
    }
}

fn any_list(items: &[AnyValue<'static>], shape: Shape) -> AnyValue<'static> {
    let dtype = struct_dtype(shape);
    AnyValue::List(Series::from_any_values_and_dtype("".into(), items, &dtype, true).unwrap())
}

fn any_struct(value: &Value, shape: Shape) -> AnyValue<'static> {
    let fields = fields(shape);
    let values = fields.iter().map(|(name, shape)| any(&value[name], *shape)).collect();
    let fields = fields.into_iter().map(|(name, shape)| Field::new(name.into(), dtype(shape)));
    AnyValue::StructOwned(Box::new((values, fields.collect())))
}
