//! What documented fields hold, for the catalog.

/// Returns the comment of a column with a documented field; empty if the field is not known here.
pub(super) const fn comment_of(column: &str) -> &'static str {
    match column.as_bytes() {
        b"eventversion" => "version of the record's format",
        b"useridentity" => "who made the call",
        b"eventtime" => "time of the event as delivered: yyyy-mm-ddThh:mm:ssZ",
        b"eventsource" => "service that the call was made to, such as s3.amazonaws.com",
        b"eventname" => "name of the call, such as GetObject",
        b"awsregion" => "region that the call was made to",
        b"sourceipaddress" => "address that the call came from, or the name of an AWS service",
        b"useragent" => "client of the caller, as the caller wrote it",
        b"errorcode" => "error of a call that failed",
        b"errormessage" => "text of the error of a call that failed",
        b"requestparameters" => "parameters of the call: JSON text as delivered",
        b"responseelements" => "answer to a call that changes something: JSON text as delivered",
        b"additionaleventdata" => "what else the service says: JSON text as delivered",
        b"requestid" => "id that the service gave the call",
        b"eventid" => "id of the event",
        b"resources" => "resources of the call with their owners",
        b"eventtype" => "kind of event: AwsApiCall, AwsServiceEvent, AwsConsoleSignIn and others",
        b"apiversion" => "version of the service's API",
        b"readonly" => "true if the call only reads, false if it can change something",
        b"recipientaccountid" => "account that received the event",
        b"serviceeventdetails" => "what a service event was about: JSON text as delivered",
        b"sharedeventid" => "id that events of one call in several accounts share",
        b"vpcendpointid" => "VPC endpoint that the call went through",
        b"vpcendpointaccountid" => "account of the owner of the VPC endpoint",
        b"eventcategory" => "category: Management, Data, NetworkActivity, Insight or Aggregated",
        b"addendum" => "why an event was delivered late or again",
        b"sessioncredentialfromconsole" => "true if the call came from a session of the console",
        b"edgedevicedetails" => "edge device of the call: JSON text as delivered",
        b"tlsdetails" => "TLS version, cipher suite and host of the connection",
        b"managementevent" => "whether it is a management event",
        b"insightdetails" => "unusual activity and its baseline: JSON text as delivered",
        b"accountid" => "account that the events were made in",
        b"timewindow" => "window of time that was aggregated",
        b"summary" => "counts of the window: JSON text as delivered",
        b"awsaccountid" => "account that the digest belongs to",
        b"digeststarttime" => "start of the hour of deliveries that the digest covers",
        b"digestendtime" => "end of the hour of deliveries that the digest covers",
        b"digests3bucket" => "bucket that the digest was delivered to",
        b"digests3object" => "key of the digest",
        b"digestpublickeyfingerprint" => "fingerprint of the public key that proves the signature",
        b"digestsignaturealgorithm" => "algorithm of the signature",
        b"newesteventtime" => "time of the newest event in the digest's log files",
        b"oldesteventtime" => "time of the oldest event in the digest's log files",
        b"previousdigests3bucket" => "bucket of the digest before",
        b"previousdigests3object" => "key of the digest before",
        b"previousdigesthashvalue" => "hash of the digest before",
        b"previousdigesthashalgorithm" => "algorithm of the hash of the digest before",
        b"previousdigestsignature" => "signature of the digest before",
        b"logfiles" => "log files that the digest covers, with their hashes",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use crate::family::{Family, Form};

    #[test]
    fn every_column_of_every_table_has_a_comment() {
        for family in Family::ALL {
            for column in Form::ALL.into_iter().flat_map(|form| family.columns_of(form)) {
                let length = column.comment.chars().count();
                assert!((1..=255).contains(&length), "{} of {family:?}", column.name);
            }
        }
    }
}
