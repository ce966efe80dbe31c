"""What AWS asks IAM without a call of ours: to assume a role, to write a function's logs, to mount, to use a key."""

from collections.abc import Iterator, Mapping
from typing import Any

from rehearsal.judges.policies.authorization import UNKNOWN_ID, Authorization, Call

TRACES = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
EVENTS, ALARMS = "events.amazonaws.com", "cloudwatch.amazonaws.com"
MOUNTING = ("ClientMount", "ClientWrite", "ClientRootAccess")


def by_call(call: Call, policies: Mapping[str, Any]) -> Iterator[Authorization]:
    """What must be allowed before a role can make this call, and while it is carried out."""
    yield assumption(call)
    if (call.service, call.operation) == ("lambda", "Invoke"):
        yield from _function(call, call.known(call["FunctionName"]))
    if call.caller.startswith("i-"):
        yield from _node(call, policies)


def assumption(call: Call) -> Authorization:
    """A service takes the role of who calls. Step Functions and Scheduler say for whose account they do."""
    service = _service(call)
    known = service in ("states.amazonaws.com", "scheduler.amazonaws.com")
    return Authorization(
        principal=service,
        action="sts:AssumeRole",
        resource=call.role,
        policy=call.role,
    ).knowing({"aws:SourceAccount": call.account} if known else {})


def facts_of_lambda(call: Call) -> dict[str, str]:
    """What each call of a function's code carries. See `_of_function`."""
    return _of_function(call) if _service(call) == "lambda.amazonaws.com" else {}


def _of_function(call: Call) -> dict[str, str]:
    """What shows that a function asks, also where Lambda writes its log and traces; not where Lambda makes its network
    interfaces. The function's name does not stand in calls.jsonl: a policy can only ask whether there is one.

    https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
    """
    return {"lambda:SourceFunctionArn": call.arn("lambda", f"function:{UNKNOWN_ID}")}


def _service(call: Call) -> str:
    """Whose call it is, by how calls.jsonl names callers: functions by their logical ids, which have no hyphen."""
    if call.caller == "cloudformation":
        return "cloudformation.amazonaws.com"
    if call.caller.startswith("i-"):
        return "ec2.amazonaws.com"
    if call.caller.startswith("schedule "):
        return "scheduler.amazonaws.com"
    return "states.amazonaws.com" if "-" in call.caller else "lambda.amazonaws.com"


def _function(call: Call, function: Mapping[str, Any]) -> Iterator[Authorization]:
    """A function writes its log and its traces, and lives in its network, with its own role."""
    role = function["role"]
    group = call.arn("logs", f"log-group:{function['log_group']}")
    reported = _of_function(call)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Authorization(role, action, f"{group}:log-stream:{UNKNOWN_ID}").knowing(reported)
    for action in TRACES:
        yield Authorization(role, action, "*").knowing(reported)
    for action in NETWORK_INTERFACES if function["in_vpc"] else ():
        yield Authorization(role, action, "*")
    if key := function["log_key"]:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        for action in ("Decrypt", "GenerateDataKey"):
            asked = Authorization(f"logs.{call.region}.amazonaws.com", f"kms:{action}", key["arn"], policy=key["arn"])
            yield asked.knowing({"kms:EncryptionContext:aws:logs:arn": group})


def _node(call: Call, policies: Mapping[str, Any]) -> Iterator[Authorization]:
    """A node mounts each access point of its cluster's file system as root, with TLS and IAM."""
    cluster = call.role.split("/")[-2]
    for file_system, known in policies.items():
        if known.get("cluster") != cluster:
            continue
        for point in known["access_points"]:
            for action in MOUNTING:
                through = {
                    "elasticfilesystem:AccessPointArn": point,
                    "elasticfilesystem:AccessedViaMountTarget": "true",
                }
                yield call.ask(f"elasticfilesystem:{action}", file_system, through, policy=file_system)


def standing(policies: Mapping[str, Any], region: str) -> Iterator[Authorization]:
    """What must be allowed whoever calls: EventBridge publishes stopped executions to a topic, and so do alarms."""
    for topic, known in policies.items():
        if ":sns:" not in topic:
            continue
        yield Authorization(EVENTS, "sns:Publish", topic, policy=topic)
        for alarm in known["alarms"]:
            source = {"aws:SourceArn": alarm, "aws:SourceAccount": topic.split(":")[4]}
            yield Authorization(ALARMS, "sns:Publish", topic, policy=topic).knowing(source)
        for service in (EVENTS, ALARMS) if known["alarms"] else (EVENTS,):
            for action in ("Decrypt", "GenerateDataKey") if known["key"] else ():
                via = {"kms:ViaService": f"sns.{region}.amazonaws.com"}
                asked = Authorization(service, f"kms:{action}", known["key"], policy=known["key"]).knowing(via)
                yield asked.knowing({"aws:SourceAccount": topic.split(":")[4]}) if service == ALARMS else asked
