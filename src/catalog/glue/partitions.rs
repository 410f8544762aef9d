//! Partitions of Glue: read in segments, written in batches.
//!
//! Glue takes 100 partitions per create and update, 25 per delete, and gives 1,000 per page and per
//! get. What an answer says of single partitions stands inside an HTTP 200 and is acted on: one that
//! exists already is read, compared and updated if it differs; one to update that is gone is created;
//! one that was throttled or not decided is sent again. Rounds go on until nothing is left over.

use std::collections::{HashMap, HashSet};

use aws_sdk_glue::types as sdk;
use futures::stream::{StreamExt, TryStreamExt, iter};

use super::GlueCatalog;
use super::calls::{Failed, What, is_throttled, is_unknown};
use super::sdk_types::{Shared, partition_from, partition_to, values_to};
use crate::aws;
use crate::catalog::parameters::COLUMNS;
use crate::catalog::{Comparison, PartitionInput, Reading, TableInput};
use crate::error::{Error, ErrorKind, Result};

/// Glue's limits, of its API model.
const MOST_PER_WRITE: usize = 100;
const MOST_PER_DELETE: usize = 25;
const MOST_PER_READ: usize = 1_000;
const MOST_SEGMENTS: usize = 10;

/// Partitions per page when their columns are read, too: 46 kB each with the schema that a lake starts
/// from, in up to ten pages at once.
const WITH_COLUMNS_PER_READ: usize = 200;

/// Batches under way at once. Glue publishes no rates; throttled ones come back later.
const PARALLEL_WRITES: usize = 8;

/// Rounds of "it exists", "it is gone" after which another process is too busy in the same table.
const MOST_ROUNDS: usize = 8;

/// Database and table.
type Place<'a> = (&'a str, &'a str);

/// Outcome of a create or update, by partition.
#[derive(Debug, Default)]
struct Outcome<'a> {
    done: usize,
    /// They exist: to compare.
    exist: Vec<&'a PartitionInput>,
    /// They do not exist: to create.
    missing: Vec<&'a PartitionInput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Create,
    Update,
}

impl GlueCatalog {
    /// Reads all partitions of a table.
    pub(super) async fn read_partitions(
        &self,
        database: &str,
        table: &TableInput,
        reading: &Reading,
    ) -> Result<Vec<PartitionInput>> {
        let page = page_size(reading.comparison);
        let segments = reading.partitions.div_ceil(page).clamp(1, MOST_SEGMENTS);
        let place = (database, table.name.as_str());
        let numbers = (segments > 1).then_some(segments);
        let all: Vec<Vec<PartitionInput>> = iter(0..segments)
            .map(|number| async move {
                let segment = numbers.map(|total| (number, total));
                self.read_segment(place, segment, reading.comparison, table).await
            })
            .buffer_unordered(MOST_SEGMENTS)
            .try_collect()
            .await?;
        Ok(all.into_iter().flatten().collect())
    }

