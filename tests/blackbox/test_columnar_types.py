"""Every type survives the way into columns and back bit by bit, in batches and vectors of all sizes."""

import os
import random
import struct

import pools
import pytest

SOAK = bool(os.environ.get("TSC_SOAK"))
KEYS = list(pools.KINDS)
SIZES = [1, 2, 1023, 1024, 1025, 8191, 8192, 8193, 20000]


@pytest.fixture(scope="module")
def types(server):
    """A database with the pool of values."""
    name = server.create_database("types")
    with server.connect(name) as connection:
        for statement in pools.pool():
            connection.execute(statement)
    yield name
    server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def session(server, types):
    with server.connect(types) as connection:
        connection.execute("SET lock_timeout = '20s'")
        yield connection
        connection.execute("DROP TABLE IF EXISTS t, kept")


# The binary format, which tells what equality hides: -0.0, the payload of a NaN, 1.0 and 1.00, the keys of a json.
DIFFERENT = """SELECT (SELECT count(*) FROM (SELECT record_send(t) FROM t EXCEPT ALL SELECT record_send(kept) FROM kept) AS a) +
                      (SELECT count(*) FROM (SELECT record_send(kept) FROM kept EXCEPT ALL SELECT record_send(t) FROM t) AS b)"""


def same(session, when):
    # What a savepoint locked is free again after it, so that a chunk may change beside an open transaction.
    with session.transaction(force_rollback=True):
        assert session.execute(DIFFERENT).fetchone() == (0,), when
        counts = [session.execute(f"SELECT count(*), count(time), count(seg) FROM {name}").fetchone() for name in ("t", "kept")]
        assert counts[0] == counts[1], when


def table(session, columns, settings="timescaledb.compress_segmentby = 'seg', timescaledb.compress_orderby = 'time'"):
    """The hypertable with one chunk for all."""
    session.execute(f"CREATE TABLE t (time timestamptz NOT NULL, seg int{columns})")
    session.execute("SELECT create_hypertable('t', 'time', chunk_time_interval => interval '10 years')")
    session.execute(f"ALTER TABLE t SET (timescaledb.compress, {settings})")


def compress(session):
    return session.execute("SELECT compress_chunk(c) FROM show_chunks('t') AS c").fetchall()


def decompress(session):
    return session.execute("SELECT decompress_chunk(c) FROM show_chunks('t') AS c").fetchall()


def is_compressed(session):
    return session.execute("SELECT bool_and(compressed) FROM _timescaledb_config.columnar_chunk AS c JOIN show_chunks('t') AS s ON s = c.relid").fetchone()[0]


def there_and_back(session, server, database):
    """By the frozen swap, and beside a snapshot that forbids it."""
    session.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS TABLE t")
    compress(session)
    assert is_compressed(session)
    same(session, "compressed")
    decompress(session)
    assert not is_compressed(session)
    same(session, "decompressed")
    with server.connect(database) as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.execute("UPDATE t SET seg = seg WHERE time = (SELECT min(time) FROM t)")
        reader.execute("SELECT 1")
        session.execute("UPDATE t SET seg = seg WHERE time = (SELECT min(time) FROM t)")
        compress(session)
        same(session, "compressed beside a snapshot")
        same(reader, "compressed, to the snapshot")
        decompress(session)
        same(session, "decompressed beside a snapshot")
        same(reader, "decompressed, to the snapshot")
        compress(session)
        same(reader, "compressed again, to the snapshot")
    same(session, "compressed again beside a snapshot")
    compress(session)
    same(session, "compressed anew")


@pytest.mark.parametrize("size", SIZES)
def test_all_types_survive(server, types, session, size):
    """SIZE rows in each of two segments."""
    chance = random.Random(None if SOAK else size)
    keys = KEYS if size < 5000 or SOAK else chance.sample(KEYS, 9)
    table(session, pools.columns(keys))
    items, joins = pools.filling(keys, chance)
    session.execute(f"INSERT INTO t SELECT timestamptz '2024-03-01+00' + g * interval '1 second', s, {', '.join(items)}"
                    f" FROM generate_series(1, 2) AS s, generate_series(1, {size}) AS g {' '.join(joins)}")
    there_and_back(session, server, types)


