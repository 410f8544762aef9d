//! The AWS Glue Data Catalog.
//!
//! Reads a table into [`Existing`] and applies a [`CatalogDiff`], as the local catalog does. What is special
//! here comes from Glue, and from others who use the same catalog at the same time:
//!
//! - `UpdateTable` replaces the whole table: it is sent with the version that was read, so that a
//!   change made meanwhile is refused; the table is then read again and merged again. The version
//!   before is not archived, and nothing is sent when nothing changed.
//! - A write that was not answered may have been done: the table or the partitions are read, and only
//!   what is not there is sent again.
//! - Partitions go in batches of Glue's sizes, several at a time; see `partitions.rs`.
//! - Column lists are large and equal: partitions are read without them, and a fingerprint among their
//!   parameters tells whether they have the table's. [`Comparison::Full`] reads them all the same, and
//!   finds what somebody changed in one partition by hand.
//!
//! A permission that is missing, of IAM or Lake Formation, is named by the error.

mod calls;
mod partitions;
mod sdk_types;

use std::time::Duration;

use std::sync::Arc;

use aws_sdk_glue::Client;
use aws_sdk_glue::config::IdentityCache;
use aws_sdk_glue::config::retry::RetryConfig;
use aws_sdk_glue::config::timeout::TimeoutConfig;

pub use self::calls::Permission;
use self::calls::{Caller, Failed, OnlyGlue, What};
use super::input::DATABASE_DESCRIPTION;
use super::{
    Applied, CatalogDiff, Comparison, Existing, PartitionInput, Reading, TableInput, Usage,
};
use crate::aws::Aws;
use crate::error::{Error, ErrorKind, Result};

/// How long a call that is throttled or not answered is repeated, unless an option says otherwise.
pub const DEFAULT_RETRY: Duration = Duration::from_secs(180);

/// A call that has not been answered after this long counts as lost.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which catalog, and with which rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlueOptions {
    /// The account that owns the catalog; none: that of the credentials.
    pub catalog_id: Option<String>,
    /// Whether a missing database is created.
    pub create_database: bool,
    /// How long a call that is throttled or not answered is repeated.
    pub retry: Duration,
}

impl Default for GlueOptions {
    fn default() -> Self {
        Self { catalog_id: None, create_database: true, retry: DEFAULT_RETRY }
    }
}

/// The Glue Data Catalog of an account and region.
#[derive(Debug)]
pub struct GlueCatalog {
    client: Client,
    options: GlueOptions,
    caller: Caller,
}

impl GlueCatalog {
    /// Makes the client; sends nothing to Glue. With a permission, it is asked for before each call that
    /// changes something.
    ///
    /// # Errors
    /// `Config` when there is no region or there are no credentials, `Unavailable` when credentials
    /// cannot be had just now.
    pub async fn new(
        aws: &Arc<Aws>,
        options: GlueOptions,
        permission: Option<Permission>,
    ) -> Result<Self> {
        if aws.region().is_none() {
            let message = "the region of the Glue catalog is not known: give `--aws-region`, or set AWS_REGION or the profile's region";
            return Err(Error::config(message));
        }
        // Once here, for an error with a fix; the client finds them by itself.
        aws.credentials().await?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(CALL_TIMEOUT)
            .build();
        let mut config = aws_sdk_glue::config::Builder::from(aws.config())
            .credentials_provider(aws.identity())
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .interceptor(OnlyGlue)
            .timeout_config(timeouts);
        config.set_endpoint_url(aws.glue_endpoint());
        let caller = Caller::new(options.retry, permission);
        Ok(Self { client: Client::from_conf(config.build()), options, caller })
    }

    /// Returns the calls to Glue so far.
    pub fn usage(&self) -> Usage {
        self.caller.usage()
    }