    async fn read_segment(
        &self,
        (database, table): Place<'_>,
        segment: Option<(usize, usize)>,
        comparison: Comparison,
        existing: &TableInput,
    ) -> Result<Vec<PartitionInput>> {
        let what = What { action: "glue:GetPartitions", is_write: false, resource: table };
        let request = self
            .client
            .get_partitions()
            .set_catalog_id(self.catalog_id())
            .database_name(database)
            .table_name(table)
            .exclude_column_schema(comparison == Comparison::Fingerprints)
            .set_segment(segment.map(segment_to).transpose()?)
            .max_results(page_size(comparison) as i32);
        let columns = existing.storage_descriptor.columns.bare();
        let fingerprint = columns.fingerprint();
        let mut shared = Shared::with(columns.clone());
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let page = || request.clone().set_next_token(token.clone()).send();
            let Some(page) = self.caller.find(&what, page).await? else { return Ok(found) };
            for partition in page.partitions.into_iter().flatten() {
                let mut partition = partition_from(partition);
                let has = &mut partition.storage_descriptor.columns;
                let says = partition.parameters.get(COLUMNS);
                if !has.is_empty() {
                    *has = shared.one(std::mem::take(has));
                } else if comparison == Comparison::Fingerprints && says == Some(&fingerprint) {
                    *has = columns.clone();
                }
                found.push(partition);
            }
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Reads some partitions, with their columns; those that do not exist are left out.
    async fn get_partitions(
        &self,
        (database, table): Place<'_>,
        wanted: &[&PartitionInput],
    ) -> Result<Vec<PartitionInput>> {
        let what = What { action: "glue:BatchGetPartition", is_write: false, resource: table };
        let mut found = Vec::new();
        for batch in wanted.chunks(MOST_PER_READ) {
            let mut keys =
                batch.iter().map(|p| values_to(&p.values)).collect::<Result<Vec<_>>>()?;
            let mut patience = self.caller.patience();
            while !keys.is_empty() {
                let request = self
                    .client
                    .batch_get_partition()
                    .set_catalog_id(self.catalog_id())
                    .database_name(database)
                    .table_name(table)
                    .set_partitions_to_get(Some(keys.clone()));
                let send = || request.clone().send();
                let answer = self.caller.call(&what, &mut patience, send).await;
                let answer = answer.map_err(Error::from)?;
                let before = keys.len();
                found.extend(answer.partitions.into_iter().flatten().map(partition_from));
                keys = answer.unprocessed_keys.unwrap_or_default();
                // Reading a part of them is progress; after none at all, wait.
                if keys.len() >= before {
                    let message = "glue:BatchGetPartition left every partition unread";
                    patience.wait(Error::new(ErrorKind::Unavailable, message)).await?;
                }
            }
        }
        Ok(found)
    }

    /// Creates and updates partitions; returns how many.
    pub(super) async fn put_partitions(
        &self,
        place: Place<'_>,
        create: Vec<&PartitionInput>,
        update: Vec<&PartitionInput>,
    ) -> Result<u64> {
        let created = self.write_all(place, Write::Create, &create).await?;
        let updated = self.write_all(place, Write::Update, &update).await?;
        let mut done = created.done + updated.done;
        let owned = |list: Vec<&PartitionInput>| list.into_iter().cloned().collect::<Vec<_>>();
        let (mut exist, mut missing) = (owned(created.exist), owned(updated.missing));
        for _ in 0..MOST_ROUNDS {
            if exist.is_empty() && missing.is_empty() {
                return Ok(done as u64);
            }
            let (differ, gone) = self.compare(place, exist).await?;
            missing.extend(gone);
            let updated = self.write_all(place, Write::Update, &refs(&differ)).await?;
            let created = self.write_all(place, Write::Create, &refs(&missing)).await?;
            done += created.done + updated.done;
            (exist, missing) = (owned(created.exist), owned(updated.missing));
        }
        let message = "another process creates and deletes the same partitions; run again when it \
                       has stopped";
        Err(Error::new(ErrorKind::Unavailable, message).at("table", place.1))
    }

    /// Reads partitions that are said to exist: those that differ from what is wanted, as they are to
    /// be written, and those that do not exist after all.
    async fn compare(
        &self,
        place: Place<'_>,
        wanted: Vec<PartitionInput>,
    ) -> Result<(Vec<PartitionInput>, Vec<PartitionInput>)> {
        let found = self.get_partitions(place, &refs(&wanted)).await?;
        let found: HashMap<&[String], &PartitionInput> =
            found.iter().map(|found| (found.values.as_slice(), found)).collect();
        let (mut differ, mut gone) = (Vec::new(), Vec::new());
        for want in wanted {
            match found.get(want.values.as_slice()) {
                None => gone.push(want),
                Some(found) => {
                    let merged = want.merged_over(found);
                    if merged != **found {
                        differ.push(merged);
                    }
                }
            }
        }
        Ok((differ, gone))
    }

    async fn write_all<'a>(
        &self,
        place: Place<'_>,
        write: Write,
        partitions: &[&'a PartitionInput],
    ) -> Result<Outcome<'a>> {
        let batches: Vec<Vec<&PartitionInput>> =
            partitions.chunks(MOST_PER_WRITE).map(<[_]>::to_vec).collect();
        let outcomes: Vec<Outcome<'_>> = iter(batches)
            .map(|batch| self.write_batch(place, write, batch))
            .buffer_unordered(PARALLEL_WRITES)
            .try_collect()
            .await?;
        let mut all = Outcome::default();
        for outcome in outcomes {
            all.done += outcome.done;
            all.exist.extend(outcome.exist);
            all.missing.extend(outcome.missing);
        }
        Ok(all)
    }

