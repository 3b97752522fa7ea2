"""Two tables under one script: a plain one and a hypertable, which must answer alike.

A script is a list of steps. The same text runs in two sessions whose search paths lead to a plain table `t` and to a
hypertable `t`. After each step results (as multisets) and SQLSTATEs are compared. A failure is shrunk by leaving steps out
and printed as a script for psql.
"""

import collections
import dataclasses
import itertools
import time

import psycopg
from psycopg import pq

_numbers = itertools.count()


@dataclasses.dataclass(frozen=True)
class Step:
    """One statement. `hyper` replaces `sql` for the hypertable, "" leaves it out there; `data` is what COPY reads."""

    sql: str
    hyper: str | None = None
    data: bytes | None = None
    # Several errors are possible and the order of rows decides which comes first.
    vague: bool = False
    # Drops the n-th chunk of the hypertable, and its rows from the plain table.
    drop_chunk: int | None = None
    # SQLSTATEs with which the hypertable alone may refuse; the plain table is then spared the statement, too.
    refusals: tuple = ()


class Side:
    """A session that sees one of the two tables."""

    def __init__(self, server, database, schema):
        self.server = server
        self.connection = reconnect(server, database)
        self.schema = schema
        self.log = []
        self.run(f"CREATE SCHEMA {schema}")
        self.run(f"SET search_path = {schema}, public")
        self.run("SET statement_timeout = '60s'")

    def run(self, sql, data=None):
        """SQLSTATE or "", command tag, sorted rows."""
        self.log.append(sql.rstrip(";") + ";" + ("" if data is None else "\n" + readable(data)))
        try:
            return self.outcome(self.connection.pgconn, sql, data)
        except psycopg.OperationalError as error:
            raise Difference(f"the session of {self.schema} ended in {sql}: {error}\n" + "\n".join(self.server.crashes()[-3:])) from None

    @staticmethod
    def outcome(wire, sql, data):
        wire.send_query(sql.encode())
        outcome = ("", "", [])
        while True:
            result = wire.get_result()
            if result is None:
                return outcome
            if result.status == pq.ExecStatus.COPY_IN:
                wire.put_copy_data(data or b"")
                wire.put_copy_end()
            elif result.status == pq.ExecStatus.COPY_OUT:
                rows = []
                while (piece := wire.get_copy_data(0))[0] > 0:
                    rows.append(bytes(piece[1]))
                outcome = ("", "COPY", sorted(rows))
            elif result.status == pq.ExecStatus.FATAL_ERROR:
                state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"lost").decode()
                return drain(wire, (state, (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode(), []))
            else:
                rows = [tuple(cell(result, row, column) for column in range(result.nfields)) for row in range(result.ntuples)]
                outcome = ("", (result.command_status or b"").decode(), sorted(rows, key=repr))

    def in_failed_transaction(self):
        return self.connection.pgconn.transaction_status == pq.TransactionStatus.INERROR

    def close(self):
        self.connection.close()


def drain(wire, outcome):
    while wire.get_result() is not None:
        pass
    return outcome


def cell(result, row, column):
    value = result.get_value(row, column)
    return None if value is None else bytes(value)


def readable(data):
    if data.startswith(b"PGCOPY"):
        return f"-- {len(data)} bytes in the binary format: {data.hex()}"
    return data.decode() + "\\."


class Difference(Exception):
    """The two sides disagree; the message says on what."""


def play(server, database, setup, steps, check):
    """Runs SETUP (two lists of statements) and STEPS, comparing; CHECK is the query of the final comparison. Returns nothing,
    or raises Difference with the script in `script`."""
    name = f"twin_{next(_numbers)}"
    sides = [Side(server, database, f"{name}_plain"), Side(server, database, f"{name}_hyper")]
    try:
        compare(sides, setup, steps, check)
    except Difference as difference:
        difference.script = "\n".join(["-- the hypertable's session:", *sides[1].log, "", "-- the plain table's session, last steps:",
                                       *sides[0].log[-3:]])
        raise
    finally:
        for side in sides:
            side.close()
        clean(server, database, sides)


def clean(server, database, sides):
    schemas = ", ".join(side.schema for side in sides)
    try:
        with reconnect(server, database) as cleaner:
            cleaner.execute(f"DROP SCHEMA IF EXISTS {schemas} CASCADE")
    except psycopg.OperationalError as error:
        difference = Difference(f"DROP SCHEMA .. CASCADE ended the session: {error}\n" + "\n".join(server.crashes()[-3:]))
        difference.script = "\n".join([*sides[1].log, f"DROP SCHEMA {sides[1].schema} CASCADE;"])
        raise difference from None


def reconnect(server, database):
    """A connection, after a crash too."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return server.connect(database)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def compare(sides, setup, steps, check):
    plain, hyper = sides
    for side, statements in zip(sides, setup, strict=True):
        for sql in statements:
            state, message, _ = side.run(sql)
            assert not state, f"the set-up failed: {sql}: {state} {message}"
    for step in steps:
        run_step(plain, hyper, step)
    for side in sides:
        side.run("ROLLBACK")
    run_step(plain, hyper, Step(check))


def run_step(plain, hyper, step):
    if step.drop_chunk is not None:
        return drop_chunk(plain, hyper, step.drop_chunk)
    if step.hyper is not None and plain.in_failed_transaction():
        return None
    if step.refusals:
        return refusable(plain, hyper, step)
    wanted = plain.run(step.sql, step.data) if step.sql else None
    found = hyper.run(step.hyper if step.hyper is not None else step.sql, step.data) if step.hyper != "" else None
    if wanted is None or found is None or step.hyper is not None:
        states = [outcome[0] for outcome in (wanted, found) if outcome is not None]
        if any(states):
            raise Difference(f"{wanted or ''} {found or ''}: {step}")
        return None
    return differ(step, wanted, found)


def refusable(plain, hyper, step):
    failed = plain.in_failed_transaction()
    found = hyper.run(step.sql, step.data)
    if found[0] not in step.refusals or failed:
        return differ(step, plain.run(step.sql, step.data), found)
    if hyper.in_failed_transaction():
        plain.run("SELECT * FROM there_is_no_such_table")
    return None


def differ(step, wanted, found):
    if wanted[0] or found[0]:
        same = wanted[0] == found[0] or (step.vague and wanted[0][:2] == found[0][:2] == "23")
    else:
        same = wanted[1:] == found[1:]
    if not same:
        raise Difference(f"{step.sql}\nplain table: {told(wanted, found)}\nhypertable:  {told(found, wanted)}")


def told(outcome, other):
    """An outcome with the rows only that the other one lacks."""
    lacking = collections.Counter(outcome[2]) - collections.Counter(other[2])
    return f"{outcome[0]} {outcome[1]}, {len(outcome[2])} rows, of which only here: {list(lacking.elements())[:5]}"


def drop_chunk(plain, hyper, number):
    if plain.in_failed_transaction():
        return
    chunk = f"SELECT DISTINCT tableoid::regclass::text FROM t WHERE tableoid <> 't'::regclass ORDER BY 1 LIMIT 1 OFFSET {number}"
    _, _, rows = hyper.run(chunk)
    if not rows:
        return
    name = rows[0][0].decode()
    _, _, keys = hyper.run(f"SELECT DISTINCT id, time FROM {name}")
    dropped = hyper.run(f"DROP TABLE {name}")
    if dropped[0] in ("55006", "2BP01"):  # a cursor is open on it, or pending trigger events
        if not hyper.in_failed_transaction():
            return
        plain.run("SELECT * FROM there_is_no_such_table")
        return
    if dropped[0]:
        raise Difference(f"DROP TABLE {name}: {dropped}")
    pairs = ", ".join(f"({key[0].decode() if key[0] else 'NULL'}, '{key[1].decode()}')" for key in keys)
    plain.run("SET LOCAL session_replication_role = replica")
    plain.run(f"DELETE FROM t WHERE (coalesce(id, -1), time::text) IN (SELECT coalesce(a, -1), b FROM (VALUES {pairs}) AS v(a, b))")


def shrink(fails, steps, patience=150):
    """A shorter list of steps for which `fails` still holds."""
    size = max(1, len(steps) // 2)
    while size >= 1 and patience > 0:
        at, shorter = 0, False
        while at < len(steps) and patience > 0:
            candidate = steps[:at] + steps[at + size:]
            patience -= 1
            if fails(candidate):
                steps, shorter = candidate, True
            else:
                at += size
        size = size if shorter and size == 1 else size // 2
    return steps
