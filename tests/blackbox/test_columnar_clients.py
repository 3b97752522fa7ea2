"""Statements around compression as the clients of TimescaleDB send them."""

import datetime

import psycopg
import pytest

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def compressed(db, table):
    return db.execute("SELECT count(*) FILTER (WHERE is_compressed), count(*) FROM timescaledb_information.chunks WHERE hypertable_name = %s", (table,)).fetchone()


def test_zabbix(db):
    db.execute("CREATE TABLE history (itemid bigint NOT NULL, clock integer DEFAULT '0' NOT NULL, value float8 DEFAULT 0.0, ns integer DEFAULT 0 NOT NULL, PRIMARY KEY (itemid, clock, ns))")
    db.execute("SELECT create_hypertable('history', 'clock', chunk_time_interval => 86400, migrate_data => true, if_not_exists => true)")
    db.execute("create or replace function zbx_ts_unix_now() returns integer language sql stable as $$ select extract(epoch from now())::integer $$")
    db.execute("select set_integer_now_func('history', 'zbx_ts_unix_now', true)")
    db.execute("alter table history set (timescaledb.compress,timescaledb.compress_segmentby='itemid',timescaledb.compress_orderby='clock,ns')")
    assert db.execute("select attname from timescaledb_information.compression_settings where hypertable_schema='public' and hypertable_name='history'"
                      " and segmentby_column_index is not null").fetchall() == [("itemid",)]
    assert db.execute("select attname from timescaledb_information.compression_settings where hypertable_name='history' and orderby_column_index is not null"
                      " order by orderby_column_index").fetchall() == [("clock",), ("ns",)]
    db.execute("INSERT INTO history SELECT i, c, i, 0 FROM generate_series(1, 5) AS i, generate_series(0, 5 * 86400 - 1, 600) AS c")
    db.execute("SELECT compress_chunk(c) FROM show_chunks('history', older_than => 3 * 86400) AS c")
    assert compressed(db, "history") == (3, 5)
    assert db.execute("select null from timescaledb_information.chunks where hypertable_name in ('history') and is_compressed='t'").rowcount == 3
    db.execute("INSERT INTO history (itemid, clock, ns, value) VALUES (1, 600, 0, 7), (1, 601, 0, 7), (9, 600, 0, 7), (1, 345600, 0, 7) ON CONFLICT (itemid,clock,ns) DO NOTHING")
    assert db.execute("SELECT count(*), count(*) FILTER (WHERE value = 7) FROM history").fetchone() == (3602, 2)
    assert db.execute("SELECT value FROM history WHERE itemid=1 AND clock>500 AND clock<=600 ORDER BY clock DESC LIMIT 2").fetchall() == [(1.0,)]
    db.execute("alter table history set (timescaledb.enable_columnstore=true,timescaledb.segmentby='itemid',timescaledb.orderby='clock,ns')")
    db.execute("select drop_chunks(relation=>'history',older_than=>86400)")
    assert compressed(db, "history") == (2, 4)
    db.execute("select drop_chunks(relation=>'history',newer_than=>0)")
    assert db.execute("SELECT count(*) FROM history").fetchone() == (0,)


