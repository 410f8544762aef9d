//! Which objects a sample has: families, sizes, copies, and the order in which they are numbered.
//!
//! The plan is drawn from the seed alone, one batch after the other. How large a batch turned out
//! decides how much the next one plans, so that the wanted size is met without a first pass.

use super::dice::{Dice, mix};
use super::layout::{Account, Address, Family};
use super::record::{Content, Shared};

/// Objects of tens of megabytes appear in samples of at least this many bytes.
const LARGE_FROM: u64 = 200_000_000;
/// One object in this many is large then; about one per 150 MB.
const LARGE_EVERY: u64 = 900;
/// Digests per batch.
const DIGESTS: usize = 6;
/// Keys a digest lists at most.
const LISTED: usize = 20;

/// One object to write.
pub(super) struct Planned {
    pub(super) address: Address,
    pub(super) content: Content,
    pub(super) extras: Vec<Extra>,
    /// Whether all its records stand in another object, too.
    pub(super) is_copy: bool,
    /// Whether another object copies it: it must not change any more.
    has_copy: bool,
    /// What a digest lists.
    pub(super) listed: Vec<Address>,
}

/// A record added to an object's own.
#[derive(Clone, Copy)]
pub(super) enum Extra {
    /// A record of another object, again.
    Again(Content, u32),
    /// One side of an event that two accounts see.
    Shared(Shared),
}

/// Draws the plan.
pub(super) struct Planner<'a> {
    dice: Dice,
    accounts: &'a [Account],
    days: u32,
    /// Bytes of JSON wanted in all, or `None` for objects of one or two records.
    size: Option<u64>,
    seed: u64,
    objects: u64,
    /// Records of objects that may hold oddities.
    records: u64,
    /// Whether no digests are planned.
    pub(super) is_without_digests: bool,
}

impl<'a> Planner<'a> {
    pub(super) fn new(accounts: &'a [Account], days: u32, size: Option<u64>, seed: u64) -> Self {
        let dice = Dice::new(mix(seed, 0x91a));
        Self { dice, accounts, days, size, seed, objects: 0, records: 0, is_without_digests: false }
    }

    /// Plans at least one object, and about `records` records.
    pub(super) fn batch(&mut self, records: u64) -> Vec<Planned> {
        let mut batch: Vec<Planned> = Vec::new();
        let mut left = records.max(1);
        while left > 0 {
            let number = self.objects;
            let family = self.family(number);
            let count = self.count(number, family).min(left).max(1);
            let planned = self.object(family, count);
            left = left.saturating_sub(u64::from(planned.content.records));
            batch.push(planned);
            if number % 23 == 11 {
                self.repeat_records(&mut batch);
            }
            if number % 31 == 17 {
                let copied = self.copy_object(&mut batch);
                left = left.saturating_sub(copied);
            }
            if number % 29 == 13 {
                self.share_event(&mut batch);
            }
        }
        if batch.len() >= 4 && !self.is_without_digests {
            self.digests(&mut batch);
        }
        // The largest first, so that no thread is left alone with one at the end.
        batch.sort_by_key(|planned| std::cmp::Reverse(planned.content.records));
        batch
    }

    /// Plans `objects` objects of one or two plain records.
    pub(super) fn small_batch(&mut self, objects: u64) -> Vec<Planned> {
        (0..objects)
            .map(|_| {
                let records = 1 + u64::from(self.dice.chance(1000));
                self.object(Family::Events, records)
            })
            .collect()
    }

    fn family(&mut self, number: u64) -> Family {
        match number {
            _ if number % 40 == 7 => Family::Insight,
            _ if number % 50 == 9 => Family::Aggregated,
            _ if number % 12 == 5 => Family::NetworkActivity,
            _ => Family::Events,
        }
    }

    fn count(&mut self, number: u64, family: Family) -> u64 {
        if self.size.is_some_and(|size| size >= LARGE_FROM) && number % LARGE_EVERY == 40 {
            return self.dice.between(12_000, 30_000);
        }
        let roll = self.dice.below(100);
        match (family, roll) {
            (Family::Insight, _) => 2 * self.dice.between(1, 3),
            (Family::Aggregated, _) => self.dice.between(1, 40),
            (_, 0..40) => self.dice.between(1, 3),
            // Median 60, one sigma is a factor of 2.9: with those above, half of the objects have
            // at most 17 records and one in ten over 180, as measured.
            _ => (60.0 * (1.05 * self.dice.normal()).exp()).clamp(4.0, 4_000.0) as u64,
        }
    }

