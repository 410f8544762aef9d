//! A service's refusal as one sentence that names the missing permission.
//!
//! IAM answers `User: ARN is not authorized to perform: ACTION on resource: ARN because …`; Lake
//! Formation `Insufficient Lake Formation permission(s): Required GRANT on NAME`. Both put the
//! permission in the middle of other words, under one error code. Messages of other forms are
//! passed on unchanged. AWS sends the permission in no other form.

use super::Answer;
use crate::error::{Error, ErrorKind};

/// Turns what a service answered into an error; `action` is the permission the call needs, `resource`
/// what it is about, for answers that do not name that.
pub fn refused(action: &str, resource: Option<&str>, answer: &Answer) -> Error {
    let (kind, said) = (answer.kind(), answer.message.as_deref().unwrap_or_default());
    let said = said.trim().trim_end_matches('.');
    let error = |message| Error::new(kind, message).caused_by(answer.cause());
    let located = |message| resource.iter().fold(error(message), |err, it| err.at("resource", it));
    if kind == ErrorKind::Denied {
        return match iam(said).or_else(|| lake_formation(action, said)) {
            Some(Sentence { text, is_whole: true }) => error(text),
            Some(Sentence { text, .. }) => located(text),
            None => located(format!("not allowed to {action}: {said}")),
        };
    }
    let code = answer.code.as_deref().unwrap_or_default();
    located(format!("{action} was refused with {code}: {said}"))
}

/// Returns whether an answer says in IAM's words which permission is missing.
pub fn names_permission(answer: &Answer) -> bool {
    answer.message.as_deref().and_then(iam).is_some()
}

struct Sentence {
    text: String,
    /// Whether it says what the permission is about.
    is_whole: bool,
}

/// `User: ARN is not authorized to perform: ACTION on resource: ARN because …`
fn iam(said: &str) -> Option<Sentence> {
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
    Some(Sentence { text: sentence, is_whole: resource.is_some() })
}

/// `Insufficient Lake Formation permission(s): Required GRANT on NAME`
fn lake_formation(action: &str, said: &str) -> Option<Sentence> {
    let (_, rest) = said.split_once("Lake Formation permission(s)")?;
    let wanted = rest.trim_start_matches([':', ' ']);
    let wanted = wanted.strip_prefix("Required ").unwrap_or(wanted);
    let (grant, on) = wanted.split_once(" on ")?;
    let text =
        format!("permission missing: the Lake Formation grant `{grant}` on `{on}`, for {action}");
    Some(Sentence { text, is_whole: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str, said: &str) -> Answer {
        Answer { status, code: Some(code.to_owned()), message: Some(said.to_owned()) }
    }

    fn denied(said: &str) -> String {
        let answer = answer(400, "AccessDeniedException", said);
        let err = refused("glue:CreateTable", Some("the table"), &answer);
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
            "not allowed to glue:CreateTable: Insufficient Lake Formation permission(s) on s3://b/lake/ \
             (resource the table)"
        );
    }

    #[test]
    fn other_refusals_keep_code_and_words() {
        let answer = answer(400, "InvalidInputException", "Bad type.");
        let err = refused("glue:CreateTable", Some("t"), &answer);
        assert_eq!(
            err.to_string(),
            "glue:CreateTable was refused with InvalidInputException: Bad type (resource t)"
        );
        assert_eq!(err.kind(), ErrorKind::Io);
    }
}
