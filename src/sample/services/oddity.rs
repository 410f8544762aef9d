//! Records that break converters: each was seen in public trails or is allowed by the format.
//!
//! They come in turn (`record::ODD_EVERY`), so that a small sample already holds all of them.

use super::{Call, Caller, Twist, read, write};

pub(super) const CALLS: &[Call] = &[
    // Keys of one object that differ only in case.
    write("s3", "PutBucketTagging", 0).request(r#"{"Tagging":{"xmlns":"http://s3.amazonaws.com/doc/2006-03-01/","TagSet":{"Tag":{"Value":true,"Key":"Backup"}}},"tagging":"","bucketName":"%bucket%","Host":"%bucket%.s3.%suffix%"}"#).additional(r#"{"SignatureVersion":"SigV4","bytesTransferredIn":139,"x-amz-id-2":"%b64:75%=","bytesTransferredOut":0}"#),
    write("ec2", "CreateFlowLogs", 0).request(r#"{"CreateFlowLogsRequest":{"ResourceId":{"tag":1,"content":"vpc-0%id:16:5%"},"MaxAggregationInterval":600,"ResourceType":"VPC","TagSpecification":{"ResourceType":"vpc-flow-log","tag":1,"Tag":[{"Value":true,"tag":1,"Key":"Managed"},{"Value":"flow","tag":2,"Key":"Name"}]},"TrafficType":"REJECT"}}"#).response(r#"{"CreateFlowLogsResponse":{"xmlns":"http://ec2.amazonaws.com/doc/2016-11-15/","requestId":"%uuid%","unsuccessful":"","flowLogIdSet":{"item":"fl-0%hex:16%"}}}"#),
    write("ec2", "CreateNatGateway", 0).request(r#"{"CreateNatGatewayRequest":{"AllocationId":"eipalloc-0%hex:16%","SubnetId":"subnet-0%id:16:24%","TagSpecification":{"ResourceType":"natgateway","tag":1,"Tag":{"Value":"nat","tag":1,"Key":"Name"}}}}"#).response(r#"{"CreateNatGatewayResponse":{"natGateway":{"tagSet":{"item":[{"value":true,"key":"Managed"},{"value":"nat","key":"Name"}]},"natGatewayId":"nat-0%hex:16%","state":"pending"}}}"#),
    // Paths with more than one JSON type.
    write("sts", "GetFederationToken", 0).request(r#"{"name":"contractor","policy":%pick:"{\"Version\":\"2012-10-17\",\"Statement\":[]}"|["arn:aws:iam::aws:policy/ReadOnlyAccess"]|{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}%}"#),
    read("ec2", "DescribeVpcEndpoints", 0).request(r#"{"DescribeVpcEndpointsRequest":{"MaxResults":1000},"maxResults":%pick:500|"500"%,"MaxResults":20}"#),
    read("s3", "GetBucketWebsite", 0).request(r#"{"host":%pick:"s3.amazonaws.com"|["s3.amazonaws.com"]%,"bucketName":"%bucket%","location":%pick:""|[""]%,"acl":%pick:""|["public-read"]%}"#),
    write("lambda", "TagResource20170331v2", 0).request(r#"{"resource":"arn:%partition%:lambda:%region%:%account%:function:%word:50%","tags":%pick:{"team":"data","cost-center":"4711","aws:cdk:path":"Stack/Fn"}|[{"key":"team","value":"data"}]|[]%}"#),
    write("ec2", "ModifyInstanceAttribute", 0).request(r#"{"instanceId":"i-0%id:16:300%","disableApiTermination":%pick:true|{"value":false}%,"instanceType":%pick:"m7g.large"|{"value":"m7g.xlarge"}%}"#),
    write("eks", "CreateNodegroup", 0).request(r#"{"clusterName":"%word:4%","version":%pick:"1.30"|42|1.30%,"labels":{"node.kubernetes.io/role":"worker","1password.com/sync":"true"}}"#).response(r#"{"role":%pick:"arn:aws:iam::111122223333:role/eks-node-group"|{"arn":"arn:aws:iam::111122223333:role/eks-node-group","roleName":"eks-node-group"}%,"version":%pick:7|"v7"%}"#),
    write("s3", "PutBucketPolicy", 0).request(r#"{"bucketName":"%bucket%","bucketPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":%pick:"*"|{"AWS":"111122223333"}|{"AWS":["111122223333","222233334444"]}%,"Action":%pick:"s3:GetObject"|["s3:GetObject","s3:GetObjectVersion"]%,"Resource":"arn:%partition%:s3:::%bucket%/*","Condition":{"StringEquals":{"s3:x-amz-acl":"public-read","aws:SourceVpce":["vpce-0%hex:16%"]}}}]}}"#),
    read("s3", "CopyObject", 0).request(r#"{"bucketName":"%bucket%","key":"%key%"}"#).additional(r#"{"bytesTransferredIn":%pick:0.0|0|"0"%,"bytesTransferredOut":%pick:243.0|243|931|"243"|1.5e3%}"#),
    // Free-form fields that are no objects.
    read("quicksight", "QueryDatabase", 0).request(r#""HIDDEN_DUE_TO_SECURITY_REASONS""#),
    write("cloudfront", "PublishFunction2020_05_31", 0).request(r#""{\"name\":\"redirect\"}""#).response(r#""OK""#),
    read("ec2", "DescribeAccountAttributes", 0).request("{}").response("{}").additional("{}").resources("[]"),
    write("iot", "AttachPolicy", 0).request(r#"{"policyName":"","target":null,"empty":{},"none":[],"nested":{"inner":{}},"mixed":[1,"2",null,true,{"a":1},[3]]}"#),
    // Odd values.
    write("ec2-instance-connect", "SendSSHPublicKey", 0).request(r#"{"instanceId":"i-0%id:16:300%","sSHPublicKey":"ssh-ed25519 AAAA%b64:60%","instanceOSUser":"\u00fcser-\u6771\u4eac-\ud83d\ude80","note":"tab\there \"quoted\" back\\slash \/ line\nend \u0001 \u007f Größe 東京 🚀"}"#),
    write("rds", "ModifyDBCluster", 0).response(r#"{"allocatedStorage":1,"big":9007199254740993,"bigger":18446744073709551615,"biggest":123456789012345678901234567890,"negative":-9223372036854775808,"small":-0.0,"exponent":1E-7,"earliestRestorableTime":%millis%}"#),
    write("sqs", "SetQueueAttributes", 0).request(r#"{"queueUrl":"https://sqs.%region%.%suffix%/%account%/%word:20%","attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:111122223333:dead\",\"maxReceiveCount\":\"5\",\"inner\":\"{\\\"deep\\\":[1,2]}\"}"}}"#),
    // Awkward keys.
    read("opensearch", "DescribeDomain", 0).response(r#"{"advancedOptions":{"rest.action.multi.allow_explicit_index":"true","indices.query.bool.max_clause_count":1024},"x-amzn-RequestId":"%uuid%","xsi:type":"Group","2fa":true,"":"empty","with space":1,"aws:cloudformation:stack-name":"%word:30%","$schema":"v1","ключ":"значение"}"#),
    write("s3", "PutBucketAcl", 0).request(r#"{"bucketName":"%bucket%","AccessControlPolicy":{"AccessControlList":{"Grant":[{"Grantee":{"xsi:type":"CanonicalUser","xmlns:xsi":"http://www.w3.org/2001/XMLSchema-instance","ID":"%hex:64%"},"Permission":"FULL_CONTROL"},{"Grantee":{"xsi:type":"Group","URI":"http://acs.amazonaws.com/groups/s3/LogDelivery"},"permission":"WRITE"}]}},"x-amz-acl":["private"]}"#),
    // Maps: keys are data.
    write("lambda", "UpdateFunctionConfiguration20150331v2", 0).request(r#"{"functionName":"%word:50%","environment":{"variables":{%[:3:9%"%upper:9%":"HIDDEN_DUE_TO_SECURITY_REASONS"%]%}}}"#).response(r#"{"environment":{"variables":{%[:3:9%"%upper:9%":"HIDDEN_DUE_TO_SECURITY_REASONS"%]%}}}"#),
    read("cloudhsm", "CreateCluster", 0).response(r#"{"cluster":{"subnetMapping":{"%region%a":"subnet-0%hex:16%","%region%b":"subnet-0%hex:16%"},"certificates":{},"hsms":[]}}"#),
    read("dynamodb", "BatchGetItem", 0).data().request(r#"{"requestItems":{%[:1:5%"%word:30%-%hex:6%":{"keys":[{"pk":"%hex:8%"}]}%]%}}"#),
    write("ssm", "PutInventory", 0).request(r#"{"instanceId":"i-0%id:16:300%","items":{%[:4:20%"%uuid%":{"state":"ok","at":%millis%}%]%}}"#),
    // Nesting: twelve levels, the record included.
    write("wafv2", "CreateRuleGroup", 0).request(r#"{"rules":[{"statement":{"andStatement":{"statements":[{"orStatement":{"statements":["%hex:4%",{"byteMatch":1}]}}]}}}]}"#),
    // Spellings of one path.
    read("backup-gateway", "ListGateways", 0).request(r#"{"Filter":"a","filter":[{"name":"b"}],"Type":"x","type":"y","Arn":"1","aRN":"2","arn":"3","cIDRIP":"0.0.0.0/0","cidrIp":"0.0.0.0/0"}"#),
    // Records that are odd outside their free-form fields.
    read("ec2", "DescribeHosts", 0).twist(Twist::BooleansAsText).request(r#"{"filterSet":{}}"#),
    read("iam", "ListUsers", 0).twist(Twist::ConsoleFlagBoolean).request(r#"{"maxItems":100}"#),
    read("elasticmapreduce", "ListClusters", 0).twist(Twist::AgentList),
    read("sts", "GetAccessKeyInfo", 0).twist(Twist::FractionalTime).request(r#"{"accessKeyId":"AKIA%upper:16%"}"#),
    read("ec2", "DescribeRegions", 0).twist(Twist::UnknownFields).request(r#"{"regionSet":{}}"#),
    write("ec2", "StopInstances", 0).twist(Twist::Addendum).request(r#"{"instancesSet":{"items":[{"instanceId":"i-0%id:16:300%"}]},"force":false}"#),
    read("s3", "GetObject", 0).data().twist(Twist::EdgeDevice).request(r#"{"bucketName":"%bucket%","key":"%key%"}"#),
    write("ec2", "RebootInstances", 0).twist(Twist::Late).request(r#"{"instancesSet":{"items":[{"instanceId":"i-0%id:16:300%"}]}}"#),
    write("ec2", "StartInstances", 0).twist(Twist::Midnight).request(r#"{"instancesSet":{"items":[{"instanceId":"i-0%id:16:300%"}]}}"#),
    read("iam", "GetAccountSummary", 0).twist(Twist::ForeignRegion).request("{}"),
    write("cloudformation", "CreateStack", 0).twist(Twist::Large).request(r#"{"stackName":"%word:30%","templateBody":"#),
    write("ecs", "CreateService", 0).twist(Twist::Huge).request(r#"{"cluster":"%word:8%","blob":"#).response(r#"{"service":{"events":[]},"blob":"#),
    write("signin", "CredentialVerification", 0).by(Caller::Sso),
    write("signin", "ConsoleLogin", 0).by(Caller::Console).of_type(super::EventType::ConsoleSignIn).response(r#"{"ConsoleLogin":"Failure"}"#).additional(r#"{"LoginTo":"https://console.aws.amazon.com/console/home","MobileVersion":"No","MFAUsed":"No"}"#),
];
