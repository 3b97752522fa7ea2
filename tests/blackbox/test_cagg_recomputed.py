"""Which buckets a refresh computes again: only those whose rows changed. A row of storage that was written anew has another xmin."""

import pytest

SETUP = """
CREATE TABLE m (t int NOT NULL, dev int NOT NULL, id int NOT NULL, v int, UNIQUE (id, t));
SELECT create_hypertable('m', 't', chunk_time_interval => 500);
CREATE FUNCTION now_m() RETURNS int LANGUAGE sql STABLE AS 'SELECT 2000';
SELECT set_integer_now_func('m', 'now_m');
INSERT INTO m SELECT g, g % 3, g, g FROM generate_series(0, 1999) AS g;
ALTER TABLE m SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev', timescaledb.compress_orderby = 't');
CREATE MATERIALIZED VIEW tens WITH (timescaledb.continuous) AS SELECT time_bucket(10, t) AS b, count(*) AS n, sum(v) AS s FROM m GROUP BY 1;
CREATE MATERIALIZED VIEW fifties WITH (timescaledb.continuous) AS SELECT time_bucket(50, b) AS b, sum(n) AS n, sum(s) AS s FROM tens GROUP BY 1;
CREATE MATERIALIZED VIEW odd WITH (timescaledb.continuous) AS SELECT time_bucket(15, t, 4) AS b, dev, count(*) AS n, sum(v) AS s FROM m GROUP BY 1, 2;
"""
DEFINITIONS = {"tens": "SELECT time_bucket(10, t) AS b, count(*) AS n, sum(v) AS s FROM m GROUP BY 1", "fifties": "SELECT time_bucket(50, t) AS b, count(*)::numeric AS n, sum(v)::numeric AS s FROM m GROUP BY 1",
               "odd": "SELECT time_bucket(15, t, 4) AS b, dev, count(*) AS n, sum(v) AS s FROM m GROUP BY 1, 2"}
SCATTERED = [7 * 10 * number for number in range(25)]

# What is done, and the times whose buckets change by it.
CHANGES = {
    "insert": ("INSERT INTO m VALUES (205, 0, 10000, 1)", [205]),
    "two ends": ("INSERT INTO m VALUES (3, 0, 10000, 1), (1993, 0, 10001, 1)", [3, 1993]),
    "two statements": ("BEGIN; INSERT INTO m VALUES (3, 0, 10000, 1); DELETE FROM m WHERE t = 1500; COMMIT", [3, 1500]),
    "scattered": (f"INSERT INTO m SELECT x, 0, 10000 + x, 1 FROM unnest(ARRAY{SCATTERED}) AS x", SCATTERED),
    "update": ("UPDATE m SET v = v + 1 WHERE id IN (333, 999)", [333, 999]),
    "moved in time": ("UPDATE m SET t = 1234 WHERE id = 100", [100, 1234]),
    "moved in its chunk": ("UPDATE m SET t = 130 WHERE id = 100", [100, 130]),
    "delete": ("DELETE FROM m WHERE t BETWEEN 500 AND 509", [500]),
    "delete of a bucket's last row": ("DELETE FROM m WHERE t BETWEEN 1990 AND 1999", [1990, 1999]),
    "merge": ("MERGE INTO m USING (VALUES (10, 5), (5000, 600)) AS q (id, t) ON m.id = q.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (q.t, 0, q.id, 1)", [10, 600]),
    "conflict": ("INSERT INTO m VALUES (700, 0, 700, 1), (701, 0, 20000, 1) ON CONFLICT (id, t) DO UPDATE SET v = -1", [700, 701]),
    "conflict without effect": ("INSERT INTO m VALUES (700, 0, 700, 1) ON CONFLICT DO NOTHING", []),
    "copy": ("COPY m FROM PROGRAM 'printf \"44\\t1\\t30000\\t5\\n1777\\t1\\t30001\\t5\\n\"'", [44, 1777]),
    "a chunk by its name": ("DO $$ BEGIN EXECUTE format('UPDATE %s SET v = 0 WHERE t = 1002', (SELECT tableoid::regclass FROM m WHERE t = 1002)); END $$", [1002]),
    "nothing met": ("UPDATE m SET v = 0 WHERE id = -1; DELETE FROM m WHERE v = -77", []),
    "rolled back": ("BEGIN; UPDATE m SET v = 0; ROLLBACK", []),
    # What a savepoint took back is still logged: too much is harmless.
    "savepoint rolled back": ("BEGIN; SAVEPOINT s; UPDATE m SET v = 0 WHERE t IN (500, 900); ROLLBACK TO s; INSERT INTO m VALUES (5, 0, 10000, 1); COMMIT", [5, 500, 900]),
    "compressed": ("SELECT compress_chunk(c) FROM show_chunks('m') AS c", []),
    "compressed, changed": ("SELECT compress_chunk(c) FROM show_chunks('m') AS c; UPDATE m SET v = 0 WHERE t = 801; DELETE FROM m WHERE t = 1301; INSERT INTO m VALUES (17, 0, 10000, 1)", [801, 1301, 17]),
    "recompressed": ("SELECT compress_chunk(c) FROM show_chunks('m') AS c; SELECT compress_chunk(c, recompress => true) FROM show_chunks('m') AS c; SELECT decompress_chunk(c) FROM show_chunks('m') AS c", []),
    "beyond the end": ("INSERT INTO m VALUES (2345, 0, 10000, 1)", [2345]),
    "analyzed": ("ANALYZE m; VACUUM m", []),
    "another column": ("ALTER TABLE m ADD COLUMN more int DEFAULT 3", []),
}


