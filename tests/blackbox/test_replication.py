"""Logical replication into hypertables, and out of them."""

import contextlib
import threading
import time

import pytest
from server import Server, ServerError

SETTINGS = {
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",
    "max_logical_replication_workers": 20,
    "max_replication_slots": 40,
    "max_wal_senders": 40,
}


@pytest.fixture(scope="module")
def servers():
    """A publisher and a subscriber."""
    with Server("publisher", SETTINGS) as publisher, Server("subscriber", SETTINGS) as subscriber:
        yield publisher, subscriber
        crashes = publisher.crashes() + subscriber.crashes()
    assert not crashes, f"a server crashed: {crashes}"


class Pair:
    """A database of one name on both servers."""

    numbers = iter(range(1000))

    def __init__(self, publisher, subscriber):
        self.publisher, self.subscriber = publisher, subscriber
        self.name = f"pair_{next(self.numbers)}"
        publisher.create_database(self.name)
        subscriber.create_database(self.name)
        self.subscribed = False

    def pub(self, sql):
        return self.publisher.psql(sql, self.name)

    def sub(self, sql):
        return self.subscriber.psql(sql, self.name)

    def subscribe(self, options="", publication="p"):
        self.subscribed = True
        self.sub(f"CREATE SUBSCRIPTION {self.name} CONNECTION '{self.publisher.dsn(self.name)}' PUBLICATION {publication} {options}")

    def caught_up(self, timeout=40):
        """Waits until all tables are synchronised and all that was committed is applied."""
        deadline = time.monotonic() + timeout
        lsn = self.pub("SELECT pg_current_wal_insert_lsn()")
        ready = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')"
        replayed = f"SELECT confirmed_flush_lsn >= '{lsn}' FROM pg_replication_slots WHERE slot_name = '{self.name}'"
        while not (self.sub(ready) == "0" and self.pub(replayed) == "t"):
            if time.monotonic() > deadline:
                raise ServerError(f"the subscriber lags behind:\n{self.subscriber.log()[-4000:]}")
            time.sleep(0.05)

    def rows(self, columns, table="m"):
        query = f"SELECT {columns} FROM {table} ORDER BY {columns}"
        return self.pub(query), self.sub(query)

    def assert_same(self, columns="time, device, value", table="m"):
        published, subscribed = self.rows(columns, table)
        assert subscribed == published

    def assert_intake_is_no_chunk(self, table="m"):
        """There is an intake; it is empty, and no chunk."""
        intake = self.sub(f"SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = '{table}'::regclass "
                          "AND pg_get_expr(relpartbound, c.oid) = 'DEFAULT'")
        assert intake.endswith("_intake")
        assert self.sub(f"SELECT count(*) FROM {intake}") == "0"
        assert self.sub(f"SELECT pg_relation_size('{intake}')") == "0"
        assert self.sub(f"SELECT count(*) FROM _timescaledb_config.chunk WHERE relid = '{intake}'::regclass") == "0"

    def chunks(self):
        return int(self.sub("SELECT count(*) FROM _timescaledb_config.chunk"))

    def remove(self):
        if self.subscribed:
            with contextlib.suppress(ServerError):
                self.sub(f"ALTER SUBSCRIPTION {self.name} DISABLE; ALTER SUBSCRIPTION {self.name} SET (slot_name = NONE); DROP SUBSCRIPTION {self.name}")
        self.subscriber.psql(f'DROP DATABASE "{self.name}" WITH (FORCE)')
        for _ in range(100):
            self.publisher.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL "
                                f"AND database = '{self.name}'")
            with contextlib.suppress(ServerError):
                self.publisher.psql(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '{self.name}'")
                break
            time.sleep(0.05)
        self.publisher.psql(f'DROP DATABASE "{self.name}" WITH (FORCE)')


@pytest.fixture
def pair(servers):
    pair = Pair(*servers)
    yield pair
    pair.remove()


TABLE = "CREATE TABLE m (time timestamptz NOT NULL, device int NOT NULL, value float8, PRIMARY KEY (time, device));"
HYPERTABLE = TABLE + "SELECT create_hypertable('m', by_range('time', interval '1 day'));"
SERIES = "INSERT INTO m SELECT t, d, d + extract(hour FROM t) FROM generate_series('{}'::timestamptz, '{}', '1 hour') t, generate_series(1, 3) d;"


@pytest.mark.parametrize("publisher_is_hypertable", [False, True])
def test_initial_copy_and_changes(pair, publisher_is_hypertable):
    pair.pub((HYPERTABLE if publisher_is_hypertable else TABLE) + SERIES.format("2024-01-01", "2024-02-10"))
    pair.pub("CREATE PUBLICATION p FOR TABLE m WITH (publish_via_partition_root = true)")
    pair.sub(HYPERTABLE)
    pair.subscribe()
    pair.caught_up()
    pair.assert_same()
    assert pair.chunks() == 41

    pair.pub(SERIES.format("2024-03-01", "2024-03-05") + "INSERT INTO m VALUES ('1901-01-01', 1, 1), ('2199-01-01', 1, 1);")
    pair.pub("UPDATE m SET value = -value WHERE device = 2; DELETE FROM m WHERE time < '2024-01-03' AND device = 3;")
    # to a range without a chunk, to one with a chunk, within a chunk
    pair.pub("UPDATE m SET time = time + interval '10 years' WHERE time = '2024-01-05 03:00' AND device = 1;"
             "UPDATE m SET time = '2024-02-01 00:00:01' WHERE time = '2024-01-06 03:00' AND device = 1;"
             "UPDATE m SET time = time + interval '1 second' WHERE time = '2024-01-07 03:00' AND device = 1;")
    # a row that comes, goes and moves in one transaction
    pair.pub("BEGIN; INSERT INTO m VALUES ('2030-05-05', 1, 1); UPDATE m SET time = '2031-05-05' WHERE time = '2030-05-05';"
             "UPDATE m SET value = 7 WHERE time = '2031-05-05'; INSERT INTO m VALUES ('2032-05-05', 1, 1);"
             "DELETE FROM m WHERE time = '2032-05-05'; COMMIT")
    # what is rolled back leaves nothing
    pair.pub("BEGIN; INSERT INTO m VALUES ('2040-05-05', 1, 1); SAVEPOINT s; INSERT INTO m VALUES ('2041-05-05', 1, 1); ROLLBACK TO s; COMMIT")
    pair.caught_up()
    pair.assert_same()
    pair.assert_intake_is_no_chunk()
    assert pair.sub("SELECT count(*) FROM m WHERE time > '2030-01-01'") == "4"

    pair.pub("TRUNCATE m; INSERT INTO m VALUES ('2050-01-01', 1, 1)")
    pair.caught_up()
    assert pair.sub("SELECT * FROM m") == "2050-01-01 00:00:00+00|1|1"
    pair.assert_intake_is_no_chunk()


def test_compressing_changes_nothing(pair):
    """Subscribers see what is done to rows, wherever they are, and nothing of how a chunk changes its form."""
    pair.pub(HYPERTABLE.replace("1 day", "30 days") + "ALTER TABLE m SET (timescaledb.compress, timescaledb.segmentby = 'device');")
    pair.pub(SERIES.format("2024-01-01", "2024-06-01") + "SELECT compress_chunk(c) FROM show_chunks('m') c;")
    pair.pub("CREATE PUBLICATION p FOR TABLE m WITH (publish_via_partition_root = true)")
    pair.sub(HYPERTABLE)
    pair.subscribe()
    pair.caught_up()
    pair.assert_same()
    rows = pair.sub("SELECT count(*) FROM m")
    pair.pub("UPDATE m SET value = -1 WHERE time = '2024-03-03 03:00' AND device = 1")
    pair.caught_up()
    pair.assert_same()
    # The rows of a batch go back into columns, in place and by a swap, and others into the heap again.
    pair.pub("SELECT compress_chunk(c) FROM show_chunks('m') c")
    pair.pub("SELECT decompress_chunk(c) FROM show_chunks('m') c")
    # An old snapshot has rows deleted and inserted, not frozen.
    with pair.publisher.connect(pair.name) as holder:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        pair.pub("UPDATE m SET value = -2 WHERE device = 2")
        pair.pub("SELECT compress_chunk(c) FROM show_chunks('m') c")
        pair.pub("SELECT decompress_chunk(c) FROM show_chunks('m') c")
    pair.caught_up()
    pair.assert_same()
    assert pair.sub("SELECT count(*) FROM m") == rows
    pair.pub("SELECT compress_chunk(c) FROM show_chunks('m') c")
    pair.pub("DELETE FROM m WHERE device = 3")
    # Rows that would go straight into columns take the way that is seen.
    pair.pub("ALTER TABLE m DROP CONSTRAINT m_pkey; ALTER TABLE m REPLICA IDENTITY FULL;"
             "SET timescaledb.enable_direct_compress_insert = on;" + SERIES.format("2025-01-01", "2025-02-01"))
    pair.caught_up()
    pair.assert_same()



def test_changes_in_ranges_without_a_chunk_find_nothing(pair):
    """As in a plain table: an UPDATE or DELETE of a row that is not there is skipped."""
    pair.pub(TABLE + SERIES.format("2024-01-01", "2024-01-03") + "CREATE PUBLICATION p FOR TABLE m")
    pair.sub(HYPERTABLE)
    pair.subscribe("WITH (copy_data = false)")
    pair.pub("UPDATE m SET value = 1; DELETE FROM m WHERE device = 1; INSERT INTO m VALUES ('2024-05-05', 1, 1)")
    pair.caught_up()
    assert pair.sub("SELECT time FROM m") == "2024-05-05 00:00:00+00"


def test_hash_dimension_identity_generated_and_other_columns(pair):
    columns = """id bigint GENERATED ALWAYS AS IDENTITY, {} device text NOT NULL, time timestamptz NOT NULL, value numeric,
                 twice numeric GENERATED ALWAYS AS (value * 2) STORED"""
    pair.pub(f"CREATE TABLE m ({columns.format('')}, PRIMARY KEY (time, device, id));"
             "INSERT INTO m (device, time, value) SELECT 'd' || d, t, d FROM generate_series('2024-01-01'::timestamptz, '2024-01-20', '6 hours') t,"
             "generate_series(1, 9) d; CREATE PUBLICATION p FOR TABLE m")
    # another order of columns, dropped ones, and one more with a default
    pair.sub(f"""CREATE TABLE m (gone int, {columns.format('gone2 text,')}, extra int DEFAULT 42, PRIMARY KEY (time, device, id));
                 ALTER TABLE m DROP COLUMN gone;
                 SELECT create_hypertable('m', by_range('time', interval '1 day'));
                 SELECT add_dimension('m', by_hash('device', 4));
                 INSERT INTO m (device, time) VALUES ('local', '2023-12-01');
                 ALTER TABLE m DROP COLUMN gone2; ALTER TABLE m ADD COLUMN late int DEFAULT 5""")
    pair.subscribe()
    pair.caught_up()
    pair.pub("INSERT INTO m (device, time, value) SELECT 'e' || d, '2025-06-01'::timestamptz + d * interval '1 day', d FROM generate_series(1, 9) d;"
             "UPDATE m SET device = device || 'x', time = time + interval '1 year' WHERE device = 'd3'; UPDATE m SET value = 0 WHERE device = 'd4'")
    pair.caught_up()
    pair.sub("DELETE FROM m WHERE device = 'local'")
    pair.assert_same("id, device, time, value, twice")
    assert pair.sub("SELECT DISTINCT extra, late FROM m") == "42|5"
    assert pair.sub("SELECT count(DISTINCT tableoid) > 40 FROM m") == "t"
    pair.assert_intake_is_no_chunk()


def test_triggers_fire_once_and_as_in_apply(pair):
    pair.pub(TABLE + SERIES.format("2024-01-01", "2024-01-02") + "CREATE PUBLICATION p FOR TABLE m")
    pair.sub(HYPERTABLE + """
        CREATE TABLE log (name text, row_time timestamptz, tab text);
        CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN INSERT INTO public.log VALUES (TG_NAME, NEW.time, TG_TABLE_NAME); RETURN NEW; END $$;
        CREATE FUNCTION log_statement() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN INSERT INTO public.log VALUES (TG_NAME, NULL, TG_TABLE_NAME); RETURN NULL; END $$;
        CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.value := NEW.value * 2; RETURN NEW; END $$;
        CREATE TRIGGER "AAA before" BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION log();
        CREATE TRIGGER after AFTER INSERT ON m FOR EACH ROW EXECUTE FUNCTION log();
        CREATE TRIGGER origin AFTER INSERT ON m FOR EACH ROW EXECUTE FUNCTION log();
        CREATE TRIGGER zz_double BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION double();
        CREATE TRIGGER statement AFTER INSERT ON m EXECUTE FUNCTION log_statement();
        ALTER TABLE m ENABLE ALWAYS TRIGGER "AAA before", ENABLE REPLICA TRIGGER after, ENABLE ALWAYS TRIGGER zz_double,
            ENABLE ALWAYS TRIGGER statement""")
    pair.subscribe()
    pair.caught_up()
    # COPY fires the statement trigger, once
    assert pair.sub("SELECT name, count(*), count(DISTINCT row_time) FROM log GROUP BY 1 ORDER BY 1") == "AAA before|75|25\nafter|75|25\nstatement|1|0"
    pair.sub("TRUNCATE log")
    pair.pub("INSERT INTO m VALUES ('2024-06-06', 1, 21), ('2024-06-07', 1, 21), ('2024-06-06 01:00', 1, 21)")
    pair.caught_up()
    assert pair.sub("SELECT name, count(*) FROM log GROUP BY 1 ORDER BY 1") == "AAA before|3\nafter|3"
    assert pair.sub("SELECT count(*) FROM log WHERE tab NOT LIKE '%chunk'") == "0"
    assert pair.sub("SELECT DISTINCT value FROM m WHERE time >= '2024-06-06'") == "42"


def test_foreign_keys_are_checked_as_in_apply(pair):
    """The apply worker checks no foreign keys; a deferred constraint trigger that is enabled fires at commit."""
    pair.pub(TABLE + "CREATE PUBLICATION p FOR TABLE m")
    pair.sub("CREATE TABLE devices (id int PRIMARY KEY); INSERT INTO devices VALUES (1);" + HYPERTABLE + """
        ALTER TABLE m ADD FOREIGN KEY (device) REFERENCES devices;
        CREATE TABLE log (count bigint);
        CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log SELECT count(*) FROM public.m; RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON m DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log();
        ALTER TABLE m ENABLE ALWAYS TRIGGER late""")
    pair.subscribe()
    pair.pub("INSERT INTO m VALUES ('2024-06-06', 1, 1), ('2024-07-06', 2, 1)")
    pair.caught_up()
    pair.assert_same()
    assert pair.sub("SELECT count FROM log") == "2\n2"


def test_sessions_insert_into_the_same_new_ranges(pair):
    pair.pub("CREATE TABLE m (time timestamptz NOT NULL, device int NOT NULL, value float8, PRIMARY KEY (time, device));"
             "CREATE PUBLICATION p FOR TABLE m")
    pair.sub(HYPERTABLE)
    pair.subscribe()
    pair.caught_up()
    days, errors = 150, []
    row = "INSERT INTO m SELECT '2024-01-01'::timestamptz + {} * interval '1 day', {}, 0"

    def work(server, device):
        try:
            with server.connect(pair.name) as db:
                for day in range(days):
                    db.execute(row.format(day, device))
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=arguments)
               for arguments in ((pair.publisher, 1), (pair.publisher, 2), (pair.subscriber, 11), (pair.subscriber, 12))]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    assert not errors
    pair.caught_up()
    assert pair.sub("SELECT device, count(*) FROM m GROUP BY 1 ORDER BY 1") == "\n".join(f"{d}|{days}" for d in (1, 2, 11, 12))
    assert pair.chunks() == days
    log = pair.subscriber.log()
    assert "deadlock" not in log and "violates partition constraint" not in log
    pair.assert_intake_is_no_chunk()


