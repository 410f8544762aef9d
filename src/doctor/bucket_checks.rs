//! Sources and lakes in buckets.
//!
//! The probe in a lake is written like a conversion's own documents, including encryption and
//! conditions: exactly-once depends on a store that refuses a second put of a key.

use super::policy::{bucket_arn, objects_arn};
use super::{Doctor, Outcome, Refusal, random_name};
use crate::error::ErrorKind;
use crate::storage::{Bucket, Encryption, OWN, PublicAccess, Put, Storage};
use aws_sdk_s3::types::{Object, ObjectStorageClass, Payer, RequestPayer};

const PROBE: &[u8] =
    b"A probe of `trailmill doctor`, normally removed at once. Delete it if it is still here.\n";
const OTHER: &[u8] = b"Another probe of `trailmill doctor`.\n";

/// A probe in a lake, and how far we got with it.
struct Probe {
    storage: Storage,
    bucket: Bucket,
    /// The key in the lake, and in the bucket.
    key: String,
    full_key: String,
    address: String,
    /// Resources of the probe's permissions: every object of the lake.
    objects: Vec<String>,
}

/// Whether an object must be restored before it can be read.
fn is_archived(object: &Object) -> bool {
    let class = object.storage_class();
    matches!(class, Some(ObjectStorageClass::Glacier | ObjectStorageClass::DeepArchive))
}

