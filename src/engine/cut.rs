//! Objects to units, partition by partition.
//!
//! A listing goes through all days of an account and region before it comes to the next. Cut in that order, each unit
//! would write a small file into the partition of every day.

use crate::engine::ConvertOptions;
use crate::engine::unit::Unit;
use crate::engine::volume::named_value;
use crate::error::Result;
use crate::keys::Layout;
use crate::lake::{UnitBasis, UnitId};
use crate::partition::PartitionKey;
use crate::source::Object;
use std::collections::VecDeque;

/// The unit that is being filled.
#[derive(Debug)]
pub(crate) struct Cut {
    basis: UnitBasis,
    most_objects: usize,
    number: u64,
    objects: Vec<Object>,
    json: u64,
    /// JSON at which the unit is full.
    limit: u64,
    /// JSON of the partition that is being cut, as far as no unit has it.
    left: u64,
    /// Whether the unit is for one partition alone.
    is_own: bool,
}

impl Cut {
    /// Begins to cut units of some settings, from a number on.
    pub(crate) fn new(basis: UnitBasis, most_objects: usize, number: u64) -> Self {
        let limit = basis.settings.unit_size.0;
        Self {
            basis,
            most_objects,
            number,
            objects: Vec::new(),
            json: 0,
            limit,
            left: 0,
            is_own: false,
        }
    }

    /// Returns whether no unit is begun.
    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Adds objects, partition by partition.
    ///
    /// # Errors
    /// `Bug` when an identity cannot be made.
    pub(crate) fn take_sorted(
        &mut self,
        objects: Vec<Object>,
        out: &mut VecDeque<Unit>,
    ) -> Result<()> {
        let keys = self.basis.settings.partition_by.keys();
        let partition = |Layout { account, region, date, .. }: &Layout| -> Vec<Option<String>> {
            let value = |key: &PartitionKey| named_value(*key, [account, region, date]);
            keys.iter().map(|key| value(key).map(str::to_owned)).collect()
        };
        let keyed = objects.into_iter().map(|object| {
            let key = (object.layout.family(), partition(&object.layout));
            (key, object)
        });
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut keyed = keyed.into_iter().peekable();
        while let Some((key, first)) = keyed.next() {
            let mut objects = vec![first];
            while let Some((_, object)) = keyed.next_if(|(next, _)| *next == key) {
                objects.push(object);
            }
            self.take_partition(objects, out)?;
        }
        Ok(())
    }

    /// Adds the objects of a partition. Where they fill a good part of a unit, they get units of their own, of
    /// about one size, so that the partition gets few files, and none that is small.
    ///
    /// A unit depends on what is left and on no unit before it: a run that goes on where another was killed cuts the
    /// same units.
    fn take_partition(&mut self, objects: Vec<Object>, out: &mut VecDeque<Unit>) -> Result<()> {
        self.left = objects.iter().fold(0, |sum: u64, it| sum.saturating_add(it.json_estimate));
        if self.is_much_left() {
            self.end(out)?;
        }
        objects.into_iter().try_for_each(|object| self.take(object, out))?;
        if self.is_own {
            self.end(out)?;
        }
        Ok(())
    }

    fn unit_size(&self) -> u64 {
        self.basis.settings.unit_size.0
    }

    /// Whether what is left of the partition gets units of its own.
    fn is_much_left(&self) -> bool {
        self.left >= self.unit_size() / 2
    }

    /// Adds an object, and ends units that are full.
    fn take(&mut self, object: Object, out: &mut VecDeque<Unit>) -> Result<()> {
        let json = object.json_estimate;
        // An archive is a unit of its own: it is read from one end to the other.
        let is_alone = object.is_archive;
        let is_full =
            self.json.saturating_add(json) > self.limit || self.objects.len() >= self.most_objects;
        if is_alone || is_full {
            self.end(out)?;
        }
        if self.objects.is_empty() {
            self.is_own = self.is_much_left();
            // A share of what is left of the partition, to half an object.
            let share = self.left.checked_div(self.left.div_ceil(self.unit_size().max(1)));
            let share = share.filter(|_| self.is_own).unwrap_or(self.unit_size());
            self.limit = share.saturating_add(json / 2).min(self.unit_size());
        }
        self.left = self.left.saturating_sub(json);
        self.json = self.json.saturating_add(json);
        self.objects.push(object);
        if is_alone {
            self.end(out)?;
        }
        Ok(())
    }

    /// Ends the unit that is begun.
    ///
    /// # Errors
    /// `Bug` when its identity cannot be made.
    pub(crate) fn end(&mut self, out: &mut VecDeque<Unit>) -> Result<()> {
        self.json = 0;
        self.is_own = false;
        if self.objects.is_empty() {
            return Ok(());
        }
        let objects = std::mem::take(&mut self.objects);
        let pairs = objects.iter().map(|o| (o.key.as_str(), o.etag.as_str()));
        let identity = self.basis.identity(pairs)?;
        let id = UnitId { number: self.number, identity };
        self.number += 1;
        let unavailable = Vec::new();
        out.push_back(Unit { id, objects, is_resumed: false, is_planned: false, unavailable });
        Ok(())
    }
}

