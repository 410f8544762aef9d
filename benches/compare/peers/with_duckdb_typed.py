"""DuckDB, as most people write it: `read_json` is given the type of the whole envelope."""

from columns import COLUMNS

from peers import with_duckdb
from peers.with_duckdb import PACKAGE, start, stop

__all__ = ["PACKAGE", "convert", "shown", "start", "stop"]


def sql(job):
    fields = ", ".join(f'"{name}" VARCHAR' for name in COLUMNS)
    return with_duckdb.copy(
        f"""
    SELECT unnest(Records) AS record, filename
    FROM read_json('{job.corpus}/**/*.json.gz', format = 'auto',
      columns = {{'Records': 'STRUCT({fields})[]'}},
      {with_duckdb.options(job)})
  """,
        job,
    )


def shown(job):
    return with_duckdb.shown(job, sql)


def convert(engine, job):
    engine.execute(sql(job))