@pytest.fixture
def table(db, server, database):
    server.psql(SETUP, database)
    return server, database


def versions(server, database, view):
    """Of each bucket, the xmins of its rows."""
    storage = server.psql(f"SELECT storage FROM _timescaledb_config.continuous_agg WHERE user_view = '{view}'::regclass", database)
    lines = server.psql(f"SELECT b, string_agg(xmin::text, ' ' ORDER BY xmin::text) FROM {storage} GROUP BY b", database).splitlines()
    return {int(b): xmins for b, xmins in (line.split("|") for line in lines)}


def refresh(server, database, view, window="NULL, NULL"):
    """The buckets that are other rows than before."""
    before = versions(server, database, view)
    server.psql(f"CALL refresh_continuous_aggregate('{view}', {window})", database)
    after = versions(server, database, view)
    return {b for b in before.keys() | after.keys() if before.get(b) != after.get(b)}


@pytest.mark.parametrize("name", CHANGES)
def test_only_buckets_whose_rows_changed_are_computed_again(table, name):
    statements, times = CHANGES[name]
    for statement in statements.split("; ") if "VACUUM" in statements else [statements]:
        table[0].psql(statement, table[1])
    assert refresh(*table, "tens") == {t // 10 * 10 for t in times}
    assert refresh(*table, "fifties") == {t // 50 * 50 for t in times}
    # Changes are logged with the grain of the finest bucket, so a wider one may be computed again for its neighbour's sake.
    wanted = {(t - 4) // 15 * 15 + 4 for t in times}
    assert wanted <= refresh(*table, "odd") <= {(x - 4) // 15 * 15 + 4 for t in times for x in range(t // 10 * 10, t // 10 * 10 + 10)}
    for view, sql in DEFINITIONS.items():
        assert table[0].psql(f"SELECT count(*) FROM (({sql} EXCEPT ALL SELECT * FROM {view}) UNION ALL (SELECT * FROM {view} EXCEPT ALL {sql})) AS x", table[1]) == "0", view
    for view in DEFINITIONS:
        assert refresh(*table, view) == set(), "the second time there is nothing to do"


def test_a_window_leaves_other_changes_for_later(table):
    table[0].psql("UPDATE m SET v = 0 WHERE t IN (5, 505, 1505)", table[1])
    assert refresh(*table, "tens", "500, 600") == {500}
    assert refresh(*table, "tens", "0, 1000") == {0}
    assert refresh(*table, "tens") == {1500}


def test_a_window_is_rounded_inward(table):
    table[0].psql("UPDATE m SET v = 0 WHERE t IN (5, 15, 25)", table[1])
    assert refresh(*table, "tens", "5, 25") == {10}
    assert refresh(*table, "tens") == {0, 20}


def test_force_computes_the_whole_window(table):
    assert refresh(*table, "tens", "100, 200, force => true") == set(range(100, 200, 10))


def test_a_transaction_invalidates_up_to_64_ranges(table):
    """With more of them the nearest are joined; none is lost."""
    times = [number * 20 for number in range(100)]
    table[0].psql(f"UPDATE m SET v = 0 WHERE t = ANY (ARRAY{times})", table[1])
    found = refresh(*table, "tens")
    assert set(times) <= found and len(found) < 100 + 2 * 40, len(found)


def test_truncate_invalidates_everything(table):
    table[0].psql("TRUNCATE m", table[1])
    assert len(refresh(*table, "tens")) == 200
    assert table[0].psql("SELECT count(*) FROM tens", table[1]) == "0"


def test_what_is_kept_is_not_computed_again(table):
    table[0].psql("SELECT drop_chunks('m', older_than => 1000); INSERT INTO m VALUES (700, 0, 10000, 1), (1700, 0, 10001, 1)", table[1])
    assert refresh(*table, "tens") == {1700}
    assert table[0].psql("SELECT count(*) FROM tens WHERE b < 1000", table[1]) == "100"
    assert refresh(*table, "tens", "600, 1000, force => true") == set(range(600, 1000, 10))
    assert table[0].psql("SELECT b, n FROM tens WHERE b BETWEEN 590 AND 1000 ORDER BY b", table[1]) == "590|10\n700|1\n1000|10"


def test_batches_are_refreshed_newest_first_and_all_of_them(table):
    table[0].psql("UPDATE m SET v = 0", table[1])
    before = versions(*table, "tens")
    table[0].psql("CALL refresh_continuous_aggregate('tens', NULL, NULL, options => '{\"buckets_per_batch\": 50}')", table[1])
    after = versions(*table, "tens")
    assert all(before[b] != after[b] for b in before)
    # A batch is a transaction: four of them, the later one with earlier buckets.
    order = [int(after[b]) for b in sorted(after)]
    assert len(set(order)) == 4 and order == sorted(order, reverse=True)
