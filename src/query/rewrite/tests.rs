use super::*;

fn rewritten(sql: &str) -> String {
    let functions = Functions::all();
    prepare(sql, &|name| name == "cloudtrail", &functions, 1_790_820_184_567).unwrap().sql
}

#[test]
fn athena_s_spelling_becomes_polars() {
    let cases = [
        (
            "SELECT EventName FROM Trailmill.CloudTrail WHERE \"UserIdentity\".\"Type\" = 'Root'",
            "SELECT eventname FROM cloudtrail WHERE \"useridentity\".\"type\" = 'Root'",
        ),
        (
            "SELECT event_date FROM cloudtrail WHERE event_date >= date_format(current_date - interval '30' day, '%Y-%m-%d')",
            "SELECT event_date FROM cloudtrail WHERE event_date >= '2026-09-01'",
        ),
        (
            "SELECT u.r.arn FROM cloudtrail t CROSS JOIN UNNEST(t.resources) AS u (r)",
            "SELECT r.arn FROM (SELECT * FROM cloudtrail WHERE CAST(array_length(resources) AS BIGINT) > 0) AS t CROSS JOIN UNNEST(t.resources) AS u (r)",
        ),
        (
            "SELECT element_at(resources, 1).arn, count(*) FROM cloudtrail GROUP BY element_at(resources, 1).arn ORDER BY count(*) DESC",
            "SELECT _member_arn(array_get(resources, 1)) AS \"_col0\", CAST(count(*) AS BIGINT) AS \"_col1\" FROM cloudtrail GROUP BY 1 ORDER BY \"_col1\" DESC NULLS LAST",
        ),
        (
            "SELECT useridentity.type AS kind, count(*) AS n FROM cloudtrail GROUP BY useridentity.type",
            "SELECT COALESCE(useridentity.type) AS kind, CAST(count(*) AS BIGINT) AS n FROM cloudtrail GROUP BY 1",
        ),
        (
            "SELECT useridentity.arn, useridentity.sessioncontext.sessionissuer.arn FROM cloudtrail",
            "SELECT useridentity.arn, useridentity.sessioncontext.sessionissuer.arn AS \"arn_2\" FROM cloudtrail",
        ),
        (
            "SELECT count_if(errorcode IS NOT NULL) AS n FROM cloudtrail WHERE eventname LIKE 'a#_%' ESCAPE '#'",
            "SELECT CAST(count(*) FILTER (WHERE errorcode IS NOT NULL) AS BIGINT) AS n FROM cloudtrail WHERE regexp_like(eventname, '(?s)^a\\_.*$')",
        ),
        (
            "SELECT eventid FROM cloudtrail WHERE (a LIKE '%x.y' OR a NOT LIKE 'x%') AND a LIKE '%x.y%' AND a LIKE 'x%y' AND a LIKE '%_%' AND a LIKE '%'",
            "SELECT eventid FROM cloudtrail WHERE (ends_with(a, 'x.y') OR (NOT starts_with(a, 'x'))) AND regexp_like(a, 'x\\.y') AND a LIKE 'x%y' AND a LIKE '%_%' AND a LIKE '%'",
        ),
        (
            "SELECT 100 * count(*) / count(*) AS p, count(*) / 2.0 AS q, a / b AS r FROM cloudtrail",
            "SELECT 100 * CAST(count(*) AS BIGINT) // CAST(count(*) AS BIGINT) AS p, CAST(count(*) AS BIGINT) / 2.0 AS q, a / b AS r FROM cloudtrail",
        ),
        (
            "SELECT eventid FROM cloudtrail WHERE event_timestamp > now() - interval '-1' hour",
            "SELECT eventid FROM cloudtrail WHERE event_timestamp > TIMESTAMP '2026-10-01 03:03:04.567'",
        ),
    ];
    for (athena, wanted) in cases {
        assert_eq!(rewritten(athena), wanted);
    }
}

#[test]
fn what_does_not_only_read_is_refused() {
    let functions = Functions::all();
    for sql in [
        "DROP TABLE cloudtrail",
        "DELETE FROM cloudtrail",
        "INSERT INTO cloudtrail SELECT 1",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "WITH cloudtrail AS (SELECT 1 AS one) SELECT * FROM cloudtrail",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT",
        "",
        "SELEKT 1",
        "SELECT 'a",
    ] {
        let refused = prepare(sql, &|_| true, &functions, 0);
        assert_eq!(refused.unwrap_err().kind(), crate::error::ErrorKind::Config, "{sql}");
    }
}

#[test]
fn statements_end_at_semicolons_that_are_not_quoted() {
    let split = split_statements("SELECT ';' ; -- ; no\n\nSELECT 2;;  ").unwrap();

    assert_eq!(split, ["SELECT ';'", "-- ; no\n\nSELECT 2"]);
}
