//! Which objects there are: folders, files and archives, with what their keys say.

mod archive;
mod layout;
mod reader;

use crate::error::{Error, Result};
use crate::location::Location;
use crate::storage::{Bucket, S3};
pub use archive::{ArchiveKind, Member, members};
pub use layout::{Folder, Layout, parse as parse_layout};
pub use reader::ReadSeek;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use walkdir::WalkDir;

/// One object to convert, or an archive of them.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its identity: the absolute path, with bytes that are not UTF-8 as `\xNN`, or `s3://bucket/key`.
    pub key: String,
    /// Where it is.
    pub place: Place,
    /// Size in bytes, as stored.
    pub size: u64,
    /// Changes when the object's bytes do: size and modification time of a file.
    pub etag: String,
    /// JSON bytes inside: what a gzip trailer claims, or an estimate.
    pub json_estimate: u64,
    /// What the key says.
    pub layout: Layout,
    /// Whether it holds other objects.
    pub archive: Option<ArchiveKind>,
}

/// Where an object's bytes are.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// An object of a bucket; its key is that of the object, after the bucket's name.
    Bucket(Bucket),
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
    /// Returns the key in its bucket.
    pub fn bucket_key(&self) -> &str {
        let rest = self.key.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        rest.map_or(&self.key, |(_, key)| key)
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

/// Lists every source: files, folders and prefixes of buckets.
///
/// Names that start with `.` or `_` are passed over in folders, as every engine does.
///
/// # Errors
/// `Config` for a source that does not exist, `Io` for a folder that cannot be read, `Denied` and
/// `Unavailable` from a bucket.
pub async fn list(sources: &[Location], s3: &S3) -> Result<Listing> {
    let mut listing = Listing::default();
    for source in sources {
        let source = match source {
            Location::Local(path) => path,
            Location::S3 { bucket, prefix } => {
                list_bucket(&s3.bucket(bucket).await?, prefix, &mut listing).await?;
                continue;
            }
        };
        let root = source.canonicalize().map_err(|err| {
            Error::config("cannot open the source").at("path", source.display()).because(err)
        })?;
        let walk = WalkDir::new(&root).follow_links(true).into_iter().filter_entry(|entry| {
            entry.depth() == 0 || !is_hidden(entry.file_name().as_encoded_bytes())
        });
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_file() => add(entry.path(), &mut listing)?,
                Ok(_) => {}
                // Links to nowhere or in a circle hold no objects.
                Err(err) if is_broken_link(&err) => listing.ignored += 1,
                Err(err) => return Err(Error::io("cannot list the source", err)),
            }
        }
    }
    listing.objects.sort_by(|a, b| a.order().cmp(&b.order()));
    listing.objects.dedup_by(|a, b| a.key == b.key);
    Ok(listing)
}

/// JSON bytes of a gzipped byte of CloudTrail, about; what is fetched tells exactly.
const USUAL_RATIO: u64 = 16;

async fn list_bucket(bucket: &Bucket, prefix: &str, listing: &mut Listing) -> Result<()> {
    let mut token: Option<String> = None;
    loop {
        let page = bucket.page(prefix, false, None, token.as_deref()).await?;
        for found in page.objects {
            let below = found.key.strip_prefix(prefix).unwrap_or(&found.key);
            if found.key.ends_with('/') || below.split('/').any(|part| is_hidden(part.as_bytes())) {
                continue;
            }
            let layout = parse_layout(&found.key);
            if matches!(layout.folder, Folder::Digest | Folder::Other) {
                listing.ignored += 1;
                continue;
            }
            let archive = ArchiveKind::of_name(&found.key);
            let is_packed = archive.is_none() && found.key.ends_with(".gz");
            listing.objects.push(Object {
                key: bucket.address(&found.key),
                place: Place::Bucket(bucket.clone()),
                size: found.size,
                etag: found.etag,
                json_estimate: if is_packed { found.size * USUAL_RATIO } else { found.size },
                layout,
                archive,
            });
        }
        token = page.next;
        if token.is_none() {
            return Ok(());
        }
    }
}

fn is_broken_link(err: &walkdir::Error) -> bool {
    let kind = err.io_error().map(std::io::Error::kind);
    err.loop_ancestor().is_some()
        || kind == Some(std::io::ErrorKind::NotFound)
        || err.path().is_some_and(Path::is_symlink)
}

/// The path as text; different paths never become the same text.
fn key_of(path: &Path) -> String {
    use std::fmt::Write;
    let mut key = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        key.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(key, "\\x{byte:02X}");
        }
    }
    key
}

/// The JSON bytes of a file: the size, or for gzip what its trailer claims, as far as deflate can
/// reach. A trailer speaks for the last member only, so that the size is the least.
fn json_estimate(path: &Path, size: u64) -> u64 {
    use std::io::{Read, Seek, SeekFrom};
    let claimed = || -> std::io::Result<Option<u64>> {
        let mut file = std::fs::File::open(path)?;
        let mut head = [0; 2];
        file.read_exact(&mut head)?;
        if head != [0x1f, 0x8b] {
            return Ok(None);
        }
        let mut tail = [0; 4];
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut tail)?;
        Ok(Some(u64::from(u32::from_le_bytes(tail))))
    };
    match claimed() {
        Ok(Some(claimed)) => claimed.clamp(size, size.saturating_mul(1032)),
        _ => size,
    }
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") || name.starts_with(b"_")
}

fn add(path: &Path, listing: &mut Listing) -> Result<()> {
    let key = key_of(path);
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
    let json_estimate = match archive {
        Some(_) => meta.len(),
        None => json_estimate(path, meta.len()),
    };
    listing.objects.push(Object {
        key,
        place: Place::File(path.to_owned()),
        size: meta.len(),
        etag,
        json_estimate,
        layout,
        archive,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_listed_without_digests_and_hidden_names() {
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

        let listing = list(
            &[root.path().to_owned().into(), root.path().join("loose.json").into()],
            &S3::default(),
        )
        .await
        .unwrap();

        let names: Vec<_> =
            listing.objects.iter().map(|o| o.key.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["loose.json", "a.json.gz", "b.json.gz"]);
        assert_eq!(listing.ignored, 2);
        let absent = Location::from(root.path().join("absent"));
        assert!(list(&[absent], &S3::default()).await.is_err());
    }
}
