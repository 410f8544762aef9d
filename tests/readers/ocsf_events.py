"""Made-up events for the OCSF views, and the class and activity each event must have.

The lists are written down once more here, from OCSF's descriptions, so that a slip in the program's own shows.
"""

import datetime
import ipaddress
import re

AUTHENTICATION = {
    "ConsoleLogin": 1,
    "UserAuthentication": 1,
    "SwitchRole": 7,
    "ExitRole": 7,
    "CheckMfa": 99,
    "CredentialChallenge": 99,
    "CredentialVerification": 99,
    "GetSigninToken": 99,
    "RenewRole": 99,
    "Authenticate": 1,
    "Federate": 1,
    "Logout": 2,
    "AssumeRole": 1,
    "AssumeRoleWithSAML": 1,
    "AssumeRoleWithWebIdentity": 1,
    "AssumeRoot": 1,
    "GetFederationToken": 1,
    "GetSessionToken": 1,
}
SOURCES = {
    **dict.fromkeys(["Authenticate", "Federate", "Logout"], "sso.amazonaws.com"),
    **{
        name: "sts.amazonaws.com"
        for name in AUTHENTICATION
        if name.startswith("AssumeRo") or name in ("GetFederationToken", "GetSessionToken")
    },
}

CHANGES = {
    **dict.fromkeys(["CreateUser", "CreateRole", "CreateServiceLinkedRole"], 1),
    "ChangePassword": 3,
    "UpdateLoginProfile": 4,
    **dict.fromkeys(["DeleteUser", "DeleteRole", "DeleteServiceLinkedRole"], 6),
    **dict.fromkeys(["AttachUserPolicy", "AttachRolePolicy", "PutUserPolicy", "PutRolePolicy"], 7),
    **dict.fromkeys(["DetachUserPolicy", "DetachRolePolicy", "DeleteUserPolicy", "DeleteRolePolicy"], 8),
    "EnableMFADevice": 10,
    "DeactivateMFADevice": 11,
    **dict.fromkeys(
        """AddUserToGroup CreateAccessKey CreateLoginProfile CreateServiceSpecificCredential DeleteAccessKey
        DeleteLoginProfile DeleteRolePermissionsBoundary DeleteSSHPublicKey DeleteServiceSpecificCredential
        DeleteSigningCertificate DeleteUserPermissionsBoundary PutRolePermissionsBoundary
        PutUserPermissionsBoundary RemoveUserFromGroup ResetServiceSpecificCredential ResyncMFADevice TagRole
        TagUser UntagRole UntagUser UpdateAccessKey UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription
        UpdateSSHPublicKey UpdateServiceSpecificCredential UpdateSigningCertificate UpdateUser UploadSSHPublicKey
        UploadSigningCertificate""".split(),
        99,
    ),
}

VERBS = {
    1: "Add Allocate Copy Create Import Launch Provision Register Request Run",
    2: "Check Describe Detect Download Estimate Filter Get Head List Lookup Preview Query Scan Search Select"
    " Simulate Validate View",
    3: "Activate Apply Assign Associate Attach Authorize Change Deactivate Detach Disable Disassociate Edit"
    " Enable Modify Move Put Reboot Rename Replace Reset Restart Resume Revoke Rotate Set Start Stop Suspend"
    " Tag Unassign Untag Update Upgrade Write",
    4: "Delete Deregister Purge Release Remove Terminate",
}
OF_VERB = {verb: activity for activity, verbs in VERBS.items() for verb in verbs.split()}


def wanted_class(event, version):
    """(class_uid, activity_id) of an event."""
    name, source = event.get("eventName"), event.get("eventSource")
    if name in AUTHENTICATION and source == SOURCES.get(name, "signin.amazonaws.com"):
        activity = AUTHENTICATION[name]
        return 3002, 99 if activity == 7 and version == "1.1" else activity
    if name in CHANGES and source == "iam.amazonaws.com":
        return 3001, CHANGES[name]
    if str(event.get("readOnly")).lower() == "true":
        return 6003, 2
    word = re.match(r"(?:Admin|Batch)?([A-Z][a-z]*)", name or "")
    plain = re.match(r"([A-Z][a-z]*)", name or "")
    for found in (word, plain):
        if found and found[1] in OF_VERB:
            return 6003, OF_VERB[found[1]]
    return 6003, 99


