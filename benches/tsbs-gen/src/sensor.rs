//! Readings of sensors: decimals that walk, a counter with resets, states that last, gaps and NULLs, at times that jitter.

use crate::random::Random;

/// The columns of the table, as SQL.
pub const COLUMNS: &str = "time timestamptz NOT NULL, sensor_id integer NOT NULL, temperature double precision, humidity double precision, \
     voltage numeric(6,3), counter bigint, state text, status smallint, signal smallint, tariff boolean";

const STATES: [&str; 5] = ["running", "idle", "standby", "maintenance", "fault"];
/// What a sensor reports beside 0, which means that all is well.
const STATUSES: [i16; 4] = [1, 2, 17, 64];
const HOUR_MS: i64 = 3_600_000;

/// One row.
#[derive(Debug)]
pub struct Reading {
    /// Milliseconds since 1970.
    pub time: i64,
    /// Hundredths of a degree.
    pub temperature: i64,
    /// Tenths of a percent.
    pub humidity: Option<i64>,
    /// Thousandths of a volt.
    pub voltage: i64,
    /// Goes up, and now and then back to nothing.
    pub counter: i64,
    /// One of a few, for about a hundred rows.
    pub state: &'static str,
    /// Mostly 0.
    pub status: i16,
    /// Noise around a level of the sensor's own.
    pub signal: Option<i64>,
    /// Whether the higher tariff counts, which the time of day decides.
    pub tariff: bool,
}

/// One sensor.
pub struct Sensor {
    random: Random,
    phase: i64,
    level: f64,
    rate: f64,
    temperature: f64,
    humidity: f64,
    voltage: f64,
    counter: i64,
    state: &'static str,
}

impl Sensor {
    /// Sensor number `sensor` (from 0), which reports every `interval` ms, before its first reading.
    pub fn new(seed: u64, sensor: u32, interval: i64) -> Self {
        // Streams of sensors lie above those of hosts and of their tags.
        let mut random = Random::new(seed, (1 << 33) + u64::from(sensor));
        let phase = (random.uniform() * interval as f64) as i64;
        let level = -50.0 - random.uniform() * 40.0;
        let rate = 5.0 + random.uniform() * 20.0;
        let (temperature, humidity) = (5.0 + random.uniform() * 30.0, 20.0 + random.uniform() * 60.0);
        let (voltage, counter) = (228.0 + random.uniform() * 4.0, random.below(1_000_000) as i64);
        let state = STATES[0];
        Self { random, phase, level, rate, temperature, humidity, voltage, counter, state }
    }

    /// The reading due at `time` (ms since 1970); one in 500 gets lost.
    pub fn read(&mut self, time: i64) -> Option<Reading> {
        let random = &mut self.random;
        let time = time + self.phase + (random.normal() * 25.0) as i64;
        self.temperature = (self.temperature + random.normal() * 0.04).clamp(-30.0, 60.0);
        self.humidity = (self.humidity + random.normal() * 0.2).clamp(0.0, 100.0);
        self.voltage = (self.voltage + random.normal() * 0.002).clamp(220.0, 240.0);
        if one_in(random, 100) {
            self.state = *random.pick(&STATES);
        }
        let rate = if self.state == STATES[0] { self.rate } else { self.rate / 4.0 };
        self.counter += ((rate + random.normal() * 3.0) as i64).max(0);
        if one_in(random, 2_000) {
            self.counter = 0;
        }
        let reading = Reading {
            time,
            temperature: decimal(self.temperature, 100.0),
            humidity: (!one_in(random, 10)).then(|| decimal(self.humidity, 10.0)),
            voltage: decimal(self.voltage + random.normal() * 0.012, 1000.0),
            counter: self.counter,
            state: self.state,
            status: if one_in(random, 25) { *random.pick(&STATUSES) } else { 0 },
            signal: (!one_in(random, 10)).then(|| decimal(self.level + random.normal() * 3.0, 1.0)),
            tariff: (6..22).contains(&(time.div_euclid(HOUR_MS) % 24)),
        };
        (!one_in(random, 500)).then_some(reading)
    }
}

fn one_in(random: &mut Random, times: usize) -> bool {
    random.below(times) == 0
}

fn decimal(value: f64, scale: f64) -> i64 {
    (value * scale).round() as i64
}

/// A number of tenths, hundredths.. as text, with so many decimals.
pub fn fixed(value: i64, decimals: usize) -> String {
    let scale = 10_i64.pow(decimals as u32);
    let sign = if value < 0 { "-" } else { "" };
    let value = value.abs();
    format!("{sign}{}.{:0decimals$}", value / scale, value % scale)
}

#[cfg(test)]
mod tests {
    use super::{Sensor, fixed};

    #[test]
    fn decimals_keep_their_sign_and_zeros() {
        assert_eq!(fixed(-5, 2), "-0.05");
        assert_eq!(fixed(230_007, 3), "230.007");
        assert_eq!(fixed(10, 1), "1.0");
    }

    #[test]
    fn readings_are_what_the_columns_can_hold() {
        let (mut lost, mut without, mut resets, mut changes) = (0, 0, 0, 0);
        for number in 0..20 {
            let mut sensor = Sensor::new(1, number, 30_000);
            let (mut counter, mut state, mut before) = (0, "", 0);
            for step in 0..5_000 {
                let Some(reading) = sensor.read(step * 30_000) else {
                    lost += 1;
                    continue;
                };
                assert!((200_000..1_000_000).contains(&reading.voltage));
                assert!(reading.time > before && (reading.time - step * 30_000).abs() < 31_000);
                without += u32::from(reading.humidity.is_none());
                resets += u32::from(reading.counter < counter);
                changes += u32::from(reading.state != state);
                (counter, state, before) = (reading.counter, reading.state, reading.time);
            }
        }
        assert!((100..400).contains(&lost), "{lost} lost");
        assert!((9_000..11_000).contains(&without), "{without} without humidity");
        assert!((20..100).contains(&resets), "{resets} resets");
        assert!((500..1_500).contains(&changes), "{changes} changes of state");
    }
}
