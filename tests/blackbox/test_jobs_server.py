"""The processes that run jobs, and what befalls a server: crashes, restarts, databases that come and go, slots that run out, replicas."""

import os
import signal
import threading

import pytest
from server import Server
from test_jobs import RUNNING, TABLES, add, value, wait, wait_for

SCHEDULERS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'timescale_compat scheduler'"


@pytest.fixture
def own(request):
    """A server of the test's own, with settings that the test may give, and a database with the extension."""
    with Server("jobs", getattr(request, "param", None)) as server:
        server.create_database("db")
        server.psql(TABLES, "db")
        yield server
        # A test that kills processes expects them to be missed.
        assert not [line for line in server.crashes() if "signal 9" not in line]


def settings(**values):
    return pytest.mark.parametrize("own", [{name.replace("__", "."): value for name, value in values.items()}], indirect=True, ids=["own"])


def test_databases_come_and_go(own):
    with own.connect("db") as db:
        job = add(db, "note")
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", job)
    # Copied with its jobs: what its scheduler and a running job do is no obstacle.
    with own.connect("db") as db:
        lingering = add(db, "linger")
        wait_for(db, f"{RUNNING} WHERE job_id = %s", lingering)
    own.psql("CREATE DATABASE copy TEMPLATE db")
    for name in ("db", "copy"):
        with own.connect(name) as db:
            wait_for(db, f"{RUNNING} WHERE job_id = %s", lingering)
            wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))
    # Renamed, while a job runs.
    own.psql("ALTER DATABASE copy RENAME TO renamed")
    with own.connect("renamed") as db:
        wait_for(db, f"{RUNNING} WHERE job_id = %s", lingering)
    own.psql("ALTER DATABASE renamed WITH IS_TEMPLATE true")
    with own.connect("postgres") as other:
        wait_for(other, f"SELECT ({SCHEDULERS} AND datname = 'renamed') = 0")
        other.execute("ALTER DATABASE renamed WITH IS_TEMPLATE false")
        wait_for(other, f"SELECT ({SCHEDULERS} AND datname = 'renamed') = 1")
    # Dropped, while a job runs, without FORCE.
    own.psql("DROP DATABASE renamed")
    own.psql("DROP DATABASE db")
    with own.connect("postgres") as other:
        wait_for(other, f"SELECT ({SCHEDULERS}) = 0")
        # Restored.
        own.create_database("db")
        wait_for(other, f"SELECT ({SCHEDULERS} AND datname = 'db') = 1")
    assert "could not" not in own.log()


def test_a_drop_that_fails_brings_the_processes_back(own):
    with own.connect("db") as db:
        with own.connect("postgres") as other:
            with pytest.raises(Exception, match="is being accessed by other users"):
                other.execute("DROP DATABASE db")
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))


def test_who_may_not_drop_a_database_stops_nothing(own):
    own.psql("CREATE ROLE stranger LOGIN CREATEDB")
    with own.connect("db") as db:
        job = add(db, "linger")
        wait_for(db, f"{RUNNING} WHERE job_id = %s", job)
        with own.connect("postgres") as other:
            other.execute("SET SESSION AUTHORIZATION stranger")
            for statement in ("DROP DATABASE db", "ALTER DATABASE db RENAME TO x", "CREATE DATABASE x TEMPLATE db"):
                with pytest.raises(Exception, match="must be owner|permission denied"):
                    other.execute(statement)
        assert value(db, "SELECT total_runs FROM timescaledb_information.job_stats WHERE job_id = %s", job) == 1
        assert value(db, f"{RUNNING} WHERE job_id = %s", job) == 1


def test_a_holder_that_dies_lets_go(own):
    """A session that is ended in the middle of DROP DATABASE leaves no database without its processes."""
    with own.connect("db") as db, own.connect("postgres") as watcher:
        wait_for(watcher, f"SELECT ({SCHEDULERS}) = 1")
        dropping = threading.Thread(target=lambda: own.run("psql", "-c", "DROP DATABASE db", check=False))
        dropping.start()
        wait_for(watcher, f"SELECT ({SCHEDULERS}) = 0")
        assert value(watcher, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'DROP DATABASE db'")
        wait_for(watcher, f"SELECT ({SCHEDULERS}) = 1")
        dropping.join()
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))


def test_the_extension_is_dropped_and_made_again(own):
    with own.connect("db") as db:
        add(db, "linger")
        add(db, "note", "20 milliseconds")
        wait_for(db, "SELECT count(*) > 1 FROM ran")
        wait_for(db, RUNNING)
        for _ in range(5):
            db.execute("DROP EXTENSION timescale_compat")
            wait_for(db, f"SELECT ({SCHEDULERS}) = 0")
            db.execute("CREATE EXTENSION timescale_compat")
            job = add(db, "note", "20 milliseconds")
            wait_for(db, "SELECT count(*) > 3 FROM ran WHERE job = %s", job)
    assert "deadlock" not in own.log()


