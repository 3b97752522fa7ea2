"""What must hold in every database, whatever happened to it."""

# Leaf partitions of hypertables that are no chunks, chunks that are no leaf partitions of their hypertables, and rows of the
# catalog whose table is gone.
HALF_MADE = """
WITH leaves AS (
    SELECT h.id AS hypertable_id, p.relid::oid AS relid FROM _timescaledb_config.hypertable AS h, pg_partition_tree(h.relid) AS p WHERE p.isleaf
      AND p.level > 0)
SELECT 'no chunk: ' || relid::regclass::text FROM leaves AS l WHERE NOT EXISTS
    (SELECT FROM _timescaledb_config.chunk AS c WHERE c.relid = l.relid AND c.hypertable_id = l.hypertable_id)
UNION ALL SELECT 'no leaf: ' || c.relid::text FROM _timescaledb_config.chunk AS c WHERE NOT EXISTS
    (SELECT FROM leaves AS l WHERE l.relid = c.relid AND c.hypertable_id = l.hypertable_id)
UNION ALL SELECT 'no hypertable: ' || relid::text FROM _timescaledb_config.hypertable AS h WHERE NOT EXISTS
    (SELECT FROM pg_class AS c WHERE c.oid = h.relid AND c.relkind = 'p')
UNION ALL SELECT 'not attached: ' || oid::regclass::text FROM pg_class WHERE relname ~ '^_hyper_' AND relkind IN ('r', 'p') AND NOT relispartition
UNION ALL SELECT 'dimension of nothing: ' || id FROM _timescaledb_config.dimension AS d WHERE NOT EXISTS
    (SELECT FROM _timescaledb_config.hypertable AS h WHERE h.id = d.hypertable_id)
UNION ALL SELECT 'index not in every chunk: ' || i.indexrelid::regclass::text FROM _timescaledb_config.hypertable AS h JOIN pg_index AS i ON i.indrelid = h.relid
    WHERE NOT i.indisvalid OR (SELECT count(*) FROM pg_partition_tree(i.indexrelid) WHERE isleaf AND level > 0)
      <> (SELECT count(*) FROM pg_partition_tree(h.relid) WHERE isleaf AND level > 0)
UNION ALL SELECT 'batches of no chunk: ' || oid::regclass::text FROM pg_class AS p WHERE relname ~ '^compress_hyper_' AND relkind = 'r' AND NOT EXISTS
    (SELECT FROM _timescaledb_config.columnar_chunk AS c JOIN _timescaledb_config.chunk AS k ON k.relid = c.relid WHERE c.batches = p.oid)
UNION ALL SELECT 'no batch table: ' || relid::text FROM _timescaledb_config.columnar_chunk AS c WHERE NOT EXISTS
    (SELECT FROM pg_class AS p WHERE p.oid = c.batches AND p.relkind = 'r')
UNION ALL SELECT 'described, but no chunk: ' || relid::text FROM _timescaledb_config.columnar_chunk AS c WHERE NOT EXISTS
    (SELECT FROM _timescaledb_config.chunk AS k WHERE k.relid = c.relid)
"""


def assert_nothing_half_made(server, database):
    """Every leaf partition is in the catalog of chunks and vice versa; indexes are everywhere."""
    assert server.psql(HALF_MADE, database) == ""


def assert_not_corrupt(server, database):
    """pg_amcheck finds nothing wrong with heaps and indexes."""
    server.run("pg_amcheck", "--install-missing", "--heapallindexed", "--parent-check", "-d", database)


def assert_log_is_clean(server):
    """No leaked references, no crash."""
    signs = ("WARNING:  relcache reference leak", "leak:", "reference leak", "TRAP", "PANIC", "was terminated by signal", "panicked at", "WARNING:  you don't own")
    bad = [line for line in server.log().splitlines() if any(sign in line for sign in signs)]
    assert not bad, bad
