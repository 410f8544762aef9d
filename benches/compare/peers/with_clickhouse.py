"""ClickHouse, as chdb: its JSON reader is given the type of a record and fills columns directly.

JSONExtract over whole lines takes as long; one JSONExtract a column takes 1.7 times as long. The
files hold the account as a column as well: what a partition is made of must be one.
"""

from columns import COLUMNS

PACKAGE = "chdb"


def sql(job):
    record = ", ".join(f"{name} Nullable(String)" for name in COLUMNS)
    columns = ",\n  ".join(f"record.{name} AS {name.lower()}" for name in COLUMNS)
    return f"""
INSERT INTO FUNCTION file('{job.out}/{{_partition_id}}/part.parquet', 'Parquet')
PARTITION BY concat(
  'account=', account,
  '/region=', assumeNotNull(awsregion),
  '/event_date=', substring(assumeNotNull(eventtime), 1, 10))
SELECT
  {columns},
  ifNull(recipientaccountid, substring(_file, 1, 12)) AS account
FROM (
  SELECT arrayJoin(Records) AS record, _file
  FROM file('{job.corpus}/**/*.json.gz', 'JSONEachRow', 'Records Array(Tuple({record}))')
)
SETTINGS
  max_threads = {job.threads},
  max_partitions_per_insert_block = 0,
  input_format_json_named_tuples_as_objects = 1,
  input_format_json_ignore_unknown_keys_in_named_tuple = 1,
  input_format_json_defaults_for_missing_elements_in_named_tuple = 1,
  input_format_json_read_objects_as_strings = 1,
  input_format_json_read_arrays_as_strings = 1,
  input_format_json_read_bools_as_strings = 1,
  input_format_json_read_numbers_as_strings = 1,
  output_format_parquet_compression_method = 'zstd',
  output_format_compression_level = 1
"""


def shown(job):
    return sql(job)


def start(job):
    import chdb

    return chdb.connect(":memory:")


def convert(engine, job):
    engine.query(sql(job))


def stop(engine):
    engine.close()