    /// Checks that a database exists if it may not be created; makes no call otherwise.
    ///
    /// # Errors
    /// `Config` if it is not, and those of [`crate::aws::failed`].
    pub async fn require_database(&self, database: &str) -> Result<()> {
        if self.options.create_database || self.has_database(database).await? {
            return Ok(());
        }
        let message = "the database does not exist, and `--no-create-database` forbids creating it";
        Err(Error::config(message).at("database", database))
    }

    fn catalog_id(&self) -> Option<String> {
        self.options.catalog_id.clone()
    }

    /// Returns whether there is a database of this name.
    ///
    /// # Errors
    /// Those of [`crate::aws::failed`].
    pub async fn has_database(&self, database: &str) -> Result<bool> {
        let what = What { action: "glue:GetDatabase", is_write: false, resource: database };
        let request = self.client.get_database().set_catalog_id(self.catalog_id()).name(database);
        let answer = self.caller.find(&what, || request.clone().send()).await?;
        match answer {
            Some(answer) if answer.database.is_none() => {
                Err(not_glues(what.action, "without a database", database))
            }
            answer => Ok(answer.is_some()),
        }
    }

    /// Returns a table and its version, if there is one.
    ///
    /// # Errors
    /// Those of [`crate::aws::failed`].
    pub async fn table(
        &self,
        database: &str,
        table: &str,
    ) -> Result<Option<(TableInput, Option<String>)>> {
        let what = What { action: "glue:GetTable", is_write: false, resource: table };
        let request = self.client.get_table();
        let request = request.set_catalog_id(self.catalog_id()).database_name(database).name(table);
        let answer = self.caller.find(&what, || request.clone().send()).await?;
        let Some(answer) = answer else { return Ok(None) };
        let Some(mut found) = answer.table else {
            return Err(not_glues(what.action, "without a table", table));
        };
        let version = found.version_id.take();
        Ok(Some((sdk_types::table_from(found), version)))
    }

    /// Returns the partitions of a table, sorted by values. Those with the table's columns share them;
    /// others have none.
    ///
    /// # Errors
    /// Those of [`crate::aws::failed`].
    pub async fn partitions(
        &self,
        database: &str,
        table: &TableInput,
    ) -> Result<Vec<PartitionInput>> {
        let reading =
            Reading { comparison: Comparison::Fingerprints, partitions: 0, has_indexes: false };
        let mut found = self.read_partitions(database, table, &reading).await?;
        found.sort_by(|a, b| a.values.cmp(&b.values));
        Ok(found)
    }

    /// Returns the state that [`super::diff()`] compares with: one call for a table that does not
    /// exist, two or more for one that does.
    ///
    /// # Errors
    /// Those of [`crate::aws::failed`].
    pub async fn existing(
        &self,
        database: &str,
        table: &str,
        reading: &Reading,
    ) -> Result<Existing> {
        let Some((table, version)) = self.table(database, table).await? else {
            let database = self.has_database(database).await?;
            return Ok(Existing { database, ..Existing::default() });
        };
        let partitions = self.read_partitions(database, &table, reading).await?;
        let indexes = match reading.has_indexes {
            true => self.indexes(database, &table.name).await?,
            false => Vec::new(),
        };
        Ok(Existing { database: true, table: Some(table), version, partitions, indexes })
    }

    async fn indexes(&self, database: &str, table: &str) -> Result<Vec<Vec<String>>> {
        let what = What { action: "glue:GetPartitionIndexes", is_write: false, resource: table };
        let request = self.client.get_partition_indexes().set_catalog_id(self.catalog_id());
        let request = request.database_name(database).table_name(table);
        let answer = self.caller.find(&what, || request.clone().send()).await?;
        let found = answer.map(|answer| answer.partition_index_descriptor_list.unwrap_or_default());
        let keys = |index: aws_sdk_glue::types::PartitionIndexDescriptor| {
            index.keys.into_iter().map(|key| key.name).collect()
        };
        Ok(found.unwrap_or_default().into_iter().map(keys).collect())
    }

