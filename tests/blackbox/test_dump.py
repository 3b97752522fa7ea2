"""pg_dump and pg_restore, with and without the extension at the other end; and the extension's own going.

Not here: pg_restore --clean can't drop the unique constraints of any partitioned table ("cannot drop inherited constraint").
"""

import pytest
from invariants import assert_nothing_half_made
from server import Server

FIXTURE = """
CREATE SCHEMA app;
CREATE TABLE dev (id int PRIMARY KEY, name text);
INSERT INTO dev SELECT g, 'd' || g FROM generate_series(1, 5) AS g;
CREATE TABLE app.points (id bigserial, time timestamptz NOT NULL, dev int REFERENCES dev, v float8 DEFAULT 1, twice float8 GENERATED ALWAYS AS (v * 2) STORED,
    CHECK (v > -100), UNIQUE (dev, time));
SELECT create_hypertable('app.points', 'time', chunk_time_interval => interval '1 day');
INSERT INTO app.points (time, dev, v) SELECT timestamptz '2024-01-01+00' + g * interval '5 hours', g % 5 + 1, g FROM generate_series(1, 60) AS g;
CREATE TABLE spaced (time timestamp NOT NULL, place text NOT NULL, v int);
SELECT create_hypertable('spaced', 'time', 'place', 3, chunk_time_interval => interval '2 days');
INSERT INTO spaced SELECT timestamp '2024-01-01' + g * interval '7 hours', 'p' || g % 9, g FROM generate_series(1, 50) AS g;
CREATE TABLE counted (n bigint NOT NULL, v int);
SELECT create_hypertable('counted', 'n', chunk_time_interval => 100);
CREATE FUNCTION now_n() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1000::bigint';
SELECT set_integer_now_func('counted', 'now_n');
INSERT INTO counted SELECT g * 30, g FROM generate_series(-10, 40) AS g;
SELECT set_chunk_time_interval('counted', 50);
CREATE TABLE "Odd ""name" ("when it Was" date NOT NULL, v int);
SELECT create_hypertable('"Odd ""name"', 'when it Was', associated_schema_name => 'app', associated_table_prefix => 'odd');
INSERT INTO "Odd ""name" SELECT date '2024-01-01' + g * 3, g FROM generate_series(1, 20) AS g;
CREATE VIEW app.sums AS SELECT dev, sum(v) FROM app.points GROUP BY dev;
CREATE MATERIALIZED VIEW app.counts AS SELECT place, count(*) FROM spaced GROUP BY place;
CREATE TABLE hollow (time timestamptz NOT NULL);
SELECT create_hypertable('hollow', 'time');
"""
STATE = """
SELECT * FROM _timescaledb_config.hypertable ORDER BY id;
SELECT * FROM _timescaledb_config.dimension ORDER BY id;
SELECT * FROM _timescaledb_config.chunk ORDER BY id;
SELECT * FROM _timescaledb_config.tablespace ORDER BY 1;
SELECT * FROM app.points ORDER BY id; SELECT * FROM app.sums ORDER BY dev; SELECT * FROM app.counts ORDER BY place;
SELECT * FROM spaced ORDER BY v; SELECT * FROM counted ORDER BY n; SELECT * FROM "Odd ""name" ORDER BY v;
SELECT relid::text, isleaf, level, pg_get_expr(relpartbound, relid) FROM _timescaledb_config.hypertable AS h, LATERAL (SELECT p.relid AS r, isleaf, level FROM pg_partition_tree(h.relid) AS p) AS p
    JOIN pg_class AS c ON c.oid = p.r ORDER BY c.oid::regclass::text;
"""
# Old ranges and new ones of every table; the ids of new chunks must be new.
GO_ON = """
INSERT INTO app.points (time, dev) VALUES ('2024-01-02', 1), ('2030-01-01', 2);
INSERT INTO spaced SELECT timestamp '2024-01-02' + g * interval '400 days', 'p' || g, 0 FROM generate_series(0, 3) AS g;
INSERT INTO counted VALUES (-5, 0), (100000, 0);
INSERT INTO "Odd ""name" VALUES ('2031-01-01', 0), ('2024-01-04', 0);
INSERT INTO hollow VALUES (now());
CREATE TABLE fresh (time timestamptz NOT NULL);
SELECT create_hypertable('fresh', 'time');
INSERT INTO fresh VALUES (now());
"""