    /// Writes one batch until each of its partitions is decided.
    async fn write_batch<'a>(
        &self,
        place: Place<'_>,
        write: Write,
        mut batch: Vec<&'a PartitionInput>,
    ) -> Result<Outcome<'a>> {
        let action = match write {
            Write::Create => "glue:BatchCreatePartition",
            Write::Update => "glue:BatchUpdatePartition",
        };
        let mut outcome = Outcome::default();
        let mut patience = self.caller.patience();
        // Column lists can be long; how long a request may be is not documented.
        let mut most = batch.len();
        let mut rest = Vec::new();
        while !batch.is_empty() {
            rest.extend(batch.split_off(batch.len().min(most)));
            let errors = match self.send(place, action, write, &batch, &mut patience).await {
                Ok(errors) => errors,
                Err(failed) if failed.is_too_large() && batch.len() > 1 => {
                    most = batch.len() / 2;
                    continue;
                }
                // It may have succeeded: partitions that are as wanted need no second call.
                Err(failed) if failed.is_undecided() => {
                    patience.wait(failed.into()).await?;
                    batch = self.undone(place, write, batch, &mut outcome).await?;
                    batch.append(&mut rest);
                    continue;
                }
                Err(failed) if failed.is("AlreadyExistsException") => {
                    outcome.exist.append(&mut batch);
                    batch.append(&mut rest);
                    continue;
                }
                Err(failed) => return Err(failed.into()),
            };
            batch = self.sorted(action, write, batch, &errors, &mut outcome)?;
            let is_undecided = !batch.is_empty();
            batch.append(&mut rest);
            if is_undecided {
                let message = format!("{action} did not process all partitions");
                patience.wait(Error::new(ErrorKind::Unavailable, message)).await?;
            }
        }
        Ok(outcome)
    }

    /// Sorts the partitions of a batch by the response; returns those to send again.
    fn sorted<'a>(
        &self,
        action: &'static str,
        write: Write,
        batch: Vec<&'a PartitionInput>,
        errors: &[ItemError],
        outcome: &mut Outcome<'a>,
    ) -> Result<Vec<&'a PartitionInput>> {
        let is_in_batch = |error: &ItemError| batch.iter().any(|p| p.values == error.values);
        if let Some(error) = errors.iter().find(|error| !is_in_batch(error)) {
            return Err(error.refused(action));
        }
        let mut again = Vec::new();
        let mut throttled = 0;
        for partition in batch {
            let Some(error) = errors.iter().find(|e| e.values == partition.values) else {
                outcome.done += 1;
                continue;
            };
            match (error.code.as_str(), write) {
                ("AlreadyExistsException", Write::Create) => outcome.exist.push(partition),
                ("EntityNotFoundException", Write::Update) => outcome.missing.push(partition),
                (code, _) if is_throttled(code) => {
                    throttled += 1;
                    again.push(partition);
                }
                ("ConcurrentModificationException", _) => again.push(partition),
                (code, _) if is_unknown(code) => match write {
                    Write::Create => outcome.exist.push(partition),
                    Write::Update => again.push(partition),
                },
                _ => return Err(error.refused(action)),
            }
        }
        self.caller.count_throttled(throttled);
        Ok(again)
    }

    /// After a write without an answer: the partitions of the batch that are not as they should be.
    async fn undone<'a>(
        &self,
        place: Place<'_>,
        write: Write,
        batch: Vec<&'a PartitionInput>,
        outcome: &mut Outcome<'a>,
    ) -> Result<Vec<&'a PartitionInput>> {
        let found = self.get_partitions(place, &batch).await?;
        let mut left = Vec::new();
        for partition in batch {
            match found.iter().find(|found| found.values == partition.values) {
                Some(found) if partition.merged_over(found) == *found => outcome.done += 1,
                Some(_) if write == Write::Create => outcome.exist.push(partition),
                None if write == Write::Update => outcome.missing.push(partition),
                _ => left.push(partition),
            }
        }
        Ok(left)
    }

    async fn send(
        &self,
        (database, table): Place<'_>,
        action: &'static str,
        write: Write,
        batch: &[&PartitionInput],
        patience: &mut super::calls::Patience,
    ) -> Result<Vec<ItemError>, Failed> {
        let what = What { action, is_write: true, resource: table };
        let bug = |error| Failed::Refused { code: String::new(), error };
        let inputs = batch.iter().map(|p| partition_to(p)).collect::<Result<Vec<_>>>();
        let inputs = inputs.map_err(bug)?;
        if write == Write::Create {
            let request = self.client.batch_create_partition().set_catalog_id(self.catalog_id());
            let request = request.database_name(database).table_name(table);
            let request = request.set_partition_input_list(Some(inputs));
            let answer = self.caller.call(&what, patience, || request.clone().send()).await?;
            return Ok(answer.errors.into_iter().flatten().map(ItemError::of_partition).collect());
        }
        let entries = inputs.into_iter().map(update_entry).collect::<Result<Vec<_>>>();
        let request = self.client.batch_update_partition().set_catalog_id(self.catalog_id());
        let request = request.database_name(database).table_name(table);
        let request = request.set_entries(Some(entries.map_err(bug)?));
        let answer = self.caller.call(&what, patience, || request.clone().send()).await?;
        Ok(answer.errors.into_iter().flatten().map(ItemError::of_update).collect())
    }

    /// Deletes partitions; returns how many there were. One that is gone is as wanted, so that a call
    /// without an answer is sent again as it was.
    pub(super) async fn delete_partitions(
        &self,
        place: Place<'_>,
        values: &[Vec<String>],
    ) -> Result<u64> {
        let deleted: Vec<u64> = iter(values.chunks(MOST_PER_DELETE).map(<[_]>::to_vec))
            .map(|batch| self.delete_batch(place, batch))
            .buffer_unordered(PARALLEL_WRITES)
            .try_collect()
            .await?;
        Ok(deleted.iter().sum())
    }

    async fn delete_batch(
        &self,
        (database, table): Place<'_>,
        values: Vec<Vec<String>>,
    ) -> Result<u64> {
        let action = "glue:BatchDeletePartition";
        let what = What { action, is_write: true, resource: table };
        let mut patience = self.caller.patience();
        let (mut left, mut deleted) = (values, 0);
        while !left.is_empty() {
            let keys = left.iter().map(|v| values_to(v)).collect::<Result<Vec<_>>>()?;
            let request = self
                .client
                .batch_delete_partition()
                .set_catalog_id(self.catalog_id())
                .database_name(database)
                .table_name(table)
                .set_partitions_to_delete(Some(keys));
            let answer = self.caller.call(&what, &mut patience, || request.clone().send()).await;
            let errors: Vec<ItemError> = match answer {
                Ok(answer) => {
                    answer.errors.into_iter().flatten().map(ItemError::of_partition).collect()
                }
                Err(failed) if failed.is_undecided() => {
                    patience.wait(failed.into()).await?;
                    continue;
                }
                Err(failed) => return Err(failed.into()),
            };
            deleted += (left.len() - errors.len().min(left.len())) as u64;
            let mut again = HashSet::new();
            for error in errors {
                match error.code.as_str() {
                    "EntityNotFoundException" => {}
                    "ConcurrentModificationException" => {
                        again.insert(error.values);
                    }
                    code if is_throttled(code) || is_unknown(code) => {
                        self.caller.count_throttled(usize::from(is_throttled(code)));
                        again.insert(error.values);
                    }
                    _ => return Err(error.refused(action)),
                }
            }
            left.retain(|values| again.contains(values));
            if !left.is_empty() {
                let message = format!("{action} did not process all partitions");
                patience.wait(Error::new(ErrorKind::Unavailable, message)).await?;
            }
        }
        Ok(deleted)
    }
}

