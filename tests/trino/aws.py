"""moto's server, with what Trino asks of Glue and moto lacks. Each function fills one gap.

Run as a program; it takes the arguments of `moto_server`.
"""

import sys

from moto.core.responses import ActionResult
from moto.glue.models import FakeTable
from moto.glue.responses import GlueResponse
from moto.server import main


def get_partitions(self):
    """moto returns all partitions at once, and all of them again for every segment."""
    wanted = self.parameters
    found = self.glue_backend.get_partitions(
        wanted.get("DatabaseName"), wanted.get("TableName"), wanted.get("Expression")
    )
    segment = wanted.get("Segment") or {"SegmentNumber": 0, "TotalSegments": 1}
    found = found[segment["SegmentNumber"] :: segment["TotalSegments"]]
    first = int(wanted.get("NextToken") or 0)
    after = first + (wanted.get("MaxResults") or 1000)
    answer = {"Partitions": [partition.as_dict() for partition in found[first:after]]}
    if after < len(found):
        answer["NextToken"] = str(after)
    return ActionResult(answer)


def batch_get_partition(self):
    """moto leaves out UnprocessedKeys; Glue sends an empty list, and Trino fails without."""
    wanted = self.parameters
    found = self.glue_backend.batch_get_partition(
        wanted.get("DatabaseName"), wanted.get("TableName"), wanted.get("PartitionsToGet")
    )
    return ActionResult({"Partitions": found, "UnprocessedKeys": []})


def no_statistics(self):
    """moto knows no column statistics of partitions; nobody has made any here."""
    return ActionResult({"ColumnStatisticsList": [], "Errors": []})


def table_as_dict(table, as_dict=FakeTable.as_dict, **options):
    """moto leaves NumberOfBuckets out of a view's storage; Glue sends 0, and Trino fails without."""
    answer = as_dict(table, **options)
    answer["StorageDescriptor"] = {"NumberOfBuckets": 0, **(answer.get("StorageDescriptor") or {})}
    return answer


if __name__ == "__main__":
    GlueResponse.get_partitions = get_partitions
    GlueResponse.batch_get_partition = batch_get_partition
    GlueResponse.get_column_statistics_for_table = no_statistics
    GlueResponse.get_column_statistics_for_partition = no_statistics
    FakeTable.as_dict = table_as_dict
    main(sys.argv[1:])
