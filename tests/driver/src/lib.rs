//! Databases for the tests in `tests/`: each test makes its own on the server that the environment names.
//!
//! `make test-driver` starts that server. A plain `cargo test` has none and says so.

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};

use postgres::{Client, Config, NoTls};

/// What a test returns: any error fails it.
pub type TestResult = Result<(), Box<dyn Error>>;

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A database of the test's own, with the extension; dropped at the end.
pub struct Database {
    name: String,
}

impl Database {
    /// Makes a database and the extension in it.
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let database = Self { name: format!("driver_{}_{number}", std::process::id()) };
        connect("postgres")?.batch_execute(&format!("CREATE DATABASE {}", database.name))?;
        database.connect()?.batch_execute("CREATE EXTENSION timescale_compat")?;
        Ok(database)
    }

    /// A new connection to it.
    pub fn connect(&self) -> Result<Client, Box<dyn Error>> {
        connect(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Ok(mut client) = connect("postgres") {
            // A database that stays behind goes with its server.
            let _ = client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

fn connect(database: &str) -> Result<Client, Box<dyn Error>> {
    let variable = |name| env::var(name).map_err(|_| format!("{name} is not set: run these tests by `make test-driver`"));
    Ok(Config::new()
        .host(&variable("PGHOST")?)
        .port(variable("PGPORT")?.parse()?)
        .user(&variable("PGUSER")?)
        .password(variable("PGPASSWORD")?)
        .dbname(database)
        .connect(NoTls)?)
}
