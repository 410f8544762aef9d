//! Catalogs, and how a lake is registered in them.

use crate::catalog::{GlueOptions, ViewSelection};
use crate::cli::args::aws::GlueEndpointArgs;
use crate::cli::args::places::LakePlace;
use crate::cli::args::values::account;
use crate::engine::{CatalogKind, CatalogOptions, DEFAULT_TABLE};
use crate::error::{Error, Result};
use clap::{Args as Group, ValueEnum};
use std::time::Duration;

/// Which catalog a lake is registered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum CatalogName {
    /// The AWS Glue Data Catalog
    Glue,
    /// Documents in the lake itself, for lakes in a folder
    Local,
    /// No catalog
    None,
}

/// Whether a thing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Switch {
    /// Parameters of the table say which partitions there are
    On,
    /// Partitions are registered
    Off,
}

#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct CatalogPlaceArgs {
    /// Catalog of the lake [default: glue for a lake in a bucket, else local]
    #[arg(long, value_enum, value_name = "CATALOG", help_heading = "Catalog")]
    pub catalog: Option<CatalogName>,

    /// Database in the catalog [default: the one the lake is in, else trailmill]
    #[arg(long, value_name = "NAME", help_heading = "Catalog")]
    pub database: Option<String>,

    /// Account that owns the Glue catalog [default: that of the credentials]
    #[arg(long, value_name = "ACCOUNT", value_parser = account, help_heading = "Catalog")]
    pub catalog_id: Option<String>,

    /// Stop with exit code 2 if the Glue database does not exist, instead of creating it
    #[arg(long, help_heading = "Catalog")]
    pub no_create_database: bool,

    #[command(flatten)]
    pub glue: GlueEndpointArgs,
}

/// How partitions are published.
#[derive(Clone, Debug, Default, Group)]
pub(in crate::cli) struct PublicationArgs {
    /// Let Athena compute partitions from parameters of the table instead of registering them;
    /// other engines then see no partitions. The choice is kept until the option is given again;
    /// =off registers partitions
    #[arg(
        long,
        value_enum,
        value_name = "on|off",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on",
        conflicts_with = "partition_index",
        help_heading = "Catalog"
    )]
    pub partition_projection: Option<Switch>,

    /// Create a Glue index over the partition columns, and let Athena use it
    #[arg(long, help_heading = "Catalog")]
    pub partition_index: bool,
}

/// Which views are registered.
#[derive(Clone, Debug, Default, Group)]
pub(in crate::cli) struct ViewsArgs {
    /// Register views in Glue for Athena and Trino: `standard` (the default) has flat and daily views for
    /// BI tools, and views with the column names of other tables; `ocsf-1.1` or `ocsf-1.8`, also after a
    /// comma, those of the events in OCSF; `none` removes them, which needs glue:DeleteTable. The choice is kept until the option is given again, and `convert` keeps the views up to date
    #[arg(
        long,
        value_name = "SET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "standard",
        help_heading = "Catalog"
    )]
    pub views: Option<ViewSelection>,
}

impl ViewsArgs {
    /// Returns the options of the catalog of a lake, as it is published, with these views.
    ///
    /// # Errors
    /// `Config` where there is no catalog for them.
    pub(in crate::cli) fn options(
        &self,
        lake: &CatalogLakeArgs,
        publication: &PublicationArgs,
    ) -> Result<CatalogOptions> {
        if self.views.is_some() && lake.catalog.catalog == Some(CatalogName::None) {
            return Err(Error::config("`--views` has no effect with `--catalog none`"));
        }
        Ok(CatalogOptions { views: self.views.clone(), ..lake.options_with(publication) })
    }
}

/// The lake and the catalog of a command about the catalog.
#[derive(Clone, Debug, Group)]
pub(in crate::cli) struct CatalogLakeArgs {
    #[command(flatten)]
    pub place: LakePlace,
    #[command(flatten)]
    pub catalog: CatalogPlaceArgs,
}

impl CatalogPlaceArgs {
    /// Refuses options of a catalog where there is none.
    ///
    /// # Errors
    /// `Config` then.
    pub(in crate::cli) fn refuse_none(&self, publication: &PublicationArgs) -> Result<()> {
        let idle = [
            ("--catalog-id", self.catalog_id.is_some()),
            ("--no-create-database", self.no_create_database),
            ("--partition-projection", publication.partition_projection.is_some()),
            ("--partition-index", publication.partition_index),
        ];
        match idle.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if self.catalog == Some(CatalogName::None) => {
                Err(Error::config(format!("`{option}` has no effect with `--catalog none`")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the options of the catalog, for tables of this base name.
    pub(in crate::cli) fn options(
        &self,
        publication: &PublicationArgs,
        retry_timeout: u64,
        table: impl Into<String>,
    ) -> CatalogOptions {
        let kind = self.catalog.map(|name| match name {
            CatalogName::Glue => CatalogKind::Glue,
            CatalogName::Local => CatalogKind::Local,
            CatalogName::None => CatalogKind::None,
        });
        let projection = publication.partition_projection;
        CatalogOptions {
            kind,
            glue: GlueOptions {
                catalog_id: self.catalog_id.clone(),
                create_database: !self.no_create_database,
                retry: Duration::from_secs(retry_timeout),
            },
            partition_projection: projection.map(|switch| switch == Switch::On),
            partition_index: publication.partition_index,
            database: self.database.clone(),
            ..CatalogOptions::new(table)
        }
    }
}

impl CatalogLakeArgs {
    /// Returns the options of the catalog as it is; the lake knows the base name of its tables.
    pub(in crate::cli) fn options(&self) -> CatalogOptions {
        self.options_with(&PublicationArgs::default())
    }

    /// Returns the options of the catalog as it is to be.
    pub(in crate::cli) fn options_with(&self, publication: &PublicationArgs) -> CatalogOptions {
        let retry = self.place.aws.retry_timeout;
        self.catalog.options(publication, retry, DEFAULT_TABLE)
    }
}
