"""An address of a cluster over its life: each test goes on where the one before it ended.

An address replaces no node; one test replaces them on purpose.
Alone, this file begins with an account without a cluster.
"""

from dataclasses import replace
from typing import Any

import pytest

from rehearsal.aws import durations
from rehearsal.initial_account import ZONE_ID
from tests.deployment.account import Account

HOST = "workbench.example.com"
ADDRESS = {"hostname": HOST, "hosted_zone_id": ZONE_ID}
CHECKS = {"targets", "address", "operational paths", "certificate"}

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def first(account: Account) -> Any:
    """The output of the first deployment, to which no certificate came: no hosted zone was given. AWS takes long."""
    wanted = {"access": {"hostname": HOST}, "nodes": {"count": 2}, "users": {"ann": {}}}
    with durations.during(durations.SLOW):
        output = account.deploy_as_previewed(wanted).output
    account.on_every_node("runuser -u ann -- touch /efs/home/ann/kept")
    return output


def delegate(account: Account, *, delegated: bool) -> None:
    """Let the name servers of the world know the hosted zone of the account, or not."""
    account.aws.initial_account = replace(account.aws.initial_account, zone="public" if delegated else "undelegated")


def checks_of(output: Any) -> dict[str, str]:
    return {check["name"]: check["found"] for check in output["verification"]["checks"] if check["holds"]}


def of_address(account: Account) -> dict[str, int]:
    """How many there are of all that only an address needs."""
    balancing = account.aws.client("elbv2")
    stacks = account.aws.client("cloudformation").describe_stacks()["Stacks"]
    return {
        "stacks": len([stack for stack in stacks if stack["StackName"].endswith("-access")]),
        "load balancers": len(balancing.describe_load_balancers()["LoadBalancers"]),
        "target groups": len(balancing.describe_target_groups()["TargetGroups"]),
        "certificates": len(account.aws.client("acm").list_certificates()["CertificateSummaryList"]),
        "alarms": len(watched_by_alarms(account)),
    }


def watched_by_alarms(account: Account) -> set[str]:
    """What the alarms of the address watch, by CloudWatch's names: the ends of ARNs, and a whole one."""
    alarms = account.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    of_address = ("AWS/ApplicationELB", "AWS/CertificateManager")
    found = [alarm["Dimensions"] for alarm in alarms if alarm.get("Namespace") in of_address]
    return {each["Value"] for dimensions in found for each in dimensions}


def record_of_host(account: Account) -> list[str]:
    """The types of the records that the hosted zone has for the host name."""
    records = account.aws.client("route53").list_resource_record_sets(HostedZoneId=ZONE_ID)["ResourceRecordSets"]
    return [record["Type"] for record in records if record["Name"] == f"{HOST}."]


def validation_records(account: Account) -> list[Any]:
    """The records of the hosted zone by which ACM validates certificates."""
    records = account.aws.client("route53").list_resource_record_sets(HostedZoneId=ZONE_ID)["ResourceRecordSets"]
    return [record for record in records if record["Type"] == "CNAME" and record["Name"].startswith("_")]


def test_without_a_hosted_zone_the_cluster_is_verified_and_the_records_to_create_are_shown(first: Any) -> None:
    assert first["connection"]["url"] == "http://localhost:8787"
    (warning,) = [warning for warning in first["warnings"] if warning.startswith("access: ")]
    assert f"the certificate for {HOST} is not issued yet" in warning
    assert f"{HOST} CNAME internal-" in warning
    assert not CHECKS & checks_of(first).keys()


def test_a_zone_that_no_one_delegated_to_fails_within_minutes_with_the_record_and_the_name_servers(
    account: Account, first: Any
) -> None:
    delegate(account, delegated=False)
    ended = account.end(account.start("deploy", {"access": ADDRESS}))
    assert (ended.status, ended.error) == ("FAILED", "CertificateNotIssued")
    zone = account.aws.client("route53").get_hosted_zone(Id=ZONE_ID)
    for part in ("acm-validations.aws", *zone["DelegationSet"]["NameServers"]):
        assert part in (ended.cause or "")


