//! The attributes of the classes, each with the field of CloudTrail that it comes from.
//!
//! The mapping is OCSF's published one for CloudTrail (ocsf/examples, `mappings/markdown/AWS/v1.1.0` and
//! `v1.5.0`), with the names of Security Lake's tables of source version 2. It differs where that mapping
//! contradicts OCSF's schema: `metadata.version` is OCSF's own version and not the event's; the user who is
//! authenticated by `AssumeRole` is the role and has nothing of the caller's; a service as source is
//! `svc_name` too, as OCSF 1.1 does not count `domain` as an endpoint.

use super::OcsfVersion;
use super::classes::Class;
use super::sql::Sql;
use super::value::{Kind, List, Members, Value};
use crate::catalog::{Dialect, HiveType, TableInput};

/// An attribute, and its value in all classes or in some.
pub(super) struct Attribute {
    pub(super) name: &'static str,
    /// The type, which is the same in all classes.
    pub(super) hive_type: String,
    pub(super) value: In,
}

/// Where an attribute has which value.
pub(super) enum In {
    All(Value),
    Some(Vec<(Class, Value)>),
}

impl Attribute {
    /// Returns the value in a class.
    pub(super) fn of(&self, class: Class) -> Option<&Value> {
        match &self.value {
            In::All(value) => Some(value),
            In::Some(values) => values.iter().find(|(of, _)| *of == class).map(|(_, value)| value),
        }
    }
}

/// What the attributes are written for.
pub(super) struct Mapping<'a> {
    pub(super) sql: Sql,
    pub(super) version: OcsfVersion,
    pub(super) table: &'a TableInput,
}

/// Fields of CloudTrail that no attribute is for, by their names there.
const UNMAPPED: [(&str, &str); 26] = [
    ("additionalEventData", "additionaleventdata"),
    ("addendum.originalEventID", "addendum.originaleventid"),
    ("addendum.originalRequestID", "addendum.originalrequestid"),
    ("addendum.reason", "addendum.reason"),
    ("addendum.updatedFields", "addendum.updatedfields"),
    ("edgeDeviceDetails", "edgedevicedetails"),
    ("extra_fields", "extra_fields"),
    ("managementEvent", "CAST(managementevent AS varchar)"),
    ("readOnly", "readonly"),
    ("serviceEventDetails", "serviceeventdetails"),
    ("sessionCredentialFromConsole", "sessioncredentialfromconsole"),
    ("sharedEventID", "sharedeventid"),
    ("tlsDetails.cipherSuite", "tlsdetails.ciphersuite"),
    ("tlsDetails.clientProvidedHostHeader", "tlsdetails.clientprovidedhostheader"),
    ("tlsDetails.keyExchange", "tlsdetails.keyexchange"),
    ("tlsDetails.tlsVersion", "tlsdetails.tlsversion"),
    ("userIdentity.sessionContext.assumedRoot", "useridentity.sessioncontext.assumedroot"),
    ("userIdentity.sessionContext.ec2IssuedInVpc", "useridentity.sessioncontext.ec2issuedinvpc"),
    ("userIdentity.sessionContext.ec2RoleDelivery", "useridentity.sessioncontext.ec2roledelivery"),
    (
        "userIdentity.sessionContext.sessionIssuer.accountId",
        "useridentity.sessioncontext.sessionissuer.accountid",
    ),
    (
        "userIdentity.sessionContext.sessionIssuer.principalId",
        "useridentity.sessioncontext.sessionissuer.principalid",
    ),
    (
        "userIdentity.sessionContext.sessionIssuer.type",
        "useridentity.sessioncontext.sessionissuer.type",
    ),
    (
        "userIdentity.sessionContext.sessionIssuer.userName",
        "useridentity.sessioncontext.sessionissuer.username",
    ),
    (
        "userIdentity.sessionContext.signInSessionArn",
        "useridentity.sessioncontext.signinsessionarn",
    ),
    ("userIdentity.sessionContext.sourceIdentity", "useridentity.sessioncontext.sourceidentity"),
    ("vpcEndpointAccountId", "vpcendpointaccountid"),
];

