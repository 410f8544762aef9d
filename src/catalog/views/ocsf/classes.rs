//! Which event is of which class, and which activity of it.
//!
//! Authentication and Account Change are lists of events by name; every other event is API Activity. So
//! each row is in exactly one class. What a class has no activity for is `Other`, 99, with the event's name.

use super::OcsfVersion;
use super::sql::Sql;
use Class::{AccountChange, ApiActivity, Authentication};

/// An event class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    AccountChange,
    Authentication,
    ApiActivity,
}

/// An event source, and its events with the activity of each.
type Events = &'static [(&'static str, &'static [(u8, &'static [&'static str])])];

const OTHER: u8 = 99;
/// An activity of [`Authentication`] since OCSF 1.2.
const ACCOUNT_SWITCH: u8 = 7;

const AUTHENTICATION: Events = &[
    (
        "signin.amazonaws.com",
        &[
            (1, &["ConsoleLogin", "UserAuthentication"]),
            (ACCOUNT_SWITCH, &["SwitchRole", "ExitRole"]),
            (
                OTHER,
                &[
                    "CheckMfa",
                    "CredentialChallenge",
                    "CredentialVerification",
                    "GetSigninToken",
                    "RenewRole",
                ],
            ),
        ],
    ),
    ("sso.amazonaws.com", &[(1, &["Authenticate", "Federate"]), (2, &["Logout"])]),
    (
        "sts.amazonaws.com",
        &[(
            1,
            &[
                "AssumeRole",
                "AssumeRoleWithSAML",
                "AssumeRoleWithWebIdentity",
                "AssumeRoot",
                "GetFederationToken",
                "GetSessionToken",
            ],
        )],
    ),
];

/// Calls that change a user or a role. Those of groups and policies themselves are API Activity.
const ACCOUNT_CHANGE: Events = &[(
    "iam.amazonaws.com",
    &[
        (1, &["CreateRole", "CreateServiceLinkedRole", "CreateUser"]),
        (3, &["ChangePassword"]),
        (4, &["UpdateLoginProfile"]),
        (6, &["DeleteRole", "DeleteServiceLinkedRole", "DeleteUser"]),
        (7, &["AttachRolePolicy", "AttachUserPolicy", "PutRolePolicy", "PutUserPolicy"]),
        (8, &["DeleteRolePolicy", "DeleteUserPolicy", "DetachRolePolicy", "DetachUserPolicy"]),
        (10, &["EnableMFADevice"]),
        (11, &["DeactivateMFADevice"]),
        (
            OTHER,
            &[
                "AddUserToGroup",
                "CreateAccessKey",
                "CreateLoginProfile",
                "CreateServiceSpecificCredential",
                "DeleteAccessKey",
                "DeleteLoginProfile",
                "DeleteRolePermissionsBoundary",
                "DeleteSSHPublicKey",
                "DeleteServiceSpecificCredential",
                "DeleteSigningCertificate",
                "DeleteUserPermissionsBoundary",
                "PutRolePermissionsBoundary",
                "PutUserPermissionsBoundary",
                "RemoveUserFromGroup",
                "ResetServiceSpecificCredential",
                "ResyncMFADevice",
                "TagRole",
                "TagUser",
                "UntagRole",
                "UntagUser",
                "UpdateAccessKey",
                "UpdateAssumeRolePolicy",
                "UpdateRole",
                "UpdateRoleDescription",
                "UpdateSSHPublicKey",
                "UpdateServiceSpecificCredential",
                "UpdateSigningCertificate",
                "UpdateUser",
                "UploadSSHPublicKey",
                "UploadSigningCertificate",
            ],
        ),
    ],
)];

/// Activities of API Activity by the verb that an event's name begins with.
const VERBS: [(u8, &str); 4] = [
    (1, "Add|Allocate|Copy|Create|Import|Launch|Provision|Register|Request|Run"),
    (
        2,
        "Check|Describe|Detect|Download|Estimate|Filter|Get|Head|List|Lookup|Preview|Query|Scan|\
         Search|Select|Simulate|Validate|View",
    ),
    (
        3,
        "Activate|Apply|Assign|Associate|Attach|Authorize|Change|Deactivate|Detach|Disable|\
         Disassociate|Edit|Enable|Modify|Move|Put|Reboot|Rename|Replace|Reset|Restart|Resume|Revoke|\
         Rotate|Set|Start|Stop|Suspend|Tag|Unassign|Untag|Update|Upgrade|Write",
    ),
    (4, "Delete|Deregister|Purge|Release|Remove|Terminate"),
];

impl Class {
    pub(super) const ALL: [Self; 3] = [ApiActivity, Authentication, AccountChange];

    /// Returns what the names of the class's views end with.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            AccountChange => "ocsf_account_change",
            Authentication => "ocsf_authentication",
            ApiActivity => "ocsf_api_activity",
        }
    }

    /// Returns what a view of the class shows.
    pub(super) fn description(self) -> &'static str {
        match self {
            AccountChange => "changes of users and roles as OCSF class 3001",
            Authentication => "logins and sessions as OCSF class 3002",
            ApiActivity => "all other events as OCSF class 6003",
        }
    }

    pub(super) fn uid(self) -> u32 {
        match self {
            AccountChange => 3001,
            Authentication => 3002,
            ApiActivity => 6003,
        }
    }

    pub(super) fn caption(self) -> &'static str {
        match self {
            AccountChange => "Account Change",
            Authentication => "Authentication",
            ApiActivity => "API Activity",
        }
    }

    /// Returns the category's number and caption.
    pub(super) fn category(self) -> (u32, &'static str) {
        match self {
            AccountChange | Authentication => (3, "Identity & Access Management"),
            ApiActivity => (6, "Application Activity"),
        }
    }

    /// Returns the activities that the mapping uses, with their captions, but for [`OTHER`].
    pub(super) fn activities(self, version: OcsfVersion) -> &'static [(u8, &'static str)] {
        match (self, version) {
            (AccountChange, _) => &[
                (1, "Create"),
                (3, "Password Change"),
                (4, "Password Reset"),
                (6, "Delete"),
                (7, "Attach Policy"),
                (8, "Detach Policy"),
                (10, "MFA Factor Enable"),
                (11, "MFA Factor Disable"),
            ],
            (Authentication, OcsfVersion::V1_1) => &[(1, "Logon"), (2, "Logoff")],
            (Authentication, OcsfVersion::V1_8) => {
                &[(1, "Logon"), (2, "Logoff"), (ACCOUNT_SWITCH, "Account Switch")]
            }
            (ApiActivity, _) => &[(1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete")],
        }
    }

    /// Returns the condition on an event to be of the class.
    pub(super) fn filter(self) -> String {
        match self {
            AccountChange => listed(ACCOUNT_CHANGE),
            Authentication => listed(AUTHENTICATION),
            // An event without a source or a name is in neither list.
            ApiActivity => format!(
                "NOT COALESCE({} OR {}, false)",
                listed(AUTHENTICATION),
                listed(ACCOUNT_CHANGE)
            ),
        }
    }

    /// Returns the expression of an event's `activity_id`.
    pub(super) fn activity(self, sql: Sql, version: OcsfVersion) -> String {
        match self {
            AccountChange => by_name(ACCOUNT_CHANGE, self.activities(version)),
            Authentication => by_name(AUTHENTICATION, self.activities(version)),
            ApiActivity => by_verb(sql),
        }
    }
}

/// Returns the expression of an event's `class_uid`, of whichever class it is.
pub(super) fn class_uid() -> String {
    chosen(|class| class.uid().to_string())
}

/// Returns the expression of an event's `activity_id`, of whichever class it is.
pub(super) fn activity_id(sql: Sql, version: OcsfVersion) -> String {
    chosen(|class| class.activity(sql, version))
}

fn chosen(value: impl Fn(Class) -> String) -> String {
    format!(
        "CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END",
        Authentication.filter(),
        value(Authentication),
        AccountChange.filter(),
        value(AccountChange),
        value(ApiActivity),
    )
}

fn listed(events: Events) -> String {
    let of_source = |(source, activities): &(&str, &[(u8, &[&str])])| {
        let names: Vec<&str> = activities.iter().flat_map(|(_, names)| *names).copied().collect();
        format!("(eventsource = '{source}' AND eventname IN ('{}'))", names.join("', '"))
    };
    let sources: Vec<String> = events.iter().map(of_source).collect();
    match sources.len() {
        1 => sources.concat(),
        _ => format!("({})", sources.join(" OR ")),
    }
}

/// No name is in two sources' lists, so a name decides.
fn by_name(events: Events, known: &[(u8, &str)]) -> String {
    let mut sql = "CASE".to_owned();
    for (activity, names) in events.iter().flat_map(|(_, activities)| *activities) {
        if known.iter().any(|(id, _)| id == activity) {
            sql.push_str(&format!(" WHEN eventname IN ('{}') THEN {activity}", names.join("', '")));
        }
    }
    sql + &format!(" ELSE {OTHER} END")
}

/// Services say of most events whether they only read; the verb says it of old ones.
fn by_verb(sql: Sql) -> String {
    let mut text = "CASE WHEN readonly = 'true' THEN 2".to_owned();
    for (activity, verbs) in VERBS {
        // `BatchGetItem`, `AdminCreateUser`; the verb ends where its word ends.
        let pattern = format!("^(Admin|Batch)?({verbs})([^a-z]|$)");
        text.push_str(&format!(" WHEN {} THEN {activity}", sql.matches("eventname", &pattern)));
    }
    text + &format!(" ELSE {OTHER} END")
}

#[cfg(test)]
mod tests {
    use super::{ACCOUNT_CHANGE, AUTHENTICATION, Class, OTHER, VERBS};
    use crate::catalog::views::ocsf::OcsfVersion;
    use std::collections::BTreeSet;

    #[test]
    fn no_name_is_listed_twice() {
        let events = AUTHENTICATION.iter().chain(ACCOUNT_CHANGE);
        let names = events.flat_map(|(_, activities)| *activities).flat_map(|(_, names)| *names);
        let names: Vec<&str> = names.copied().collect();

        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn no_verb_is_listed_twice() {
        let verbs: Vec<&str> = VERBS.iter().flat_map(|(_, verbs)| verbs.split('|')).collect();

        assert_eq!(verbs.iter().collect::<BTreeSet<_>>().len(), verbs.len());
        assert!(verbs.iter().all(|verb| verb.starts_with(|c: char| c.is_ascii_uppercase())));
    }

    #[test]
    fn every_listed_activity_has_a_caption_in_the_newest_version() {
        for (class, events) in
            [(Class::Authentication, AUTHENTICATION), (Class::AccountChange, ACCOUNT_CHANGE)]
        {
            let known = class.activities(OcsfVersion::V1_8);
            for (activity, _) in events.iter().flat_map(|(_, activities)| *activities) {
                assert!(*activity == OTHER || known.iter().any(|(id, _)| id == activity));
            }
        }
    }
}
