"""Policies at work in background workers, while clients write and read, and in dumps."""

import os
import random
import time

import pytest
from server import Server

CHUNK = 100
COMPRESS_AFTER = 300
DROP_AFTER = 1500
# Longer in `make soak`.
STEPS = 600 if os.environ.get("TSC_SOAK") else 40

SETUP = f"""
CREATE TABLE clock (n bigint);
INSERT INTO clock VALUES (0);
CREATE FUNCTION n_now() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT n FROM public.clock';
CREATE TABLE readings (n bigint NOT NULL, device text NOT NULL, value bigint NOT NULL);
SELECT create_hypertable('readings', 'n', chunk_time_interval => {CHUNK});
SELECT set_integer_now_func('readings', 'n_now');
CREATE INDEX readings_device ON readings (device, n);
ALTER TABLE readings SET (timescaledb.columnstore, timescaledb.segmentby = 'device');
CALL add_columnstore_policy('readings', {COMPRESS_AFTER}, schedule_interval => '300 ms');
SELECT add_retention_policy('readings', {DROP_AFTER}, schedule_interval => '300 ms');
SELECT alter_job(add_reorder_policy('readings', 'readings_device'), schedule_interval => '500 ms');
SELECT alter_job(job_id, retry_period => '300 ms') FROM timescaledb_information.jobs WHERE hypertable_name = 'readings';
"""


