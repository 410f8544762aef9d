//! Documented columns as kinds: what they are in the catalog, beside the inferred ones.

use crate::family::{Documented, Family, Role};
use crate::schema::kind::{Field, Kind};

impl From<&Documented> for Kind {
    fn from(shape: &Documented) -> Self {
        match shape {
            Documented::String => Self::String,
            Documented::Map => Self::Map,
            Documented::List(element) => Self::List(Box::new(Self::from(*element))),
            Documented::Struct(members) => {
                let field = |member: &crate::family::Member| {
                    Field::new(member.name, Self::from(&member.shape))
                };
                Self::Struct(members.iter().map(field).collect())
            }
        }
    }
}

/// Returns the top-level keys whose values are inferred, with their nested columns.
pub fn nested_columns(family: Family) -> Vec<(&'static str, &'static str)> {
    let nested = family.spec().typed.inferred.iter().filter_map(|column| match column.role {
        Role::Nested(key) => Some((key, column.name)),
        _ => None,
    });
    nested.collect()
}

/// Returns the Hive type of a column that is not nested.
pub fn hive_type(role: &Role) -> Option<String> {
    match role {
        Role::Typed(_, shape) => Some(Kind::from(shape).hive_type()),
        Role::Boolean(_) => Some("boolean".to_owned()),
        Role::Timestamp => Some("timestamp".to_owned()),
        Role::Nested(_) => None,
        _ => Some("string".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Family;

    /// docs/columns.md, written down a second time so that a change of the code is a change here.
    #[test]
    fn the_contract_columns_have_their_names_types_and_order() {
        let wanted = "eventversion useridentity eventtime eventsource eventname awsregion \
            sourceipaddress useragent errorcode errormessage requestparameters responseelements \
            additionaleventdata requestid eventid resources eventtype apiversion readonly \
            recipientaccountid serviceeventdetails sharedeventid vpcendpointid \
            vpcendpointaccountid eventcategory addendum sessioncredentialfromconsole \
            edgedevicedetails tlsdetails";
        let columns = Family::Events.spec().columns;
        let names: Vec<_> = columns.iter().take(29).map(|c| c.name).collect();
        assert_eq!(names.join(" "), wanted.split_whitespace().collect::<Vec<_>>().join(" "));
        let identity = hive_type(&columns[1].role).unwrap();
        assert!(identity.starts_with(
            "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,\
             accesskeyid:string,username:string,\
             onbehalfof:struct<userid:string,identitystorearn:string>,\
             sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string,"
        ));
        assert!(identity.contains(
            "ec2roledelivery:string,\
             webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>,"
        ));
        assert_eq!(
            hive_type(&columns[15].role).unwrap(),
            "array<struct<arn:string,accountid:string,type:string,arnprefix:string>>"
        );
        for column in columns.iter().take(29) {
            if !matches!(column.role, Role::Typed(..)) {
                assert_eq!(hive_type(&column.role).unwrap(), "string", "{}", column.name);
            }
        }
    }
}
