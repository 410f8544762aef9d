"""Spark, in one process with a thread per core: text lines with a given schema.

Rows are shuffled by partition first: with a file per task and partition instead it takes up to 1.5
times the CPU time. Without Hadoop's native library it starts a `chmod` for every local file it writes.
"""

import inspect
import os

from columns import ACCOUNT_OF_NAME, COLUMNS, PARTITIONS

PACKAGE = "pyspark"
SETTINGS = {
    "spark.driver.memory": "4g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.hadoop.parquet.compression.codec.zstd.level": "1",
}


def shown(job):
    settings = "\n".join(f"# {name} = {value}" for name, value in SETTINGS.items())
    return f"# local[{job.threads}]\n{settings}\n{inspect.getsource(convert)}"


def start(job):
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{job.threads}]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    engine = builder.getOrCreate()
    engine.sparkContext.setLogLevel("ERROR")
    return engine


def convert(spark, job):
    from pyspark.sql import functions as F

    record = ", ".join(f"{name}: STRING" for name in COLUMNS)
    (
        spark.read.schema(f"Records ARRAY<STRUCT<{record}>>")
        .option("recursiveFileLookup", "true")
        .json(job.corpus)
        .select(F.inline("Records"), F.col("_metadata.file_name").alias("name"))
        .select(
            *(F.col(name).alias(name.lower()) for name in COLUMNS),
            F.coalesce("recipientAccountId", F.regexp_extract("name", f"^{ACCOUNT_OF_NAME}", 0)).alias(
                "account"
            ),
            F.col("awsRegion").alias("region"),
            F.substring("eventTime", 1, 10).alias("event_date"),
        )
        .repartition(4 * job.threads, *PARTITIONS)
        .write.partitionBy(*PARTITIONS)
        .parquet(job.out)
    )


def stop(engine):
    """Waits for the JVM too: its CPU time counts only once it has ended."""
    gateway = engine.sparkContext._gateway
    engine.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
