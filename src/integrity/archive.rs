//! Archives as sources: their members are read one after the other, and hashed side by side.
//!
//! A member counts as the object that it was: by its own path, wherever the archive lies. Archives are read
//! one at a time, so that what one holds in memory can wait for what hashes return. What has not the
//! name of a log or a digest may be an archive itself.

use crate::decode::{Caps, DEFAULT_MAX_RATIO, Passwords};
use crate::error::{Error, ErrorKind, Reaction, Result};
use crate::integrity::content::Problem;
use crate::integrity::digest_name::is_digest;
use crate::integrity::inventory::Metadata;
use crate::integrity::reading::{
    Found, LARGEST_DIGEST, Reading, Totals, permits_for, read_content,
};
use crate::integrity::verdict::Verdict;
use crate::keys::parse as parse_layout;
use crate::source::{DigestFolders, MAX_LEVELS, Member, MemberSink, Object, Unpacking, members};
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// What reading an archive takes.
#[derive(Clone, Debug)]
pub(super) struct Unpacker {
    pub reading: Arc<Reading>,
    pub totals: Arc<Totals>,
    pub memory: Arc<Semaphore>,
    pub processors: Arc<Semaphore>,
}

impl Unpacker {
    /// Reads an archive from one end to the other, on a thread that may wait.
    ///
    /// # Errors
    /// `Unavailable` when a bucket does not answer. What is wrong with the archive is found, and no error.
    pub(super) fn read(&self, object: &Object, handle: &Handle) -> Result<Vec<Found>> {
        let caps = Caps {
            max_object_bytes: self.reading.largest_log.max(LARGEST_DIGEST),
            max_ratio: DEFAULT_MAX_RATIO,
        };
        let passwords = &self.reading.passwords;
        let unpacking = Unpacking {
            caps: &caps,
            passwords,
            reads_hidden: false,
            stored: object.size,
            level: 0,
        };
        let mut hashing = Hashing {
            unpacker: self,
            handle,
            caps: &caps,
            passwords,
            stored: object.size,
            prefix: format!("{}!/", object.key),
            held: None,
            tasks: JoinSet::new(),
            found: Vec::new(),
        };
        let opened = object.open(handle);
        match opened.and_then(|opened| members(opened, &unpacking, &mut hashing)) {
            Ok(Some(_)) => {}
            Ok(None) => hashing.add_damage(&object.key, &Error::bad_input("not an archive")),
            Err(err) if is_of_the_archive(&err) => hashing.add_damage(&object.key, &err),
            Err(err) => return Err(err.at("archive", &object.key)),
        }
        hashing.finish()
    }
}

/// Returns whether an error is about what was read, and reading other objects may go on.
fn is_of_the_archive(err: &Error) -> bool {
    let is_lasting = matches!(err.kind(), ErrorKind::Denied | ErrorKind::Io);
    is_lasting || err.is_changed() || err.kind().reaction() == Reaction::Quarantine
}

/// Takes members, and hands them to the threads that hash.
struct Hashing<'a> {
    unpacker: &'a Unpacker,
    handle: &'a Handle,
    caps: &'a Caps,
    passwords: &'a Passwords,
    /// Bytes of the outermost archive.
    stored: u64,
    /// What stands before the names of members.
    prefix: String,
    /// The memory of the next member.
    held: Option<OwnedSemaphorePermit>,
    tasks: JoinSet<Found>,
    found: Vec<Found>,
}

impl Hashing<'_> {
    fn add_damage(&mut self, address: &str, err: &Error) {
        let verdict = match err.kind().reaction() {
            Reaction::Quarantine => Verdict::InvalidFormat,
            _ => Verdict::Unreadable,
        };
        self.found.push(Found::Damaged(address.to_owned(), verdict, err.to_string()));
    }

    fn finish(mut self) -> Result<Vec<Found>> {
        while let Some(done) = self.handle.block_on(self.tasks.join_next()) {
            self.found.push(done.map_err(panicked)?);
        }
        Ok(self.found)
    }

    /// Reads a member that is an archive by what is in it, whatever it is called.
    fn open(&mut self, address: &str, level: u8, bytes: Vec<u8>) -> Result<()> {
        let unpacking = Unpacking {
            reads_hidden: false,
            caps: self.caps,
            passwords: self.passwords,
            stored: self.stored,
            level: level.min(MAX_LEVELS),
        };
        let outer = std::mem::replace(&mut self.prefix, format!("{address}!/"));
        let read = members(Cursor::new(bytes), &unpacking, self);
        self.prefix = outer;
        match read {
            Ok(Some(_)) => {}
            Ok(None) => {
                self.unpacker.totals.objects_other.fetch_add(1, Ordering::Relaxed);
            }
            Err(err) if err.kind().reaction() == Reaction::Quarantine => {
                self.add_damage(address, &err);
            }
            Err(err) => return Err(err),
        }
        Ok(())
    }

    /// Hashes a log or a digest on another thread.
    fn hash(&mut self, address: String, is_digest: bool, bytes: Result<Vec<u8>>) -> Result<()> {
        let closed = |_| Error::new(ErrorKind::Bug, "the limit of threads is closed");
        let processors = Arc::clone(&self.unpacker.processors);
        let processor = self.handle.block_on(processors.acquire_owned()).map_err(closed)?;
        let (reading, totals) =
            (Arc::clone(&self.unpacker.reading), Arc::clone(&self.unpacker.totals));
        let memory = self.held.take();
        let work = move || {
            let _until_done = (processor, memory);
            match bytes {
                Ok(bytes) => {
                    read_content(address, is_digest, &bytes, Metadata::default(), &reading, &totals)
                }
                Err(err) => {
                    Found::new(address, is_digest, Err(Problem::Unreadable(err.to_string())))
                }
            }
        };
        self.tasks.spawn_blocking_on(work, self.handle);
        while let Some(done) = self.tasks.try_join_next() {
            self.found.push(done.map_err(panicked)?);
        }
        Ok(())
    }
}

fn panicked(err: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Bug, "a task panicked").because(err)
}

impl MemberSink for Hashing<'_> {
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        let have = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = (permits_for(bytes) as usize).saturating_sub(have) as u32;
        if more == 0 {
            return Ok(());
        }
        let memory = Arc::clone(&self.unpacker.memory);
        let more = self.handle.block_on(memory.acquire_many_owned(more));
        let more = more.map_err(|_| Error::new(ErrorKind::Bug, "the limit of memory is closed"))?;
        match &mut self.held {
            Some(held) => held.merge(more),
            held => *held = Some(more),
        }
        Ok(())
    }

    fn take(&mut self, member: Member) -> Result<()> {
        let Member { name, level, bytes, .. } = member;
        let address = format!("{}{name}", self.prefix);
        let own = name.rsplit_once("!/").map_or(&*name, |(_, own)| own);
        let layout = parse_layout(own);
        let is_digest = is_digest(own);
        let reading = &self.unpacker.reading;
        if is_digest {
            return self.hash(address, true, bytes);
        }
        if layout.holds_logs() {
            let is_wanted = reading.digests != DigestFolders::Alone && reading.period.wants(own);
            return if is_wanted { self.hash(address, false, bytes) } else { Ok(()) };
        }
        match bytes {
            Ok(bytes) => self.open(&address, level, bytes),
            Err(err) => {
                self.add_damage(&address, &err);
                Ok(())
            }
        }
    }
}
