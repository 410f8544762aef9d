//! `trailmill history`.

use crate::cli::answered::read_text;
use crate::cli::args::{AnswerArgs, CacheArgs, LakePlace, duration, instant};
use crate::cli::console::say;
use crate::cli::exit::{EXIT_INCOMPLETE, EXIT_OK};
use crate::cli::identity::{Reach, say_identity};
use crate::cli::machine::threads;
use crate::engine::runtime;
use crate::error::{Error, Result};
use crate::history::{Field, Filter, IpRange, Output, Pattern};
use crate::operations::{HistoryOptions, HistoryReport, history, open_lake};
use crate::units::{EpochMillis, counted};
use clap::{Args as Group, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  trailmill history lake --user alice --since 3d
  trailmill history lake --source lambda --event 'Invoke*' --resource my-function --since 3d
  trailmill history lake --resource 'my-bucket/invoices/*' --output csv > touched.csv
  trailmill history lake --error '*AccessDenied*' --count-by user,event
  trailmill history lake --around 3a1f0c4e-… --within 5m
  trailmill history lake --access-key AKIA… --limit all --output json > Records.json";

/// Search events: who did what, from where, when.
///
/// Event history without its limits: any age, every account and region, management and data events,
/// any number of filters. Several values of one filter are alternatives, different filters must all
/// hold. Values are globs (`*`, `?`) and ignore case. Newest first. Insights and aggregated events
/// have tables of their own and are not searched.
#[derive(Debug, Group)]
#[command(after_help = EXAMPLES)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    pub place: LakePlace,

    /// User name, session name, role, ARN or principal ID
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub user: Vec<Pattern>,
    /// Session name of an assumed role
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub session: Vec<Pattern>,
    /// Access key ID
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub access_key: Vec<Pattern>,
    /// Event name, such as PutObject
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub event: Vec<Pattern>,
    /// Service: s3 or s3.amazonaws.com
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub source: Vec<Pattern>,
    /// Resource: an ARN, a name, or BUCKET/KEY of an S3 object
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub resource: Vec<Pattern>,
    /// Source address, block of addresses (10.0.0.0/8), or glob over names of services
    #[arg(long, value_name = "ADDRESS", help_heading = "Filters")]
    pub ip: Vec<IpRange>,
    /// Account that received the event
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub account: Vec<Pattern>,
    /// Region
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub region: Vec<Pattern>,
    /// Error code; `*` for every event that failed
    #[arg(long, value_name = "GLOB", help_heading = "Filters")]
    pub error: Vec<Pattern>,
    /// Event ID, in full
    #[arg(long, value_name = "ID", help_heading = "Filters")]
    pub event_id: Vec<String>,
    /// Only events that read
    #[arg(long, conflicts_with = "write", help_heading = "Filters")]
    pub read_only: bool,
    /// Only events that write
    #[arg(long, help_heading = "Filters")]
    pub write: bool,
    /// From this time on: 3d, 12h, 30m, 2w, 2026-10-01 or 2026-10-01T02:03:04Z
    #[arg(long, value_name = "TIME", value_parser = instant, help_heading = "Filters")]
    pub since: Option<EpochMillis>,
    /// Before this time; a date counts as its first instant
    #[arg(long, value_name = "TIME", value_parser = instant, help_heading = "Filters")]
    pub until: Option<EpochMillis>,
    /// Around an event: events of the same principal, before and after it
    #[arg(long, value_name = "ID", help_heading = "Filters")]
    pub around: Option<String>,
    /// Time before and after the --around event
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration,
        requires = "around", help_heading = "Filters")]
    pub within: i64,

    /// Number of events, or of counts: a number or all
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = limit)]
    pub limit: Limit,
    /// Count events by these fields, in place of showing them; as CSV
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_parser = field())]
    pub count_by: Vec<Field>,
    /// Format of the events on stdout
    #[arg(long, value_enum, default_value = "table", conflicts_with = "count_by")]
    pub output: Form,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Columns for people
    Table,
    /// CSV with a line for each event
    Csv,
    /// One document: {"Records":[…]}
    Json,
    /// A record on each line
    Jsonl,
    /// The CSV that CloudTrail's console gives
    ConsoleCsv,
}

impl From<Form> for Output {
    fn from(form: Form) -> Self {
        match form {
            Form::Table => Self::Table,
            Form::Csv => Self::Csv,
            Form::Json => Self::Json,
            Form::Jsonl => Self::Jsonl,
            Form::ConsoleCsv => Self::ConsoleCsv,
        }
    }
}

/// A number of events, or all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(Option<u64>);

fn limit(text: &str) -> Result<Limit> {
    match text {
        "all" => Ok(Limit(None)),
        _ => match text.parse() {
            Ok(count @ 1..) => Ok(Limit(Some(count))),
            _ => Err(Error::config(format!("invalid limit `{text}`: expected a number or all"))),
        },
    }
}

fn field() -> impl clap::builder::TypedValueParser<Value = Field> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = Field::ALL.map(Field::name);
    let parser = PossibleValuesParser::new(names);
    parser.map(|name| {
        Field::ALL.into_iter().find(|field| field.name() == name).unwrap_or(Field::User)
    })
}

pub(super) fn run(args: &HistoryArgs) -> Result<u8> {
    let runtime = runtime()?;
    let LakePlace { lake, aws } = &args.place;
    let s3 = aws.s3(None)?;
    say_identity(aws, &s3, Reach::of([lake], false), args.answer.quiet)?;
    let storage = runtime.block_on(open_lake(lake, &s3))?;
    let options = options(args);
    let out = std::io::stdout().lock();
    let report = runtime.block_on(history(&storage, &options, out))?;
    say(args.answer.quiet, &text(&report, &options));
    Ok(if report.events == 0 { EXIT_INCOMPLETE } else { EXIT_OK })
}

fn options(args: &HistoryArgs) -> HistoryOptions {
    let read_only = match (args.read_only, args.write) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    HistoryOptions {
        filter: Filter {
            users: args.user.clone(),
            sessions: args.session.clone(),
            access_keys: args.access_key.clone(),
            events: args.event.clone(),
            sources: args.source.clone(),
            resources: args.resource.clone(),
            ips: args.ip.clone(),
            accounts: args.account.clone(),
            regions: args.region.clone(),
            errors: args.error.clone(),
            ids: args.event_id.clone(),
            read_only,
            principal: None,
            since: args.since,
            until: args.until,
        },
        around: args.around.clone().map(|id| (id, args.within)),
        limit: args.limit.0,
        count_by: args.count_by.clone(),
        output: args.output.into(),
        threads: threads(args.answer.threads),
        cache: args.cache.options(),
    }
}

/// What was found and read, for people.
fn text(report: &HistoryReport, options: &HistoryOptions) -> String {
    let read = read_text(report.files_read, report.files, None, report.bytes_fetched);
    match (report.events, options.limit) {
        (0, _) => format!("No event matches; {read}."),
        (_, Some(limit)) if report.is_limited => {
            format!("The newest {}; --limit all shows the rest; {read}.", counted(limit, "event"))
        }
        (events, _) => format!("{}; {read}.", counted(events, "event")),
    }
}