/// Cuts units of objects that are known, in their order.
pub(crate) fn cut(
    options: &ConvertOptions,
    barrier: Option<u64>,
    number: u64,
    objects: Vec<Object>,
) -> Result<Vec<Unit>> {
    let basis = UnitBasis::after_barrier(options.output.clone(), barrier);
    let mut cut = Cut::new(basis, usize::MAX, number);
    let mut units = VecDeque::new();
    objects.into_iter().try_for_each(|object| cut.take(object, &mut units))?;
    cut.end(&mut units)?;
    Ok(units.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::parse;
    use crate::lake::OutputSettings;
    use crate::source::Place;
    use crate::units::ByteCount;

    fn object(account: u64, region: &str, day: u32, json_estimate: u64) -> Object {
        let key = format!(
            "AWSLogs/{account:012}/CloudTrail/{region}/2026/01/{day:02}/{account:012}_CloudTrail_{region}_x.json.gz"
        );
        Object {
            layout: parse(&key),
            key,
            place: Place::File,
            size: 1,
            etag: "e".into(),
            json_estimate,
            is_archive: false,
            blocked: None,
        }
    }

    /// The days and the JSON of each unit of at most 100 bytes of JSON.
    fn units(partition_by: &str, objects: Vec<Object>) -> Vec<(Vec<String>, u64)> {
        let settings = OutputSettings {
            unit_size: ByteCount(100),
            partition_by: partition_by.parse().unwrap(),
            ..OutputSettings::default()
        };
        let mut cut = Cut::new(UnitBasis::after_barrier(settings, None), usize::MAX, 0);
        let mut out = VecDeque::new();
        cut.take_sorted(objects, &mut out).unwrap();
        cut.end(&mut out).unwrap();
        let unit = |unit: &Unit| {
            let mut days: Vec<_> =
                unit.objects.iter().map(|it| it.layout.date[8..].to_owned()).collect();
            days.dedup();
            (days, unit.objects.iter().map(|it| it.json_estimate).sum())
        };
        out.iter().map(unit).collect()
    }

    fn listed(days: u32, each: u64) -> Vec<Object> {
        let regions = ["eu-west-1", "us-east-1"];
        let of = |(account, region): (u64, &'static str)| {
            (1..=days).map(move |day| object(account, region, day, each))
        };
        (1..=5).flat_map(|account| regions.map(|region| (account, region))).flat_map(of).collect()
    }

    #[test]
    fn a_large_partition_gets_units_of_its_own_of_one_size() {
        // 10 objects a day: 150 bytes, in two units and not in one and a half.
        let found = units("event_date", listed(3, 15));

        let sizes: Vec<u64> = found.iter().map(|(_, json)| *json).collect();
        assert!(found.iter().all(|(days, _)| days.len() == 1), "{found:?}");
        assert_eq!(sizes, [75; 6]);
    }

    #[test]
    fn small_partitions_share_units_in_their_order() {
        let found = units("event_date", listed(6, 4));

        let days: Vec<_> = found.iter().map(|(days, _)| days.join(" ")).collect();
        assert_eq!(days, ["01 02 03", "03 04 05", "06"]);
        assert!(found.iter().all(|(_, json)| *json <= 100));
    }

    #[test]
    fn no_unit_is_larger_than_its_size_unless_an_object_is() {
        let mut objects = listed(2, 15);
        objects.push(object(9, "us-east-1", 1, 500));
        objects.push(object(9, "us-east-1", 2, u64::MAX));

        let found = units("event_date", objects);

        let large: Vec<u64> = found.iter().map(|(_, json)| *json).filter(|it| *it > 100).collect();
        assert_eq!(large, [500, u64::MAX]);
        assert_eq!(units("event_date", Vec::new()), []);
    }

    #[test]
    fn what_a_killed_run_has_left_is_cut_as_before() {
        for (days, each) in [(3, 15), (3, 7), (6, 4), (4, 11), (2, 33), (5, 9)] {
            let cut_at = |from: usize| {
                let mut objects = listed(days, each);
                objects.sort_by(|a, b| a.layout.date.cmp(&b.layout.date));
                units("event_date", objects.split_off(from))
            };
            let whole = cut_at(0);
            let mut done = 0;
            for (unit, (_, json)) in whole.iter().enumerate() {
                assert_eq!(cut_at(done), whole[unit..], "{days} days, {each} bytes, unit {unit}");
                done += usize::try_from(json / each).unwrap();
            }
        }
    }

    #[test]
    fn the_order_is_that_of_the_keys_of_partitions() {
        let found = units("account,event_date", listed(3, 30));

        // Two regions of 30 bytes for each account and day: 60 bytes, and a unit each.
        assert_eq!(found.len(), 15);
        assert_eq!(found[0], (vec!["01".to_owned()], 60));
    }
}
