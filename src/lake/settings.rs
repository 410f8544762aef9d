//! The settings that change what is written: one struct for options, intents, manifests and plans.

use crate::codec::{Compression, DEFAULT_COMPRESSION};
use crate::decode::Caps;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::unit::hash_identity;
use crate::partition::PartitionBy;
use crate::units::ByteCount;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// JSON bytes that are converted as one unit, unless an option says otherwise. A unit becomes one
/// file per partition; CloudTrail Parquet takes 5 to 10 % of its JSON.
pub const DEFAULT_UNIT_SIZE: ByteCount = ByteCount::mb(64);

/// The size at which a data file ends, unless an option says otherwise.
pub const DEFAULT_TARGET_FILE_SIZE: ByteCount = ByteCount::mb(128);

/// The base name of the tables, unless an option says otherwise.
pub const DEFAULT_TABLE: &str = "cloudtrail";

/// Whether the schema lock may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaMode {
    /// New fields are added to the lock.
    Evolve,
    /// Only fields that are locked become columns.
    Frozen,
}

impl FromStr for SchemaMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "evolve" => Ok(Self::Evolve),
            "frozen" => Ok(Self::Frozen),
            _ => Err(Error::config(format!(
                "unknown schema mode `{text}`: expected evolve or frozen"
            ))),
        }
    }
}

/// What happens to exact copies of records that are in the lake already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// They are counted and not written again.
    Drop,
    /// They are written.
    Keep,
}

impl FromStr for Duplicates {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "drop" => Ok(Self::Drop),
            "keep" => Ok(Self::Keep),
            _ => Err(Error::config(format!(
                "unknown rule for duplicates `{text}`: expected drop or keep"
            ))),
        }
    }
}

impl fmt::Display for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drop",
            Self::Keep => "keep",
        })
    }
}

/// Which wrappers records are taken out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unwrap {
    /// None: what is not a record or CloudTrail's own envelope is foreign.
    Off,
    /// Those that are known.
    Known,
    /// Whatever holds objects that look like records.
    Any,
}

impl FromStr for Unwrap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "off" => Ok(Self::Off),
            "known" => Ok(Self::Known),
            "any" => Ok(Self::Any),
            _ => {
                let message =
                    format!("unknown choice of wrappers `{text}`: expected off, known or any");
                Err(Error::config(message))
            }
        }
    }
}

impl fmt::Display for Unwrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Known => "known",
            Self::Any => "any",
        })
    }
}

/// The settings that change what is written. They are part of every unit's identity: a unit that is
/// converted again with the same ones gets the same bytes, and with others, other names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSettings {
    /// The version of the program.
    pub program: String,
    /// Partition keys, in order.
    pub partition_by: PartitionBy,
    /// Whether typed tables are written.
    pub typed: bool,
    /// Whether the schema may grow.
    pub schema: SchemaMode,
    /// What happens to copies.
    pub duplicates: Duplicates,
    /// Codec and level.
    pub compression: Compression,
    /// The size at which a data file ends.
    pub target_file_size: ByteCount,
    /// JSON bytes of a unit.
    pub unit_size: ByteCount,
    /// Limits of one object.
    pub caps: Caps,
    /// The base name of the tables.
    pub table: String,
    /// Which wrappers records are taken out of.
    pub unwrap: Unwrap,
    /// Whether an event time without a zone is UTC.
    pub assume_utc: bool,
    /// Whether digests are converted.
    pub digests: bool,
    /// Whether names that begin with `.` or `_` are read, too: of files, folders and members of archives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Whether rows of missing data files are written again, from their sources.
    pub restores: bool,
    /// What tells the passwords of encrypted archives from others, if there are any: too little to find
    /// them by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passwords: Option<String>,
    /// With `--integrity require`, a name of what digests list: what they do not list is not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proofs: Option<String>,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            partition_by: PartitionBy::default(),
            typed: true,
            schema: SchemaMode::Evolve,
            duplicates: Duplicates::Drop,
            compression: DEFAULT_COMPRESSION,
            target_file_size: DEFAULT_TARGET_FILE_SIZE,
            unit_size: DEFAULT_UNIT_SIZE,
            caps: Caps::default(),
            table: DEFAULT_TABLE.to_owned(),
            unwrap: Unwrap::Known,
            assume_utc: false,
            digests: true,
            hidden: false,
            restores: false,
            passwords: None,
            proofs: None,
        }
    }
}

impl OutputSettings {
    /// Returns what decides whether an object is quarantined or ignored: the program's version, the
    /// limits, how input is read, and the passwords.
    pub fn judge(&self) -> String {
        let Self { program, unit_size, caps, unwrap, assume_utc, digests, hidden, .. } = self;
        let Caps { max_object_bytes, max_ratio } = caps;
        let passwords = self.passwords.as_ref().map(|check| format!(" passwords={check}"));
        let hidden = if *hidden { " hidden=true" } else { "" };
        format!(
            "trailmill {program} unit={} max_object={max_object_bytes} max_ratio={max_ratio} \
             unwrap={unwrap} assume_utc={assume_utc} digests={digests}{hidden}{}",
            unit_size.0,
            passwords.unwrap_or_default()
        )
    }
}

/// What goes into the identities of units beside their objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitBasis {
    /// The settings that change output.
    pub settings: OutputSettings,
    /// The lake's last barrier when the unit was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barrier: Option<u64>,
    /// The plan that the unit is of: names of one plan's files are never those of another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

