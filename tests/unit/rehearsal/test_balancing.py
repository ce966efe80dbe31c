"""Load balancers, certificates, records and web ACLs of the local AWS, through CloudFormation and through boto3."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.elbv2.access_logs import WRITER
from rehearsal.initial_account import ZONE_ID, InitialAccount
from tests.unit.rehearsal.fake_hosts import local_aws

MODULES = ("secretsmanager", "route53", "acm", "elbv2", "wafv2", "cloudformation")
HOST = "workbench.example.com"
POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[LocalAws]:
    with local_aws(tmp_path, modules=[f"rehearsal.aws.services.{name}" for name in MODULES]) as local:
        yield local


@pytest.fixture
def network(aws: LocalAws) -> dict[str, Any]:
    """A network with a subnet in each of two zones, and an internet gateway."""
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
        for number, zone in enumerate("abc")
    ]
    return {"VpcId": vpc, "Subnets": [subnet["Subnet"]["SubnetId"] for subnet in subnets]}


def refusal(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    error = refused.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


# --------------------------------------------------------------------------------------------------------- certificates


def request(aws: LocalAws, *names: str, **more: Any) -> str:
    first, *others = names or (HOST,)
    alternatives = {"SubjectAlternativeNames": others} if others else {}
    answer = aws.client("acm").request_certificate(DomainName=first, ValidationMethod="DNS", **alternatives, **more)
    return str(answer["CertificateArn"])


def described(aws: LocalAws, arn: str) -> dict[str, Any]:
    return dict(aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"])


def records_of(certificate: dict[str, Any]) -> list[dict[str, str]]:
    return [each["ResourceRecord"] for each in certificate["DomainValidationOptions"] if "ResourceRecord" in each]


def change(aws: LocalAws, action: str, record: dict[str, Any], zone: str = ZONE_ID) -> str:
    changes = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    answer = aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    return str(answer["ChangeInfo"]["Id"])


def cname(record: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "Name": record["Name"],
        "Type": "CNAME",
        "TTL": 300,
        "ResourceRecords": [{"Value": record["Value"]}],
        **more,
    }


def issued(aws: LocalAws, *names: str) -> str:
    arn = request(aws, *names)
    aws.clock.sleep(10)
    for record in records_of(described(aws, arn)):
        change(aws, "UPSERT", cname(record))
    aws.clock.sleep(120)
    assert described(aws, arn)["Status"] == "ISSUED"
    return arn


def test_a_certificate_is_pending_until_the_world_sees_its_record(aws: LocalAws) -> None:
    arn = request(aws)
    at_once = described(aws, arn)
    assert (at_once["Status"], records_of(at_once)) == ("PENDING_VALIDATION", [])
    assert not {"NotAfter", "Serial", "IssuedAt"} & set(at_once)
    aws.clock.sleep(10)
    (record,) = records_of(described(aws, arn))
    assert re.fullmatch(rf"_[0-9a-f]{{32}}\.{re.escape(HOST)}\.", record["Name"])
    aws.clock.sleep(3600)
    assert described(aws, arn)["Status"] == "PENDING_VALIDATION"
    change(aws, "UPSERT", cname({**record, "Value": "_another.acm-validations.aws."}))
    aws.clock.sleep(3600)
    assert described(aws, arn)["Status"] == "PENDING_VALIDATION"
    change(aws, "UPSERT", cname(record))
    aws.clock.sleep(30)
    assert described(aws, arn)["Status"] == "PENDING_VALIDATION"
    aws.clock.sleep(60)
    certificate = described(aws, arn)
    assert (certificate["Status"], certificate["DomainValidationOptions"][0]["ValidationStatus"]) == (
        "ISSUED",
        "SUCCESS",
    )
    days = (certificate["NotAfter"] - certificate["NotBefore"]).days
    assert 197 <= days <= 199


@pytest.mark.parametrize("zone", ["undelegated", "private"])
def test_a_zone_that_the_world_does_not_ask_proves_nothing(aws: LocalAws, zone: str) -> None:
    aws.initial_account = InitialAccount.parse({"zone": zone})
    arn = request(aws)
    aws.clock.sleep(10)
    change(aws, "UPSERT", cname(*records_of(described(aws, arn))))
    aws.clock.sleep(71 * 3600)
    assert described(aws, arn)["Status"] == "PENDING_VALIDATION"
    aws.clock.sleep(2 * 3600)
    assert described(aws, arn)["Status"] == "VALIDATION_TIMED_OUT"
    private = aws.client("route53").get_hosted_zone(Id=ZONE_ID)["HostedZone"]["Config"]["PrivateZone"]
    assert private == (zone == "private")


def test_a_token_answers_with_the_same_certificate_for_an_hour_unless_it_is_gone(aws: LocalAws) -> None:
    arn = request(aws, IdempotencyToken="once")
    assert request(aws, IdempotencyToken="once") == arn
    assert request(aws, IdempotencyToken="twice") != arn
    aws.client("acm").delete_certificate(CertificateArn=arn)
    assert request(aws, IdempotencyToken="once") != arn


def test_certificates_are_listed_by_status_and_with_their_names(aws: LocalAws) -> None:
    arn, acm = issued(aws, HOST, "other.example.com"), aws.client("acm")
    pending = request(aws, "third.example.com")
    shown = {each["CertificateArn"]: each for each in acm.list_certificates()["CertificateSummaryList"]}
    assert set(shown) == {arn, pending}
    assert shown[arn]["SubjectAlternativeNameSummaries"] == [HOST, "other.example.com"]
    only = acm.list_certificates(CertificateStatuses=["ISSUED"])["CertificateSummaryList"]
    assert [each["CertificateArn"] for each in only] == [arn]


# -------------------------------------------------------------------------------------------------------------- records


@pytest.mark.parametrize(
    ("action", "record", "reason"),
    [
        ("CREATE", {"Name": "there.example.com"}, "Tried to create resource record set .* but it already exists"),
        ("DELETE", {"Name": "missing.example.com"}, "Tried to delete resource record set .* but it was not found"),
        ("DELETE", {"Name": "there.example.com", "TTL": 5}, "but the values provided do not match the current values"),
        ("UPSERT", {"Name": "notexample.com"}, r"notexample.com\. is not permitted in zone example.com\."),
        ("CREATE", {"Name": "there.example.com", "Type": "TXT"}, "conflicts with other records"),
    ],
)
def test_a_change_that_route_53_would_not_make_is_refused(
    aws: LocalAws, action: str, record: dict[str, Any], reason: str
) -> None:
    there = {"Name": "there.example.com", "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": "a.example."}]}
    change(aws, "UPSERT", there)
    changes = {"Changes": [{"Action": action, "ResourceRecordSet": {**there, **record}}]}
    route53 = aws.client("route53")
    before = route53.list_resource_record_sets(HostedZoneId=ZONE_ID)["ResourceRecordSets"]
    refused = refusal(route53.change_resource_record_sets, HostedZoneId=ZONE_ID, ChangeBatch=changes)
    assert re.match(rf"InvalidChangeBatch: \[.*{reason}", refused), refused
    assert route53.list_resource_record_sets(HostedZoneId=ZONE_ID)["ResourceRecordSets"] == before


def test_hosted_zones_are_listed_in_pages(aws: LocalAws) -> None:
    route53 = aws.client("route53")
    other = route53.create_hosted_zone(Name="other.example", CallerReference="once")["HostedZone"]["Id"]
    pages = list(route53.get_paginator("list_hosted_zones").paginate(PaginationConfig={"PageSize": 1}))
    listed = {zone["Id"]: zone["Name"] for page in pages for zone in page["HostedZones"]}
    assert (len(pages), listed) == (2, {f"/hostedzone/{ZONE_ID}": "example.com.", other: "other.example."})


def test_a_change_takes_its_time(aws: LocalAws) -> None:
    record = {"Name": "there.example.com", "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": "a.example."}]}
    made, route53 = change(aws, "CREATE", record), aws.client("route53")
    assert route53.get_change(Id=made)["ChangeInfo"]["Status"] == "PENDING"
    aws.clock.sleep(60)
    assert route53.get_change(Id=made)["ChangeInfo"]["Status"] == "INSYNC"
    change(aws, "DELETE", record)
    kinds = [each["Type"] for each in route53.list_resource_record_sets(HostedZoneId=ZONE_ID)["ResourceRecordSets"]]
    assert kinds == ["NS", "SOA"]


# ------------------------------------------------------------------------------------------------------- load balancers


def template(network: dict[str, Any], certificate: str, **changed: Any) -> dict[str, Any]:
    """A stack as the product's access.yaml has it."""
    balancer = {
        "Scheme": "internal",
        "Type": "application",
        "Subnets": network["Subnets"][:2],
        "SecurityGroups": [{"Ref": "Group"}],
        "LoadBalancerAttributes": [
            {"Key": "idle_timeout.timeout_seconds", "Value": "3600"},
            {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"},
            {"Key": "deletion_protection.enabled", "Value": "false"},
        ],
    }
    resources = {
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": "load balancer",
                "VpcId": network["VpcId"],
                "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/8"}],
            },
        },
        "Balancer": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": balancer},
        "Targets": {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Properties": {
                "VpcId": network["VpcId"],
                "Protocol": "HTTP",
                "Port": 8787,
                "TargetType": "instance",
                "HealthCheckPath": "/health-check",
                "Matcher": {"HttpCode": "200"},
                "TargetGroupAttributes": [
                    {"Key": "deregistration_delay.timeout_seconds", "Value": "60"},
                    {"Key": "stickiness.enabled", "Value": "true"},
                    {"Key": "stickiness.type", "Value": "lb_cookie"},
                ],
            },
        },
        "Secure": {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": {"Ref": "Balancer"},
                "Port": 443,
                "Protocol": "HTTPS",
                "SslPolicy": POLICY,
                "Certificates": [{"CertificateArn": certificate}],
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Targets"}}],
            },
        },
        "Plain": {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": {"Ref": "Balancer"},
                "Port": 80,
                "Protocol": "HTTP",
                "DefaultActions": [
                    {
                        "Type": "redirect",
                        "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
                    }
                ],
            },
        },
        "Operational": {
            "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
            "Properties": {
                "ListenerArn": {"Ref": "Secure"},
                "Priority": 10,
                "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/load-balancer/*"]}}],
                "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}],
            },
        },
        "Record": {
            "Type": "AWS::Route53::RecordSet",
            "Properties": {
                "HostedZoneId": ZONE_ID,
                "Name": HOST,
                "Type": "A",
                "AliasTarget": {
                    "DNSName": {"Fn::GetAtt": ["Balancer", "DNSName"]},
                    "HostedZoneId": {"Fn::GetAtt": ["Balancer", "CanonicalHostedZoneID"]},
                    "EvaluateTargetHealth": False,
                },
            },
        },
    }
    for name, properties in changed.items():
        if properties is None:
            del resources[name]
        else:
            resources[name]["Properties"] |= properties
    outputs = {
        "Balancer": {"Ref": "Balancer"},
        "Targets": {"Ref": "Targets"},
        "Name": {"Fn::GetAtt": ["Balancer", "DNSName"]},
        "FullName": {"Fn::GetAtt": ["Balancer", "LoadBalancerFullName"]},
        "Record": {"Ref": "Record"} if "Record" in resources else "",
    }
    return {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}


