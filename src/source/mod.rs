//! The objects of the sources: folders, files, archives and buckets, with the facts in their keys.
//!
//! Local sources are listed first, then the buckets; each in the order of slots, families,
//! organizations, accounts, regions and delivery dates. A bucket's objects come page by page and are
//! never all in memory.

mod archive;
mod embedded;
mod empty;
mod find;
mod kind;
mod listing;
mod listing_report;
mod local;
mod member;
mod named;
mod narrow;
mod pages;
mod pipe;
mod read_ahead;
mod reader;
mod section;
mod sevenz_blocks;
mod sevenz_members;
mod split;
mod tar_members;
mod walk;
mod zip_end;
mod zip_members;

use crate::keys::Layout;
use crate::location::Location;
use crate::storage::Bucket;
pub use archive::{Beside, MAX_LEVELS, Unpacking, is_archive, is_packed_archive, members};
pub use empty::{is_empty, is_in};
pub use find::{find, known_object};
pub use listing::{Listing, object as listed_object};
pub use listing_report::{DigestSavings, ListingReport};
pub use member::{Member, MemberSink};
pub use named::{NamedDays, RegionDays};
pub use narrow::{DigestFolders, Narrow, Window};
pub use pipe::{KeptPipe, is_pipe, keep_pipes};
pub use reader::ReadSeek;
pub use split::split_part;
pub use walk::Lister;

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
    /// The facts in the key.
    pub layout: Layout,
    /// Whether it is read as an archive: a file by its first bytes, an object of a bucket by its name.
    pub is_archive: bool,
    /// Why it cannot be read, if the listing shows it.
    pub blocked: Option<String>,
}

/// Where an object's bytes are.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file of this machine, at `Object::path`.
    File,
    /// An object of a bucket; its key is that of the object, after the bucket's name.
    Bucket(Bucket),
}

/// A place to read, and the part of it that is wanted.
#[derive(Clone, Debug)]
pub struct Source {
    /// A file, a folder or a prefix of a bucket.
    pub location: Location,
    /// The part that is wanted.
    pub window: Window,
}

impl From<Location> for Source {
    fn from(location: Location) -> Self {
        Self { location, window: Window::default() }
    }
}

impl Object {
    /// Returns the key in its bucket.
    pub fn bucket_key(&self) -> &str {
        let rest = self.key.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        rest.map_or(&self.key, |(_, key)| key)
    }

    fn order(&self) -> impl Ord + '_ {
        (self.layout.order(), &self.layout.date, &self.key)
    }
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") || name.starts_with(b"_")
}
