"""A private PostgreSQL server, the same for everything that is compared."""

import os
import sys
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
STATE = Path(os.environ["TSC_STATE"]) / "bench"
sys.path.insert(0, str(ROOT / "tests" / "blackbox"))
from server import Server  # noqa: E402

from sql import scalar  # noqa: E402

EXTENSION = "timescale_compat"

# fsync is off so that the time of the disk, which is the same for all, does not dilute the ratios.
SETTINGS = {
    "shared_buffers": "2GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "512MB",
    "effective_cache_size": "8GB",
    "random_page_cost": "1.1",
    "max_wal_size": "16GB",
    "min_wal_size": "4GB",
    "wal_init_zero": "off",
    "wal_level": "replica",
    "checkpoint_timeout": "1h",
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "2",
    "max_prepared_transactions": "0",
    "max_locks_per_transaction": "2048",
}


class Cluster:
    """The server of a run, with a database that has the extension."""

    def __init__(self) -> None:
        self.why_no_hypertables: str | None = None
        self._server = Server("bench", SETTINGS, pg="release")

    def __enter__(self) -> "Cluster":
        self._server.__enter__()
        try:
            self._server.create_database("bench", extension=False)
            self.why_no_hypertables = self._create_extension()
        except BaseException:
            self._server.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.remove()

    def connect(self) -> psycopg.Connection:
        return self._server.connect("bench")

    def pgbench(self, *arguments: object) -> None:
        self._server.run("pgbench", *arguments, database="bench")

    def crashes(self) -> list[str]:
        """What the server's log says of sessions that crashed."""
        return self._server.crashes()

    def _create_extension(self) -> str | None:
        with self.connect() as conn:
            try:
                conn.execute(f"CREATE EXTENSION {EXTENSION}")
            except psycopg.Error as error:
                return str(error).splitlines()[0]
            made = "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'create_hypertable')"
            return None if scalar(conn, made) else "the extension has no create_hypertable"