    /// Applies a diff. Safe to repeat, also after a failure half-way.
    ///
    /// # Errors
    /// `Config` if the database is missing and may not be created, or if the table has become one
    /// that is not ours; `Denied` with the permission that is missing; `Unavailable` when Glue
    /// throttles or does not answer for too long; `Io` for what else Glue refuses.
    pub async fn apply(&self, diff: &CatalogDiff) -> Result<Applied> {
        let mut applied = Applied::default();
        if diff.create_database {
            applied.files += self.create_database(&diff.database).await?;
        }
        // First, so that the table says that it has views for as long as one is left.
        for view in diff.views.iter().filter(|view| view.delete_view) {
            applied.files += self.delete_table(&view.database, &view.table).await?;
        }
        applied.files += self.put_table(diff).await?;
        if let Some(index) = diff.create_index.as_ref().filter(|_| diff.create_table.is_none()) {
            applied.files += self.create_index(diff, index).await?;
        }
        let updates: Vec<_> = diff.update_partitions.iter().map(|update| &update.input).collect();
        let place = (diff.database.as_str(), diff.table.as_str());
        applied.partitions += self.delete_partitions(place, &diff.delete_partitions).await?;
        let create = diff.create_partitions.iter().collect();
        applied.partitions += self.put_partitions(place, create, updates).await?;
        for view in &diff.views {
            applied.files += self.put_table(view).await?;
        }
        Ok(applied)
    }

    /// Creates or updates the table or view of a diff, if it says so.
    async fn put_table(&self, diff: &CatalogDiff) -> Result<u64> {
        match (&diff.create_table, &diff.update_table) {
            (Some(_), _) => self.create_table(diff).await,
            (None, Some(update)) => {
                self.update_table(diff, update.input.clone(), diff.version.clone()).await
            }
            (None, None) => Ok(0),
        }
    }

    async fn delete_table(&self, database: &str, table: &str) -> Result<u64> {
        let what = What { action: "glue:DeleteTable", is_write: true, resource: table };
        let request = self.client.delete_table().set_catalog_id(self.catalog_id());
        let request = request.database_name(database).name(table);
        let mut patience = self.caller.patience();
        loop {
            let failed =
                match self.caller.call(&what, &mut patience, || request.clone().send()).await {
                    Ok(_) => return Ok(1),
                    Err(failed) if failed.is("EntityNotFoundException") => return Ok(0),
                    Err(failed) => failed,
                };
            self.wait_if_undecided(failed, &mut patience).await?;
            if self.table(database, table).await?.is_none() {
                return Ok(1);
            }
        }
    }

    async fn create_database(&self, database: &str) -> Result<u64> {
        self.require_database(database).await?;
        let input = aws_sdk_glue::types::DatabaseInput::builder().name(database);
        let input = input.description(DATABASE_DESCRIPTION).build().map_err(|err| {
            Error::new(ErrorKind::Bug, "a database document is incomplete").because(err)
        })?;
        let what = What { action: "glue:CreateDatabase", is_write: true, resource: database };
        let request = self.client.create_database().set_catalog_id(self.catalog_id());
        let request = request.database_input(input);
        let mut patience = self.caller.patience();
        loop {
            let failed =
                match self.caller.call(&what, &mut patience, || request.clone().send()).await {
                    Ok(_) => return Ok(1),
                    // Another process was faster: any database of this name will do.
                    Err(failed) if failed.is("AlreadyExistsException") => return Ok(0),
                    Err(failed) => failed,
                };
            self.wait_if_undecided(failed, &mut patience).await?;
            if self.has_database(database).await? {
                return Ok(1);
            }
        }
    }

    /// After a write that was refused because of another's, or was not answered: waits, so that the
    /// caller can look what there is now.
    async fn wait_if_undecided(
        &self,
        failed: Failed,
        patience: &mut calls::Patience,
    ) -> Result<()> {
        if !failed.is_undecided() {
            return Err(failed.into());
        }
        patience.wait(failed.into()).await
    }