def deploy(aws: LocalAws, body: dict[str, Any], *, update: bool = False) -> dict[str, str]:
    """Deploy the stack `access`; its outputs, or the reasons where it failed."""
    client = aws.client("cloudformation")
    (client.update_stack if update else client.create_stack)(StackName="access", TemplateBody=json.dumps(body))
    status = settled(aws)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        events = client.describe_stack_events(StackName="access")["StackEvents"]
        return {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED")
        }
    return {each["OutputKey"]: each["OutputValue"] for each in stack(aws).get("Outputs", [])}


def stack(aws: LocalAws) -> dict[str, Any]:
    return dict(aws.client("cloudformation").describe_stacks(StackName="access")["Stacks"][0])


def settled(aws: LocalAws) -> str:
    for _ in range(150):
        status = str(stack(aws)["StackStatus"])
        if not status.endswith("IN_PROGRESS"):
            return status
        aws.clock.sleep(30)
    raise AssertionError(status)


def test_a_stack_makes_a_load_balancer_with_all_that_belongs_to_it(aws: LocalAws, network: dict[str, Any]) -> None:
    certificate, began = issued(aws), aws.clock.now()
    outputs = deploy(aws, template(network, certificate))
    assert 120 < aws.clock.now() - began < 600
    client = aws.client("elbv2")
    (balancer,) = client.describe_load_balancers()["LoadBalancers"]
    assert balancer["State"]["Code"] == "active"
    assert re.fullmatch(r"access-Balanc-[A-Z0-9]{12}", balancer["LoadBalancerName"])
    assert re.fullmatch(r"internal-access-Balanc-\w+-\d{10}\.us-east-1\.elb\.amazonaws\.com", outputs["Name"])
    assert outputs["Balancer"].endswith(f":loadbalancer/{outputs['FullName']}")
    assert outputs["Record"] == HOST
    described_attributes = client.describe_load_balancer_attributes(LoadBalancerArn=outputs["Balancer"])["Attributes"]
    attributes = {each["Key"]: each["Value"] for each in described_attributes}
    assert attributes["idle_timeout.timeout_seconds"] == "3600"
    assert attributes["routing.http.desync_mitigation_mode"] == "defensive"
    (group,) = client.describe_target_groups()["TargetGroups"]
    assert group["LoadBalancerArns"] == [outputs["Balancer"]]
    assert (group["HealthCheckPath"], group["Matcher"]) == ("/health-check", {"HttpCode": "200"})
    assert described(aws, certificate)["InUseBy"] == [outputs["Balancer"]]
    found = aws.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "description", "Values": [f"ELB {outputs['FullName']}"]}]
    )["NetworkInterfaces"]
    assert {each["SubnetId"] for each in found} == set(network["Subnets"][:2])
    assert {each["RequesterId"] for each in found} == {"amazon-elb"}
    records = aws.client("route53").list_resource_record_sets(HostedZoneId=ZONE_ID)["ResourceRecordSets"]
    (alias,) = [each for each in records if each["Type"] == "A"]
    assert alias["AliasTarget"]["DNSName"].rstrip(".") == outputs["Name"]


