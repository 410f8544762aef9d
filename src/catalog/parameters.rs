//! Names and values of table parameters, and the classes of a Parquet table.

/// The parameter that says which lake a table of a shared catalog belongs to: its address.
pub const LAKE: &str = "trailmill.lake";
/// The parameter that marks a table as ours, with its schema version.
pub(super) const SCHEMA_VERSION: &str = "trailmill.schema_version";
/// The parameter of a partition that holds the fingerprint of its columns.
pub(super) const COLUMNS: &str = "trailmill.columns";
/// The parameter that says how partitions are published, when it is not by registering them.
pub(super) const PARTITIONS: &str = "trailmill.partitions";
/// The value of [`PARTITIONS`] for a table whose partitions are projected.
pub(super) const PROJECTED: &str = "projected";
/// The parameter of a table that names the sets of views that it has.
pub(super) const VIEWS: &str = "trailmill.views";
/// The parameter that marks a view as ours, with the name of its table.
pub(super) const VIEW: &str = "trailmill.view";
/// The parameter of a view that says what it shows, in one line.
pub(super) const SHOWS: &str = "trailmill.shows";
/// The parameter that lets Athena use a partition index.
pub(super) const PARTITION_FILTERING: &str = "partition_filtering.enabled";
/// The type of a table that is a view.
pub(super) const VIRTUAL_VIEW: &str = "VIRTUAL_VIEW";
pub(super) const INPUT_FORMAT: &str =
    "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat";
pub(super) const OUTPUT_FORMAT: &str =
    "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat";
pub(super) const SERDE: &str = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
