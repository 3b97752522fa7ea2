"""Files made by the generator, once, and used again by later runs."""

import os
import subprocess
from pathlib import Path

from cluster import ROOT, STATE
from scale import HOURS, SENSOR_HOURS

GENERATOR = ROOT / "target" / "release" / "tsbs-gen"
ROWS_PER_HOST = HOURS * 360
ROWS_PER_STATEMENT = 1000


def csv(hosts: int, part: int = 0, parts: int = 1) -> Path:
    """Rows of `hosts` hosts, or the share of one of several loaders."""
    return _file(f"cpu-{hosts}-{part}of{parts}.csv", "cpu", "--hosts", hosts, "--part", f"{part}/{parts}")


def pieces(hosts: int, number: int) -> list[Path]:
    """The rows of `csv` in as many files, one after the other."""
    whole = csv(hosts)
    paths = [whole.with_name(f"{whole.stem}-{at}of{number}.csv") for at in range(number)]
    if not paths[-1].exists() or paths[-1].stat().st_mtime < whole.stat().st_mtime:
        lines = whole.read_bytes().splitlines(keepends=True)
        for at, path in enumerate(paths):
            path.write_bytes(b"".join(lines[len(lines) * at // number : len(lines) * (at + 1) // number]))
    return paths


def statements(hosts: int, part: int = 0, parts: int = 1) -> Path:
    """INSERT statements of 1000 rows into the table cpu, one a line."""
    options = ("--hosts", hosts, "--part", f"{part}/{parts}", "--insert", ROWS_PER_STATEMENT)
    return _file(f"cpu-{hosts}-{part}of{parts}.sql", "cpu", *options)


def tags(hosts: int) -> Path:
    return _file(f"tags-{hosts}.csv", "tags", "--hosts", hosts)


def tags_ddl() -> str:
    return subprocess.run([GENERATOR, "ddl"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def sensors(number: int) -> Path:
    return _file(f"sensor-{number}.csv", "sensor", "--hosts", number, hours=SENSOR_HOURS)


def sensor_columns() -> str:
    ddl = subprocess.run([GENERATOR, "sensor-ddl"], capture_output=True, text=True, check=True).stdout
    return ddl[ddl.index("(") + 1 : ddl.rindex(")")]


def rows(hosts: int) -> int:
    return hosts * ROWS_PER_HOST


def _file(name: str, *arguments: object, hours: int = HOURS) -> Path:
    folder = STATE / "data"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    # A newer generator may write other bytes.
    if not path.exists() or path.stat().st_mtime < GENERATOR.stat().st_mtime:
        unfinished = path.with_suffix(".tmp")
        with open(unfinished, "wb") as out:
            subprocess.run([GENERATOR, *map(str, arguments), "--hours", str(hours)], stdout=out, check=True)
        os.replace(unfinished, path)
    return path
