"""A hypertable `h` with continuous aggregates beside a plain twin `p` that gets the same statements, in one session.

What a continuous aggregate must show follows from the twin:
- `content` of a real-time one is its query over the twin, but for buckets that are kept, since chunks were dropped: these are in the
  table `kept_<n>`, copied from storage when the chunks went;
- `content` of a materialized one is what its storage must hold, `mat_<n>`: each refresh replaces the buckets of its window there.
Both tables are changed in the transaction of the step, so that a rollback takes them back as well.
"""

import dataclasses
import decimal
import itertools
import math

import psycopg
from cagg_shapes import COLUMNS, SETUP, Definition

_numbers = itertools.count()
LETTERS = {"k", "K", "l", "L"}
SERIES = ", ".join(f"{name} {type}" for name, type in COLUMNS.items())


class Difference(Exception):
    """What is found is not what must be; `script` holds all statements of the session."""


@dataclasses.dataclass(frozen=True)
class Live:
    """A continuous aggregate that exists."""

    definition: Definition
    name: str
    materialized_only: bool


class World:
    """Runs steps (tuples: what, and its arguments) and compares after each."""

    def __init__(self, server, database, axis, setup):
        self.axis, self.log = axis, []
        self.connection = server.connect(database, prepare_threshold=None)
        self.schema = f"world_{next(_numbers)}"
        self.caggs, self.prepared, self.open, self.isolated = {}, {}, False, False
        self.saved = []
        self.queries = self.aimed = self.routed = self.answered = 0
        self.explained = []
        for sql in [f"CREATE SCHEMA {self.schema}", f"SET search_path = {self.schema}, public", "SET statement_timeout = '120s'", "SET client_min_messages = error", *self.tables(setup)]:
            self.execute(sql)

    def tables(self, setup):
        columns = f"{setup['filler']}time {self.axis.type} NOT NULL, {SERIES}"
        made = [SETUP, *(f"CREATE TABLE {t} ({columns})" for t in "ph")]
        if setup["filler"]:
            made += [f"ALTER TABLE {t} DROP COLUMN filler" for t in "ph"]
        made += [f"SELECT create_hypertable('h', 'time', chunk_time_interval => {setup['chunk']}{setup['space']})"]
        if self.axis.type in ("int", "bigint"):
            made += [f"CREATE FUNCTION now_int() RETURNS {self.axis.type} LANGUAGE sql STABLE AS 'SELECT {setup['now']}::{self.axis.type}'", "SELECT set_integer_now_func('h', 'now_int')"]
        if setup["unique"]:
            made += [f"CREATE UNIQUE INDEX ON {t} (id, dev, time)" for t in "ph"]
        if setup["columnar"]:
            made.append(f"ALTER TABLE h SET (timescaledb.compress, timescaledb.compress_segmentby = '{setup['segment']}', timescaledb.compress_orderby = 'time')")
        return made + [f"CREATE VIEW w_{t} AS SELECT * FROM {t} WHERE dev < 4" for t in "ph"]

    def close(self):
        self.connection.close()

    # --- statements ---

    def execute(self, sql):
        self.log.append(sql.rstrip("; \n") + ";")
        return self.connection.execute(sql)

    def rows(self, sql):
        return self.execute(sql).fetchall()

    def look(self, sql):
        """The rows of a comparison; in the log it is marked, since it is mostly no part of what goes wrong."""
        self.log.append(f"/* compared */ {sql};")
        return self.connection.execute(sql).fetchall()

    def both(self, sql):
        for table in "ph":
            self.execute(sql.replace("{t}", table))

    # --- the model ---

    def ranges(self, cagg, kind="k"):
        return self.connection.execute("SELECT r.low, r.high FROM _timescaledb_config.continuous_agg_range AS r JOIN _timescaledb_config.continuous_agg AS a USING (storage)"
                                       f" WHERE a.user_view = '{cagg.name}'::regclass AND r.kind = '{kind}'").fetchall()

    def within(self, cagg, ranges):
        """A condition on `b`: the bucket meets one of the ranges."""
        def one(low, high):
            bounds = [f"b >= {cagg.definition.bucket.sql(self.axis.value(low))}"] * (low != -2**63) + [f"b <= {self.axis.value(high)}"] * (high != 2**63 - 1)
            return " AND ".join(bounds) or "true"

        return "(" + " OR ".join(one(*pair) for pair in ranges) + ")" if ranges else "false"

    def source(self, number):
        parent = self.caggs[number].definition.parent
        return f"({self.content(int(parent.name.split('_')[1]))})" if parent else "p"

    def defining(self, number):
        return self.caggs[number].definition.query(self.source(number))

    def content(self, number):
        cagg = self.caggs[number]
        if cagg.materialized_only:
            return f"SELECT * FROM mat_{number}"
        kept = self.ranges(cagg)
        if not kept:
            return self.defining(number)
        return f"SELECT * FROM ({self.defining(number)}) AS live WHERE NOT {self.within(cagg, kept)} UNION ALL SELECT * FROM kept_{number}"

    def storage(self, number):
        cagg = self.caggs[number]
        return self.connection.execute(f"SELECT storage::text FROM _timescaledb_config.continuous_agg WHERE user_view = '{cagg.name}'::regclass").fetchone()[0]

    def stored(self, number):
        return f"SELECT {', '.join(self.caggs[number].definition.outputs)} FROM {self.storage(number)}"

    def in_order(self):
        """Parents first: a child's number is greater."""
        return sorted(self.caggs)

    # --- steps ---

    def run(self, step):
        what, *arguments = step
        try:
            getattr(self, f"do_{what}")(*arguments)
            if what in CHANGES:
                self.compare_all()
        except psycopg.Error as error:
            raise Difference(f"{error.sqlstate} {error} in {self.log[-1]}") from error

    def do_sql(self, sql):
        self.execute(sql)

    def do_both(self, sql):
        self.both(sql)

    def do_copy(self, columns, data):
        for table in "ph":
            sql = f"COPY {table} ({columns}) FROM STDIN"
            self.log.append(f"{sql};\n{data}\\.")
            with self.connection.cursor().copy(sql) as copy:
                copy.write(data)

    def do_form(self, which, call):
        """Another form for some chunks."""
        chunks = self.rows("SELECT c::text FROM show_chunks('h') AS c ORDER BY c::oid")
        for (chunk,) in chunks[which[0]:which[1]]:
            self.execute(call.format(chunk))

    def do_chunk(self, which, sql):
        """A change of one chunk by its name; of the twin, `{rows}` are those that lie in the chunk."""
        chunks = self.rows("SELECT c::text FROM show_chunks('h') AS c ORDER BY c::oid")
        if not chunks:
            return
        chunk = chunks[which % len(chunks)][0]
        self.execute(f"CREATE TEMPORARY TABLE inside AS SELECT id FROM {chunk}")
        self.execute(sql.replace("{t}", "p").replace("{rows}", "id IN (SELECT id FROM inside)"))
        self.execute(sql.replace("{t}", chunk).replace("{rows}", "true"))
        self.execute("DROP TABLE inside")

    def do_create(self, definition):
        if definition.parent and definition.parent.name not in {cagg.definition.name for cagg in self.caggs.values()}:
            return
        if self.isolated:
            # A refresh is refused there.
            definition = dataclasses.replace(definition, no_data=True)
        number = int(definition.name.split("_")[1])
        text = definition.create()
        if definition.parent:
            live = self.caggs[int(definition.parent.name.split("_")[1])]
            text = text.replace(f"FROM {definition.parent.name} AS", f"FROM {live.name} AS")
        self.execute(text)
        self.caggs = {**self.caggs, number: Live(definition, definition.name, definition.materialized_only)}
        self.execute(f"CREATE TABLE mat_{number} AS {self.defining(number)}{' WITH NO DATA' if definition.no_data else ''}")
        self.execute(f"CREATE TABLE kept_{number} (LIKE mat_{number})")

    def do_drop(self, number):
        if number in self.caggs:
            self.execute(f"DROP MATERIALIZED VIEW {self.caggs[number].name} CASCADE")
            gone = {number}
            for other in self.in_order():
                parent = self.caggs[other].definition.parent
                if parent and int(parent.name.split("_")[1]) in gone:
                    gone.add(other)
            self.caggs = {other: cagg for other, cagg in self.caggs.items() if other not in gone}

    def do_alter(self, number, what):
        if number not in self.caggs:
            return
        cagg = self.caggs[number]
        if what == "mode":
            self.execute(f"ALTER MATERIALIZED VIEW {cagg.name} SET (timescaledb.materialized_only = {str(not cagg.materialized_only).lower()})")
            cagg = dataclasses.replace(cagg, materialized_only=not cagg.materialized_only)
        elif what == "rename":
            name = f"{cagg.name}x"
            self.execute(f"ALTER MATERIALIZED VIEW {cagg.name} RENAME TO {name}")
            cagg = dataclasses.replace(cagg, name=name)
        self.caggs = {**self.caggs, number: cagg}

    def do_refresh(self, number, start, end, force=False, options=""):
        if number not in self.caggs or self.isolated:
            return
        cagg, bucket = self.caggs[number], self.caggs[number].definition.bucket
        try:
            self.in_savepoint(f"CALL refresh_continuous_aggregate('{cagg.name}', {start or 'NULL'}, {end or 'NULL'}{', force => true' if force else ''}{options})")
        except psycopg.errors.InvalidParameterValue as error:
            assert "window too small" in str(error), error
            tick = "1" if self.axis.type in ("int", "bigint", "date") else "interval '1 microsecond'"
            # The last bucket that ends within the window begins before it.
            last = bucket.sql(f"({bucket.sql(end)} - {tick})::{self.axis.type}")
            fits = start is None or end is None or self.connection.execute(f"SELECT {last} >= {start}").fetchone()[0]
            if fits:
                raise Difference(f"a bucket fits into the window: {self.log[-1]}") from error
            return
        window = " AND ".join([f"b >= {start}"] * (start is not None) + [f"b < {bucket.sql(end)}"] * (end is not None)) or "true"
        self.refreshed(number, window, force)

    def refreshed(self, number, window, force=False):
        """What a refresh of the buckets that meet the condition leaves."""
        kept = self.within(self.caggs[number], self.ranges(self.caggs[number]))
        if force:
            # What was kept in the window is no more, and storage says what the source says.
            assert self.rows(f"SELECT count(*) FROM mat_{number} WHERE ({window}) AND {kept}") == [(0,)], "a forced refresh leaves kept buckets in its window"
            self.execute(f"DELETE FROM kept_{number} WHERE {window}")
        self.execute(f"DELETE FROM mat_{number} WHERE ({window}) AND NOT {kept}")
        self.execute(f"INSERT INTO mat_{number} SELECT * FROM ({self.defining(number)}) AS live WHERE ({window}) AND NOT {kept}")

    def do_policy(self, number, start, end, until):
        """A policy's job, run once; `until` is the end of its window, or None where that is after all data."""
        if number not in self.caggs or self.open:
            return
        cagg = self.caggs[number]
        self.execute(f"DO $$ BEGIN PERFORM alter_job(add_continuous_aggregate_policy('{cagg.name}', {start}, {end}, INTERVAL '1 day'), scheduled => false); END $$")
        (job,), = self.rows("SELECT max(job_id) FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'")
        self.execute(f"CALL run_job({job})")
        self.refreshed(number, "true" if until is None else f"b < {cagg.definition.bucket.sql(until)}")
        self.execute(f"SELECT remove_continuous_aggregate_policy('{cagg.name}')")

    def do_drop_chunks(self, until):
        """Retention of the table: aggregates of the chunks' buckets are kept."""
        before = {number: self.ranges(cagg) for number, cagg in self.caggs.items()}
        chunks = self.chunk_ranges("h")
        self.execute(f"SELECT drop_chunks('h', older_than => {until})")
        gone = chunks - self.chunk_ranges("h")
        self.execute("DELETE FROM p WHERE id NOT IN (SELECT id FROM h)")
        for number in self.in_order():
            if self.caggs[number].definition.parent is None:
                self.keep(number, before[number], gone)

    def do_drop_storage(self, number, until):
        """Retention of a continuous aggregate: its rows go and don't come back by themselves."""
        if number not in self.caggs:
            return
        before = {other: self.ranges(cagg) for other, cagg in self.caggs.items()}
        storage = self.storage(number)
        chunks = self.chunk_ranges(storage)
        self.execute(f"SELECT drop_chunks('{self.caggs[number].name}', older_than => {until})")
        gone = chunks - self.chunk_ranges(storage)
        dropped = " OR ".join(f"b >= {low} AND b < {high}" for low, high in gone)
        if not gone:
            return
        for table in ("mat", "kept"):
            self.execute(f"DELETE FROM {table}_{number} WHERE {dropped}")
        for other in self.in_order():
            parent = self.caggs[other].definition.parent
            if other == number:
                self.keep(other, before[other])
            elif parent and parent.name == self.caggs[number].definition.name:
                self.keep(other, before[other], gone)

    def chunk_ranges(self, table):
        name = table.split(".")[-1]
        # The view says all times as timestamptz: of those that have no zone, what they are in UTC.
        bounds = ("range_start", "range_end")
        if self.axis.type in ("int", "bigint"):
            bounds = [f"{bound}_integer" for bound in bounds]
        elif self.axis.type in ("timestamp", "date"):
            bounds = [f"({bound} AT TIME ZONE 'UTC')::{self.axis.type}" for bound in bounds]
        found = self.connection.execute(f"SELECT {', '.join(f'{bound}::text' for bound in bounds)} FROM timescaledb_information.chunks WHERE hypertable_name = '{name}'"
                                        f" AND hypertable_schema IN ('{self.schema}', '_timescaledb_internal')").fetchall()
        return {tuple(f"{self.axis.type} '{bound}'" for bound in pair) for pair in found}

    def keep(self, number, before, gone=()):
        """Kept are exactly the materialized buckets that meet the dropped chunks, and what storage holds of them is remembered."""
        cagg = self.caggs[number]
        now, was = self.within(cagg, self.ranges(cagg)), self.within(cagg, before)
        if gone:
            meets = " OR ".join(f"b >= {cagg.definition.bucket.sql(low)} AND b < {high}" for low, high in gone)
            wrong = self.rows(f"SELECT b, {now} FROM mat_{number} WHERE {now} <> ({was} OR {meets})")
            if wrong:
                raise Difference(f"kept are not the buckets of {cagg.name} that the dropped chunks held: {wrong[:5]}")
        self.execute(f"INSERT INTO kept_{number} SELECT * FROM ({self.stored(number)}) AS s WHERE {now} AND NOT {was}")

    def in_savepoint(self, sql):
        """A statement that may fail, and must not end the transaction."""
        if not self.open:
            return self.execute(sql)
        self.execute("SAVEPOINT attempt")
        try:
            self.execute(sql)
        except psycopg.Error:
            self.execute("ROLLBACK TO attempt")
            raise
        finally:
            self.execute("RELEASE attempt")
        return None

    # --- transactions ---

    def do_begin(self, level=""):
        if not self.open:
            self.execute(f"BEGIN{level}")
            self.open, self.isolated, self.saved = True, bool(level), [("", self.caggs)]

    def do_savepoint(self, name):
        if self.open:
            self.execute(f"SAVEPOINT {name}")
            self.saved.append((name, self.caggs))

    def do_rollback_to(self):
        if len(self.saved) > 1:
            name, self.caggs = self.saved[-1]
            self.execute(f"ROLLBACK TO {name}")

    def do_release(self):
        if len(self.saved) > 1:
            self.execute(f"RELEASE {self.saved.pop()[0]}")

    def do_end(self, how):
        if self.open:
            self.execute(how)
            if how == "ROLLBACK":
                self.caggs = self.saved[0][1]
            self.open, self.isolated, self.saved = False, False, []

    # --- comparisons ---

    def compare_all(self):
        for number in self.in_order():
            name = self.caggs[number].name
            self.compare(self.content(number), f"SELECT * FROM {name}", f"the view {name}")
            self.compare(f"SELECT * FROM mat_{number}", self.stored(number), f"the storage of {name}")

    def compare(self, wanted, found, what):
        difference = differ(self.look(wanted), self.look(found))
        if difference:
            raise Difference(f"{what}: {difference}\nwanted: {wanted}\nfound:  {found}")

    def do_view(self, number, condition):
        if number in self.caggs:
            name = self.caggs[number].name
            self.queries += 1
            self.compare(f"SELECT * FROM ({self.content(number)}) AS e WHERE {condition}", f"SELECT * FROM {name} WHERE {condition}", f"the view {name} where {condition}")

    def do_query(self, sql, aimed):
        self.queries += 1
        on, wanted = sql.replace("{t}", "h"), sql.replace("{t}", "p")
        self.execute("SET timescaledb.enable_cagg_rewrites = off")
        self.compare(wanted, on, "without routing")
        self.execute("SET timescaledb.enable_cagg_rewrites = on")
        routed = self.uses_cagg(on)
        self.aimed += aimed
        self.routed += routed
        self.answered += routed and aimed
        if aimed and not routed:
            self.explained.append(on)
        self.compare(wanted, on, "with routing" + (" (and routed)" if routed else ""))

    def uses_cagg(self, sql):
        plan = "\n".join(row[0] for row in self.rows(f"EXPLAIN (COSTS OFF) {sql}"))
        return "cagg_valid" in plan or "cagg_live" in plan or "materialized_hypertable" in plan

    def do_prepare(self, name, types, sql):
        if name not in self.prepared:
            self.prepared[name] = sql
            self.execute("SET timescaledb.enable_cagg_rewrites = on")
            self.execute("SET plan_cache_mode = force_generic_plan")
            for table in "ph":
                self.execute(f"PREPARE {name}_{table} ({types}) AS {sql.replace('{t}', table)}")

    def do_execute(self, name, arguments):
        if name in self.prepared:
            self.queries += 1
            self.compare(f"EXECUTE {name}_p ({arguments})", f"EXECUTE {name}_h ({arguments})", f"the prepared statement {name}: {self.prepared[name]}")


