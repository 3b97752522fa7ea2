"""The test suites: how each one runs, how its tests are counted, and the one line that sums them up.

A suite that cannot start, or in which no test ran, counts as one failure: nothing passes by being skipped.
"""

import contextlib
import os
import pathlib
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / "target"
STATE = pathlib.Path(os.environ["TSC_STATE"])
HARNESS = ROOT / "tests" / "harness"
TESTS = ROOT / "tests"
PG = os.environ.get("TSC_PG", "dev")
TIMEOUT = int(os.environ.get("TSC_SUITE_TIMEOUT", 1800))
DRIVER = "tsc-driver-tests"
EXTENSION = "timescale_compat"

sys.path.insert(0, str(TESTS / "blackbox"))
from server import SUPERUSER, Server  # noqa: E402


def run(command, env=None):
    """Runs COMMAND, showing what it prints as it comes; returns its exit code and its output."""
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    output, deadline, patience = bytearray(), time.monotonic() + TIMEOUT, 0
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            # A server that COMMAND leaves behind may hold the pipe open for ever, so its own end counts, too.
            while (readable := selector.select(timeout=1)) or process.poll() is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{command[0]} did not finish in {TIMEOUT} s")
                if not readable:
                    continue
                piece = os.read(process.stdout.fileno(), 65536)
                if not piece:
                    break
                output += piece
                sys.stdout.buffer.write(piece)
                sys.stdout.flush()
        patience = 10
    finally:
        end(process, patience)
    return process.returncode, output.decode(errors="replace")


def end(process, patience):
    """Waits for PROCESS, and no longer than PATIENCE seconds before it is told to go, with all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience)
            return
        os.killpg(process.pid, number)
        patience = 10
    process.wait()


def one(command):
    """A suite of one test: COMMAND passes or fails."""
    code, _ = run(command)
    return (1, 0) if code == 0 else (0, 1)


def cargo_counts(code, output):
    """Sums the `test result:` lines of cargo's test programs."""
    results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed;", output, re.MULTILINE)
    passed, failed = (sum(int(result[i]) for result in results) for i in (0, 1))
    # It did not build, or a test program died before it could count.
    return passed, failed + (1 if code != 0 and failed == 0 else 0)


# --- suites ---------------------------------------------------------------------------------------------------------------


def fmt(_):
    return one(["cargo", "fmt", "--all", "--check"])


