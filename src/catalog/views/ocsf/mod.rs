//! Views of CloudTrail events in the Open Cybersecurity Schema Framework.
//!
//! `<table>_ocsf` has every event, `<table>_ocsf_api_activity`, `_authentication` and `_account_change` those
//! of one class with the attributes of that class. All four are made of one mapping: [`classes`] says which
//! event is what, [`attributes`] where each attribute comes from, [`value`] and [`sql`] how a dialect writes it.
//!
//! A view is two SELECTs: the inner one reads the table and computes what several attributes need, the outer
//! one makes the attributes. The class's condition is on columns of the table, so that readers prune by it.
//! After the attributes come `accountid` and `eventday`, which Security Lake has, and `account`, `region` and
//! `event_date`, through which the lake is pruned.

mod attributes;
mod classes;
mod comments;
mod sql;
mod value;

use super::View;
use super::shape::bare;
use crate::catalog::{Column, Dialect, TableInput};
use attributes::{Attribute, In, Mapping};
use classes::Class;
use comments::comment;
use sql::Sql;

/// A version of OCSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OcsfVersion {
    /// 1.1.0, which Security Lake's tables of source version 2 have.
    V1_1,
    /// 1.8.0.
    V1_8,
}

impl OcsfVersion {
    /// Returns the version's number, as `metadata.version` has it.
    pub(super) fn number(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1.0",
            Self::V1_8 => "1.8.0",
        }
    }
}

/// What the name of the view of all classes ends with.
const UNION: &str = "ocsf";

/// Columns of the table that the mapping reads.
const READ: [&str; 32] = [
    "eventversion",
    "useridentity",
    "eventtime",
    "eventsource",
    "eventname",
    "awsregion",
    "sourceipaddress",
    "useragent",
    "errorcode",
    "errormessage",
    "requestparameters",
    "responseelements",
    "additionaleventdata",
    "requestid",
    "eventid",
    "resources",
    "eventtype",
    "apiversion",
    "readonly",
    "recipientaccountid",
    "serviceeventdetails",
    "sharedeventid",
    "vpcendpointid",
    "vpcendpointaccountid",
    "eventcategory",
    "addendum",
    "sessioncredentialfromconsole",
    "edgedevicedetails",
    "tlsdetails",
    "event_timestamp",
    "managementevent",
    "extra_fields",
];
/// Columns through which the lake is pruned; of a layout without such a key, data columns.
const KEYS: [&str; 3] = ["account", "region", "event_date"];

/// Returns the OCSF views of a table; none if it does not have the columns of CloudTrail events.
pub(super) fn views(
    dialect: Dialect,
    version: OcsfVersion,
    database: &str,
    table: &TableInput,
) -> Vec<View> {
    if !READ.iter().all(|name| has(table, name)) {
        return Vec::new();
    }
    let mapping = Mapping { sql: Sql(dialect), version, table };
    let attributes = mapping.attributes();
    let statement = Statement { dialect, version, database, table, attributes: &attributes };
    let mut views = vec![statement.view(None)];
    views.extend(Class::ALL.into_iter().map(|class| statement.view(Some(class))));
    views
}

fn has(table: &TableInput, name: &str) -> bool {
    table.columns().iter().chain(&table.partition_keys).any(|column| column.name == name)
}

struct Statement<'a> {
    dialect: Dialect,
    version: OcsfVersion,
    database: &'a str,
    table: &'a TableInput,
    attributes: &'a [Attribute],
}

