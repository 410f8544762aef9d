//! Names of files and documents, written and read.

/// The number of a unit, by its name.
pub fn number_of(unit: &str) -> Option<u64> {
    unit.split('-').next()?.parse().ok()
}

/// The unit in a data file's name: `part-<number>-<identity>-<segment>-<file>.parquet`.
pub fn unit_of(key: &str) -> Option<&str> {
    let name = key.rsplit('/').next()?.strip_prefix("part-")?.strip_suffix(".parquet")?;
    let (name, file) = name.rsplit_once('-')?;
    let (unit, segment) = name.rsplit_once('-')?;
    let (number, identity) = unit.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_identity = identity.len() == 16 && identity.bytes().all(|b| b.is_ascii_hexdigit());
    ([number, segment, file].into_iter().all(is_number) && is_identity).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_give_are_ours() {
        let ours = "t/account=1/part-00000007-0123456789abcdef-0000-00.parquet";
        assert_eq!(unit_of(ours), Some("00000007-0123456789abcdef"));
        for other in [
            "t/part-0000.parquet",
            "t/part-00000-0123-c000.snappy.parquet",
            "t/part-00000007-0123456789abcdef-0000-00.csv",
            "t/part-x-0123456789abcdef-0000-00.parquet",
        ] {
            assert_eq!(unit_of(other), None, "{other}");
        }
    }
}
