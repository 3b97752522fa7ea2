"""The differential oracle of the columnstore: whatever part of a hypertable is compressed, it answers as a plain table.

The scripts are those of test_oracle.py, with chunks that are compressed, recompressed and decompressed in between, queries of
every shape, and sessions whose settings choose other plans.

Differences that are meant, beside those named there: a DDL statement that needs compressed chunks to be rewritten may be
refused (0A000), as is TABLESAMPLE, and while a cursor is open so may a change of state (55006).
"""

import os
import random
import re

import pytest
import shapes
from invariants import assert_nothing_half_made
from test_oracle import CHECK, VARIANTS, Script, setup_of
from twins import Difference, Step, play, shrink

SOAK = bool(os.environ.get("TSC_SOAK"))
SCRIPTS = int(os.environ.get("TSC_ORACLE_COLUMNAR", 2000 if SOAK else 6))

SEGMENTS = ["", "", "dev", "dev", "dev, s", "s", "n", "v", "s, dev, n"]
ORDERS = ["time", "time DESC", "time DESC NULLS LAST, v ASC NULLS FIRST", "id, time", "v DESC, time", "n NULLS FIRST, time DESC", "s, time", "time, id DESC"]
# Both on and off give the same rows; those that exist are tried.
NODES = re.compile(r"^timescaledb\.enable_(columnar|vector|bulk|chunk|dml_|compress|decompress|sparse|skip|ordered|direct|optim|dml_bloom|null|batch)")
CORE = ["enable_seqscan", "enable_indexscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_nestloop", "enable_hashagg", "enable_sort", "enable_material",
        "enable_memoize", "enable_partitionwise_join", "enable_partitionwise_aggregate", "enable_incremental_sort", "enable_partition_pruning", "jit"]
PARALLEL = ("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;"
            " SET max_parallel_workers_per_gather = 2")
REFUSED = ("0A000",)
DECOMPRESS = "DO $$ BEGIN PERFORM decompress_chunk(c, true) FROM show_chunks('t') AS c; EXCEPTION WHEN undefined_table OR sqlstate 'TS001' THEN NULL; END $$"