def test_local_sessions_insert_during_the_initial_copy(pair):
    pair.pub(TABLE + "INSERT INTO m SELECT '2024-01-01'::timestamptz + i * interval '3 minutes', 1, i FROM generate_series(0, 99999) i;"
             "CREATE PUBLICATION p FOR TABLE m")
    pair.sub(HYPERTABLE)
    stop = threading.Event()
    inserted = []

    def work():
        with pair.subscriber.connect(pair.name) as db:
            for day in range(208):
                db.execute("INSERT INTO m SELECT '2024-07-26'::timestamptz - %s * interval '1 day', 2, 0", (day,))
                inserted.append(day)
                if stop.is_set():
                    break

    worker = threading.Thread(target=work)
    worker.start()
    pair.subscribe()
    pair.caught_up()
    stop.set()
    worker.join()
    assert pair.sub("SELECT device, count(*) FROM m GROUP BY 1 ORDER BY 1") == f"1|100000\n2|{len(inserted)}"
    pair.assert_intake_is_no_chunk()


def test_the_subscriber_may_restart_and_crash(pair):
    pair.pub(TABLE + SERIES.format("2024-01-01", "2024-01-05") + "CREATE PUBLICATION p FOR TABLE m")
    pair.sub(HYPERTABLE)
    pair.subscribe()
    pair.caught_up()
    pair.subscriber.restart()
    pair.pub(SERIES.format("2024-02-01", "2024-02-05"))
    pair.caught_up()
    pair.subscriber.kill9()
    pair.pub(SERIES.format("2024-03-01", "2024-03-05"))
    pair.subscriber.start()
    pair.caught_up()
    pair.assert_same()
    pair.assert_intake_is_no_chunk()


