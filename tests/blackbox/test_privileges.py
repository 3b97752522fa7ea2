"""Who may do what: chunks are made with the owner's rights, and nobody gets more through them."""

import psycopg
import pytest

SETUP = """
CREATE TABLE t (time timestamptz NOT NULL, who text NOT NULL DEFAULT current_user, v int, secret text);
SELECT create_hypertable('t', 'time', chunk_time_interval => interval '1 day');
INSERT INTO t VALUES ('2024-01-01', 'nobody', 1, 's');
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""
ROLES = ("writer", "reader", "stranger", "owner")


@pytest.fixture
def roles(server, db):
    for role in ROLES:
        db.execute(f"CREATE ROLE {role}")
    db.execute(SETUP)
    yield As(db)
    db.execute("RESET ROLE; RESET SESSION AUTHORIZATION")
    db.execute("DROP OWNED BY writer, reader, stranger, owner CASCADE")
    for role in ROLES:
        db.execute(f"DROP ROLE {role}")


class As:
    """Runs statements as a role."""

    def __init__(self, db):
        self.db = db

    def __call__(self, role, sql, parameters=None):
        self.db.execute(f"SET SESSION AUTHORIZATION {role}")
        try:
            cursor = self.db.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else cursor.rowcount
        finally:
            self.db.execute("RESET SESSION AUTHORIZATION")

    def copy(self, role, sql, text):
        self.db.execute(f"SET SESSION AUTHORIZATION {role}")
        try:
            with self.db.cursor() as cursor, cursor.copy(sql) as copy:
                copy.write(text)
        finally:
            self.db.execute("RESET SESSION AUTHORIZATION")

    def refuses(self, role, sql):
        before = self.state()
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refusal:
            self(role, sql)
        assert refusal.value.sqlstate == "42501"
        assert self.state() == before

    def state(self):
        return (self.db.execute("SELECT count(*), max(oid) FROM pg_class").fetchall(),
                self.db.execute("SELECT count(*) FROM t").fetchall(), self.db.execute("SELECT * FROM _timescaledb_config.dimension").fetchall())

    def chunks(self):
        return [row[0] for row in self.db.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 't'::regclass ORDER BY inhrelid").fetchall()]


def test_who_may_only_insert_creates_chunks_that_the_owner_owns(roles):
    roles.db.execute("ALTER TABLE t OWNER TO owner; GRANT INSERT ON t TO writer")
    roles("writer", "INSERT INTO t VALUES ('2024-02-01', DEFAULT, 1), ('2024-02-02', DEFAULT, 2)")
    roles.copy("writer", "COPY t (time, v) FROM STDIN", "2024-03-01\t3\n2024-03-02\t4\n")
    assert len(roles.chunks()) == 5
    owners = roles.db.execute("SELECT DISTINCT relowner::regrole::text FROM pg_class JOIN pg_inherits ON oid = inhrelid WHERE inhparent = 't'::regclass").fetchall()
    assert owners == [("owner",)]
    roles.refuses("writer", "SELECT * FROM t")
    roles.refuses("writer", f"SELECT * FROM {roles.chunks()[-1]}")
    roles.refuses("writer", f"DROP TABLE {roles.chunks()[-1]}")


def test_rights_on_columns_count(roles):
    roles.db.execute("GRANT INSERT (time, v), SELECT (time, v) ON t TO writer")
    roles("writer", "INSERT INTO t (time, v) VALUES ('2024-02-01', 1)")
    roles.copy("writer", "COPY t (time, v) FROM STDIN", "2024-03-01\t3\n")
    roles.refuses("writer", "INSERT INTO t (time, secret) VALUES ('2024-04-01', 'x')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        roles.copy("writer", "COPY t FROM STDIN", "2024-05-01\tw\t1\ts\n")
    assert roles("writer", "SELECT v FROM t WHERE v > 1") == [(3,)]
    # A chunk has the privileges of the table, not those of its columns.
    roles.refuses("writer", f"SELECT v FROM {roles.chunks()[-1]}")
    roles.refuses("writer", f"SELECT secret FROM {roles.chunks()[-1]}")
    roles.refuses("writer", "COPY t TO STDOUT")


def test_strangers_change_nothing(roles):
    for statement in ("INSERT INTO t VALUES ('2024-02-01')", "UPDATE t SET time = '2024-05-01'", "DELETE FROM t", "SELECT * FROM t",
                      "SELECT set_chunk_time_interval('t', interval '1 hour')", "SELECT add_dimension('t', 'who', number_partitions => 2)",
                      "SELECT set_integer_now_func('t', 'now')", "SELECT create_hypertable('t', 'time', if_not_exists => true, migrate_data => true), 1/(SELECT 0 FROM t)",
                      "SELECT drop_chunks('t', newer_than => '2000-01-01'::timestamptz)", "TRUNCATE t",
                      "INSERT INTO _timescaledb_config.hypertable VALUES (99, 'pg_class', 'a', 'b')", "DELETE FROM _timescaledb_config.chunk",
                      "UPDATE _timescaledb_config.dimension SET interval_length = 1", "SELECT nextval('_timescaledb_config.chunk_id_seq')",
                      "CREATE TABLE _timescaledb_internal.x ()", f"SELECT * FROM {roles.chunks()[0]}"):
        roles.refuses("stranger", statement)


def test_a_table_of_ones_own_becomes_a_hypertable(roles):
    roles.db.execute("CREATE SCHEMA own AUTHORIZATION owner")
    roles("owner", "CREATE TABLE own.t (time timestamptz NOT NULL, v int)")
    roles("owner", "INSERT INTO own.t VALUES (now(), 1)")
    roles("owner", "SELECT create_hypertable('own.t', 'time', migrate_data => true)")
    roles("owner", "INSERT INTO own.t SELECT now() + g * interval '10 days', g FROM generate_series(1, 5) AS g")
    roles("owner", "SELECT set_chunk_time_interval('own.t', interval '1 day')")
    assert roles("owner", "SELECT count(*) FROM own.t") == [(6,)]
    roles("owner", "DROP TABLE own.t")


def test_a_function_of_the_owner_inserts_for_others(roles):
    roles.db.execute("ALTER TABLE t OWNER TO owner")
    roles.db.execute("""CREATE FUNCTION put(at timestamptz) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO t (time) VALUES (at) RETURNING who';
                        ALTER FUNCTION put OWNER TO owner; GRANT EXECUTE ON FUNCTION put TO stranger""")
    assert roles("stranger", "SELECT put('2024-07-01')") == [("owner",)]
    roles.refuses("stranger", "INSERT INTO t (time) VALUES ('2024-08-01')")


def test_defaults_and_triggers_run_as_who_inserts(roles):
    """Only the making of a chunk is the owner's work."""
    roles.db.execute("ALTER TABLE t OWNER TO owner; GRANT INSERT, SELECT ON t TO writer")
    roles.db.execute("""CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.secret := current_user; RETURN new; END $$;
                        CREATE TRIGGER noted BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted()""")
    assert roles("writer", "INSERT INTO t (time) VALUES ('2024-09-01') RETURNING who, secret") == [("writer", "writer")]
    assert roles("writer", "SELECT current_user::text") == [("writer",)]