class ColumnarScript(Script):
    """A script in whose course chunks change their form."""

    settings = ()

    def __init__(self, variant, seed):
        super().__init__(variant, f"columnar {seed}")
        segment = self.pick(*SEGMENTS)
        taken = set(segment.split(", "))
        orders = [order for order in ORDERS if not taken & {part.split()[0] for part in order.split(", ")}]
        self.options = self.pick("timescaledb.compress", f"timescaledb.compress, timescaledb.compress_segmentby = '{segment}', timescaledb.compress_orderby = '{self.pick(*orders)}'",
                                 f"timescaledb.compress, timescaledb.compress_segmentby = '{segment}', timescaledb.compress_orderby = '{self.pick(*orders)}'")
        self.rows = self.pick(0, 40, 150, 150, 1200)
        self.parent = self.random.random() < 0.2
        self.wholly = self.random.random() < 0.6

    def shapes(self):
        columns = {"id": "int", "time": self.variant.type, "dev": "int", **self.columns}
        return shapes.Shapes(self.random, columns, lambda type: self.time() if type == self.variant.type and self.random.random() < 0.8 else self.value_of(type),
                             keys=("id", "time", "dev", "v", "s", "n"))

    def value_of(self, type):
        try:
            return self.value(type)
        except KeyError:
            return self.time()

    def condition(self):
        return super().condition() if self.random.random() < 0.5 else self.shapes().condition()

    # --- what changes form ---

    def some_chunks(self, call):
        """CALL on a random run of chunks; $1 stands for the chunk."""
        first, last = self.random.randint(1, 6), self.pick(1, 2, 99)
        which = f"FOREACH c IN ARRAY (coalesce((SELECT array_agg(s ORDER BY s::oid) FROM show_chunks('t') AS s), '{{}}'))[{first}:{first - 1 + last}]"
        return (f"DO $$ DECLARE c regclass; BEGIN {which} LOOP {call} END LOOP;"
                " EXCEPTION WHEN undefined_table OR object_in_use OR object_not_in_prerequisite_state OR sqlstate 'TS001' THEN NULL; END $$")

    def form(self):
        call = self.pick("PERFORM compress_chunk(c);", "PERFORM compress_chunk(c);", "PERFORM compress_chunk(c, recompress => true);", "PERFORM decompress_chunk(c, true);",
                         "CALL convert_to_columnstore(c, recompress => true);", "CALL convert_to_rowstore(c, if_columnstore => true);", "CALL convert_to_columnstore(c);")
        return Step("", hyper=self.some_chunks(call))

    def compress_all(self):
        return Step("", hyper="DO $$ BEGIN PERFORM compress_chunk(c) FROM show_chunks('t') AS c;"
                              " EXCEPTION WHEN undefined_table OR object_in_use OR object_not_in_prerequisite_state OR sqlstate 'TS001' THEN NULL; END $$")

    def resettle(self):
        """Other settings for chunks to come."""
        return Step("", hyper=f"DO $$ BEGIN ALTER TABLE t SET (timescaledb.compress_orderby = '{self.pick('time', 'time DESC', 'time, id')}', timescaledb.compress_segmentby = "
                              f"'{self.pick('', 'dev', 's')}'); EXCEPTION WHEN undefined_table OR object_in_use OR sqlstate 'TS001' OR wrong_object_type OR invalid_parameter_value THEN NULL; END $$")

    def node(self):
        name = self.pick(*self.settings, *CORE, "parallel", "parallel", "plan_cache_mode", "work_mem", "cursor_tuple_fraction")
        if name == "parallel":
            # FORCE: a Gather over everything that may run in a worker.
            return Step("", hyper=self.pick(PARALLEL, f"{PARALLEL}; SET force_parallel_mode = on", "SET force_parallel_mode = off; SET max_parallel_workers_per_gather = 0"))
        values = {"plan_cache_mode": ("force_generic_plan", "auto", "force_custom_plan"), "work_mem": ("'64kB'", "'4MB'"), "cursor_tuple_fraction": ("0", "1")}
        return Step("", hyper=f"SET {name} = {self.pick(*values.get(name, ('on', 'off')))}")

    # --- statements that the other oracle has no need for ---

    def lock(self):
        strength = self.pick("UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE")
        tail = self.pick("", "", " NOWAIT", " SKIP LOCKED")
        return Step(self.pick(f"SELECT id, time, v FROM t WHERE {self.condition()} FOR {strength}{tail}",
                              f"SELECT id, time FROM t WHERE {self.condition()} ORDER BY id, time, dev LIMIT 3 FOR {strength}{tail}",
                              f"SELECT a.id, b.id FROM t AS a JOIN t AS b USING (id) WHERE a.id < 9 FOR {strength} OF a{tail}"))

    def change(self):
        """Changes that join, that touch what batches are sorted by, or that look at themselves."""
        condition = self.shapes().condition()
        changes = [f"UPDATE t SET dev = dev % 4 + 1 WHERE {condition}", f"UPDATE t SET s = nullif(coalesce(s, 'a') || 'b', 'ab'), n = NULL WHERE {condition} RETURNING id, s",
                   f"UPDATE t SET v = x.w FROM (VALUES (1, 2.5), (2, NULL), (3, -1)) AS x(d, w) WHERE x.d = t.dev AND {condition}",
                   f"DELETE FROM t USING (VALUES ({self.device()}), (77)) AS x(d) WHERE x.d = t.dev AND id % 3 = 1 RETURNING id",
                   f"UPDATE t SET n = (SELECT count(*) FROM t AS b WHERE b.dev = t.dev AND b.id < t.id) % 100 WHERE id < 30 AND {condition}",
                   f"DELETE FROM t WHERE dev = {self.device()} AND time < {self.time()} RETURNING id, time", f"DELETE FROM t WHERE {condition} AND id > 10",
                   f"UPDATE t SET v = v WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM t WHERE {condition}) AND id < 20",
                   f"WITH moved AS (DELETE FROM t WHERE {condition} AND id % 4 = 2 RETURNING id, time, dev) INSERT INTO t (id, time, dev) SELECT * FROM moved",
                   f"UPDATE t SET v = 1 WHERE dev = {self.device()} AND id = ANY (ARRAY[1, 5, 9, 13, 17])"]
        if self.unique:
            changes = [change for change in changes if "SET dev" not in change]
        return Step(self.pick(*changes), vague=True)

    def upsert(self):
        if not self.unique:
            return self.change()
        return Step(f"INSERT INTO t (id, time, dev, v) SELECT id, time, dev, 100 FROM t WHERE {self.condition()} UNION SELECT {self.next_id()}, {self.time()}, 1, 2"
                    f" ON CONFLICT ({self.unique}) {self.pick('DO NOTHING', 'DO UPDATE SET v = excluded.v, s = t.s', 'DO UPDATE SET n = t.n + 1 WHERE t.dev > 1')}{self.returning()}")

    def parents(self):
        if not self.parent:
            return self.query()
        return Step(self.pick(f"DELETE FROM parent WHERE dev = {self.device()}", f"UPDATE parent SET dev = dev + 10 WHERE dev = {self.device()}",
                              "INSERT INTO parent SELECT g FROM generate_series(1, 5) AS g ON CONFLICT DO NOTHING"))

    def explain(self):
        sql = self.shapes().query()
        return self.query() if "TABLESAMPLE" in sql else Step("", hyper=f"EXPLAIN (ANALYZE, VERBOSE, BUFFERS, COSTS OFF) {sql}")

    def held(self):
        """A cursor that goes back and forth, beyond its transaction, too."""
        if not self.open or self.cursors:
            return self.cursor()
        name = self.new("c")
        self.cursors.append(name)
        shapes = self.shapes()
        self.steps.append(Step(f"DECLARE {name} SCROLL CURSOR FOR SELECT * FROM t WHERE {shapes.condition()} ORDER BY {', '.join(shapes.keys)}"))
        self.steps += [Step(self.pick(f"FETCH 5 FROM {name}", f"FETCH BACKWARD 2 FROM {name}", f"FETCH LAST FROM {name}", f"FETCH ABSOLUTE 3 FROM {name}", f"FETCH PRIOR FROM {name}"))
                       for _ in range(3)]
        return Step(f"CLOSE {name}" if self.pick(True, False) else f"FETCH ALL FROM {name}")

    def current_of(self):
        """Rows that a cursor stands on. Its condition is none that leaves chunks out: PostgreSQL refuses the cursor for partitions that its
        plan doesn't have."""
        condition = self.pick("v > 1", "id < 40", "v IS NULL", "n = 3 OR s = 'a'")
        change = self.pick("UPDATE t SET v = 42 WHERE CURRENT OF k", "DELETE FROM t WHERE CURRENT OF k")
        return Step(f"DO $$ DECLARE k CURSOR FOR SELECT id, time FROM t WHERE {condition} FOR UPDATE; BEGIN FOR r IN k LOOP {change}; END LOOP; END $$", vague=True)

    def query(self):
        if self.random.random() < 0.2:
            return super().query()
        sql = self.shapes().query()
        return Step(sql, refusals=REFUSED if "TABLESAMPLE" in sql else ())

    def prepare(self):
        if self.prepared or self.random.random() < 0.5:
            return super().prepare()
        name = self.new("p")
        self.prepared.append(name)
        return Step(f"PREPARE {name} (int, {self.variant.type}, int) AS " + self.pick(
            "SELECT id, v FROM t WHERE dev = $3 AND time <= $2 AND id <> $1", "SELECT dev, count(*), sum(n) FROM t WHERE id < $1 * 20 GROUP BY dev",
            "SELECT id, time FROM t WHERE dev = $3 AND time >= $2 ORDER BY time, id, v, s LIMIT 4", "SELECT count(*) FROM t WHERE id = ANY (ARRAY[$1, $1 + 1, $3])",
            "UPDATE t SET v = $1 WHERE dev = $3 AND time < $2", "DELETE FROM t WHERE id = $1 AND dev = $3", "SELECT id FROM t WHERE v BETWEEN -$1 AND $3 AND s IS NOT NULL"))

    def ddl(self):
        step = super().ddl()
        if step.sql.startswith(("ALTER TABLE", "CREATE UNIQUE", "CREATE INDEX")):
            return Step(step.sql, refusals=REFUSED)
        return step

    # --- the whole ---

    def make(self):
        if not self.born_plain and self.wholly:
            self.steps.append(self.compress_all())
        return super().make()

    def more(self):
        return [(self.form, 26), (self.compress_all, 5), (self.resettle, 1), (self.node, 12), (self.lock, 5), (self.change, 10), (self.upsert, 5), (self.parents, 3), (self.explain, 2),
                (self.held, 2), (self.current_of, 2), (self.query, 22), (self.prepare, 4)]

    def conversion(self):
        return f"{super().conversion()}; ALTER TABLE t SET ({self.options})"

    def setup(self):
        plain, hyper = super().setup()
        extra = []
        if self.parent:
            action = self.pick("CASCADE", "SET DEFAULT", "CASCADE")
            extra = ["CREATE TABLE parent (dev int PRIMARY KEY)", "INSERT INTO parent SELECT generate_series(-5, 30)", "ALTER TABLE t ALTER COLUMN dev SET DEFAULT 3",
                     f"ALTER TABLE t ADD FOREIGN KEY (dev) REFERENCES parent ON DELETE {action} ON UPDATE CASCADE"]
        if self.rows:
            spread = self.pick(20, 100)
            at = self.variant.at.format(k=f"(g % {spread})", sign="+", abs=f"(g % {spread})")
            extra.append(f"INSERT INTO t (id, time, dev, v, s, n) SELECT g, {at}, g % 4 + 1, nullif(g % 9, 3) / 4.0, (ARRAY['a', 'b', NULL, 'longer ' || g % 3])[g % 4 + 1], nullif(g / 50 % 10, 7)"
                         f" FROM generate_series(1, {self.rows}) AS g")
        return plain + extra, hyper + extra


