"""Jobs that run by themselves: as whom, how they end, who looks after whom. No test asserts how long something takes."""

import time

import psycopg
import pytest

TABLES = """
CREATE TABLE ran (job int, at timestamptz DEFAULT clock_timestamp(), who name DEFAULT session_user, acting name DEFAULT current_user, pid int DEFAULT pg_backend_pid());
GRANT INSERT ON ran TO PUBLIC;
CREATE FUNCTION note(job_id int, config jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO ran VALUES (job_id)';
CREATE FUNCTION fail(job_id int, config jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no luck' USING ERRCODE = 'TS123', DETAIL = 'none at all', HINT = 'try'; END $$;
CREATE FUNCTION linger(job_id int, config jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ran VALUES (job_id); PERFORM pg_sleep(600); END $$;
CREATE PROCEDURE commits(job_id int, config jsonb) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..3 LOOP
        INSERT INTO ran VALUES (job_id);
        COMMIT;
    END LOOP;
    INSERT INTO ran VALUES (job_id);
    ROLLBACK;
END $$;
"""
RUNNING = "SELECT count(*) FROM _timescaledb_functions.running_jobs()"


def wait(condition, what, timeout=90):
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.05)
    return result


def value(db, sql, *parameters):
    return db.execute(sql, parameters or None).fetchone()[0]


def wait_for(db, sql, *parameters):
    return wait(lambda: value(db, sql, *parameters), sql)


def add(db, function, interval="1 hour", **arguments):
    names = "".join(f", {name} => %s" for name in arguments)
    return value(db, f"SELECT add_job(%s::regproc, %s::interval{names})", function, interval, *arguments.values())


@pytest.fixture
def db(server, database):
    with server.connect(database) as connection:
        connection.execute(TABLES)
        yield connection


@pytest.fixture
def role(server, database):
    server.psql("CREATE ROLE plain LOGIN", database)
    yield "plain"
    server.psql("RESET ROLE; DROP OWNED BY plain; DROP ROLE plain", database)


def test_a_job_runs_when_it_is_added(db):
    job = add(db, "note")
    wait_for(db, "SELECT total_successes = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    assert value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 1
    row = db.execute("SELECT last_run_status, job_status, total_runs, next_start > now(), last_run_duration IS NOT NULL "
                     "FROM timescaledb_information.job_stats WHERE job_id = %s", [job]).fetchone()
    assert row == ("Success", "Scheduled", 1, True, True)
    # Successes are not kept.
    assert value(db, "SELECT count(*) FROM timescaledb_information.job_history WHERE job_id = %s", job) == 0


def test_it_runs_again_and_again(db):
    job = add(db, "note", "50 milliseconds", fixed_schedule=False)
    other = add(db, "note", "100 milliseconds")
    wait_for(db, "SELECT min(total_successes) >= 5 FROM timescaledb_information.job_stats WHERE job_id IN (%s, %s)", job, other)


def test_not_before_its_start_and_not_while_it_is_paused(db):
    later = add(db, "note", initial_start="2200-01-01")
    paused = add(db, "note", scheduled=False)
    due = add(db, "note")
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", due)
    db.execute("SELECT alter_job(%s, scheduled => true)", [paused])
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", paused)
    assert value(db, "SELECT count(*) FROM ran WHERE job = %s", later) == 0
    db.execute("SELECT alter_job(%s, next_start => now())", [later])
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", later)


def test_a_job_is_not_seen_before_its_transaction_commits(server, database, db):
    with server.connect(database, autocommit=False) as other:
        job = add(other, "note")
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))
        assert value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 0
        other.commit()
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", job)