def test_telegraf(db):
    db.execute("CREATE TABLE cpu (time timestamptz, tag_id bigint, usage float8)")
    db.execute("SELECT create_hypertable('cpu', 'time', chunk_time_interval => INTERVAL '1h')")
    db.execute("ALTER TABLE cpu SET (timescaledb.compress, timescaledb.compress_segmentby='tag_id')")
    for start in (0, 50):
        with db.cursor() as cursor, cursor.copy("COPY cpu (time, tag_id, usage) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["timestamptz", "int8", "float8"])
            for number in range(200):
                copy.write_row((START + (start + number) * DAY / 96, number % 4, number / 10))
        db.execute("SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('cpu') AS c")
    db.execute("ALTER TABLE cpu ADD COLUMN IF NOT EXISTS usage_idle float8, ADD COLUMN IF NOT EXISTS usage float8")
    with db.cursor() as cursor, cursor.copy("COPY cpu (time, tag_id, usage, usage_idle) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["timestamptz", "int8", "float8", "float8"])
        for number in range(100):
            copy.write_row((START + number * DAY / 24, number, 1.5, 2.5))
    assert db.execute("SELECT count(*), count(usage_idle), count(DISTINCT tag_id) FROM cpu").fetchone() == (500, 100, 100)
    db.execute("SELECT compress_chunk(c, recompress => true) FROM show_chunks('cpu') AS c")
    assert db.execute("SELECT count(*), count(usage_idle), count(DISTINCT tag_id) FROM cpu").fetchone() == (500, 100, 100)
    db.execute("ALTER TABLE cpu RENAME TO cpu_old")
    assert db.execute("SELECT sum(usage_idle) FROM cpu_old WHERE tag_id = 3").fetchone() == (2.5,)


def test_ruby_gem(db):
    db.execute("CREATE TABLE events (identifier text NOT NULL, payload jsonb, created_at timestamptz NOT NULL)")
    db.execute("SELECT create_hypertable('events', 'created_at', chunk_time_interval => INTERVAL '1 day')")
    db.execute("ALTER TABLE events SET (timescaledb.compress, timescaledb.compress_orderby = 'created_at', timescaledb.compress_segmentby = 'identifier')")
    db.execute("INSERT INTO events SELECT 'sign_' || g %% 3, jsonb_build_object('n', g), %s + g * interval '1 hour' FROM generate_series(0, 99) AS g", (START,))
    chunks = db.execute("SELECT * FROM timescaledb_information.chunks WHERE hypertable_name = 'events' AND NOT is_compressed ORDER BY range_start")
    names = [column.name for column in chunks.description]
    for row in chunks.fetchall():
        row = dict(zip(names, row, strict=True))
        db.execute(f"SELECT compress_chunk('{row['chunk_schema']}.{row['chunk_name']}')")
    stats = db.execute("SELECT * FROM hypertable_compression_stats('events')")
    row = dict(zip([column.name for column in stats.description], stats.fetchone(), strict=True))
    assert (row["total_chunks"], row["number_compressed_chunks"], row["node_name"]) == (5, 5, None)
    assert row["before_compression_total_bytes"] > 0 and row["after_compression_total_bytes"] > 0
    per_chunk = db.execute("SELECT chunk_name, compression_status, before_compression_total_bytes > 0 FROM chunk_compression_stats('events') ORDER BY 1").fetchall()
    assert [row[1:] for row in per_chunk] == [("Compressed", True)] * 5
    assert db.execute("SELECT approximate_row_count('events')").fetchone()[0] >= 0
    assert db.execute("SELECT payload->>'n' FROM events WHERE identifier = 'sign_1' ORDER BY created_at DESC LIMIT 1").fetchone() == ("97",)
    db.execute(f"SELECT decompress_chunk('_timescaledb_internal.{per_chunk[0][0]}')")
    assert compressed(db, "events") == (4, 5)
    with pytest.raises(psycopg.Error):
        db.execute(f"SELECT decompress_chunk('_timescaledb_internal.{per_chunk[0][0]}', if_compressed => false)")


def test_prisma(db):
    db.execute('CREATE TABLE "Reading" ("time" timestamptz(3) NOT NULL, "deviceId" text NOT NULL, v float8, UNIQUE ("deviceId", "time"))')
    db.execute("SELECT create_hypertable('\"Reading\"', by_range('time', INTERVAL '1 day'), if_not_exists => true)")
    db.execute("""ALTER TABLE "Reading" SET (timescaledb.enable_columnstore = true, timescaledb.segmentby = '"deviceId"', timescaledb.orderby = '"time" DESC')""")
    db.execute('INSERT INTO "Reading" SELECT %s + g * interval \'7 hours\', \'d\' || g %% 3, g FROM generate_series(1, 50) AS g', (START,))
    for (chunk,) in db.execute("SELECT show_chunks(relation => '\"Reading\"')::text").fetchall():
        db.execute(f"CALL convert_to_columnstore('{chunk}')")
        db.execute(f"CALL convert_to_columnstore('{chunk}', if_not_columnstore => true)")
    assert db.execute("SELECT total_chunks = number_compressed_chunks FROM hypertable_columnstore_stats('\"Reading\"')").fetchone() == (True,)
    upsert = 'INSERT INTO "Reading" ("time", "deviceId", v) VALUES (%s, %s, %s) ON CONFLICT ("deviceId", "time") DO UPDATE SET v = EXCLUDED.v RETURNING "time", "deviceId", v'
    for number in (1, 2, 3, 3):
        at = START + number * datetime.timedelta(hours=7)
        assert db.execute(upsert, (at, f"d{number % 3}", -number), prepare=True).fetchone() == (at, f"d{number % 3}", -number)
    assert db.execute('SELECT count(*), sum(v) FILTER (WHERE v < 0) FROM "Reading"').fetchone() == (50, -6)
    assert db.execute('SELECT segmentby, orderby FROM timescaledb_information.hypertable_columnstore_settings').fetchall() == [('"deviceId"', '"time" DESC')]
    for (chunk,) in db.execute("SELECT show_chunks('\"Reading\"')::text").fetchall():
        db.execute(f"CALL convert_to_rowstore('{chunk}')")
    assert db.execute('SELECT count(*), sum(v) FILTER (WHERE v < 0) FROM "Reading"').fetchone() == (50, -6)


def test_thingsboard(db):
    db.execute("CREATE TABLE ts_kv (entity_id uuid NOT NULL, key int NOT NULL, ts bigint NOT NULL, bool_v boolean, str_v varchar(10000000), long_v bigint, dbl_v float8, json_v json,"
               " CONSTRAINT ts_kv_pkey PRIMARY KEY (entity_id, key, ts))")
    db.execute("SELECT create_hypertable('ts_kv', 'ts', chunk_time_interval => 86400000, if_not_exists => true)")
    db.execute("ALTER TABLE ts_kv SET (timescaledb.compress, timescaledb.compress_segmentby = 'entity_id, key')")
    upsert = ("INSERT INTO ts_kv (entity_id, key, ts, long_v, json_v) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (entity_id, key, ts)"
              " DO UPDATE SET bool_v = NULL, str_v = NULL, long_v = EXCLUDED.long_v, dbl_v = NULL, json_v = EXCLUDED.json_v")
    entity = "7f1c9a86-0000-4000-8000-00000000000{}"
    for round in range(3):
        for number in range(60):
            db.execute(upsert, (entity.format(number % 4), 1, 1704067200000 + number * 3600000, round * 100 + number, '{"a":  1}'), prepare=True)
        db.execute("SELECT compress_chunk(c, recompress => true) FROM show_chunks('ts_kv') AS c")
    assert db.execute("SELECT count(*), min(long_v), max(json_v::text) FROM ts_kv").fetchone() == (60, 200, '{"a":  1}')
    assert db.execute("SELECT ts, long_v FROM ts_kv WHERE entity_id = %s AND key = 1 AND ts >= %s AND ts < %s ORDER BY ts DESC LIMIT 1",
                      (entity.format(2), 1704067200000, 1704067200000 + 86400000 * 9)).fetchone() == (1704067200000 + 58 * 3600000, 258)


def test_dbt(db):
    db.execute("CREATE TABLE model AS SELECT %s + g * interval '1 hour' AS time, g AS v FROM generate_series(0, 99) AS g", (START,))
    db.execute("SELECT create_hypertable('model', 'time', migrate_data => true)")
    db.execute("ALTER TABLE model SET (timescaledb.compress = true, timescaledb.compress_orderby = 'time desc')")
    db.execute("SELECT compress_chunk(c) FROM show_chunks('model') AS c")
    db.execute("ALTER TABLE model RENAME TO model__dbt_backup")
    assert db.execute("SELECT sum(v) FROM model__dbt_backup").fetchone() == (4950,)
    with pytest.raises(psycopg.Error):
        db.execute("ALTER TABLE model__dbt_backup SET (timescaledb.compress = false)")
    db.execute("SELECT decompress_chunk(c) FROM show_chunks('model__dbt_backup') AS c")
    db.execute("ALTER TABLE model__dbt_backup SET (timescaledb.compress = false)")
    assert db.execute("SELECT sum(v) FROM model__dbt_backup").fetchone() == (4950,)


def test_settings_of_clients(db):
    """The most-set of TimescaleDB's settings, whatever they mean here."""
    db.execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
    db.execute("SET timescaledb.enable_columnarscan = on")
    db.execute("CREATE TABLE m (time timestamptz NOT NULL, v int) WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.orderby = 'time DESC')")
    db.execute("INSERT INTO m SELECT %s + g * interval '1 hour', g FROM generate_series(0, 2999) AS g", (START,))
    db.execute("SELECT compress_chunk(c) FROM show_chunks('m') AS c")
    assert db.execute("UPDATE m SET v = v + 1 WHERE v % 2 = 0").rowcount == 1500
    assert db.execute("SELECT sum(v) FROM m").fetchone() == (2999 * 1500 + 1500,)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_server_side_cursors_and_binary_results(db, binary):
    db.execute("CREATE TABLE b (time timestamptz NOT NULL, i int2, n numeric, u uuid, a int[], j jsonb)")
    db.execute("SELECT create_hypertable('b', 'time', chunk_time_interval => interval '1 day')")
    db.execute("ALTER TABLE b SET (timescaledb.compress)")
    db.execute("INSERT INTO b SELECT %s + g * interval '1 minute', g %% 100, g / 7.0, md5(g::text)::uuid, ARRAY[g, NULL], jsonb_build_array(g) FROM generate_series(0, 4999) AS g", (START,))
    wanted = db.execute("SELECT * FROM b ORDER BY time").fetchall()
    db.execute("SELECT compress_chunk(c) FROM show_chunks('b') AS c")
    with db.transaction(), db.cursor("c", binary=binary) as cursor:
        cursor.itersize = 700
        assert list(cursor.execute("SELECT * FROM b ORDER BY time", binary=binary)) == wanted
    with db.cursor() as cursor, cursor.copy("COPY (SELECT * FROM b ORDER BY time) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["timestamptz", "int2", "numeric", "uuid", "int4[]", "jsonb"])
        assert list(copy.rows()) == wanted
