"""The tables a lake has, written down for the third time: not the writer's copy, not verify's.

A column is (name, kind, source key). Kinds:

text    a string's content, or the JSON text of any other value
json    the value's own JSON text, whitespace outside strings left out
typed   a documented shape, every leaf a string
flag    a boolean, also when it is written as a string
time    the instant of the event, milliseconds, UTC
bucket, key, function    promoted out of requestParameters
nested  a struct inferred from the JSON text of the key
extra   a JSON object of what no other column holds
place   what a partition key of the name would be, where there is none
"""

import pyarrow as pa

STRING = "string"
ATTRIBUTES = {"mfaauthenticated": STRING, "creationdate": STRING, "sessioncredentialfromconsole": STRING}
ISSUER = {name: STRING for name in ("type", "principalid", "arn", "accountid", "username")}
SESSION = {
    "attributes": ATTRIBUTES,
    "sessionissuer": ISSUER,
    "ec2roledelivery": STRING,
    "webidfederationdata": {"federatedprovider": STRING, "attributes": "map"},
    "sourceidentity": STRING,
    "assumedroot": STRING,
    "signinsessionarn": STRING,
    "ec2issuedinvpc": STRING,
}
IDENTITY = {
    "type": STRING,
    "principalid": STRING,
    "arn": STRING,
    "accountid": STRING,
    "invokedby": STRING,
    "accesskeyid": STRING,
    "username": STRING,
    "onbehalfof": {"userid": STRING, "identitystorearn": STRING},
    "sessioncontext": SESSION,
    "invokedbydelegate": {"accountid": STRING},
    "inscopeof": {
        name: STRING
        for name in (
            "issuertype",
            "credentialsissuedto",
            "credentialsissuedtoversion",
            "sourcearn",
            "sourceaccount",
        )
    },
    "credentialid": STRING,
    "identityprovider": STRING,
}
RESOURCES = [{name: STRING for name in ("arn", "accountid", "type", "arnprefix")}]
ADDENDUM = {
    name: STRING for name in ("reason", "updatedfields", "originalrequestid", "originaleventid")
}
TLS = {
    name: STRING for name in ("tlsversion", "ciphersuite", "clientprovidedhostheader", "keyexchange")
}
WINDOW = {name: STRING for name in ("windowstart", "windowend", "windowsize")}

# The first 29 are the columns of AWS's documented table, in its order.
EVENT_COLUMNS = [
    ("eventversion", "text", "eventVersion"),
    ("useridentity", "typed", "userIdentity"),
    ("eventtime", "text", "eventTime"),
    ("eventsource", "text", "eventSource"),
    ("eventname", "text", "eventName"),
    ("awsregion", "text", "awsRegion"),
    ("sourceipaddress", "text", "sourceIPAddress"),
    ("useragent", "text", "userAgent"),
    ("errorcode", "text", "errorCode"),
    ("errormessage", "text", "errorMessage"),
    ("requestparameters", "json", "requestParameters"),
    ("responseelements", "json", "responseElements"),
    ("additionaleventdata", "json", "additionalEventData"),
    ("requestid", "text", "requestID"),
    ("eventid", "text", "eventID"),
    ("resources", "typed", "resources"),
    ("eventtype", "text", "eventType"),
    ("apiversion", "text", "apiVersion"),
    ("readonly", "text", "readOnly"),
    ("recipientaccountid", "text", "recipientAccountId"),
    ("serviceeventdetails", "json", "serviceEventDetails"),
    ("sharedeventid", "text", "sharedEventID"),
    ("vpcendpointid", "text", "vpcEndpointId"),
    ("vpcendpointaccountid", "text", "vpcEndpointAccountId"),
    ("eventcategory", "text", "eventCategory"),
    ("addendum", "typed", "addendum"),
    ("sessioncredentialfromconsole", "text", "sessionCredentialFromConsole"),
    ("edgedevicedetails", "json", "edgeDeviceDetails"),
    ("tlsdetails", "typed", "tlsDetails"),
    ("event_timestamp", "time", None),
    ("managementevent", "flag", "managementEvent"),
    ("s3_bucket", "bucket", None),
    ("s3_key", "key", None),
    ("lambda_function", "function", None),
    ("extra_fields", "extra", None),
]
CONTRACT_LENGTH = 29
INSIGHT_COLUMNS = [
    ("eventversion", "text", "eventVersion"),
    ("eventtime", "text", "eventTime"),
    ("awsregion", "text", "awsRegion"),
    ("eventid", "text", "eventID"),
    ("eventtype", "text", "eventType"),
    ("recipientaccountid", "text", "recipientAccountId"),
    ("sharedeventid", "text", "sharedEventID"),
    ("insightdetails", "json", "insightDetails"),
    ("eventcategory", "text", "eventCategory"),
    ("event_timestamp", "time", None),
    ("extra_fields", "extra", None),
]
AGGREGATED_COLUMNS = [
    ("eventversion", "text", "eventVersion"),
    ("eventid", "text", "eventId"),
    ("accountid", "text", "accountId"),
    ("awsregion", "text", "awsRegion"),
    ("eventtype", "text", "eventType"),
    ("eventcategory", "text", "eventCategory"),
    ("timewindow", "typed", "timeWindow"),
    ("summary", "json", "summary"),
    ("event_timestamp", "time", None),
    ("extra_fields", "extra", None),
]
EVENT_SHARED = (
    "useridentity eventtime eventsource eventname awsregion sourceipaddress useragent errorcode"
    " errormessage requestid eventid eventtype readonly recipientaccountid event_timestamp"
)
EVENT_NESTED = [
    ("request", "nested", "requestParameters"),
    ("response", "nested", "responseElements"),
    ("additional", "nested", "additionalEventData"),
    ("service_details", "nested", "serviceEventDetails"),
]
INSIGHT_SHARED = (
    "eventtime awsregion eventid eventtype recipientaccountid sharedeventid event_timestamp"
)
AGGREGATED_SHARED = "eventid accountid awsregion eventtype timewindow event_timestamp"


