"""Bloom filters, read as the format says with XXH64 of another library.

https://github.com/apache/parquet-format/blob/master/BloomFilter.md. DuckDB's own `parquet_bloom_probe` finds no
filter behind a nested column, in files of pyarrow either (DuckDB 2.0.0 and 2.0.1), so it cannot be the judge.
"""

import struct

import duckdb
import pyarrow.parquet as pq
import pytest
import xxhash

SALT = [0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31]
COLUMNS = {"eventid", "requestid", "sourceipaddress", "s3_key", "useridentity.accesskeyid", "useridentity.arn"}


class Filter:
    def __init__(self, body):
        # A header in Thrift, of which the bits are the rest: a power of two bytes.
        size = 1 << ((len(body) - 1).bit_length() - 1)
        self.bits = body[-size:]

    def may_have(self, text):
        hash = xxhash.xxh64_intdigest(text.encode())
        block = ((hash >> 32) * (len(self.bits) // 32)) >> 32
        words = struct.unpack_from("<8I", self.bits, block * 32)
        return all(
            word >> ((((hash & 0xFFFFFFFF) * salt) & 0xFFFFFFFF) >> 27) & 1 for word, salt in zip(words, SALT)
        )


def filters(path):
    """The filters of the first row group, by column."""
    ask = f"""SELECT path_in_schema, bloom_filter_offset, bloom_filter_length FROM parquet_metadata('{path}')
              WHERE row_group_id = 0 AND bloom_filter_offset IS NOT NULL"""
    body = path.read_bytes()
    found = duckdb.connect().execute(ask).fetchall()
    return {name.replace(", ", "."): Filter(body[start : start + size]) for name, start, size in found}


@pytest.fixture(scope="module")
def largest(sample):
    return max(sample.path.glob("cloudtrail/**/*.parquet"), key=lambda path: path.stat().st_size)


def values(path, column):
    table = pq.ParquetFile(path).read_row_group(0, columns=[column])
    for part in column.split("."):
        table = table.column(part).combine_chunks() if part in getattr(table, "column_names", []) else table.field(part)
    return [text for text in table.to_pylist() if text is not None]


def test_filters_have_every_value_and_few_others(largest):
    found = filters(largest)

    assert "eventid" in found and set(found) - {"sharedeventid", "useridentity.principalid"} <= COLUMNS
    for column, filter in found.items():
        there = values(largest, column)
        assert there and all(map(filter.may_have, there)), column
        wrong = sum(filter.may_have(f"absent-{number}") for number in range(5000))
        assert wrong < 5000 * 0.02, f"{column}: {wrong} of 5,000 values that are not there pass"
