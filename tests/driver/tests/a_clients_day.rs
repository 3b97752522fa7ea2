//! What a program that collects measurements does all day, by the extended protocol and in binary: prepared statements that
//! live long, COPY, portals, upserts, transactions that fail half way.

use std::time::{Duration, SystemTime};

use postgres::Client;
use postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutIter};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{ToSql, Type};
use tsc_driver_tests::{Database, TestResult};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Midnight, UTC, of the first of March 2024.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_251_200)
}

/// A database with the hypertable `readings`, cut into chunks of a day.
fn readings() -> Result<(Database, Client), Box<dyn std::error::Error>> {
    let database = Database::new()?;
    let mut client = database.connect()?;
    client.batch_execute(
        "CREATE TABLE readings (time timestamptz NOT NULL, sensor int NOT NULL, value float8, PRIMARY KEY (sensor, time));
         SELECT create_hypertable('readings', 'time', chunk_time_interval => INTERVAL '1 day');",
    )?;
    Ok((database, client))
}

fn chunks(client: &mut Client) -> Result<i64, postgres::Error> {
    Ok(client.query_one("SELECT count(*) FROM show_chunks('readings')", &[])?.get(0))
}

#[test]
fn binary_copy_goes_in_and_comes_out() -> TestResult {
    let (_database, mut client) = readings()?;
    let types = [Type::TIMESTAMPTZ, Type::INT4, Type::FLOAT8];
    let mut writer = BinaryCopyInWriter::new(client.copy_in("COPY readings FROM STDIN (FORMAT binary)")?, &types);
    for hour in 0..240_u32 {
        for sensor in 0..10_i32 {
            let row: [&(dyn ToSql + Sync); 3] = [&(start() + HOUR * hour), &sensor, &(f64::from(hour) / 7.0)];
            writer.write(&row)?;
        }
    }
    assert_eq!(writer.finish()?, 2400);
    assert_eq!(chunks(&mut client)?, 10);

    let out = client.copy_out("COPY (SELECT time, sensor, value FROM readings ORDER BY time, sensor) TO STDOUT (FORMAT binary)")?;
    let rows: Vec<(SystemTime, i32, f64)> =
        BinaryCopyOutIter::new(out, &types).map(|row| Ok((row.get(0), row.get(1), row.get(2)))).collect()?;
    assert_eq!(rows.len(), 2400);
    assert_eq!(rows[2399], (start() + HOUR * 239, 9, 239.0 / 7.0));
    Ok(())
}

#[test]
fn a_prepared_insert_meets_chunks_that_do_not_exist_yet() -> TestResult {
    let (_database, mut client) = readings()?;
    let insert = client.prepare("INSERT INTO readings VALUES ($1, $2, $3)")?;
    let count = client.prepare("SELECT count(*) FROM readings WHERE time >= $1 AND time < $2")?;
    for day in 0..30_u32 {
        // Often enough for a generic plan, and each time with a chunk more than when it was planned.
        assert_eq!(client.execute(&insert, &[&(start() + DAY * day), &1, &f64::from(day)])?, 1);
        let found: i64 = client.query_one(&count, &[&start(), &(start() + DAY * (day + 1))])?.get(0);
        assert_eq!(found, i64::from(day) + 1);
    }
    assert_eq!(chunks(&mut client)?, 30);
    Ok(())
}

#[test]
fn upserts_updates_and_deletes_return_what_they_did() -> TestResult {
    let (_database, mut client) = readings()?;
    let upsert = client.prepare(
        "INSERT INTO readings VALUES ($1, $2, $3) ON CONFLICT (sensor, time) DO UPDATE SET value = excluded.value RETURNING value",
    )?;
    for value in [1.0, 2.0, 3.0] {
        assert_eq!(client.query_one(&upsert, &[&start(), &7, &value])?.get::<_, f64>(0), value);
    }
    let moved = client.query_one("UPDATE readings SET time = time + INTERVAL '3 days' WHERE sensor = $1 RETURNING time", &[&7])?;
    assert_eq!(moved.get::<_, SystemTime>(0), start() + DAY * 3);
    assert_eq!(client.execute("DELETE FROM readings WHERE time = $1", &[&(start() + DAY * 3)])?, 1);
    Ok(())
}

#[test]
fn a_rolled_back_savepoint_takes_its_chunks_with_it() -> TestResult {
    let (_database, mut client) = readings()?;
    let mut transaction = client.transaction()?;
    transaction.execute("INSERT INTO readings VALUES ($1, 1, 1)", &[&start()])?;
    let mut savepoint = transaction.savepoint("retry")?;
    savepoint.execute("INSERT INTO readings VALUES ($1, 1, 2)", &[&(start() + DAY * 5)])?;
    let failure = savepoint.execute("INSERT INTO readings VALUES ($1, 1, 3)", &[&start()]);
    assert_eq!(failure.err().and_then(|error| error.code().cloned()), Some(postgres::error::SqlState::UNIQUE_VIOLATION));
    savepoint.rollback()?;
    transaction.execute("INSERT INTO readings VALUES ($1, 1, 4)", &[&(start() + DAY * 6)])?;
    transaction.commit()?;
    let values: Vec<f64> = client.query("SELECT value FROM readings ORDER BY time", &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(values, [1.0, 4.0]);
    assert_eq!(chunks(&mut client)?, 2);
    Ok(())
}

#[test]
fn a_portal_is_read_piece_by_piece_while_others_write() -> TestResult {
    let (database, mut client) = readings()?;
    client
        .execute("INSERT INTO readings SELECT $1::timestamptz + n * INTERVAL '1 hour', 1, n FROM generate_series(0, 99) n", &[&start()])?;
    let mut transaction = client.transaction()?;
    let portal = transaction.bind("SELECT value FROM readings ORDER BY time", &[])?;
    let mut values: Vec<f64> = Vec::new();
    loop {
        let piece = transaction.query_portal(&portal, 30)?;
        if piece.is_empty() {
            break;
        }
        values.extend(piece.iter().map(|row| row.get::<_, f64>(0)));
        let later = start() + DAY * 50 + HOUR * u32::try_from(values.len())?;
        database.connect()?.execute("INSERT INTO readings VALUES ($1, 2, 0)", &[&later])?;
    }
    assert_eq!(values, (0..100).map(f64::from).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn functions_take_parameters() -> TestResult {
    let (_database, mut client) = readings()?;
    client.execute(
        "INSERT INTO readings SELECT $1::timestamptz + n * INTERVAL '1 hour', n % 2, n FROM generate_series(0, 95) n",
        &[&start()],
    )?;
    let days = client.query(
        "SELECT time_bucket($1::text::interval, time) AS day, first(value, time), last(value, time) FROM readings
         WHERE sensor = $2 GROUP BY day ORDER BY day",
        &[&"1 day", &0],
    )?;
    let found: Vec<(SystemTime, f64, f64)> = days.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(found[1], (start() + DAY, 24.0, 46.0));
    assert_eq!(found.len(), 4);

    let dropped = client.query("SELECT drop_chunks('readings', older_than => $1::timestamptz)", &[&(start() + DAY * 2)])?;
    assert_eq!(dropped.len(), 2);
    assert_eq!(chunks(&mut client)?, 2);
    Ok(())
}
