//! Which units of a lake have their rows in common files, since compactions merged them.

use crate::lake::manifest::Manifest;
use crate::lake::names;
use hashbrown::HashMap;

/// Returns units that were merged, each with the name of its group; the others are not in it.
pub fn merged_units(manifests: &[Manifest]) -> HashMap<String, String> {
    let mut group_of: HashMap<String, String> = HashMap::new();
    for manifest in manifests.iter().filter(|manifest| !manifest.replaced.is_empty()) {
        let group = manifest.unit.to_string();
        let units = manifest.replaced.iter().filter_map(|file| names::unit_of(&file.key));
        let mut joined: Vec<String> = vec![group.clone()];
        for unit in units {
            let unit = unit.to_string();
            joined.extend(group_of.get(&unit).cloned());
            joined.push(unit);
        }
        // Groups that meet become one.
        for name in group_of.values_mut().filter(|name| joined.contains(name)) {
            name.clone_from(&group);
        }
        group_of.extend(joined.into_iter().map(|unit| (unit, group.clone())));
    }
    group_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::data_file::DataFile;
    use crate::lake::unit::UnitId;

    fn unit(number: u64) -> UnitId {
        UnitId { number, identity: "0123456789abcdef".into() }
    }

    fn compaction(number: u64, of: &[u64]) -> Manifest {
        let file = |number: &u64| {
            let key = names::data_file("t/p=1", &unit(*number), 0, 0);
            let (table, partition) = ("t".into(), "p=1".into());
            DataFile { key, table, partition, rows: 1, bytes: 1, min_instant: 0, max_instant: 0 }
        };
        Manifest::compaction(unit(number), of.iter().map(file).collect(), Vec::new())
    }

    #[test]
    fn groups_that_meet_become_one() {
        let manifests = [compaction(5, &[0, 1]), compaction(6, &[2, 3]), compaction(8, &[5, 2])];

        let groups = merged_units(&manifests);

        for number in [0, 1, 2, 3, 5, 6, 8] {
            assert_eq!(groups[&unit(number).to_string()], unit(8).to_string(), "{number}");
        }
        assert!(!groups.contains_key(&unit(4).to_string()));
    }
}
