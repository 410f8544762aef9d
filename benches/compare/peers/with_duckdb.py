"""DuckDB: each object is one JSON value; its records are taken out as JSON and cast to a struct.

Given the envelope's whole type at once (`columns = {'Records': 'STRUCT(…)[]'}`) it is 3 times slower.
"""

import json

from columns import COLUMNS

PACKAGE = "duckdb"


def sql(job):
    struct = json.dumps(dict.fromkeys(COLUMNS, "VARCHAR"))
    columns = ",\n    ".join(f'record."{name}" AS {name.lower()}' for name in COLUMNS)
    return f"""
COPY (
  SELECT
    {columns},
    coalesce(recipientaccountid, parse_filename(filename)[:12]) AS account,
    awsregion AS region,
    eventtime[:10] AS event_date
  FROM (
    SELECT from_json(record, '{struct}') AS record, filename
    FROM (
      SELECT unnest(json_extract(json, '$.Records[*]')) AS record, filename
      FROM read_json_objects('{job.corpus}/**/*.json.gz', format = 'unstructured',
        compression = 'gzip', maximum_object_size = {job.largest + 1024}, filename = true)
    )
  )
) TO '{job.out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1,
  PARTITION_BY (account, region, event_date))
"""


def shown(job):
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
