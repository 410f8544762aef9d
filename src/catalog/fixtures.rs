//! The contract table and its partitions, for the tests of this room.

use super::{Column, PartitionDefinition, TableDefinition};

pub(super) const USER_IDENTITY: &str = "struct<type:string,principalid:string,arn:string,\
    accountid:string,invokedby:string,accesskeyid:string,username:string,\
    onbehalfof:struct<userid:string,identitystorearn:string>,\
    sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string>,\
    sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,\
    username:string>,ec2roledelivery:string,webidfederationdata:struct<federatedprovider:string,\
    attributes:map<string,string>>>>";

/// The columns of docs/columns.md and those this crate appends.
const COLUMNS: &str = "eventversion useridentity eventtime eventsource eventname awsregion \
    sourceipaddress useragent errorcode errormessage requestparameters responseelements \
    additionaleventdata requestid eventid resources eventtype apiversion readonly \
    recipientaccountid serviceeventdetails sharedeventid vpcendpointid vpcendpointaccountid \
    eventcategory addendum sessioncredentialfromconsole edgedevicedetails tlsdetails \
    event_timestamp managementevent s3_bucket s3_key lambda_function extra_fields";

pub(super) fn definition() -> TableDefinition {
    let column = |name: &str| {
        let hive_type = match name {
            "useridentity" => USER_IDENTITY,
            "resources" => "array<struct<arn:string,accountid:string,type:string>>",
            "addendum" => {
                "struct<reason:string,updatedfields:string,originalrequestid:string,\
                 originaleventid:string>"
            }
            "tlsdetails" => {
                "struct<tlsversion:string,ciphersuite:string,clientprovidedhostheader:string>"
            }
            "event_timestamp" => "timestamp",
            "managementevent" => "boolean",
            _ => "string",
        };
        Column::new(name, hive_type)
    };
    TableDefinition {
        database: "lake".into(),
        name: "cloudtrail".into(),
        location: "s3://bucket/lake/cloudtrail/".into(),
        columns: COLUMNS.split_whitespace().map(column).collect(),
        partition_keys: ["account", "region", "event_date"]
            .map(|name| Column::new(name, "string"))
            .into(),
        compression: "zstd".into(),
        description: "CloudTrail events".into(),
        schema_version: 1,
        rows: 1_000,
        bytes: 50_000,
        files: 3,
        ..TableDefinition::default()
    }
}

pub(super) fn partition(region: &str, date: &str) -> PartitionDefinition {
    PartitionDefinition {
        values: ["111122223333", region, date].map(String::from).into(),
        location: format!(
            "s3://bucket/lake/cloudtrail/account=111122223333/region={region}/event_date={date}/"
        ),
        rows: 10,
        bytes: 1_000,
        files: 1,
    }
}
