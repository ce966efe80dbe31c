"""Tables, objects, secrets, keys, topics and logs."""

from collections.abc import Iterator
from dataclasses import replace

from rehearsal.judges.policies.authorization import UNKNOWN_ID, Authorization, Call
from rehearsal.judges.policies.mapping.registry import on, without_resource


@on("dynamodb", "DeleteItem", "GetItem", "Scan", "UpdateItem")
def item(call: Call) -> Iterator[Authorization]:
    table = call.known(call["TableName"])
    yield call.ask(f"dynamodb:{call.operation}", table["arn"])
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
    yield from call.ask_key(table["key"], "dynamodb", "Decrypt")


@on("s3", "GetObject", "PutObject")
def object_in_bucket(call: Call) -> Iterator[Authorization]:
    """Who may not list a bucket gets AccessDenied for a key that is not there; our code takes it for just that."""
    bucket = f"arn:aws:s3:::{call['Bucket']}"
    version = "Version" if call.get("VersionId") else ""
    yield call.ask(f"s3:{call.operation}{version}", f"{bucket}/{call['Key']}", policy=bucket)


@on("s3", "ListObjectVersions")
def versions_in_bucket(call: Call) -> Iterator[Authorization]:
    bucket = f"arn:aws:s3:::{call['Bucket']}"
    yield call.ask("s3:ListBucketVersions", bucket, {"s3:prefix": call.get("Prefix") or ""}, policy=bucket)


@on("s3", "DeleteObjects")
def objects_to_delete(call: Call) -> Iterator[Authorization]:
    bucket = f"arn:aws:s3:::{call['Bucket']}"
    for each in call["Delete"]["Objects"]:
        version = "Version" if each.get("VersionId") else ""
        yield call.ask(f"s3:DeleteObject{version}", f"{bucket}/{each['Key']}", policy=bucket)


@on("secretsmanager", "CreateSecret")
def new_secret(call: Call) -> Iterator[Authorization]:
    arn = call.arn("secretsmanager", f"secret:{call['Name']}-{UNKNOWN_ID[:6]}")
    yield call.ask_tagged("secretsmanager:CreateSecret", arn)
    yield from call.ask_tagging("secretsmanager:TagResource", arn)
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    if key := call.get("KmsKeyId"):
        yield from call.ask_key(call.known(key), "secretsmanager", "GenerateDataKey", "Decrypt")


@on(
    "secretsmanager", "DeleteSecret", "DescribeSecret", "GetSecretValue", "TagResource", "UntagResource", "UpdateSecret"
)
def secret(call: Call) -> Iterator[Authorization]:
    """A secret that does not exist is judged by the name, or ARN, that the call has for it."""
    named = call["SecretId"]
    found = call.known(named)
    arn = found.get("arn") or (named if named.startswith("arn:") else call.arn("secretsmanager", f"secret:{named}"))
    yield call.ask(f"secretsmanager:{call.operation}", arn).on_tagged(call.tags(named))
    if call.operation == "GetSecretValue":
        yield from call.ask_key(found.get("key"), "secretsmanager", "Decrypt")
    if call.operation == "UpdateSecret" and call.get("SecretString"):
        yield from call.ask_key(found.get("key"), "secretsmanager", "GenerateDataKey", "Decrypt")


without_resource("secretsmanager", "secretsmanager", "GetRandomPassword")


@on("kms", "CreateKey")
def new_key(call: Call) -> Iterator[Authorization]:
    """The key's policy must let its maker change it, too (CreateKey, BypassPolicyLockoutSafetyCheck)."""
    arn = call.arn("kms", f"key/{UNKNOWN_ID}")
    yield call.ask_tagged("kms:CreateKey")
    yield call.ask("kms:PutKeyPolicy", arn, policy=call["Policy"])
    for tagging in call.ask_tagging("kms:TagResource", arn):
        yield replace(tagging, policy=call["Policy"])


