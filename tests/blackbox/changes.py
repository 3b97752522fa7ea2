"""A hypertable and a plain table that the same transactions change, for tests that interrupt them.

Each session changes the rows of its own device, so that both tables see the same changes; whatever happens to a session,
the two must hold the same rows afterwards.
"""

TABLES = """
CREATE TABLE m (t int NOT NULL, dev int NOT NULL, id int NOT NULL, v float8, s text, UNIQUE (dev, id, t));
SELECT create_hypertable('m', 't', chunk_time_interval => 100);
ALTER TABLE m SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev', timescaledb.compress_orderby = 't DESC');
CREATE TABLE twin (LIKE m INCLUDING INDEXES);
CREATE TABLE done (session int, no int, PRIMARY KEY (session, no));
"""
ROWS = "SELECT g % 400, {device}, g, g / 8.0, nullif('s' || g % 7, 's3') FROM generate_series({first}, {last}) AS g"

DIFFERENT = """SELECT (SELECT count(*) FROM (SELECT * FROM m EXCEPT ALL SELECT * FROM twin) AS a) || ' '
    || (SELECT count(*) FROM (SELECT * FROM twin EXCEPT ALL SELECT * FROM m) AS b) || ' ' || (SELECT count(*) > 0 FROM twin)"""


def fill(server, database="postgres", devices=4, rows=800):
    server.psql(TABLES, database)
    for device in range(devices):
        for table in ("m", "twin"):
            server.psql(f"INSERT INTO {table} {ROWS.format(device=device, first=1, last=rows)}", database)


def change(chance, device, number):
    """A statement on {table} that changes rows of the device; an id has one row at most, so none of them fails."""
    low = chance.randrange(400)
    return chance.choice([
        f"INSERT INTO {{table}} {ROWS.format(device=device, first=10**6 + number * 20, last=10**6 + number * 20 + chance.randrange(1, 20))} ON CONFLICT DO NOTHING",
        f"INSERT INTO {{table}} SELECT t, dev, id, -1, 'again' FROM twin WHERE dev = {device} AND t BETWEEN {low} AND {low + 40} ON CONFLICT (dev, id, t) DO UPDATE SET v = {number}, s = excluded.s",
        f"UPDATE {{table}} SET v = v + 1 WHERE dev = {device} AND t BETWEEN {low} AND {low + chance.choice([1, 30, 300])}",
        f"UPDATE {{table}} SET s = 'u{number}' WHERE dev = {device} AND id % 17 = {number % 17}",
        f"UPDATE {{table}} SET t = (t + 150) % 400 WHERE dev = {device} AND id % 23 = {number % 23}",
        f"DELETE FROM {{table}} WHERE dev = {device} AND id % 41 = {number % 41}",
        f"DELETE FROM {{table}} WHERE dev = {device} AND t BETWEEN {low} AND {low + 5}",
        f"MERGE INTO {{table}} AS x USING (SELECT g, g % 400 AS t FROM generate_series({number % 900}, {number % 900 + 20}) AS g) AS q ON x.dev = {device} AND x.id = q.g"
        f" WHEN MATCHED THEN UPDATE SET v = 0 WHEN NOT MATCHED THEN INSERT VALUES (q.t, {device}, q.g, 1, NULL)",
    ])


FORMS = ["SELECT compress_chunk('{}')", "SELECT compress_chunk('{}', recompress => true)", "SELECT decompress_chunk('{}', true)", "SELECT compress_chunk('{}')"]


def change_form(connection, chance):
    chunks = connection.execute("SELECT c::text FROM show_chunks('m') AS c ORDER BY 1").fetchall()
    connection.execute(chance.choice(FORMS).format(chance.choice(chunks)[0]))


def assert_alike(server, database="postgres"):
    assert server.psql(DIFFERENT, database) == "0 0 true"