CHANGES = {"both", "copy", "chunk", "create", "alter", "refresh", "policy", "drop_chunks", "drop_storage", "rollback_to", "end", "form"}


def differ(wanted, found):
    """What is wrong, or "": rows in any order, floats within rounding."""
    a, b = sorted(wanted, key=rank), sorted(found, key=rank)
    if len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True)):
        return ""
    # Rounding may have put rows into another order.
    rest = list(b)
    lacking = []
    for row in a:
        at = next((at for at, other in enumerate(rest) if alike(row, other)), None)
        if at is None:
            lacking.append(row)
        else:
            del rest[at]
    return f"{len(lacking)} of {len(a)} rows are missing, {len(rest)} too many\nmissing:  {lacking[:4]}\ntoo many: {rest[:4]}" if lacking or rest else ""


def rank(row):
    return [f"{cell:.6g}" if isinstance(cell, float) else repr(cell) for cell in row]


def alike(row, other):
    return len(row) == len(other) and all(equal(x, y) for x, y in zip(row, other, strict=True))


def equal(x, y):
    if isinstance(x, float) and isinstance(y, float):
        return math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(x) and math.isnan(y))
    if isinstance(x, decimal.Decimal) and isinstance(y, decimal.Decimal):
        return str(x) == str(y)
    if isinstance(x, str) and isinstance(y, str) and x in LETTERS:
        # Of a group of values that are equal by their collation any one may be shown.
        return x.lower() == y.lower()
    return type(x) is type(y) and x == y