@pytest.mark.parametrize("keys", [KEYS[start:start + 8] for start in range(0, len(KEYS), 8)], ids=lambda keys: "-".join(keys))
def test_types_as_segments_and_order(server, types, session, keys):
    """Every type that has an order may be what batches are sorted by."""
    sortable = [key for key in keys if key not in pools.UNORDERED]
    items, joins = pools.filling(keys, random.Random(1), skew=False)
    for key in sortable if SOAK else sortable[::2]:
        for settings in (f"timescaledb.compress_segmentby = '{key}', timescaledb.compress_orderby = 'time DESC'",
                         f"timescaledb.compress_segmentby = '', timescaledb.compress_orderby = '{key} ASC NULLS FIRST, time'"):
            table(session, pools.columns(keys), settings)
            session.execute(f"INSERT INTO t SELECT timestamptz '2024-03-01+00' + g * interval '1 second', g % 3, {', '.join(items)}"
                            f" FROM generate_series(1, 3000) AS g {' '.join(joins)}")
            session.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS TABLE t")
            compress(session)
            same(session, settings)
            for literal in ("NULL", *(pools.quoted(value, pools.KINDS[key][0]) for value in pools.KINDS[key][1][:4])):
                condition = f"{key} IS NULL" if literal == "NULL" else f"{key} = {literal}"
                found, wanted = (session.execute(f"SELECT count(*), min(time), sum(seg) FROM {name} WHERE {condition}").fetchone() for name in ("t", "kept"))
                assert found == wanted, f"{settings}: {condition}"
            decompress(session)
            same(session, settings)
            session.execute("DROP TABLE t")


def test_columns_of_nulls_only(server, types, session):
    table(session, pools.columns(KEYS))
    session.execute("INSERT INTO t SELECT timestamptz '2024-03-01+00' + g * interval '1 second', NULL FROM generate_series(1, 9000) AS g")
    there_and_back(session, server, types)


def test_long_values(server, types, session):
    """Values that lie in a TOAST table, compressible and not, and batches that would be too large."""
    table(session, ", a text, b bytea, c jsonb, d text[], e text")
    session.execute("ALTER TABLE t ALTER COLUMN e SET STORAGE EXTERNAL")
    session.execute(f"""
        INSERT INTO t SELECT timestamptz '2024-03-01+00' + g * interval '1 second', g % 3, repeat(md5(g::text), 3200), decode(string_agg(md5(g || '-' || i), ''), 'hex'),
          jsonb_build_object('k', repeat('x', 5000), 'n', g), ARRAY[repeat('y', 9000), NULL, g::text], repeat('z' || g, 1500)
        FROM generate_series(1, {300 if SOAK else 90}) AS g, generate_series(1, 700) AS i GROUP BY g""")
    there_and_back(session, server, types)


def test_a_value_of_many_megabytes(server, types, session):
    table(session, ", a text, b bytea")
    session.execute("INSERT INTO t SELECT timestamptz '2024-03-01+00' + g * interval '1 second', g, repeat('abcdefghij' || g, 500000), NULL FROM generate_series(1, 3) AS g")
    session.execute("INSERT INTO t SELECT timestamptz '2024-03-02+00', 1, NULL, decode(string_agg(md5(i::text), ''), 'hex') FROM generate_series(1, 60000) AS i")
    session.execute("CREATE TABLE kept AS TABLE t")
    compress(session)
    same(session, "compressed")
    decompress(session)
    same(session, "decompressed")


def test_the_payload_of_a_nan(server, types, session):
    """The text format shows NaN for all of them; the binary format of COPY keeps them."""
    table(session, ", f8 float8, f4 float4")
    doubles = [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000001, 0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF, 0x8000000000000000, 0x0000000000000001, 0x3FF0000000000000]
    singles = [0x7FC00000, 0xFFC00000, 0x7FC00001, 0x7F800001, 0xFFFFFFFF, 0x80000000, 0x00000001, 0x3F800000]
    with session.cursor() as cursor, cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
        for number in range(3000):
            copy.write(struct.pack(">hiqii", 4, 8, 763_000_000_000_000 + number * 1_000_000, 4, number % 2))
            copy.write(struct.pack(">iQiI", 8, doubles[number % 8], 4, singles[number * 5 % 8]))
        copy.write(struct.pack(">h", -1))
    there_and_back(session, server, types)


def test_dropped_and_added_columns(server, types, session):
    """Attribute numbers with gaps, in chunks that are older and newer than the change."""
    table(session, ", x1 text, i4 int, x2 int, te text")
    session.execute("ALTER TABLE t DROP COLUMN x1")
    session.execute("INSERT INTO t SELECT timestamptz '2024-03-01+00' + g * interval '1 second', g % 2, g, g, 'v' || g FROM generate_series(1, 2000) AS g")
    session.execute("ALTER TABLE t DROP COLUMN x2, ADD COLUMN c int DEFAULT 7, ADD COLUMN d text")
    session.execute("INSERT INTO t SELECT timestamptz '2024-04-01+00' + g * interval '1 second', g % 2, g, 'v' || g, g, 'd' FROM generate_series(1, 2000) AS g")
    session.execute("INSERT INTO t SELECT timestamptz '2094-04-01+00' + g * interval '1 second', g % 2, g, 'v' || g, g, 'd' FROM generate_series(1, 2000) AS g")
    there_and_back(session, server, types)
