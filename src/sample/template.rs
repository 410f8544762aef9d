//! A small language for JSON with holes, compiled once and rendered per record.
//!
//! A template is JSON text; between two `%` stands a hole, and `%%` is a percent sign. Names drawn
//! from a pool (`word`, `id`, `key`, …) depend only on the account and the record, so that the same
//! hole gives the same text in `requestParameters`, `resources` and everywhere else in the record.
//!
//! | hole | writes |
//! |---|---|
//! | `account`, `region`, `partition`, `suffix` | where the record belongs; `aws`, `amazonaws.com` |
//! | `time`, `millis` | the event's time as text without `Z`, and in milliseconds |
//! | `uuid`, `hex:N`, `upper:N`, `b64:N`, `int:A:B` | a fresh random value |
//! | `size:M:F` | bytes of an object: half are below M, one sigma is a factor of F % |
//! | `id:N:P`, `uid:P`, `word:P` | N hex digits, a UUID or a name, out of P that the account has |
//! | `bucket`, `key`, `user`, `role`, `ip` | names out of the account's pools |
//! | `pick:A\|B\|C` | one of the texts |
//! | `[:A:B` … `]` | what stands between, A to B times, with commas |

use super::actor::Actor;
use super::dice::{
    BASE64, Dice, UPPER, mix, put, put_hex, put_letters, put_number, put_time, put_uuid,
};
use super::layout::Account;
use crate::error::{Error, ErrorKind, Result};

/// What a record's holes are filled from.
pub(super) struct Scene<'a> {
    pub(super) account: &'a Account,
    pub(super) region: &'static str,
    /// Seconds since 1970.
    pub(super) time: i64,
    /// Decides everything in the record that is its own.
    pub(super) seed: u64,
    /// Decides which names out of the account's pools the record has.
    pub(super) subject: u64,
    pub(super) dice: Dice,
    pub(super) actor: Actor,
    /// Which text a `pick` writes; `None` draws one. Oddities show all of theirs in turn.
    pub(super) turn: Option<u64>,
}

/// A compiled template.
pub(super) struct Template(Vec<Piece>);

