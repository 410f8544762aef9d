//! Parts of files that were split for transport: none of them can be read alone.

/// Returns the name of the file that a part belongs to, by the usual endings: `.aa` of `split`, `.001`, `.z01`,
/// `.part1`.
pub fn split_part(name: &str) -> Option<&str> {
    let (whole, ending) = name.rsplit_once('.')?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let lower = ending.to_ascii_lowercase();
    let is_numbered = lower.len() == 3 && is_digits(&lower);
    let is_zip = lower.strip_prefix('z').is_some_and(|rest| rest.len() == 2 && is_digits(rest));
    let is_part = lower.strip_prefix("part").is_some_and(is_digits);
    let is_letters = matches!(lower.len(), 2..=3)
        && lower.starts_with('a')
        && lower.bytes().all(|byte| byte.is_ascii_lowercase())
        // `split` adds its letters to a name that has an ending of its own.
        && whole.rsplit('/').next().is_some_and(|file| file.contains('.'));
    (is_numbered || is_zip || is_part || is_letters).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_endings() {
        for part in ["l.tar.gz.aa", "a/l.tar.gz.ab", "x.7z.001", "x.z01", "l.json.gz.part2"] {
            assert!(split_part(part).is_some(), "{part}");
        }
        for whole in ["l.tar.gz", "notes.aa", "a.b/notes.ab", "x.json", "x.gz.1", "x.zip", "x.001a"]
        {
            assert!(split_part(whole).is_none(), "{whole}");
        }
    }
}
