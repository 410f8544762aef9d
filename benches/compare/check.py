"""What a tool has written: rows, and the facts that `corpus.truth` found in the source."""

from pathlib import Path

PARTITIONS = "account, region, event_date"
MISPLACED = "recipientaccountid <> account OR awsregion <> region OR eventtime[:10] <> event_date"


def written(folder):
    """Bytes and number of the Parquet files below a folder."""
    sizes = [path.stat().st_size for path in Path(folder).rglob("*.parquet")]
    return sum(sizes), len(sizes)


def rows(folder):
    """Rows by the footers."""
    return query(folder, "count(*)")[0]


def facts(folder):
    """The same names and meanings as in `corpus.add`."""
    present = ("errorCode", "requestParameters", "responseElements", "userIdentity", "resources")
    letters = ("eventID", "eventName", "eventSource", "sourceIPAddress")
    wanted = {"rows": "count(*)"}
    wanted |= {f"with {name}": f"count({name})" for name in present}
    wanted |= {f"letters of {name}": f"sum(length({name}))" for name in letters}
    wanted["letters of userAgent"] = "sum(length(useragent)) FILTER (useragent NOT LIKE '[%')"
    wanted["seconds of eventTime"] = "sum(epoch(eventtime[:19]::TIMESTAMP))"
    wanted["partitions"] = f"count(DISTINCT ({PARTITIONS}))"
    wanted["misplaced"] = f"count(*) FILTER ({MISPLACED})"
    found = query(folder, ", ".join(wanted.values()))
    return {name: int(value or 0) for name, value in zip(wanted, found, strict=True)}


def query(folder, columns):
    import duckdb

    files = f"'{folder}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false"
    return duckdb.connect().execute(f"SELECT {columns} FROM read_parquet({files})").fetchone()


def differences(wanted, found):
    """One line for each fact that is not as it should be."""
    return [
        f"{name}: {found.get(name)}, should be {value}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