@pytest.fixture(scope="module")
def twins(server):
    name = server.create_database("columnar_twins")
    listed = server.psql("LOAD 'timescale_compat'; SELECT name FROM pg_settings WHERE vartype = 'bool' AND context = 'user' ORDER BY 1", name).split()
    ColumnarScript.settings = tuple(setting for setting in listed if NODES.match(setting)) * 3
    yield name
    server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.timeout(0 if SOAK else 600)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_compressed_hypertable_answers_as_a_plain_table(server, twins, variant):
    base = int.from_bytes(os.urandom(4)) if SOAK else int(os.environ.get("TSC_ORACLE_SEED", 0))
    for seed in range(base, base + SCRIPTS):
        run(server, twins, ColumnarScript(variant, seed), seed)
    assert_nothing_half_made(server, twins)


def run(server, database, script, seed):
    steps, setup = script.make(), setup_of(script)

    def failure(steps):
        try:
            play(server, database, setup, [*steps, Step("ROLLBACK"), Step(CHECK), Step("", hyper=DECOMPRESS)], CHECK)
        except Difference as difference:
            return difference
        return None

    if failure(steps):
        steps = shrink(failure, steps)
        difference = failure(steps)
        pytest.fail(f"seed {seed} of {script.variant.name}\n{difference}\n\n{getattr(difference, 'script', '(it passed the last time)')}")
