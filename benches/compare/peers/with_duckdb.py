"""DuckDB: each object is one JSON value; its records are taken out as JSON and cast to a struct.

`with_duckdb_typed` is how most people write it, and slower.
"""

import json

from columns import COLUMNS

PACKAGE = "duckdb"


def copy(records, job):
    """Writes what `records` yields: a struct `record` and its `filename`."""
    columns = ",\n    ".join(f'record."{name}" AS {name.lower()}' for name in COLUMNS)
    return f"""
COPY (
  SELECT
    {columns},
    coalesce(recipientaccountid, parse_filename(filename)[:12]) AS account,
    awsregion AS region,
    eventtime[:10] AS event_date
  FROM ({records})
) TO '{job.out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1,
  PARTITION_BY (account, region, event_date))
"""


def options(job):
    """What both ways say of the objects."""
    return f"compression = 'gzip', maximum_object_size = {job.largest + 1024}, filename = true"


def sql(job):
    struct = json.dumps(dict.fromkeys(COLUMNS, "VARCHAR"))
    return copy(
        f"""
    SELECT from_json(record, '{struct}') AS record, filename
    FROM (
      SELECT unnest(json_extract(json, '$.Records[*]')) AS record, filename
      FROM read_json_objects('{job.corpus}/**/*.json.gz', format = 'unstructured',
        {options(job)})
    )
  """,
        job,
    )


def shown(job, sql=sql):
    return f"SET threads = {job.threads};\nSET preserve_insertion_order = false;{sql(job)}"


def start(job):
    import duckdb

    engine = duckdb.connect()
    engine.execute(f"SET threads = {job.threads}")
    engine.execute("SET preserve_insertion_order = false")
    return engine


def convert(engine, job):
    engine.execute(sql(job))


def stop(engine):
    engine.close()
