//! What the names in views stand for.

/// A column that a table does not have itself.
pub(super) struct Derived {
    /// Its name.
    pub(super) name: &'static str,
    /// Portable SQL; `{name}` stands for a shared expression.
    pub(super) expression: &'static str,
    /// Its type.
    pub(super) hive_type: &'static str,
    /// What it holds.
    pub(super) comment: &'static str,
    /// A column that not every event table has.
    pub(super) needs: Option<&'static str>,
}

/// Expressions that several columns and filters share.
pub(super) const SHARED: [(&str, &str); 9] = [
    // The ARN, else the service, else what there is.
    (
        "{principal}",
        "COALESCE(useridentity.arn, useridentity.invokedby, useridentity.principalid, \
         useridentity.accountid)",
    ),
    (
        "{actor}",
        "COALESCE(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn, \
         useridentity.invokedby, useridentity.principalid, useridentity.accountid)",
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
    (
        "{is_denied}",
        "(errorcode LIKE '%AccessDenied%' OR errorcode LIKE '%UnauthorizedOperation' \
         OR errorcode LIKE '%NotAuthorized%')",
    ),
    ("{read_only}", "CASE readonly WHEN 'true' THEN true WHEN 'false' THEN false END"),
];

/// Columns of an event.
pub(super) const DERIVED: [Derived; 27] = [
    Derived {
        name: "event_day",
        expression: "TRY_CAST(event_date AS date)",
        hive_type: "date",
        comment: "day of the event, UTC, as a date",
        needs: None,
    },
    Derived {
        name: "user_type",
        expression: "useridentity.type",
        hive_type: "string",
        comment: "kind of identity: IAMUser, AssumedRole, Root, AWSService and others",
        needs: None,
    },
    Derived {
        name: "user_name",
        expression: "{user_name}",
        hive_type: "string",
        comment: "user name, or that of the role of a session",
        needs: None,
    },
    Derived {
        name: "user_arn",
        expression: "useridentity.arn",
        hive_type: "string",
        comment: "ARN of the identity",
        needs: None,
    },
    Derived {
        name: "user_account",
        expression: "useridentity.accountid",
        hive_type: "string",
        comment: "account of the identity",
        needs: None,
    },
    Derived {
        name: "principal",
        expression: "{principal}",
        hive_type: "string",
        comment: "who acted: the ARN of the user or session, else the service, else what is \
                  known",
        needs: None,
    },
    Derived {
        name: "actor",
        expression: "{actor}",
        hive_type: "string",
        comment: "who acted, the sessions of a role as one: the ARN of the role or user, else \
                  the service",
        needs: None,
    },
    Derived {
        name: "session_issuer_arn",
        expression: "{issuer}",
        hive_type: "string",
        comment: "ARN of the role or user that the session was made from",
        needs: None,
    },
    Derived {
        name: "session_name",
        expression: "{session_name}",
        hive_type: "string",
        comment: "name of the session of an assumed role",
        needs: None,
    },
    Derived {
        name: "access_key_id",
        expression: "useridentity.accesskeyid",
        hive_type: "string",
        comment: "access key that signed the call",
        needs: None,
    },
    Derived {
        name: "invoked_by",
        expression: "useridentity.invokedby",
        hive_type: "string",
        comment: "AWS service that made the call for the identity",
        needs: None,
    },
    Derived {
        name: "mfa_authenticated",
        expression: "{mfa}",
        hive_type: "boolean",
        comment: "whether the session was authenticated with MFA",
        needs: None,
    },
    Derived {
        name: "is_error",
        expression: "{is_error}",
        hive_type: "boolean",
        comment: "whether the call failed",
        needs: None,
    },
    Derived {
        name: "is_access_denied",
        expression: "COALESCE({is_denied}, false)",
        hive_type: "boolean",
        comment: "whether the call failed because access was denied",
        needs: None,
    },
    Derived {
        name: "read_only",
        expression: "{read_only}",
        hive_type: "boolean",
        comment: "whether the call only reads",
        needs: None,
    },
    Derived {
        name: "is_anonymous",
        expression: "COALESCE(useridentity.accountid = 'anonymous', false)",
        hive_type: "boolean",
        comment: "whether the call was not signed",
        needs: None,
    },
    Derived {
        name: "s3_prefix",
        expression: "CASE WHEN s3_key LIKE '%/%' THEN split_part(s3_key, '/', 1) ELSE '' END",
        hive_type: "string",
        comment: "object key up to its first slash; empty if there is none",
        needs: Some("s3_key"),
    },
    Derived {
        name: "bytes_in",
        expression: "{bytes:bytesTransferredIn}",
        hive_type: "bigint",
        comment: "bytes sent to S3",
        needs: None,
    },
    Derived {
        name: "bytes_out",
        expression: "{bytes:bytesTransferredOut}",
        hive_type: "bigint",
        comment: "bytes sent by S3",
        needs: None,
    },
    Derived {
        name: "tls_version",
        expression: "tlsdetails.tlsversion",
        hive_type: "string",
        comment: "TLS version of the connection",
        needs: None,
    },
    Derived {
        name: "login_result",
        expression: "{json:responseelements.ConsoleLogin}",
        hive_type: "string",
        comment: "result as the sign-in service says it: Success or Failure",
        needs: None,
    },
    Derived {
        name: "is_success",
        expression: "COALESCE({json:responseelements.ConsoleLogin} = 'Success', false)",
        hive_type: "boolean",
        comment: "whether the login succeeded",
        needs: None,
    },
    Derived {
        name: "mfa_used",
        expression: "CASE {json:additionaleventdata.MFAUsed} WHEN 'Yes' THEN true WHEN 'No' THEN \
                     false END",
        hive_type: "boolean",
        comment: "whether a second factor was used, as the sign-in service says it; logins \
                  through an identity provider count as without",
        needs: None,
    },
    Derived {
        name: "login_outcome",
        expression: "CASE WHEN COALESCE({json:responseelements.ConsoleLogin}, '') <> 'Success' \
                     THEN 'failed' WHEN {json:additionaleventdata.MFAUsed} = 'Yes' THEN 'with \
                     MFA' ELSE 'without MFA' END",
        hive_type: "string",
        comment: "failed, with MFA or without MFA",
        needs: None,
    },
    Derived {
        name: "login_to",
        expression: "{json:additionaleventdata.LoginTo}",
        hive_type: "string",
        comment: "address of the console page that was signed in to",
        needs: None,
    },
    Derived {
        name: "area",
        expression: "CASE eventsource WHEN 'iam.amazonaws.com' THEN 'IAM' WHEN \
                     'kms.amazonaws.com' THEN 'KMS' WHEN 'cloudtrail.amazonaws.com' THEN \
                     'CloudTrail' ELSE 'S3' END",
        hive_type: "string",
        comment: "what was changed: IAM, KMS, CloudTrail or S3",
        needs: None,
    },
    Derived {
        name: "error_code",
        expression: "COALESCE(errorcode, errormessage)",
        hive_type: "string",
        comment: "error code; of a failed console login, which has none, the message",
        needs: None,
    },
];

/// What is counted of several events.
pub(super) const MEASURES: [Derived; 6] = [
    Derived {
        name: "events",
        expression: "COUNT(*)",
        hive_type: "bigint",
        comment: "number of events",
        needs: None,
    },
    Derived {
        name: "writes",
        expression: "COUNT(CASE WHEN readonly = 'false' THEN 1 END)",
        hive_type: "bigint",
        comment: "number of events that change something",
        needs: None,
    },
    Derived {
        name: "errors",
        expression: "COUNT(CASE WHEN {is_error} THEN 1 END)",
        hive_type: "bigint",
        comment: "number of calls that failed",
        needs: None,
    },
    Derived {
        name: "denials",
        expression: "COUNT(CASE WHEN {is_denied} THEN 1 END)",
        hive_type: "bigint",
        comment: "number of calls that were denied",
        needs: None,
    },
    Derived {
        name: "total_bytes_in",
        expression: "CAST(SUM({bytes:bytesTransferredIn}) AS bigint)",
        hive_type: "bigint",
        comment: "bytes sent to S3",
        needs: None,
    },
    Derived {
        name: "total_bytes_out",
        expression: "CAST(SUM({bytes:bytesTransferredOut}) AS bigint)",
        hive_type: "bigint",
        comment: "bytes sent by S3",
        needs: None,
    },
];