def test_the_address_works_once_the_zone_is_delegated_to(account: Account, first: Any) -> None:
    delegate(account, delegated=True)
    before = set(account.nodes)
    with durations.during(durations.SLOW):
        output = account.deploy_as_previewed({}).output
    assert output["connection"]["url"] == f"https://{HOST}"
    found = checks_of(output)
    assert {name: found[name] for name in ("targets", "address", "operational paths")} == {
        "targets": "2 healthy",
        "address": f"https://{HOST} answers",
        "operational paths": "refused",
    }
    assert record_of_host(account) == ["A"]
    (balancer,) = account.aws.client("elbv2").describe_load_balancers()["LoadBalancers"]
    (targets,) = account.aws.client("elbv2").describe_target_groups()["TargetGroups"]
    (certificate,) = account.aws.client("acm").list_certificates()["CertificateSummaryList"]
    assert watched_by_alarms(account) == {
        balancer["LoadBalancerArn"].partition(":loadbalancer/")[2],
        targets["TargetGroupArn"].rpartition(":")[2],
        certificate["CertificateArn"],
    }
    assert set(account.nodes) == before
    assert account.on_every_node("grep cookies /etc/rstudio/rserver.conf") == {"auth-cookies-force-secure=1\n"}


def test_a_node_that_the_load_balancer_finds_unhealthy_raises_an_alarm(account: Account, first: Any) -> None:
    """By the health checks that its proxy really makes."""
    name = "benchwright-workbench-unhealthy-targets"
    assert account.state_of(name) == "OK"
    node, *_ = account.nodes.values()
    node.host.run("systemctl stop rstudio-server", timeout=60)
    account.in_aws_time_until(lambda: account.state_of(name) == "ALARM", "the load balancer to find the node unhealthy")
    node.host.run("systemctl start rstudio-server", timeout=60)
    account.in_aws_time_until(lambda: account.state_of(name) == "OK", "the load balancer to find the node healthy")


def test_the_days_of_the_certificate_are_what_its_alarm_counts(account: Account, first: Any) -> None:
    """A certificate that ACM issues is new: here its days are compared with more than it has."""
    name = "benchwright-workbench-certificate-expires"
    assert account.state_of(name) == "OK"
    assert account.state_of(name, Threshold=1000) == "ALARM"


def test_a_verification_asks_for_the_address(account: Account, first: Any) -> None:
    output = account.succeed(account.start("verify", {})).output
    assert checks_of(output).keys() >= CHECKS


