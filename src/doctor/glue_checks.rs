//! The Glue Data Catalog, one permission after another.
//!
//! Writing is tried on a temporary table with a partition, made in the lake's database and removed
//! again; its name starts with that of the lake's table, as policies may require. Where such a
//! table cannot be created, or could not be removed, the calls name a table that does not exist: a
//! refusal shows that a permission is missing, and any other response proves nothing. Nothing that
//! exists is touched.

use super::policy::principal;
use super::{CatalogTarget, Doctor, Outcome, Refusal, random_name};
use aws_sdk_glue::Client;
use aws_sdk_glue::config::IdentityCache;
use aws_sdk_glue::config::retry::RetryConfig;
use aws_sdk_glue::config::timeout::TimeoutConfig;
use aws_sdk_glue::error::SdkError;
use aws_sdk_glue::types::{
    BatchUpdatePartitionRequestEntry, Column, PartitionError, PartitionInput, PartitionValueList,
    SerDeInfo, StorageDescriptor, TableInput,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::time::Duration;

/// Value of the probe partition.
const PARTITION: &str = "probe";

/// Glue looks for a table only after it has asked IAM, but that proves little.
const NOT_REFUSED: &str = "not refused for a table that does not exist; fully tested once the \
                           database exists";

/// Outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallOutcome {
    /// It succeeded.
    Done,
    /// Allowed, but the resource does not exist.
    Absent,
    /// It was refused.
    Refused,
}

/// The catalog under examination.
struct Target<'a> {
    client: Client,
    catalog: &'a CatalogTarget,
    /// The name of the temporary table.
    probe: String,
    location: String,
    /// ARNs of the resources that need a permission.
    resources: Vec<String>,
}