def is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


ALICE = {
    "type": "IAMUser",
    "principalId": "AIDAALICE",
    "arn": "arn:aws:iam::111122223333:user/alice",
    "accountId": "111122223333",
    "accessKeyId": "AKIAALICE",
    "userName": "alice",
}
BOB = {**{k: v.replace("alice", "bob").replace("ALICE", "BOB") for k, v in ALICE.items()}}
ROOT = {
    "type": "Root",
    "principalId": "111122223333",
    "arn": "arn:aws:iam::111122223333:root",
    "accountId": "111122223333",
}
CONSOLE = "https://console.aws.amazon.com/console/home"

# The published sample of ocsf/examples, v1.5.0, whose texts that are empty are left out.
PUBLISHED = {
    "eventVersion": "1.11",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROA2W7SOKHEXAMPLE:scheduler",
        "arn": "arn:aws:sts::112233445566:assumed-role/AWSServiceRole/scheduler",
        "accountId": "112233445566",
        "accessKeyId": "ASIA2W7SOKHEXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROA2W7SOKHEXAMPLE",
                "arn": "arn:aws:iam::112233445566:role/aws-service-role/Admin",
                "accountId": "112233445566",
                "userName": "Admin",
            },
            "attributes": {"creationDate": "2025-07-18T14:56:35Z", "mfaAuthenticated": "false"},
        },
        "invokedBy": "ecs.amazonaws.com",
    },
    "eventTime": "2025-07-18T15:02:39Z",
    "eventSource": "elasticloadbalancing.amazonaws.com",
    "eventName": "DescribeTargetHealth",
    "awsRegion": "us-east-2",
    "sourceIPAddress": "ecs.amazonaws.com",
    "userAgent": "ecs.amazonaws.com",
    "requestParameters": {
        "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-2:112233445566:targetgroup/alpha-EXAMPLE"
    },
    "requestID": "d4af67c0-6f6c-4669-bcbb-96b7b039bed1",
    "eventID": "1f28a3f1-106d-4f56-b4ab-a4a18697d7d8",
    "readOnly": True,
    "eventType": "AwsApiCall",
    "apiVersion": "2015-12-01",
    "managementEvent": True,
    "recipientAccountId": "112233445566",
    "eventCategory": "Management",
}


def event(number, source, name, **fields):
    """An event of `number` hours ago, by alice where nothing else is said."""
    instant = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=number)
    return {
        "eventVersion": "1.11",
        "userIdentity": ALICE,
        "eventTime": instant.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": source,
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "userAgent": "aws-cli/2.30",
        "requestID": f"request-{number}",
        "eventID": f"event-{number:03}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
        **fields,
    }


def login(result, mfa, **fields):
    return {
        "responseElements": {"ConsoleLogin": result},
        "additionalEventData": {"LoginTo": CONSOLE, "MFAUsed": mfa, "MobileVersion": "No"},
        "eventType": "AwsConsoleSignIn",
        **fields,
    }


