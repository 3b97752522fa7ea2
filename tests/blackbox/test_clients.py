"""Statements as clients send them, through psycopg, in text and in binary, prepared and not."""

import datetime

import psycopg
import pytest

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("prepare", [False, True], ids=["unprepared", "prepared"])
def test_prepared_inserts_and_queries(db, binary, prepare):
    db.execute("CREATE TABLE conditions (time timestamptz NOT NULL, location text NOT NULL, temperature double precision)")
    db.execute("SELECT create_hypertable('conditions', 'time', chunk_time_interval => interval '1 day')")
    with db.cursor(binary=binary) as cursor:
        for number in range(40):
            cursor.execute("INSERT INTO conditions VALUES (%b, %b, %b) RETURNING *" if binary else "INSERT INTO conditions VALUES (%s, %s, %s) RETURNING *",
                           (START + number * DAY / 3, f"l{number % 3}", number / 4), prepare=prepare)
            assert cursor.fetchone() == (START + number * DAY / 3, f"l{number % 3}", number / 4)
        cursor.executemany("INSERT INTO conditions VALUES (%s, %s, %s)", [(START + number * DAY, "many", 1.0) for number in range(30, 90)])
        cursor.execute("SELECT time_bucket('1 week', time) AS week, count(*), max(temperature) FROM conditions WHERE time >= %s GROUP BY 1 ORDER BY 1", (START,), prepare=prepare)
        assert sum(row[1] for row in cursor.fetchall()) == 100


def test_pipelines(db):
    db.execute("CREATE TABLE p (time timestamptz NOT NULL, v int)")
    db.execute("SELECT create_hypertable('p', 'time', chunk_time_interval => interval '1 day')")
    with db.pipeline(), db.cursor() as cursor:
        for number in range(200):
            cursor.execute("INSERT INTO p VALUES (%s, %s)", (START + number * DAY / 2, number))
    assert db.execute("SELECT count(*), count(DISTINCT tableoid) FROM p").fetchone() == (200, 100)


