"""Load balancers, certificates, records and web ACLs.

Besides the service authorization reference: https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/
elb-api-permissions.html for what Elastic Load Balancing asks EC2 with the permissions of who calls it.
"""

from collections.abc import Iterator

from rehearsal.judges.policies.authorization import UNKNOWN_ID, Authorization, Call, Value
from rehearsal.judges.policies.mapping.registry import on, without_resource

ID = UNKNOWN_ID[:16]
ROLE = "AWSServiceRoleForElasticLoadBalancing"

# What each operation looks up in EC2.
LOOKED_UP = {
    "CreateLoadBalancer": (
        *("DescribeAccountAttributes", "DescribeAddresses", "DescribeInternetGateways", "DescribeSecurityGroups"),
        *("DescribeSubnets", "DescribeVpcs"),
    ),
    "CreateTargetGroup": ("DescribeInternetGateways", "DescribeVpcs"),
    "RegisterTargets": ("DescribeInstances", "DescribeInternetGateways", "DescribeSubnets", "DescribeVpcs"),
    "SetSubnets": ("DescribeSubnets",),
}
PARTS = {
    "CreateListener": ("LoadBalancerArn", ":loadbalancer/", ":listener/"),
    "CreateRule": ("ListenerArn", ":listener/", ":listener-rule/"),
}
MADE = {"CreateLoadBalancer": "loadbalancer/app", "CreateTargetGroup": "targetgroup"}

without_resource(
    "elbv2",
    "elasticloadbalancing",
    *("DescribeListeners", "DescribeListenerCertificates", "DescribeLoadBalancerAttributes", "DescribeLoadBalancers"),
    *("DescribeRules", "DescribeTags", "DescribeTargetGroupAttributes", "DescribeTargetGroups", "DescribeTargetHealth"),
)
without_resource("ec2", "ec2", "DescribeNetworkInterfaces", "DescribeInternetGateways")
without_resource("route53", "route53", "ListHostedZones", "ListHostedZonesByName")
without_resource("acm", "acm", "ListCertificates")


@on("elbv2", "CreateLoadBalancer", "CreateTargetGroup")
def new(call: Call) -> Iterator[Authorization]:
    arn = call.arn("elasticloadbalancing", f"{MADE[call.operation]}/{call['Name']}/{ID}")
    yield call.ask_tagged(f"elasticloadbalancing:{call.operation}", arn)
    yield from _tagging(call, arn)
    yield from _looked_up(call)
    yield call.ask_service_role("elasticloadbalancing.amazonaws.com", ROLE)


@on("elbv2", "CreateListener", "CreateRule")
def new_part(call: Call) -> Iterator[Authorization]:
    """A part of a load balancer is asked for on what it becomes a part of, and tagged by its own ARN."""
    name, kind, of_part = PARTS[call.operation]
    yield _on(call, call.operation, call[name]).with_tags(call.requested_tags())
    yield from _tagging(call, f"{call[name].replace(kind, of_part)}/{ID}")


@on(
    "elbv2",
    *("DeleteListener", "DeleteLoadBalancer", "DeleteRule", "DeleteTargetGroup", "DeregisterTargets"),
    *("ModifyListener", "ModifyLoadBalancerAttributes", "ModifyRule", "ModifyTargetGroup"),
    *("ModifyTargetGroupAttributes", "RegisterTargets", "SetSecurityGroups", "SetSubnets"),
)
def existing(call: Call) -> Iterator[Authorization]:
    arns = ("RuleArn", "ListenerArn", "TargetGroupArn", "LoadBalancerArn")
    yield _on(call, call.operation, next(call[name] for name in arns if call.get(name)))
    yield from _looked_up(call)


@on("elbv2", "SetRulePriorities")
def priorities(call: Call) -> Iterator[Authorization]:
    for each in call["RulePriorities"]:
        yield _on(call, "SetRulePriorities", each["RuleArn"])


@on("elbv2", "AddTags", "RemoveTags")
def tags(call: Call) -> Iterator[Authorization]:
    for arn in call["ResourceArns"]:
        asked = _on(call, call.operation, arn).with_tags(call.requested_tags())
        yield asked.knowing({"aws:TagKeys": tuple(call["TagKeys"])}) if call.get("TagKeys") else asked


