//! Which rows may be about a resource that is asked for: what is ruled out without values of rows.
//!
//! Every row for which `Filter::is_about` or `Filter::is_in_request` says yes is among them. Most
//! resources are lists of structs and most requests long texts, so that these are looked at last.

use crate::error::Result;
use crate::history::columns::Rows;
use crate::history::criterion::{union, without};
use crate::history::pattern::Pattern;
use crate::scan::OpenFile;

/// The members of resources that name one.
const NAMES: [&str; 2] = ["resources.list.element.arn", "resources.list.element.arnprefix"];

/// Returns those of some rows of a row group that may be about a resource.
pub(super) fn may_be_about(
    patterns: &[Pattern],
    file: &OpenFile,
    group: usize,
    rows: Vec<usize>,
) -> Result<Vec<usize>> {
    if patterns.is_empty() || rows.is_empty() {
        return Ok(rows);
    }
    let is_wanted = |name: &str| patterns.iter().any(|it| it.matches(name));
    let find = |column: &str, is_wanted: &dyn Fn(&str) -> bool, among: &[usize]| {
        if among.is_empty() {
            Ok(Vec::new())
        } else {
            file.texts(group, column, is_wanted)?.rows(Some(among))
        }
    };
    let mut found = find("lambda_function", &is_wanted, &rows)?;
    found = union(&found, &in_buckets(patterns, file, group, &rows)?);
    let mut left = without(&rows, &found);
    for names in NAMES {
        let beginning = file.beginning(group, names)?;
        if patterns.iter().any(|it| it.may_begin_with(&beginning)) {
            found = union(&found, &find(names, &is_wanted, &left)?);
        }
    }
    left = without(&left, &found);
    // A request to S3 that names a bucket names no other resource.
    let of_s3 = find("eventsource", &|source| source == "s3.amazonaws.com", &left)?;
    left = without(&left, &find("s3_bucket", &|bucket| !bucket.is_empty(), &of_s3)?);
    let may_name = |request: &str| patterns.iter().any(|it| it.may_be_in_json(request));
    left = find("requestparameters", &may_name, &left)?;
    // Nor is the request asked where resources are listed.
    for names in NAMES {
        left = without(&left, &find(names, &|name| !name.is_empty(), &left)?);
    }
    Ok(union(&found, &left))
}

/// Returns the rows whose bucket is asked for, or whose bucket and key together are.
fn in_buckets(
    patterns: &[Pattern],
    file: &OpenFile,
    group: usize,
    rows: &[usize],
) -> Result<Vec<usize>> {
    let is_wanted = |name: &str| patterns.iter().any(|it| it.matches(name));
    let may_be = |bucket: &str| {
        let beginning = format!("{bucket}/");
        is_wanted(bucket) || patterns.iter().any(|it| it.may_begin_with(&beginning))
    };
    let some = file.texts(group, "s3_bucket", &may_be)?.rows(Some(rows))?;
    if some.is_empty() {
        return Ok(some);
    }
    let values = Rows::new(file.read(group, &["s3_bucket", "s3_key"], Some(&some))?);
    let is_in = |at: usize| {
        let (bucket, key) = (values.text("s3_bucket", at), values.text("s3_key", at));
        is_wanted(bucket) || (!key.is_empty() && is_wanted(&format!("{bucket}/{key}")))
    };
    let numbered = some.iter().enumerate();
    Ok(numbered.filter(|(at, _)| is_in(*at)).map(|(_, row)| *row).collect())
}