    fn object(&mut self, family: Family, records: u64) -> Planned {
        let address = Address::draw(&mut self.dice, self.accounts, self.days, family);
        let records = if family == Family::Insight { records + records % 2 } else { records };
        let content = Content {
            family,
            account: address.account,
            region: address.region,
            delivered: address.delivered,
            first: self.records,
            records: records as u32,
            seed: mix(self.seed, 0x0b_0000 + self.objects),
            is_bare: family == Family::Aggregated && self.objects % 100 == 9,
            plain: self.size.is_none(),
        };
        self.objects += 1;
        // Oddities take turns by number: count only where they can stand.
        if family == Family::Events {
            self.records += records;
        }
        Planned {
            address,
            content,
            extras: Vec::new(),
            is_copy: false,
            has_copy: false,
            listed: Vec::new(),
        }
    }

    /// Lets the newest object hold records of an earlier one of its family.
    fn repeat_records(&mut self, batch: &mut [Planned]) {
        let Some((newest, earlier)) = batch.split_last_mut() else { return };
        let wanted = |planned: &&Planned| {
            planned.content.family == Family::Events
                && !planned.is_copy
                && planned.content.account == newest.content.account
                && planned.content.delivered <= newest.content.delivered
        };
        let Some(origin) = earlier.iter().rev().find(wanted) else { return };
        if newest.content.family != Family::Events || newest.is_copy || newest.has_copy {
            return;
        }
        let count = self.dice.between(1, 12).min(u64::from(origin.content.records)) as u32;
        newest.extras.extend((0..count).map(|index| Extra::Again(origin.content, index)));
    }

    /// Adds a copy of an earlier object under another trail's file name; returns its records.
    fn copy_object(&mut self, batch: &mut Vec<Planned>) -> u64 {
        let wanted = |planned: &Planned| {
            planned.content.family == Family::Events && planned.content.records < 1_000
        };
        let Some(origin) = batch.iter_mut().rev().find(|planned| wanted(planned)) else {
            return 0;
        };
        origin.has_copy = true;
        let mut address = Address { unique: self.dice.word(), ..origin.address };
        address.delivered += 300 * i64::from(self.dice.below(2));
        let (content, extras) = (origin.content, origin.extras.clone());
        let records = u64::from(content.records) + extras.len() as u64;
        self.objects += 1;
        batch.push(Planned {
            address,
            content,
            extras,
            is_copy: true,
            has_copy: false,
            listed: Vec::new(),
        });
        records
    }

    /// Adds both sides of one event to the newest objects of two accounts of one partition.
    fn share_event(&mut self, batch: &mut [Planned]) {
        let is_open = |planned: &Planned| {
            planned.content.family == Family::Events && !planned.is_copy && !planned.has_copy
        };
        let Some(first) = batch.iter().rposition(is_open) else { return };
        let caller = batch[first].content.account;
        let accounts = self.accounts;
        let second = batch.iter().rposition(|planned| {
            let owner = planned.content.account;
            is_open(planned)
                && owner != caller
                && accounts[owner].partition == accounts[caller].partition
        });
        let Some(second) = second else { return };
        let owner = batch[second].content.account;
        // Nothing is delivered before it happens.
        let time = batch[first].content.delivered.min(batch[second].content.delivered) - 90;
        let shared = Shared { seed: self.dice.word(), caller, owner, at_owner: false, time };
        batch[first].extras.push(Extra::Shared(shared));
        batch[second].extras.push(Extra::Shared(Shared { at_owner: true, ..shared }));
    }

    fn digests(&mut self, batch: &mut Vec<Planned>) {
        for _ in 0..DIGESTS {
            let mut planned = self.object(Family::Digest, 0);
            let Address { account, region, delivered, .. } = planned.address;
            planned.address.delivered = delivered - delivered.rem_euclid(3600) + 3_597;
            planned.listed = batch
                .iter()
                .map(|other| other.address)
                .filter(|other| other.account == account && other.region == region)
                .filter(|other| other.family != Family::Digest)
                .take(LISTED)
                .collect();
            batch.push(planned);
        }
    }
}