def test_when_intakes_are_made(pair):
    pair.pub("CREATE TABLE early (time timestamptz PRIMARY KEY); CREATE TABLE late (time timestamptz PRIMARY KEY);"
             "CREATE TABLE plain (time timestamptz PRIMARY KEY); CREATE PUBLICATION p FOR TABLE early")
    hypertable = "CREATE TABLE {0} (time timestamptz PRIMARY KEY); SELECT create_hypertable('{0}', by_range('time'));"
    pair.sub(hypertable.format("early") + hypertable.format("late") + hypertable.format("other") + "CREATE TABLE plain (time timestamptz PRIMARY KEY)")
    intakes = "SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_intake' AND relkind = 'r'"
    pair.subscribe()
    assert pair.sub(intakes) == "1"
    pair.pub("ALTER PUBLICATION p ADD TABLE late, plain; INSERT INTO late VALUES ('2024-01-01'); INSERT INTO plain VALUES ('2024-01-01')")
    pair.sub(f"ALTER SUBSCRIPTION {pair.name} REFRESH PUBLICATION")
    assert pair.sub(intakes) == "2"
    pair.caught_up()
    pair.assert_same("time", "late")
    # a plain target becomes a hypertable while the subscription runs
    pair.sub("SELECT create_hypertable('plain', by_range('time'), migrate_data => true)")
    assert pair.sub(intakes) == "3"
    pair.pub("INSERT INTO plain VALUES ('2034-01-01')")
    pair.caught_up()
    pair.assert_same("time", "plain")
    # by hand: twice is once, and only for the owner of a hypertable
    first = pair.sub("SELECT _timescaledb_functions.create_intake('other')")
    assert pair.sub("SELECT _timescaledb_functions.create_intake('other')") == first
    assert pair.sub(intakes) == "4"
    pair.sub("DROP TABLE other")
    assert pair.sub(intakes) == "3"


