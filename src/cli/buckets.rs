//! Access to buckets for `verify`: the only code that both sides of its proof share.

use crate::error::{Cause, Error, ErrorKind, Result};
use crate::storage::S3;
use crate::verify::{Files, RemoteFile, Waiting};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use tokio::runtime::Handle;

/// Buckets, read on the threads of a runtime that is not the caller's.
#[derive(Debug)]
pub(super) struct Buckets {
    pub s3: Arc<S3>,
    pub runtime: Handle,
}

impl Files for Buckets {
    fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<RemoteFile>> {
        self.runtime.block_on(async {
            let opened = self.s3.bucket(bucket).await?;
            let (mut files, mut token) = (Vec::new(), None::<String>);
            loop {
                let page = opened.page(prefix, false, None, token.as_deref()).await?;
                files.extend(page.objects.into_iter().map(|object| RemoteFile {
                    bucket: bucket.to_owned(),
                    key: object.key,
                    size: object.size,
                    etag: object.etag,
                }));
                token = page.next;
                if token.is_none() {
                    return Ok(files);
                }
            }
        })
    }

    fn read(&self, file: &RemoteFile, range: Range<u64>) -> Waiting {
        let (s3, file) = (Arc::clone(&self.s3), file.clone());
        let (answer, answered) = sync_channel(1);
        self.runtime.spawn(async move {
            // The receiver is gone when an earlier read has failed.
            let _ = answer.send(read(&s3, &file, range).await);
        });
        Box::new(move || {
            let lost = |_| Error::new(ErrorKind::Bug, "a read ended without an answer");
            answered.recv().map_err(lost)?
        })
    }
}

async fn read(s3: &S3, file: &RemoteFile, range: Range<u64>) -> Result<Vec<u8>> {
    let (wanted, etag) = (range.end - range.start, Some(file.etag.as_str()));
    let got = s3.bucket(&file.bucket).await?.get_part(&file.key, etag, range).await?;
    let changed = |cause, message| Err(Error::changed(cause, message).at("object", file.address()));
    match got {
        Some(bytes) if bytes.len() as u64 == wanted => Ok(bytes.into()),
        Some(_) => {
            changed(Cause::Replaced, "the object's size differs from its listing; run again")
        }
        None => changed(Cause::Gone, "object is gone since it was listed; run again"),
    }
}
