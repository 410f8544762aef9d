//! Views that read well in BI tools: flat rows, real booleans, one question each.
//!
//! The SELECT bodies are portable SQL: struct members by dot, `CASE`, `COALESCE`, `NULLIF`,
//! `split_part`, `TRY_CAST`. The dialects differ in two places only: how identifiers are quoted
//! and the function that takes a text out of JSON. So the `DuckDB` form, which tests can run, is
//! evidence for the other two. Every view ends with the partition columns, so that a filter on them
//! prunes as it does on the table. Views are made only of a table that has the columns they need:
//! the insight table has no `useridentity`.

use super::renamed_views::renamed;
use super::view::View;
use super::{Dialect, TableInput};

/// The columns of a view, before they are written in a dialect. A column without an expression is
/// the table's own; `{name}` stands for a shared expression.
struct Shape {
    suffix: &'static str,
    description: &'static str,
    columns: &'static [(&'static str, &'static str)],
    filter: Option<&'static str>,
}

const NEEDED: [&str; 18] = [
    "useridentity",
    "eventsource",
    "eventname",
    "awsregion",
    "sourceipaddress",
    "useragent",
    "errorcode",
    "errormessage",
    "responseelements",
    "additionaleventdata",
    "requestid",
    "eventid",
    "eventtype",
    "readonly",
    "recipientaccountid",
    "vpcendpointid",
    "tlsdetails",
    "event_timestamp",
];
const PROMOTED: [&str; 3] = ["s3_bucket", "s3_key", "lambda_function"];

/// Expressions that several views share. Who acted: the ARN, else the service, else what there is.
const SHARED: [(&str, &str); 7] = [
    (
        "{principal}",
        "COALESCE(useridentity.arn, useridentity.invokedby, useridentity.principalid, \
         useridentity.accountid)",
    ),
    (
        "{user_name}",
        "COALESCE(useridentity.username, useridentity.sessioncontext.sessionissuer.username)",
    ),
    (
        "{session_name}",
        "CASE WHEN useridentity.type = 'AssumedRole' \
         THEN NULLIF(split_part(useridentity.principalid, ':', 2), '') END",
    ),
    ("{issuer}", "useridentity.sessioncontext.sessionissuer.arn"),
    (
        "{mfa}",
        "CASE useridentity.sessioncontext.attributes.mfaauthenticated \
         WHEN 'true' THEN true WHEN 'false' THEN false END",
    ),
    // A failed console login has a message and no code.
    ("{is_error}", "(errorcode IS NOT NULL OR errormessage IS NOT NULL)"),
    ("{read_only}", "CASE readonly WHEN 'true' THEN true WHEN 'false' THEN false END"),
];