def typed(columns, shared, nested):
    """The columns of a typed table: some of the main table's, and what is inferred."""
    by_name = {column[0]: column for column in columns}
    return [by_name[name] for name in shared.split()] + nested


# The main tables, whose columns are the same in every file.
MAIN = {
    "cloudtrail": EVENT_COLUMNS,
    "cloudtrail_network_activity": EVENT_COLUMNS,
    "cloudtrail_insight": INSIGHT_COLUMNS,
    "cloudtrail_aggregated": AGGREGATED_COLUMNS,
}
TYPED = {
    "cloudtrail_typed": typed(EVENT_COLUMNS, EVENT_SHARED, EVENT_NESTED),
    "cloudtrail_network_activity_typed": typed(EVENT_COLUMNS, EVENT_SHARED, EVENT_NESTED),
    "cloudtrail_insight_typed": typed(
        INSIGHT_COLUMNS, INSIGHT_SHARED, [("insight", "nested", "insightDetails")]
    ),
    "cloudtrail_aggregated_typed": typed(
        AGGREGATED_COLUMNS, AGGREGATED_SHARED, [("aggregate", "nested", "summary")]
    ),
}
TABLES = {**MAIN, **TYPED}
PLACES = ["account", "region", "event_date"]


def columns_of(table, keys):
    """The columns of a table in a lake that is partitioned by `keys`."""
    return TABLES[table] + [(name, "place", None) for name in PLACES if name not in keys]


def twin(table):
    """The typed table beside a main one."""
    return f"{table}_typed"
SHAPES = {
    "useridentity": IDENTITY,
    "resources": RESOURCES,
    "addendum": ADDENDUM,
    "tlsdetails": TLS,
    "timewindow": WINDOW,
}


def arrow_type(shape):
    """The Arrow type of a documented shape."""
    if shape == STRING:
        return pa.string()
    if shape == "map":
        return pa.map_(pa.string(), pa.string())
    if isinstance(shape, list):
        return pa.list_(arrow_type(shape[0]))
    return pa.struct([(name, arrow_type(member)) for name, member in shape.items()])


def column_type(name, kind):
    """The Arrow type of a column, None for an inferred one."""
    if kind == "typed":
        return arrow_type(SHAPES[name])
    return {
        "time": pa.timestamp("ms", "UTC"),
        "flag": pa.bool_(),
        "nested": None,
    }.get(kind, pa.string())
