//! TSBS devops cpu-only data, or sensors' readings, on standard output. `--help` says how.

mod calendar;
mod cpu;
mod hosts;
mod random;
mod sensor;
mod write;

use std::io::{self, Write};
use std::process::ExitCode;
use write::{Format, Plan};

const HELP: &str = "\
usage: tsbs-gen cpu|tags|sensor|ddl|sensor-ddl [option]...
  --hosts N       number of hosts (400) or sensors (1000)
  --hours N       length of the data (72; 36 for sensors)
  --interval N    seconds between two rows of a host (10) or a sensor (30)
  --start N       time of the first rows in seconds since 1970 (1451606400, which is 2016-01-01)
  --seed N        (123)
  --part I/N      only every Nth of them, beginning with the Ith, counted from 0 (0/1)
  --insert ROWS   INSERT statements of that many rows, one a line, in place of CSV
  --table NAME    table to insert to or to create (cpu, sensor)
";

enum What {
    Cpu,
    Tags,
    Sensor,
    Ddl,
    SensorDdl,
}

struct Arguments {
    what: What,
    plan: Plan,
    table: String,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprint!("tsbs-gen: {message}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let mut out = io::stdout().lock();
    let written = match arguments.what {
        What::Cpu => write::write_cpu(&arguments.plan, &mut out).map(drop),
        What::Tags => write::write_tags(&arguments.plan, &mut out).map(drop),
        What::Sensor => write::write_sensor(&arguments.plan, &mut out).map(drop),
        What::SensorDdl => out.write_all(write::sensor_ddl(&arguments.table).as_bytes()),
        What::Ddl => out.write_all(write::ddl(&arguments.table).as_bytes()),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tsbs-gen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let what = match words.next().as_deref() {
        Some("cpu") => What::Cpu,
        Some("tags") => What::Tags,
        Some("sensor") => What::Sensor,
        Some("ddl") => What::Ddl,
        Some("sensor-ddl") => What::SensorDdl,
        _ => return Err("what to write?".into()),
    };
    let (hosts, interval, mut hours, table) = match what {
        What::Sensor | What::SensorDdl => (1000, 30, 36_u32, "sensor"),
        What::Cpu | What::Tags | What::Ddl => (400, 10, 72, "cpu"),
    };
    let mut plan = Plan { seed: 123, hosts, part: (0, 1), start: 1_451_606_400, interval, steps: 0, format: Format::Csv };
    let (mut rows, mut table) = (None, table.to_owned());
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--hosts" => plan.hosts = number(&value)?,
            "--hours" => hours = number(&value)?,
            "--interval" => plan.interval = number(&value)?,
            "--start" => plan.start = number(&value)?,
            "--seed" => plan.seed = number(&value)?,
            "--part" => plan.part = part(&value)?,
            "--insert" => rows = Some(number(&value)?),
            "--table" => table = value,
            _ => return Err(format!("unknown option {option}")),
        }
    }
    if plan.interval == 0 || rows == Some(0) {
        return Err("0 makes no sense there".into());
    }
    plan.steps = u64::from(hours) * 3600 / u64::from(plan.interval);
    if let Some(rows) = rows {
        plan.format = Format::Insert { table: table.clone(), rows };
    }
    Ok(Arguments { what, plan, table })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number that fits"))
}

fn part(text: &str) -> Result<(u32, u32), String> {
    let (this, of) = text.split_once('/').ok_or("--part wants I/N")?;
    match (number(this)?, number(of)?) {
        (this, of) if this < of => Ok((this, of)),
        _ => Err(format!("there is no part {text}")),
    }
}