/// A response's verdict on one partition.
#[derive(Debug)]
struct ItemError {
    values: Vec<String>,
    code: String,
    message: String,
}

impl ItemError {
    fn new(values: Option<Vec<String>>, detail: Option<sdk::ErrorDetail>) -> Self {
        let (code, message) = detail.map(|d| (d.error_code, d.error_message)).unwrap_or_default();
        Self {
            values: values.unwrap_or_default(),
            code: code.unwrap_or_default(),
            message: message.unwrap_or_default(),
        }
    }

    fn of_partition(error: sdk::PartitionError) -> Self {
        Self::new(error.partition_values, error.error_detail)
    }

    fn of_update(error: sdk::BatchUpdatePartitionFailureEntry) -> Self {
        Self::new(error.partition_value_list, error.error_detail)
    }

    fn refused(&self, action: &'static str) -> Error {
        let (code, message) = (Some(self.code.clone()), Some(self.message.clone()));
        // An item has no status of its own; 400 is that of calls with the same codes.
        let answer = aws::Answer { status: 400, code, message };
        aws::refused(action, None, &answer).at("partition", self.values.join("/"))
    }
}

fn page_size(comparison: Comparison) -> usize {
    match comparison {
        Comparison::Full => WITH_COLUMNS_PER_READ,
        Comparison::Fingerprints => MOST_PER_READ,
    }
}

fn segment_to((number, total): (usize, usize)) -> Result<sdk::Segment> {
    sdk::Segment::builder()
        .segment_number(number as i32)
        .total_segments(total as i32)
        .build()
        .map_err(|err| Error::new(ErrorKind::Bug, "a segment is incomplete").because(err))
}

fn update_entry(input: sdk::PartitionInput) -> Result<sdk::BatchUpdatePartitionRequestEntry> {
    sdk::BatchUpdatePartitionRequestEntry::builder()
        .set_partition_value_list(input.values.clone())
        .partition_input(input)
        .build()
        .map_err(|err| Error::new(ErrorKind::Bug, "a partition is incomplete").because(err))
}

fn refs(partitions: &[PartitionInput]) -> Vec<&PartitionInput> {
    partitions.iter().collect()
}