def test_a_load_balancer_is_changed_in_place(aws: LocalAws, network: dict[str, Any]) -> None:
    certificate = issued(aws)
    before = deploy(aws, template(network, certificate))
    second = issued(aws, "other.example.com")
    body = template(
        network,
        certificate,
        Balancer={
            "Subnets": network["Subnets"][1:],
            "LoadBalancerAttributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "4000"}],
            "Tags": [{"Key": "team", "Value": "data"}],
        },
        Targets={
            "HealthCheckIntervalSeconds": 10,
            "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "3600"}],
        },
        Secure={"Certificates": [{"CertificateArn": second}]},
        Operational={"Priority": 20},
    )
    after = deploy(aws, body, update=True)
    assert after == before
    client = aws.client("elbv2")
    (balancer,) = client.describe_load_balancers()["LoadBalancers"]
    assert {zone["SubnetId"] for zone in balancer["AvailabilityZones"]} == set(network["Subnets"][1:])
    (tags,) = client.describe_tags(ResourceArns=[after["Balancer"]])["TagDescriptions"]
    assert {"Key": "team", "Value": "data"} in tags["Tags"]
    (group,) = client.describe_target_groups()["TargetGroups"]
    assert group["HealthCheckIntervalSeconds"] == 10
    listeners = client.describe_listeners(LoadBalancerArn=after["Balancer"])["Listeners"]
    secure = next(each for each in listeners if each["Port"] == 443)
    assert secure["Certificates"] == [{"CertificateArn": second}]
    assert described(aws, certificate)["InUseBy"] == []
    rules = client.describe_rules(ListenerArn=secure["ListenerArn"])["Rules"]
    assert [rule["Priority"] for rule in rules] == ["20", "default"]