impl Statement<'_> {
    /// Returns the view of a class; without one, that of all.
    fn view(&self, class: Option<Class>) -> View {
        let suffix = class.map_or(UNION, Class::suffix);
        let mut columns: Vec<(Column, String)> = Vec::new();
        for attribute in self.attributes {
            let value = match class {
                Some(class) => attribute.of(class).map(|value| value.column(self.dialect)),
                None => Some(self.any_class(attribute)),
            };
            let Some(value) = value else { continue };
            let sql = format!("{value} AS {}", self.dialect.quote(attribute.name));
            columns.push((column(attribute.name, &attribute.hive_type), sql));
        }
        columns.extend(self.partitions());
        let selected: Vec<&str> = columns.iter().map(|(_, sql)| sql.as_str()).collect();
        let select = format!(
            "SELECT\n  {}\nFROM (\n{}\n) AS events",
            selected.join(",\n  "),
            self.events(class)
        );
        View {
            name: format!("{}_{suffix}", self.table.name),
            description: class.map_or("all events in the classes of OCSF", Class::description),
            columns: columns.into_iter().map(|(column, _)| column).collect(),
            select,
        }
    }

    /// The value of an attribute in whichever class an event is.
    fn any_class(&self, attribute: &Attribute) -> String {
        match &attribute.value {
            In::All(value) => value.column(self.dialect),
            In::Some(values) => {
                let mut sql = "CASE class_uid".to_owned();
                for (class, value) in values {
                    let value = value.column(self.dialect);
                    sql.push_str(&format!(" WHEN {} THEN {value}", class.uid()));
                }
                sql + " END"
            }
        }
    }

    /// Security Lake's names of the account and the day, then the lake's own.
    fn partitions(&self) -> Vec<(Column, String)> {
        let quote = |name: &str| self.dialect.quote(name);
        let mut columns = Vec::new();
        for (name, expression, from) in [
            ("accountid", "account", "account"),
            ("eventday", "replace(event_date, '-', '')", "event_date"),
        ] {
            if has(self.table, from) && !has(self.table, name) {
                columns.push((column(name, "string"), format!("{expression} AS {}", quote(name))));
            }
        }
        columns.extend(self.keys().map(|key| (bare(key), quote(&key.name))));
        columns
    }

    /// The data columns among [`KEYS`], then the table's keys.
    fn keys(&self) -> impl Iterator<Item = &Column> {
        let own = |name: &str| self.table.columns().iter().find(move |own| own.name == name);
        KEYS.into_iter().filter_map(own).chain(&self.table.partition_keys)
    }

    /// The inner SELECT: the events of a class, or all, with what several attributes need.
    fn events(&self, class: Option<Class>) -> String {
        let sql = Sql(self.dialect);
        let class_uid = class.map_or_else(classes::class_uid, |class| class.uid().to_string());
        let activity_id = match class {
            Some(class) => class.activity(sql, self.version),
            None => classes::activity_id(sql, self.version),
        };
        let quote = |name: &str| self.dialect.quote(name);
        let read = READ.into_iter().map(quote);
        let read: Vec<String> = read.chain(self.keys().map(|key| quote(&key.name))).collect();
        let mut select = format!(
            "  SELECT\n    {},\n    {class_uid} AS class_uid,\n    {activity_id} AS activity_id,\n    \
             {} AS status_id\n  FROM {}.{}",
            read.join(", "),
            status_id(sql),
            quote(self.database),
            quote(&self.table.name),
        );
        if let Some(class) = class {
            select.push_str(&format!("\n  WHERE {}", class.filter()));
        }
        select
    }
}

fn column(name: &str, hive_type: &str) -> Column {
    Column::new(name, hive_type).with_comment(comment(name))
}