const SHAPES: [Shape; 6] = [
    Shape {
        suffix: "flat",
        description: "one flat row per event",
        columns: &[
            ("event_timestamp", ""),
            ("eventsource", ""),
            ("eventname", ""),
            ("awsregion", ""),
            ("sourceipaddress", ""),
            ("useragent", ""),
            ("errorcode", ""),
            ("errormessage", ""),
            ("recipientaccountid", ""),
            ("user_type", "useridentity.type"),
            ("user_name", "{user_name}"),
            ("user_arn", "useridentity.arn"),
            ("user_account", "useridentity.accountid"),
            ("principal", "{principal}"),
            ("session_issuer_arn", "{issuer}"),
            ("session_name", "{session_name}"),
            ("access_key_id", "useridentity.accesskeyid"),
            ("mfa_authenticated", "{mfa}"),
            ("is_error", "{is_error}"),
            ("read_only", "{read_only}"),
            ("s3_bucket", ""),
            ("s3_key", ""),
            ("lambda_function", ""),
            ("eventtype", ""),
            ("eventid", ""),
        ],
        filter: None,
    },
    Shape {
        suffix: "s3_access",
        description: "who touched which bucket and key",
        columns: &[
            ("event_timestamp", ""),
            ("eventname", ""),
            ("s3_bucket", ""),
            ("s3_key", ""),
            ("principal", "{principal}"),
            ("user_type", "useridentity.type"),
            ("session_issuer_arn", "{issuer}"),
            ("access_key_id", "useridentity.accesskeyid"),
            ("is_anonymous", "COALESCE(useridentity.accountid = 'anonymous', false)"),
            ("read_only", "{read_only}"),
            ("is_error", "{is_error}"),
            ("errorcode", ""),
            ("bytes_in", "{bytes:bytesTransferredIn}"),
            ("bytes_out", "{bytes:bytesTransferredOut}"),
            ("sourceipaddress", ""),
            ("useragent", ""),
            ("vpcendpointid", ""),
            ("tls_version", "tlsdetails.tlsversion"),
            ("awsregion", ""),
            ("recipientaccountid", ""),
            ("requestid", ""),
            ("eventid", ""),
        ],
        filter: Some("eventsource = 's3.amazonaws.com'"),
    },
    Shape {
        suffix: "lambda_invocations",
        description: "who invoked which function",
        columns: &[
            ("event_timestamp", ""),
            ("eventname", ""),
            ("lambda_function", ""),
            ("principal", "{principal}"),
            ("user_type", "useridentity.type"),
            ("invoked_by", "useridentity.invokedby"),
            ("session_issuer_arn", "{issuer}"),
            ("access_key_id", "useridentity.accesskeyid"),
            ("is_error", "{is_error}"),
            ("errorcode", ""),
            ("errormessage", ""),
            ("sourceipaddress", ""),
            ("useragent", ""),
            ("awsregion", ""),
            ("recipientaccountid", ""),
            ("requestid", ""),
            ("eventid", ""),
        ],
        filter: Some("eventsource = 'lambda.amazonaws.com' AND eventname LIKE 'Invoke%'"),
    },
    Shape {
        suffix: "console_logins",
        description: "logins to the console, with or without MFA",
        columns: &[
            ("event_timestamp", ""),
            ("user_type", "useridentity.type"),
            ("user_name", "{user_name}"),
            ("principal", "{principal}"),
            ("login_result", "{json:responseelements.ConsoleLogin}"),
            ("is_success", "COALESCE({json:responseelements.ConsoleLogin} = 'Success', false)"),
            (
                "mfa_used",
                "CASE {json:additionaleventdata.MFAUsed} \
                 WHEN 'Yes' THEN true WHEN 'No' THEN false END",
            ),
            ("login_to", "{json:additionaleventdata.LoginTo}"),
            ("errormessage", ""),
            ("sourceipaddress", ""),
            ("useragent", ""),
            ("awsregion", ""),
            ("recipientaccountid", ""),
            ("eventid", ""),
        ],
        filter: Some("eventsource = 'signin.amazonaws.com' AND eventname = 'ConsoleLogin'"),
    },
    Shape {
        suffix: "errors",
        description: "calls that failed, and whether access was denied",
        columns: &[
            ("event_timestamp", ""),
            ("eventsource", ""),
            ("eventname", ""),
            ("errorcode", ""),
            ("errormessage", ""),
            (
                "is_access_denied",
                "COALESCE(errorcode LIKE '%AccessDenied%' OR \
                 errorcode LIKE '%UnauthorizedOperation' OR errorcode LIKE '%NotAuthorized%', \
                 false)",
            ),
            ("principal", "{principal}"),
            ("user_type", "useridentity.type"),
            ("session_issuer_arn", "{issuer}"),
            ("access_key_id", "useridentity.accesskeyid"),
            ("read_only", "{read_only}"),
            ("sourceipaddress", ""),
            ("useragent", ""),
            ("awsregion", ""),
            ("recipientaccountid", ""),
            ("eventid", ""),
        ],
        filter: Some("{is_error}"),
    },
    // The filter is that of the CIS benchmark: calls of services on behalf of root are left out.
    Shape {
        suffix: "root_activity",
        description: "what the root user itself did",
        columns: &[
            ("event_timestamp", ""),
            ("eventsource", ""),
            ("eventname", ""),
            ("user_account", "useridentity.accountid"),
            ("access_key_id", "useridentity.accesskeyid"),
            ("mfa_authenticated", "{mfa}"),
            ("read_only", "{read_only}"),
            ("is_error", "{is_error}"),
            ("errorcode", ""),
            ("sourceipaddress", ""),
            ("useragent", ""),
            ("awsregion", ""),
            ("recipientaccountid", ""),
            ("eventid", ""),
        ],
        filter: Some(
            "useridentity.type = 'Root' AND useridentity.invokedby IS NULL \
             AND COALESCE(eventtype, '') <> 'AwsServiceEvent'",
        ),
    },
];

/// Returns the views of a table; none if it does not have columns of CloudTrail events.
pub fn views(dialect: Dialect, database: &str, table: &TableInput) -> Vec<View> {
    let has = |name: &&str| table.columns().iter().any(|c| c.name == **name);
    let renamed = renamed(dialect, database, table);
    if !NEEDED.iter().all(has) {
        return renamed;
    }
    let shaped = SHAPES.iter().map(|shape| view(dialect, database, table, shape));
    shaped.chain(renamed).collect()
}