def test_another_scheme_is_another_load_balancer_which_needs_another_target_group(
    aws: LocalAws, network: dict[str, Any]
) -> None:
    certificate = issued(aws)
    before = deploy(aws, template(network, certificate))
    public = {"Balancer": {"Scheme": "internet-facing"}}
    reasons = deploy(aws, template(network, certificate, **public), update=True)
    assert "cannot be associated with more than one load balancer" in reasons["Secure"]
    after = deploy(aws, template(network, certificate, **public, Targets={"ProtocolVersion": "HTTP1"}), update=True)
    assert after["Balancer"] != before["Balancer"]
    assert after["Targets"] != before["Targets"]
    assert not after["Name"].startswith("internal-")
    (balancer,) = aws.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert balancer["LoadBalancerArn"] == after["Balancer"]


def test_a_renamed_record_is_another_record(aws: LocalAws, network: dict[str, Any]) -> None:
    certificate = issued(aws, HOST, "other.example.com")
    deploy(aws, template(network, certificate))
    outputs = deploy(aws, template(network, certificate, Record={"Name": "other.example.com"}), update=True)
    records = aws.client("route53").list_resource_record_sets(HostedZoneId=ZONE_ID)["ResourceRecordSets"]
    assert [each["Name"] for each in records if each["Type"] == "A"] == ["other.example.com."]
    assert outputs["Record"] == "other.example.com"