    async fn create_table(&self, diff: &CatalogDiff) -> Result<u64> {
        let what = What { action: "glue:CreateTable", is_write: true, resource: &diff.table };
        let index = diff.create_index.as_ref().map(sdk_types::index_to).transpose()?;
        let request = self
            .client
            .create_table()
            .set_catalog_id(self.catalog_id())
            .database_name(&diff.database)
            .table_input(sdk_types::table_to(&diff.wanted.input)?)
            .set_partition_indexes(index.map(|index| vec![index]));
        let mut patience = self.caller.patience();
        loop {
            let failed =
                match self.caller.call(&what, &mut patience, || request.clone().send()).await {
                    Ok(_) => return Ok(1),
                    Err(failed) => failed,
                };
            if !failed.is("AlreadyExistsException") {
                self.wait_if_undecided(failed, &mut patience).await?;
            }
            // Our own, of which no answer came, or another's: compared like any other.
            if let Some((found, version)) = self.table(&diff.database, &diff.table).await? {
                let input = diff.wanted.over(&found)?;
                if input == found {
                    return Ok(1);
                }
                return self.update_table(diff, input, version).await;
            }
        }
    }

    async fn update_table(
        &self,
        diff: &CatalogDiff,
        mut input: TableInput,
        mut version: Option<String>,
    ) -> Result<u64> {
        let what = What { action: "glue:UpdateTable", is_write: true, resource: &diff.table };
        let mut patience = self.caller.patience();
        loop {
            let request = self
                .client
                .update_table()
                .set_catalog_id(self.catalog_id())
                .database_name(&diff.database)
                .table_input(sdk_types::table_to(&input)?)
                .set_version_id(version)
                .skip_archive(true);
            match self.caller.call(&what, &mut patience, || request.clone().send()).await {
                Ok(_) => return Ok(1),
                Err(failed) => self.wait_if_undecided(failed, &mut patience).await?,
            }
            let Some((found, now)) = self.table(&diff.database, &diff.table).await? else {
                let message = "the table was deleted during the update; run again";
                return Err(Error::new(ErrorKind::Unavailable, message).at("table", &diff.table));
            };
            input = diff.wanted.over(&found)?;
            version = now;
            if input == found {
                return Ok(1);
            }
        }
    }

    async fn create_index(&self, diff: &CatalogDiff, index: &super::PartitionIndex) -> Result<u64> {
        let action = "glue:CreatePartitionIndex";
        let what = What { action, is_write: true, resource: &diff.table };
        let request = self
            .client
            .create_partition_index()
            .set_catalog_id(self.catalog_id())
            .database_name(&diff.database)
            .table_name(&diff.table)
            .partition_index(sdk_types::index_to(index)?);
        let mut patience = self.caller.patience();
        loop {
            match self.caller.call(&what, &mut patience, || request.clone().send()).await {
                // Any object in JSON passes for an answer: whether it was Glue's, the index says.
                Ok(_) if self.has_index(diff, index).await? => return Ok(1),
                Ok(_) => {
                    let error = not_glues(action, "the index is not there", &diff.table);
                    if patience.is_nonsense_enough() {
                        return Err(error);
                    }
                    patience.wait(error).await?;
                }
                Err(failed) if failed.is("AlreadyExistsException") => return Ok(0),
                Err(failed) => {
                    self.wait_if_undecided(failed, &mut patience).await?;
                    if self.has_index(diff, index).await? {
                        return Ok(1);
                    }
                }
            }
        }
    }

    async fn has_index(&self, diff: &CatalogDiff, index: &super::PartitionIndex) -> Result<bool> {
        Ok(self.indexes(&diff.database, &diff.table).await?.contains(&index.keys))
    }
}

/// The error of an answer of success that cannot be Glue's, because of what is missing.
fn not_glues(action: &'static str, missing: &str, resource: &str) -> Error {
    let message = format!(
        "{action} was answered with success, but {missing}, which is not an answer of Glue: \
         check `--glue-endpoint-url`, AWS_ENDPOINT_URL_GLUE, and proxies"
    );
    Error::new(ErrorKind::Io, message).at("resource", resource)
}