impl UnitBasis {
    /// Returns the basis of units that are cut after a barrier.
    pub fn after_barrier(settings: OutputSettings, barrier: Option<u64>) -> Self {
        Self { settings, barrier, plan: None }
    }

    /// Returns the basis of a plan's units.
    pub fn of_plan(settings: OutputSettings, plan: &str) -> Self {
        Self { settings, barrier: None, plan: Some(plan.to_owned()) }
    }

    /// Renders what is hashed: JSON, in the order of the fields.
    fn render(&self) -> Result<Vec<u8>> {
        // No `..` and no `#[serde(skip)]`: without a setting in it, a unit that is converted again could
        // write other bytes under the same names.
        let OutputSettings {
            program: _,
            partition_by: _,
            typed: _,
            schema: _,
            duplicates: _,
            compression: _,
            target_file_size: _,
            unit_size: _,
            caps: Caps { max_object_bytes: _, max_ratio: _ },
            table: _,
            unwrap: _,
            assume_utc: _,
            digests: _,
            hidden: _,
            restores: _,
            passwords: _,
            proofs: _,
        } = &self.settings;
        let bug = |err| Error::new(ErrorKind::Bug, "cannot render the settings").because(err);
        serde_json::to_vec(self).map_err(bug)
    }

    /// Returns the identity of a unit of objects, by key and etag: 16 hexadecimal digits.
    ///
    /// # Errors
    /// `Bug` when the settings cannot be rendered.
    pub fn identity<'a>(
        &self,
        objects: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<String> {
        Ok(hash_identity(&self.render()?, objects))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_depends_on_every_setting_and_on_keys_and_etags() {
        type Objects<'a> = &'a [(&'static str, &'static str)];
        let of = |settings: OutputSettings, barrier, objects: Objects<'_>| {
            let basis = UnitBasis::after_barrier(settings, barrier);
            basis.identity(objects.iter().copied()).unwrap()
        };
        let same = OutputSettings::default;
        let objects: Objects<'_> = &[("a", "1"), ("b", "2")];
        let base = of(same(), None, objects);
        assert_eq!(base, of(same(), None, objects));
        assert_eq!(base.len(), 16);
        let plans = ["p", "q"].map(|plan| UnitBasis::of_plan(same(), plan));
        let mut all = vec![
            base,
            of(same(), Some(0), objects),
            of(same(), Some(1), objects),
            of(same(), None, &[("a", "1")]),
            of(same(), None, &[("a", "12"), ("b", "")]),
            of(same(), None, &[("b", "2"), ("a", "1")]),
            plans[0].identity(objects.iter().copied()).unwrap(),
            plans[1].identity(objects.iter().copied()).unwrap(),
        ];
        let caps = |max_object_bytes, max_ratio| Caps { max_object_bytes, max_ratio };
        for other in [
            OutputSettings { program: "0".into(), ..same() },
            OutputSettings { partition_by: "region".parse().unwrap(), ..same() },
            OutputSettings { typed: false, ..same() },
            OutputSettings { schema: SchemaMode::Frozen, ..same() },
            OutputSettings { duplicates: Duplicates::Keep, ..same() },
            OutputSettings { compression: Compression::Zstd(2), ..same() },
            OutputSettings { compression: Compression::Snappy, ..same() },
            OutputSettings { target_file_size: ByteCount(1), ..same() },
            OutputSettings { unit_size: ByteCount(1), ..same() },
            OutputSettings { caps: caps(1, same().caps.max_ratio), ..same() },
            OutputSettings { caps: caps(same().caps.max_object_bytes, 1), ..same() },
            OutputSettings { table: "t".into(), ..same() },
            OutputSettings { unwrap: Unwrap::Off, ..same() },
            OutputSettings { unwrap: Unwrap::Any, ..same() },
            OutputSettings { assume_utc: true, ..same() },
            OutputSettings { digests: false, ..same() },
            OutputSettings { restores: true, ..same() },
            OutputSettings { proofs: Some("0".into()), ..same() },
        ] {
            let json = serde_json::to_string(&other).unwrap();
            assert_eq!(serde_json::from_str::<OutputSettings>(&json).unwrap(), other);
            all.push(of(other, None, objects));
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn settings_that_are_no_settings_are_refused() {
        let json = serde_json::to_string(&OutputSettings::default()).unwrap();
        for (good, bad) in [
            ("zstd:1", "zstd:99"),
            (r#"["account","region""#, r#"["account","account""#),
            ("evolve", "shrink"),
            (r#""typed":true,"#, ""),
        ] {
            assert!(json.contains(good), "{json}");
            let json = json.replace(good, bad);
            assert!(serde_json::from_str::<OutputSettings>(&json).is_err(), "{json}");
        }
    }

    #[test]
    fn version_limits_and_how_input_is_read_judge_and_nothing_else() {
        let same = OutputSettings::default;
        let judge = same().judge();
        let names = OutputSettings { table: "t".into(), typed: false, ..same() };
        assert_eq!(judge, names.judge());
        for other in [
            OutputSettings { program: "0".into(), ..same() },
            OutputSettings { unit_size: ByteCount(1), ..same() },
            OutputSettings { unwrap: Unwrap::Off, ..same() },
            OutputSettings { unwrap: Unwrap::Any, ..same() },
            OutputSettings { assume_utc: true, ..same() },
            OutputSettings { passwords: Some("1234".to_owned()), ..same() },
            OutputSettings { caps: Caps { max_ratio: 1, ..Caps::default() }, ..same() },
        ] {
            assert_ne!(judge, other.judge());
        }
    }
}
