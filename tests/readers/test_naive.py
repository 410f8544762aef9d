"""The line that a newcomer types first, in each tool, on the folder of the main table as it is.

It must give every row and every column, whatever the layout. Tools that are not installed are skipped by
name: Daft, whose wheel is larger than all others together, and Spark without Java. The recipes of
docs/queries.md are run as they stand there.
"""

import re
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from contract import EVENT_COLUMNS, PLACES

NAMES = {name for name, _, _ in EVENT_COLUMNS} | set(PLACES)


QUERIES = (Path(__file__).resolve().parents[2] / "docs/queries.md").read_text()


@pytest.fixture(scope="module", params=["default", "sample"])
def table(request):
    return str(request.getfixturevalue(request.param).path / "cloudtrail")


@pytest.fixture(scope="module")
def rows(sample):
    return sample.report["rows_by_table"]["cloudtrail"]


@pytest.fixture(scope="module")
def denied(sample):
    """How many calls were denied: one filter, on a plain column."""
    return sum(event.get("errorCode") == "AccessDenied" for event in sample.events)


def test_duckdb(table, rows, denied):
    found = duckdb.sql(f"SELECT * FROM '{table}/**/*.parquet'")
    assert set(found.columns) == NAMES
    assert found.to_arrow_table().num_rows == rows
    assert found.filter("errorcode = 'AccessDenied'").count("*").fetchall() == [(denied,)]


def test_duckdb_by_hive_partitions(table, rows):
    found = duckdb.sql(f"SELECT * FROM read_parquet('{table}/*/**/*.parquet', hive_partitioning = true)")
    assert set(found.columns) == NAMES
    assert found.to_arrow_table().num_rows == rows


def test_duckdb_by_name(table, rows):
    found = duckdb.sql(f"SELECT * FROM read_parquet('{table}/**/*.parquet', union_by_name = true)")
    assert set(found.columns) == NAMES
    assert found.to_arrow_table().num_rows == rows


def test_polars_scan(table, rows, denied):
    found = pl.scan_parquet(table)
    assert set(found.collect_schema().names()) == NAMES
    assert found.collect().height == rows
    assert found.filter(pl.col("errorcode") == "AccessDenied").select(pl.len()).collect().item() == denied


def test_polars_read(table, rows):
    assert pl.read_parquet(table).height == rows


def test_pyarrow_dataset(table, rows, denied):
    found = ds.dataset(table, partitioning="hive")
    assert set(found.schema.names) == NAMES
    assert found.to_table().num_rows == rows
    assert found.count_rows(filter=ds.field("errorcode") == "AccessDenied") == denied


def test_pyarrow_table(table, rows):
    found = pq.read_table(table)
    assert (found.num_rows, set(found.column_names)) == (rows, NAMES)


def test_pandas(table, rows, denied):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    found = pandas.read_parquet(table)
    assert (len(found), set(found.columns)) == (rows, NAMES)
    assert (found.errorcode == "AccessDenied").sum() == denied


@pytest.fixture
def in_bucket(table, monkeypatch):
    """The table in a bucket of its own, for awswrangler, which reads nothing else."""
    wrangler = pytest.importorskip("awswrangler", reason="awswrangler is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=url)
        # Servers of one process share what they hold.
        bucket = "lake-" + str(abs(hash(table)))
        client.create_bucket(Bucket=bucket)
        for file in ds.dataset(table, partitioning="hive").files:
            client.upload_file(file, bucket, f"cloudtrail{file.removeprefix(table)}")
        monkeypatch.setattr(wrangler.config, "s3_endpoint_url", url)
        yield f"s3://{bucket}"
    finally:
        server.stop()


def test_awswrangler(in_bucket, rows):
    import awswrangler

    found = awswrangler.s3.read_parquet(f"{in_bucket}/cloudtrail/", dataset=True)
    assert (len(found), set(found.columns)) == (rows, NAMES)


def test_dask(table, rows, denied):
    dask = pytest.importorskip("dask.dataframe", reason="Dask is not installed")
    found = dask.read_parquet(table)
    assert (len(found), set(found.columns)) == (rows, NAMES)
    assert int((found.errorcode == "AccessDenied").sum().compute()) == denied


def recipe(tool, table):
    """Runs the recipe of a tool in docs/queries.md; returns what it leaves behind."""
    blocks = re.findall(r"```python\n(.*?)```", QUERIES, re.S)
    (text,) = [block for block in blocks if block.startswith(f"# {tool}")]
    left = {}
    exec(re.sub(r"(s3://bucket/)?lake/cloudtrail", table, text), left)
    return left


@pytest.fixture(scope="module")
def logins(sample):
    """Logins to the console since the day that the recipes name, by account."""
    found = {}
    for event in sample.events:
        if event["eventName"] == "ConsoleLogin" and event["eventTime"] >= "2026-10-25":
            account = event.get("recipientAccountId") or event["userIdentity"]["accountId"]
            found[account] = found.get(account, 0) + 1
    return found


@pytest.mark.parametrize("tool", ["pandas", "dask"])
def test_recipes_of_folders_give_what_the_source_has(tool, table, logins):
    pytest.importorskip(tool, reason=f"{tool} is not installed")

    found = recipe(tool, table)["logins"]

    assert {str(account): int(count) for account, count in found.items() if count} == logins


def test_the_recipe_of_awswrangler_gives_what_the_source_has(in_bucket, logins):
    found = recipe("awswrangler", f"{in_bucket}/cloudtrail")["logins"]

    assert {str(account): int(count) for account, count in found.items() if count} == logins


def test_the_recipe_of_daft_gives_what_the_source_has(table, logins):
    pytest.importorskip("daft", reason="Daft is not installed")

    found = recipe("Daft", table)["logins"]

    assert dict(zip(found["account"], found["eventid"])) == logins


def test_daft(table, rows, denied):
    daft = pytest.importorskip("daft", reason="Daft is not installed")
    found = daft.read_parquet(f"{table}/**/*.parquet", hive_partitioning=True)
    assert set(found.column_names) == NAMES
    assert found.count_rows() == rows
    assert found.where(daft.col("errorcode") == "AccessDenied").count_rows() == denied


def test_spark(spark, table, rows, denied):
    found = spark.read.parquet(table)
    assert set(found.columns) == NAMES
    assert len(found.collect()) == rows
    assert found.where("errorcode = 'AccessDenied'").count() == denied