def test_a_deleted_stack_leaves_nothing(aws: LocalAws, network: dict[str, Any]) -> None:
    certificate = issued(aws)
    deploy(aws, template(network, certificate))
    in_use = refusal(aws.client("acm").delete_certificate, CertificateArn=certificate)
    assert in_use.startswith("ResourceInUseException")
    stack_id = stack(aws)["StackId"]
    client = aws.client("cloudformation")
    client.delete_stack(StackName="access")
    for _ in range(200):
        if client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE":
            break
        aws.clock.sleep(10)
    else:
        raise AssertionError(deploy)
    elbv2, ec2 = aws.client("elbv2"), aws.client("ec2")
    assert elbv2.describe_load_balancers()["LoadBalancers"] == elbv2.describe_target_groups()["TargetGroups"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert {group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]} == {"default"}
    aws.client("acm").delete_certificate(CertificateArn=certificate)


def test_deletion_protection_holds(aws: LocalAws, network: dict[str, Any]) -> None:
    protected = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    outputs = deploy(aws, template(network, issued(aws), Balancer={"LoadBalancerAttributes": protected}))
    refused = refusal(aws.client("elbv2").delete_load_balancer, LoadBalancerArn=outputs["Balancer"])
    assert refused.startswith("OperationNotPermitted") and "deletion protection is enabled" in refused
    aws.client("cloudformation").delete_stack(StackName="access")
    assert settled(aws) == "DELETE_FAILED"


@pytest.mark.parametrize(
    ("changed", "resource", "reason"),
    [
        ({"Balancer": {"Subnets": ["subnet-0123456789abcdef0"] * 2}}, "Balancer", "does not exist"),
        (
            {"Balancer": {"LoadBalancerAttributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "4001"}]}},
            "Balancer",
            "must be between '1-4000' inclusive",
        ),
        (
            {"Balancer": {"LoadBalancerAttributes": [{"Key": "idle.timeout", "Value": "1"}]}},
            "Balancer",
            "is not recognized",
        ),
        ({"Targets": {"HealthCheckPath": "health-check"}}, "Targets", "must begin with a '/'"),
        (
            {
                "Operational": {
                    "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a", "/b", "/c", "/d"]}}]
                }
            },
            "Operational",
            "at most 3 values in a condition",
        ),
        (
            {"Targets": {"TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "3601"}]}},
            "Targets",
            "must be between '0-3600' inclusive",
        ),
        ({"Secure": {"SslPolicy": "ELBSecurityPolicy-Fancy"}}, "Secure", "SSL policy 'ELBSecurityPolicy-Fancy'"),
        ({"Plain": {"Port": 443}}, "Plain|Secure", "A listener already exists on this port"),
    ],
)
def test_what_aws_refuses_fails_the_stack(
    aws: LocalAws, network: dict[str, Any], changed: dict[str, Any], resource: str, reason: str
) -> None:
    reasons = deploy(aws, template(network, issued(aws), **changed))
    assert any(re.fullmatch(resource, name) and reason in text for name, text in reasons.items()), reasons
    assert settled(aws) == "ROLLBACK_COMPLETE"


