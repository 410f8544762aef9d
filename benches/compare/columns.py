"""What every peer writes: the columns of AWS's documented Athena table, all of them text.

Names are CloudTrail's; in the files they are lower case, as in the table.
"""

COLUMNS = """
    eventVersion userIdentity eventTime eventSource eventName awsRegion sourceIPAddress userAgent
    errorCode errorMessage requestParameters responseElements additionalEventData requestID eventID
    resources eventType apiVersion readOnly recipientAccountId serviceEventDetails sharedEventID
    vpcEndpointId vpcEndpointAccountId eventCategory addendum sessionCredentialFromConsole
    edgeDeviceDetails tlsDetails
""".split()

PARTITIONS = ("account", "region", "event_date")

# Old records name no recipient account. The object's name begins with it.
ACCOUNT_OF_NAME = "[0-9]{12}"
