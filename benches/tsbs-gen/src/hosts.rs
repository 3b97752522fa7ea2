//! The machines that are watched: their tags, in the choices that TSBS has for them.

use crate::random::Random;

/// The tag columns, in the order of the table.
pub const TAG_COLUMNS: [&str; 10] =
    ["hostname", "region", "datacenter", "rack", "os", "arch", "team", "service", "service_version", "service_environment"];

const REGIONS: [(&str, &[&str]); 9] = [
    ("us-east-1", &["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1e"]),
    ("us-west-1", &["us-west-1a", "us-west-1b"]),
    ("us-west-2", &["us-west-2a", "us-west-2b", "us-west-2c"]),
    ("eu-west-1", &["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
    ("eu-central-1", &["eu-central-1a", "eu-central-1b"]),
    ("ap-southeast-1", &["ap-southeast-1a", "ap-southeast-1b"]),
    ("ap-southeast-2", &["ap-southeast-2a", "ap-southeast-2b"]),
    ("ap-northeast-1", &["ap-northeast-1a", "ap-northeast-1c"]),
    ("sa-east-1", &["sa-east-1a", "sa-east-1b", "sa-east-1c"]),
];
const OPERATING_SYSTEMS: [&str; 3] = ["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"];
const ARCHITECTURES: [&str; 2] = ["x64", "x86"];
const TEAMS: [&str; 4] = ["SF", "NYC", "LON", "CHI"];
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "test"];
const RACKS: usize = 100;
const SERVICES: usize = 20;
const SERVICE_VERSIONS: usize = 2;

/// The tag values of host number `host` (from 0), in the order of [`TAG_COLUMNS`].
pub fn tags(seed: u64, host: u32) -> [String; 10] {
    // Streams of tags lie above all streams of measurements.
    let mut random = Random::new(seed, (1 << 32) + u64::from(host));
    let (region, datacenters) = *random.pick(&REGIONS);
    [
        format!("host_{host}"),
        region.to_owned(),
        (*random.pick(datacenters)).to_owned(),
        random.below(RACKS).to_string(),
        (*random.pick(&OPERATING_SYSTEMS)).to_owned(),
        (*random.pick(&ARCHITECTURES)).to_owned(),
        (*random.pick(&TEAMS)).to_owned(),
        random.below(SERVICES).to_string(),
        random.below(SERVICE_VERSIONS).to_string(),
        (*random.pick(&ENVIRONMENTS)).to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::{REGIONS, tags};
    use std::collections::BTreeSet;

    #[test]
    fn datacenter_lies_in_its_region_and_all_regions_occur() {
        let mut regions = BTreeSet::new();
        for host in 0..400 {
            let tags = tags(123, host);
            assert_eq!(tags[0], format!("host_{host}"));
            assert!(tags[2].starts_with(&tags[1]));
            regions.insert(tags[1].clone());
        }
        assert_eq!(regions.len(), REGIONS.len());
    }
}