def test_a_certificate_that_is_not_issued_is_no_certificate_of_a_listener(
    aws: LocalAws, network: dict[str, Any]
) -> None:
    reasons = deploy(aws, template(network, request(aws)))
    assert (
        "must have a fully-qualified domain name, a supported signature, and a supported key size" in reasons["Secure"]
    )


def test_a_record_that_someone_else_made_fails_the_stack(aws: LocalAws, network: dict[str, Any]) -> None:
    theirs = {"Name": HOST, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    change(aws, "CREATE", theirs)
    reasons = deploy(aws, template(network, issued(aws)))
    assert "but it already exists" in reasons["Record"]
    records = aws.client("route53").list_resource_record_sets(HostedZoneId=ZONE_ID)["ResourceRecordSets"]
    assert [each["ResourceRecords"] for each in records if each["Type"] == "A"] == [[{"Value": "192.0.2.1"}]]


def test_a_target_group_has_one_load_balancer(aws: LocalAws, network: dict[str, Any]) -> None:
    outputs = deploy(aws, template(network, issued(aws)))
    elbv2 = aws.client("elbv2")
    other = elbv2.create_load_balancer(Name="other", Subnets=network["Subnets"][:2], Scheme="internal")
    refused = refusal(
        elbv2.create_listener,
        LoadBalancerArn=other["LoadBalancers"][0]["LoadBalancerArn"],
        Port=80,
        Protocol="HTTP",
        DefaultActions=[{"Type": "forward", "TargetGroupArn": outputs["Targets"]}],
    )
    assert refused.startswith("TargetGroupAssociationLimit")
    in_use = refusal(elbv2.delete_target_group, TargetGroupArn=outputs["Targets"])
    assert in_use.startswith("ResourceInUse")


def test_security_groups_of_a_load_balancer_go_when_its_interfaces_have_gone(
    aws: LocalAws, network: dict[str, Any]
) -> None:
    ec2, elbv2 = aws.client("ec2"), aws.client("elbv2")
    made = ec2.create_security_group(GroupName="front", Description="front", VpcId=network["VpcId"])["GroupId"]
    balancer = elbv2.create_load_balancer(
        Name="front", Subnets=network["Subnets"][:2], Scheme="internal", SecurityGroups=[made]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    elbv2.delete_load_balancer(LoadBalancerArn=balancer)
    assert refusal(ec2.delete_security_group, GroupId=made).startswith("DependencyViolation")
    aws.clock.sleep(120)
    ec2.delete_security_group(GroupId=made)


def test_a_security_group_that_a_rule_of_another_names_stays(aws: LocalAws, network: dict[str, Any]) -> None:
    ec2 = aws.client("ec2")
    front, nodes = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=network["VpcId"])["GroupId"]
        for name in ("front", "nodes")
    )
    rule = [{"IpProtocol": "tcp", "FromPort": 8787, "ToPort": 8787, "UserIdGroupPairs": [{"GroupId": front}]}]
    ec2.authorize_security_group_ingress(GroupId=nodes, IpPermissions=rule)
    assert refusal(ec2.delete_security_group, GroupId=front).startswith("DependencyViolation")
    ec2.revoke_security_group_ingress(GroupId=nodes, IpPermissions=rule)
    ec2.delete_security_group(GroupId=front)


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"Name": "internal-mine"}, "cannot begin with 'internal-'"),
        ({"Name": "taken"}, "DuplicateLoadBalancerName"),
        ({"zones": [0]}, "At least two subnets in two different Availability Zones must be specified"),
        ({"zones": [0, 0]}, "multiple subnets in the same Availability Zone"),
    ],
)
def test_a_load_balancer_that_aws_would_not_make_is_refused(
    aws: LocalAws, network: dict[str, Any], asked: dict[str, Any], refused: str
) -> None:
    elbv2 = aws.client("elbv2")
    subnets = [network["Subnets"][number] for number in asked.pop("zones", (0, 1))]
    elbv2.create_load_balancer(Name="taken", Subnets=network["Subnets"][:2], Scheme="internal")
    wanted = {"Name": "mine", "Scheme": "internal", "Subnets": subnets} | asked
    assert refused in refusal(elbv2.create_load_balancer, **wanted)


