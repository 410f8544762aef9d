"""The typed table in Polars and pyarrow, in the words of the docs.

A file of it has only the inferred members that it holds values for, so these two, which take the schema
of the first file for all of them, are given the joined one. SQL engines get it from the catalog.
"""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def buckets(lake):
    """How often each bucket is named in requestParameters, by the rows as pyarrow reads them."""
    counted = {}
    for (table, _, _), row in zip(lake.rows, lake.typed_rows):
        name = (row.get("request") or {}).get("bucketname") if table == "cloudtrail" else None
        if name is not None:
            counted[name] = counted.get(name, 0) + 1
    return counted


def accounts(lake):
    return {partition["account"] for table, partition, _ in lake.rows if table == "cloudtrail"}


def test_pyarrow(sample):
    keys = pa.schema([("account", "string"), ("region", "string"), ("event_date", "string")])
    table = sample.path / "cloudtrail_typed"
    joined = pa.unify_schemas([keys, *(pq.read_schema(f) for f in table.rglob("*.parquet"))])
    events = ds.dataset(table, schema=joined, partitioning=ds.partitioning(keys, flavor="hive"))

    found = events.to_table(columns={"bucket": ds.field("request", "bucketname")})
    counted = {row["values"]: row["counts"] for row in found["bucket"].value_counts().to_pylist()}
    counted.pop(None, None)

    assert len(buckets(sample)) > 10
    assert counted == buckets(sample)
    assert events.count_rows() == sample.report["rows_by_table"]["cloudtrail"]
    assert set(events.to_table(columns=["account"])["account"].to_pylist()) == accounts(sample)


def test_polars(sample):
    files = sorted(Path(sample.path / "cloudtrail_typed").rglob("*.parquet"))
    joined = pa.unify_schemas([pq.read_schema(file) for file in files])
    events = pl.scan_parquet(
        files,
        schema=pl.DataFrame(joined.empty_table()).schema,
        hive_schema={"account": pl.String, "region": pl.String, "event_date": pl.String},
        missing_columns="insert",
        cast_options=pl.ScanCastOptions(missing_struct_fields="insert"),
    )

    found = (
        events.select(bucket=pl.col("request").struct.field("bucketname"))
        .drop_nulls()
        .collect()
        .group_by("bucket")
        .len()
    )

    assert dict(found.iter_rows()) == buckets(sample)
    assert events.select(pl.len()).collect().item() == sample.report["rows_by_table"]["cloudtrail"]
    assert set(events.select("account").unique().collect()["account"]) == accounts(sample)