def test_a_procedure_ends_transactions(db):
    job = add(db, "commits")
    wait_for(db, "SELECT total_successes = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    assert value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 3


def test_a_failure_is_recorded_and_the_rest_goes_on(db):
    job, fine = add(db, "fail"), add(db, "note")
    wait_for(db, "SELECT total_failures = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", fine)
    error = db.execute("SELECT proc_schema, proc_name, pid > 0, sqlerrcode, err_message, finish_time >= start_time FROM timescaledb_information.job_errors WHERE job_id = %s", [job]).fetchall()
    assert error == [("public", "fail", True, "TS123", "no luck", True)]
    row = db.execute("SELECT err_detail, err_hint, err_context FROM _timescaledb_config.bgw_job_stat_history WHERE job_id = %s", [job]).fetchone()
    assert row[:2] == ("none at all", "try") and "fail(integer,jsonb)" in row[2]
    # Retried after five minutes, give or take an eighth.
    assert value(db, "SELECT next_start - now() BETWEEN interval '4 min' AND interval '6 min' FROM timescaledb_information.jobs WHERE job_id = %s", job)


def test_a_function_that_is_gone_is_a_failure(db):
    db.execute("CREATE FUNCTION gone(job_id int, config jsonb) RETURNS void LANGUAGE sql AS 'SELECT'")
    job = add(db, "gone", initial_start="2200-01-01")
    db.execute("DROP FUNCTION gone(int, jsonb)")
    db.execute("SELECT alter_job(%s, next_start => now())", [job])
    wait_for(db, "SELECT total_failures = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    assert value(db, "SELECT sqlerrcode FROM timescaledb_information.job_errors WHERE job_id = %s", job) == "42883"


def test_max_retries_takes_a_job_off_the_schedule(db):
    job = add(db, "fail", scheduled=False)
    db.execute("SELECT alter_job(%s, max_retries => 3, retry_period => '0', scheduled => true)", [job])
    wait_for(db, "SELECT NOT scheduled FROM timescaledb_information.jobs WHERE job_id = %s", job)
    assert value(db, "SELECT total_failures FROM timescaledb_information.job_stats WHERE job_id = %s", job) == 3


def test_max_runtime_cancels(db):
    job = add(db, "linger", scheduled=False)
    db.execute("SELECT alter_job(%s, max_runtime => '0.5 s', scheduled => true)", [job])
    wait_for(db, "SELECT total_failures = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    code, message = db.execute("SELECT sqlerrcode, err_message FROM timescaledb_information.job_errors WHERE job_id = %s", [job]).fetchone()
    assert code == "57014" and "longer than max_runtime" in message
    assert value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 0


def test_a_cancelled_job_has_failed(db):
    job = add(db, "linger")
    wait_for(db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'PgSleep'", f"User-Defined Action [{job}]")
    assert value(db, "SELECT job_status FROM timescaledb_information.job_stats WHERE job_id = %s", job) == "Running"
    db.execute("SELECT pg_cancel_backend(pid) FROM _timescaledb_functions.running_jobs() WHERE job_id = %s", [job])
    wait_for(db, "SELECT count(*) = 1 FROM timescaledb_information.job_errors WHERE job_id = %s AND sqlerrcode = '57014'", job)


def test_a_terminated_job_has_failed(db):
    job = add(db, "linger")
    wait_for(db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = %s", f"User-Defined Action [{job}]")
    db.execute("SELECT pg_terminate_backend(pid) FROM _timescaledb_functions.running_jobs() WHERE job_id = %s", [job])
    wait_for(db, "SELECT count(*) = 1 FROM timescaledb_information.job_errors WHERE job_id = %s AND sqlerrcode = '57P01'", job)
    assert value(db, "SELECT last_run_status FROM timescaledb_information.job_stats WHERE job_id = %s", job) == "Failed"


@pytest.mark.parametrize("kind", ["scheduler", "launcher"])
def test_who_looks_after_jobs_is_replaced(db, kind):
    lingering = add(db, "linger")
    wait_for(db, f"{RUNNING} WHERE job_id = %s", lingering)
    find = "SELECT pid FROM pg_stat_activity WHERE backend_type = %s AND (datname = current_database() OR datname IS NULL)"
    old = wait_for(db, "SELECT coalesce((" + find + "), 0)", f"timescale_compat {kind}")
    db.execute("SELECT pg_terminate_backend(%s)", [old])
    wait_for(db, "SELECT coalesce((" + find + "), %s) <> %s", f"timescale_compat {kind}", old, old)
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))
    # A run that was under way goes on, and is not begun twice.
    assert value(db, f"{RUNNING} WHERE job_id = %s", lingering) == 1
    assert value(db, "SELECT total_runs FROM timescaledb_information.job_stats WHERE job_id = %s", lingering) == 1
    db.execute("SELECT delete_job(%s)", [lingering])
    assert value(db, f"{RUNNING} WHERE job_id = %s", lingering) == 0


def test_delete_job_stops_a_run(db):
    job = add(db, "linger")
    wait_for(db, f"{RUNNING} WHERE job_id = %s", job)
    db.execute("SELECT delete_job(%s)", [job])
    assert value(db, f"{RUNNING} WHERE job_id = %s", job) == 0
    assert value(db, "SELECT count(*) FROM timescaledb_information.job_stats WHERE job_id = %s", job) == 0


def test_a_deletion_that_is_rolled_back_begins_the_run_anew(server, database, db):
    job = add(db, "linger")
    wait_for(db, f"{RUNNING} WHERE job_id = %s", job)
    with server.connect(database, autocommit=False) as other:
        other.execute("SELECT delete_job(%s)", [job])
        assert value(other, f"{RUNNING} WHERE job_id = %s", job) == 0
        # Others are not held up by the open transaction.
        wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))
        other.rollback()
    wait_for(db, f"{RUNNING} WHERE job_id = %s", job)
    assert value(db, "SELECT total_runs FROM timescaledb_information.job_stats WHERE job_id = %s", job) == 2


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_deletion_does_not_wait_for_a_job_that_waits_for_it(server, database, db, end):
    """The job is done, and can't record it while the job is locked by the session that now deletes it."""
    db.execute("CREATE FUNCTION gate(job_id int, config jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO ran VALUES (job_id); SELECT pg_advisory_lock(1)'")
    with server.connect(database) as gate, server.connect(database, autocommit=False) as other:
        gate.execute("SELECT pg_advisory_lock(1)")
        job = add(db, "gate")
        wait_for(db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'advisory'", f"User-Defined Action [{job}]")
        other.execute("SELECT alter_job(%s, max_retries => 7)", [job])
        gate.execute("SELECT pg_advisory_unlock(1)")
        wait_for(db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = %s AND query = 'recording how it went'", f"User-Defined Action [{job}]")
        other.execute("SELECT delete_job(%s)", [job])
        assert value(other, f"{RUNNING} WHERE job_id = %s", job) == 0
        getattr(other, end)()
    if end == "rollback":
        wait_for(db, "SELECT total_successes = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    assert value(db, "SELECT count(*) FROM timescaledb_information.jobs WHERE job_id = %s", job) == (end == "rollback")
    assert value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 1


def test_a_job_may_delete_itself(db):
    db.execute("CREATE FUNCTION once(job_id int, config jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO ran VALUES (job_id); SELECT delete_job(job_id)'")
    job = add(db, "once")
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", job)
    assert value(db, "SELECT count(*) FROM timescaledb_information.jobs WHERE job_id = %s", job) == 0


def test_what_is_altered_during_a_run_counts(db):
    db.execute("CREATE FUNCTION alters(job_id int, config jsonb) RETURNS void LANGUAGE sql AS $$SELECT alter_job(job_id, next_start => '2100-01-01+00')$$")
    job = add(db, "alters")
    wait_for(db, "SELECT total_successes = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    assert value(db, "SELECT next_start = '2100-01-01+00' FROM timescaledb_information.jobs WHERE job_id = %s", job)


def test_a_job_is_its_owner_and_nobody_else(server, database, db, role):
    db.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    db.execute("CREATE TABLE secret (x int)")
    with server.connect(database) as other:
        other.execute(f"SET SESSION AUTHORIZATION {role}")
        other.execute("""
            CREATE FUNCTION pry(job_id int, config jsonb) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO public.ran VALUES (job_id);
                EXECUTE config ->> 'do';
            END $$""")
        other.execute("CREATE PROCEDURE pry_later(job_id int, config jsonb) LANGUAGE plpgsql AS $$ BEGIN COMMIT; EXECUTE config ->> 'do'; END $$")
        fine = add(other, "pry", config='{"do": "SELECT 1"}')
        attempts = [
            add(other, function, config='{"do": "%s"}' % statement)
            for function in ("pry", "pry_later")
            for statement in ("SELECT * FROM public.secret", "SET ROLE postgres", "SET SESSION AUTHORIZATION postgres",
                              "RESET ROLE; SELECT * FROM public.secret", "RESET SESSION AUTHORIZATION; SELECT * FROM public.secret",
                              "DELETE FROM _timescaledb_config.bgw_job", "SET session_replication_role = replica", "SELECT pg_read_file('/etc/passwd')")]
    wait_for(db, "SELECT count(*) = %s FROM timescaledb_information.job_stats WHERE job_id = ANY(%s) AND total_failures > 0", len(attempts), attempts)
    codes = {row[0] for row in db.execute("SELECT sqlerrcode FROM timescaledb_information.job_errors WHERE job_id = ANY(%s)", [attempts])}
    assert codes == {"42501"}
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s AND who = %s AND acting = %s", fine, role, role)
    db.execute("SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE id >= 1000")


def test_settings_of_the_owner_count(server, database, db, role):
    db.execute(f"ALTER ROLE {role} SET statement_timeout = '300ms'")
    db.execute(f"ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'")
    db.execute("CREATE FUNCTION tells(job_id int, config jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', current_setting('transaction_isolation'); END $$")
    with server.connect(database) as other:
        other.execute(f"SET SESSION AUTHORIZATION {role}")
        slow, tells = add(other, "linger"), add(other, "tells")
    error = "SELECT max(err_message) FROM timescaledb_information.job_errors WHERE job_id = %s"
    assert wait_for(db, error, slow) == "canceling statement due to statement timeout"
    assert wait_for(db, error, tells) == "repeatable read"
    # A role that lets nothing be written keeps nobody from recording that it did not.
    db.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    with server.connect(database) as other:
        other.execute(f"SET SESSION AUTHORIZATION {role}")
        refused = add(other, "note")
    assert "read-only transaction" in wait_for(db, error, refused)


def test_an_owner_that_is_locked_out(server, database, db, role):
    with server.connect(database) as other:
        other.execute(f"SET SESSION AUTHORIZATION {role}")
        job = add(other, "note", initial_start="2200-01-01")
    error = "SELECT max(err_message) FROM timescaledb_information.job_errors WHERE job_id = %s"
    db.execute(f"ALTER ROLE {role} NOLOGIN")
    db.execute("UPDATE _timescaledb_config.bgw_job_stat SET next_start = now() WHERE job_id = %s", [job])
    db.execute("SELECT add_job('note', '1 hour')")
    assert "permission denied to start background process" in wait_for(db, error, job)
    db.execute(f"ALTER ROLE {role} LOGIN")
    name = value(db, "SELECT current_database()")
    db.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
    db.execute("DELETE FROM _timescaledb_config.bgw_job_stat_history")
    db.execute("SELECT alter_job(%s, next_start => now())", [job])
    assert "could not be started" in wait_for(db, error, job)


def test_history_of_successes_if_asked_for(db, server):
    db.execute("ALTER SYSTEM SET timescaledb.enable_job_execution_logging = on")
    db.execute("SELECT pg_reload_conf()")
    try:
        def kept():
            job = add(db, "note", config='{"a": 1}')
            wait_for(db, "SELECT total_successes = 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
            return db.execute("SELECT succeeded, config, pid > 0, sqlerrcode FROM timescaledb_information.job_history WHERE job_id = %s", [job]).fetchall()
        assert wait(kept, "a success in the history") == [(True, {"a": 1}, True, None)]
    finally:
        db.execute("ALTER SYSTEM RESET timescaledb.enable_job_execution_logging")
        db.execute("SELECT pg_reload_conf()")


def test_who_may_see_the_history(server, database, db, role):
    job = add(db, "fail")
    wait_for(db, "SELECT count(*) = 1 FROM timescaledb_information.job_errors WHERE job_id = %s", job)
    with server.connect(database) as other:
        other.execute(f"SET SESSION AUTHORIZATION {role}")
        assert value(other, "SELECT count(*) FROM timescaledb_information.job_errors") == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute("SELECT * FROM _timescaledb_config.bgw_job_stat_history")


def test_stop_and_start(db):
    assert value(db, "SELECT _timescaledb_functions.stop_background_workers()")
    here = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'timescale_compat%%'"
    wait_for(db, f"SELECT ({here}) = 0")
    job = add(db, "note")
    time.sleep(1)
    assert value(db, here) == 0 and value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 0
    assert value(db, "SELECT _timescaledb_functions.start_background_workers()")
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", job)
    # A run that is stopped is begun anew.
    lingering = add(db, "linger")
    wait_for(db, f"{RUNNING} WHERE job_id = %s", lingering)
    assert value(db, "SELECT _timescaledb_functions.restart_background_workers()")
    wait_for(db, "SELECT total_runs = 2 FROM timescaledb_information.job_stats WHERE job_id = %s", lingering)


def test_a_restart_that_is_interrupted_leaves_jobs_running(server, database, db):
    job = add(db, "linger")
    wait_for(db, f"{RUNNING} WHERE job_id = %s", job)
    # It waits for the scheduler, which waits for the job, for longer than that.
    db.execute("SET statement_timeout = 1")
    with pytest.raises(Exception, match="statement timeout"):
        db.execute("SELECT _timescaledb_functions.restart_background_workers()")
    db.execute("RESET statement_timeout")
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))


def test_a_job_may_restart_the_processes_that_run_it(db):
    db.execute("CREATE FUNCTION restart(job_id int, config jsonb) RETURNS void LANGUAGE sql AS "
               "'SELECT _timescaledb_functions.restart_background_workers()'")
    job = add(db, "restart")
    wait_for(db, "SELECT total_runs >= 1 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))


def test_a_time_zone_that_is_gone_holds_up_no_job(db):
    job = add(db, "note")
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", job)
    db.execute("UPDATE _timescaledb_config.bgw_job SET timezone = 'Nowhere/AtAll' WHERE id = %s", (job,))
    db.execute("SELECT alter_job(%s, next_start => now())", (job,))
    wait_for(db, "SELECT count(*) = 2 FROM ran WHERE job = %s", job)
    wait_for(db, "SELECT total_successes = 2 AND next_start > now() FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))


def test_a_failure_that_cannot_be_recorded_holds_up_no_other_job(db):
    # No number is left for the history of runs.
    db.execute("SELECT setval('_timescaledb_config.bgw_job_stat_history_id_seq', 9223372036854775807)")
    job = add(db, "fail")
    wait_for(db, "SELECT total_failures = 1 AND next_start > now() FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", add(db, "note"))
    db.execute("SELECT setval('_timescaledb_config.bgw_job_stat_history_id_seq', 1000)")
    db.execute("SELECT alter_job(%s, next_start => now())", (job,))
    wait_for(db, "SELECT total_failures = 2 FROM timescaledb_information.job_stats WHERE job_id = %s", job)
    assert value(db, "SELECT count(*) FROM timescaledb_information.job_errors WHERE job_id = %s", job) == 1


def test_jobs_wait_for_a_restore(db):
    assert value(db, "SELECT timescaledb_pre_restore()")
    wait_for(db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'timescaledb_post_restore'"
             " AND backend_type = 'timescale_compat scheduler'")
    job = add(db, "note")
    time.sleep(1)
    assert value(db, "SELECT count(*) FROM ran WHERE job = %s", job) == 0
    assert value(db, "SELECT timescaledb_post_restore()")
    wait_for(db, "SELECT count(*) = 1 FROM ran WHERE job = %s", job)


def test_a_dump_holds_jobs(server, database, db):
    db.execute("SELECT _timescaledb_functions.stop_background_workers()")
    job = add(db, "note", "2 days", config='{"a": 1}', job_name="kept", timezone="Europe/Berlin", initial_start="2001-01-01 00:00+00")
    server.psql('CREATE DATABASE "jobs_copy"')
    try:
        server.psql(server.pg_dump(database), "jobs_copy")
        with server.connect("jobs_copy") as copy:
            jobs = "SELECT * FROM _timescaledb_config.bgw_job WHERE id >= 1000 ORDER BY id"
            assert copy.execute(jobs).fetchall() == db.execute(jobs).fetchall()
            # It was due long ago, and does not run into the restore.
            assert value(copy, "SELECT next_start > now() + interval '9 minutes' FROM timescaledb_information.jobs WHERE job_id = %s", job)
            assert add(copy, "note") > job
            assert value(copy, "SELECT count(*) FROM timescaledb_information.jobs WHERE job_id = 3") == 1
    finally:
        server.psql('DROP DATABASE "jobs_copy"')