@on(
    "kms",
    "DisableKeyRotation",
    "EnableKeyRotation",
    "PutKeyPolicy",
    "ScheduleKeyDeletion",
    "TagResource",
    "UntagResource",
    "UpdateKeyDescription",
)
def key(call: Call) -> Iterator[Authorization]:
    found = call.known(call["KeyId"])
    yield call.ask(f"kms:{call.operation}", found["arn"], policy=found["arn"]).on_tagged(found["tags"])


@on("sns", "Publish")
def notice(call: Call) -> Iterator[Authorization]:
    arn = call["TopicArn"]
    yield call.ask("sns:Publish", arn, policy=arn)
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    yield from call.ask_key(call.known(arn)["key"], "sns", "GenerateDataKey", "Decrypt")


@on("logs", "CreateLogStream", "GetLogEvents", "PutLogEvents")
def log_stream(call: Call) -> Iterator[Authorization]:
    group, stream = call["logGroupName"], call["logStreamName"]
    yield call.ask(f"logs:{call.operation}", call.arn("logs", f"log-group:{group}:log-stream:{stream}"))


@on(
    "logs",
    "AssociateKmsKey",
    "CreateLogGroup",
    "DeleteLogGroup",
    "DeleteRetentionPolicy",
    "DescribeLogStreams",
    "DisassociateKmsKey",
    "PutRetentionPolicy",
)
def log_group(call: Call) -> Iterator[Authorization]:
    """CloudWatch Logs names a group with the streams below it: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/
    iam-access-control-overview-cwl.html#CWL_ARN_Format
    """
    arn = call.arn("logs", f"log-group:{call['logGroupName']}")
    yield call.ask_tagged(f"logs:{call.operation}", f"{arn}:log-stream:")
    yield from call.ask_tagging("logs:TagResource", f"{arn}:log-stream:")
    if key := call.get("kmsKeyId"):
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        for action in ("Decrypt", "GenerateDataKey"):
            asked = Authorization(f"logs.{call.region}.amazonaws.com", f"kms:{action}", key, policy=key)
            yield asked.knowing({"kms:EncryptionContext:aws:logs:arn": arn})


@on("logs", "ListTagsForResource", "TagResource", "UntagResource")
def tags_of_log_group(call: Call) -> Iterator[Authorization]:
    yield call.ask_tagged(f"logs:{call.operation}", call["resourceArn"])


without_resource("cloudwatch", "cloudwatch", "GetMetricData")


@on("cloudwatch", "PutMetricAlarm")
def alarm(call: Call) -> Iterator[Authorization]:
    arn = call.arn("cloudwatch", f"alarm:{call['AlarmName']}")
    yield call.ask_tagged("cloudwatch:PutMetricAlarm", arn)
    yield from call.ask_tagging("cloudwatch:TagResource", arn)


@on("cloudwatch", "DeleteAlarms")
def old_alarms(call: Call) -> Iterator[Authorization]:
    for name in call["AlarmNames"]:
        yield call.ask("cloudwatch:DeleteAlarms", call.arn("cloudwatch", f"alarm:{name}"))


@on("cloudwatch", "PutDashboard", "DeleteDashboards", "GetDashboard")
def dashboard(call: Call) -> Iterator[Authorization]:
    for name in call.get("DashboardNames") or [call["DashboardName"]]:
        arn = f"arn:aws:cloudwatch::{call.account}:dashboard/{name}"
        yield call.ask_tagged(f"cloudwatch:{call.operation}", arn)
        yield from call.ask_tagging("cloudwatch:TagResource", arn)


@on("cloudwatch", "ListTagsForResource", "TagResource", "UntagResource")
def tags_of_alarm(call: Call) -> Iterator[Authorization]:
    yield call.ask_tagged(f"cloudwatch:{call.operation}", call["ResourceARN"])


@on("cloudwatch", "PutMetricData")
def metric_data(call: Call) -> Iterator[Authorization]:
    yield call.ask("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": call["Namespace"]})


without_resource("logs", "logs", "DescribeLogGroups")