def _on(call: Call, action: str, arn: str) -> Authorization:
    asked = call.ask(f"elasticloadbalancing:{action}", arn).on_tagged(call.tags(arn))
    return asked.on_tagged(call.tags(arn), "elasticloadbalancing:ResourceTag")


def _tagging(call: Call, arn: str) -> Iterator[Authorization]:
    yield from call.ask_tagging(
        "elasticloadbalancing:AddTags", arn, {"elasticloadbalancing:CreateAction": call.operation}
    )


def _looked_up(call: Call) -> Iterator[Authorization]:
    for action in LOOKED_UP.get(call.operation, ()):
        yield call.ask(f"ec2:{action}")


# --------------------------------------------------------------------------------------------------------- certificates


@on("acm", "RequestCertificate")
def new_certificate(call: Call) -> Iterator[Authorization]:
    names = (call["DomainName"], *(call.get("SubjectAlternativeNames") or ()))
    facts: dict[str, Value] = {"acm:DomainNames": tuple(dict.fromkeys(names)), "acm:ValidationMethod": "DNS"}
    yield call.ask_tagged("acm:RequestCertificate").knowing(facts)
    yield from call.ask_tagging("acm:AddTagsToCertificate", call.arn("acm", f"certificate/{UNKNOWN_ID}"))


@on(
    "acm",
    *("AddTagsToCertificate", "DeleteCertificate", "DescribeCertificate", "ListTagsForCertificate"),
    "RemoveTagsFromCertificate",
)
def certificate(call: Call) -> Iterator[Authorization]:
    arn = call["CertificateArn"]
    yield call.ask_tagged(f"acm:{call.operation}", arn).on_tagged(call.tags(arn))


# -------------------------------------------------------------------------------------------------------------- records


@on("route53", "ChangeResourceRecordSets")
def records(call: Call) -> Iterator[Authorization]:
    """Conditions see names in lower case and without the dot at the end (Route 53 developer guide, "Using IAM policy
    conditions for fine-grained access control").
    """
    changes = call["ChangeBatch"]["Changes"]
    names = {each["ResourceRecordSet"]["Name"].lower().rstrip(".") for each in changes}
    prefix = "route53:ChangeResourceRecordSets"
    yield call.ask(prefix, _zone(call["HostedZoneId"])).knowing(
        {
            f"{prefix}NormalizedRecordNames": tuple(sorted(names)),
            f"{prefix}RecordTypes": tuple(sorted({each["ResourceRecordSet"]["Type"] for each in changes})),
            f"{prefix}Actions": tuple(sorted({each["Action"] for each in changes})),
        }
    )


@on("route53", "GetChange")
def change(call: Call) -> Iterator[Authorization]:
    yield call.ask("route53:GetChange", f"arn:aws:route53:::change/{call['Id'].rpartition('/')[2]}")


@on("route53", "GetHostedZone", "ListResourceRecordSets")
def zone(call: Call) -> Iterator[Authorization]:
    yield call.ask(f"route53:{call.operation}", _zone(call.get("HostedZoneId") or call["Id"]))


def _zone(identifier: str) -> str:
    return f"arn:aws:route53:::hostedzone/{identifier.rpartition('/')[2]}"


# ------------------------------------------------------------------------------------------------------------- web ACLs


@on("wafv2", "AssociateWebACL", "DisassociateWebACL", "GetWebACLForResource")
def web_acl(call: Call) -> Iterator[Authorization]:
    """Elastic Load Balancing asks for SetWebAcl, which has no resource in the service authorization reference."""
    arn = call["ResourceArn"]
    yield call.ask(f"wafv2:{call.operation}", arn)
    if call.get("WebACLArn"):
        yield call.ask(f"wafv2:{call.operation}", call["WebACLArn"])
    if call.operation != "GetWebACLForResource":
        yield call.ask("elasticloadbalancing:SetWebAcl")


@on("wafv2", "GetWebACL")
def read_web_acl(call: Call) -> Iterator[Authorization]:
    yield call.ask("wafv2:GetWebACL", call.arn("wafv2", f"regional/webacl/{call['Name']}/{call['Id']}"))