def wait_until(condition, what, patience=120):
    """Polls; a condition that does not come true in PATIENCE seconds is a failure."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience} s for this: {what()}"
        time.sleep(0.1)


def state(db):
    return db.execute("""SELECT range_start_integer, is_compressed, _timescaledb_functions.chunk_status(format('%I.%I', chunk_schema, chunk_name)::regclass)
                         FROM timescaledb_information.chunks WHERE hypertable_name = 'readings' ORDER BY 1""").fetchall()


def state_of(server, database):
    with server.connect(database) as connection:
        return state(connection)


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "while workers are killed"])
def test_a_table_that_is_written_to_is_compressed_and_retained_and_loses_nothing(server, database, db, killed):
    server.psql(SETUP, database)
    random.seed(4)
    expected = {}

    def insert(n, device, value):
        db.execute("INSERT INTO readings VALUES (%s, %s, %s)", (n, device, value))
        expected[n // CHUNK] = expected.get(n // CHUNK, 0) + value

    with server.connect(database) as reader:
        for step in range(STEPS):
            now = step * CHUNK
            with db.transaction():
                for _ in range(50):
                    insert(now + random.randrange(CHUNK), f"d{random.randrange(5)}", random.randrange(1000))
                # Some come late, into chunks that are in columns by now, but not into what may be gone.
                late = now - random.randrange(DROP_AFTER - 2 * CHUNK)
                if late >= 0:
                    insert(late, "late", 1)
            db.execute("UPDATE clock SET n = %s", (now,))
            # What is not old enough to be dropped is all there, wherever it is.
            oldest = max(0, now - DROP_AFTER + CHUNK) // CHUNK
            wanted = sum(value for chunk, value in expected.items() if chunk >= oldest)
            assert reader.execute("SELECT sum(value)::bigint FROM readings WHERE n >= %s", (oldest * CHUNK,)).fetchone()[0] == wanted
            if killed:
                reader.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'timescale_compat job' AND random() < 0.5")
            time.sleep(0.05)

        now = (STEPS - 1) * CHUNK
        first = (now - DROP_AFTER) // CHUNK
        last_compressed = (now - COMPRESS_AFTER) // CHUNK - 1

        def settled():
            found = state(reader)
            return found[0][0] >= first * CHUNK and all(status == 1 for start, _, status in found if start // CHUNK <= last_compressed)

        wait_until(settled, lambda: (state(reader), reader.execute("SELECT * FROM timescaledb_information.job_stats").fetchall()))
        found = state(reader)
        assert [start // CHUNK for start, _, _ in found] == list(range(first, STEPS))
        assert [start // CHUNK for start, compressed, _ in found if compressed] == list(range(first, last_compressed + 1))
        rows = reader.execute("SELECT n / %s, sum(value)::bigint FROM readings GROUP BY 1 ORDER BY 1", (CHUNK,)).fetchall()
        assert rows == sorted((chunk, value) for chunk, value in expected.items() if chunk >= first)
        stats = reader.execute("""SELECT proc_name, last_run_status, total_successes > 0, total_failures
                                  FROM timescaledb_information.job_stats JOIN timescaledb_information.jobs USING (job_id)
                                  WHERE jobs.hypertable_name = 'readings' ORDER BY 1""").fetchall()
        if not killed:
            errors = reader.execute("SELECT job_id, sqlerrcode, err_message FROM timescaledb_information.job_errors").fetchall()
            assert stats == [(name, "Success", True, 0) for name in ("policy_compression", "policy_reorder", "policy_retention")], errors
        health = reader.execute("SELECT num_chunks, compressed_chunks, partial_chunks, problems FROM timescaledb_information.hypertable_health").fetchone()
        assert health[:3] == (STEPS - first, last_compressed + 1 - first, 0)
        assert killed or health[3] is None


def test_a_crash_in_the_middle_loses_nothing_and_doubles_nothing():
    with Server("policies") as own:
        own.create_database("d")
        own.psql(SETUP + "INSERT INTO readings SELECT g, 'd' || g % 7, g FROM generate_series(0, 4999) AS g;", "d")
        for now in (2000, 3000, 4000, 5000):
            own.psql(f"UPDATE clock SET n = {now}", "d")
            time.sleep(random.random())
            own.kill9()
            own.start()
            # Without this a job that crashed would wait for some minutes.
            own.psql("SELECT alter_job(job_id, next_start => now()) FROM timescaledb_information.jobs WHERE hypertable_name = 'readings'", "d")
            oldest = now - DROP_AFTER + CHUNK
            rows = own.psql(f"SELECT count(*), sum(value) FROM readings WHERE n >= {oldest}", "d")
            assert rows == f"{5000 - oldest}|{sum(range(oldest, 5000))}"
        with own.connect("d") as db:
            wait_until(lambda: [status for start, _, status in state(db) if start < 4700] == [1] * 12, lambda: state(db))
        assert own.psql("SELECT min(n), max(n), count(*) FROM readings", "d") == "3500|4999|1500"


def test_a_chunk_that_is_in_use_is_done_in_a_later_run(server, database, db):
    server.psql(SETUP, database)
    with server.connect(database, autocommit=False) as holder:
        holder.execute("INSERT INTO readings SELECT g, 'd', 1 FROM generate_series(0, 999) AS g")
        holder.commit()
        holder.execute("INSERT INTO readings VALUES (250, 'd', 1)")
        db.execute("UPDATE clock SET n = 1200")
        # 0 to 900 but the one that is held.
        others = lambda: [start for start, compressed, _ in state(db) if compressed] == [0, 100, 300, 400, 500, 600, 700, 800]
        wait_until(others, lambda: state(db))
        holder.commit()
    wait_until(lambda: all(status == 1 for start, _, status in state(db) if start < 900), lambda: state(db))
    assert db.execute("SELECT count(*) FROM readings").fetchone() == (1001,)
    # To wait for somebody is no failure.
    assert db.execute("SELECT total_failures FROM timescaledb_information.job_stats JOIN timescaledb_information.jobs USING (job_id) WHERE proc_name = 'policy_compression'").fetchone() == (0,)


def test_a_worker_says_which_chunk_it_is_at(server, database, db):
    server.psql(SETUP, database)
    with server.connect(database, autocommit=False) as holder:
        holder.execute("INSERT INTO readings SELECT g, 'd', 1 FROM generate_series(0, 999) AS g")
        holder.commit()
        holder.execute("INSERT INTO readings VALUES (250, 'd', 1)")
        db.execute("UPDATE clock SET n = 1200")
        at = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'Columnstore Policy [%'
                AND query LIKE 'moving chunk "_hyper_1_3_chunk" to the columnstore'"""
        wait_until(lambda: db.execute(at).fetchone() == (1,), lambda: db.execute("SELECT application_name, query FROM pg_stat_activity").fetchall())


def test_what_fails_is_said_and_the_rest_is_done(server, database, db):
    server.psql(SETUP, database)
    server.psql("""
        ALTER TABLE readings ADD PRIMARY KEY (n, device);
        INSERT INTO readings SELECT g, 'd', 1 FROM generate_series(0, 2999) AS g;
        CREATE TABLE refers (n bigint, device text, FOREIGN KEY (n, device) REFERENCES readings);
        INSERT INTO refers VALUES (450, 'd');
        UPDATE clock SET n = 2999 + 1;
    """, database)
    wait_until(lambda: [start for start, _, _ in state(db)][:2] == [400, 1500], lambda: state(db))
    last = "SELECT last_run_status FROM timescaledb_information.job_stats JOIN timescaledb_information.jobs USING (job_id) WHERE proc_name = 'policy_retention'"
    wait_until(lambda: db.execute(last).fetchone() == ("Failed",), lambda: db.execute(last).fetchone())
    problems = db.execute("SELECT problems FROM timescaledb_information.hypertable_health").fetchone()[0]
    assert len(problems) == 1 and "Retention Policy" in problems[0] and "1 of " in problems[0] and "foreign key" in problems[0], problems
    errors = db.execute("SELECT DISTINCT sqlerrcode FROM timescaledb_information.job_errors").fetchall()
    assert errors == [("23503",)]
    db.execute("DROP TABLE refers")
    db.execute("SELECT alter_job(job_id, next_start => now()) FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'")
    wait_until(lambda: state(db)[0][0] == 1500, lambda: state(db))


