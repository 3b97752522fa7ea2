//! A client's day through the extended protocol: prepared inserts, binary COPY, portals, cancelled statements.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use postgres::binary_copy::BinaryCopyInWriter;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::Type;
use postgres::{Client, NoTls};
use tsc_driver_tests::{Database, TestResult};

const HOUR: Duration = Duration::from_secs(3600);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_067_200)
}

fn hypertable(client: &mut Client) -> Result<(), postgres::Error> {
    client.batch_execute(
        "CREATE TABLE metrics (time timestamptz NOT NULL, device int NOT NULL, value float8, note text, PRIMARY KEY (device, time));
         SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day')",
    )
}

fn count(client: &mut Client, query: &str) -> Result<i64, postgres::Error> {
    Ok(client.query_one(query, &[])?.get(0))
}

#[test]
fn prepared_inserts_create_chunks_as_they_go() -> TestResult {
    let database = Database::new()?;
    let mut client = database.connect()?;
    hypertable(&mut client)?;
    let insert =
        client.prepare("INSERT INTO metrics (time, device, value) VALUES ($1, $2, $3) RETURNING time, tableoid::regclass::text")?;
    for hour in 0..100u32 {
        let time = start() + HOUR * hour * 7;
        let row = client.query_one(&insert, &[&time, &1i32, &f64::from(hour)])?;
        assert_eq!(row.get::<_, SystemTime>(0), time);
        assert!(row.get::<_, String>(1).starts_with("_timescaledb_internal._hyper_"));
    }
    let upsert = client.prepare(
        "INSERT INTO metrics (time, device, value) VALUES ($1, $2, $3) ON CONFLICT (device, time) DO UPDATE SET value = excluded.value",
    )?;
    for hour in 90..110u32 {
        assert_eq!(client.execute(&upsert, &[&(start() + HOUR * hour * 7), &1i32, &-1.0f64])?, 1);
    }
    assert_eq!(count(&mut client, "SELECT count(*) FROM metrics")?, 110);
    assert_eq!(count(&mut client, "SELECT count(*) FROM metrics WHERE value = -1")?, 20);
    Ok(())
}

#[test]
fn statements_prepared_before_the_conversion_go_on() -> TestResult {
    let database = Database::new()?;
    let (mut client, mut other) = (database.connect()?, database.connect()?);
    client.batch_execute("CREATE TABLE metrics (time timestamptz NOT NULL, device int NOT NULL)")?;
    let insert = client.prepare("INSERT INTO metrics VALUES ($1, $2)")?;
    let select = client.prepare("SELECT count(*) FROM metrics WHERE time >= $1")?;
    for device in 0..10i32 {
        client.execute(&insert, &[&start(), &device])?;
        client.query_one(&select, &[&start()])?;
    }
    other.batch_execute("SELECT create_hypertable('metrics', 'time', migrate_data => true)")?;
    for device in 10..20i32 {
        client.execute(&insert, &[&(start() + HOUR * 500 * device as u32), &device])?;
    }
    assert_eq!(client.query_one(&select, &[&start()])?.get::<_, i64>(0), 20);
    Ok(())
}

#[test]
fn binary_copy_and_portals_with_fetch_sizes() -> TestResult {
    let database = Database::new()?;
    let mut client = database.connect()?;
    hypertable(&mut client)?;
    let mut transaction = client.transaction()?;
    let sink = transaction.copy_in("COPY metrics (device, time, value, note) FROM STDIN (FORMAT binary)")?;
    let mut writer = BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TIMESTAMPTZ, Type::FLOAT8, Type::TEXT]);
    for number in 0..5000u32 {
        let note = (number % 3 == 0).then(|| format!("note {number}"));
        writer.write(&[&(number as i32 % 7), &(start() + HOUR * number), &f64::from(number), &note])?;
    }
    assert_eq!(writer.finish()?, 5000);
    let portal = transaction.bind("SELECT time, device FROM metrics WHERE value >= $1 ORDER BY time", &[&1000.0f64])?;
    let mut fetched = 0;
    let insert = transaction.prepare("INSERT INTO metrics VALUES ($1, $2, 0)")?;
    loop {
        let rows = transaction.query_portal(&portal, 333)?;
        if rows.is_empty() {
            break;
        }
        assert!(rows.len() <= 333);
        fetched += rows.len();
        // A new chunk each time, while the portal is open: it goes on reading what its snapshot saw.
        transaction.execute(&insert, &[&(start() + HOUR * 24 * (10_000 + fetched as u32)), &1i32])?;
    }
    assert_eq!(fetched, 4000);
    transaction.commit()?;
    let rows: Vec<i64> =
        client.query_raw("SELECT count(*) FROM metrics GROUP BY device", Vec::<i32>::new())?.map(|row| Ok(row.get(0))).collect()?;
    assert_eq!(rows.iter().sum::<i64>(), 5013);
    Ok(())
}