def test_what_the_function_refuses(pair):
    pair.sub(HYPERTABLE + """CREATE TABLE plain (i int); CREATE ROLE stranger; GRANT SELECT ON m TO stranger;
        CREATE TABLE own (time timestamptz NOT NULL); SELECT create_hypertable('own', by_range('time'));
        CREATE TABLE own_default PARTITION OF own DEFAULT;
        CREATE TRIGGER t BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION _timescaledb_functions.intake()""")
    for sql, message in (
        ("SELECT _timescaledb_functions.create_intake('plain')", 'table "plain" is not a hypertable'),
        ("SELECT _timescaledb_functions.create_intake(NULL)", "hypertable cannot be NULL"),
        ("SELECT _timescaledb_functions.create_intake('own')", 'hypertable "own" has a default partition, "own_default"'),
        ("SET ROLE stranger; SELECT _timescaledb_functions.create_intake('m')", "must be owner of table m"),
        ("INSERT INTO plain VALUES (1)", 'table "plain" is not the intake of a hypertable'),
        ("SELECT _timescaledb_functions.intake()", "was not called as a BEFORE INSERT trigger"),
    ):
        with pytest.raises(ServerError, match=message):
            pair.sub(sql)
    pair.sub("DROP OWNED BY stranger; DROP ROLE stranger")


