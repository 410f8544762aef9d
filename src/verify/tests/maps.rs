//! A MAP column as the lake's files hold it: polars reads it, but only polars-parquet's low-level
//! writer makes one, from a list of structs whose levels fit the file schema's MAP.

use super::fixture::Fixture;
use crate::verify::contract::{Family, Folder};
use crate::verify::cut::Place;
use crate::verify::expected::Rules;
use crate::verify::files::DataFile;
use crate::verify::row::Row;
use crate::verify::{data_files, expected};
use polars::prelude::*;
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::write::{
    CompressionOptions, Compressor, DynIter, DynStreamingIterator, Encoding,
    FallibleStreamingIterator, FileWriter, SchemaDescriptor, StatisticsOptions, Version,
    WriteOptions, array_to_columns,
};
use std::fs::File;
use std::path::Path;

fn schema(attributes: &str) -> SchemaDescriptor {
    SchemaDescriptor::try_from_message(&format!(
        "message root {{ optional group useridentity {{ optional group sessioncontext {{
            optional group webidfederationdata {{ {attributes} }} }} }} }}"
    ))
    .unwrap()
}

const MAP: &str = "optional group attributes (MAP) { repeated group key_value {
    required binary key (UTF8); optional binary value (UTF8); } }";
const LIST: &str = "optional group attributes (LIST) { repeated group list {
    required group element { required binary key (UTF8); optional binary value (UTF8); } } }";

fn write_map(path: &Path, column: &Series) {
    let options = WriteOptions {
        statistics: StatisticsOptions::empty(),
        version: Version::V1,
        compression: CompressionOptions::Uncompressed,
        data_page_size: None,
    };
    let array = column.rechunk().chunks()[0].clone();
    let levels = schema(LIST).fields()[0].clone();
    let columns = array_to_columns(array, levels, options, &[Encoding::Plain; 2]).unwrap();
    let columns: Vec<_> = columns
        .into_iter()
        .map(|pages| {
            let pages = DynIter::new(pages.map(|page| Ok::<_, ParquetError>(page.unwrap())));
            let pages = Compressor::new(pages, options.compression, Vec::new());
            Ok(DynStreamingIterator::new(pages.map_err(PolarsError::from)))
        })
        .collect();
    let file = File::create(path).unwrap();
    let mut writer =
        FileWriter::new_with_parquet_schema(file, ArrowSchema::default(), schema(MAP), options);
    writer.write(column.len() as u64, DynIter::new(columns.into_iter())).unwrap();
    writer.end(Some(Vec::new())).unwrap();
}

#[test]
fn a_map_in_the_file_reads_as_the_pairs_of_the_source() {
    let text = r#"{"eventID":"a","userIdentity":{"sessionContext":{"webIdFederationData":
        {"attributes":{"b:x": "2", "a": 1.50, "n": null}}}}}"#;
    let mut row = Row::default();
    let rules = Rules { folder: Folder::Silent, is_utc: false, without_digests: false };
    expected::expect(text.as_bytes(), Place::Enveloped, rules, &mut row);
    let expected = row.column_hashes()[1];
    let pairs =
        df!("key" => ["a", "b:x", "n"], "value" => [Some("1.50"), Some("2"), None]).unwrap();
    let pairs = pairs.into_struct("".into()).into_series();
    let mut column = Series::new("attributes".into(), [pairs]);
    for name in ["webidfederationdata", "sessioncontext", "useridentity"] {
        column = StructChunked::from_series(name.into(), 1, [column].iter()).unwrap().into_series();
    }
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path("lake/cloudtrail")).unwrap();
    write_map(&fixture.path("lake/cloudtrail/m.parquet"), &column);

    let files =
        data_files::list(&fixture.path("lake").into(), "cloudtrail", data_files::Table::Main, None)
            .unwrap();
    let path = fixture.path("lake/cloudtrail/m.parquet");
    let data = DataFile::Path(&path);
    let reading = data_files::read(&files[0], &data, |hashes: &mut Vec<u64>, row, _| {
        hashes.push(row.column_hashes()[1]);
    });

    assert_eq!(files[0].family, Family::Events);
    assert_eq!(reading.groups, [[expected]]);
    assert!(!reading.problems.iter().flatten().any(|column| column.contains("useridentity")));
}
