"""Continuous aggregates in dumps: views, hidden objects and catalog rows come back as they were, with no step besides."""

import pathlib
import re

import psycopg
import pytest
from invariants import assert_nothing_half_made

FIXTURE = """
SET timezone = 'UTC';
CREATE TABLE m (time timestamptz NOT NULL, host text, price numeric(10, 2), v float8);
CREATE TABLE hosts (name text PRIMARY KEY, site text, rack int);
INSERT INTO hosts SELECT 'h' || g, 's' || g % 2, g FROM generate_series(0, 4) g;
SELECT create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
INSERT INTO m SELECT timestamptz '2024-01-01+00' + g * interval '7 minute', 'h' || g % 5, g % 100, g FROM generate_series(0, 1999) AS g;
CREATE SCHEMA other;
CREATE MATERIALIZED VIEW other."Hourly" WITH (timescaledb.continuous) AS
    SELECT time_bucket('1 hour', time) AS "Bucket", host, avg(price), stddev(v), count(*) FILTER (WHERE v > 10) AS n
    FROM m WHERE price > 0 GROUP BY 1, 2, price > 50 HAVING count(*) > 0;
CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 day', "Bucket") AS day, sum(n) AS n FROM other."Hourly" GROUP BY 1;
-- What depends on a primary key comes late in a dump: until then there is a stand-in for the view.
CREATE MATERIALIZED VIEW sites WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 day', m.time, 'Europe/Berlin') AS day, hosts.site, hosts.rack, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS median
    FROM m JOIN hosts ON hosts.name = m.host GROUP BY 1, hosts.name;
ALTER MATERIALIZED VIEW daily RENAME COLUMN n TO number;
ALTER MATERIALIZED VIEW daily ADD COLUMN groups bigint GENERATED ALWAYS AS (count(*)) STORED;
CREATE INDEX ON other."Hourly" (n);
COMMENT ON MATERIALIZED VIEW daily IS 'day by day';
ALTER MATERIALIZED VIEW other."Hourly" SET (timescaledb.columnstore);
SELECT compress_chunk(c) FROM show_chunks('other."Hourly"') AS c;
CALL refresh_continuous_aggregate('daily', NULL, NULL);
-- Changed since.
INSERT INTO m VALUES ('2024-01-03 12:00+00', 'h1', 5, 5), ('2024-06-01+00', 'h2', 6, 6);
SELECT drop_chunks('m', older_than => timestamptz '2024-01-02+00');
"""
VIEWS = {'other."Hourly"': "1, 2, 3", "daily": "1", "sites": "1, 2, 3"}
DEFINITIONS = "SELECT * FROM timescaledb_information.continuous_aggregates ORDER BY view_name"
CATALOG = "SELECT id, storage, source, user_view, partial_view, direct_view, materialized_only, grain FROM _timescaledb_config.continuous_agg ORDER BY id"
# What is to be computed: it is no more for having been loaded.
CHANGES = "SELECT hypertable, low, high FROM _timescaledb_config.hypertable_change UNION ALL SELECT storage, low, high FROM _timescaledb_config.continuous_agg_range WHERE kind = 'i' ORDER BY 1, 2, 3"
KEPT = "SELECT storage, low, high FROM _timescaledb_config.continuous_agg_range WHERE kind = 'k' ORDER BY 1, 2"
PARTS = "SELECT classid::regclass, objid::regclass, refobjid::regclass, deptype FROM pg_depend WHERE deptype = 'i' AND objid <> refobjid AND objid IN (SELECT unnest(ARRAY[storage, partial_view])::oid FROM _timescaledb_config.continuous_agg) ORDER BY 2::text"


def rows(server, database):
    return {view: server.psql(f"SELECT * FROM {view} ORDER BY {order}", database) for view, order in VIEWS.items()}


def assert_same_and_alive(server, original, copy):
    for query in (DEFINITIONS, CATALOG, KEPT, PARTS):
        assert server.psql(query, copy) == server.psql(query, original), query
    assert rows(server, copy) == rows(server, original)
    # Changes are seen and refreshed alike.
    for database in (original, copy):
        server.psql("INSERT INTO m VALUES ('2024-01-05 12:00+00', 'h1', 99, 1000), ('2024-02-01+00', 'h9', 1, 1)", database)
    assert rows(server, copy) == rows(server, original)
    for database in (original, copy):
        for view in VIEWS:
            server.psql(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)", database)
    assert rows(server, copy) == rows(server, original)
    assert_nothing_half_made(server, copy)
    # It can be changed and dropped as before.
    server.psql("ALTER MATERIALIZED VIEW sites ADD COLUMN most float8 GENERATED ALWAYS AS (max(v)) STORED", copy)
    server.psql("CALL refresh_continuous_aggregate('sites', NULL, NULL)", copy)
    assert server.psql("SELECT max(most) FROM sites", copy) == server.psql("SELECT max(v) FROM m JOIN hosts ON name = host", copy)
    server.psql('DROP MATERIALIZED VIEW other."Hourly", daily; DROP TABLE m CASCADE', copy)
    left = "SELECT count(*) FROM pg_class WHERE relname ~ '_materialized|_view_[0-9]|_hyper_' AND relkind IN ('r', 'p', 'v')"
    assert server.psql(left, copy) == "0"
    assert server.psql("SELECT count(*) FROM _timescaledb_config.continuous_agg", copy) == "0"


@pytest.mark.parametrize("options", [[], ["--inserts"], ["--load-via-partition-root"]], ids=lambda o: " ".join(o) or "copy")
def test_plain_dumps(server, filled, target, options):
    assert server.psql(CHANGES, filled) != ""
    server.psql(server.pg_dump(filled, *options), target)
    if not options:
        assert server.psql(CHANGES, target) == server.psql(CHANGES, filled)
    assert_same_and_alive(server, filled, target)


