//! That a driver finds the extension, by simple and by extended protocol.

use tsc_driver_tests::{Database, TestResult};

#[test]
fn a_driver_sees_the_extension() -> TestResult {
    let database = Database::new()?;
    let mut client = database.connect()?;
    let row = client.query_one("SELECT extname::text FROM pg_extension WHERE extname = $1", &[&"timescale_compat"])?;
    assert_eq!(row.get::<_, String>(0), "timescale_compat");
    Ok(())
}

#[test]
fn sessions_get_databases_of_their_own() -> TestResult {
    let (one, two) = (Database::new()?, Database::new()?);
    one.connect()?.batch_execute("CREATE TABLE t ()")?;
    two.connect()?.batch_execute("CREATE TABLE t ()")?;
    Ok(())
}