def test_users_at_the_intake(pair):
    pair.sub(HYPERTABLE + "CREATE ROLE writer; CREATE ROLE reader; GRANT INSERT, SELECT ON m TO writer; GRANT SELECT ON m TO reader;"
             "GRANT USAGE ON SCHEMA _timescaledb_internal TO writer, reader")
    intake = pair.sub("SELECT _timescaledb_functions.create_intake('m')")
    pair.sub(f"INSERT INTO m VALUES ('2024-01-01', 1, 1); INSERT INTO {intake} (time, device, value) VALUES ('2024-01-02', 1, 1);"
             f"SET ROLE writer; INSERT INTO {intake} (time, device, value) VALUES ('2024-01-02', 2, 1); INSERT INTO m VALUES ('2024-01-03', 2, 1)")
    with pytest.raises(ServerError, match="permission denied"):
        pair.sub(f"SET ROLE reader; INSERT INTO {intake} (time, device, value) VALUES ('2024-01-04', 1, 1)")
    with pytest.raises(ServerError, match="permission denied"):
        pair.sub(f"REVOKE INSERT ON m FROM writer; GRANT INSERT ON {intake} TO writer; SET ROLE writer; INSERT INTO {intake} (time, device, value) VALUES ('2024-01-04', 1, 1)")
    with pytest.raises(ServerError, match="duplicate key"):
        pair.sub(f"INSERT INTO {intake} (time, device, value) VALUES ('2024-01-02', 2, 1)")
    with pytest.raises(ServerError, match="null value in column \"time\""):
        pair.sub(f"INSERT INTO {intake} (time, device, value) VALUES (NULL, 2, 1)")
    # of many chunks in one COPY, of which all rows come by the intake, and one that fails leaves nothing
    pair.sub(f"SET session_replication_role = replica; COPY {intake} (time, device, value) FROM PROGRAM 'for i in $(seq 1 28); do echo 2025-02-$i,1,1; done' CSV")
    with pytest.raises(ServerError, match="duplicate key"):
        pair.sub(f"COPY {intake} (time, device, value) FROM PROGRAM 'for i in $(seq 1 28) 1; do echo 2026-02-$i,1,1; done' CSV")
    assert pair.sub("SELECT count(*) FROM m") == "32"
    assert pair.chunks() == 31
    pair.assert_intake_is_no_chunk()
    pair.sub("DROP OWNED BY writer, reader; DROP ROLE writer, reader")


