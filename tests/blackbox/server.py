"""Private PostgreSQL servers with the extension preloaded, for tests, benchmarks and the demonstration.

A server's data lie in a folder of $TSC_STATE/run. It listens on a Unix socket that only its user can reach and on a free
port of the loopback interface (with a password), and stops when the process that started it ends, however that ends.
Needs nothing beyond Python's own library, but psycopg for connect(). tests/harness/server is its command line.
"""

import argparse
import contextlib
import itertools
import os
import pathlib
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SUPERUSER = "postgres"
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("PG") and k != "RUST_BACKTRACE"}

# Tests value speed over surviving a power cut; a killed server (kill9) loses nothing by it.
SETTINGS = {
    "shared_preload_libraries": "timescale_compat",
    "fsync": "off",
    "max_connections": 50,
    "max_worker_processes": 24,
    "max_prepared_transactions": 10,
    "wal_level": "logical",
    "log_line_prefix": "%m [%p] %q%a %d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class ServerError(Exception):
    """A server or one of its programs failed; the message holds what it printed."""


def state_dir():
    return pathlib.Path(os.environ["TSC_STATE"])


def installation(name):
    """The private installation NAME (dev, release or assert), made by tests/harness/install."""
    prefix = state_dir() / "pg" / name
    if not (prefix / "bin" / "postgres").exists():
        raise ServerError(f"no installation in {prefix}: run tests/harness/install {name}")
    return prefix


def as_server_user(command, dies_with_us=False):
    """COMMAND as the user who may run servers: root may not."""
    prefix = ["setpriv"]
    if os.geteuid() == 0:
        prefix += [f"--reuid={SUPERUSER}", f"--regid={SUPERUSER}", "--init-groups"]
    if dies_with_us:
        prefix += ["--pdeathsig", "INT"]
    return [*prefix, "--", *command] if len(prefix) > 1 else list(command)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One cluster. `with Server("name") as server:` makes it, starts it, and leaves nothing behind."""

    _numbers = itertools.count()

    def __init__(self, name="server", settings=None, pg=None, home=None):
        self.name = name
        self.prefix = installation(pg or os.environ.get("TSC_PG", "dev"))
        self.settings = {**SETTINGS, **(settings or {})}
        self.home = pathlib.Path(home or state_dir() / "run" / f"{name}-{os.getpid()}-{next(self._numbers)}")
        self.data = self.home / "data"
        self.log_file = self.home / "log"
        self.port = free_port()
        self.password = secrets.token_hex(16)
        # A socket's path may hold 107 bytes only.
        self.sockets = self.home / "socket"
        if len(str(self.sockets)) > 80:
            self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="tsc-", dir="/tmp"))
        self._postmaster = None

    def __enter__(self):
        try:
            self.init()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    # --- life ---------------------------------------------------------------------------------------------------------

    def init(self):
        """Makes the cluster (initdb)."""
        self._make_home()
        self._call([self.program("initdb"), "-D", self.data, "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8",
                    "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", self._write("password", self.password), "--no-sync"])
        self.configure(self.settings)

    def configure(self, settings):
        """Changes settings; they count from the next start or reload on."""
        self.settings = {**self.settings, **settings}
        where = {"port": self.port, "unix_socket_directories": self.sockets, "unix_socket_permissions": "0700",
                 "listen_addresses": "127.0.0.1"}
        lines = [f"{k} = '{str(v).replace(chr(39), chr(39) * 2)}'\n" for k, v in {**self.settings, **where}.items()]
        self._write("data/postgresql.auto.conf", "".join(lines))

    def start(self, detached=False):
        """Starts the server and waits until it takes connections. Detached, it outlives this process."""
        with open(self.log_file, "ab") as log:
            self._postmaster = subprocess.Popen(
                [str(part) for part in as_server_user([self.program("postgres"), "-D", self.data], not detached)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=detached, env=self._own_environment())
        deadline = time.monotonic() + 120
        while self._status() not in ("ready", "standby"):
            if self._postmaster.poll() is not None:
                raise ServerError(f"the server {self.name} did not start:\n{self.log()[-4000:]}")
            if time.monotonic() > deadline:
                raise ServerError(f"the server {self.name} is not ready after two minutes:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def stop(self, mode="fast"):
        """Stops it: 'smart' waits for clients, 'fast' ends them, 'immediate' leaves recovery to the next start."""
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self._wait_until_gone(pid)

    def kill9(self):
        """Kills the postmaster and all its children at once, as a crash of the machine would."""
        pid = self.pid()
        family = [pid, *self._children(pid)]
        for member in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        for member in family:
            self._wait_until_gone(member)

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def remove(self):
        """Stops it and deletes all it wrote."""
        self.stop("immediate")
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)

    def replica(self, name="replica", settings=None):
        """A started physical replica of this server, made by pg_basebackup."""
        copy = Server(name, {**self.settings, **(settings or {})})
        copy.prefix, copy.password = self.prefix, self.password
        copy._make_home()
        self._call([self.program("pg_basebackup"), "-D", copy.data, "-R", "-X", "stream", "-c", "fast", "--no-sync",
                    "-h", self.sockets, "-p", self.port, "-U", SUPERUSER])
        follow = f"host={self.sockets} port={self.port} user={SUPERUSER}"
        copy.configure({"primary_conninfo": follow, "hot_standby": "on"})
        copy.start()
        return copy

    def wait_for_replay(self, replica, timeout=60):
        """Waits until REPLICA shows all that this server has committed."""
        target = self.psql("SELECT pg_current_wal_insert_lsn()")
        replica.wait_for(f"SELECT pg_last_wal_replay_lsn() >= '{target}'", timeout)

    def wait_for(self, condition, timeout=60):
        """Waits until the query CONDITION answers true."""
        deadline = time.monotonic() + timeout
        while not self._holds(condition):
            if time.monotonic() > deadline:
                raise ServerError(f"not true within {timeout} s: {condition}")
            time.sleep(0.02)

    def _holds(self, condition):
        try:
            return self.psql(condition) == "t"
        except ServerError as error:  # what a replica replays may cancel any statement of its own
            if "conflict with recovery" in str(error):
                return False
            raise

    @contextlib.contextmanager
    def replay_paused(self):
        """Replays nothing meanwhile: what the primary vacuums or prunes can then cancel no statement of this replica."""
        self.psql("SELECT pg_wal_replay_pause()")
        try:
            self.wait_for("SELECT pg_get_wal_replay_pause_state() = 'paused'")
            yield
        finally:
            self.psql("SELECT pg_wal_replay_resume()")

    # --- what runs ----------------------------------------------------------------------------------------------------

    def pid(self):
        """The postmaster's pid, or None if it is not running."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n")[0])
            started = pathlib.Path(f"/proc/{pid}/cwd").resolve()
        except (OSError, ValueError):
            return None
        return pid if started == self.data.resolve() else None

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def crashes(self):
        """Lines of the log that tell of a crashed backend, a failed assertion, a panic, or a reference that was not released."""
        signs = ("was terminated by signal", "PANIC: ", "TRAP: ", "panicked at", " leak: ", "you don't own a lock")
        return [line for line in self.log().splitlines() if any(sign in line for sign in signs)]

    # --- clients ------------------------------------------------------------------------------------------------------

    def program(self, name):
        return self.prefix / "bin" / name

    def environment(self, database="postgres"):
        """Environment variables with which any client based on libpq finds this server."""
        return {**ENVIRONMENT, "PGHOST": str(self.sockets), "PGPORT": str(self.port), "PGUSER": SUPERUSER,
                "PGPASSWORD": self.password, "PGDATABASE": database, "TSC_PG_BIN": str(self.prefix / "bin")}

    def dsn(self, database="postgres", tcp=False):
        host = "127.0.0.1" if tcp else self.sockets
        escaped = database.replace(" ", "\\ ")
        return f"host={host} port={self.port} user={SUPERUSER} password={self.password} dbname={escaped}"

    def connect(self, database="postgres", tcp=False, **options):
        """A psycopg connection; autocommit unless told otherwise."""
        import psycopg

        return psycopg.connect(self.dsn(database, tcp), **{"autocommit": True, **options})

    def run(self, program, *arguments, database="postgres", input=None, check=True):
        """Runs one of PostgreSQL's client programs against this server; returns the completed process."""
        done = subprocess.run([str(self.program(program)), *map(str, arguments)], env=self.environment(database),
                              input=input, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise ServerError(f"{program} {shlex.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def psql(self, sql, database="postgres"):
        """What psql prints for SQL, unaligned and without headings; an error in any statement raises ServerError."""
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", database=database, input=sql).stdout.rstrip("\n")

    def pg_dump(self, database, *options):
        """The database as plain SQL, less the two lines that differ each time."""
        dump = self.run("pg_dump", *options, database=database).stdout
        return re.sub(r"^\\(un)?restrict .*\n", "", dump, flags=re.MULTILINE)

    def create_database(self, name, extension=True):
        self.psql(f'CREATE DATABASE "{name}"')
        if extension:
            self.psql("CREATE EXTENSION timescale_compat", name)
        return name

    # --- internals ----------------------------------------------------------------------------------------------------

    def _make_home(self):
        self.home.mkdir(parents=True)
        self.sockets.mkdir(exist_ok=True)
        for folder in (self.home, self.sockets):
            folder.chmod(0o700)
            if os.geteuid() == 0:
                shutil.chown(folder, SUPERUSER, SUPERUSER)

    def _write(self, name, text):
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, SUPERUSER, SUPERUSER)
        return path

    def _own_environment(self):
        return {**ENVIRONMENT, "HOME": str(self.home), "LC_ALL": "C.UTF-8"}

    def _call(self, command):
        done = subprocess.run([str(part) for part in as_server_user(command)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, cwd="/", env=self._own_environment())
        if done.returncode != 0:
            raise ServerError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def _status(self):
        """The last line of postmaster.pid, unless a killed server left the file behind."""
        # The file may be half written.
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
            lines = (self.data / "postmaster.pid").read_text().split("\n")
            return lines[7].strip() if int(lines[0]) == self._postmaster.pid else None
        return None

    @staticmethod
    def _children(pid):
        tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]

    def _wait_until_gone(self, pid, timeout=120):
        deadline = time.monotonic() + timeout
        while True:
            if self._postmaster is not None and self._postmaster.pid == pid:
                if self._postmaster.poll() is not None:
                    return
            elif not _alive(pid):
                return
            if time.monotonic() > deadline:
                raise ServerError(f"process {pid} of the server {self.name} does not end:\n{self.log()[-4000:]}")
            time.sleep(0.02)


def _alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


# --- command line ---------------------------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(prog="server", description="Private PostgreSQL servers with timescale_compat")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("run", "start"):
        command = verbs.add_parser(verb)
        command.add_argument("--pg", default=os.environ.get("TSC_PG", "dev"))
        command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
        if verb == "start":
            command.add_argument("home")
        else:
            command.add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("stop").add_argument("home")
    options = parser.parse_args()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

    if options.verb == "stop":
        stop(pathlib.Path(options.home).resolve())
        return 0
    settings = dict(item.split("=", 1) for item in options.set)
    if options.verb == "start":
        server = Server(settings=settings, pg=options.pg, home=pathlib.Path(options.home).resolve())
        server.init()
        server.start(detached=True)
        ours = {k: v for k, v in server.environment().items() if k not in ENVIRONMENT}
        print("\n".join(f"export {k}={shlex.quote(v)}" for k, v in ours.items()))
        return 0
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    with Server("run", settings, options.pg) as server:
        return subprocess.run(command, env=server.environment()).returncode


def stop(home):
    """Stops the server whose folder is HOME, whoever started it, and deletes the folder."""
    data = home / "data"
    if not (data / "PG_VERSION").exists():
        raise ServerError(f"{home} is not the folder of a server")
    with contextlib.suppress(FileNotFoundError, IndexError):
        lines = (data / "postmaster.pid").read_text().split("\n")
        pid, sockets = int(lines[0]), lines[4].strip()
        if pathlib.Path(f"/proc/{pid}/cwd").resolve() == data.resolve():
            os.kill(pid, signal.SIGINT)
            while _alive(pid):
                time.sleep(0.02)
        if sockets.startswith("/tmp/tsc-"):
            shutil.rmtree(sockets, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServerError as error:
        sys.exit(f"server: {error}")