impl Doctor<'_> {
    /// Checks the catalog.
    pub(super) async fn glue(&mut self, catalog: &CatalogTarget) {
        let place = format!("database {}", catalog.database);
        if self.who.region.is_none() {
            return self.skip("glue", &place, "not tried: there is no region");
        }
        let target = self.target(catalog).await;
        let asked = target
            .client
            .get_database()
            .set_catalog_id(catalog.catalog_id.clone())
            .name(&catalog.database)
            .send()
            .await;
        let outcome =
            self.note_outcome(&target, "glue:GetDatabase", &place, "looked for it", asked);
        match outcome {
            CallOutcome::Done => {
                self.ok("glue:CreateDatabase", &place, "not needed: the database exists");
            }
            CallOutcome::Absent => {
                let detail = "not probed: the call would create the database, which does not exist \
                              yet";
                self.skip("glue:CreateDatabase", &place, detail);
                let resource = self.glue_arn(catalog, &format!("database/{}", catalog.database));
                self.fix(format!(
                    "a first run needs this permission on {resource}; or create the database \
                     yourself"
                ));
            }
            CallOutcome::Refused => {
                self.skip("glue:CreateDatabase", &place, "not probed: the database is not known");
            }
        }
        if self
            .checks
            .iter()
            .any(|c| c.outcome == Outcome::Unreachable && c.subject == "glue:GetDatabase")
        {
            return self.skip(
                "glue",
                &place,
                "remaining checks not tried: Glue does not \
                                                 respond",
            );
        }
        self.read_calls(&target, &catalog.table, "asked for the lake's own table").await;
        self.write_calls(&target).await;
    }

    async fn target<'a>(&self, catalog: &'a CatalogTarget) -> Target<'a> {
        let aws = self.aws().await;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(20))
            .build();
        let mut config = aws_sdk_glue::config::Builder::from(aws.config())
            .credentials_provider(aws.identity())
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts);
        config.set_endpoint_url(aws.glue_endpoint());
        let name = random_name().replace('-', "_");
        let lake = self.options.lake.to_string();
        Target {
            client: Client::from_conf(config.build()),
            probe: format!("{}_trailmill_{name}", catalog.table),
            location: format!("{}/_trailmill/{name}/", lake.trim_end_matches('/')),
            resources: vec![
                self.glue_arn(catalog, "catalog"),
                self.glue_arn(catalog, &format!("database/{}", catalog.database)),
                self.glue_arn(catalog, &format!("table/{}/*", catalog.database)),
            ],
            catalog,
        }
    }

    fn glue_arn(&self, catalog: &CatalogTarget, resource: &str) -> String {
        let arn = self.who.arn("glue", resource);
        let Some(owner) = &catalog.catalog_id else { return arn };
        let mut parts: Vec<&str> = arn.splitn(6, ':').collect();
        if let Some(account) = parts.get_mut(4) {
            *account = owner;
        }
        parts.join(":")
    }

    /// Reads a table and its partitions.
    async fn read_calls(&mut self, target: &Target<'_>, table: &str, tried: &str) {
        let Target { client, catalog, .. } = target;
        let place = format!("table {}.{table}", catalog.database);
        let (owner, database) = (&catalog.catalog_id, &catalog.database);
        let asked =
            client.get_table().set_catalog_id(owner.clone()).database_name(database).name(table);
        let found = asked.send().await;
        let keys = found.as_ref().ok().and_then(|found| found.table.as_ref());
        let keys = keys.map_or(1, |table| table.partition_keys().len().max(1));
        self.note_outcome(target, "glue:GetTable", &place, tried, found);
        let asked = client.get_partitions().set_catalog_id(owner.clone()).database_name(database);
        let asked = asked.table_name(table).max_results(1).exclude_column_schema(true);
        self.note_outcome(target, "glue:GetPartitions", &place, tried, asked.send().await);
        let asked =
            client.batch_get_partition().set_catalog_id(owner.clone()).database_name(database);
        let asked = asked.table_name(table).set_partitions_to_get(values(keys));
        self.note_outcome(target, "glue:BatchGetPartition", &place, tried, asked.send().await);
    }

    /// Creates a temporary table if it can be removed, changes it, and removes it.
    async fn write_calls(&mut self, target: &Target<'_>) {
        let Target { client, catalog, probe, .. } = target;
        let place = format!("table {}.{probe}", catalog.database);
        let delete = || {
            let call = client.delete_table().set_catalog_id(catalog.catalog_id.clone());
            call.database_name(&catalog.database).name(probe).send()
        };
        // First, so that every table created can be removed.
        let first = delete().await.map_err(Refusal::from);
        let can_remove = match &first {
            Ok(_) => true,
            Err(refusal) if refusal.is_absent() => true,
            Err(refusal) => {
                let detail = format!(
                    "only `catalog sync --views=none` needs this permission, but without it the \
                     rest cannot be tried on a temporary table: {}",
                    refusal.said()
                );
                self.note(Outcome::Warning, "glue:DeleteTable", &place, detail);
                false
            }
        };
        let mut is_made = false;
        if can_remove {
            let call = client.create_table().set_catalog_id(catalog.catalog_id.clone());
            let call = call.database_name(&catalog.database).set_table_input(target.table("probe"));
            let tried = "created a temporary table";
            let outcome =
                self.note_outcome(target, "glue:CreateTable", &place, tried, call.send().await);
            is_made = outcome == CallOutcome::Done;
        } else {
            self.skip("glue:CreateTable", &place, "not probed: the table could not be removed");
        }
        self.change_calls(target, &place).await;
        if is_made {
            match delete().await.map_err(Refusal::from) {
                Ok(_) => self.ok("glue:DeleteTable", &place, "removed the temporary table"),
                Err(refusal) => {
                    let detail = format!(
                        "the temporary table could not be removed: \
                                          {}",
                        refusal.said()
                    );
                    self.note(Outcome::Warning, "glue:DeleteTable", &place, detail);
                    self.fix(format!("remove it: DROP TABLE {}.{probe}", catalog.database));
                }
            }
        } else if can_remove {
            self.skip(
                "glue:DeleteTable",
                &place,
                format!("{NOT_REFUSED}; only `catalog sync --views=none` needs it"),
            );
        }
    }

    /// Changes the temporary table and its partition.
    async fn change_calls(&mut self, target: &Target<'_>, place: &str) {
        let Target { client, catalog, probe, .. } = target;
        let (owner, database) = (&catalog.catalog_id, &catalog.database);
        let call = client.update_table().set_catalog_id(owner.clone()).database_name(database);
        let call = call.set_table_input(target.table("changed")).skip_archive(true);
        self.note_outcome(target, "glue:UpdateTable", place, "changed it", call.send().await);

        let call = client.batch_create_partition().set_catalog_id(owner.clone());
        let call = call.database_name(database).table_name(probe);
        let made = call.partition_input_list(target.partition("probe")).send().await;
        let errors = made.as_ref().ok().and_then(|made| made.errors.clone());
        let tried = "created a partition";
        self.note_outcomes(target, "glue:BatchCreatePartition", place, tried, made, errors);

        let call = client.batch_update_partition().set_catalog_id(owner.clone());
        let entry = BatchUpdatePartitionRequestEntry::builder()
            .partition_value_list(PARTITION)
            .partition_input(target.partition("changed"))
            .build();
        let call =
            call.database_name(database).table_name(probe).set_entries(entry.ok().map(|e| vec![e]));
        let changed = call.send().await;
        let failures = changed.as_ref().ok().and_then(|changed| changed.errors.clone());
        let errors = failures.map(|failures| {
            let failures = failures.into_iter();
            failures
                .map(|f| PartitionError::builder().set_error_detail(f.error_detail).build())
                .collect()
        });
        let tried = "changed the partition";
        self.note_outcomes(target, "glue:BatchUpdatePartition", place, tried, changed, errors);

        let call = client.batch_delete_partition().set_catalog_id(owner.clone());
        let call =
            call.database_name(database).table_name(probe).set_partitions_to_delete(values(1));
        let removed = call.send().await;
        let errors = removed.as_ref().ok().and_then(|removed| removed.errors.clone());
        let tried = "removed the partition";
        self.note_outcomes(target, "glue:BatchDeletePartition", place, tried, removed, errors);
    }

    /// Notes the outcome of a call that reports errors by item.
    fn note_outcomes<T, E>(
        &mut self,
        target: &Target<'_>,
        action: &'static str,
        place: &str,
        tried: &str,
        answer: Result<T, SdkError<E, HttpResponse>>,
        errors: Option<Vec<PartitionError>>,
    ) where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let first = errors.into_iter().flatten().next().and_then(|error| error.error_detail);
        match first {
            None => {
                self.note_outcome(target, action, place, tried, answer);
            }
            Some(detail) => {
                let code = detail.error_code.unwrap_or_default();
                let refusal = Refusal::of_item(&code, &detail.error_message.unwrap_or_default());
                self.judge(target, action, place, tried, Err(refusal));
            }
        }
    }

    fn note_outcome<T, E>(
        &mut self,
        target: &Target<'_>,
        action: &'static str,
        place: &str,
        tried: &str,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> CallOutcome
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.judge(target, action, place, tried, answer.map(drop).map_err(Refusal::from))
    }

    /// Notes the outcome of a call.
    fn judge(
        &mut self,
        target: &Target<'_>,
        action: &'static str,
        place: &str,
        tried: &str,
        answer: Result<(), Refusal>,
    ) -> CallOutcome {
        let refusal = match answer {
            Ok(()) => {
                self.ok(action, place, tried);
                return CallOutcome::Done;
            }
            Err(refusal) => refusal,
        };
        if refusal.is_absent() {
            match action {
                "glue:GetDatabase" => self.ok(action, place, "looked for it: does not exist yet"),
                "glue:GetTable" | "glue:GetPartitions" | "glue:BatchGetPartition" => {
                    self.ok(action, place, format!("{tried}: allowed; does not exist yet"));
                }
                _ => self.skip(action, place, NOT_REFUSED),
            }
            return CallOutcome::Absent;
        }
        if let Some(lacks) = refusal.lake_formation().map(str::to_owned) {
            let detail = format!("{tried}: Lake Formation refuses: {}", refusal.said());
            self.note(Outcome::Missing, action, place, detail);
            let grant = self.grant(target, action, &lacks);
            self.needs.grant(grant);
            self.fix("give the Lake Formation grant below; IAM has to allow the call as well");
        } else {
            let resources = match action {
                "glue:GetDatabase" => target.resources.iter().take(2).cloned().collect(),
                _ => target.resources.clone(),
            };
            self.note_refusal(action, place, tried, &refusal, "TrailmillCatalog", resources);
            if target.catalog.catalog_id.is_some() && refusal.is_denied() {
                self.fix(format!(
                    "allow {action}, see the policy below; the catalog's owner must allow it too, in the \
                     catalog's resource policy"
                ));
            }
        }
        CallOutcome::Refused
    }

    /// The command that gives a missing Lake Formation grant.
    fn grant(&self, target: &Target<'_>, action: &str, lacks: &str) -> String {
        let CatalogTarget { catalog_id, database, .. } = target.catalog;
        let owner = catalog_id.as_deref().or(self.who.account.as_deref()).unwrap_or("ACCOUNT");
        let who = self.who.arn.as_deref().map_or_else(|| "PRINCIPAL".to_owned(), principal);
        let location = target.location.split("/_trailmill/").next().unwrap_or("");
        let location = location.trim_start_matches("s3://");
        let of_database = serde_json::json!({"Database": {"CatalogId": owner, "Name": database}});
        let of_tables = serde_json::json!(
            {"Table": {"CatalogId": owner, "DatabaseName": database, "TableWildcard": {}}});
        let arn = super::policy::bucket_arn(self.who.region.as_deref().unwrap_or(""), location);
        let of_location = serde_json::json!({"DataLocation": {"ResourceArn": arn}});
        let (permission, on) = match action {
            _ if lacks.contains("s3://") || lacks.contains("arn:") || lacks.contains("ocation") => {
                ("DATA_LOCATION_ACCESS", of_location)
            }
            "glue:GetDatabase" => ("DESCRIBE", of_database),
            "glue:CreateTable" => ("CREATE_TABLE", of_database),
            "glue:UpdateTable" => ("ALTER", of_tables),
            "glue:DeleteTable" => ("DROP", of_tables),
            _ if lacks.starts_with("Required Alter") => ("ALTER", of_tables),
            _ if lacks.starts_with("Required Insert") => ("INSERT", of_tables),
            _ if lacks.starts_with("Required Delete") => ("DELETE", of_tables),
            _ if lacks.starts_with("Required Select") => ("SELECT", of_tables),
            "glue:GetTable" | "glue:GetPartitions" | "glue:BatchGetPartition" => {
                ("DESCRIBE", of_tables)
            }
            _ => ("ALTER", of_tables),
        };
        format!(
            "aws lakeformation grant-permissions --principal DataLakePrincipalIdentifier={who} \
             --permissions {permission} --resource '{on}'"
        )
    }
}