impl Doctor<'_> {
    /// Checks a prefix to be read.
    pub(super) async fn source_bucket(&mut self, name: &str, prefix: &str) {
        let Some(bucket) = self.open(name).await else { return };
        let place = bucket.address(prefix);
        let sid = "TrailmillSource";
        let arn = vec![bucket_arn(bucket.region(), name)];
        let listed = match self.list(&bucket, prefix).await {
            Ok(listed) => listed,
            Err(refusal) => {
                self.note_refusal("s3:ListBucket", &place, "listed the source", &refusal, sid, arn);
                self.skip("s3:GetObject", &place, "not tried: listing failed");
                return self.facts(&bucket).await;
            }
        };
        let is_object = |object: &&Object| {
            object.size.unwrap_or(0) > 0 && object.key().is_some_and(|key| !key.ends_with('/'))
        };
        let readable = |object: &&Object| is_object(object) && !is_archived(object);
        let first = listed.iter().find(readable).or_else(|| listed.iter().find(is_object));
        match first.and_then(Object::key) {
            Some(key) => {
                self.ok("s3:ListBucket", &place, "listed the source");
                self.read_source(&bucket, prefix, key).await;
                self.warn_archived(&place, &listed);
            }
            None => {
                self.note(
                    Outcome::Warning,
                    "s3:ListBucket",
                    &place,
                    "listed the source: nothing is there",
                );
                self.fix("check the prefix: it must match the start of the keys exactly");
                self.skip("s3:GetObject", &place, "not tried: no object found");
            }
        }
        self.facts(&bucket).await;
    }

    /// Says how many objects of the listing must be restored before they can be read.
    fn warn_archived(&mut self, place: &str, listed: &[Object]) {
        let count = listed.iter().filter(|object| is_archived(object)).count();
        if count == 0 {
            return;
        }
        let detail = format!(
            "in an archive class, and left out until restored: {count} of the first {} objects",
            listed.len()
        );
        self.note(Outcome::Warning, "storage class", place, detail);
        self.fix("restore them, or leave them out with `--from`");
    }

    pub(super) async fn read_source(&mut self, bucket: &Bucket, prefix: &str, key: &str) {
        let place = bucket.address(key);
        let tried = "read a byte of the first object";
        let get = self
            .options
            .s3
            .client(bucket)
            .await
            .get_object()
            .bucket(bucket.name())
            .key(key)
            .range("bytes=0-0");
        let refusal: Refusal = match get.set_request_payer(self.payer()).send().await {
            Ok(found) => {
                self.ok("s3:GetObject", &place, tried);
                if let Some(key) = found.ssekms_key_id() {
                    self.ok(
                        "kms:Decrypt",
                        key,
                        "the object that was read is encrypted with this key",
                    );
                }
                return;
            }
            Err(err) => err.into(),
        };
        match refusal.key_action() {
            Some(action) => self.note_key_refusal(action, &place, &refusal),
            None => {
                let objects = vec![objects_arn(bucket.region(), bucket.name(), prefix)];
                self.note_refusal(
                    "s3:GetObject",
                    &place,
                    tried,
                    &refusal,
                    "TrailmillSource",
                    objects,
                );
            }
        }
    }

    /// Checks a prefix to be written.
    pub(super) async fn lake_bucket(&mut self, name: &str, prefix: &str) {
        let Some(bucket) = self.open(name).await else { return };
        let storage = match Storage::open(&self.options.lake, &self.options.s3).await {
            Ok(storage) => storage,
            Err(err) => {
                return self.note(Outcome::Failed, "lake", &bucket.address(prefix), err.message());
            }
        };
        let below = storage.address();
        let below = below.strip_prefix(&bucket.address("")).unwrap_or("").to_owned();
        let tried = "listed the lake";
        match self.list(&bucket, &below).await {
            Ok(listed) => {
                self.ok("s3:ListBucket", &storage.address(), tried);
                if !listed.is_empty() {
                    self.partitions_of_bucket(&bucket, &below, &storage.address()).await;
                }
            }
            Err(refusal) => {
                let arn = vec![bucket_arn(bucket.region(), name)];
                let place = storage.address();
                self.note_refusal("s3:ListBucket", &place, tried, &refusal, "TrailmillLake", arn);
            }
        }
        let key = format!("{OWN}/{}", random_name());
        let probe = Probe {
            full_key: format!("{below}{key}"),
            address: bucket.address(&format!("{below}{key}")),
            objects: vec![objects_arn(bucket.region(), name, &below)],
            storage,
            bucket: bucket.clone(),
            key,
        };
        self.probe(&probe).await;
        self.default_encryption(&bucket).await;
        self.facts(&bucket).await;
    }

    /// Puts, reads, puts again and removes.
    async fn probe(&mut self, probe: &Probe) {
        let Probe { storage, address, objects, .. } = probe;
        let put = storage.put_new(&probe.key, PROBE).await;
        if let Err(err) = &put {
            let refusal = Refusal::from(err);
            match refusal.key_action() {
                Some(action) => self.note_key_refusal(action, address, &refusal),
                None => {
                    let (tried, sid) = ("put a probe", "TrailmillLake");
                    self.note_refusal(
                        "s3:PutObject",
                        address,
                        tried,
                        &refusal,
                        sid,
                        objects.clone(),
                    );
                }
            }
            for subject in ["s3:GetObject", "s3:DeleteObject", "conditional put", "encryption"] {
                self.skip(subject, address, "not tried: there is no probe");
            }
            if refusal.is_denied() {
                return;
            }
        } else {
            self.ok("s3:PutObject", address, "put a probe");
            let etag = self.read_probe(probe).await;
            self.conditions(probe, etag.as_deref()).await;
            self.encryption(probe).await;
        }
        // Also after a put with an unknown outcome.
        self.remove_probe(probe, put.is_ok()).await;
    }

    /// Reads the probe; returns its etag.
    async fn read_probe(&mut self, probe: &Probe) -> Option<String> {
        let tried = "read the probe";
        match probe.bucket.get_with_etag(&probe.full_key).await {
            Ok(Some((bytes, etag))) if bytes == PROBE => {
                self.ok("s3:GetObject", &probe.address, tried);
                return Some(etag);
            }
            Ok(found) => {
                let seen = if found.is_some() {
                    "the bytes read differ from those \
                                          written"
                } else {
                    "not found"
                };
                self.note(
                    Outcome::Failed,
                    "s3:GetObject",
                    &probe.address,
                    format!("{tried}: {seen}"),
                );
                self.fix("use a store with read-after-write consistency");
            }
            Err(err) => {
                let refusal = Refusal::from(&err);
                match refusal.key_action() {
                    Some(action) => self.note_key_refusal(action, &probe.address, &refusal),
                    None => {
                        let (objects, sid) = (probe.objects.clone(), "TrailmillLake");
                        self.note_refusal(
                            "s3:GetObject",
                            &probe.address,
                            tried,
                            &refusal,
                            sid,
                            objects,
                        );
                    }
                }
            }
        }
        None
    }

    /// Checks that the store refuses conflicting puts, which exactly-once depends on.
    async fn conditions(&mut self, probe: &Probe, etag: Option<&str>) {
        let subject = "conditional put";
        let Some(etag) = etag else {
            return self.skip(subject, &probe.address, "not tried: the probe cannot be read back");
        };
        let again = probe.storage.put_new(&probe.key, OTHER).await;
        let replaced = match &again {
            Ok(Put::Differs) => {
                let wrong: String = etag.chars().rev().collect();
                probe.bucket.replace(&probe.full_key, &format!("{wrong}0"), OTHER.into()).await
            }
            _ => Ok(None),
        };
        match (again, replaced) {
            (Ok(Put::Differs), Ok(None)) => {
                let detail =
                    "a second put of the probe was refused, and so was one with a wrong etag";
                self.ok(subject, &probe.address, detail);
            }
            (Ok(_), Ok(found)) => {
                let header = if found.is_some() { "If-Match" } else { "If-None-Match: *" };
                let detail =
                    format!("the store ignores `{header}`: two runs could overwrite each other");
                self.note(Outcome::Failed, subject, &probe.address, detail);
                self.fix("use a store with conditional writes, or keep the lake in a folder");
            }
            (Err(err), _) | (_, Err(err)) => {
                let refusal = Refusal::from(&err);
                let outcome = match refusal.is_unreachable() {
                    true => Outcome::Unreachable,
                    false => Outcome::Failed,
                };
                let detail = format!("unexpected response to a second put: {}", refusal.said());
                self.note(outcome, subject, &probe.address, detail);
            }
        }
    }

    /// Checks the probe's encryption at rest, as the store reports it.
    async fn encryption(&mut self, probe: &Probe) {
        let subject = "encryption";
        let head =
            self.options.s3.client(&probe.bucket).await.head_object().bucket(probe.bucket.name());
        let head = head.key(&probe.full_key).set_request_payer(self.payer()).send().await;
        let found = match head {
            Ok(found) => found,
            Err(err) => {
                let said = Refusal::from(err).said();
                return self.skip(subject, &probe.address, format!("not known: HEAD says {said}"));
            }
        };
        let algorithm =
            found.server_side_encryption().map(|algorithm| algorithm.as_str().to_owned());
        let wanted = match &self.options.encryption {
            Encryption::BucketDefault => None,
            Encryption::S3 => Some("AES256"),
            Encryption::Kms(_) => Some("aws:kms"),
        };
        match (algorithm, wanted) {
            (Some(is), Some(wanted)) if is != wanted => {
                let detail =
                    format!("the probe is encrypted with {is}, not with {wanted} as `--sse` says");
                self.note(Outcome::Failed, subject, &probe.address, detail);
            }
            (Some(is), _) => {
                let key =
                    found.ssekms_key_id().map(|key| format!(", key {key}")).unwrap_or_default();
                self.ok(
                    subject,
                    &probe.address,
                    format!("the probe is encrypted at rest: {is}{key}"),
                );
            }
            (None, Some(wanted)) => {
                let detail =
                    format!("the store does not say that the probe is encrypted with {wanted}");
                self.note(Outcome::Failed, subject, &probe.address, detail);
            }
            (None, None) => {
                let detail = "the store does not say that the probe is encrypted at rest";
                self.note(Outcome::Warning, subject, &probe.address, detail);
                self.fix("give `--sse AES256` or `--sse aws:kms`, or set the bucket's default");
            }
        }
    }

    async fn remove_probe(&mut self, probe: &Probe, is_there: bool) {
        let tried = "removed the probe";
        let removed = probe.storage.delete(&probe.key).await;
        match removed {
            Ok(()) if is_there => self.ok("s3:DeleteObject", &probe.address, tried),
            Ok(()) => {}
            Err(err) if is_there || err.kind() != ErrorKind::Denied => {
                let refusal = Refusal::from(&err);
                let (objects, sid) = (probe.objects.clone(), "TrailmillLake");
                self.note_refusal("s3:DeleteObject", &probe.address, tried, &refusal, sid, objects);
                if let Some(last) = self.checks.last_mut() {
                    last.detail.push_str("; the probe may still be there: remove it");
                }
            }
            Err(_) => {}
        }
    }

    /// Opens a bucket, which asks for its region.
    pub(super) async fn open(&mut self, name: &str) -> Option<Bucket> {
        let place = format!("s3://{name}");
        let is_known = self.checks.iter().any(|c| c.subject == "bucket" && c.place == place);
        match self.options.s3.bucket(name).await {
            Ok(bucket) => {
                if !is_known {
                    self.ok("bucket", &place, format!("in {}", bucket.region()));
                }
                let catalog = self.options.catalog.as_ref().and(self.who.region.clone());
                if let Some(region) = catalog
                    && !is_known
                    && region != bucket.region()
                {
                    let detail = format!("in {}, the catalog in {region}", bucket.region());
                    self.note(Outcome::Warning, "region", &place, detail);
                    self.fix(
                        "bytes between regions cost money and time: give the bucket's `--aws-region`",
                    );
                }
                Some(bucket)
            }
            Err(err) if err.kind() == ErrorKind::Unavailable => {
                let detail = Refusal::from(&err).said();
                self.note(Outcome::Unreachable, "bucket", &place, detail);
                self.fix("check the network, the endpoint and the region, and try again later");
                None
            }
            Err(err) => {
                self.note(Outcome::Failed, "bucket", &place, err.message());
                self.fix("check the name, and the account or store that should have it");
                None
            }
        }
    }

    /// Lists the first objects under a prefix.
    pub(super) async fn list(&self, bucket: &Bucket, prefix: &str) -> Result<Vec<Object>, Refusal> {
        let list = self
            .options
            .s3
            .client(bucket)
            .await
            .list_objects_v2()
            .bucket(bucket.name())
            .prefix(prefix);
        let listed = list.max_keys(1000).set_request_payer(self.payer()).send().await?;
        Ok(listed.contents.unwrap_or_default())
    }

    pub(super) fn payer(&self) -> Option<RequestPayer> {
        self.options.request_payer.then_some(RequestPayer::Requester)
    }

    /// Checks settings of a bucket that runs do not depend on; once per bucket.
    async fn facts(&mut self, bucket: &Bucket) {
        if self.seen_buckets.iter().any(|seen| seen == bucket.name()) {
            return;
        }
        self.seen_buckets.push(bucket.name().to_owned());
        let place = bucket.address("");
        self.public_access(bucket, &place).await;
        self.requester_pays(bucket, &place).await;
    }

    async fn public_access(&mut self, bucket: &Bucket, place: &str) {
        let subject = "public access";
        match bucket.public_access().await {
            PublicAccess::No => self.ok(subject, place, "not public"),
            PublicAccess::Unknown(err) => {
                self.skip(subject, place, format!("not known; {}", err.message()));
            }
            PublicAccess::By(what) => {
                let detail = format!(
                    "anyone on the internet can read this bucket because of its {what}: the logs \
                     in it reveal who you are, what you run and from where"
                );
                self.note(Outcome::Warning, subject, place, detail);
                self.fix(format!(
                    "block it: aws s3api put-public-access-block --bucket {} \
                     --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,\
                     BlockPublicPolicy=true,RestrictPublicBuckets=true",
                    bucket.name()
                ));
            }
        }
    }

    async fn requester_pays(&mut self, bucket: &Bucket, place: &str) {
        let subject = "requester pays";
        let asked = self
            .options
            .s3
            .client(bucket)
            .await
            .get_bucket_request_payment()
            .bucket(bucket.name())
            .send()
            .await;
        match asked.map(|found| found.payer) {
            Ok(Some(Payer::Requester)) if !self.options.request_payer => {
                let detail = "the requester pays for this bucket, and `--request-payer` is not \
                              given";
                self.note(Outcome::Failed, subject, place, detail);
                self.fix("give `--request-payer`");
            }
            Ok(Some(Payer::Requester)) => {
                self.ok(subject, place, "the requester pays, and `--request-payer` is given");
            }
            Ok(Some(_)) => self.ok(subject, place, "the owner pays"),
            Ok(None) => self.skip(subject, place, "not known: the store does not say"),
            Err(err) => {
                let said = Refusal::from(err).said();
                let detail = format!("not known; s3:GetBucketRequestPayment says {said}");
                self.skip(subject, place, detail);
            }
        }
    }

    async fn default_encryption(&mut self, bucket: &Bucket) {
        let (subject, place) = ("default encryption", bucket.address(""));
        let asked = self
            .options
            .s3
            .client(bucket)
            .await
            .get_bucket_encryption()
            .bucket(bucket.name())
            .send()
            .await;
        let found = match asked {
            Ok(found) => found.server_side_encryption_configuration,
            Err(err) => {
                let refusal = Refusal::from(err);
                if refusal.code == "ServerSideEncryptionConfigurationNotFoundError" {
                    let detail = "the bucket has no default encryption of its own";
                    return self.ok(subject, &place, detail);
                }
                let said = refusal.said();
                let detail = format!("not known; s3:GetEncryptionConfiguration says {said}");
                return self.skip(subject, &place, detail);
            }
        };
        let default = found
            .and_then(|found| found.rules.into_iter().next())
            .and_then(|rule| rule.apply_server_side_encryption_by_default);
        match default {
            Some(default) => {
                let key = default.kms_master_key_id.map(|key| format!(", key {key}"));
                let detail =
                    format!("{}{}", default.sse_algorithm.as_str(), key.unwrap_or_default());
                self.ok(subject, &place, detail);
            }
            None => self.skip(subject, &place, "not known: the store does not say"),
        }
    }
}
