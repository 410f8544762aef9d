//! Which objects there are: folders, files and archives, with what their keys say.

mod archive;
mod layout;

use crate::error::{Error, Result};
pub use archive::{ArchiveKind, Member, members};
pub use layout::{Folder, Layout, parse as parse_layout};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use walkdir::WalkDir;

/// One object to convert, or an archive of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its identity: the absolute path.
    pub key: String,
    /// Size in bytes, as stored.
    pub size: u64,
    /// Changes when the object's bytes do: size and modification time of a file.
    pub etag: String,
    /// What the key says.
    pub layout: Layout,
    /// Whether it holds other objects.
    pub archive: Option<ArchiveKind>,
}

/// What a listing found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Objects to convert, in the order they are converted in.
    pub objects: Vec<Object>,
    /// Digests and other services' objects that were passed over.
    pub ignored: u64,
}

impl Object {
    /// Returns an estimate of the JSON bytes inside; CloudTrail compresses 10 to 15 times.
    pub fn json_estimate(&self) -> u64 {
        let is_plain = self.key.ends_with(".json") || self.key.ends_with(".log");
        if is_plain { self.size } else { self.size.saturating_mul(12) }
    }

    fn order(&self) -> impl Ord + '_ {
        let Layout { folder, account, region, organization, date } = &self.layout;
        let folder = match folder {
            Folder::Logs(family) => Some(*family),
            _ => None,
        };
        (folder, organization, account, region, date, &self.key)
    }
}

/// Lists every source, which are files or folders.
///
/// Names that start with `.` or `_` are passed over in folders, as every engine does.
///
/// # Errors
/// `Config` for a source that does not exist, `Io` for a folder that cannot be read.
pub fn list(sources: &[PathBuf]) -> Result<Listing> {
    let mut listing = Listing::default();
    for source in sources {
        let root = source.canonicalize().map_err(|err| {
            Error::config("cannot open the source").at("path", source.display()).because(err)
        })?;
        let walk = WalkDir::new(&root).follow_links(true).into_iter().filter_entry(|entry| {
            entry.depth() == 0 || !is_hidden(entry.file_name().as_encoded_bytes())
        });
        for entry in walk {
            let entry = entry.map_err(|err| Error::io("cannot list the source", err))?;
            if entry.file_type().is_file() {
                add(entry.path(), &mut listing)?;
            }
        }
    }
    listing.objects.sort_by(|a, b| a.order().cmp(&b.order()));
    listing.objects.dedup_by(|a, b| a.key == b.key);
    Ok(listing)
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") || name.starts_with(b"_")
}

fn add(path: &Path, listing: &mut Listing) -> Result<()> {
    let key = path.to_string_lossy().into_owned();
    let layout = parse_layout(&key);
    if matches!(layout.folder, Folder::Digest | Folder::Other) {
        listing.ignored += 1;
        return Ok(());
    }
    let meta = path
        .metadata()
        .map_err(|err| Error::io("cannot read a source object", err).at("object", &key))?;
    let modified = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let etag = format!("{:x}-{:x}", meta.len(), modified.unwrap_or_default().as_nanos());
    let archive = ArchiveKind::of_name(&key);
    listing.objects.push(Object { key, size: meta.len(), etag, layout, archive });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_without_digests_and_hidden_names() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/02/b.json.gz",
            "AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01/a.json.gz",
            "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2024/05/01/d.json.gz",
            "AWSLogs/111122223333/Config/us-east-1/2024/5/1/c.json.gz",
            "_trailmill/x.json",
            ".hidden.json",
            "loose.json",
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }

        let listing = list(&[root.path().to_owned(), root.path().join("loose.json")]).unwrap();

        let names: Vec<_> =
            listing.objects.iter().map(|o| o.key.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["loose.json", "a.json.gz", "b.json.gz"]);
        assert_eq!(listing.ignored, 2);
        assert!(list(&[root.path().join("absent")]).is_err());
    }
}
