#![allow(clippy::unwrap_used)]

use super::{Format, Plan, ddl, sensor_ddl, write_cpu, write_sensor, write_tags};
use std::collections::BTreeSet;

const START: i64 = 1_451_606_400;

fn plan() -> Plan {
    Plan { seed: 123, hosts: 10, part: (0, 1), start: START, interval: 10, steps: 360, format: Format::Csv }
}

fn cpu(plan: &Plan) -> (String, u64) {
    let mut out = Vec::new();
    let rows = write_cpu(plan, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), rows)
}

/// FNV-1a: enough to notice that a byte has changed.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn rows_are_counted_ordered_and_in_bounds() {
    let (text, rows) = cpu(&plan());
    assert_eq!(rows, 3600);
    assert_eq!(text.lines().count(), 3600);
    let mut before = String::new();
    for (number, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), 13);
        assert!(before.as_str() <= fields[0]);
        fields[0].clone_into(&mut before);
        assert_eq!(fields[1], (number % 10 + 1).to_string());
        assert_eq!(fields[2], format!("host_{}", number % 10));
        assert!(fields[3..].iter().all(|value| value.parse::<u8>().unwrap() <= 100));
    }
    assert!(text.starts_with("2016-01-01 00:00:00+00,1,host_0,"));
    assert!(before == "2016-01-01 00:59:50+00");
}

#[test]
fn the_seed_decides_every_byte() {
    assert_eq!(cpu(&plan()), cpu(&plan()));
    assert_ne!(cpu(&plan()).0, cpu(&Plan { seed: 124, ..plan() }).0);
    assert_eq!(hash(&cpu(&plan()).0), EXPECTED_HASH, "the data has changed: numbers measured before cannot be compared");
}

const EXPECTED_HASH: u64 = 7_415_617_015_991_330_587;

#[test]
fn parts_make_up_the_whole() {
    let whole: BTreeSet<String> = cpu(&plan()).0.lines().map(str::to_owned).collect();
    let parts: Vec<String> =
        (0..3).flat_map(|i| cpu(&Plan { part: (i, 3), ..plan() }).0.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(parts.len(), 3600);
    assert_eq!(parts.into_iter().collect::<BTreeSet<_>>(), whole);
}

#[test]
fn more_hosts_leave_the_others_as_they_are() {
    let ten: BTreeSet<String> = cpu(&plan()).0.lines().map(str::to_owned).collect();
    let twenty: BTreeSet<String> = cpu(&Plan { hosts: 20, ..plan() }).0.lines().map(str::to_owned).collect();
    assert!(ten.is_subset(&twenty));
}

#[test]
fn inserts_hold_the_same_rows() {
    let format = Format::Insert { table: "cpu".into(), rows: 1000 };
    let (text, rows) = cpu(&Plan { format, ..plan() });
    assert_eq!(rows, 3600);
    let statements: Vec<&str> = text.lines().collect();
    assert_eq!(statements.len(), 4);
    for (statement, expected) in statements.iter().zip([1000, 1000, 1000, 600]) {
        assert!(statement.starts_with("INSERT INTO cpu VALUES ('2016-01-01 0"));
        assert!(statement.ends_with(");"));
        assert_eq!(statement.matches('(').count(), expected);
    }
    let csv: String = text.replace("INSERT INTO cpu VALUES (", "").replace(");", "").replace("),(", "\n").replace('\'', "");
    assert_eq!(csv, cpu(&plan()).0);
}

#[test]
fn tags_are_complete() {
    let mut out = Vec::new();
    assert_eq!(write_tags(&plan(), &mut out).unwrap(), 10);
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().all(|line| line.split(',').count() == 11));
    assert!(text.starts_with("1,host_0,"));
    assert_eq!(ddl("cpu").matches("double precision").count(), 10);
}

fn sensor(plan: &Plan) -> (String, u64) {
    let mut out = Vec::new();
    let rows = write_sensor(plan, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), rows)
}

#[test]
fn sensors_fill_their_columns() {
    let (text, rows) = sensor(&plan());
    assert_eq!(text.lines().count() as u64, rows);
    assert!((3500..3600).contains(&rows), "{rows} rows");
    let columns = sensor_ddl("sensor").matches(", ").count() + 1;
    assert_eq!(columns, 10);
    assert!(text.lines().all(|line| line.split(',').count() == columns));
    let sorted = text.lines().zip(text.lines().skip(1)).filter(|(a, b)| a.split(',').next() <= b.split(',').next()).count();
    assert!(sorted as u64 > rows - 100);
    assert_eq!(hash(&text), EXPECTED_SENSOR_HASH, "the data has changed: numbers measured before cannot be compared");
}

const EXPECTED_SENSOR_HASH: u64 = 1_718_453_341_235_527_487;

#[test]
fn sensors_come_as_statements_and_in_parts_too() {
    let format = Format::Insert { table: "sensor".into(), rows: 1000 };
    let (text, _) = sensor(&Plan { format, ..plan() });
    assert!(text.starts_with("INSERT INTO sensor VALUES ('2016-01-01 00:00:") && text.contains(",NULL,"));
    let parts: u64 = (0..3).map(|part| sensor(&Plan { part: (part, 3), ..plan() }).1).sum();
    assert_eq!(parts, sensor(&plan()).1);
}