def test_queries_do_not_read_the_intake(pair):
    pair.sub(HYPERTABLE + SERIES.format("2024-01-01", "2024-01-10") + "SELECT _timescaledb_functions.create_intake('m')")
    for query in ("SELECT * FROM m WHERE time = '2024-01-02'", "SELECT * FROM m WHERE time >= '2024-01-02' AND time < '2024-01-03'",
                  "SELECT * FROM m", "SELECT * FROM m WHERE time > '2024-01-02'", "SELECT * FROM m ORDER BY time DESC LIMIT 3",
                  "UPDATE m SET value = 1", "DELETE FROM m"):
        plan = pair.sub(f"EXPLAIN (COSTS off) {query}")
        assert "chunk" in plan and "intake" not in plan, plan
    # no MergeAppend either
    plan = pair.sub("SET enable_seqscan = off; SET enable_sort = off; EXPLAIN (COSTS off) SELECT * FROM m ORDER BY time DESC LIMIT 3")
    assert "Merge" not in plan, plan
    # pruning at run time
    run_time = """SET plan_cache_mode = force_generic_plan; PREPARE q(timestamptz) AS SELECT count(*) FROM m WHERE time > $1;
                  EXECUTE q('2024-01-09'); EXECUTE q('2034-01-09'); EXECUTE q('1990-01-09'); DROP TABLE IF EXISTS x;
                  SELECT count(*) FROM m WHERE time < (SELECT '2024-01-02'::timestamptz);
                  SELECT count(*) FROM generate_series('2024-01-01'::timestamptz, '2025-01-01', '1 day') g JOIN m ON m.time = g"""
    assert pair.sub(run_time) == "72\n0\n651\n72\n30"
    pair.sub("SET plan_cache_mode = force_generic_plan; PREPARE i(timestamptz) AS INSERT INTO m VALUES ($1, 9, 9); EXECUTE i('2031-01-01');"
             "EXECUTE i('2032-01-01'); UPDATE m SET time = '2033-01-01' WHERE time = '2032-01-01';"
             "INSERT INTO m VALUES ('2031-01-01', 9, 8) ON CONFLICT (time, device) DO UPDATE SET value = excluded.value")
    assert pair.sub("SELECT time, value FROM m WHERE device = 9 ORDER BY 1") == "2031-01-01 00:00:00+00|8\n2033-01-01 00:00:00+00|9"
    pair.assert_intake_is_no_chunk()


