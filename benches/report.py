"""Results as a table on standard output and as docs/benchmarks.md."""

import itertools
import os
import platform
import re
import subprocess
from datetime import date
from pathlib import Path

from cluster import ROOT, SETTINGS, Cluster
from legs import COLUMNAR, HYPER_LEGS, NATIVE, PLAIN, WATCHED, Leg
from measure import Measurement
from sql import scalar

Sections = dict[str, list[Measurement]]
HEAD = ("what", "unit", "plain", "native", "hypertable", "to native", "quartiles", "CPU to native", "to plain", "goal", "reached")
COLUMNAR_HEAD = ("what", "unit", "plain", "compressed", "to plain", "quartiles", "goal", "reached", "later")
CAGG_HEAD = ("what", "unit", "compared with", "there", "here", "ratio", "quartiles", "CPU", "goal", "reached", "later")


def table(measurements: list[Measurement]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings, and a row for each measurement and each way of having a hypertable."""
    if any(COLUMNAR in m.legs for m in measurements):
        return COLUMNAR_HEAD, [columnar_row(m) for m in measurements]
    if any(WATCHED in m.legs for m in measurements):
        return CAGG_HEAD, [cagg_row(m) for m in measurements]
    return HEAD, [row(m, leg) for m in measurements for leg in HYPER_LEGS if leg in m.legs]


def columnar_row(m: Measurement) -> tuple[str, ...]:
    ratio = m.ratio(COLUMNAR, PLAIN)
    return (
        m.name,
        m.unit,
        number(m.shown(PLAIN)) if PLAIN in m.legs else "",
        number(m.shown(COLUMNAR)),
        f"{ratio[0]:.3g}" if ratio else "",
        quartiles(m, COLUMNAR, ratio),
        goal(m),
        reached(m, COLUMNAR),
        m.later,
    )


def cagg_row(m: Measurement) -> tuple[str, ...]:
    partner = m.legs[0] if len(m.legs) > 1 else None
    ratio, cpu = (m.ratio(WATCHED, partner), m.cpu_ratio(WATCHED, partner)) if partner else (None, None)
    return (
        m.name,
        m.unit,
        partner.title if partner else "",
        number(m.shown(partner)) if partner else "",
        number(m.shown(WATCHED)),
        f"{ratio[0]:.3g}" if ratio else "",
        f"{ratio[1]:.3g} to {ratio[2]:.3g}" if ratio and len(m.samples[WATCHED]) > 1 else "",
        f"{cpu:.3g}" if cpu else "",
        goal(m),
        reached(m, WATCHED),
        m.later,
    )


def row(m: Measurement, leg: Leg) -> tuple[str, ...]:
    new = ", new chunks" if not leg.premade and any(other.premade and other in HYPER_LEGS for other in m.legs) else ""
    to_native, to_plain = m.ratio(leg, NATIVE), m.ratio(leg, PLAIN)
    cpu = m.cpu_ratio(leg, NATIVE)
    return (
        m.name + new,
        m.unit,
        number(m.shown(PLAIN)) if PLAIN in m.legs else "",
        number(m.shown(NATIVE)),
        number(m.shown(leg)),
        f"{to_native[0]:.2f}" if to_native else "n/a",
        quartiles(m, leg, to_native),
        f"{cpu:.2f}" if cpu else "",
        f"{to_plain[0]:.2f}" if to_plain else "",
        goal(m),
        reached(m, leg),
    )


def quartiles(m: Measurement, leg: Leg, ratio: tuple[float, float, float] | None) -> str:
    return f"{ratio[1]:.2f} to {ratio[2]:.2f}" if ratio and len(m.samples[leg]) > 1 else ""


def reached(m: Measurement, leg: Leg) -> str:
    if m.cost(leg) is None:
        return "n/a"
    verdict = {True: "yes", False: "NO", None: ""}[m.reached(leg)]
    return verdict + "?" if m.unsure(leg) else verdict


def number(value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def goal(m: Measurement) -> str:
    if m.goal is None:
        return ""
    if m.goal.stated:
        return m.goal.stated + (f", or {m.goal.enough:g} {m.unit}" if m.goal.enough else "")
    if m.goal.partner is None:
        return f"{m.goal.limit:g} {m.unit}"
    return f"{m.goal.limit:.2f} of {m.goal.partner.title}"


def failures(sections: Sections) -> list[str]:
    """What was not measured, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for measurement in itertools.chain(*sections.values()):
        for leg, why in measurement.failures.items():
            by_reason.setdefault(f"{leg.title}: {why}", []).append(measurement.name)
    return [f"{why} ({some(names)})" for why, names in by_reason.items()]


def some(names: list[str], limit: int = 5) -> str:
    more = [f"and {len(names) - limit} more"] if len(names) > limit else []
    return "; ".join(names[:limit] + more)


def missed(sections: Sections) -> int:
    return sum(m.reached(leg) is False for m in itertools.chain(*sections.values()) for leg in (*HYPER_LEGS, COLUMNAR, WATCHED) if leg in m.legs)


def text(sections: Sections) -> str:
    lines = []
    for title, measurements in sections.items():
        head, rows = table(measurements)
        widths = [max(map(len, column)) for column in zip(head, *rows)]
        lines += ["", title]
        for line in (head, *rows):
            cells = [cell.ljust(width) if column < 2 else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths))]
            lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(sections: Sections, broken: list[str], cluster: Cluster, load: tuple[float, float], order: list[str], old: str) -> str:
    """The document: `order` has the titles of all sections, `old` what it said before, from which those are kept that did not run."""
    parts = dict.fromkeys((*order, NOT_MEASURED), "")
    parts |= {title: body for title, body in split(old).items() if title in order}
    for title, measurements in sections.items():
        head, rows = table(measurements)
        lines = (head, ("---", "---", *["---:"] * (len(head) - 2)), *rows)
        parts[title] = "\n".join((f"{run(load)}\n", *("| " + " | ".join(line) + " |" for line in lines)))
    failed = failures(sections) + broken
    parts[NOT_MEASURED] = "\n".join(f"- {line}" for line in failed)
    return "\n".join((INTRODUCTION, machine(cluster), *(f"## {title}\n\n{body}\n" for title, body in parts.items() if body)))


