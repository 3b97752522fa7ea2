"""Compares hypertables with natively partitioned and with plain tables, side by side in one run."""

import argparse
import os
import resource
import signal
import sys
import time
import traceback

import caggs
import chunks
import columnstore
import ingest
import latency
import planning
import queries
import report
from bench import Bench
from cluster import ROOT, Cluster
from legs import Tables
from measure import say
from scale import FULL, QUICK

SECTIONS = {
    "ingest": ("Throughput of loading", ingest.run),
    "latency": ("Latency of single rows", latency.run),
    "planning": ("Planning over many chunks", planning.run),
    "memory": ("Memory of one statement over many chunks", chunks.memory),
    "creation": ("Making a chunk", chunks.creation),
    "queries": ("TSBS queries", queries.run),
    "columnstore": ("Columnstore", columnstore.run),
    "continuous-aggregates": ("Continuous aggregates", caggs.run),
}
# Nothing native stands for these.
NOT_NATIVE = ("columnstore", "continuous-aggregates")
ADDRESS_SPACE = 8 << 30


def main() -> int:
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # So that the server is removed then, too.
        signal.signal(number, lambda *_: sys.exit("stopped"))
    # Inherited by the server: a session that asks for more gets an error, and the machine keeps running.
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    scale = QUICK if options.quick else FULL
    before = os.getloadavg()[0]
    sections: report.Sections = {}
    broken: list[str] = []
    with Cluster() as cluster:
        if cluster.why_no_hypertables and not options.self_check:
            say(f"NO HYPERTABLES: {cluster.why_no_hypertables}. Their columns will say n/a, and this run fails.")
        bench = Bench(cluster, Tables(options.self_check), scale)
        for name in options.only or [name for name in SECTIONS if not (options.self_check and name in NOT_NATIVE)]:
            title, run = SECTIONS[name]
            start = time.monotonic()
            say(title)
            sections[title] = []
            try:
                sections[title].extend(run(bench))
            except Exception as error: # the other sections are still worth having
                traceback.print_exc()
                broken.append(f"{title} broke off: {error}")
            say(f"  ({time.monotonic() - start:.0f} s)")
        broken += cluster.crashes()
        if options.write:
            target = ROOT / "docs" / "benchmarks.md"
            target.parent.mkdir(exist_ok=True)
            old = target.read_text(encoding="utf-8") if target.exists() else ""
            load = (before, os.getloadavg()[0])
            order = [title for title, _ in SECTIONS.values()]
            target.write_text(report.markdown(sections, broken, cluster, load, order, old), encoding="utf-8")
    print(report.text(sections))
    return verdict(sections, broken, options)


def verdict(sections: report.Sections, broken: list[str], options: argparse.Namespace) -> int:
    if options.self_check:
        print("\nSELF-CHECK: what is called a hypertable here was a native table too; ratios off 1.00 are noise.")
    failed, missed = report.failures(sections) + broken, report.missed(sections)
    if failed:
        print("\nNOT MEASURED:", *failed, sep="\n  ")
        return 2
    print(f"\n{missed} goals missed" if missed else "\nall goals reached")
    return 1 if missed and options.strict else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small scale, under two minutes: shows that it works, not how fast it is")
    parser.add_argument("--only", action="append", choices=SECTIONS, metavar="NAME", help=f"one of {', '.join(SECTIONS)}; may be repeated")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, of which sections that do not run are kept")
    parser.add_argument("--strict", action="store_true", help="fail when a goal is missed")
    parser.add_argument("--self-check", action="store_true", help="native tables in place of hypertables: shows the noise of the machine")
    options = parser.parse_args()
    if options.self_check and set(NOT_NATIVE) & set(options.only or ()):
        parser.error("nothing native can take the place of a columnstore or a continuous aggregate")
    if options.write and (options.quick or options.self_check):
        parser.error("--write needs the full scale")
    return options


if __name__ == "__main__":
    sys.exit(main())