def test_ddl_with_an_intake(pair):
    """What is done to a hypertable with an intake goes on as without."""
    pair.pub(TABLE + SERIES.format("2024-01-01", "2024-01-05") + "CREATE PUBLICATION p FOR TABLE m")
    pair.sub(HYPERTABLE)
    pair.subscribe()
    pair.caught_up()
    pair.sub("""ALTER TABLE m ADD COLUMN more int DEFAULT 3; CREATE INDEX ON m (device); ALTER TABLE m ADD CHECK (device > 0);
                ALTER TABLE m REPLICA IDENTITY FULL; ALTER TABLE m REPLICA IDENTITY DEFAULT; VACUUM m; ANALYZE m; REINDEX TABLE m;
                CREATE TABLE adopted PARTITION OF m FOR VALUES FROM ('2020-01-01') TO ('2020-01-02');
                ALTER TABLE m DETACH PARTITION adopted; ALTER TABLE m ATTACH PARTITION adopted FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')""")
    oldest = pair.sub("SELECT relid FROM _timescaledb_config.chunk ORDER BY id LIMIT 1")
    pair.sub(f"DROP TABLE {oldest}")
    pair.pub(SERIES.format("2024-03-01", "2024-03-05") + "INSERT INTO m VALUES ('2024-01-01 00:00:01', 1, 1), ('2020-01-01', 1, 1)")
    pair.caught_up()
    assert pair.sub("SELECT count(*), count(more), sum(more) FROM m") == "512|512|1536"
    pair.sub("ALTER TABLE m RENAME TO n; ALTER TABLE n RENAME TO m; ALTER TABLE m ALTER COLUMN value TYPE numeric")
    pair.pub(SERIES.format("2024-04-01", "2024-04-05"))
    pair.caught_up()
    pair.assert_intake_is_no_chunk()
    assert pair.sub("SELECT count(*) FROM m") == "803"


def test_dump_and_restore_carry_the_intake(pair):
    pair.sub(HYPERTABLE + SERIES.format("2024-01-01", "2024-01-05") + "SELECT _timescaledb_functions.create_intake('m')")
    dump = pair.subscriber.pg_dump(pair.name)
    copy = pair.name + "_copy"
    pair.subscriber.psql(f"CREATE DATABASE {copy}")
    try:
        pair.subscriber.psql(dump, copy)
        again = pair.subscriber.pg_dump(copy)
        assert again == dump
        intake = "_timescaledb_internal._hyper_1_intake"
        pair.subscriber.psql(f"SET session_replication_role = replica; INSERT INTO {intake} (time, device, value) VALUES ('2029-01-01', 1, 1)", copy)
        assert pair.subscriber.psql(f"SELECT count(*) FROM {intake}", copy) == "0"
        assert pair.subscriber.psql("SELECT count(*) FROM m WHERE time = '2029-01-01'", copy) == "1"
        # without its rows in the catalog the partitioned table can be adopted
        pair.subscriber.psql("DELETE FROM _timescaledb_config.chunk; DELETE FROM _timescaledb_config.dimension; DELETE FROM _timescaledb_config.hypertable", copy)
        pair.subscriber.psql("SELECT create_hypertable('m', by_range('time', interval '1 day'))", copy)
        assert pair.subscriber.psql("SELECT count(*) FROM _timescaledb_config.chunk", copy) == "6"
    finally:
        pair.subscriber.psql(f"DROP DATABASE {copy} WITH (FORCE)")