impl Mapping<'_> {
    /// Returns the attributes in the order of the views' columns.
    pub(super) fn attributes(&self) -> Vec<Attribute> {
        let mut attributes = self.classification();
        attributes.extend(self.outcome());
        attributes.extend([
            all("metadata", self.metadata()),
            all("cloud", cloud()),
            all("api", self.api()),
            all("actor", self.actor()),
            all("src_endpoint", self.src_endpoint()),
            all("http_request", Value::Object(vec![("user_agent", Value::text("useragent"))])),
            one("resources", Class::ApiActivity, self.resources()),
        ]);
        attributes.extend(self.subject());
        attributes
            .extend([all("observables", self.observables()), all("unmapped", self.unmapped())]);
        attributes
    }

    fn classification(&self) -> Vec<Attribute> {
        let int = |expression: &str| Value::Scalar(Kind::Int, expression.to_owned());
        let by_class = |name, value: &dyn Fn(Class) -> Value| {
            some(name, Class::ALL.into_iter().map(|class| (class, value(class))).collect())
        };
        let literal = |text: &str| Value::text(format!("'{text}'"));
        let activity = |class: Class, prefix: &str, other: &str| {
            let mut sql = "CASE activity_id".to_owned();
            for (id, caption) in class.activities(self.version) {
                sql.push_str(&format!(" WHEN {id} THEN '{prefix}{caption}'"));
            }
            Value::text(format!("{sql} ELSE {other} END"))
        };
        let type_name = |class: Class| {
            let prefix = format!("{}: ", class.caption());
            activity(class, &prefix, &format!("'{prefix}Other'"))
        };
        let type_uid = "CAST(class_uid * 100 + activity_id AS bigint)".to_owned();
        vec![
            all("activity_id", int("activity_id")),
            by_class("activity_name", &|class| activity(class, "", "eventname")),
            by_class("category_name", &|class| literal(class.category().1)),
            by_class("category_uid", &|class| int(&class.category().0.to_string())),
            by_class("class_name", &|class| literal(class.caption())),
            all("class_uid", int("class_uid")),
            by_class("type_name", &type_name),
            all("type_uid", Value::Scalar(Kind::Long, type_uid)),
            all("severity", literal("Informational")),
            all("severity_id", int("1")),
        ]
    }

    fn outcome(&self) -> Vec<Attribute> {
        let time = self.sql.epoch_ms("event_timestamp");
        let status = "CASE status_id WHEN 1 THEN 'Success' ELSE 'Failure' END";
        vec![
            all("status", Value::text(status)),
            all("status_id", Value::Scalar(Kind::Int, "status_id".to_owned())),
            all("status_code", Value::text("errorcode")),
            all("status_detail", Value::text("errormessage")),
            all("time", Value::Scalar(Kind::Long, time)),
            all("time_dt", Value::Scalar(Kind::Instant, "event_timestamp".to_owned())),
        ]
    }

    fn metadata(&self) -> Value {
        Value::Object(vec![
            ("version", Value::text(format!("'{}'", self.version.number()))),
            ("uid", Value::text("eventid")),
            ("event_code", Value::text("eventtype")),
            ("original_time", Value::text("eventtime")),
            (
                "product",
                Value::Object(vec![
                    ("name", Value::text("'CloudTrail'")),
                    ("vendor_name", Value::text("'AWS'")),
                    ("version", Value::text("eventversion")),
                    ("feature", Value::Object(vec![("name", Value::text("eventcategory"))])),
                ]),
            ),
            ("profiles", self.sql.texts(&["cloud", "datetime"])),
        ])
    }

    fn api(&self) -> Value {
        let service = vec![("name", Value::text("eventsource"))];
        let request =
            vec![("uid", Value::text("requestid")), ("data", Value::text("requestparameters"))];
        let response = vec![
            ("error", Value::text("errorcode")),
            ("message", Value::text("errormessage")),
            ("data", Value::text("responseelements")),
        ];
        Value::Object(vec![
            ("operation", Value::text("eventname")),
            ("version", Value::text("apiversion")),
            ("service", Value::Object(service)),
            ("request", Value::Object(request)),
            ("response", Value::Object(response)),
        ])
    }

    fn actor(&self) -> Value {
        // OCSF 1.2 has another name for it.
        let invoked_by = match self.version {
            OcsfVersion::V1_1 => "invoked_by",
            OcsfVersion::V1_8 => "app_name",
        };
        Value::Object(vec![
            ("user", self.actor_user()),
            ("session", self.actor_session()),
            ("idp", self.idp()),
            (invoked_by, Value::text("useridentity.invokedby")),
        ])
    }

    fn actor_user(&self) -> Value {
        let credential = self.first(&["useridentity.accesskeyid", "useridentity.credentialid"]);
        let mut user = vec![
            ("type", Value::text("useridentity.type")),
            ("name", Value::text(self.actor_name_or_service())),
            ("uid", Value::text("useridentity.arn")),
            (
                "uid_alt",
                Value::text(
                    self.first(&["useridentity.principalid", "useridentity.onbehalfof.userid"]),
                ),
            ),
            ("account", account("useridentity.accountid")),
            ("credential_uid", Value::text(credential.clone())),
        ];
        // OCSF 1.6 has a list for it, and keeps the old name.
        if self.version == OcsfVersion::V1_8 {
            user.push((
                "programmatic_credentials",
                Value::List(List {
                    fixed: vec![vec![("uid", Value::text(credential))]],
                    each: None,
                    kept: Some("o.uid IS NOT NULL"),
                }),
            ));
        }
        Value::Object(user)
    }

    fn actor_name(&self) -> String {
        format!(
            "COALESCE(useridentity.username, {})",
            self.sql.json("additionaleventdata", "UserName")
        )
    }

    /// A service has no ARN and no account; OCSF wants to know one thing of a user.
    fn actor_name_or_service(&self) -> String {
        let service = "CASE WHEN useridentity.type = 'AWSService' THEN useridentity.invokedby END";
        format!("COALESCE({}, {service})", self.actor_name())
    }

    fn actor_session(&self) -> Value {
        let created = self.sql.instant("useridentity.sessioncontext.attributes.creationdate");
        let mfa = "CASE useridentity.sessioncontext.attributes.mfaauthenticated \
                   WHEN 'true' THEN true WHEN 'false' THEN false END";
        Value::When(
            "useridentity.sessioncontext IS NOT NULL".to_owned(),
            vec![
                ("issuer", Value::text("useridentity.sessioncontext.sessionissuer.arn")),
                ("created_time", Value::Scalar(Kind::Long, self.sql.epoch_ms(&created))),
                ("created_time_dt", Value::Scalar(Kind::Instant, created)),
                ("is_mfa", Value::Scalar(Kind::Bool, mfa.to_owned())),
            ],
        )
    }

    fn idp(&self) -> Value {
        let name = self.first(&[
            "useridentity.sessioncontext.webidfederationdata.federatedprovider",
            "useridentity.identityprovider",
        ]);
        let uid = "useridentity.onbehalfof.identitystorearn";
        Value::When(
            format!("COALESCE({name}, {uid}) IS NOT NULL"),
            vec![("name", Value::text(name)), ("uid", Value::text(uid))],
        )
    }

    fn src_endpoint(&self) -> Value {
        let is_address = self.sql.is_address("sourceipaddress");
        let service = format!("CASE WHEN NOT {is_address} THEN sourceipaddress END");
        Value::Object(vec![
            ("ip", Value::text(format!("CASE WHEN {is_address} THEN sourceipaddress END"))),
            ("domain", Value::text(service.clone())),
            ("svc_name", Value::text(service)),
            ("uid", Value::text("vpcendpointid")),
        ])
    }

    fn resources(&self) -> Value {
        let owner = Value::Object(vec![("account", account("e.accountid"))]);
        let resource = vec![
            ("uid", Value::text(self.resource_uid())),
            ("type", Value::text("e.type")),
            ("owner", owner),
        ];
        Value::List(List { fixed: Vec::new(), each: Some(("resources", resource)), kept: None })
    }

    /// Calls that list objects have a prefix of ARNs in place of an ARN.
    fn resource_uid(&self) -> &'static str {
        let resources = self.table.columns().iter().find(|column| column.name == "resources");
        match resources.is_some_and(|column| column.hive_type.contains("arnprefix:")) {
            true => "COALESCE(e.arn, e.arnprefix)",
            false => "e.arn",
        }
    }

    /// Who is authenticated or changed, and by what.
    fn subject(&self) -> Vec<Attribute> {
        let login = |key: &str| self.sql.json("additionaleventdata", key);
        let is_mfa =
            format!("CASE {} WHEN 'Yes' THEN true WHEN 'No' THEN false END", login("MFAUsed"));
        let target = login("LoginTo");
        let service = Value::Object(vec![("name", Value::text("eventsource"))]);
        let target = Value::When(
            format!("{target} IS NOT NULL"),
            vec![("svc_name", Value::text(target.clone()))],
        );
        vec![
            some(
                "user",
                vec![
                    (Class::Authentication, self.authenticated_user()),
                    (Class::AccountChange, self.changed_user()),
                ],
            ),
            one("session", Class::Authentication, self.new_session()),
            one("service", Class::Authentication, service),
            one("dst_endpoint", Class::Authentication, target),
            one("is_mfa", Class::Authentication, Value::Scalar(Kind::Bool, is_mfa)),
            self.policy(),
        ]
    }

    /// The role that is assumed; else who logs in.
    fn authenticated_user(&self) -> Value {
        let request = |key: &str| self.sql.json("requestparameters", key);
        let role = request("roleArn");
        let id = self.sql.json("responseelements", "assumedRoleUser.assumedRoleId");
        user(
            &format!("CASE WHEN {role} IS NOT NULL THEN 'Role' ELSE useridentity.type END"),
            &format!(
                "COALESCE({}, {}, {})",
                request("roleSessionName"),
                request("name"),
                self.actor_name_or_service()
            ),
            &format!("COALESCE({role}, useridentity.arn)"),
            &format!("COALESCE({id}, CASE WHEN {role} IS NULL THEN useridentity.principalid END)"),
            &format!("COALESCE(NULLIF(split_part({role}, ':', 5), ''), useridentity.accountid)"),
        )
    }

    /// The user or role that the request or its answer names; else the caller.
    fn changed_user(&self) -> Value {
        let request = |key: &str| self.sql.json("requestparameters", key);
        let response = |key: &str| self.sql.json("responseelements", key);
        let name = format!(
            "COALESCE({}, {}, {})",
            request("userName"),
            response("user.userName"),
            response("accessKey.userName"),
        );
        let role = format!("COALESCE({}, {})", request("roleName"), response("role.roleName"));
        let caller =
            |own: &str| format!("CASE WHEN COALESCE({name}, {role}) IS NULL THEN {own} END");
        let identified = |user: &str, role: &str, own: &str| {
            format!("COALESCE({}, {}, {})", response(user), response(role), caller(own))
        };
        user(
            &format!(
                "CASE WHEN {name} IS NOT NULL THEN 'IAMUser' WHEN {role} IS NOT NULL THEN 'Role' \
                 ELSE useridentity.type END"
            ),
            &format!("COALESCE({name}, {role}, useridentity.username)"),
            &identified("user.arn", "role.arn", "useridentity.arn"),
            &identified("user.userId", "role.roleId", "useridentity.principalid"),
            "COALESCE(recipientaccountid, useridentity.accountid)",
        )
    }

    /// The session that the authentication made.
    fn new_session(&self) -> Value {
        let response = |key: &str| self.sql.json("responseelements", key);
        let uid = response("assumedRoleUser.arn");
        let uid_alt = response("assumedRoleUser.assumedRoleId");
        let credential = response("credentials.accessKeyId");
        Value::When(
            format!("COALESCE({uid}, {uid_alt}, {credential}) IS NOT NULL"),
            vec![
                ("uid", Value::text(uid)),
                ("uid_alt", Value::text(uid_alt)),
                ("credential_uid", Value::text(credential)),
            ],
        )
    }

    /// OCSF 1.4 has a list of policies in place of one.
    fn policy(&self) -> Attribute {
        let uid = self.sql.json("requestparameters", "policyArn");
        let name = self.sql.json("requestparameters", "policyName");
        let is_there = format!("COALESCE({uid}, {name}) IS NOT NULL");
        let policy = vec![("uid", Value::text(uid)), ("name", Value::text(name))];
        match self.version {
            OcsfVersion::V1_1 => one("policy", Class::AccountChange, Value::When(is_there, policy)),
            OcsfVersion::V1_8 => {
                let kept = Some("COALESCE(o.uid, o.name) IS NOT NULL");
                let list = List { fixed: vec![policy], each: None, kept };
                one("policies", Class::AccountChange, Value::List(list))
            }
        }
    }

    fn observables(&self) -> Value {
        let is_address = self.sql.is_address("sourceipaddress");
        let observable = |name: &str, caption: &str, id: u8, value: String| -> Members {
            vec![
                ("name", Value::text(format!("'{name}'"))),
                ("type", Value::text(format!("'{caption}'"))),
                ("type_id", Value::Scalar(Kind::Int, id.to_string())),
                ("value", Value::text(value)),
            ]
        };
        let source =
            |negation: &str| format!("CASE WHEN {negation}{is_address} THEN sourceipaddress END");
        let fixed = vec![
            observable("src_endpoint.ip", "IP Address", 2, source("")),
            observable("src_endpoint.domain", "Hostname", 1, source("NOT ")),
            observable("actor.user.name", "User Name", 4, self.actor_name()),
        ];
        let each =
            observable("resources[].uid", "Resource UID", 10, self.resource_uid().to_owned());
        Value::List(List {
            fixed,
            each: Some(("resources", each)),
            kept: Some("o.value IS NOT NULL"),
        })
    }

    fn unmapped(&self) -> Value {
        let is_there = |(_, expression): &&(&str, &str)| self.has(expression);
        let text = |expression: &str| match self.sql.0 {
            Dialect::Spark => expression.replace("varchar", "string"),
            _ => expression.to_owned(),
        };
        let entries = UNMAPPED.iter().filter(is_there);
        let entries: Vec<_> = entries.map(|(name, field)| (*name, text(field))).collect();
        self.sql.text_map(&entries)
    }

    /// Returns the first of some members that is not null, of those that the table has.
    fn first(&self, members: &[&str]) -> String {
        let members: Vec<&str> = members.iter().copied().filter(|name| self.has(name)).collect();
        match members.as_slice() {
            [one] => (*one).to_owned(),
            members => format!("COALESCE({})", members.join(", ")),
        }
    }

    /// Returns whether the table has a member; tables that an older version registered have fewer.
    fn has(&self, path: &str) -> bool {
        let mut names = path.split('.');
        let column = names.next().unwrap_or_default();
        let Some(column) = self.table.columns().iter().find(|c| c.name == column) else {
            // An expression over a column that every table has.
            return path.contains('(');
        };
        let Ok(mut kind) = HiveType::parse(&column.hive_type) else { return false };
        for name in names {
            let HiveType::Struct(fields) = kind else { return false };
            let Some(field) = fields.into_iter().find(|field| field.name == name) else {
                return false;
            };
            kind = field.hive_type;
        }
        true
    }
}

fn cloud() -> Value {
    Value::Object(vec![
        ("provider", Value::text("'AWS'")),
        ("region", Value::text("awsregion")),
        ("account", account("recipientaccountid")),
    ])
}

fn user(kind: &str, name: &str, uid: &str, uid_alt: &str, account_uid: &str) -> Value {
    Value::Object(vec![
        ("type", Value::text(kind)),
        ("name", Value::text(name)),
        ("uid", Value::text(uid)),
        ("uid_alt", Value::text(uid_alt)),
        ("account", account(account_uid)),
    ])
}

fn account(uid: &str) -> Value {
    Value::Object(vec![("uid", Value::text(uid))])
}

fn all(name: &'static str, value: Value) -> Attribute {
    Attribute { name, hive_type: value.hive_type(), value: In::All(value) }
}

fn one(name: &'static str, class: Class, value: Value) -> Attribute {
    some(name, vec![(class, value)])
}

fn some(name: &'static str, values: Vec<(Class, Value)>) -> Attribute {
    let hive_type = values.first().map(|(_, value)| value.hive_type());
    Attribute { name, hive_type: hive_type.unwrap_or_default(), value: In::Some(values) }
}