def test_killed_jobs_and_a_crash(own):
    with own.connect("db") as db:
        job, fine = add(db, "linger"), add(db, "note", "1 day")
        pid = wait_for(db, "SELECT coalesce((SELECT min(pid) FROM _timescaledb_functions.running_jobs() WHERE job_id = %s), 0)", job)
        wait_for(db, "SELECT total_runs = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
        wait_for(db, "SELECT total_successes = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", fine)
    os.kill(pid, signal.SIGKILL)

    def crashed():
        try:
            return own.psql(f"SELECT err_message FROM timescaledb_information.job_errors WHERE job_id = {job}", "db")
        except Exception:
            return None
    assert wait(crashed, "the crash in the history") == "job crash detected, see server logs"
    with own.connect("db") as db:
        row = db.execute("SELECT s.total_crashes, s.consecutive_crashes, s.total_failures, s.next_start > now() + interval '4 min' "
                         "FROM _timescaledb_config.bgw_job_stat AS s WHERE s.job_id = %s", [job]).fetchone()
        assert row == (1, 1, 1, True)
        # What had succeeded is not run again.
        assert value(db, "SELECT total_runs FROM timescaledb_information.job_stats WHERE job_id = %s", fine) == 1
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill9"])
def test_restart_in_the_middle(own, mode):
    with own.connect("db") as db:
        job = add(db, "linger")
        often = add(db, "note", "20 milliseconds")
        wait_for(db, "SELECT count(*) > 3 FROM ran WHERE job = %s", often)
        wait_for(db, f"{RUNNING} WHERE job_id = %s", job)
    if mode == "kill9":
        own.kill9()
        own.start()
    else:
        own.restart(mode)
    with own.connect("db") as db:
        before = value(db, "SELECT count(*) FROM ran WHERE job = %s", often)
        wait_for(db, "SELECT total_failures = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
        crashes = value(db, "SELECT total_crashes FROM _timescaledb_config.bgw_job_stat WHERE job_id = %s", job)
        if mode == "fast":
            # No fault of its own: begun anew by itself.
            assert crashes == 0
            wait_for(db, f"{RUNNING} WHERE job_id = %s", job)
        else:
            assert crashes == 1
            assert value(db, f"{RUNNING} WHERE job_id = %s", job) == 0
        db.execute("SELECT alter_job(%s, next_start => now())", [often])
        wait_for(db, "SELECT count(*) > %s FROM ran WHERE job = %s", before, often)
        db.execute("SELECT alter_job(%s, next_start => now())", [job])
        wait_for(db, f"{RUNNING} WHERE job_id = %s", job)
        # Each run that was begun ended once.
        assert value(db, "SELECT bool_and(total_runs - total_successes - total_failures BETWEEN 0 AND 1) FROM timescaledb_information.job_stats")


@settings(timescaledb__bgw_log_level="debug1")
def test_jobs_log_what_they_are_told_to(own):
    with own.connect("db") as db:
        db.execute("CREATE FUNCTION talk(job_id int, config jsonb) RETURNS void LANGUAGE plpgsql AS "
                   "$$ BEGIN RAISE DEBUG 'in a job'; END $$")
        db.execute("SELECT talk(0, NULL)")
        assert "in a job" not in own.log()
        job = add(db, "talk")
        wait_for(db, "SELECT total_successes = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
        assert "in a job" in own.log()


@settings(timescaledb__max_background_workers=6, max_worker_processes=12)
def test_many_due_jobs_over_four_workers(own):
    """500 jobs in two databases, of which four may run at a time."""
    own.create_database("other")
    own.psql(TABLES, "other")
    define = """
        CREATE FUNCTION busy(job_id int, config jsonb) RETURNS void LANGUAGE sql AS $$
            INSERT INTO ran VALUES (job_id); SELECT pg_sleep(0.01)$$;
        SELECT count(add_job('busy', '10 years', fixed_schedule => false, initial_start => '2020-01-01'::timestamptz + g * interval '1 second')) FROM generate_series(1, 250) AS g
    """
    for name in ("db", "other"):
        own.psql(define, name)
    most = most_busy = 0
    with own.connect("db") as db, own.connect("other") as other:
        def done():
            nonlocal most, most_busy
            processes, busy = db.execute(
                "SELECT count(*), count(*) FILTER (WHERE query LIKE '%busy%') FROM pg_stat_activity WHERE backend_type = 'timescale_compat job'"
            ).fetchone()
            most, most_busy = max(most, processes), max(most_busy, busy)
            return all(value(c, "SELECT count(*) = 250 FROM timescaledb_information.job_stats WHERE total_successes = 1") for c in (db, other))
        wait(done, "500 jobs", 300)
        # Those that are about to be gone are seen, too, but no longer at their job.
        assert most > 1 and most_busy <= 4
        for c in (db, other):
            assert value(c, "SELECT max(total_runs) FROM timescaledb_information.job_stats") == 1
            # Those that have waited for longest go first.
            place = "SELECT max(abs(a - b)) FROM (SELECT row_number() OVER (ORDER BY at) AS a, row_number() OVER (ORDER BY job) AS b FROM ran) AS s"
            assert value(c, place) < 30
        # Neither database waited for the other one to be done.
        firsts = [value(c, "SELECT extract(epoch FROM min(at)) FROM ran") for c in (db, other)]
        lasts = [value(c, "SELECT extract(epoch FROM max(at)) FROM ran") for c in (db, other)]
        assert max(firsts) < min(lasts)
    # Each scheduler says it once, if at all.
    assert own.log().count("all background workers for them are in use") <= 2


@settings(timescaledb__max_background_workers=8, max_worker_processes=3)
def test_a_server_without_a_process_to_spare(own):
    """The launcher, the launcher of logical replication and the scheduler leave none."""
    with own.connect("db") as db:
        job = add(db, "note")
        wait(lambda: "no background worker left" in own.log(), "the report")
        assert "Raise max_worker_processes" in own.log()
        assert value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 0
    own.configure({"max_worker_processes": 10})
    own.restart()
    with own.connect("db") as db:
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", job)


@settings(timescaledb__max_background_workers=2)
def test_databases_beyond_the_limit_are_reported_and_jobs_still_run(own):
    own.create_database("beyond")
    with own.connect("db") as db:
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))
        wait(lambda: "all background workers for them are in use" in own.log(), "the report")
        assert value(db, SCHEDULERS) == 1
    own.psql("DROP DATABASE db")
    with own.connect("beyond") as db:
        db.execute(TABLES)
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))


