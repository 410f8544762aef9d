"""The examples of docs/cost.md, computed from the prices of the page. `ArrayCost` (src/operations/array_cost.rs) has its
part of it as well; test_cost.py holds both to each other."""

import math
import re
from dataclasses import dataclass

NIGHTS = 365 / 12
# As the program has them.
SPEED, REQUEST_WEIGHT, UNIT = 75e6, 64 << 10, 64e6
# What Parquet is of the JSON with the default columns, and what Spark converts in a second of a vCPU: docs/benchmarks.md.
PARQUET, SPARK = 0.173, 10.5e6


@dataclass
class Example:
    name: str
    json: float
    objects: int
    pairs: int
    """Accounts times the regions that are used."""
    children: int


EXAMPLES = [
    Example("100 accounts, 50 GB a day", 50e9, 100_000, 500, 4),
    Example("400 accounts, 1 TB a day", 1e12, 1_000_000, 4000, 32),
]


def prices(page):
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| \$([\d.]+) \|", page, re.M)
    return {name: float(price) for name, price in rows}


def array(p, units, objects, files, weight, children, is_typed=True, vcpus=2, memory=4):
    """What `plan show` computes: vCPU-hours, PUT and GET requests, dollars."""
    hours = weight / SPEED / 3600
    puts = (3 if is_typed else 2) * files + 4 * units
    gets = objects + 2 * units + 10 * children
    dollars = hours * (p["vcpu"] + p["memory"] * memory / vcpus) + puts * p["put"] / 1000 + gets * p["get"] / 1000
    return hours, puts, gets, dollars


def month(p, example):
    """Dollars a month, by what they are for."""
    units = math.ceil(example.json / UNIT)
    # A pair of account and region has records of two days in a night, and a unit begins a file of its own.
    files = 2 * example.pairs + units
    weight = example.json + (example.objects + 2 * files) * REQUEST_WEIGHT
    hours, puts, gets, _ = array(p, units, example.objects, files, weight, example.children)
    # A child and plan take a minute to start; plan and finish run for five.
    minutes = example.children + 2 + 2 * 5
    hours += minutes * 2 / 60
    lists = 35 * example.objects / 1000
    stored = example.json * 365 * PARQUET / 1e9
    glue = math.ceil(2 * 2 * example.pairs / 100) + 100
    return {
        "compute": (f"{hours:.2f} vCPU-hours a night, 2 GiB each", NIGHTS * hours * (p["vcpu"] + 2 * p["memory"])),
        "GET requests": (f"{gets:,} a night", NIGHTS * gets * p["get"] / 1000),
        "PUT requests": (f"{puts:,} a night", NIGHTS * puts * p["put"] / 1000),
        "LIST requests": (f"{lists:,.0f} a night: 35 days, 1,000 keys each", NIGHTS * lists * p["put"] / 1000),
        "Glue requests": (f"{glue:,} a night", NIGHTS * glue * p["glue_request"] / 1e6),
        "log and metrics": (
            f"15 metrics in 2 of 24 hours, {units / 1000:.1f} MB of log a night",
            15 * p["metric"] * 2 / 24 + NIGHTS * units * 1e-6 * p["log"],
        ),
        "alarms": ("6, with 8 metrics; a watch has 4 more", 8 * p["alarm"]),
        "storage after a year": (f"{stored:,.0f} GB", stored * p["standard"]),
        "the same, over 60 days old in GLACIER_IR": (
            "", stored * (60 * p["standard"] + 305 * p["glacier_ir"]) / 365,
        ),
    }


def others(p, example):
    """What else could be paid in a month: CloudTrail Lake, and the conversion as a Glue job."""
    gigabytes = example.json * NIGHTS / 1e9
    tiers = ((5_000, p["lake_7_first"]), (20_000, p["lake_7_next"]), (math.inf, p["lake_7_rest"]))
    left, seven = gigabytes, 0.0
    for size, price in tiers:
        seven += min(left, size) * price
        left -= min(left, size)
    dpu_hours = example.json / SPARK / 4 / 3600
    return {
        "CloudTrail Lake, one year": (f"{gigabytes:,.0f} GB ingested", gigabytes * p["lake_1"]),
        "CloudTrail Lake, seven years": ("the same", seven),
        "the conversion as a Glue job": (f"{dpu_hours:.2f} DPU-hours a night", NIGHTS * dpu_hours * p["dpu"]),
    }


def table(p, example):
    lines = [f"### {example.name}", ""]
    lines.append(
        f"{example.json / 1e9:,.0f} GB of JSON in {example.objects:,} objects, {example.pairs:,} pairs of account and"
        f" region, {example.children} children, each night."
    )
    lines += ["", "| | | a month |", "|---|---|--:|"]
    for name, (what, dollars) in (month(p, example) | others(p, example)).items():
        lines.append(f"| {name} | {what} | ${dollars:,.2f} |")
    return "\n".join(lines)


def section(page):
    return "\n\n".join(table(prices(page), example) for example in EXAMPLES)