def test_row_security_holds_on_every_way_in_and_out(roles):
    roles.db.execute("""ALTER TABLE t OWNER TO owner; GRANT INSERT, SELECT, UPDATE, DELETE ON t TO writer, reader;
                        ALTER TABLE t ENABLE ROW LEVEL SECURITY;
                        CREATE POLICY mine ON t USING (who = current_user) WITH CHECK (who = current_user)""")
    roles("writer", "INSERT INTO t VALUES ('2024-02-01', 'writer', 1)")
    roles.refuses("writer", "INSERT INTO t VALUES ('2024-02-09', 'reader', 1)")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        roles.copy("writer", "COPY t FROM STDIN", "2024-05-01\treader\t1\ts\n")
    assert roles("writer", "SELECT who FROM t") == [("writer",)]
    assert roles("reader", "SELECT who FROM t") == []
    assert roles("reader", "UPDATE t SET v = 5") == 0
    for chunk in roles.chunks():
        # A chunk can't be asked for what the hypertable does not show.
        try:
            assert roles("reader", f"SELECT who FROM {chunk}") == []
        except psycopg.errors.InsufficientPrivilege:
            pass
    with roles.db.cursor() as cursor:
        cursor.execute("SET SESSION AUTHORIZATION writer")
        with cursor.copy("COPY t TO STDOUT") as copy:
            assert b"".join(copy).count(b"\n") == 1
        cursor.execute("RESET SESSION AUTHORIZATION")


def test_grants_reach_chunks_made_before_and_after(roles):
    roles.db.execute("GRANT SELECT ON t TO reader")
    roles.db.execute("INSERT INTO t VALUES ('2024-06-01')")
    for chunk in roles.chunks():
        assert len(roles("reader", f"SELECT time FROM {chunk}")) == 1
    roles.db.execute("REVOKE SELECT ON t FROM reader")
    for chunk in roles.chunks():
        roles.refuses("reader", f"SELECT time FROM {chunk}")
