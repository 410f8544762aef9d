//! Sources in which nothing lies: a mistyped prefix looks like a bucket that is not written to yet.

use crate::error::Result;
use crate::location::Location;
use crate::source::local::{key_of, root_of};
use crate::storage::S3;
use walkdir::WalkDir;

/// Returns whether a source holds no objects of any kind; costs one request, or a walk to the first file.
/// A missing path is an error, not an empty source.
///
/// # Errors
/// `Config` for a bucket that does not exist, `Denied`, `Unavailable`.
pub async fn is_empty(source: &Location, s3: &S3) -> Result<bool> {
    match source {
        Location::Local(path) => Ok(path.is_dir()
            && !WalkDir::new(path)
                .follow_links(true)
                .into_iter()
                // What cannot be looked at is something.
                .any(|entry| entry.map_or(true, |entry| !entry.file_type().is_dir()))),
        Location::S3 { bucket, prefix } => {
            let page = s3.bucket(bucket).await?.page(prefix, false, None, None).await?;
            let is_marker = |key: &str| key.ends_with('/');
            Ok(page.next.is_none() && page.objects.iter().all(|object| is_marker(&object.key)))
        }
    }
}

/// Returns whether an object, by its key in the ledger, lies or lay in a source.
pub fn is_in(source: &Location, key: &str) -> bool {
    match source {
        Location::S3 { .. } => key.starts_with(&source.to_string()),
        Location::Local(path) => root_of(path).is_ok_and(|root| {
            let rest = key.strip_prefix(key_of(&root).trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '!']))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_of_folders_is_empty_and_one_with_a_file_is_not() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        let source = Location::from(root.path().to_owned());
        let is_empty_now = async || is_empty(&source, &S3::default()).await.unwrap();

        assert!(is_empty_now().await);
        std::fs::write(root.path().join("a/b/.hidden"), "").unwrap();
        assert!(!is_empty_now().await);
        let file = Location::from(root.path().join("a/b/.hidden"));
        assert!(!is_empty(&file, &S3::default()).await.unwrap());
        let absent = Location::from(root.path().join("absent"));
        assert!(!is_empty(&absent, &S3::default()).await.unwrap(), "the listing names it");
    }

    #[test]
    fn keys_are_told_by_where_they_lie() {
        let s3: Location = "s3://logs/a".parse().unwrap();
        assert!(is_in(&s3, "s3://logs/a/x.json") && is_in(&s3, "s3://logs/ab"));
        assert!(!is_in(&s3, "s3://logs/b") && !is_in(&s3, "/logs/a/x"));
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        let folder = Location::from(path.clone());
        assert!(is_in(&folder, path.join("x.json").to_str().unwrap()));
        assert!(!is_in(&folder, &format!("{}2/x.json", path.display())));
    }
}
