"""When an address works, and what is reported where it does not."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from benchwright.access.certificates import DnsRecord
from benchwright.settings import settings
from benchwright.verification import address
from benchwright.verification.address import Address, Answer, judge_address, read_answers
from benchwright.verification.checks import Verdict
from tests.unit.benchwright.conversation import Conversation, refusal
from tests.unit.benchwright.verification.test_checks import OF_ADDRESS, PLAN, a_plan

NOW = datetime(2026, 11, 29, tzinfo=UTC)
NODES = ["i-1", "i-2"]
WORKS = Address(
    hostname="wb.example.com",
    load_balancer="internal-wb-1.eu-west-1.elb.amazonaws.com",
    addresses=["10.0.1.7", "10.0.2.7"],
    targets={"i-1": "healthy", "i-2": "healthy"},
    issued=True,
    expires=NOW + timedelta(days=200, hours=1),
)
PAGES = """
=== address ===
wb.example.com name 0 10.0.1.7,10.0.2.7
10.0.1.7 / 302 https://wb.example.com/auth-sign-in?appUri=%2F
10.0.1.7 /auth-sign-in 200
10.0.1.7 /load-balancer/status 403
10.0.1.7 /health-check 403
10.0.1.7 /metrics 403
10.0.1.7 //health-check 403
10.0.1.7 /%68ealth-check 302 https://wb.example.com/auth-sign-in?appUri=%2F
10.0.1.7 /load-balancer%2fstatus 404
"""
ANSWERS = read_answers(PAGES)
LOAD_BALANCER_ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/wb-Load-1/0a1b"
TARGET_GROUP_ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/wb-Targ-1/0a1b"


def judged(
    seen: Address = WORKS, answers: Sequence[Answer] = ANSWERS, instances: Sequence[str] = NODES
) -> dict[str, str]:
    """What the checks found that do not hold."""
    checks = judge_address(seen, answers, instances, NOW).checks
    assert {check.name for check in checks} == OF_ADDRESS
    return {check.name: check.found for check in checks if not check.holds}


def answered(path: str, code: int, detail: str = "") -> list[Answer]:
    return [Answer("10.0.1.7", path, code, detail) if each.path == path else each for each in ANSWERS]


def test_what_a_node_printed_is_read_line_by_line() -> None:
    assert [
        Answer("wb.example.com", "name", 0, "10.0.1.7,10.0.2.7"),
        Answer("10.0.1.7", "/", 302, "https://wb.example.com/auth-sign-in?appUri=%2F"),
        Answer("10.0.1.7", "/auth-sign-in", 200, ""),
        Answer("10.0.1.7", "/load-balancer/status", 403, ""),
        Answer("10.0.1.7", "/health-check", 403, ""),
        Answer("10.0.1.7", "/metrics", 403, ""),
        Answer("10.0.1.7", "//health-check", 403, ""),
        Answer("10.0.1.7", "/%68ealth-check", 302, "https://wb.example.com/auth-sign-in?appUri=%2F"),
        Answer("10.0.1.7", "/load-balancer%2fstatus", 404, ""),
    ] == ANSWERS
    assert read_answers("=== load-balancer status ===\n10.0.1.7 / 200") == []
    assert read_answers("=== address ===\n\nnoise\n10.0.1.7 /\n10.0.1.7 / none") == []


def test_an_address_that_works_holds_every_check_without_a_warning() -> None:
    verdict = judge_address(WORKS, ANSWERS, NODES, NOW)
    assert (verdict.warnings, judged()) == ([], {})
    assert {check.name: check.found for check in verdict.checks} == {
        "targets": "2 healthy",
        "address": "https://wb.example.com answers",
        "operational paths": "refused",
        "certificate": "200 days left",
    }


def test_a_cluster_without_an_address_has_nothing_to_check() -> None:
    assert judge_address(None, [], NODES, NOW) == Verdict()


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        ({"i-1": "healthy"}, "i-2: not registered"),
        (
            {"i-1": "unhealthy (Target.Timeout)", "i-2": "initial (Elb.RegistrationInProgress)"},
            "i-1: unhealthy (Target.Timeout); i-2: initial (Elb.RegistrationInProgress)",
        ),
        ({"i-1": "healthy", "i-2": "healthy", "i-3": "healthy"}, "i-3: healthy, but not in service"),
        ({}, "i-1: not registered; i-2: not registered"),
    ],
)
def test_healthy_targets_are_exactly_the_nodes_in_service(targets: dict[str, str], found: str) -> None:
    assert judged(WORKS._replace(targets=targets)) == {"targets": found}


def test_a_node_that_leaves_may_be_draining() -> None:
    draining = {**WORKS.targets, "i-3": "draining (Target.DeregistrationInProgress)", "i-4": "unhealthy.draining"}
    assert judged(WORKS._replace(targets=draining)) == {}


@pytest.mark.parametrize(
    ("answers", "check", "found"),
    [
        (answered("/auth-sign-in", 502), "address", "10.0.1.7 answers 502 to /auth-sign-in: no reason given"),
        (
            answered("/", 0, "curl: (60) SSL certificate problem: certificate has expired"),
            "address",
            "10.0.1.7 answers nothing to /: curl: (60) SSL certificate problem: certificate has expired",
        ),
        (
            answered("/", 302, "http://wb.example.com/auth-sign-in"),
            "address",
            "10.0.1.7 redirects / to http://wb.example.com/auth-sign-in, not to https://wb.example.com/",
        ),
        (
            answered("/", 302, "https://wb.example.com:443/auth-sign-in"),
            "address",
            "10.0.1.7 redirects / to https://wb.example.com:443/auth-sign-in, not to https://wb.example.com/",
        ),
        (
            answered("/load-balancer/status", 200),
            "operational paths",
            "10.0.1.7 answers 200 to /load-balancer/status",
        ),
        (answered("/metrics", 404), "operational paths", "10.0.1.7 answers 404 to /metrics"),
        (answered("/%68ealth-check", 200), "operational paths", "10.0.1.7 answers 200 to /%68ealth-check"),
    ],
)
def test_each_page_is_asked_for_through_the_load_balancer(answers: list[Answer], check: str, found: str) -> None:
    assert judged(answers=answers) == {check: found}


def test_what_no_node_was_asked_counts_as_wrong() -> None:
    assert judged(answers=[]) == {
        "address": "no node has asked for /, /auth-sign-in",
        "operational paths": "no node has asked for /load-balancer/status, /health-check, /metrics, //health-check, "
        "/%68ealth-check, /load-balancer%2fstatus",
    }


@pytest.mark.parametrize("path", [*address.SIGN_IN_PAGES, *address.OPERATIONAL_PATHS, *address.DISGUISED_PATHS])
def test_no_page_is_left_out(path: str) -> None:
    check = "address" if path in address.SIGN_IN_PAGES else "operational paths"
    found = judged(answers=[each for each in ANSWERS if each.path != path])
    assert found == {check: f"no node has asked for {path}"}


@pytest.mark.parametrize(
    ("expires", "holds", "warned"),
    [
        (NOW + timedelta(days=31), True, False),
        (NOW + timedelta(days=29, hours=23), True, True),
        (NOW + timedelta(hours=23), False, True),
        (NOW - timedelta(days=2), False, True),
        (None, False, False),
    ],
)
def test_a_certificate_that_expires_soon_is_a_warning(expires: datetime | None, holds: bool, warned: bool) -> None:
    seen = WORKS._replace(expires=expires)
    assert ("certificate" not in judged(seen)) is holds
    warnings = judge_address(seen, ANSWERS, NODES, NOW).warnings
    assert [warning.partition(":")[0] for warning in warnings] == (["certificate"] if warned else [])


def test_a_name_without_an_address_in_dns_is_a_warning() -> None:
    verdict = judge_address(WORKS, answered("name", 0), NODES, NOW)
    assert judged(answers=answered("name", 0)) == {}
    (warning,) = verdict.warnings
    assert warning == (
        "access: nodes find no address of wb.example.com in DNS. Create the record wb.example.com CNAME "
        "internal-wb-1.eu-west-1.elb.amazonaws.com."
    )


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (DnsRecord("_x.wb.example.com.", "_y.acm."), "Create the record _x.wb.example.com. CNAME _y.acm., and "),
        (None, "Create the record that ACM shows for it, and "),
    ],
)
def test_without_a_certificate_the_records_to_create_are_a_warning(record: DnsRecord | None, named: str) -> None:
    verdict = judge_address(WORKS._replace(issued=False, record=record, targets={}, expires=None), [], NODES, NOW)
    assert verdict.checks == []
    (warning,) = verdict.warnings
    assert named in warning
    assert "wb.example.com CNAME internal-wb-1.eu-west-1.elb.amazonaws.com" in warning


def test_a_certificate_that_stays_until_the_next_one_is_issued_is_a_warning() -> None:
    """As where `certificate_arn` is taken back, and no hosted zone is given."""
    verdict = judge_address(WORKS._replace(record=DnsRecord("_x.wb.", "_y.acm.")), ANSWERS, NODES, NOW)
    assert all(check.holds for check in verdict.checks)
    (warning,) = verdict.warnings
    assert "the one before stays in use. Create the record _x.wb. CNAME _y.acm., and start" in warning


def test_a_node_is_asked_only_where_there_is_something_to_answer() -> None:
    assert address.question(WORKS) == "wb.example.com 10.0.1.7 10.0.2.7"
    assert address.question(None) == ""
    assert address.question(WORKS._replace(issued=False)) == ""
    assert address.question(WORKS._replace(addresses=[])) == ""


def stack_of_address(**outputs: str) -> dict[str, object]:
    listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return {"Stacks": [{"StackName": "s", "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE", "Outputs": listed}]}


OUTPUTS = {
    "LoadBalancerArn": LOAD_BALANCER_ARN,
    "LoadBalancerName": WORKS.load_balancer,
    "TargetGroupArn": TARGET_GROUP_ARN,
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
}


def test_an_address_is_observed_at_its_stack_its_targets_its_interfaces_and_its_certificate(aws: Conversation) -> None:
    aws.answers = {
        "DescribeStacks": stack_of_address(**OUTPUTS),
        "DescribeTargetHealth": {
            "TargetHealthDescriptions": [
                {"Target": {"Id": "i-1"}, "TargetHealth": {"State": "healthy"}},
                {"Target": {"Id": "i-2"}, "TargetHealth": {"State": "unhealthy", "Reason": "Target.Timeout"}},
            ]
        },
        "DescribeNetworkInterfaces": {
            "NetworkInterfaces": [{"PrivateIpAddress": f"10.0.{number}.7"} for number in (4, 2, 1, 3)]
        },
        "DescribeCertificate": {
            "Certificate": {"DomainName": "wb.example.com", "Status": "ISSUED", "NotAfter": WORKS.expires}
        },
    }
    aws.answers["ListTagsForCertificate"] = {
        "Tags": [{"Key": key, "Value": value} for key, value in settings().tags("workbench").items()]
    }
    seen = address.observe(a_plan({"access": {"hostname": "wb.example.com"}}))
    targets = {"i-1": "healthy", "i-2": "unhealthy (Target.Timeout)"}
    assert seen == WORKS._replace(addresses=["10.0.1.7", "10.0.2.7", "10.0.3.7"], targets=targets)
    (asked,) = aws.asked("DescribeNetworkInterfaces")
    assert asked["Filters"] == [{"Name": "description", "Values": ["ELB app/wb-Load-1/0a1b"]}]
    # Of another certificate, the record for the requested one is looked for.
    pending = {"CertificateArn": OUTPUTS["CertificateArn"][:-1] + "2", "DomainName": "new.example.com"}
    record = {"Name": "_x.new.", "Value": "_y.acm."}
    aws.answers["ListCertificates"] = {"CertificateSummaryList": [pending]}
    options = [{"DomainName": "new.example.com", "ResourceRecord": {**record, "Type": "CNAME"}}]
    aws.answers["DescribeCertificate"] = {
        "Certificate": {
            "DomainName": "wb.example.com",
            "Status": "PENDING_VALIDATION",
            "DomainValidationOptions": options,
        }
    }
    seen = address.observe(a_plan({"access": {"hostname": "new.example.com"}}))
    assert seen and (seen.issued, seen.record) == (False, DnsRecord("_x.new.", "_y.acm."))
    aws.answers["ListTagsForCertificate"] = {"Tags": []}
    other = address.observe(a_plan({"access": {"hostname": "wb.example.com"}}))
    assert other and (other.issued, other.record) == (True, None)


def test_a_cluster_without_access_has_no_address(aws: Conversation) -> None:
    assert address.observe(PLAN) is None
    assert aws.calls == []


@pytest.mark.parametrize("answer", [stack_of_address(), refusal("ValidationError", "Stack s does not exist")])
def test_an_address_whose_load_balancer_is_gone_is_wrong(aws: Conversation, answer: dict[str, object]) -> None:
    """Someone may have deleted the stack: a cluster that no one reaches must not be verified."""
    aws.answers["DescribeStacks"] = answer
    seen = address.observe(a_plan({"access": {"hostname": "wb.example.com"}}))
    assert seen
    verdict = judge_address(seen, [], NODES, NOW)
    assert [(check.name, check.holds, check.found) for check in verdict.checks] == [
        ("address", False, "wb.example.com has no load balancer")
    ]
    assert (verdict.warnings, address.question(seen)) == ([], "")