def special():
    """Source, name and fields of events that say more than their name."""
    yield "signin.amazonaws.com", "ConsoleLogin", login("Success", "Yes")
    failed = {"userIdentity": BOB, "errorMessage": "Failed authentication"}
    yield "signin.amazonaws.com", "ConsoleLogin", login("Failure", "No", **failed)
    yield "signin.amazonaws.com", "ConsoleLogin", login("Success", "Yes", userIdentity=ROOT)
    yield (
        "sts.amazonaws.com",
        "AssumeRole",
        {
            "readOnly": True,
            "requestParameters": {
                "roleArn": "arn:aws:iam::444455556666:role/Backup",
                "roleSessionName": "nightly",
            },
            "responseElements": {
                "credentials": {"accessKeyId": "ASIAEXAMPLENEW", "expiration": "Nov 2, 2026, 3:04:05 PM"},
                "assumedRoleUser": {
                    "assumedRoleId": "AROAEXAMPLE:nightly",
                    "arn": "arn:aws:sts::444455556666:assumed-role/Backup/nightly",
                },
            },
        },
    )
    yield (
        "iam.amazonaws.com",
        "CreateUser",
        {
            "requestParameters": {"userName": "carol"},
            "responseElements": {
                "user": {
                    "userName": "carol",
                    "userId": "AIDACAROL",
                    "arn": "arn:aws:iam::111122223333:user/carol",
                }
            },
        },
    )
    policy = {"roleName": "Backup", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    yield "iam.amazonaws.com", "AttachRolePolicy", {"requestParameters": policy}
    yield "iam.amazonaws.com", "ChangePassword", {"requestParameters": None}


def others():
    """Events of API Activity, and ones that look like another class."""
    bucket = [{"ARN": "arn:aws:s3:::logs/a", "type": "AWS::S3::Object"}]
    bucket.append({"ARN": "arn:aws:s3:::logs", "accountId": "111122223333", "type": "AWS::S3::Bucket"})
    yield "s3.amazonaws.com", "GetObject", {"resources": bucket, "readOnly": True, "eventCategory": "Data"}
    yield "s3.amazonaws.com", "PutObject", {"resources": [], "sourceIPAddress": "2001:db8::1"}
    yield "ec2.amazonaws.com", "RunInstances", {"errorCode": "Client.UnauthorizedOperation", "userIdentity": BOB}
    yield "ec2.amazonaws.com", "AdditionalThing", {"sourceIPAddress": "::ffff:192.0.2.7"}
    yield "kms.amazonaws.com", "Decrypt", {"readOnly": True, "sourceIPAddress": "AWS Internal"}
    yield "lambda.amazonaws.com", "Invoke", {"sourceIPAddress": None, "vpcEndpointId": "vpce-1"}
    yield "dynamodb.amazonaws.com", "BatchWriteItem", {"sourceIPAddress": "999.1.1.1"}
    yield "batch.amazonaws.com", "Batch", {"readOnly": None}
    yield "iam.amazonaws.com", "ListUsers", {"readOnly": True, "errorCode": "AccessDenied", "errorMessage": "no"}
    yield "iam.amazonaws.com", "CreateGroup", {}
    # The name of a call of IAM, of another service.
    yield "identitystore.amazonaws.com", "CreateUser", {}
    yield "cognito-idp.amazonaws.com", "AdminDeleteUser", {}
    yield None, "AssumeRole", {}
    yield "ec2.amazonaws.com", "DeleteVolume", {"userIdentity": {"type": "AWSService", "invokedBy": "x.amazonaws.com"}}
    identity_center = {
        "type": "IdentityCenterUser",
        "accountId": "111122223333",
        "credentialId": "da3f6703",
        "onBehalfOf": {"userId": "e3644802", "identityStoreArn": "arn:aws:identitystore::1:identitystore/d-9"},
    }
    challenge = {"additionalEventData": {"UserName": "test", "CredentialType": "PASSWORD"}}
    yield "signin.amazonaws.com", "CredentialChallenge", {"userIdentity": identity_center, **challenge}


def made():
    """The events, each of an hour of its own; some are older than a week."""
    listed = [*special(), *others()]
    have = {(source, name) for source, name, _ in listed}
    plain = [(SOURCES.get(name, "signin.amazonaws.com"), name, {}) for name in AUTHENTICATION]
    plain += [("iam.amazonaws.com", name, {"requestParameters": {"userName": "dave"}}) for name in CHANGES]
    listed += [entry for entry in plain if entry[:2] not in have]
    records = [event(at + 1, source, name, **fields) for at, (source, name, fields) in enumerate(listed)]
    records += [event(24 * 9 + at, "ec2.amazonaws.com", "StopInstances") for at in range(3)]
    return [{k: v for k, v in record.items() if v is not None} for record in [*records, PUBLISHED]]
