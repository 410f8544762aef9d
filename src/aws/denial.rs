//! What a service says when it refuses, as one sentence that names what is missing.
//!
//! IAM answers `User: ARN is not authorized to perform: ACTION on resource: ARN because …`; Lake
//! Formation `Insufficient Lake Formation permission(s): Required GRANT on NAME`. Both put the
//! permission in the middle of other words, under one error code. What is not of these forms is
//! passed on as it was said.

use super::kind_of;
use crate::error::{Error, ErrorKind};

/// Turns what a service answered into an error; `action` is the permission the call needs.
pub fn refused(action: &str, code: &str, said: &str) -> Error {
    let kind = kind_of(Some(code), true);
    let said = said.trim().trim_end_matches('.');
    if kind == ErrorKind::Denied {
        let sentence = iam(said).or_else(|| lake_formation(action, said));
        return Error::new(
            kind,
            sentence.unwrap_or_else(|| format!("not allowed to {action}: {said}")),
        );
    }
    Error::new(kind, format!("{action} was refused with {code}: {said}"))
}

/// `User: ARN is not authorized to perform: ACTION on resource: ARN because …`
fn iam(said: &str) -> Option<String> {
    let (who, rest) = said.split_once(" is not authorized to perform: ")?;
    let who = who.rsplit(' ').next()?;
    let (action, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let resource = rest.strip_prefix("on resource: ").map(|rest| {
        let end = rest.find(' ').unwrap_or(rest.len());
        rest.split_at(end).0
    });
    let why = rest.split_once("because ").map(|(_, why)| why);
    let mut sentence = format!("permission missing: {action}");
    if let Some(resource) = resource {
        sentence.push_str(&format!(" on {resource}"));
    }
    sentence.push_str(&format!(" for {who}"));
    if let Some(why) = why {
        sentence.push_str(&format!(" ({why})"));
    }
    Some(sentence)
}

/// `Insufficient Lake Formation permission(s): Required GRANT on NAME`
fn lake_formation(action: &str, said: &str) -> Option<String> {
    let (_, rest) = said.split_once("Lake Formation permission(s)")?;
    let wanted = rest.trim_start_matches([':', ' ']);
    let wanted = wanted.strip_prefix("Required ").unwrap_or(wanted);
    let (grant, on) = wanted.split_once(" on ")?;
    Some(format!("permission missing: the Lake Formation grant `{grant}` on `{on}`, for {action}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(said: &str) -> String {
        let err = refused("glue:CreateTable", "AccessDeniedException", said);
        assert_eq!(err.kind(), ErrorKind::Denied);
        err.to_string()
    }

    #[test]
    fn a_missing_iam_permission_is_named_with_its_resource() {
        assert_eq!(
            denied(
                "User: arn:aws:sts::111122223333:assumed-role/etl/i-0 is not authorized to perform: \
                 glue:CreateTable on resource: arn:aws:glue:eu-west-1:111122223333:table/lake/cloudtrail \
                 because no identity-based policy allows the glue:CreateTable action"
            ),
            "permission missing: glue:CreateTable on \
             arn:aws:glue:eu-west-1:111122223333:table/lake/cloudtrail for \
             arn:aws:sts::111122223333:assumed-role/etl/i-0 \
             (no identity-based policy allows the glue:CreateTable action)"
        );
        assert_eq!(
            denied(
                "User: arn:aws:iam::1:user/a is not authorized to perform: glue:GetTable on resource: arn:aws:glue:x"
            ),
            "permission missing: glue:GetTable on arn:aws:glue:x for arn:aws:iam::1:user/a"
        );
    }

    #[test]
    fn a_missing_lake_formation_grant_is_named() {
        assert_eq!(
            denied("Insufficient Lake Formation permission(s): Required Create Table on lake"),
            "permission missing: the Lake Formation grant `Create Table` on `lake`, for glue:CreateTable"
        );
        assert_eq!(
            denied("Insufficient Lake Formation permission(s) on s3://b/lake/"),
            "not allowed to glue:CreateTable: Insufficient Lake Formation permission(s) on s3://b/lake/"
        );
    }

    #[test]
    fn other_refusals_keep_code_and_words() {
        let err = refused("glue:CreateTable", "InvalidInputException", "Bad type.");
        assert_eq!(
            err.to_string(),
            "glue:CreateTable was refused with InvalidInputException: Bad type"
        );
        assert_eq!(err.kind(), ErrorKind::Io);
    }
}