def test_a_new_account_has_no_role_for_load_balancers_until_it_was_made(aws: LocalAws, network: dict[str, Any]) -> None:
    elbv2, wanted = aws.client("elbv2"), {"Scheme": "internal", "Subnets": network["Subnets"][:2]}
    aws.initial_account = InitialAccount.parse({"new": True})
    refused = refusal(elbv2.create_load_balancer, Name="first", **wanted)
    assert refused.startswith("AccessDenied: User is not authorized to perform: iam:CreateServiceLinkedRole")
    aws.clock.sleep(30)
    elbv2.create_load_balancer(Name="first", **wanted)
    aws.initial_account = InitialAccount.parse({"new": True, "service_roles": False})
    assert refusal(elbv2.create_load_balancer, Name="second", **wanted) == refused


@pytest.mark.parametrize(
    ("encryption", "principal", "prefix"),
    [
        ("AES256", WRITER, "balancer"),
        ("aws:kms", WRITER, "balancer"),
        ("AES256", "ec2.amazonaws.com", "balancer"),
        ("AES256", WRITER, "elsewhere"),
    ],
)
def test_access_logs_need_a_bucket_that_takes_them(
    aws: LocalAws, network: dict[str, Any], encryption: str, principal: str, prefix: str
) -> None:
    s3, elbv2 = aws.client("s3"), aws.client("elbv2")
    s3.create_bucket(Bucket="logs")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": encryption}}
    s3.put_bucket_encryption(Bucket="logs", ServerSideEncryptionConfiguration={"Rules": [rule]})
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": principal},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::logs/balancer/AWSLogs/{aws.account}/*",
    }
    s3.put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    made = elbv2.create_load_balancer(Name="mine", Scheme="internal", Subnets=network["Subnets"][:2])
    wanted = {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "logs", "access_logs.s3.prefix": prefix}
    request = {
        "LoadBalancerArn": made["LoadBalancers"][0]["LoadBalancerArn"],
        "Attributes": [{"Key": key, "Value": value} for key, value in wanted.items()],
    }
    if (encryption, principal, prefix) != ("AES256", WRITER, "balancer"):
        refused = refusal(elbv2.modify_load_balancer_attributes, **request)
        assert refused == (
            "InvalidConfigurationRequest: Access Denied for bucket: logs. Please check S3bucket permission"
        )
        return
    elbv2.modify_load_balancer_attributes(**request)
    (written,) = s3.list_objects_v2(Bucket="logs")["Contents"]
    assert written["Key"] == f"balancer/AWSLogs/{aws.account}/ELBAccessLogTestFile"


def test_a_web_acl_is_put_in_front_of_a_load_balancer(aws: LocalAws, network: dict[str, Any]) -> None:
    wafv2 = aws.client("wafv2")
    seen = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}
    made = wafv2.create_web_acl(Name="acl", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=seen)
    arn = made["Summary"]["ARN"]
    body = template(network, issued(aws))
    body["Resources"]["Acl"] = {
        "Type": "AWS::WAFv2::WebACLAssociation",
        "Properties": {"ResourceArn": {"Ref": "Balancer"}, "WebACLArn": arn},
    }
    outputs = deploy(aws, body)
    found = wafv2.get_web_acl_for_resource(ResourceArn=outputs["Balancer"])
    assert found["WebACL"]["ARN"] == arn
    del body["Resources"]["Acl"]
    deploy(aws, body, update=True)
    assert "WebACL" not in wafv2.get_web_acl_for_resource(ResourceArn=outputs["Balancer"])
    missing = arn.replace("/acl/", "/missing/")
    assert "WAFNonexistentItemException" in refusal(
        wafv2.associate_web_acl, ResourceArn=outputs["Balancer"], WebACLArn=missing
    )