def test_binary_copy(db):
    db.execute("CREATE TABLE c (time timestamptz NOT NULL, v float8, s text)")
    db.execute("SELECT create_hypertable('c', 'time', chunk_time_interval => interval '1 day')")
    with db.cursor() as cursor, cursor.copy("COPY c (s, time, v) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["text", "timestamptz", "float8"])
        for number in range(500):
            copy.write_row((f"s{number}", START + number * DAY / 5, number / 3))
    assert db.execute("SELECT count(*), count(DISTINCT tableoid) FROM c").fetchone() == (500, 100)


def test_zabbix(db):
    db.execute("CREATE TABLE history (itemid bigint NOT NULL, clock integer DEFAULT '0' NOT NULL, value float8 DEFAULT 0.0, ns integer DEFAULT 0 NOT NULL, PRIMARY KEY (itemid, clock, ns))")
    db.execute("INSERT INTO history VALUES (1, 86399), (1, 86400), (2, 172800)")
    db.execute("""DO $$ BEGIN PERFORM create_hypertable('history', 'clock', chunk_time_interval => 86400, migrate_data => true, if_not_exists => true); END $$""")
    db.execute("SELECT create_hypertable('history', 'clock', chunk_time_interval=>86400, migrate_data=>true, if_not_exists=>true)")
    db.execute("create or replace function zbx_ts_unix_now() returns integer language sql stable as $$ select extract(epoch from now())::integer $$")
    db.execute("select set_integer_now_func('history', 'zbx_ts_unix_now', true)")
    db.execute("INSERT INTO history (itemid, clock, ns, value) VALUES (1, 86400, 0, 7), (3, 259200, 0, 7), (3, 259200, 0, 8) ON CONFLICT (itemid,clock,ns) DO NOTHING")
    assert db.execute("SELECT count(*), count(DISTINCT tableoid) FROM history").fetchone() == (4, 4)
    assert db.execute("SELECT interval_length FROM _timescaledb_config.dimension").fetchone() == (86400,)


def test_home_assistant_ltss(db):
    db.execute("CREATE TABLE ltss (time timestamptz DEFAULT current_timestamp NOT NULL, entity_id varchar(255) NOT NULL, state varchar(255), attributes jsonb, PRIMARY KEY (time, entity_id))")
    db.execute("SELECT create_hypertable('ltss', 'time', if_not_exists => TRUE)")
    db.execute("SELECT create_hypertable('ltss', 'time', if_not_exists => TRUE)")
    db.execute("SELECT set_chunk_time_interval('ltss', 2592000000000)")
    db.execute("INSERT INTO ltss (entity_id, state, attributes) VALUES ('a', 'on', '{\"x\": 1}')")
    db.execute("CREATE TABLE plain (time timestamptz)")
    with pytest.raises(psycopg.Error) as failure:
        db.execute("SELECT set_chunk_time_interval('plain', 2592000000000)")
    assert failure.value.sqlstate == "TS001"


def test_telegraf(db):
    db.execute("CREATE TABLE cpu (time timestamptz, tag_id bigint, usage float8)")
    db.execute("SELECT create_hypertable('cpu', 'time', chunk_time_interval => INTERVAL '1h')")
    db.execute("ALTER TABLE cpu ADD COLUMN IF NOT EXISTS usage_idle float8, ADD COLUMN IF NOT EXISTS usage float8")
    with db.cursor() as cursor, cursor.copy("COPY cpu (time, tag_id, usage, usage_idle) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["timestamptz", "int8", "float8", "float8"])
        for number in range(100):
            copy.write_row((START + number * DAY / 24, number, 1.5, None))
    db.execute("ALTER TABLE cpu RENAME TO cpu_old")
    db.execute("INSERT INTO cpu_old VALUES (now(), 1, 2, 3)")
    assert db.execute("SELECT count(*), count(DISTINCT tableoid) FROM cpu_old").fetchone() == (101, 101)


def test_django(db):
    db.execute('CREATE TABLE "metric" ("id" bigserial NOT NULL PRIMARY KEY, "time" timestamptz NOT NULL, "value" double precision)')
    db.execute('ALTER TABLE "metric" DROP CONSTRAINT "metric_pkey"')
    db.execute("SELECT create_hypertable('\"metric\"', 'time', chunk_time_interval => interval '1 day', migrate_data => true)")
    db.execute("SELECT set_chunk_time_interval('\"metric\"', interval '2 days')")
    assert db.execute('INSERT INTO "metric" ("time", "value") VALUES (%s, %s), (%s, %s) RETURNING "id"', (START, 1, START + 9 * DAY, 2)).fetchall() == [(1,), (2,)]


def test_sqlalchemy(db):
    db.execute("CREATE TABLE metrics (name text, value float8, timestamp timestamptz NOT NULL, PRIMARY KEY (name, timestamp))")
    db.execute("SELECT create_hypertable('metrics', 'timestamp', chunk_time_interval => INTERVAL '7 days', if_not_exists => TRUE);")
    db.execute("INSERT INTO metrics VALUES ('a', 1, now()) ON CONFLICT (name, timestamp) DO UPDATE SET value = excluded.value")
    assert db.execute("SELECT first(value, timestamp), last(value, timestamp) FROM metrics").fetchone() == (1, 1)


def test_thingsboard(db):
    db.execute("CREATE TABLE ts_kv (entity_id uuid NOT NULL, key int NOT NULL, ts bigint NOT NULL, bool_v boolean, long_v bigint, CONSTRAINT ts_kv_pkey PRIMARY KEY (entity_id, key, ts))")
    db.execute("SELECT create_hypertable('ts_kv', 'ts', chunk_time_interval => 86400000, if_not_exists => true)")
    upsert = "INSERT INTO ts_kv (entity_id, key, ts, long_v) VALUES (%s, %s, %s, %s) ON CONFLICT (entity_id, key, ts) DO UPDATE SET long_v = EXCLUDED.long_v"
    entity = "7f1c9a86-0000-4000-8000-000000000001"
    for at in (1704067200000, 1704067200000, 1704153600000, 1704240000000):
        db.execute(upsert, (entity, 1, at, at), prepare=True)
    assert db.execute("SELECT count(*) FROM ts_kv").fetchone() == (3,)


def test_prisma(db):
    db.execute('CREATE TABLE "Reading" ("time" timestamptz(3) NOT NULL, "deviceId" text NOT NULL, v float8)')
    db.execute("SELECT create_hypertable('\"Reading\"', by_range('time', INTERVAL '1 day'), if_not_exists => true)")
    db.execute("SELECT add_dimension('\"Reading\"', by_hash('deviceId', 4), if_not_exists => true)")
    db.execute("SELECT add_dimension('\"Reading\"', by_hash('deviceId', 4), if_not_exists => true)")
    db.execute("SELECT set_partitioning_interval('\"Reading\"', INTERVAL '2 days')")
    db.execute('INSERT INTO "Reading" SELECT %s + g * interval \'7 hours\', \'d\' || g, g FROM generate_series(1, 50) AS g', (START,))
    assert db.execute('SELECT count(*) FROM "Reading"').fetchone() == (50,)


def test_tsbs(db):
    db.execute("CREATE TABLE tags (id serial PRIMARY KEY, hostname text)")
    db.execute("CREATE TABLE cpu (time timestamptz, tags_id integer, hostname text, usage_user double precision, additional_tags jsonb DEFAULT NULL)")
    db.execute("CREATE INDEX ON cpu(tags_id, \"time\" DESC)")
    db.execute("CREATE INDEX ON cpu(\"time\" DESC)")
    db.execute("SELECT create_hypertable('cpu'::regclass, 'time'::name, partitioning_column => NULL::name, number_partitions => NULL::int, chunk_time_interval => 43200000000, create_default_indexes=>FALSE)")
    db.execute("INSERT INTO tags (hostname) SELECT 'host_' || g FROM generate_series(0, 4) AS g")
    db.execute("INSERT INTO cpu SELECT %s + g * interval '10 minutes', g %% 5 + 1, 'host_' || g %% 5, g %% 100 FROM generate_series(0, 999) AS g", (START,))
    assert db.execute("SELECT time_bucket('60 seconds', time) AS minute, max(usage_user) FROM cpu WHERE tags_id IN (SELECT id FROM tags WHERE hostname = ANY (ARRAY['host_1'])) AND time >= %s AND time < %s GROUP BY minute ORDER BY minute ASC", (START, START + DAY)).rowcount == 29
    assert len(db.execute("SELECT DISTINCT ON (t.hostname) * FROM tags t INNER JOIN LATERAL (SELECT * FROM cpu c WHERE c.tags_id = t.id ORDER BY time DESC LIMIT 1) AS b ON true ORDER BY t.hostname, b.time DESC").fetchall()) == 5
