"""The differential oracle: random DDL, DML and queries answer on a hypertable as they do on a plain table.

Differences that are meant, and which the generator therefore avoids:
- a unique index must include the partitioning columns;
- a row without a time is refused before a BEFORE trigger could fill it in; such a trigger can't change the chunk either;
- ON CONFLICT DO UPDATE can't move a row into another chunk (0A000);
- an UPDATE that moves a row fires DELETE and INSERT triggers (PostgreSQL's rule for partitions), so scripts with row triggers
  don't move rows;
- of several errors in one COPY another one may come first, since chunks are written at other times;
- rows come in another order, and an UPDATE that transiently violates a unique index depends on it.
"""

import dataclasses
import os
import random

import pytest
from twins import Difference, Step, play, shrink

SOAK = bool(os.environ.get("TSC_SOAK"))
SCRIPTS = int(os.environ.get("TSC_ORACLE", 2000 if SOAK else 30))
STEPS = 40


@dataclasses.dataclass(frozen=True)
class Variant:
    """A kind of time column: its type, how step k of a fine grid is written, and the length of a chunk."""

    name: str
    type: str
    at: str
    interval: str
    intervals: tuple
    hashed: int = 0
    lowest: int = -60

    def time(self, k):
        return self.at.format(k=k, sign="+" if k >= 0 else "-", abs=abs(k))


DAYS = ("interval '1 day'", "interval '6 hours'", "interval '10 days'", "interval '45 minutes'")
STAMP = "(timestamptz '2024-03-01 00:00+00' {sign} {abs} * interval '2 hours')"
VARIANTS = [
    Variant("time", "timestamptz", STAMP, DAYS[0], DAYS),
    Variant("hash", "timestamptz", STAMP, DAYS[0], DAYS, hashed=3),
    Variant("timestamp", "timestamp", "(timestamp '2024-03-01 00:00' {sign} {abs} * interval '2 hours')", DAYS[1], DAYS),
    Variant("date", "date", "(date '2024-03-01' {sign} {abs})", DAYS[0], (DAYS[0], DAYS[2])),
    Variant("bigint", "bigint", "({k}::bigint)", "10", ("10", "3", "1", "1000")),
    Variant("int", "int", "({k})", "7", ("7", "1", "100"), hashed=2),
    Variant("smallint", "smallint", "({k})::smallint", "5", ("5", "2", "300")),
    Variant("uuid", "uuid", f"to_uuidv7_boundary({STAMP})", DAYS[0], DAYS),
]


