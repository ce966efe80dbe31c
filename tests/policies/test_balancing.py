"""What IAM is asked for calls about load balancers, certificates, records and web ACLs."""

import pytest

from rehearsal.judges.policies.authorization import UNKNOWN_ID
from rehearsal.judges.policies.mapping import authorizations
from tests.policies.lines import ACCOUNT, REGION, call

BALANCING = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
BALANCER, LISTENER = f"{BALANCING}:loadbalancer/app/front/1", f"{BALANCING}:listener/app/front/1/2"
TAGS = [{"Key": "a", "Value": "b"}]
REQUESTED = {"aws:RequestTag/a": "b", "aws:TagKeys": ("a",)}
ID = UNKNOWN_ID[:16]


@pytest.mark.parametrize(
    ("operation", "parameters", "on", "tagged"),
    [
        ("CreateLoadBalancer", {"Name": "front"}, *[f"{BALANCING}:loadbalancer/app/front/{ID}"] * 2),
        ("CreateTargetGroup", {"Name": "nodes"}, *[f"{BALANCING}:targetgroup/nodes/{ID}"] * 2),
        ("CreateListener", {"LoadBalancerArn": BALANCER}, BALANCER, f"{BALANCING}:listener/app/front/1/{ID}"),
        ("CreateRule", {"ListenerArn": LISTENER}, LISTENER, f"{BALANCING}:listener-rule/app/front/1/2/{ID}"),
    ],
)
def test_what_is_made_is_tagged_by_its_own_arn(
    operation: str, parameters: dict[str, str], on: str, tagged: str
) -> None:
    made = call("elbv2", operation, {**parameters, "Tags": TAGS})
    asked = {(each.action.partition(":")[2], each.resource): dict(each.context) for each in authorizations(made)}
    assert asked[operation, on] == REQUESTED
    assert asked["AddTags", tagged] == {**REQUESTED, "elasticloadbalancing:CreateAction": operation}


def test_what_is_there_has_its_tags_by_both_of_their_names() -> None:
    (asked,) = authorizations(
        call("elbv2", "DeleteLoadBalancer", {"LoadBalancerArn": BALANCER}, {BALANCER: {"tags": {"a": "b"}}})
    )
    assert (asked.action, asked.resource) == ("elasticloadbalancing:DeleteLoadBalancer", BALANCER)
    assert dict(asked.context) == {"aws:ResourceTag/a": "b", "elasticloadbalancing:ResourceTag/a": "b"}


def test_a_load_balancer_is_looked_up_in_ec2_with_the_permissions_of_who_makes_it() -> None:
    asked = {each.action for each in authorizations(call("elbv2", "CreateLoadBalancer", {"Name": "front"}))}
    looked_up = ("AccountAttributes", "Addresses", "InternetGateways", "SecurityGroups", "Subnets", "Vpcs")
    assert {f"ec2:Describe{each}" for each in looked_up} | {"iam:CreateServiceLinkedRole"} < asked


def test_a_change_of_records_says_which_and_how() -> None:
    record = {"Name": "A.Example.COM.", "Type": "CNAME"}
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    (asked,) = authorizations(call("route53", "ChangeResourceRecordSets", {"HostedZoneId": "Z1", "ChangeBatch": batch}))
    assert (asked.action, asked.resource) == ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z1")
    assert dict(asked.context) == {
        "route53:ChangeResourceRecordSetsActions": ("UPSERT",),
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": ("a.example.com",),
        "route53:ChangeResourceRecordSetsRecordTypes": ("CNAME",),
    }


def test_a_certificate_is_asked_for_without_a_resource_and_tagged_with_one() -> None:
    parameters = {"DomainName": "a.example.com", "SubjectAlternativeNames": ["b.example.com"], "Tags": TAGS}
    new, tagging = authorizations(call("acm", "RequestCertificate", parameters))
    names = ("a.example.com", "b.example.com")
    assert (new.action, new.resource) == ("acm:RequestCertificate", "*")
    assert dict(new.context) == {**REQUESTED, "acm:DomainNames": names, "acm:ValidationMethod": "DNS"}
    arn = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/{UNKNOWN_ID}"
    assert (tagging.action, tagging.resource) == ("acm:AddTagsToCertificate", arn)


def test_a_web_acl_in_front_of_a_load_balancer_asks_for_both() -> None:
    acl = f"arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/webacl/acl/1"
    asked = authorizations(call("wafv2", "AssociateWebACL", {"ResourceArn": BALANCER, "WebACLArn": acl}))
    assert [(each.action, each.resource) for each in asked] == [
        ("wafv2:AssociateWebACL", BALANCER),
        ("wafv2:AssociateWebACL", acl),
        ("elasticloadbalancing:SetWebAcl", "*"),
    ]