def split(document: str) -> dict[str, str]:
    """The text under each heading."""
    pieces = re.split(r"^## (.*)\n", document, flags=re.MULTILINE)[1:]
    return {title: body.strip("\n") for title, body in zip(pieces[::2], pieces[1::2], strict=True)}


NOT_MEASURED = "Not measured"
INTRODUCTION = """# Benchmarks

Written by `make bench`; `benches/README.md` says what is measured and how. A ratio is a cost by its partner's cost in the same
round, so 1.03 is 3 % slower (or larger); it is the median over the rounds, with the quartiles beside it, and "yes?" and "NO?" mark
goals that lie between the quartiles. What stands in one table comes from one run. "CPU to native" is the same for the processor time of the sessions, which other programs on the
machine disturb less. The other numbers are only context: they belong to the machine.

Of the columnstore, the partner is the plain table. Its goals were set on another machine, next to what a plain table took there, so
"0.52 of plain (300 by 579 ms)" asks for 300 ms where the plain table takes 579. What is hoped for "later" is not judged yet.

Continuous aggregates are compared with what stands beside them: the same hypertable without one, or a plain table.
"""


def machine(cluster: Cluster) -> str:
    settings = ", ".join(f"`{name} = {value}`" for name, value in SETTINGS.items())
    with cluster.connect() as conn:
        version = scalar(conn, "SHOW server_version")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    lines = [
        f"- {cpu_model()}, {os.cpu_count()} cores, {memory:.0f} GB of memory, {platform.system()} {platform.release()}",
        f"- PostgreSQL {version}: {settings}",
    ]
    return "\n".join(lines) + "\n"


def run(load: tuple[float, float]) -> str:
    return f"{date.today()}, commit {commit()}; load average before the run {load[0]:.1f}, after it {load[1]:.1f}."


def cpu_model() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()


def commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain", "--untracked-files=no") else "")