class Script:
    """A random script. It knows roughly what exists; a statement that fails on both sides is a test, too."""

    def __init__(self, variant, seed):
        self.variant = variant
        self.random = random.Random(f"{variant.name} {seed}")
        self.id = 0
        self.number = 0
        self.columns = {"v": "double precision", "s": "text", "n": "int"}
        self.unique = None
        self.triggers = self.random.random() < 0.4
        self.moves = not self.triggers
        self.open = False
        self.savepoints = []
        self.prepared = []
        self.cursors = []
        self.convert_at = self.random.choice([None, None, self.random.randrange(STEPS)])
        self.born_plain = self.convert_at is not None
        self.steps = []

    # --- pieces ---

    def pick(self, *options):
        return self.random.choice(options)

    def new(self, prefix):
        self.number += 1
        return f"{prefix}{self.number}"

    def next_id(self):
        self.id += 1
        return self.id

    def some_id(self):
        return self.random.randint(1, max(1, self.id))

    def time(self):
        width = self.pick(10, 40, 150)
        return self.variant.time(self.random.randint(max(self.variant.lowest, -width // 3), width))

    def device(self):
        return self.random.randint(1, 4)

    def value(self, type):
        if self.random.random() < 0.15:
            return "NULL"
        return {"double precision": lambda: str(self.random.randint(-50, 50) / 4), "text": lambda: f"'{self.pick('a', 'b', 'longer ' * 9)}'",
                "int": lambda: str(self.random.randint(0, 9)), "numeric": lambda: str(self.random.randint(0, 99) / 10),
                "bigint": lambda: str(self.random.randint(0, 9)), "jsonb": lambda: "'{\"a\": 1}'"}[type]()

    def names(self):
        """A column list for INSERT."""
        chosen = [name for name in self.columns if self.random.random() < 0.7]
        return ["id", "time", "dev", *chosen]

    def row(self, names):
        given = {"id": str(self.next_id()), "time": self.time() if self.random.random() > 0.01 else "NULL", "dev": str(self.device())}
        if self.random.random() < 0.05:
            given["id"] = str(self.some_id())
        return "(" + ", ".join(given.get(name) or self.value(self.columns[name]) for name in names) + ")"

    def values(self, names):
        return ", ".join(self.row(names) for _ in range(self.pick(1, 1, 2, 5, 20)))

    def condition(self):
        return self.pick(lambda: f"time >= {self.time()}", lambda: f"time < {self.time()}", lambda: f"dev = {self.device()}",
                         lambda: f"id = {self.some_id()}", lambda: f"id % {self.random.randint(2, 5)} = 0",
                         lambda: f"time BETWEEN {self.time()} AND {self.time()} AND dev <> {self.device()}",
                         lambda: f"id IN (SELECT id FROM t WHERE dev = {self.device()})", lambda: "v > 0 OR s IS NULL")()

    def returning(self):
        return self.pick("", "", " RETURNING *", " RETURNING id, time", " RETURNING t")

    def conflict(self):
        if not self.unique:
            return self.pick("", "", " ON CONFLICT DO NOTHING")
        return self.pick("", " ON CONFLICT DO NOTHING", f" ON CONFLICT ({self.unique}) DO NOTHING",
                         f" ON CONFLICT ({self.unique}) DO UPDATE SET id = excluded.id, s = coalesce(t.s, '') || 'x'",
                         f" ON CONFLICT ({self.unique}) DO UPDATE SET v = excluded.v WHERE t.dev > 1")

    def source(self):
        """A SELECT of id, time, dev with distinct ids."""
        first, count, start = self.id + 1, self.pick(3, 10, 60), self.random.randint(0, 60)
        self.id += count
        stride = self.pick(1, 3, 7)
        at = self.variant.at.format(k=f"(g * {stride} + {start})", sign="+", abs=f"(g * {stride} + {start})")
        return f"SELECT g + {first} AS id, {at} AS time, g % 4 + 1 AS dev FROM generate_series(0, {count - 1}) AS g"

    # --- statements ---

    def insert(self):
        names = self.names()
        return Step(f"INSERT INTO t ({', '.join(names)}) VALUES {self.values(names)}{self.conflict()}{self.returning()}")

    def insert_select(self):
        return Step(f"INSERT INTO t (id, time, dev) {self.source()}{self.conflict()}{self.returning()}")

    def insert_from_itself(self):
        shift = self.random.randint(1, 90)
        moved = {"uuid": f"to_uuidv7_boundary(uuid_timestamp(time) + {shift} * interval '2 hours')", "timestamptz": f"time + {shift} * interval '2 hours'",
                 "timestamp": f"time + {shift} * interval '2 hours'", "smallint": f"(time + {shift % 9})::smallint"}.get(self.variant.type, f"time + {shift}")
        return Step(f"INSERT INTO t (id, time, dev) SELECT id + {self.id}, {moved}, dev FROM t WHERE {self.condition()}"
                    " ORDER BY id, time LIMIT 30 ON CONFLICT DO NOTHING" if not self.unique else
                    f"INSERT INTO t (id, time, dev) SELECT id + 1000, {moved}, dev FROM t WHERE id = {self.some_id()} ON CONFLICT DO NOTHING")

    def cte(self):
        return self.pick(
            lambda: f"WITH gone AS (DELETE FROM t WHERE id = {self.some_id()} RETURNING *) INSERT INTO t (id, time, dev)"
                    f" SELECT id, {self.time()}, dev FROM gone RETURNING id, time",
            lambda: f"WITH a AS (INSERT INTO t (id, time, dev) {self.source()} RETURNING id, time, dev)"
                    f" INSERT INTO t (id, time, dev) SELECT id + 5000, time, 5 - dev FROM a RETURNING id",
            lambda: f"WITH a AS (INSERT INTO t (id, time, dev) {self.source()} RETURNING id),"
                    f" b AS (INSERT INTO t (id, time, dev) {self.source()} RETURNING id)"
                    f" INSERT INTO t (id, time, dev) {self.source()}",
            lambda: f"WITH a AS (INSERT INTO t (id, time, dev) {self.source()} RETURNING time) SELECT count(*), min(time::text) FROM a",
            lambda: f"WITH a AS (UPDATE t SET v = 1 WHERE id = {self.some_id()} RETURNING id, dev)"
                    f" INSERT INTO t (id, time, dev) SELECT a.id + 7000, {self.time()}, dev FROM a RETURNING *",
        )

    def with_cte(self):
        return Step(self.cte()())

    def update(self):
        kind = self.random.random()
        if kind < 0.4 and self.moves:
            return Step(f"UPDATE t SET time = {self.time()}{self.pick('', ', v = 7')} WHERE id = {self.some_id()}{self.returning()}", vague=True)
        if kind < 0.5 and self.moves:
            return Step(f"UPDATE t SET (time, dev) = (SELECT {self.time()}, {self.device()}) FROM (VALUES ({self.some_id()}), (0)) AS x(i) WHERE id = x.i")
        if kind < 0.6 and self.moves and not self.unique:
            return Step(f"UPDATE t SET time = {self.time()} WHERE {self.condition()}")
        return Step(f"UPDATE t SET v = coalesce(v, 0) + 1, s = 'u' WHERE {self.condition()}{self.returning()}")

    def delete(self):
        return Step(f"DELETE FROM t{self.pick('', ' AS t')} WHERE {self.condition()}{self.returning()}")

    def merge(self):
        matched = self.pick("UPDATE SET v = 3", "DELETE", f"UPDATE SET time = {self.time()}" if self.moves else "DO NOTHING", "DO NOTHING")
        extra = self.pick("", " AND q.dev > 2")
        ids = f"{self.some_id()}, {self.some_id()}, {self.next_id()}, {self.next_id()}"
        return Step(f"MERGE INTO t USING (SELECT DISTINCT i AS id, {self.time()} AS time, i % 4 + 1 AS dev FROM unnest(ARRAY[{ids}]) AS i) AS q"
                    f" ON t.id = q.id WHEN MATCHED{extra} THEN {matched}"
                    f" WHEN NOT MATCHED{self.pick('', ' AND q.id % 2 = 0')} THEN INSERT (id, time, dev) VALUES (q.id, {self.pick('q.time', self.time())}, q.dev)"
                    f"{self.pick('', ' WHEN NOT MATCHED THEN DO NOTHING')}", vague=True)

    def truncate(self):
        if self.cursors:
            return self.delete()
        return Step(self.pick("TRUNCATE t", "TRUNCATE t RESTART IDENTITY CASCADE", f"DELETE FROM t WHERE {self.condition()}"))

    def copy_rows(self):
        """COPY's text format has literals only, so times are made by a query first."""
        return Step(f"COPY t (id, time, dev, s) FROM STDIN{self.copy_options()}", data=self.copy_data(), vague=True)

    def copy_options(self):
        self.csv = self.random.random() < 0.5
        options = " (FORMAT csv, NULL '-')" if self.csv else " (NULL '-')"
        return options + self.pick("", "", " WHERE dev <> 2", " WHERE id % 3 = 0 AND s IS NOT NULL")

    def copy_data(self):
        separator, lines = "," if self.csv else "\t", []
        for _ in range(self.pick(1, 5, 40, 200)):
            time = literal(self.variant, self.random.randint(max(-20, self.variant.lowest), 150))
            lines.append(separator.join([str(self.next_id()), time, str(self.device()), self.pick("x", "-", "yy")]))
        if self.random.random() < 0.1:
            lines.append(separator.join(["oops", "x", "1", "-"]))
        return ("\n".join(lines) + "\n").encode()

    def copy_to(self):
        return Step(self.pick("COPY t TO STDOUT", "COPY t (id, time, dev) TO STDOUT (FORMAT csv)",
                              f"COPY (SELECT * FROM t WHERE {self.condition()}) TO STDOUT"))

    def transaction(self):
        if not self.open:
            self.open = True
            return Step(self.pick("BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"))
        kind = self.random.random()
        if kind < 0.35:
            self.savepoints.append(self.new("sp"))
            return Step(f"SAVEPOINT {self.savepoints[-1]}")
        if kind < 0.7 and self.savepoints:
            return Step(f"ROLLBACK TO {self.savepoints[-1]}")
        if kind < 0.8 and self.savepoints:
            return Step(f"RELEASE {self.savepoints.pop()}")
        self.open, self.savepoints, self.cursors = False, [], []
        return Step(self.pick("COMMIT", "COMMIT", "ROLLBACK"))

    def prepare(self):
        if self.prepared and self.random.random() < 0.75:
            return Step(f"EXECUTE {self.pick(*self.prepared)} ({self.next_id()}, {self.time()}, {self.device()})")
        name = self.new("p")
        self.prepared.append(name)
        body = self.pick("INSERT INTO t (id, time, dev) VALUES ($1, $2, $3)", "INSERT INTO t (id, time, dev) VALUES ($1, $2, $3) RETURNING *",
                         "UPDATE t SET n = 5 WHERE time = $2 AND id <> $1 AND dev = $3 RETURNING id",
                         "SELECT count(*) FROM t WHERE id <= $1 AND time >= $2 AND dev <> $3",
                         "DELETE FROM t WHERE id = $1 AND time < $2 AND dev <= $3")
        return Step(f"PREPARE {name} (int, {self.variant.type}, int) AS {body}")

    def cursor(self):
        if self.cursors and self.random.random() < 0.75:
            name = self.pick(*self.cursors)
            # Rows come in the order of id, which the insert in between must not disturb.
            return Step(self.pick(f"FETCH 3 FROM {name}", f"FETCH ALL FROM {name}", f"MOVE 2 FROM {name}", f"CLOSE {name}"))
        if not self.open:
            return self.transaction()
        self.cursors.append(self.new("c"))
        return Step(f"DECLARE {self.cursors[-1]} CURSOR FOR SELECT id, time, dev, v FROM t WHERE {self.condition()} ORDER BY id, time, dev, v")

    def plpgsql(self):
        at = self.variant.at.format(k="(i * 5)", sign="+", abs="(i * 5)")
        loop = self.pick(f"FOR i IN 1..{self.pick(3, 12)} LOOP INSERT INTO t (id, time, dev) VALUES (i + {self.id}, {at}, 1 + i % 4); END LOOP;",
                         f"FOR i IN SELECT DISTINCT dev FROM t ORDER BY 1 LOOP INSERT INTO t (id, time, dev) VALUES ({self.next_id()}, {at}, i); END LOOP;",
                         f"FOR i IN 1..8 LOOP BEGIN INSERT INTO t (id, time, dev) VALUES (i + {self.id}, {at}, i % 4);"
                         f" IF i % {self.pick(2, 3)} = 0 THEN RAISE division_by_zero; END IF; EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP;")
        self.id += 12
        return Step(f"DO $$ DECLARE i int; BEGIN {loop} END $$", vague=True)

    def chunks(self):
        if self.cursors:
            return self.query()
        if self.random.random() < 0.5:
            interval = self.pick(*self.variant.intervals)
            return Step("", hyper=self.guarded(f"PERFORM set_chunk_time_interval('t', {interval})"))
        if self.variant.type != "uuid" and not self.triggers and self.random.random() < 0.6:
            return Step("", drop_chunk=self.random.randrange(3))
        return Step("", hyper=self.guarded("PERFORM add_dimension('t', 'dev', number_partitions => 2, if_not_exists => true)"))

    @staticmethod
    def guarded(call):
        """Before its conversion the table is no hypertable, and a cursor may be open: neither is what is tested here."""
        return f"DO $$ BEGIN {call}; EXCEPTION WHEN undefined_table OR object_in_use OR sqlstate 'TS001' THEN NULL; END $$"

    def ddl(self):
        if self.cursors:
            # Which relations a cursor keeps in use differs, and with it 55006.
            return self.query()
        kind = self.random.randrange(12)
        if kind < 2:
            name, type = self.new("c"), self.pick("int", "text", "numeric", "jsonb", "double precision")
            self.columns[name] = type
            default = self.value(type)
            return Step(f"ALTER TABLE t ADD COLUMN {name} {type}{self.pick('', f' DEFAULT {default}')}")
        if kind == 2 and len(self.columns) > 3:
            name = self.pick(*[name for name in self.columns if name.startswith("c")])
            del self.columns[name]
            return Step(f"ALTER TABLE t DROP COLUMN {name}")
        if kind == 3 and len(self.columns) > 3:
            name, other = self.pick(*[name for name in self.columns if name.startswith("c")]), self.new("c")
            self.columns[other] = self.columns.pop(name)
            return Step(f"ALTER TABLE t RENAME COLUMN {name} TO {other}")
        if kind == 4:
            return Step(f"ALTER TABLE t ALTER COLUMN n {self.pick('SET NOT NULL', 'DROP NOT NULL', 'SET DEFAULT 4', 'DROP DEFAULT', 'TYPE bigint')}")
        if kind == 5:
            name = self.new("chk")
            self.steps.append(Step(f"ALTER TABLE t ADD CONSTRAINT {name} CHECK ({self.pick('dev < 100', 'v IS NULL OR v < 12', 'id > 0')})"))
            return Step(f"ALTER TABLE t DROP CONSTRAINT {name}") if self.random.random() < 0.5 else self.query()
        if kind == 6:
            name = self.new("i")
            self.steps.append(Step(f"CREATE INDEX {name} ON t ({self.pick('id', 'dev, time', 'lower(s)', 'v) WHERE (dev = 1')})"))
            return Step(f"DROP INDEX {name}") if self.random.random() < 0.4 else self.query()
        if kind == 7 and not self.unique:
            self.unique = self.pick("time, dev, id", "dev, id, time")
            return Step(f"CREATE UNIQUE INDEX uniq ON t ({self.unique})")
        if kind == 8 and self.unique:
            self.unique = None
            return Step("DROP INDEX uniq")
        if kind == 9 and self.triggers:
            return self.trigger()
        if kind == 10:
            return Step(self.pick("ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t", "ANALYZE t", "CREATE OR REPLACE VIEW w AS SELECT id, time, dev FROM t",
                                  f"INSERT INTO w (id, time, dev) VALUES ({self.next_id()}, {self.time()}, 1)", "DROP VIEW IF EXISTS w"))
        return Step(f"ALTER TABLE t ADD COLUMN {self.new('g')} int GENERATED ALWAYS AS (id * 2) STORED") if self.number % 5 == 0 else self.query()

    def trigger(self):
        return Step(self.pick(
            "CREATE OR REPLACE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW WHEN (new.dev = 1) EXECUTE FUNCTION stamp('x')",
            "CREATE OR REPLACE TRIGGER logged AFTER INSERT OR UPDATE OF v OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION logged()",
            "CREATE OR REPLACE TRIGGER echo AFTER INSERT ON t FOR EACH ROW WHEN (new.id % 7 = 0) EXECUTE FUNCTION echo()",
            "CREATE OR REPLACE TRIGGER early BEFORE INSERT ON t FOR EACH ROW WHEN (new.id % 11 = 0) EXECUTE FUNCTION echo()",
            "CREATE OR REPLACE TRIGGER counted AFTER INSERT ON t REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION counted()",
            "CREATE OR REPLACE TRIGGER skip BEFORE INSERT ON t FOR EACH ROW WHEN (new.id % 13 = 0) EXECUTE FUNCTION skip()",
            "CREATE CONSTRAINT TRIGGER later AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.id % 5 = 0) EXECUTE FUNCTION logged()",
            "DROP TRIGGER IF EXISTS echo ON t", "ALTER TABLE t DISABLE TRIGGER USER", "ALTER TABLE t ENABLE TRIGGER USER"))

    def query(self):
        return Step(self.pick(
            lambda: "SELECT * FROM t", lambda: f"SELECT id, time, t FROM t WHERE {self.condition()}",
            lambda: "SELECT dev, count(*), min(time::text), max(v) FROM t GROUP BY dev", lambda: "SELECT * FROM log",
            lambda: f"SELECT id FROM t WHERE {self.condition()} ORDER BY time DESC, id, dev, v, s LIMIT 5",
            lambda: f"SELECT a.id, b.id FROM t AS a JOIN t AS b USING (time, dev) WHERE a.id < 20 AND b.{self.condition_of_one()}",
            lambda: "SELECT count(*) FROM t WHERE time = (SELECT max(time::text) FROM t)::" + self.variant.type,
            lambda: f"SELECT id FROM t WHERE {self.condition()} ORDER BY id, time FOR UPDATE",
            lambda: "SELECT DISTINCT ON (dev) dev, time FROM t ORDER BY dev, time DESC")())

    def condition_of_one(self):
        return f"time >= {self.time()}"

    # --- the whole ---

    def make(self):
        kinds = [(self.insert, 14), (self.insert_select, 7), (self.insert_from_itself, 4), (self.with_cte, 5), (self.update, 9), (self.delete, 3),
                 (self.merge, 5), (self.truncate, 1), (self.copy_rows, 7), (self.copy_to, 2), (self.transaction, 14), (self.prepare, 9),
                 (self.cursor, 5), (self.plpgsql, 5), (self.chunks, 5), (self.ddl, 14), (self.query, 12), *self.more()]
        makers, weights = zip(*kinds, strict=True)
        while len(self.steps) < STEPS:
            if self.convert_at is not None and len(self.steps) >= self.convert_at:
                self.steps += [Step("ROLLBACK"), Step("", hyper=self.conversion())]
                self.convert_at, self.open, self.savepoints, self.cursors = None, False, [], []
            step = self.random.choices(makers, weights)[0]()
            self.steps.append(step)
        return self.steps

    def more(self):
        """Further kinds of steps, and how often they come."""
        return []

    def conversion(self):
        space = f", partitioning_column => 'dev', number_partitions => {self.variant.hashed}" if self.variant.hashed else ""
        return (f"SELECT create_hypertable('t', 'time', chunk_time_interval => {self.variant.interval}{space}, migrate_data => true,"
                " create_default_indexes => false)")

    def setup(self):
        fillers = self.random.randrange(3)
        columns = "".join(f"x{number} int, " for number in range(fillers))
        table = [f"CREATE TABLE t ({columns}id int, time {self.variant.type} NOT NULL, dev int NOT NULL, no bigserial, v double precision,"
                 " s text DEFAULT 'd', n int)", *(f"ALTER TABLE t DROP COLUMN x{number}" for number in range(fillers)), *FUNCTIONS]
        # Only INSERT .. VALUES numbers rows in one order for both.
        table.append("ALTER TABLE t DROP COLUMN no")
        return table, [*table, *([] if self.born_plain else [self.conversion()])]


FUNCTIONS = [
    "CREATE TABLE log (what text)",
    "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.s := TG_ARGV[0] || TG_WHEN; RETURN new; END $$",
    "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES"
    " (TG_OP || TG_NAME || coalesce(CASE WHEN TG_OP <> 'INSERT' THEN old.id END::text, '') || coalesce(CASE WHEN TG_OP <> 'DELETE' THEN new.id END::text, ''));"
    " RETURN NULL; END $$",
    "CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log SELECT count(*) || ' ' || coalesce(sum(id), 0) FROM fresh;"
    " RETURN NULL; END $$",
    "CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF pg_trigger_depth() < 3 THEN"
    " INSERT INTO t (id, time, dev) SELECT new.id + 10001, ECHO, new.dev; END IF; RETURN new; END $$",
]


def echo_time(variant):
    """Another chunk than new.time's, mostly."""
    far = {"uuid": "to_uuidv7_boundary(uuid_timestamp(new.time) + interval '37 hours')", "timestamptz": "new.time + interval '37 hours'",
           "timestamp": "new.time + interval '37 hours'", "smallint": "(new.time + 11)::smallint"}
    return far.get(variant.type, "new.time + 11")


def literal(variant, k):
    """What COPY reads as step k."""
    if variant.type in ("bigint", "int", "smallint"):
        return str(k)
    if variant.type == "uuid":
        milliseconds = 1709251200000 + k * 7200000
        digits = f"{milliseconds:012x}7000" + "8" + "0" * 15
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    import datetime

    if variant.type == "date":
        return str(datetime.date(2024, 3, 1) + datetime.timedelta(days=k))
    return str(datetime.datetime(2024, 3, 1) + datetime.timedelta(hours=2 * k)) + ("+00" if variant.type == "timestamptz" else "")


CHECK = "SELECT to_jsonb(t) FROM t"


def setup_of(script):
    return [[sql.replace("ECHO", echo_time(script.variant)) for sql in side] for side in script.setup()]


@pytest.fixture(scope="module")
def twins(server):
    name = server.create_database("twins")
    yield name
    server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.timeout(0 if SOAK else 600)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_hypertable_answers_as_a_plain_table(server, twins, variant):
    base = int.from_bytes(os.urandom(4)) if SOAK else int(os.environ.get("TSC_ORACLE_SEED", 0))
    for seed in range(base, base + SCRIPTS):
        script = Script(variant, seed)
        steps, setup = script.make(), setup_of(script)

        def failure(steps, setup=setup):
            try:
                play(server, twins, setup, steps, CHECK)
            except Difference as difference:
                return difference
            return None

        if failure(steps):
            steps = shrink(failure, steps)
            difference = failure(steps)
            pytest.fail(f"seed {seed} of {variant.name}\n{difference}\n\n{getattr(difference, 'script', '(it passed the last time)')}")
    assert_consistent(server, twins)


def assert_consistent(server, database):
    """No chunk is left in the catalog of a table that is gone."""
    assert server.psql("SELECT count(*) FROM _timescaledb_config.chunk AS c LEFT JOIN pg_class AS p ON p.oid = c.relid WHERE p.oid IS NULL",
                       database) == "0"
