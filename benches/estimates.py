"""Whether the planner knows how many rows a scan will return."""

from collections.abc import Iterator
from typing import Any

import psycopg

from sql import scalar

# Fewer rows than this decide nothing about a plan.
FEW = 100


def worst(conn: psycopg.Connection, query: str) -> tuple[float, str]:
    """The factor by which the worst estimate of a scan is off, and what it says of which scan."""
    plan = scalar(conn, f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) {query}")[0]["Plan"]
    found = [(factor(estimated, actual), f"{name}: {estimated:.0f} estimated, {actual:.0f} found") for name, estimated, actual in scans(plan)]
    return max(found, default=(1.0, "no scan"))


def factor(estimated: float, actual: float) -> float:
    estimated, actual = max(estimated, FEW), max(actual, FEW)
    return max(estimated / actual, actual / estimated)


def scans(node: dict[str, Any], workers: int = 0, limited: bool = False) -> Iterator[tuple[str, float, float]]:
    """Names of the scans below a node, with the rows estimated and found in all loops; but for those that a LIMIT may end early."""
    kind = node["Node Type"]
    workers = node.get("Workers Planned", workers)
    # A node that needs all rows before it returns the first is not ended early.
    limited = kind == "Limit" or (limited and kind not in ("Sort", "Aggregate", "Hash"))
    inner = [child for child in node.get("Plans", []) if "Bitmap" not in child["Node Type"]]
    if not inner and kind.endswith("Scan") and node["Actual Loops"] and not limited:
        loops = node["Actual Loops"]
        # Of a parallel scan the estimate is that for a worker, of whom the leader counts for what is left to it.
        estimated_loops = workers + max(0.0, 1 - 0.3 * workers) if node.get("Parallel Aware") else loops
        name = node.get("Custom Plan Provider", kind) + (f" of {node['Relation Name']}" if "Relation Name" in node else "")
        yield name, node["Plan Rows"] * estimated_loops, node["Actual Rows"] * loops
    for child in inner:
        yield from scans(child, workers, limited)