def test_a_dump_of_the_copy_is_the_same(server, filled, target):
    dump = server.pg_dump(filled, "--schema-only")
    server.psql(server.pg_dump(filled), target)
    assert server.pg_dump(target, "--schema-only") == dump


def test_clean_restore_over_what_is_there(server, database, target):
    """`pg_dump --clean` drops what it is about to create, object by object; tables of batches it could not drop before their chunks."""
    server.psql("\n".join(line for line in FIXTURE.splitlines() if "compress_chunk" not in line), database)
    server.psql(server.pg_dump(database), target)
    server.psql(server.pg_dump(database, "--clean", "--if-exists"), target)
    assert_same_and_alive(server, database, target)


def test_archives_restored_by_several_sessions(server, filled, target, tmp_path):
    archive = tmp_path / "dump"
    server.run("pg_dump", "-Fc", "-f", archive, database=filled)
    server.run("pg_restore", "-j2", "-d", target, archive)
    assert server.psql(CHANGES, target) == server.psql(CHANGES, filled)
    assert_same_and_alive(server, filled, target)


def test_schema_and_data_apart(server, filled, target):
    server.psql(server.pg_dump(filled, "--schema-only"), target)
    server.psql(server.pg_dump(filled, "--data-only"), target)
    assert_same_and_alive(server, filled, target)


def test_what_is_loaded_by_hand_after_a_restore_counts(server, filled, target):
    """Into a chunk that was empty in the dump, whose indexes say that the restore is over; and whatever is done once there is a new chunk."""
    refresh = """CALL refresh_continuous_aggregate('other."Hourly"', NULL, NULL)"""
    for statement in (refresh, "DELETE FROM m WHERE time >= '2024-06-01'", refresh):
        server.psql(statement, filled)
    server.psql(server.pg_dump(filled), target)
    empty = server.psql("SELECT c FROM show_chunks('m', newer_than => timestamptz '2024-05-30') AS c", target)
    logged = "SELECT count(*) FROM _timescaledb_config.hypertable_change WHERE hypertable = 'm'::regclass"
    before = int(server.psql(logged, target))
    server.psql(f"COPY {empty} FROM stdin;\n2024-06-01 05:00:00+00\th1\t1\t1\n\\.\n", target)
    assert int(server.psql(logged, target)) > before
    loading = "SELECT bool_or(made_as <> storage::oid) FROM _timescaledb_config.continuous_agg WHERE source = 'm'::regclass"
    assert server.psql(loading, target) == "t"
    server.psql("INSERT INTO m VALUES ('2025-01-01+00', 'h1', 1, 1)", target)
    assert server.psql(loading, target) == "f"
    count = "SELECT sum(n) FROM (SELECT count(*) AS n FROM m WHERE price > 0 GROUP BY time_bucket('1 day', time)) AS x"
    assert server.psql(f"SET timescaledb.enable_cagg_rewrites = on; {count}", target) == server.psql(count, target)


DOCS = pathlib.Path(__file__).parents[2] / "docs" / "continuous-aggregates.md"
SHELLS = "SELECT count(*) FROM pg_class WHERE relname ~ '^_(materialized_hypertable|direct_view|partial_view)_[0-9]+$' AND relkind IN ('p', 'v')"


def test_a_schema_without_data_hinders_no_continuous_aggregates(server, filled, target):
    """What a restore of `pg_dump --schema-only` leaves has no rows in the catalog: names are passed over, and it can be dropped."""
    server.psql(server.pg_dump(filled, "--schema-only"), target)
    server.psql("SELECT create_hypertable('m', 'time')", target)
    server.psql("INSERT INTO m SELECT timestamptz '2024-01-01+00' + g * interval '1 hour', 'h1', g, g FROM generate_series(0, 99) g", target)
    server.psql("INSERT INTO hosts VALUES ('h1', 's1', 1)", target)
    create = "CREATE MATERIALIZED VIEW {} WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS day, sum(price) FROM m GROUP BY 1"
    total = server.psql("SELECT sum(price) FROM m", target)
    server.psql(create.format("fresh"), target)
    assert server.psql("SELECT sum(sum) FROM fresh", target) == total
    with server.connect(target) as connection, pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as caught:
        connection.execute("SELECT * FROM sites")
    storage = server.psql("SELECT '_timescaledb_internal._materialized_hypertable_4'::regclass", target)
    direct_view = "_timescaledb_internal._direct_view_4"
    hint = caught.value.diag.message_hint
    assert f"DROP TABLE {storage} CASCADE" in hint and f"DROP VIEW IF EXISTS {direct_view}" in hint
    # As the hint says.
    server.psql(f"DROP TABLE {storage} CASCADE; DROP VIEW IF EXISTS {direct_view}", target)
    server.psql(create.format("sites"), target)
    assert server.psql("SELECT sum(sum) FROM sites", target) == total
    # All others; what is alive stays.
    (drop,) = re.findall(r"```sql\n(\s*SELECT format\('DROP.*?)```", DOCS.read_text(), re.DOTALL)
    server.psql(drop, target)
    assert server.psql(SHELLS, target) == "6"
    for view in ('other."Hourly"', "daily"):
        server.psql(create.format(view), target)
        assert server.psql(f"SELECT sum(sum) FROM {view}", target) == total
    server.psql("INSERT INTO m VALUES ('2024-01-01+00', 'h2', 1, 1)", target)
    server.psql("CALL refresh_continuous_aggregate('fresh', NULL, NULL)", target)
    assert server.psql("SELECT sum(sum) FROM fresh", target) == server.psql("SELECT sum(price) FROM m", target)
    assert_nothing_half_made(server, target)