@settings(timescaledb__max_background_workers=0)
def test_a_server_that_runs_no_jobs(own):
    with own.connect("db") as db:
        notices = []
        db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        job, _ = add(db, "note"), add(db, "note")
        assert notices == ["jobs do not run by themselves on this server"]
        assert value(db, "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'timescale_compat%'") == 0
        db.execute("CALL run_job(%s)" % job)
        assert value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 1


def test_a_replica_waits_until_it_is_promoted(own):
    with own.connect("db") as db:
        job = add(db, "note", "1 day", initial_start="2200-01-01")
        add(db, "linger")
        wait_for(db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    replica = own.replica()
    try:
        own.wait_for_replay(replica)
        with replica.connect("db") as db:
            assert value(db, "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'timescale_compat%'") == 0
            assert value(db, "SELECT count(*) FROM timescaledb_information.jobs WHERE job_id = %s", job) == 1
            with pytest.raises(Exception, match="cannot execute add_job"):
                add(db, "note")
            db.execute("SELECT pg_promote()")
            wait_for(db, "SELECT NOT pg_is_in_recovery()")
            db.execute("SELECT alter_job(%s, next_start => now())", [job])
            wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", job)
    finally:
        replica.remove()


def test_processes_that_are_terminated_at_random(own):
    """Whatever is terminated, every run that began ended, and no job runs twice at a time."""
    with own.connect("db") as db:
        db.execute("CREATE FUNCTION alone(job_id int, config jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
                   " IF NOT pg_try_advisory_lock(job_id) THEN INSERT INTO ran VALUES (-job_id); END IF;"
                   " INSERT INTO ran VALUES (job_id); PERFORM pg_sleep(0.05); END $$")
        jobs = [add(db, "alone", "30 milliseconds", fixed_schedule=False, scheduled=False) for _ in range(6)]
        for job in jobs:
            db.execute("SELECT alter_job(%s, retry_period => '0', scheduled => true)", [job])
        for _ in range(40):
            db.execute("SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity"
                       " WHERE backend_type IN ('timescale_compat job', 'timescale_compat scheduler') ORDER BY random() LIMIT 1) AS s")
            db.execute("SELECT pg_sleep(0.05)")
        before = value(db, "SELECT count(*) FROM ran")
        wait_for(db, "SELECT min(n) > 0 AND count(*) = 6 FROM (SELECT count(*) AS n FROM (SELECT job FROM ran ORDER BY at OFFSET %s) AS r GROUP BY job) AS s", before)
        for job in jobs:
            db.execute("SELECT delete_job(%s)", [job]) if job == jobs[0] else db.execute("SELECT alter_job(%s, scheduled => false)", [job])
        wait_for(db, f"SELECT ({RUNNING}) = 0")
        wait_for(db, "SELECT bool_and(total_runs = total_successes + total_failures) FROM timescaledb_information.job_stats")
        assert value(db, "SELECT count(*) FROM ran WHERE job < 0") == 0