def test_policies_of_a_dropped_table_go_while_they_run(server, database, db):
    for _ in range(5):
        server.psql(SETUP, database)
        db.execute("INSERT INTO readings SELECT g, 'd', 1 FROM generate_series(0, 2999) AS g")
        db.execute("UPDATE clock SET n = 2999")
        time.sleep(random.random())
        db.execute("DROP TABLE readings")
        assert db.execute("SELECT count(*) FROM timescaledb_information.jobs WHERE job_id >= 1000").fetchone() == (0,)
        server.psql("DROP TABLE clock; DROP FUNCTION n_now", database)


JOBS = """SELECT id, application_name, schedule_interval, proc_name, fixed_schedule, hypertable_id, config, initial_start, timezone, owner
          FROM _timescaledb_config.bgw_job WHERE id >= 1000 ORDER BY id"""


def test_a_dump_carries_policies_once(server, database):
    server.psql("""
        CREATE TABLE born (time timestamptz NOT NULL, tenant text) WITH (tsdb.hypertable, tsdb.chunk_interval = '1 day');
        SELECT add_retention_policy('born', INTERVAL '1 month', initial_start => '2030-01-01', timezone => 'Europe/Berlin',
            drop_after_size => '10 GB', drop_after_by => '{"tenant": {"A": "1 year", "B": null}}');
        SELECT add_reorder_policy('born', 'born_time_idx');
    """, database)
    copy = server.create_database("copy of policies", extension=False)
    try:
        server.psql(server.pg_dump(database), copy)
        assert server.psql(JOBS, copy) == server.psql(JOBS, database)
        assert len(server.psql(JOBS, copy).splitlines()) == 3
        server.psql("DROP TABLE born", copy)
        assert server.psql(JOBS, copy) == ""
    finally:
        server.psql(f'DROP DATABASE "{copy}" WITH (FORCE)')


def test_policies_are_not_taken_in_by_names_of_the_users(server, database, db):
    """Operators and functions that take the place of PostgreSQL's own in the search path of a job's owner."""
    server.psql(SETUP, database)
    server.psql("""
        SELECT _timescaledb_functions.stop_background_workers();
        CREATE SCHEMA trap;
        CREATE FUNCTION trap.spring() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
        CREATE FUNCTION trap.int4pl(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM trap.spring(); RETURN 0; END $$;
        CREATE FUNCTION trap.int8_trap(bigint, bigint) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM trap.spring(); RETURN true; END $$;
        CREATE FUNCTION trap.text_trap(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM trap.spring(); RETURN true; END $$;
        CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.int8_trap);
        CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.text_trap);
        CREATE DOMAIN trap.regclass AS int CHECK (value < 0);
        CREATE DOMAIN trap.text AS pg_catalog.text CHECK (value <> value);
        CREATE FUNCTION trap.cardinality(oid[]) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM trap.spring(); RETURN 0; END $$;
        SELECT remove_retention_policy('readings');
        SELECT add_retention_policy('readings', 1500, drop_after_by => '{"device": {"d": 1600}}');
        INSERT INTO readings SELECT g, CASE g % 2 WHEN 0 THEN 'd' ELSE 'e' END, 1 FROM generate_series(0, 2999) AS g;
        UPDATE clock SET n = 2999;
    """, database)
    db.execute("SET search_path = trap, pg_catalog, public")
    for kind in ("policy_compression", "policy_reorder", "policy_retention"):
        job = server.psql(f"SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = '{kind}'", database)
        db.execute(f"CALL public.run_job({job}::pg_catalog.int4)")
    assert [start for start, compressed, _ in state_of(server, database) if compressed] == list(range(1300, 2600, 100))
    assert server.psql("SELECT device, min(n) FROM readings GROUP BY 1 ORDER BY 1", database) == "d|1300\ne|1401"