def assert_same_and_alive(server, original, copy):
    assert server.psql(STATE, copy) == server.psql(STATE, original)
    assert_nothing_half_made(server, copy)
    server.psql(GO_ON, copy)
    assert_nothing_half_made(server, copy)
    assert server.psql("SELECT count(*) = count(DISTINCT relid) AND count(*) = count(DISTINCT id) FROM _timescaledb_config.chunk", copy) == "t"


def test_dump_and_psql_give_the_same_database(server, filled, target):
    dump = server.pg_dump(filled)
    server.psql(dump, target)
    assert server.pg_dump(target) == dump
    assert_same_and_alive(server, filled, target)


@pytest.mark.parametrize("options", [[], ["--inserts"], ["--load-via-partition-root"], ["--column-inserts", "--on-conflict-do-nothing"]], ids=lambda o: " ".join(o) or "copy")
def test_every_way_of_writing_rows(server, filled, target, options):
    server.psql(server.pg_dump(filled, *options), target)
    assert_same_and_alive(server, filled, target)


@pytest.mark.parametrize("jobs", [[], ["-j", "3"]], ids=["one job", "three jobs"])
def test_pg_restore_of_an_archive(server, filled, target, tmp_path, jobs):
    archive = tmp_path / "archive"
    server.run("pg_dump", "-Fc", "-f", archive, database=filled)
    server.run("pg_restore", *jobs, "--exit-on-error", "-d", target, archive)
    assert_same_and_alive(server, filled, target)


def test_sections_in_two_runs(server, filled, target):
    server.psql(server.pg_dump(filled, "--schema-only"), target)
    server.psql(server.pg_dump(filled, "--data-only", "--disable-triggers", "--exclude-table-data=app.counts"), target)
    server.psql("REFRESH MATERIALIZED VIEW app.counts", target)
    assert_same_and_alive(server, filled, target)


def test_a_schema_without_rows_is_adopted(server, filled, target):
    """The catalog's rows are data, so a restored schema holds partitioned tables; create_hypertable makes their partitions chunks."""
    server.psql(server.pg_dump(filled, "--schema-only"), target)
    server.psql("SELECT create_hypertable('app.points', 'time', chunk_time_interval => interval '1 day'); INSERT INTO dev VALUES (1);"
                "INSERT INTO app.points (time, dev) VALUES ('2024-01-02', 1), ('2030-01-01', 1)", target)
    assert_nothing_half_made(server, target)
    chunks = "SELECT count(*) FROM _timescaledb_config.chunk WHERE hypertable_id = (SELECT id FROM _timescaledb_config.hypertable WHERE relid = 'app.points'::regclass)"
    assert int(server.psql(chunks, target)) == int(server.psql(chunks, filled)) + 1


def test_one_hypertable_on_a_server_without_the_extension(server, filled):
    dump = server.pg_dump(filled, "-t", "spaced", "-t", "_timescaledb_internal.*spaced*", "-t", "_timescaledb_internal._hyper_2_*")
    with Server("bare", {"shared_preload_libraries": ""}) as bare:
        bare.psql("CREATE SCHEMA _timescaledb_internal;" + dump)
        assert bare.psql("SELECT * FROM spaced ORDER BY v") == server.psql("SELECT * FROM spaced ORDER BY v", filled)
        assert bare.psql("SELECT relkind FROM pg_class WHERE oid = 'spaced'::regclass") == "p"


def test_without_the_extension_plain_partitioned_tables_remain(server, filled):
    rows = "SELECT * FROM app.points ORDER BY id; SELECT * FROM spaced ORDER BY v; SELECT * FROM counted ORDER BY n; SELECT * FROM app.sums ORDER BY dev"
    before = server.psql(rows, filled)
    server.psql("DROP EXTENSION timescale_compat CASCADE", filled)
    assert server.psql(rows, filled) == before
    server.psql("INSERT INTO app.points (time, dev) VALUES ('2024-01-02', 1); DELETE FROM app.points WHERE time = '2024-01-02'", filled)
    server.psql("CREATE EXTENSION timescale_compat", filled)
    server.psql("SELECT create_hypertable('app.points', 'time', chunk_time_interval => interval '1 day');"
                "SELECT create_hypertable('spaced', 'time', chunk_time_interval => interval '2 days'); SELECT create_hypertable('counted', 'n', chunk_time_interval => 50)",
                filled)
    assert server.psql(rows, filled) == before
    assert_nothing_half_made(server, filled)
    server.psql("INSERT INTO app.points (time, dev) VALUES ('2030-01-02', 1); INSERT INTO counted VALUES (99999, 1)", filled)
    assert_nothing_half_made(server, filled)


