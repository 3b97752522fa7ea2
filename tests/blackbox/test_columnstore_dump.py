"""Compressed chunks in dumps: batches are carried as they are."""

import psycopg
import pytest
from invariants import assert_nothing_half_made

FIXTURE = """
CREATE TYPE filler AS ENUM ('x');
CREATE TYPE mood AS ENUM ('good', 'bad', 'ugly');
CREATE TYPE pair AS (x int, y text);
CREATE TABLE m (time timestamptz NOT NULL, gone int, host text, a int, n numeric, md mood, mds mood[], p pair, r tstzrange, long text);
SELECT create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE m SET (timescaledb.columnstore, timescaledb.segmentby = 'host');
ALTER TABLE m DROP COLUMN gone;
INSERT INTO m SELECT timestamptz '2024-01-01+00' + g * interval '1 minute', 'h' || g % 5, g, g / 7.0, (ARRAY['good', 'bad', 'ugly'])[g % 3 + 1]::mood,
    ARRAY['bad', NULL, 'good']::mood[], (g, 'y' || g)::pair, tstzrange('2024-01-01+00', timestamptz '2024-01-02+00' + g * interval '1 s'),
    repeat(md5(g::text), CASE WHEN g = 7 THEN 2000 ELSE 1 END) FROM generate_series(0, 4319) AS g;
SELECT compress_chunk(c) FROM show_chunks('m') AS c LIMIT 2;
ALTER TABLE m DROP COLUMN n;
ALTER TABLE m ADD COLUMN later int DEFAULT 42;
ALTER TABLE m ADD COLUMN host2 text;
INSERT INTO m (time, host, a) VALUES ('2024-01-01 00:00:30+00', 'new', -1);
"""
ROWS = "SELECT * FROM m ORDER BY time, a"
STATE = "SELECT relid, batches, compressed, columns, segmentby, orderby, row_count, batch_count FROM _timescaledb_config.columnar_chunk ORDER BY relid::text"


@pytest.fixture
def target(target, server):
    # OIDs of types that users make differ from those of the original.
    server.psql("CREATE TYPE other AS ENUM ('a', 'b', 'c', 'd', 'e')", target)
    return target


def assert_same_and_alive(server, original, copy):
    assert server.psql(STATE, copy) == server.psql(STATE, original)
    assert server.psql(ROWS, copy) == server.psql(ROWS, original)
    assert_nothing_half_made(server, copy)
    changes = """
        INSERT INTO m (time, host, a, md) VALUES ('2024-01-01 12:00:01+00', 'h1', 5, 'ugly'), ('2024-03-01+00', 'h2', 6, 'good');
        UPDATE m SET a = -a WHERE host = 'h1' AND time < '2024-01-01 06:00+00';
        DELETE FROM m WHERE host = 'h2' AND time < '2024-01-02 06:00+00';
    """
    for database in (original, copy):
        server.psql(changes, database)
    assert server.psql(ROWS, copy) == server.psql(ROWS, original)
    for database in (original, copy):
        server.psql("SELECT decompress_chunk(c) FROM show_chunks('m', older_than => timestamptz '2024-01-02+00') AS c; SELECT compress_chunk(c) FROM show_chunks('m') AS c", database)
    assert server.psql(ROWS, copy) == server.psql(ROWS, original)
    server.psql("SELECT drop_chunks('m', older_than => timestamptz '2024-02-01+00')", copy)
    assert server.psql("SELECT count(*) FROM m", copy) == "1"
    assert server.psql("SELECT count(*) FROM pg_class WHERE relname LIKE 'compress_hyper%' AND relkind = 'r'", copy) == "1"
    server.psql("DROP TABLE m", copy)
    assert server.psql("SELECT count(*) FROM pg_class WHERE relname LIKE 'compress_hyper%'", copy) == "0"
    assert server.psql("SELECT count(*) FROM _timescaledb_config.columnar_chunk", copy) == "0"


@pytest.mark.parametrize("options", [[], ["--inserts"], ["--rows-per-insert=100"]], ids=lambda o: " ".join(o) or "copy")
def test_plain_dumps(server, filled, target, options):
    dump = server.pg_dump(filled, *options)
    server.psql(dump, target)
    assert server.pg_dump(target, *options) != ""
    assert_same_and_alive(server, filled, target)


def test_a_dump_of_the_copy_is_the_same(server, filled, target):
    server.psql("DROP TYPE other", target)
    dump = server.pg_dump(filled)
    server.psql(dump, target)
    assert server.pg_dump(target) == dump


def test_archives_restored_by_several_sessions(server, filled, target, tmp_path):
    archive = tmp_path / "dump"
    server.run("pg_dump", "-Fc", "-f", archive, database=filled)
    server.run("pg_restore", "-j2", "-d", target, archive)
    assert_same_and_alive(server, filled, target)


def test_schema_and_data_apart(server, filled, target):
    server.psql(server.pg_dump(filled, "--schema-only"), target)
    assert server.psql("SELECT count(*) FROM m", target) == "0"
    server.psql(server.pg_dump(filled, "--data-only"), target)
    assert_same_and_alive(server, filled, target)


def test_one_table_with_its_chunks(server, filled, target):
    """Without the extension's catalog: batches are nothing but tables, and the chunks have the rows of their heaps."""
    server.psql("CREATE TYPE mood AS ENUM ('good', 'bad', 'ugly'); CREATE TYPE pair AS (x int, y text); CREATE SCHEMA _timescaledb_internal", target)
    server.psql(server.pg_dump(filled, "-t", "m", "-t", "_timescaledb_internal.*"), target)
    heaps = server.psql("SELECT sum(n) FROM (SELECT (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM ONLY %s', c), false, true, '')))[1]::text::int AS n FROM show_chunks('m') AS c) AS s", filled)
    assert server.psql("SELECT count(*) FROM m", target) == heaps


def test_only_means_the_row_part(server, filled):
    """What pg_dump reads of a chunk must not hold what it reads of the batches again."""
    dump = server.pg_dump(filled, "--data-only", "-t", "_timescaledb_internal._hyper_1_1_chunk")
    rows = dump.split("FROM stdin;\n")[1].split("\\.\n")[0].splitlines()
    assert len(rows) == 1


def test_batches_are_for_the_owner(server, filled):
    server.psql("CREATE ROLE stranger", filled)
    try:
        with server.connect(filled) as connection:
            connection.execute("SET ROLE stranger")
            batches = connection.execute("SELECT batches::text FROM _timescaledb_config.columnar_chunk LIMIT 1").fetchone()[0]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {batches}")
    finally:
        server.psql("DROP ROLE stranger", filled)
