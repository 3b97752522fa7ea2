//! Rows as text: CSV for COPY, or INSERT statements of many rows, one statement a line.

use crate::calendar::{timestamp, timestamp_ms};
use crate::cpu::{Host, METRICS};
use crate::hosts::{TAG_COLUMNS, tags};
use crate::sensor::{self, Reading, Sensor, fixed};
use std::io::{self, Write};

/// The shape of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// No header; nothing in the data needs quotes.
    Csv,
    /// `INSERT INTO table VALUES (..), (..);` with that many rows, the last statement with what remains.
    Insert {
        /// Where to insert to, taken as it is.
        table: String,
        /// Rows in a statement.
        rows: usize,
    },
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Number of hosts, or of sensors.
    pub hosts: u32,
    /// Of these only those whose number leaves `part.0` when divided by `part.1`: the share of one of several loaders.
    pub part: (u32, u32),
    /// Time of the first rows, in seconds since 1970.
    pub start: i64,
    /// Seconds between two rows of a host or sensor.
    pub interval: u32,
    /// Rows for each host or sensor.
    pub steps: u64,
    /// CSV or SQL.
    pub format: Format,
}

/// Writes the rows of the cpu table, ordered by time, then host; returns how many.
pub fn write_cpu(plan: &Plan, out: &mut dyn Write) -> io::Result<u64> {
    let mut hosts: Vec<(String, Host)> = (0..plan.hosts)
        .filter(|host| host % plan.part.1 == plan.part.0)
        .map(|host| (fields_of_host(plan, host), Host::new(plan.seed, host)))
        .collect();
    let values: [Vec<u8>; 101] = std::array::from_fn(|value| format!(",{value}").into_bytes());
    let mut writer = RowWriter::new(&plan.format, out);
    for step in 0..plan.steps {
        let time = quoted(plan, &timestamp(plan.start + (step * u64::from(plan.interval)) as i64));
        for (fields, host) in &mut hosts {
            let row = writer.begin_row();
            row.extend_from_slice(time.as_bytes());
            row.extend_from_slice(fields.as_bytes());
            for value in host.step() {
                row.extend_from_slice(&values[usize::from(value)]);
            }
            writer.end_row()?;
        }
    }
    writer.finish()
}

/// Writes the rows of the tags table (id, then the tags); returns how many.
pub fn write_tags(plan: &Plan, out: &mut dyn Write) -> io::Result<u64> {
    let mut writer = RowWriter::new(&plan.format, out);
    for host in 0..plan.hosts {
        let fields = tags(plan.seed, host).map(|tag| quoted(plan, &tag)).join(",");
        let row = writer.begin_row();
        row.extend_from_slice(format!("{},{fields}", host + 1).as_bytes());
        writer.end_row()?;
    }
    writer.finish()
}

/// Writes the rows of the sensor table, nearly ordered by time, as they would arrive; returns how many.
pub fn write_sensor(plan: &Plan, out: &mut dyn Write) -> io::Result<u64> {
    let interval = i64::from(plan.interval) * 1000;
    let mut sensors: Vec<(u32, Sensor)> = (0..plan.hosts)
        .filter(|sensor| sensor % plan.part.1 == plan.part.0)
        .map(|sensor| (sensor, Sensor::new(plan.seed, sensor, interval)))
        .collect();
    let mut writer = RowWriter::new(&plan.format, out);
    for step in 0..plan.steps {
        let due = plan.start * 1000 + step as i64 * interval;
        let read = |(number, sensor): &mut (u32, Sensor)| sensor.read(due).map(|reading| (*number, reading));
        let mut readings: Vec<(u32, Reading)> = sensors.iter_mut().filter_map(read).collect();
        readings.sort_by_key(|(number, reading)| (reading.time, *number));
        for (number, reading) in readings {
            let row = fields_of_reading(plan, number, &reading);
            writer.begin_row().extend_from_slice(row.as_bytes());
            writer.end_row()?;
        }
    }
    writer.finish()
}

/// The statement that makes the sensor table.
pub fn sensor_ddl(table: &str) -> String {
    format!("CREATE TABLE {table} ({});\n", sensor::COLUMNS)
}

/// The statements that make the tables of cpu and tags, without indexes.
pub fn ddl(table: &str) -> String {
    let tags = TAG_COLUMNS.map(|tag| format!("{tag} text")).join(", ");
    let metrics = METRICS.map(|metric| format!("{metric} double precision")).join(", ");
    format!(
        "CREATE TABLE tags (id integer PRIMARY KEY, {tags});\n\
         CREATE TABLE {table} (time timestamptz NOT NULL, tags_id integer, hostname text, {metrics});\n"
    )
}

fn fields_of_host(plan: &Plan, host: u32) -> String {
    format!(",{},{}", host + 1, quoted(plan, &format!("host_{host}")))
}

fn fields_of_reading(plan: &Plan, number: u32, reading: &Reading) -> String {
    let null = if plan.format == Format::Csv { "" } else { "NULL" };
    let or_null = |value: Option<String>| value.unwrap_or_else(|| null.to_owned());
    [
        quoted(plan, &timestamp_ms(reading.time)),
        (number + 1).to_string(),
        fixed(reading.temperature, 2),
        or_null(reading.humidity.map(|value| fixed(value, 1))),
        fixed(reading.voltage, 3),
        reading.counter.to_string(),
        quoted(plan, reading.state),
        reading.status.to_string(),
        or_null(reading.signal.map(|value| value.to_string())),
        reading.tariff.to_string(),
    ]
    .join(",")
}

fn quoted(plan: &Plan, text: &str) -> String {
    match plan.format {
        Format::Csv => text.to_owned(),
        Format::Insert { .. } => format!("'{text}'"),
    }
}

/// Collects rows in a buffer and puts around them what the format needs.
struct RowWriter<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    insert: Option<(String, usize)>,
    in_statement: usize,
    rows: u64,
}

impl<'a> RowWriter<'a> {
    const FLUSH_AT: usize = 1 << 20;

    fn new(format: &Format, out: &'a mut dyn Write) -> Self {
        let insert = match format {
            Format::Csv => None,
            Format::Insert { table, rows } => Some((format!("INSERT INTO {table} VALUES "), *rows)),
        };
        RowWriter { out, buffer: Vec::with_capacity(Self::FLUSH_AT + 4096), insert, in_statement: 0, rows: 0 }
    }

    fn begin_row(&mut self) -> &mut Vec<u8> {
        if let Some((head, _)) = &self.insert {
            let before: &[u8] = if self.in_statement == 0 { head.as_bytes() } else { b"," };
            self.buffer.extend_from_slice(before);
            self.buffer.push(b'(');
        }
        &mut self.buffer
    }

    fn end_row(&mut self) -> io::Result<()> {
        self.rows += 1;
        self.in_statement += 1;
        match &self.insert {
            None => self.buffer.push(b'\n'),
            Some((_, limit)) if self.in_statement >= *limit => {
                self.buffer.extend_from_slice(b");\n");
                self.in_statement = 0;
            }
            Some(_) => self.buffer.push(b')'),
        }
        if self.buffer.len() >= Self::FLUSH_AT {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<u64> {
        if self.insert.is_some() && self.in_statement > 0 {
            self.buffer.extend_from_slice(b";\n");
        }
        self.out.write_all(&self.buffer)?;
        self.out.flush()?;
        Ok(self.rows)
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
