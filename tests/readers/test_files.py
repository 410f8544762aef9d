"""Every file by itself: columns, types, footer."""

import re

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from contract import CONTRACT_LENGTH, EVENT_COLUMNS, MAIN, TABLES, column_type, columns_of

CREATED_BY = re.compile(r"^(\S+) version (\d+\.\d+\.\d+)(\S*) \(build (.+)\)$")


def test_every_row_of_the_report_is_in_the_files(lake):
    counted = {}
    for file, table in lake.files:
        counted[table] = counted.get(table, 0) + pq.read_metadata(file).num_rows

    assert counted == lake.report["rows_by_table"]
    assert len(lake.files) == lake.report["files"]
    assert sum(file.stat().st_size for file, _ in lake.files) == lake.report["bytes_parquet"]


def test_columns_have_their_names_types_and_order(lake):
    assert [name for name, _, _ in EVENT_COLUMNS][CONTRACT_LENGTH - 1] == "tlsdetails"
    for file, table in lake.files:
        schema = pq.read_schema(file)
        columns = columns_of(table, keys_of(lake, file))
        names = [name for name, kind, _ in columns if kind != "nested" or name in schema.names]
        assert schema.names == names, file
        for name, kind, _ in columns:
            wanted = column_type(name, kind)
            if wanted is not None:
                assert schema.field(name).type == wanted, (file, name)
            elif name in schema.names:
                assert pa.types.is_struct(schema.field(name).type), (file, name)


def keys_of(lake, file):
    """The partition keys of a file's path."""
    return [part.split("=")[0] for part in file.relative_to(lake.path).parts[1:-1]]


def test_main_tables_have_one_schema(lake):
    schemas = {}
    for file, table in lake.files:
        schemas.setdefault(table, []).append(pq.read_schema(file).remove_metadata())
    for table in MAIN:
        for schema in schemas.get(table, []):
            assert schema.equals(schemas[table][0]), table


def test_footers_say_who_wrote_them_and_how_to_prune(lake):
    codecs = set()
    for file, table in lake.files:
        metadata = pq.read_metadata(file)
        # Readers decide by name and version which bugs of a writer to work around.
        assert CREATED_BY.match(metadata.created_by), metadata.created_by
        assert metadata.created_by.startswith("trailmill version ")
        keys = {key.decode() for key in metadata.metadata}
        assert {"trailmill.version", "trailmill.unit", "trailmill.sorted_by"} <= keys
        assert "trailmill.schema_version" in keys
        assert metadata.metadata.get(b"trailmill.typed") == (b"true" if table in MAIN else None)
        # A stored Arrow schema would win over the Parquet one in pyarrow, with its own types.
        assert "ARROW:schema" not in keys
        assert metadata.num_row_groups >= 1 and metadata.num_rows > 0
        for group in range(metadata.num_row_groups):
            for i in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(i)
                codecs.add(chunk.compression)
                assert chunk.is_stats_set, (file, chunk.path_in_schema)
                assert chunk.statistics.has_null_count, (file, chunk.path_in_schema)
                if chunk.statistics.num_values and "." not in chunk.path_in_schema:
                    assert chunk.statistics.has_min_max, (file, chunk.path_in_schema)
                # The index of a single page says no more than the chunk's own statistics.
                if chunk.total_uncompressed_size > 1 << 20:
                    assert chunk.has_column_index and chunk.has_offset_index, chunk.path_in_schema
    # Chunks of a few bytes are stored as they are.
    assert codecs == {"ZSTD", "UNCOMPRESSED"}


def test_statistics_hold(lake):
    for file, _ in lake.files:
        data = pq.ParquetFile(file)
        for group in range(data.metadata.num_row_groups):
            rows = data.read_row_group(group)
            columns = {
                data.metadata.row_group(group).column(i).path_in_schema: data.metadata.row_group(
                    group
                ).column(i)
                for i in range(data.metadata.num_columns)
            }
            for name in rows.column_names:
                chunk = columns.get(name)
                if chunk is None:
                    continue
                values = rows.column(name)
                assert chunk.statistics.null_count == values.null_count, (file, name)
                if not chunk.statistics.has_min_max:
                    continue
                for value in values.drop_null().to_pylist():
                    low, high = chunk.statistics.min, chunk.statistics.max
                    if isinstance(value, str):
                        value, low, high = value.encode(), as_bytes(low), as_bytes(high)
                    assert low <= value <= high, (file, name)


def as_bytes(bound):
    return bound.encode() if isinstance(bound, str) else bound


def test_paths_are_hive_style_and_lower_case(lake):
    part = re.compile(r"^[a-z_]+=[A-Za-z0-9][A-Za-z0-9.-]*$")
    for file, table in lake.files:
        *partitions, name = file.relative_to(lake.path).parts[1:]
        assert table in TABLES
        assert keys_of(lake, file) == lake.keys
        assert all(part.match(p) for p in partitions), file
        assert re.match(r"^part-[0-9a-z-]+\.parquet$", name)


def test_nothing_else_lies_where_engines_look(lake):
    for found in lake.path.rglob("*"):
        if found.is_file() and found.suffix != ".parquet":
            assert found.relative_to(lake.path).parts[0] == "_trailmill", found


def test_duckdb_reads_every_file_as_pyarrow_does(lake):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for file, table in lake.files:
        mine = pq.ParquetFile(file).read()
        query = f"SELECT * FROM read_parquet('{file}', hive_partitioning = false)"
        found = connection.sql(query).to_arrow_table()
        assert found.column_names == mine.column_names
        found = found.to_pylist(maps_as_pydicts=None)
        assert [plain(r) for r in found] == [plain(r) for r in mine.to_pylist()], file


def test_polars_reads_every_file_as_pyarrow_does(lake):
    for file, table in lake.files:
        mine = pq.ParquetFile(file).read()
        found = pl.read_parquet(file, hive_partitioning=False)
        assert found.columns == mine.column_names
        # Polars hands out maps as dicts.
        rows = mine.to_pylist(maps_as_pydicts="strict")
        assert [plain(r) for r in found.to_dicts()] == [plain(r) for r in rows], file
        assert found.schema["event_timestamp"] == pl.Datetime("ms", "UTC")


def plain(value):
    """One spelling of what readers hand out differently: maps as pairs or as key and value."""
    if isinstance(value, dict):
        if set(value) == {"key", "value"}:
            return (value["key"], value["value"])
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(member) for member in value]
        return tuple(items) if isinstance(value, tuple) else items
    if hasattr(value, "timestamp"):
        return value.timestamp()
    return value


def test_maps_read_as_maps(sample):
    attributes = []
    for file in sample.files_of("cloudtrail"):
        for row in pq.ParquetFile(file).read().to_pylist(maps_as_pydicts="strict"):
            session = (row["useridentity"] or {}).get("sessioncontext") or {}
            web = session.get("webidfederationdata") or {}
            if web.get("attributes"):
                attributes.append(web["attributes"])

    assert attributes
    assert all(isinstance(k, str) and isinstance(v, str) for a in attributes for k, v in a.items())