def test_a_replacement_of_nodes_waits_until_the_load_balancer_finds_each_new_node_healthy(
    account: Account, first: Any
) -> None:
    """A closed security group keeps the load balancer from a new node, as from all others.

    The same deployment writes a validation record that someone deleted again: ACM needs it to renew the certificate.
    """
    (validation,) = validation_records(account)
    account.aws.client("route53").change_resource_record_sets(
        HostedZoneId=ZONE_ID, ChangeBatch={"Changes": [{"Action": "DELETE", "ResourceRecordSet": validation}]}
    )
    ec2, scaling = account.aws.client("ec2"), account.aws.client("autoscaling")
    (balancer,) = account.aws.client("elbv2").describe_load_balancers()["LoadBalancers"]
    of_balancer = [{"Name": "ip-permission.group-id", "Values": balancer["SecurityGroups"]}]
    (nodes,) = ec2.describe_security_groups(Filters=of_balancer)["SecurityGroups"]
    rules = [
        {**rule, "UserIdGroupPairs": pairs}
        for rule in nodes["IpPermissions"]
        if (pairs := [pair for pair in rule["UserIdGroupPairs"] if pair["GroupId"] in balancer["SecurityGroups"]])
    ]
    opening = {"GroupId": nodes["GroupId"], "IpPermissions": rules}

    def suspended() -> set[str]:
        (described,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        return {each["ProcessName"] for each in described["SuspendedProcesses"]}

    old, clock = set(account.nodes), account.aws.clock
    ec2.revoke_security_group_ingress(**opening)
    execution = account.start("deploy", {"nodes": {"instance_type": "m6i.xlarge"}})
    account.until(lambda: "InstanceRefresh" in suspended() or not old <= account.nodes.keys(), "a paused refresh")
    later = clock.now() + 900
    account.until(lambda: clock.now() > later, "many times what a node has to warm up")
    assert old < account.nodes.keys()
    assert len(account.nodes) == 3
    ec2.authorize_security_group_ingress(**opening)
    output = account.succeed(execution).output
    assert checks_of(output)["targets"] == "2 healthy"
    assert validation_records(account) == [validation]
    assert not old & account.nodes.keys()
    assert suspended() == {"AZRebalance"}


def test_the_scheme_of_a_load_balancer_does_not_change(account: Account, first: Any) -> None:
    public = {"scheme": "internet-facing", "allowed_cidrs": ["203.0.113.0/24"]}
    ended = account.end(account.start("deploy", {"access": public}))
    assert (ended.status, ended.error) == ("FAILED", "InvalidInput")
    assert '{"access": null}' in (ended.cause or "")


def test_an_address_that_is_taken_away_leaves_nothing_and_touches_no_node(account: Account, first: Any) -> None:
    before = set(account.nodes)
    output = account.deploy_as_previewed({"access": None}).output
    assert output["connection"]["url"] == "http://localhost:8787"
    assert of_address(account) == dict.fromkeys(of_address(account), 0)
    assert record_of_host(account) == []
    assert set(account.nodes) == before
    assert account.on_every_node("cd /efs/home/ann; ls kept; grep -c cookies /etc/rstudio/rserver.conf || true") == {
        "kept\n0\n"
    }
    assert not CHECKS & checks_of(output).keys()


def test_one_that_faces_the_internet_takes_a_certificate_and_a_web_acl_of_ones_own(
    account: Account, first: Any
) -> None:
    acm, waf = account.aws.client("acm"), account.aws.client("wafv2")
    certificate = acm.request_certificate(DomainName="*.example.com", ValidationMethod="DNS")["CertificateArn"]

    def option() -> Any:
        return acm.describe_certificate(CertificateArn=certificate)["Certificate"]

    account.in_aws_time_until(
        lambda: "ResourceRecord" in option()["DomainValidationOptions"][0], "the validation record"
    )
    record = option()["DomainValidationOptions"][0]["ResourceRecord"]
    rrset = {"Name": record["Name"], "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": record["Value"]}]}
    account.aws.client("route53").change_resource_record_sets(
        HostedZoneId=ZONE_ID, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": rrset}]}
    )
    account.in_aws_time_until(lambda: option()["Status"] == "ISSUED", "the certificate")
    visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "wb"}
    web_acl = waf.create_web_acl(Name="wb", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visibility)[
        "Summary"
    ]["ARN"]
    public = {"scheme": "internet-facing", "allowed_cidrs": ["203.0.113.0/24"], "web_acl_arn": web_acl}
    before = set(account.nodes)
    output = account.succeed(
        account.start("deploy", {"access": {**ADDRESS, **public, "certificate_arn": certificate}})
    ).output
    assert output["connection"]["url"] == f"https://{HOST}"
    assert checks_of(output).keys() >= CHECKS
    assert set(account.nodes) == before
    (balancer,) = account.aws.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert balancer["Scheme"] == "internet-facing"
    assert waf.get_web_acl_for_resource(ResourceArn=balancer["LoadBalancerArn"])["WebACL"]["ARN"] == web_acl
    assert account.on_every_node("cd /efs/home/ann; ls kept") == {"kept\n"}
    # Until the certificate of the new name is issued, that of before stays in use: no one loses the address.
    renamed = {"hostname": f"other-{HOST}", "hosted_zone_id": None, "certificate_arn": None}
    output = account.succeed(account.start("deploy", {"access": renamed})).output
    assert checks_of(output).keys() >= CHECKS
    assert [text for text in output["warnings"] if "and the one before stays in use. Create the record _" in text]