#[test]
fn a_broken_copy_leaves_nothing() -> TestResult {
    let database = Database::new()?;
    let mut client = database.connect()?;
    hypertable(&mut client)?;
    {
        let sink = client.copy_in("COPY metrics (device, time) FROM STDIN (FORMAT binary)")?;
        let mut writer = BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TIMESTAMPTZ]);
        for number in 0..2000u32 {
            writer.write(&[&1i32, &(start() + HOUR * number)])?;
        }
        // Dropped without finish: the server is told that the copy failed.
    }
    assert_eq!(count(&mut client, "SELECT count(*) FROM metrics")?, 0);
    assert_eq!(count(&mut client, "SELECT count(*) FROM _timescaledb_config.chunk")?, 0);
    client.batch_execute("INSERT INTO metrics VALUES (now(), 1)")?;
    Ok(())
}

#[test]
fn a_cancelled_insert_leaves_no_chunks_behind() -> TestResult {
    let database = Database::new()?;
    let mut client = database.connect()?;
    hypertable(&mut client)?;
    for delay in [1, 5, 20, 80, 200] {
        let token = client.cancel_token();
        let (ended, end) = mpsc::channel::<()>();
        // A request that comes between two messages of the protocol is lost, so it is repeated.
        let canceller = thread::spawn(move || {
            let mut pause = delay;
            while end.recv_timeout(Duration::from_millis(pause)) == Err(RecvTimeoutError::Timeout) {
                token.cancel_query(NoTls)?;
                pause = 100;
            }
            Ok::<_, postgres::Error>(())
        });
        let outcome = client.execute(
            "INSERT INTO metrics SELECT timestamptz '2024-01-01+00' + g * interval '11 hours', g, 1 FROM generate_series(1, 100000) AS g",
            &[],
        );
        drop(ended);
        canceller.join().map_err(|_| "the cancelling thread panicked")??;
        let error = outcome.err().ok_or("the statement should have been cancelled")?;
        assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some("57014"));
        assert_eq!(count(&mut client, "SELECT count(*) FROM _timescaledb_config.chunk")?, 0);
        assert_eq!(count(&mut client, "SELECT count(*) FROM pg_class WHERE relname ~ '^_hyper_'")?, 0);
    }
    client.batch_execute("INSERT INTO metrics VALUES (now(), 1)")?;
    assert_eq!(count(&mut client, "SELECT count(*) FROM _timescaledb_config.chunk")?, 1);
    Ok(())
}

#[test]
fn many_sessions_at_the_same_boundary_make_one_chunk() -> TestResult {
    let database = Database::new()?;
    let mut client = database.connect()?;
    hypertable(&mut client)?;
    let sessions = (0..6i32)
        .map(|device| {
            let mut session = database.connect().map_err(|error| error.to_string())?;
            Ok(thread::spawn(move || -> Result<(), postgres::Error> {
                let insert = session.prepare("INSERT INTO metrics (time, device) VALUES ($1, $2)")?;
                for day in 0..60u32 {
                    session.execute(&insert, &[&(start() + HOUR * 24 * day), &device])?;
                }
                Ok(())
            }))
        })
        .collect::<Result<Vec<_>, String>>()?;
    for session in sessions {
        session.join().map_err(|_| "a session panicked")??;
    }
    assert_eq!(count(&mut client, "SELECT count(*) FROM metrics")?, 360);
    assert_eq!(count(&mut client, "SELECT count(*) FROM _timescaledb_config.chunk")?, 60);
    Ok(())
}
