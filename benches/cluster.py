"""A private PostgreSQL server under target/, the same for everything that is compared."""

import os
import shutil
import subprocess
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / "target" / "bench"
PORT = "54329"
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
    "checkpoint_timeout": "1h",
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "2",
    "max_connections": "40",
    "max_locks_per_transaction": "2048",
    "timezone": "UTC",
}


class Cluster:
    def __init__(self) -> None:
        self.bin = Path(os.environ.get("BENCH_PG_BIN", "/usr/lib/postgresql/15/bin"))
        self.data = STATE / "cluster"
        self.sockets = STATE / "sockets"
        self.why_no_hypertables: str | None = None

    def __enter__(self) -> "Cluster":
        self._stop()
        shutil.rmtree(self.data, ignore_errors=True)
        for folder in (self.data, self.sockets):
            folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                shutil.chown(folder, "postgres")
        self.program("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        preload = {"shared_preload_libraries": EXTENSION} if self._has_library() else {}
        lines = [f"{name} = '{value}'\n" for name, value in (SETTINGS | preload).items()]
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(lines + [f"port = {PORT}\n", "listen_addresses = ''\n", f"unix_socket_directories = '{self.sockets}'\n"])
        self.program("pg_ctl", "start", "-w", "-D", self.data, "-l", self.data / "log")
        with self.connect("postgres") as conn:
            conn.execute("CREATE DATABASE bench")
        self.why_no_hypertables = self._create_extension()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def connect(self, dbname: str = "bench") -> psycopg.Connection:
        return psycopg.connect(host=str(self.sockets), port=PORT, user="postgres", dbname=dbname, autocommit=True)

    def program(self, name: str, *arguments: object) -> str:
        """Runs one of PostgreSQL's programs, as `postgres` where root starts us: initdb and the server refuse root."""
        command = [str(self.bin / name), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # The server would keep a pipe open: what the programs say goes to a file.
        with open(STATE / f"{name}.out", "w+", encoding="utf-8") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/", check=False)
            out.seek(0)
            text = out.read()
        if done.returncode:
            raise RuntimeError(f"{name} failed: {text}")
        return text

    def _stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.program("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)

    def _has_library(self) -> bool:
        out = subprocess.run([self.bin / "pg_config", "--pkglibdir"], capture_output=True, text=True, check=True).stdout
        return (Path(out.strip()) / f"{EXTENSION}.so").exists()

    def _create_extension(self) -> str | None:
        with self.connect() as conn:
            try:
                conn.execute(f"CREATE EXTENSION {EXTENSION}")
            except psycopg.Error as error:
                return str(error).splitlines()[0]
            if conn.execute("SELECT to_regproc('create_hypertable') IS NULL AND NOT EXISTS"
                            " (SELECT FROM pg_proc WHERE proname = 'create_hypertable')").fetchone()[0]:
                return "the extension has no create_hypertable"
        return None
