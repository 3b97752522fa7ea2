"""The differential oracle of continuous aggregates: whatever is materialized, invalid, kept or compressed, every answer is the plain table's.

Random definitions over random hypertables, random changes in and out of transactions, random refreshes; after each step the
views and their storage are compared with what follows from a plain twin (cagg_model.py), and random queries on the hypertable
are run with routing and without. A failure is shrunk and printed as a script for psql.

What is no difference: the last digits of floats that come from other orders of adding up.
"""

import collections
import os
import random

import pytest
from cagg_model import Difference, World
from cagg_shapes import AXES, Definer, Queries
from invariants import assert_log_is_clean, assert_nothing_half_made
from twins import shrink

SOAK = bool(os.environ.get("TSC_SOAK"))
# Queries that are compared, on each axis.
QUERIES = int(os.environ.get("TSC_ORACLE_CAGG", 100_000 if SOAK else 2400)) // len(AXES)
STEPS = 16
# Of the queries that a continuous aggregate could answer, those that one has to: it is not used where most of the time asked for is invalid.
SHARE = 0.35
TOTAL = collections.Counter()


class Script:
    """A random script: its setup and its steps."""

    def __init__(self, axis, seed):
        self.axis = axis
        self.random = random.Random(f"{axis.name} {seed}")
        self.id, self.number = 0, 0
        self.definer = Definer(self.random, axis)
        self.definitions, self.steps, self.prepared = [], [], []
        self.open = False
        self.columnar = self.chance(0.6)
        self.setup = {"filler": self.pick("", "", "filler int, "), "chunk": self.pick(*axis.chunks), "unique": self.chance(0.5), "columnar": self.columnar,
                      "segment": self.pick("dev", "s", ""), "now": axis.steps * 2, "space": self.pick("", "", "", ", partitioning_column => 'dev', number_partitions => 2")}

    def pick(self, *options):
        return self.random.choice(options)

    def chance(self, share):
        return self.random.random() < share

    def new(self, prefix):
        self.number += 1
        return f"{prefix}{self.number}"

    def k(self):
        return self.random.randint(-5, self.axis.steps + 5)

    def time(self):
        """A time as a constant: a step of the grid, or just beside one."""
        at = self.axis.at(self.k())
        if self.axis.unique and self.chance(0.2):
            return f"({at} {self.pick('+', '-')} interval '{self.pick('1 microsecond', '7 minutes', '1 hour')}')"
        return at

    def ids(self, count):
        first, self.id = self.id + 1, self.id + count
        return first

    # --- rows ---

    def values(self, k, id):
        """The columns of a row, as SQL over expressions of its step and id."""
        return (f"{self.axis.at(k, id)}, {id}, ({id}) % 4 + 1, (ARRAY['x', 'yy', NULL, 'zed'])[({id}) % 4 + 1 - (({id}) % 3) * (({id}) % 2)], nullif(({id}) % 23, 5) / 4.0 - 1, nullif(({id}) % 11, 7)::int,"
                f" nullif(({id}) % 17, 3) / 8.0 + 0.50, nullif(({id}) % 3, 2) = 1, (ARRAY['k', 'K', 'l', 'L', NULL])[({id}) % 5 + 1]")

    def fill(self, count, spread=None):
        """Rows at random-looking steps of a range."""
        first = self.ids(count)
        low = self.random.randint(0, self.axis.steps - 1)
        width = spread or self.pick(3, 30, self.axis.steps)
        stride = self.pick(1, 7, 13)
        return f"SELECT {self.values(f'({low} + (g * {stride}) % {width}) % {self.axis.steps}', f'g + {first}')} FROM generate_series(0, {count - 1}) AS g"

    def insert(self):
        if self.chance(0.5):
            return ("both", f"INSERT INTO {{t}} {self.fill(self.pick(1, 5, 40))}")
        rows = []
        for _ in range(self.pick(1, 2, 4)):
            id = self.ids(1)
            rows.append(f"({self.values(self.k(), id)})")
        return ("both", f"INSERT INTO {{t}} VALUES {', '.join(rows)}")

    def copy(self):
        lines = []
        for _ in range(self.pick(1, 10, 60)):
            id = self.ids(1)
            special = self.pick("NaN", "Infinity", "2.25") if self.chance(0.03) else str(self.random.randint(-20, 20) / 4)
            lines.append("\t".join([self.axis.literal(self.random.randint(0, self.axis.steps), id), str(id), str(self.random.randint(1, 4)), self.pick("x", "yy", "\\N"), special,
                                    self.pick("1", "6", "\\N"), self.pick("1.5", "2.250", "10", "\\N"), self.pick("t", "f", "\\N")]))
        return ("copy", "time, id, dev, s, v, n, q, b", "\n".join(lines) + "\n")

    def condition(self):
        return self.pick(lambda: f"id % {self.random.randint(2, 40)} = 0", lambda: f"dev = {self.random.randint(1, 4)} AND time >= {self.time()}",
                         lambda: f"time BETWEEN {self.time()} AND {self.time()}", lambda: f"id = {self.random.randint(1, max(self.id, 1))}", lambda: f"time < {self.time()} AND n = 4",
                         lambda: f"id IN (SELECT id FROM {{t}} WHERE n = {self.random.randint(0, 9)} ORDER BY id LIMIT 5)")()

    def update(self):
        moved = self.axis.at(f"((id * {self.pick(3, 7)} + {self.random.randint(0, 99)}) % {self.axis.steps})", "id")
        return ("both", f"UPDATE {{t}} SET {self.pick('v = coalesce(v, 0) + 0.25', 'n = (coalesce(n, 0) + 1) % 10', f'time = {moved}', 'dev = dev % 4 + 1', 's = NULL, q = 3.125', f'b = NOT b, time = {moved}')}"
                        f" WHERE {self.condition()}")

    def delete(self):
        return ("both", f"DELETE FROM {{t}} WHERE {self.condition()}")

    def merge(self):
        first = self.ids(10)
        moved = self.axis.at("(t.id * 11 + 5) % " + str(self.axis.steps), "t.id")
        return ("both", f"MERGE INTO {{t}} AS t USING (SELECT g, g + {first} AS id FROM generate_series(1, 9) AS g) AS q ON t.id = q.id - {self.pick(10, 40, 0)}"
                        f" WHEN MATCHED {self.pick('', 'AND q.g < 5 ')}THEN {self.pick('DELETE', 'UPDATE SET v = 1, n = 2', f'UPDATE SET time = {moved}')}"
                        f" WHEN NOT MATCHED THEN INSERT VALUES ({self.values(f'q.g * {self.pick(1, 17)}', 'q.id')})")

    def upsert(self):
        if not self.setup["unique"]:
            return self.insert()
        return ("both", f"INSERT INTO {{t}} SELECT * FROM {{t}} AS x WHERE {self.condition()} UNION ALL {self.fill(3)}"
                        f" ON CONFLICT (id, dev, time) DO {self.pick('NOTHING', 'UPDATE SET v = coalesce(excluded.v, 0) + 1, n = 1', 'UPDATE SET s = NULL WHERE excluded.dev > 2')}")

    def cte(self):
        return ("both", f"WITH gone AS (DELETE FROM {{t}} WHERE {self.condition()} RETURNING *) INSERT INTO {{t}} {self.fill(4)}")

    def truncate(self):
        return ("both", "TRUNCATE {t}" if self.chance(0.3) else "DELETE FROM {t}") if self.chance(0.25) else self.delete()

    def direct(self):
        """A change of a chunk by its name."""
        shifted = f"date_trunc('minute', time) + ({self.id} + row_number() OVER (ORDER BY id)) * interval '1 microsecond'" if self.axis.unique else "time"
        insert = f"INSERT INTO {{t}} (time, id, dev, s, v, n, q, b, c) SELECT {shifted}, {self.id} + row_number() OVER (ORDER BY id), dev, s, v, 3, q, b, c FROM {{t}} WHERE {{rows}} AND id % 5 = 0"
        self.ids(1000)
        return ("chunk", self.random.randint(0, 20), self.pick(insert, "UPDATE {t} SET v = coalesce(v, 0) - 0.5, n = 8 WHERE {rows} AND id % 4 = 1", "DELETE FROM {t} WHERE {rows} AND id % 3 = 2", "DELETE FROM {t} WHERE {rows}"))

    def form(self):
        if not self.columnar:
            return self.insert()
        first = self.pick(0, 0, 1, 3)
        return ("form", (first, self.pick(first + 1, first + 2, None)), self.pick("SELECT compress_chunk('{}')", "SELECT compress_chunk('{}')", "SELECT compress_chunk('{}', recompress => true)",
                                                                                 "SELECT decompress_chunk('{}', true)"))

    # --- what concerns continuous aggregates ---

    def some_cagg(self):
        return int(self.pick(*self.definitions).name.split("_")[1])

    def create(self):
        parents = [definition for definition in self.definitions if self.chance(0.5)]
        definition = None
        if parents and self.chance(0.45):
            definition = self.definer.over(self.pick(*parents))
        definition = definition or self.definer.raw()
        self.definitions.append(definition)
        return ("create", definition)

    def refresh(self):
        kind = self.random.random()
        start, end = (None, None) if kind < 0.4 else (self.time(), None) if kind < 0.55 else (None, self.time()) if kind < 0.7 else ("low", "high")
        if start == "low":
            low, high = sorted([self.k(), self.k()])
            start, end = self.axis.at(low), self.axis.at(high + 1)
        batches = f", options => '{{\"buckets_per_batch\": {self.pick(1, 3, 10)}}}'" if self.chance(0.25) else ""
        return ("refresh", self.some_cagg(), start, end, self.chance(0.12), batches)

    def policy(self):
        if self.axis.type in ("int", "bigint"):
            lag = self.pick(0, 20, 100)
            return ("policy", self.some_cagg(), "NULL", f"{lag}::{self.axis.type}", f"(now_int() - {lag})::{self.axis.type}")
        return ("policy", self.some_cagg(), "NULL", f"INTERVAL '{self.pick('1 hour', '40 days')}'", None)

    def drop_chunks(self):
        until = self.axis.at(self.random.randint(0, self.axis.steps // 2))
        return ("drop_chunks", until) if self.chance(0.7) else ("drop_storage", self.some_cagg(), until)

    def alter(self):
        return ("alter", self.some_cagg(), self.pick("mode", "mode", "rename"))

    def drop(self):
        return ("drop", self.some_cagg()) if len(self.definitions) > 2 and self.chance(0.5) else self.create()

    def setting(self):
        return ("sql", self.pick("SET TIME ZONE 'Europe/Berlin'", "SET TIME ZONE 'UTC'", "SET TIME ZONE 'America/St_Johns'", "SET TIME ZONE 'America/Caracas'", "SET plan_cache_mode = auto", "SET enable_hashagg = off", "RESET enable_hashagg",
                                 "SET work_mem = '64kB'", "ANALYZE h", "SET enable_partitionwise_aggregate = on", "SET timescaledb.enable_chunkwise_aggregation = off",
                                 "SET force_parallel_mode = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0", "SET force_parallel_mode = off"))

    def transaction(self):
        if not self.open:
            self.open = True
            return ("begin", self.pick("", "", "", " ISOLATION LEVEL REPEATABLE READ"))
        kind = self.random.random()
        if kind < 0.35:
            return ("savepoint", self.new("s"))
        if kind < 0.6:
            return ("rollback_to",)
        if kind < 0.7:
            return ("release",)
        self.open = False
        return ("end", self.pick("COMMIT", "COMMIT", "ROLLBACK"))

    # --- questions ---

    def literal(self):
        return self.time()

    def query(self):
        return ("query", *Queries(self.random, self.axis, self.definitions, self.literal).query())

    def view(self):
        time = self.time()
        return ("view", self.some_cagg(), self.pick(f"b >= {time}", f"b < {time}", f"b = {self.pick(*self.axis_buckets())}", f"b BETWEEN {time} AND {self.time()}", "b IS NOT NULL"))

    def axis_buckets(self):
        return [definition.bucket.sql(self.axis.at(self.k())) for definition in self.definitions]

    def prepare(self):
        if self.prepared and self.chance(0.7):
            name, count = self.pick(*self.prepared)
            return ("execute", name, ", ".join(self.time() for _ in range(count)))
        count = 0

        def parameter():
            nonlocal count
            count += 1
            return f"${count}"

        sql, _ = Queries(self.random, self.axis, self.definitions, parameter).query()
        if not count:
            return ("query", sql, False)
        self.prepared.append((self.new("p"), count))
        return ("prepare", self.prepared[-1][0], ", ".join([self.axis.type] * count), sql)

    # --- the whole ---

    def make(self):
        self.steps.append(("both", f"INSERT INTO {{t}} {self.fill(self.pick(30, 150, 400), self.axis.steps)}"))
        self.steps += [self.create() for _ in range(self.pick(1, 2, 3))]
        if self.columnar and self.chance(0.5):
            self.steps.append(("form", (0, self.pick(None, 3)), "SELECT compress_chunk('{}')"))
        changes = [(self.insert, 12), (self.copy, 8), (self.update, 12), (self.delete, 5), (self.merge, 5), (self.upsert, 5), (self.cte, 3), (self.truncate, 3), (self.direct, 6), (self.form, 8),
                   (self.refresh, 26), (self.policy, 3), (self.drop_chunks, 4), (self.alter, 3), (self.drop, 3), (self.create, 2), (self.setting, 4), (self.transaction, 16)]
        makers, weights = zip(*changes, strict=True)
        for _ in range(STEPS):
            self.steps.append(self.random.choices(makers, weights)[0]())
            for _ in range(self.pick(1, 2, 4)):
                self.steps.append(self.random.choices([self.query, self.view, self.prepare], [8, 1, 2])[0]())
        self.steps.append(("end", "COMMIT"))
        # Parents first, and children from what parents then hold.
        self.steps += [("refresh", int(definition.name.split("_")[1]), None, None) for definition in self.definitions]
        return self.steps + [self.query() for _ in range(6)]


def play(server, database, script, steps, counts=None):
    """Runs the steps in a world of their own, which is dropped."""
    world = World(server, database, script.axis, script.setup)
    try:
        for step in steps:
            world.run(step)
        world.do_end("ROLLBACK")
        world.execute(f"DROP SCHEMA {world.schema} CASCADE")
    except Difference as difference:
        difference.script = "\n".join(world.log)
        raise
    finally:
        world.close()
        if world.schema:
            clean(server, database, world.schema)
    for name in counts or ():
        counts[name] += getattr(world, name)


def clean(server, database, schema):
    with server.connect(database) as connection:
        connection.execute(f"SET client_min_messages = error; DROP SCHEMA IF EXISTS {schema} CASCADE")


def run(server, database, script, seed, counts):
    steps = script.make()

    def failure(steps):
        try:
            play(server, database, script, steps)
        except Difference as difference:
            return difference
        return None

    try:
        play(server, database, script, steps, counts)
    except Difference as first:
        steps = shrink(failure, steps, patience=int(os.environ.get("TSC_ORACLE_PATIENCE", 80)))
        difference = failure(steps) or first
        pytest.fail(f"seed {seed} of {script.axis.name}\n{difference}\n\n{getattr(difference, 'script', first.script)}")


@pytest.fixture(scope="module")
def worlds(server):
    name = server.create_database("cagg_worlds")
    yield name
    server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.timeout(0 if SOAK else 600)
@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_answers_are_those_of_a_plain_table(server, worlds, axis):
    seed = int(os.environ.get("TSC_ORACLE_SEED", int.from_bytes(os.urandom(4)) if SOAK else 0))
    counts = dict.fromkeys(("queries", "aimed", "routed", "answered"), 0)
    while counts["queries"] < QUERIES:
        run(server, worlds, Script(axis, seed), seed, counts)
        seed += 1
    print(f"{axis.name}: {counts}, seeds up to {seed}")
    TOTAL.update(counts)
    assert_nothing_half_made(server, worlds)
    assert_log_is_clean(server)
    left = "SELECT count(*) FROM _timescaledb_config.continuous_agg_range UNION ALL SELECT count(*) FROM _timescaledb_config.hypertable_change UNION ALL SELECT count(*) FROM _timescaledb_config.continuous_agg"
    assert server.psql(left, worlds) == "0\n0\n0"


def test_many_of_them_came_from_continuous_aggregates():
    """Of what the tests above asked."""
    if TOTAL["queries"] >= 1000:
        assert TOTAL["answered"] >= SHARE * TOTAL["aimed"], TOTAL
        assert TOTAL["routed"] >= 0.08 * TOTAL["queries"], TOTAL