enum Piece {
    Text(&'static str),
    Account,
    Region,
    Partition,
    Suffix,
    Time,
    Millis,
    Uuid,
    Letters(usize, &'static [u8]),
    Number(u64, u64),
    Size(u64, u64),
    PooledHex(usize, u64),
    PooledUuid(u64),
    Word(u64),
    Bucket,
    Key,
    User,
    Role,
    Ip,
    Pick(Vec<&'static str>),
    Repeat(u64, u64, Vec<Piece>),
}

/// First halves of invented names.
const ENVIRONMENTS: [&str; 6] = ["prod", "staging", "dev", "shared", "data", "edge"];
/// Second halves of invented names.
const NOUNS: [&str; 24] = [
    "orders",
    "billing",
    "ingest",
    "catalog",
    "search",
    "reports",
    "sessions",
    "payments",
    "audit",
    "media",
    "events",
    "profiles",
    "inventory",
    "metrics",
    "gateway",
    "worker",
    "archive",
    "mailer",
    "pricing",
    "exports",
    "ledger",
    "images",
    "rollup",
    "webhooks",
];
/// People, as they appear in user names and session names.
pub(super) const PEOPLE: [&str; 16] = [
    "alice",
    "bruno",
    "chen.li",
    "dmitri",
    "elena",
    "farid",
    "grace",
    "henrik",
    "ines.costa",
    "jamal",
    "kavya",
    "lars",
    "maria",
    "noor",
    "oksana",
    "pedro",
];
/// Roles of workloads and people.
pub(super) const ROLES: [&str; 16] = [
    "prod-orders-task-role",
    "prod-ingest-lambda",
    "ci-deploy",
    "terraform-plan",
    "eks-node-group",
    "Admin",
    "ReadOnly",
    "SecurityAudit",
    "data-lake-etl",
    "prod-search-instance",
    "backup-operator",
    "monitoring-collector",
    "glue-crawler-role",
    "bedrock-agent-runtime",
    "config-recorder",
    "cross-account-inventory",
];

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// `Bug` for a hole that the language does not have: templates are part of this crate.
    pub(super) fn compile(text: &'static str) -> Result<Self> {
        let mut open: Vec<(u64, u64, Vec<Piece>)> = vec![(0, 0, Vec::new())];
        for (index, part) in text.split('%').enumerate() {
            let top = open.len() - 1;
            if index % 2 == 0 {
                if !part.is_empty() {
                    open[top].2.push(Piece::Text(part));
                }
            } else if part == "]" && top > 0 {
                if let Some((low, high, body)) = open.pop() {
                    open[top - 1].2.push(Piece::Repeat(low, high, body));
                }
            } else if let Some(bounds) = part.strip_prefix("[:") {
                let (low, high) = range(bounds).ok_or_else(|| unknown(part))?;
                open.push((low, high, Vec::new()));
            } else {
                open[top].2.push(hole(part).ok_or_else(|| unknown(part))?);
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some((_, _, pieces)), true) => Ok(Self(pieces)),
            _ => Err(unknown("[")),
        }
    }

    /// Returns whether there is nothing to render.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the text, holes filled.
    pub(super) fn render(&self, out: &mut Vec<u8>, scene: &mut Scene<'_>) {
        render(&self.0, out, scene, 0);
    }
}

#[cold]
fn unknown(hole: &str) -> Error {
    Error::new(ErrorKind::Bug, "cannot compile a sample template").at("hole", hole)
}

fn two_numbers(text: &str) -> Option<(u64, u64)> {
    let (low, high) = text.split_once(':')?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

fn range(text: &str) -> Option<(u64, u64)> {
    two_numbers(text).filter(|(low, high)| low <= high)
}

fn hole(text: &'static str) -> Option<Piece> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let count = || rest.parse().ok().filter(|count| *count > 0);
    Some(match name {
        "" => Piece::Text("%"),
        "account" => Piece::Account,
        "region" => Piece::Region,
        "partition" => Piece::Partition,
        "suffix" => Piece::Suffix,
        "time" => Piece::Time,
        "millis" => Piece::Millis,
        "uuid" => Piece::Uuid,
        "hex" => Piece::Letters(rest.parse().ok()?, b"0123456789abcdef"),
        "upper" => Piece::Letters(rest.parse().ok()?, UPPER),
        "b64" => Piece::Letters(rest.parse().ok()?, BASE64),
        "int" => range(rest).map(|(low, high)| Piece::Number(low, high))?,
        "size" => two_numbers(rest).map(|(median, factor)| Piece::Size(median, factor))?,
        "id" => two_numbers(rest)
            .filter(|(_, pool)| *pool > 0)
            .map(|(digits, pool)| Piece::PooledHex(digits as usize, pool))?,
        "uid" => Piece::PooledUuid(count()?),
        "word" => Piece::Word(count()?),
        "bucket" => Piece::Bucket,
        "key" => Piece::Key,
        "user" => Piece::User,
        "role" => Piece::Role,
        "ip" => Piece::Ip,
        "pick" => Piece::Pick(rest.split('|').collect()),
        _ => return None,
    })
}

/// `turn` counts repetitions, so that the items of a list differ.
fn render(pieces: &[Piece], out: &mut Vec<u8>, scene: &mut Scene<'_>, turn: u64) {
    let pooled = |scene: &Scene<'_>, pool: u64| {
        let word = mix(scene.subject ^ turn.wrapping_mul(0x51_7c_c1_b7), pool);
        // Two draws: few members of a pool are named often.
        let member = (word >> 32) % ((word & 0xffff_ffff) % pool + 1);
        mix(scene.account.seed, (pool << 32) | member)
    };
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Account => put!(out, scene.account.id),
            Piece::Region => put!(out, scene.region),
            Piece::Partition => put!(out, scene.account.partition),
            Piece::Suffix => put!(out, scene.account.suffix),
            Piece::Time => put_time(out, scene.time),
            Piece::Millis => {
                put_number(out, (scene.time * 1000) as u64 + scene.dice.between(0, 999));
            }
            Piece::Uuid => put_uuid(out, scene.dice.word(), scene.dice.word()),
            Piece::Letters(count, alphabet) => {
                put_letters(out, &mut scene.dice, *count, alphabet);
            }
            Piece::Number(low, high) => put_number(out, scene.dice.between(*low, *high)),
            Piece::Size(median, factor) => put_size(out, scene, *median, *factor),
            Piece::PooledHex(digits, pool) => {
                put_hex(out, &mut Dice::new(pooled(scene, *pool)), *digits);
            }
            Piece::PooledUuid(pool) => {
                let word = pooled(scene, *pool);
                put_uuid(out, word, mix(word, 1));
            }
            Piece::Word(pool) => put_name(out, pooled(scene, *pool)),
            Piece::Bucket => {
                put!(out, "acme-");
                put_name(out, pooled(scene, 40));
                put!(out, "-", scene.account.id[8..]);
            }
            Piece::Key => put_key(out, scene, turn),
            Piece::User => put!(out, PEOPLE[(pooled(scene, 16) >> 7) as usize % PEOPLE.len()]),
            Piece::Role => put!(out, ROLES[(pooled(scene, 17) >> 7) as usize % ROLES.len()]),
            Piece::Ip => put_ip(out, pooled(scene, 48)),
            Piece::Pick(texts) => {
                let count = texts.len();
                let drawn = scene.turn.unwrap_or_else(|| scene.dice.below(count as u32).into());
                let text = texts[(drawn % count as u64) as usize];
                out.extend_from_slice(text.as_bytes());
            }
            Piece::Repeat(low, high, body) => {
                for turn in 0..scene.dice.between(*low, *high) {
                    if turn > 0 {
                        out.push(b',');
                    }
                    render(body, out, scene, turn + 1);
                }
            }
        }
    }
}