def test_a_large_copy_keeps_to_its_memory(pair):
    rows = 300_000
    pair.pub("CREATE TABLE m (time timestamptz NOT NULL, device int NOT NULL, value float8);"
             f"INSERT INTO m SELECT '2024-01-01'::timestamptz + i * interval '10 seconds', i % 10, i FROM generate_series(1, {rows}) i;"
             "CREATE PUBLICATION p FOR TABLE m")
    pair.sub("CREATE TABLE m (time timestamptz NOT NULL, device int NOT NULL, value float8);"
             "SELECT create_hypertable('m', by_range('time', interval '1 day'), create_default_indexes => false)")
    pair.subscribe()
    peak = 0
    deadline = time.monotonic() + 200
    while pair.sub("SELECT count(*) FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')") != "0":
        assert time.monotonic() < deadline
        for pid in pair.sub("SELECT pid FROM pg_stat_subscription WHERE relid IS NOT NULL").split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = open(f"/proc/{pid}/status").read()
                peak = max(peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")))
        time.sleep(0.1)
    assert pair.sub("SELECT count(*), sum(value) FROM m") == pair.pub("SELECT count(*), sum(value) FROM m")
    assert peak < 100_000, f"the worker took {peak} kB"


@pytest.mark.parametrize("via_root", [True, False])
@pytest.mark.parametrize("publication", ["FOR TABLE m", "FOR ALL TABLES"])
def test_a_hypertable_publishes_chunks_made_later(pair, via_root, publication):
    pair.pub(HYPERTABLE + SERIES.format("2024-01-01", "2024-01-02"))
    pair.pub(f"CREATE PUBLICATION p {publication} WITH (publish_via_partition_root = {str(via_root).lower()})")
    if via_root:
        pair.sub(TABLE)
        pair.subscribe()
        pair.pub(SERIES.format("2024-02-01", "2024-02-02") + "UPDATE m SET value = 5 WHERE device = 1; DELETE FROM m WHERE device = 2;"
                 "UPDATE m SET time = '2025-01-01' WHERE time = '2024-02-01' AND device = 3")
        pair.caught_up()
        pair.assert_same()
        return
    # Rows travel under the names of their chunks: what is published is what counts here.
    slot = pair.name + "_slot"
    pair.pub(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    pair.pub("INSERT INTO m VALUES ('2024-02-01', 1, 1); UPDATE m SET value = 5 WHERE time = '2024-02-01'; DELETE FROM m WHERE time = '2024-02-01'")
    kinds = pair.pub(f"SELECT string_agg(chr(get_byte(data, 0)), '' ORDER BY lsn) FROM pg_logical_slot_get_binary_changes('{slot}', NULL, NULL,"
                     "'proto_version', '1', 'publication_names', 'p') WHERE chr(get_byte(data, 0)) IN ('I', 'U', 'D')")
    assert kinds.endswith("IUD")


def test_chunks_have_the_identity_that_updates_need(pair):
    """A publisher's chunks log old rows by the hypertable's replica identity, a subscriber's find rows by it."""
    table = ("CREATE TABLE m (time timestamptz NOT NULL, device int NOT NULL, value float8); {}"
             "SELECT create_hypertable('m', by_range('time', interval '1 day')); {}")
    unique = "CREATE UNIQUE INDEX m_key ON m (time, device);"
    for make in ("ALTER TABLE m REPLICA IDENTITY FULL;", unique + "ALTER TABLE m REPLICA IDENTITY USING INDEX m_key;"):
        pair.pub("DROP TABLE IF EXISTS m;" + table.format("", make))
        pair.sub("DROP TABLE IF EXISTS m;" + table.format("", make))
        pair.pub("CREATE PUBLICATION p FOR TABLE m WITH (publish_via_partition_root = true)")
        pair.subscribe()
        pair.pub(SERIES.format("2024-01-01", "2024-01-03") + "UPDATE m SET value = 8 WHERE device = 1; DELETE FROM m WHERE device = 2;"
                 "UPDATE m SET time = time + interval '1 year' WHERE device = 3")
        pair.caught_up()
        pair.assert_same()
        pair.sub(f"DROP SUBSCRIPTION {pair.name}")
        pair.pub("DROP PUBLICATION p")
    pair.subscribed = False