fn view(dialect: Dialect, database: &str, table: &TableInput, shape: &Shape) -> View {
    let has = |name: &str| table.columns().iter().any(|c| c.name == name);
    let mut columns: Vec<String> = Vec::new();
    for (name, expression) in shape.columns {
        if PROMOTED.contains(name) && !has(name) {
            continue;
        }
        columns.push(match *expression {
            "" => (*name).to_owned(),
            expression => format!("{} AS {name}", expand(dialect, expression)),
        });
    }
    let keys = table.partition_keys.iter().map(|key| dialect.quote(&key.name));
    columns.extend(keys);
    let name = format!("{}_{}", table.name, shape.suffix);
    let database = dialect.quote(database);
    let mut sql = format!(
        "CREATE OR REPLACE VIEW {database}.{} AS\nSELECT\n  {}\nFROM {database}.{}",
        dialect.quote(&name),
        columns.join(",\n  "),
        dialect.quote(&table.name),
    );
    if let Some(filter) = shape.filter {
        sql.push_str("\nWHERE ");
        sql.push_str(&expand(dialect, filter));
    }
    View { name, description: shape.description, sql }
}

/// Replaces the shared expressions, then `{json:column.key}` and `{bytes:key}`.
fn expand(dialect: Dialect, expression: &str) -> String {
    let mut text = expression.to_owned();
    for (name, shared) in SHARED {
        text = text.replace(name, shared);
    }
    let mut done = String::new();
    let mut rest = text.as_str();
    while let Some((before, (inside, after))) =
        rest.split_once('{').and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
    {
        done.push_str(before);
        done.push_str(&match inside.split_once(':') {
            Some(("bytes", key)) => bytes(dialect, key),
            Some((_, path)) => {
                let (column, key) = path.split_once('.').unwrap_or((path, ""));
                json_text(dialect, column, key)
            }
            None => inside.to_owned(),
        });
        rest = after;
    }
    done + rest
}

fn json_text(dialect: Dialect, column: &str, key: &str) -> String {
    let function = match dialect {
        Dialect::Athena => "json_extract_scalar",
        Dialect::Spark => "get_json_object",
        Dialect::DuckDb => "json_extract_string",
    };
    format!("{function}({column}, '$.{key}')")
}

/// S3 writes byte counts both as `12` and as `12.0`.
fn bytes(dialect: Dialect, key: &str) -> String {
    let text = json_text(dialect, "additionaleventdata", key);
    format!("TRY_CAST(TRY_CAST({text} AS double) AS bigint)")
}

#[cfg(test)]
mod tests {
    use super::{NEEDED, SHAPES, views};
    use crate::catalog::Dialect;
    use crate::catalog::fixtures::definition;

    const DIALECTS: [Dialect; 3] = [Dialect::Athena, Dialect::Spark, Dialect::DuckDb];

    #[test]
    fn every_bare_column_of_a_view_is_a_column_of_the_contract() {
        let table = definition().table_input();
        let names: Vec<&str> = table.columns().iter().map(|c| c.name.as_str()).collect();

        assert!(NEEDED.iter().all(|name| names.contains(name)));
        for (name, expression) in SHAPES.iter().flat_map(|shape| shape.columns) {
            assert!(!expression.is_empty() || names.contains(name), "{name}");
        }
    }

    #[test]
    fn no_placeholder_is_left_and_partition_columns_come_last() {
        for dialect in DIALECTS {
            let views = views(dialect, "lake", &definition().table_input());

            assert_eq!(views.len(), 8);
            for view in views {
                assert!(!view.sql.contains(['{', '}']), "{}", view.sql);
                let last = format!("{}\nFROM ", dialect.quote("event_date"));
                assert!(view.sql.contains(&last), "{}", view.sql);
            }
        }
    }

    #[test]
    fn dialects_differ_in_quotes_and_the_json_function_only() {
        let table = definition().table_input();
        let neutral = |dialect, function| -> Vec<String> {
            let views = views(dialect, "lake", &table).into_iter();
            views.map(|v| v.sql.replace('`', "\"").replace(function, "json")).collect()
        };

        let athena = neutral(Dialect::Athena, "json_extract_scalar");

        assert_eq!(athena, neutral(Dialect::Spark, "get_json_object"));
        assert_eq!(athena, neutral(Dialect::DuckDb, "json_extract_string"));
    }

    #[test]
    fn views_are_quoted_as_athena_reads_them() {
        let views = views(Dialect::Athena, "lake", &definition().table_input());

        let start = "CREATE OR REPLACE VIEW \"lake\".\"cloudtrail_s3_access\" AS\nSELECT\n";
        assert!(views[1].sql.starts_with(start), "{}", views[1].sql);
        assert!(
            views[1]
                .sql
                .ends_with("FROM \"lake\".\"cloudtrail\"\nWHERE eventsource = 's3.amazonaws.com'")
        );
    }

    #[test]
    fn a_table_without_user_identity_has_no_views_and_promoted_columns_are_optional() {
        let mut insight = definition();
        insight.columns.retain(|c| c.name != "useridentity");
        let mut plain = definition();
        plain.columns.retain(|c| c.name != "s3_bucket");

        assert!(views(Dialect::Athena, "lake", &insight.table_input()).is_empty());
        let views = views(Dialect::Athena, "lake", &plain.table_input());
        assert!(!views[0].sql.contains("s3_bucket"));
    }
}