impl Target<'_> {
    /// The temporary table.
    fn table(&self, note: &str) -> Option<TableInput> {
        TableInput::builder()
            .name(&self.probe)
            .description("A probe of `trailmill doctor`, normally removed at once")
            .table_type("EXTERNAL_TABLE")
            .parameters("EXTERNAL", "TRUE")
            .parameters("trailmill.doctor", note)
            .set_partition_keys(column("probe"))
            .storage_descriptor(self.storage())
            .build()
            .ok()
    }

    fn partition(&self, note: &str) -> PartitionInput {
        PartitionInput::builder()
            .values(PARTITION)
            .parameters("trailmill.doctor", note)
            .storage_descriptor(self.storage())
            .build()
    }

    fn storage(&self) -> StorageDescriptor {
        let serde = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
        StorageDescriptor::builder()
            .set_columns(column("eventid"))
            .location(&self.location)
            .input_format("org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat")
            .output_format("org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat")
            .serde_info(SerDeInfo::builder().serialization_library(serde).build())
            .build()
    }
}

fn column(name: &str) -> Option<Vec<Column>> {
    Column::builder().name(name).r#type("string").build().ok().map(|column| vec![column])
}

/// One partition's values, as many as the table has keys.
fn values(keys: usize) -> Option<Vec<PartitionValueList>> {
    let values = vec![PARTITION.to_owned(); keys];
    PartitionValueList::builder().set_values(Some(values)).build().ok().map(|list| vec![list])
}