def clippy(_):
    return one(["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])


def check(arguments):
    _, output = run([HARNESS / "check", *arguments])
    return len(re.findall(r"^ok ", output, re.MULTILINE)), len(re.findall(r"^FAILED ", output, re.MULTILINE))


def unit(arguments):
    """The pure crates; the extension's own unit tests need a server's symbols and run in `pg`."""
    return cargo_counts(*run(["cargo", "test", "--workspace", "--exclude", EXTENSION, "--exclude", DRIVER, *arguments]))


def pg(arguments):
    """Tests inside a server, by pgrx, which installs a build of its own and starts a server of its own."""
    prefix = STATE / "pg" / "pgrx"
    subprocess.run(["bash", "-c", 'source tests/harness/env.sh; private_postgres pgrx "$SYSTEM_PG"'], cwd=ROOT, check=True)
    env = {**os.environ, "TSC_PG_CONFIG": str(prefix / "bin" / "pg_config")}
    home = pathlib.Path(tempfile.mkdtemp(prefix="pgrx-", dir=short_folder()))
    command = ["cargo", "pgrx", "test", "pg15", "--pgdata", home]
    if os.geteuid() == 0:
        shutil.chown(home, SUPERUSER, SUPERUSER)
        command += ["--runas", SUPERUSER]
        env["PATH"] = f"{sudo_shim()}:{env['PATH']}"
    else:
        env["USER"] = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    try:
        return cargo_counts(*run([*command, *arguments], env))
    finally:
        for pid_file in home.glob("*/postmaster.pid"):
            stop_left_behind(pid_file)
        shutil.rmtree(home, ignore_errors=True)


def regress(arguments):
    return golden("regress", "sql", "sql", "pg_regress", arguments)


def isolation(arguments):
    return golden("isolation", "specs", "spec", "pg_isolation_regress", arguments)


def blackbox(arguments):
    """pytest; conftest.py starts the servers."""
    install()
    report = TARGET / "blackbox.xml"
    report.unlink(missing_ok=True)
    env = {**os.environ, "TSC_PG": PG, "PYTHONDONTWRITEBYTECODE": "1"}
    if not any("/" in argument or argument.endswith(".py") for argument in arguments):
        arguments = ["tests/blackbox", *arguments]
    code, _ = run([sys.executable, "-m", "pytest", "-c", TESTS / "pytest.ini", "--rootdir", ROOT, f"--junitxml={report}",
                   *arguments], env)
    if not report.exists():
        return 0, 1
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    total, failures, errors, skipped = (int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped"))
    failed = failures + errors
    return total - failed - skipped, failed + (1 if code != 0 and failed == 0 else 0)


def driver(arguments):
    """Rust clients of the crate tests/driver."""
    install()
    with watched(Server("driver", pg=PG)) as server:
        env = {**os.environ, **server.environment()}
        counts = cargo_counts(*run(["cargo", "test", "-p", DRIVER, *arguments], env))
    return with_crashes(counts, server)


def golden(name, folder, suffix, program, arguments):
    """pg_regress and its kin: each file in a database of its own, so that what one does never shows in another's output."""
    install()
    here = TESTS / name
    files = {path.stem: path for path in sorted((here / folder).glob(f"*.{suffix}"))}
    accept = os.environ.get("ACCEPT") == "1"
    for test in files.keys() & set(arguments) if accept else ():
        (here / "expected" / f"{test}.out").touch()
    expected = {re.sub(r"_\d$", "", path.stem) for path in (here / "expected").glob("*.out")}
    failed = 0
    for test in sorted(expected ^ files.keys()):
        print(f"FAILED {test}: there is {'no expected output' if test in files else 'expected output, but no test'}")
        failed += 1
    chosen = [test for test in files if test in expected and (not arguments or test in arguments)]
    for test in sorted(set(arguments) - files.keys()):
        print(f"FAILED {test}: no such test")
        failed += 1
    results = TARGET / name
    shutil.rmtree(results, ignore_errors=True)
    passed = 0
    tools = pathlib.Path(f"/usr/lib/postgresql/15/lib/pgxs/src/test/{name}")
    with watched(Server(name, pg=PG)) as server:
        for test in chosen:
            output = results / test
            output.mkdir(parents=True)
            command = [tools / program, "--inputdir", here, "--outputdir", output, "--bindir", server.prefix / "bin",
                       "--host", server.sockets, "--port", server.port, "--user", SUPERUSER, "--dbname", f"{name}_{test}", test]
            started = time.monotonic()
            with open(output / "log", "wb") as log:
                code = subprocess.run(list(map(str, command)), cwd=output, env={**server.environment(), "PGISOLATIONTIMEOUT": "30"}, stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=subprocess.STDOUT, timeout=TIMEOUT).returncode
            took = time.monotonic() - started
            print(f"{'ok    ' if code == 0 else 'FAILED'} {test:40} {took * 1000:8.0f} ms", flush=True)
            passed, failed = (passed + 1, failed) if code == 0 else (passed, failed + 1)
            differences = output / "regression.diffs"
            if accept and code != 0:
                shutil.copyfile(output / "results" / f"{test}.out", here / "expected" / f"{test}.out")
            if code != 0:
                print((differences if differences.exists() else output / "log").read_text(errors="replace"))
    return with_crashes((passed, failed), server)


# --- what the suites share ------------------------------------------------------------------------------------------------

_installed = False


def install():
    global _installed
    if not _installed:
        subprocess.run([HARNESS / "install", PG], check=True, stdin=subprocess.DEVNULL)
        _installed = True


@contextlib.contextmanager
def watched(server):
    """The server, started; what its log says of crashes is kept when it is gone."""
    server.found_crashes = []
    with server:
        try:
            yield server
        finally:
            server.found_crashes = server.crashes()


def with_crashes(counts, server):
    """A crash of the server is a failure of its own, even if every test got over it."""
    if not server.found_crashes:
        return counts
    print("FAILED the server crashed:", *server.found_crashes, sep="\n  ")
    return counts[0], counts[1] + 1


def short_folder():
    """Where pgrx may put its server's socket, whose path must be short."""
    run_folder = STATE / "run"
    return run_folder if len(str(run_folder)) < 60 else pathlib.Path("/tmp")


def sudo_shim():
    """A `sudo` for root, who needs none: pgrx calls it by that name, and a fresh system has none."""
    shim = TARGET / "bin" / "root" / "sudo"
    shim.parent.mkdir(parents=True, exist_ok=True)
    shim.write_text("""#!/bin/bash
user=root
while :; do
    case ${1:-} in
        -u) user=$2; shift 2 ;;
        *=*) export "$1"; shift ;;
        *) break ;;
    esac
done
[ "$user" = root ] || exec setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"
exec "$@"
""")
    shim.chmod(0o755)
    return shim.parent


def stop_left_behind(pid_file):
    """Stops the server of a test program that could not do so itself."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int(pid_file.read_text().split("\n")[0])
        if pathlib.Path(f"/proc/{pid}/cwd").resolve() == pid_file.parent.resolve():
            os.kill(pid, signal.SIGQUIT)
            for _ in range(100):
                os.kill(pid, 0)
                time.sleep(0.1)


SUITES = {suite.__name__: suite for suite in (fmt, clippy, check, unit, pg, regress, isolation, blackbox, driver)}


def run_suite(name, arguments):
    print(f"\n== {name}", flush=True)
    try:
        passed, failed = SUITES[name](arguments)
    except Exception as error:
        print(f"{name} could not run: {error}")
        passed, failed = 0, 1
    if passed + failed == 0:
        print(f"{name} ran no test")
        failed = 1
    return passed, failed


def soak(minutes):
    """Runs the suites that meet a server again and again, with ever other random numbers, until the time is up."""
    os.environ["TSC_SOAK"] = "1"
    deadline = time.monotonic() + 60 * minutes
    passed = failed = rounds = 0
    while time.monotonic() < deadline and not failed:
        for name in ("isolation", "blackbox", "driver"):
            more = run_suite(name, [])
            passed, failed = passed + more[0], failed + more[1]
        rounds += 1
    print(f"\n{rounds} rounds\n{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    names, arguments = sys.argv[1:], []
    if "--" in names:
        at = names.index("--")
        names, arguments = names[:at], names[at + 1:]
    if names[:1] == ["soak"]:
        return soak(float(names[1]))
    unknown = set(names) - SUITES.keys()
    if unknown or (arguments and len(names) != 1):
        sys.exit(f"usage: test [{'|'.join(SUITES)}].. [-- arguments for the one suite named]")
    table = []
    for name in names or SUITES:
        started = time.monotonic()
        table.append((name, *run_suite(name, arguments), time.monotonic() - started))
    print("\n{:10} {:>7} {:>7} {:>8}".format("suite", "passed", "failed", "seconds"))
    for name, passed, failed, seconds in table:
        print(f"{name:10} {passed:7} {failed:7} {seconds:8.1f}")
    passed, failed = (sum(row[i] for row in table) for i in (1, 2))
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