/// Half of the sizes are below the median; one sigma is a factor of so many percent.
fn put_size(out: &mut Vec<u8>, scene: &mut Scene<'_>, median: u64, factor: u64) {
    let sigmas = (factor as f64 / 100.0).powf(scene.dice.normal());
    put_number(out, (median as f64 * sigmas) as u64);
}

fn put_name(out: &mut Vec<u8>, word: u64) {
    put!(
        out,
        ENVIRONMENTS[(word >> 8) as usize % ENVIRONMENTS.len()],
        "-",
        NOUNS[(word >> 20) as usize % NOUNS.len()],
        "-"
    );
    put_hex(out, &mut Dice::new(word), 4);
}

/// An S3 key: some are Hive-like, some are ids, a few have spaces and letters outside ASCII.
fn put_key(out: &mut Vec<u8>, scene: &Scene<'_>, turn: u64) {
    let word = mix(scene.subject ^ turn, 0x006b_6579);
    let noun = NOUNS[(word >> 9) as usize % NOUNS.len()];
    match word % 16 {
        0..6 => {
            put!(out, noun, "/dt=");
            put_time(out, scene.time);
            out.truncate(out.len() - "T00:00:00".len());
            put!(out, "/part-");
            put_number(out, (word >> 20) % 512);
            put!(out, ".snappy.parquet");
        }
        6..12 => {
            put!(out, "tenants/");
            put_number(out, (word >> 20) % 4096);
            put!(out, "/", noun, "/");
            put_hex(out, &mut Dice::new(word), 24);
            put!(out, ".json.gz");
        }
        12..15 => {
            put!(out, "AWSLogs/", scene.account.id, "/elasticloadbalancing/", scene.region, "/");
            put_letters(out, &mut Dice::new(word), 12, UPPER);
            put!(out, ".log.gz");
        }
        _ => put!(out, "uploads/R\u{e9}sum\u{e9} \u{2013} \u{5831}\u{544a}\u{66f8} (1).pdf"),
    }
}

/// An address of the ranges that are reserved for documentation, or a private one.
pub(super) fn put_ip(out: &mut Vec<u8>, word: u64) {
    let last = 1 + (word >> 40) % 254;
    let network = match word % 8 {
        0..3 => "203.0.113.",
        3..5 => "198.51.100.",
        5 => "192.0.2.",
        6 => "10.24.7.",
        _ => "2001:db8:4f2:9::",
    };
    put!(out, network);
    put_number(out, last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::layout::accounts;

    fn rendered(text: &'static str) -> String {
        let accounts = accounts(1, 1);
        let mut scene = Scene {
            account: &accounts[0],
            region: "eu-west-1",
            time: 1_714_564_800,
            seed: 7,
            subject: 7,
            dice: Dice::new(7),
            actor: Actor::draw(&mut Dice::new(7), 7, 7, 1_714_564_800),
            turn: None,
        };
        let mut out = Vec::new();
        Template::compile(text).unwrap().render(&mut out, &mut scene);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_same_pool_gives_the_same_name_twice_in_a_record() {
        let text = rendered("%id:17:9% %id:17:9%");
        let (left, right) = text.split_once(' ').unwrap();
        assert_eq!((left, left.len()), (right, 17));
    }

    #[test]
    fn a_list_has_commas_between_its_items_and_items_differ() {
        let text = rendered("[%[:3:3%\"%id:8:900%\"%]%]");
        let items: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(items.len(), 3);
        assert_ne!(items[0], items[1]);
    }

    #[test]
    fn unknown_holes_and_open_lists_are_refused() {
        for text in ["%nosuch%", "%[:1:2%", "%int:5:1%", "%word:0%"] {
            assert!(Template::compile(text).is_err(), "{text}");
        }
    }
}