/// A sign-in that failed has a message, or says so in its answer under the event's name.
fn status_id(sql: Sql) -> String {
    let answers = ["ConsoleLogin", "CheckMfa", "SwitchRole", "ExitRole"];
    let answers = answers.map(|name| sql.json("responseelements", name));
    format!(
        "CASE WHEN errorcode IS NOT NULL OR errormessage IS NOT NULL THEN 2 \
         WHEN eventsource = 'signin.amazonaws.com' AND COALESCE({}) = 'Failure' THEN 2 ELSE 1 END",
        answers.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::{OcsfVersion, views};
    use crate::catalog::fixtures::definition;
    use crate::catalog::{Dialect, HiveType, View};

    fn made(dialect: Dialect, version: OcsfVersion) -> Vec<View> {
        views(dialect, version, "lake", &definition().table_input())
    }

    #[test]
    fn there_is_a_view_of_all_events_and_one_of_each_class() {
        let names: Vec<String> =
            made(Dialect::Athena, OcsfVersion::V1_1).into_iter().map(|view| view.name).collect();

        assert_eq!(
            names,
            [
                "cloudtrail_ocsf",
                "cloudtrail_ocsf_api_activity",
                "cloudtrail_ocsf_authentication",
                "cloudtrail_ocsf_account_change"
            ]
        );
    }

    #[test]
    fn a_class_has_its_own_attributes_only_and_the_union_has_all() {
        let has = |view: &View, name: &str| view.columns.iter().any(|column| column.name == name);
        for (version, policy) in [(OcsfVersion::V1_1, "policy"), (OcsfVersion::V1_8, "policies")] {
            let views = made(Dialect::DuckDb, version);
            for (attribute, holders) in [
                ("time", [true, true, true, true]),
                ("resources", [true, true, false, false]),
                ("is_mfa", [true, false, true, false]),
                ("user", [true, false, true, true]),
                (policy, [true, false, false, true]),
            ] {
                let found = views.iter().map(|view| has(view, attribute));
                assert!(found.eq(holders), "{attribute} of {version:?}");
            }
        }
    }

    #[test]
    fn partition_columns_come_last_in_every_dialect() {
        for dialect in [Dialect::Athena, Dialect::Spark, Dialect::DuckDb] {
            for view in made(dialect, OcsfVersion::V1_8) {
                let keys = ["account", "region", "event_date"].map(|key| dialect.quote(key));
                assert!(view.select.contains(&format!("{}\nFROM (", keys.join(",\n  "))));
            }
        }
    }

    #[test]
    fn every_column_has_a_type_of_hive_and_a_comment() {
        for version in [OcsfVersion::V1_1, OcsfVersion::V1_8] {
            for column in made(Dialect::Athena, version).into_iter().flat_map(|view| view.columns) {
                assert!(HiveType::parse(&column.hive_type).is_ok(), "{}", column.hive_type);
                let is_own = ["account", "region", "event_date"].contains(&&*column.name);
                assert!(is_own || !column.comment.is_empty(), "{}", column.name);
            }
        }
    }

    #[test]
    fn versions_differ_in_what_ocsf_has_renamed() {
        let sql = |version| made(Dialect::Spark, version).swap_remove(0).select;
        let (old, new) = (sql(OcsfVersion::V1_1), sql(OcsfVersion::V1_8));

        assert!(old.contains("'version', '1.1.0'") && new.contains("'version', '1.8.0'"));
        assert!(old.contains("'invoked_by', ") && !new.contains("'invoked_by', "));
        assert!(!old.contains("Account Switch") && new.contains("THEN 'Account Switch'"));
    }

    #[test]
    fn a_table_of_other_columns_has_no_views_and_missing_members_are_left_out() {
        let mut insight = definition();
        insight.columns.retain(|c| c.name != "useridentity");
        let mut later = definition();
        for column in later.columns.iter_mut().filter(|c| c.name == "useridentity") {
            column.hive_type = column
                .hive_type
                .replace("ec2roledelivery:string", "ec2roledelivery:string,sourceidentity:string");
        }
        let tables = [insight, definition(), later].map(|definition| definition.table_input());

        let [of_insight, old, new] =
            tables.each_ref().map(|table| views(Dialect::Athena, OcsfVersion::V1_1, "lake", table));

        assert!(of_insight.is_empty());
        assert!(!old[0].select.contains("sourceidentity"));
        assert!(new[0].select.contains("sourceidentity"));
    }
}
