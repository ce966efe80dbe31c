"""Every step that changes something: what it writes while its execution holds the cluster, and that else it writes
nothing.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from benchwright.database import creation
from benchwright.errors import CertificateNotIssued, ImageBuildFailed, LockLost, NodesNotReady, StackRefused
from benchwright.image import recipe
from benchwright.nodes.node_script import load_script
from benchwright.record import read, revision
from benchwright.settings import settings
from benchwright.stacks import desired_state
from benchwright.stacks.decision import Desired, Stack
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.steps import COMMAND, EXECUTION, OTHER, ROOT, app, handle, record
from tests.unit.benchwright.verification.test_checks import a_plan, report

ACCOUNT = "eu-west-1:123456789012"
BUILD = f"arn:aws:imagebuilder:{ACCOUNT}:image/wb-blue/1.0.0/1"
SECRET = f"arn:aws:secretsmanager:{ACCOUNT}:secret:wb/blue/"
AMI, SCRIPT = "ami-0123456789abcdef0", "0" * 64
NODE = "i-0123456789abcdef0"
FOUNDATION = {
    "DatabaseEndpoint": "db",
    "DatabasePort": "5432",
    "DatabaseSecretArn": f"{SECRET}database",
    "SecureCookieKeySecretArn": f"{SECRET}secure-cookie-key",
    "NodeSecurityGroupId": "sg-2",
    "NodeInstanceProfileArn": f"arn:aws:iam::{ACCOUNT}:instance-profile/wb/blue",
    "FileSystemId": "fs-1",
    "HomeAccessPointId": "fsap-1",
    "SharedStorageAccessPointId": "fsap-2",
}
NODES = {
    "AutoScalingGroupName": "wb-blue-nodes-group",
    "DocumentName": "wb-blue-configure",
}
READY = {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE"}
LACKS_CHANGES = {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}


@dataclass
class Case:
    """A step in a situation in which it changes something. writes: the calls that do, in order."""

    function: str
    event: dict[str, Any]
    answers: Callable[[], dict[str, Answer]]
    writes: list[str]
    wanted: dict[str, Any] = field(default_factory=dict)


def builds(*summaries: Mapping[str, Any]) -> dict[str, Answer]:
    return {
        "ListImageBuildVersions": {"imageSummaryList": list(summaries)},
        "DescribeImages": {"Images": [{"ImageId": AMI}]},
        "GetImageRecipe": {},
        "CreateLogGroup": {},
        "PutRetentionPolicy": {},
        "CreateImage": {"imageBuildVersionArn": BUILD},
        "GetImage": {},
    }


def built(ami: str, created: str = "") -> dict[str, Any]:
    return {
        "arn": BUILD,
        "state": {"status": "AVAILABLE"},
        "outputResources": {"amis": [{"region": "eu-west-1", "image": ami}]},
        "dateCreated": created,
    }


def retirement() -> dict[str, Answer]:
    return {
        **builds(built("ami-1", "2026-01"), built("ami-2", "2026-02"), built(AMI, "2026-03")),
        "Scan": {"Items": []},
        "DescribeInstances": {"Reservations": []},
        "DescribeLaunchTemplateVersions": {"LaunchTemplateVersions": []},
        "ListImages": {"imageVersionList": [{"name": "wb-blue", "arn": BUILD.rpartition("/")[0]}]},
        "DescribeImages": {"Images": [{"ImageId": "ami-2"}, {"ImageId": AMI}]},
        "DeregisterImage": {},
        "DeleteImage": {},
    }


def stack(
    status: str,
    desired: Desired | None = None,
    change_set: Mapping[str, Any] = READY,
    outputs: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Answer]:
    """A stack as `desired`, or of the cluster with nothing else of it, and its change set."""
    parameters = desired.parameters if desired else {"Application": "wb", "Cluster": "blue"}
    tags = desired.tags if desired else {}
    found = {
        "StackName": "wb-blue",
        "StackId": "arn:stack",
        "StackStatus": status,
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        "Parameters": [{"ParameterKey": key, "ParameterValue": text} for key, text in parameters.items()],
        "Tags": [{"Key": key, "Value": text} for key, text in tags.items()],
        "Outputs": [{"OutputKey": key, "OutputValue": text} for key, text in outputs.items()],
    }
    return {
        "DescribeStacks": {"Stacks": [found]},
        "GetTemplate": {"TemplateBody": desired.template if desired else ""},
        "DescribeChangeSet": change_set,
        "CreateChangeSet": {},
        "ExecuteChangeSet": {},
        "DeleteChangeSet": {},
        "DeleteStack": {},
        "DescribeStackResources": {"StackResources": []},
        "ListChangeSets": {"Summaries": []},
        "UpdateTerminationProtection": {},
        "SuspendProcesses": {},
    }


def foundation() -> Desired:
    """What the foundation of the cluster must be in the end."""
    return desired_state.foundation(settings(), a_plan({"cluster": "blue"}), Stack("CREATE_COMPLETE"))


def unprotected() -> Desired:
    """The foundation as it was just made."""
    return foundation()._replace(parameters={**foundation().parameters, "DeletionProtection": "false"})


def nodes() -> Desired:
    return desired_state.nodes(settings(), a_plan({"cluster": "blue"}), AMI, FOUNDATION, SCRIPT)


WITH_ACCESS: dict[str, Any] = {"access": {"hostname": "wb.example.com", "hosted_zone_id": "Z1"}}
CERTIFICATE = f"arn:aws:acm:{ACCOUNT}:certificate/1"


def access_to_remove() -> Desired:
    """The stack of an address that has neither deletion protection any more nor a record."""
    plan = a_plan({"cluster": "blue", "access": {"hostname": "wb.example.com"}})
    return desired_state.access(settings(), plan, None, FOUNDATION, CERTIFICATE)


def certificates(status: str, **described: Any) -> dict[str, Answer]:
    """One certificate of the cluster."""
    listed = {"CertificateArn": CERTIFICATE, "DomainName": "wb.example.com"}
    tags = [{"Key": key, "Value": value} for key, value in settings().tags("blue").items()]
    return {
        "ListCertificates": {"CertificateSummaryList": [listed]},
        "ListTagsForCertificate": {"Tags": tags},
        "DescribeCertificate": {"Certificate": {**listed, "Status": status, **described}},
        "DeleteCertificate": {},
        "ChangeResourceRecordSets": {"ChangeInfo": {"Id": "C1", "Status": "PENDING"}},
    }


VALIDATION = {"ResourceRecord": {"Name": "_x.wb.example.com.", "Type": "CNAME", "Value": "_y.acm."}}


def group(*versions: str, template: str = "lt-1") -> dict[str, Answer]:
    """A group whose launch template is in its second version, with nodes in service, by the version of theirs."""
    instances = [
        {
            "InstanceId": f"{NODE[:-1]}{number}",
            "LifecycleState": "InService",
            "LaunchTemplate": {"LaunchTemplateId": template, "Version": version},
        }
        for number, version in enumerate(versions)
    ]
    return {
        "DescribeAutoScalingGroups": {
            "AutoScalingGroups": [
                {"Instances": instances, "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "2"}}
            ]
        },
        "DescribeInstanceRefreshes": {"InstanceRefreshes": []},
        "StartInstanceRefresh": {"InstanceRefreshId": "refresh"},
        "SetInstanceHealth": {},
        "GetConsoleOutput": {},
    }


def agents(*statuses: str) -> dict[str, Answer]:
    known = [{"InstanceId": f"{NODE[:-1]}{number}", "PingStatus": status} for number, status in enumerate(statuses)]
    return {
        "DescribeInstanceInformation": {"InstanceInformationList": known},
        "ListCommands": {"Commands": []},
        "SendCommand": {"Command": {"CommandId": "command"}},
    }


def applied(instance: str, configuration: str) -> dict[str, Answer]:
    """A command that ended well."""
    said = report(instance, configuration=configuration).model_dump_json()
    reported = {"InstanceId": instance, "Status": "Success", "CommandId": COMMAND, "CommandPlugins": [{"Output": said}]}
    return {"ListCommandInvocations": {"CommandInvocations": [reported]}}


def bucket() -> dict[str, Answer]:
    def secret(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ARN": asked["SecretId"], "VersionIdsToStages": {"v1": ["AWSCURRENT"]}}

    return {"DescribeSecret": secret, "GetObject": refusal("NoSuchKey"), "PutObject": {}}


CASES = {
    "a build is begun": Case("build_image", {}, builds, ["CreateLogGroup", "PutRetentionPolicy", "CreateImage"]),
    "a built image is recorded": Case("build_image", {}, lambda: builds(built(AMI)), ["UpdateItem"]),
    "a brought image is recorded": Case("build_image", {}, builds, ["UpdateItem"], {"image": {"ami": AMI}}),
    "an old image is retired": Case(
        "build_image",
        {"action": "retire", "ami": AMI},
        retirement,
        ["DeregisterImage", "DeleteImage"],
        {"verified_images": [AMI, "ami-2"]},
    ),
    "a stack is begun": Case(
        "deploy_stack",
        {"stack": "foundation"},
        lambda: {**stack("DELETE_COMPLETE", change_set=refusal("ChangeSetNotFound")), **bucket()},
        ["PutObject", "CreateChangeSet"],
    ),
    "a change set is executed": Case(
        "deploy_stack", {"stack": "foundation"}, lambda: stack("REVIEW_IN_PROGRESS"), ["ExecuteChangeSet"]
    ),
    "a change set without changes is discarded": Case(
        "deploy_stack",
        {"stack": "foundation"},
        lambda: stack("UPDATE_COMPLETE", change_set=LACKS_CHANGES),
        ["DeleteChangeSet", "UpdateTerminationProtection"],
    ),
    "a stack that never came to be is removed": Case(
        "deploy_stack", {"stack": "foundation"}, lambda: stack("ROLLBACK_COMPLETE"), ["DeleteStack"]
    ),
    "a stack is given deletion protection": Case(
        "deploy_stack", {"stack": "foundation"}, lambda: stack("CREATE_COMPLETE", unprotected()), ["ExecuteChangeSet"]
    ),
    "a stack is protected": Case(
        "deploy_stack",
        {"stack": "foundation"},
        lambda: stack("UPDATE_COMPLETE", foundation()),
        ["UpdateTerminationProtection"],
    ),
    "nodes are replaced": Case(
        "deploy_stack",
        {"stack": "nodes", "ami": AMI, "foundation": FOUNDATION, "node_script": SCRIPT},
        lambda: {**stack("UPDATE_COMPLETE", nodes(), outputs=NODES), **group("1", "2")},
        ["SuspendProcesses", "StartInstanceRefresh"],
    ),
    "nodes of another launch template are replaced": Case(
        "deploy_stack",
        {"stack": "nodes", "ami": AMI, "foundation": FOUNDATION, "node_script": SCRIPT},
        lambda: {**stack("UPDATE_COMPLETE", nodes(), outputs=NODES), **group("2", "2", template="lt-0")},
        ["SuspendProcesses", "StartInstanceRefresh"],
    ),
    "nodes that CloudFormation could not remove lose their group first": Case(
        "deploy_stack",
        {"stack": "nodes", "removes": True},
        lambda: {**stack("DELETE_FAILED", nodes()), "DeleteAutoScalingGroup": {}},
        ["DeleteAutoScalingGroup", "DeleteStack"],
    ),
    "nodes whose first creation could not be rolled back are removed with those that still run": Case(
        "deploy_stack",
        {"stack": "nodes", "ami": AMI, "foundation": FOUNDATION, "node_script": SCRIPT},
        lambda: {**stack("ROLLBACK_FAILED", nodes()), "DeleteAutoScalingGroup": refusal("ResourceInUse")},
        ["DeleteAutoScalingGroup", "DeleteStack"],
    ),
    "the stack of an address is begun": Case(
        "deploy_stack",
        {"stack": "access", "foundation": FOUNDATION, "certificate_arn": CERTIFICATE},
        lambda: {**stack("DELETE_COMPLETE", change_set=refusal("ChangeSetNotFound")), **bucket()},
        ["PutObject", "CreateChangeSet"],
        WITH_ACCESS,
    ),
    "an address loses the protection of its load balancer": Case(
        "deploy_stack",
        {"stack": "access", "removes": True},
        lambda: stack(
            "UPDATE_COMPLETE",
            access_to_remove()._replace(parameters={**access_to_remove().parameters, "DeletionProtection": "true"}),
        ),
        ["ExecuteChangeSet"],
    ),
    "an address loses its record, whose hosted zone may be gone": Case(
        "deploy_stack",
        {"stack": "access", "removes": True},
        lambda: stack(
            "UPDATE_COMPLETE",
            access_to_remove()._replace(parameters={**access_to_remove().parameters, "HostedZoneId": "Z1"}),
        ),
        ["ExecuteChangeSet"],
    ),
    "an address is removed": Case(
        "deploy_stack",
        {"stack": "access", "removes": True},
        lambda: stack("UPDATE_COMPLETE", access_to_remove()),
        ["DeleteStack"],
    ),
    "an address that is being created is removed": Case(
        "deploy_stack", {"stack": "access", "removes": True}, lambda: stack("REVIEW_IN_PROGRESS"), ["DeleteStack"]
    ),
    "an address that is gone is recorded once its certificate is retired": Case(
        "deploy_stack",
        {"stack": "access", "removes": True},
        lambda: {"DescribeStacks": refusal("ValidationError", "Stack wb-blue-access does not exist")},
        [],
    ),
    "a certificate is requested": Case(
        "request_certificate",
        {"action": "request"},
        lambda: {
            "ListCertificates": {"CertificateSummaryList": []},
            "RequestCertificate": {"CertificateArn": CERTIFICATE},
        },
        ["RequestCertificate"],
        WITH_ACCESS,
    ),
    "a certificate is validated": Case(
        "request_certificate",
        {"action": "request"},
        lambda: certificates("PENDING_VALIDATION", DomainValidationOptions=[{"DomainName": "wb", **VALIDATION}]),
        ["ChangeResourceRecordSets"],
        WITH_ACCESS,
    ),
    "the validation record of an issued certificate is written again, for its renewal": Case(
        "request_certificate",
        {"action": "request"},
        lambda: certificates("ISSUED", DomainValidationOptions=[{"DomainName": "wb", **VALIDATION}]),
        ["ChangeResourceRecordSets"],
        WITH_ACCESS,
    ),
    "a certificate that nothing uses is deleted": Case(
        "request_certificate", {"action": "retire"}, lambda: certificates("ISSUED"), ["DeleteCertificate", "UpdateItem"]
    ),
    "the database is made": Case(
        "create_database",
        {"database": {"endpoint": "db", "port": 5432, "master_secret_arn": "arn:m", "secret_arn": "arn:s"}},
        lambda: {"GetSecretValue": {"SecretString": '{"username": "rstudio", "password": "secret"}'}},
        ["CREATE ROLE"],
    ),
    "a configuration is published": Case(
        "configure_nodes",
        {"action": "publish", "foundation": FOUNDATION},
        bucket,
        ["PutObject", "PutObject", "PutObject", "UpdateItem"],
    ),
    "a node is configured": Case(
        "configure_nodes",
        {"action": "apply", "nodes": NODES, "configuration": "hash"},
        lambda: {**group("2", "2"), **agents("Online", "Online")},
        ["SendCommand"],
    ),
    "a configuration that a node has applied is the current one": Case(
        "configure_nodes",
        {
            "action": "apply",
            "nodes": NODES,
            "configuration": "hash",
            "commands": [{"id": COMMAND, "instances": [f"{NODE[:-1]}0"]}],
        },
        lambda: {**group("2", "2"), **agents("Online", "Online"), **bucket(), **applied(f"{NODE[:-1]}0", "hash")},
        ["PutObject", "SendCommand"],
    ),
    "a node that never registered is replaced": Case(
        "configure_nodes",
        {"action": "apply", "nodes": NODES, "configuration": "hash", "last": True},
        lambda: {**group("2", "2"), **agents("Online")},
        ["SetInstanceHealth"],
    ),
    "the nodes are asked, and a stale row is deleted": Case(
        "verify_cluster",
        {"stale": [7]},
        lambda: {**stack("UPDATE_COMPLETE", outputs=NODES), **group("2", "2"), **agents("Online", "Online")},
        ["SendCommand", "SendCommand"],
    ),
    "a plan is recorded": Case(
        "resolve_plan",
        {"action": "plan", "input": {"cluster": "blue"}},
        lambda: {
            "Scan": {"Items": []},
            "GetParameter": {"Parameter": {"Value": AMI}},
            "DescribeDBEngineVersions": {"DBEngineVersions": [{"EngineVersion": "17.10"}]},
            "DescribeDBClusters": {"DBClusters": []},
            "CreateServiceLinkedRole": refusal("InvalidInput", "has been taken in this account"),
        },
        [*["CreateServiceLinkedRole"] * 5, "UpdateItem"],
    ),
}


@pytest.fixture
def steps(aws: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the layers hold lies in this repository; a server of Postgres is one more that can be written to."""

    def ensure(_server: creation.Server, application: creation.Credentials, _master: Any) -> Any:
        aws.calls.append(("CREATE ROLE", {"name": application.username}))
        return SimpleNamespace(_asdict=lambda: {"role": "created", "database": "created", "server_version": "17"})

    for name in ("foundation", "access", "nodes"):
        monkeypatch.setattr(desired_state, name, partial(getattr(desired_state, name), directory=ROOT / "infra"))
    monkeypatch.setattr(app("build_image"), "load_recipe", partial(recipe.load_recipe, directory=ROOT / "image"))
    monkeypatch.setattr(app("create_database"), "ensure", ensure)
    monkeypatch.setattr(app("configure_nodes"), "load_script", partial(load_script, ROOT / "infra" / "node"))


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_step_writes_while_its_execution_holds_the_cluster(aws: Conversation, case: Case) -> None:
    aws.answers = {**case.answers(), "GetItem": record(**case.wanted), "UpdateItem": {}}
    with contextlib.suppress(NodesNotReady):  # what a last look ends with
        handle(case.function, **case.event)
    assert [operation for operation, _ in aws.writes] == case.writes


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_step_writes_nothing_while_another_execution_holds_the_cluster(aws: Conversation, case: Case) -> None:
    aws.answers = {**case.answers(), "GetItem": record(OTHER, **case.wanted), "UpdateItem": {}}
    with pytest.raises(LockLost, match=f"^The cluster blue is locked by {OTHER}, not by this execution "):
        handle(case.function, **case.event)
    assert aws.writes == []


@pytest.mark.usefixtures("steps")
def test_a_node_is_reported_which_configuration_it_must_apply(aws: Conversation) -> None:
    case = CASES["a configuration that a node has applied is the current one"]
    aws.answers = {**case.answers(), "GetItem": record()}
    handle(case.function, **case.event)
    assert [asked["Parameters"] for asked in aws.asked("SendCommand")] == [
        {"Mode": ["apply"], "Configuration": ["hash"]}
    ]
    assert [(asked["Key"], asked["Body"]) for asked in aws.asked("PutObject")] == [
        ("clusters/blue/configuration/current", b"hash")
    ]


@pytest.mark.parametrize(
    ("hosted_zone_id", "written"),
    [("Z1", VALIDATION["ResourceRecord"]["Name"]), (None, "")],
    ids=["written", "no zone"],
)
def test_the_record_of_an_issued_certificate_is_written_at_most_once(
    aws: Conversation, hosted_zone_id: str | None, written: str
) -> None:
    access = {"hostname": "wb.example.com", "hosted_zone_id": hosted_zone_id}
    issued = certificates("ISSUED", DomainValidationOptions=[{"DomainName": "wb", **VALIDATION}])
    aws.answers = {**issued, "GetItem": record(access=access)}
    answer = handle("request_certificate", action="request", requested=CERTIFICATE, written=written)
    assert (answer["done"], answer["certificate_arn"]) == (True, CERTIFICATE)
    assert aws.writes == []


def test_a_certificate_of_ones_own_needs_nothing_more(aws: Conversation) -> None:
    own = f"arn:aws:acm:{ACCOUNT}:certificate/own"
    aws.answers = {"GetItem": record(access={"hostname": "wb.example.com", "certificate_arn": own})}
    answer = handle("request_certificate", action="request")
    assert (answer["done"], answer["certificate_arn"]) == (True, own)
    assert aws.writes == []


def test_without_a_hosted_zone_the_record_is_shown_and_nothing_is_waited_for(aws: Conversation) -> None:
    pending = certificates("PENDING_VALIDATION", DomainValidationOptions=[{"DomainName": "wb", **VALIDATION}])
    aws.answers = {**pending, "GetItem": record(access={"hostname": "wb.example.com"})}
    answer = handle("request_certificate", action="request")
    assert (answer["done"], answer["certificate_arn"]) == (True, "")
    assert answer["record"] == {"name": "_x.wb.example.com.", "value": "_y.acm."}
    assert aws.writes == []


def test_the_last_look_names_the_record_that_acm_does_not_find(aws: Conversation) -> None:
    pending = certificates("PENDING_VALIDATION", DomainValidationOptions=[{"DomainName": "wb", **VALIDATION}])
    zone = {"HostedZone": {"Id": "Z1", "Name": "example.com.", "CallerReference": "1"}}
    servers = {"DelegationSet": {"NameServers": ["ns-1.awsdns-1.com"]}}
    aws.answers = {**pending, "GetItem": record(**WITH_ACCESS), "GetHostedZone": zone | servers}
    with pytest.raises(CertificateNotIssued, match=r"_x\.wb\.example\.com\. CNAME _y\.acm\..*ns-1\.awsdns-1\.com"):
        handle("request_certificate", action="request", written="_x.wb.example.com.", last=True)
    assert aws.writes == []


def test_a_certificate_that_is_still_in_use_is_waited_for_and_then_left(aws: Conversation) -> None:
    aws.answers = {**certificates("ISSUED", InUseBy=["arn:lb"]), "GetItem": record(), "UpdateItem": {}}
    answer = handle("request_certificate", action="retire")
    assert (answer["done"], answer["waiting_for"]) == (False, f"ACM: {CERTIFICATE} to be no longer in use")
    assert aws.writes == []  # the record has the address until then
    assert handle("request_certificate", action="retire", last=True)["done"]
    assert [operation for operation, _ in aws.writes] == ["UpdateItem"]


def test_a_cluster_that_never_had_an_address_has_no_certificate_to_retire(aws: Conversation) -> None:
    known = record()
    aws.answers = {"GetItem": {"Item": known["Item"] | {"planned_by": {"S": OTHER}, "has_access": {"N": "0"}}}}
    assert handle("request_certificate", action="retire")["done"]
    assert [operation for operation, _ in aws.calls] == ["GetItem"]


def test_more_certificates_than_a_look_comes_to_are_left_to_the_next_looks(
    aws: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ACM answers ten questions for tags in a second, and the function has a minute."""
    monkeypatch.setattr("benchwright.access.certificates.IN_ONE_LOOK", 2)
    arns = [f"{CERTIFICATE}-{number}" for number in range(5)]
    listed = [{"CertificateArn": arn, "DomainName": "wb.example.com"} for arn in arns]
    tags = [{"Key": key, "Value": value} for key, value in settings().tags("blue").items()]
    wait = 0
    used = {arns[0]: ["arn:lb"], arns[4]: []}
    aws.answers = {
        **certificates("ISSUED"),
        "GetItem": record(),
        "UpdateItem": {},
        "ListCertificates": {"CertificateSummaryList": listed},
        "ListTagsForCertificate": lambda asked: {"Tags": tags if asked["CertificateArn"] in used else []},
        "DescribeCertificate": lambda asked: {
            "Certificate": {**listed[0], "CertificateArn": asked["CertificateArn"], "Status": "ISSUED"}
            | {"InUseBy": used[asked["CertificateArn"]]}
        },
    }
    passed: dict[str, Any] = {}
    looks = []
    for _ in range(4):
        answer = handle("request_certificate", action="retire", wait_seconds=wait, **passed)
        passed = {name: answer[name] for name in ("after", "in_use")}
        looks.append((answer["done"], *passed.values(), wait := answer["wait_seconds"]))
    used[arns[0]] = []
    assert handle("request_certificate", action="retire", **passed)["done"]
    assert looks == [
        (False, arns[1], [arns[0]], 10),
        (False, arns[3], [arns[0]], 10),
        (False, arns[4], [arns[0]], 15),
        (False, arns[4], [arns[0]], 20),
    ]
    assert [asked["CertificateArn"] for asked in aws.asked("DeleteCertificate")] == [arns[4], arns[0]]
    assert [operation for operation, _ in aws.writes][-1] == "UpdateItem"


@pytest.mark.usefixtures("steps")
def test_the_stack_of_a_stranger_is_not_removed(aws: Conversation) -> None:
    theirs = access_to_remove()._replace(parameters={"Application": "theirs", "Cluster": "blue"})
    aws.answers = {**stack("UPDATE_COMPLETE", theirs), "GetItem": record()}
    with pytest.raises(StackRefused, match="is of the cluster blue of the application theirs"):
        handle("deploy_stack", stack="access", removes=True)
    assert aws.writes == []


@pytest.mark.usefixtures("steps")
def test_the_scheme_of_a_load_balancer_is_not_changed(aws: Conversation) -> None:
    there = access_to_remove()._replace(parameters={**access_to_remove().parameters, "Scheme": "internet-facing"})
    aws.answers = {**stack("UPDATE_COMPLETE", there), "GetItem": record(**WITH_ACCESS)}
    with pytest.raises(StackRefused, match=r'cannot change in place. First take it away with \{"access": null\}'):
        handle("deploy_stack", stack="access", foundation=FOUNDATION, certificate_arn=CERTIFICATE)
    assert aws.writes == []


@pytest.mark.usefixtures("steps")
def test_an_execution_that_began_before_an_update_is_to_be_started_again(aws: Conversation) -> None:
    case = CASES["nodes are replaced"]
    aws.answers = {**case.answers(), "GetItem": record()}
    event = {key: value for key, value in case.event.items() if key != "node_script"}
    with pytest.raises(StackRefused, match=r"^This execution began before .* Start a new execution with \{\}: "):
        handle(case.function, **event)
    assert aws.writes == []


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(("locked", "rows"), [(True, "7 8"), (False, "")])
def test_stale_rows_are_deleted_by_who_holds_the_cluster_alone(aws: Conversation, locked: bool, rows: str) -> None:
    answers = CASES["the nodes are asked, and a stale row is deleted"].answers()
    aws.answers = {**answers, "GetItem": record(EXECUTION if locked else OTHER)}
    handle("verify_cluster", stale=[7, 8], locked=locked, revision=revision(read("blue")))
    sent = [asked["Parameters"] for asked in aws.asked("SendCommand")]
    assert sent == [
        {"Mode": ["report"], "ExecutionTimeout": ["120"]},
        {"Mode": ["cluster"], "StaleNodes": [rows], "ExecutionTimeout": ["120"]},
    ]


@pytest.mark.usefixtures("steps")
def test_an_image_that_does_not_exist_is_never_recorded(aws: Conversation) -> None:
    aws.answers = {"GetItem": record(image={"ami": AMI}), "DescribeImages": {"Images": []}, "UpdateItem": {}}
    with pytest.raises(ImageBuildFailed) as caught:
        handle("build_image")
    assert str(caught.value) == (
        f"The AMI {AMI} of image.ami does not exist in this account and region, or is not available. "
        'Give another id, or {"image": {"ami": null}} to build one.'
    )
    assert aws.writes == []
    available = [{"Name": "image-id", "Values": [AMI]}, {"Name": "state", "Values": ["available"]}]
    assert aws.asked("DescribeImages") == [{"Filters": available}]


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"version": {"N": "99"}}, "A newer release of Benchwright wrote the record of the cluster green "),
        (
            {"plan": {"S": '{"cluster": "green"}'}},
            "The recorded plan of the cluster green is not one of this release (",
        ),
    ],
    ids=["newer", "unknown plan"],
)
def test_no_image_is_retired_while_another_cluster_s_record_cannot_be_read(
    aws: Conversation, other: dict[str, Any], why: str
) -> None:
    """It may use the image."""
    scan = {"Scan": {"Items": [{"cluster": {"S": "green"}, **other}]}}
    aws.answers = {**retirement(), "GetItem": record(verified_images=[AMI, "ami-2"]), **scan}
    answer = handle("build_image", action="retire", ami=AMI)
    assert (aws.writes, answer["retired"], len(answer["warnings"])) == ([], [], 1)
    assert answer["warnings"][0].startswith(f"Which old images may go could not be found out: {why}")


REFRESH: dict[str, Any] = {
    "stack": "nodes",
    "ami": AMI,
    "foundation": FOUNDATION,
    "node_script": SCRIPT,
    "refresh": "r",
}


def refreshing(status: str, *versions: str) -> dict[str, Answer]:
    """Nodes that are replaced behind a load balancer, of which a new one waits for its configuration."""
    found = group(*versions)
    (shown,) = found["DescribeAutoScalingGroups"]["AutoScalingGroups"]  # type: ignore[index]
    shown["SuspendedProcesses"] = [{"ProcessName": "AZRebalance"}]
    if status == "InProgress":
        shown["Instances"][-1]["LifecycleState"] = "Pending:Wait"
    refreshes = [{"InstanceRefreshId": "r", "Status": status, "StartTime": datetime(2026, 1, 2, tzinfo=UTC)}]
    found["DescribeInstanceRefreshes"] = {"InstanceRefreshes": refreshes}
    return {
        **stack("UPDATE_COMPLETE", nodes(), outputs=NODES),
        **found,
        "DescribeScalingActivities": {"Activities": []},
        "GetLogEvents": refusal("ResourceNotFoundException"),
    }


@pytest.mark.usefixtures("steps")
def test_a_look_at_nodes_that_are_being_replaced_takes_five_calls(aws: Conversation) -> None:
    aws.answers = {**refreshing("InProgress", "1", "1", "2"), "GetItem": record()}
    answer = handle("deploy_stack", **REFRESH)
    assert (answer["done"], answer["refresh"]) == (False, "r")
    assert [operation for operation, _ in aws.calls] == [
        *("GetItem", "DescribeAutoScalingGroups", "DescribeInstanceRefreshes"),
        *("DescribeScalingActivities", "GetLogEvents"),
    ]


@pytest.mark.usefixtures("steps")
def test_the_stack_is_looked_at_again_when_its_nodes_are_replaced(aws: Conversation) -> None:
    aws.answers = {**refreshing("Successful", "2", "2"), "GetItem": record()}
    answer = handle("deploy_stack", **REFRESH)
    assert (answer["done"], answer["outputs"]) == (True, NODES)
    assert {"DescribeStacks", "GetTemplate"} <= {operation for operation, _ in aws.calls}


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("event", "tags", "answer"),
    [
        ({}, {}, (True, False, 0)),
        ({"protects": True}, {}, (False, True, 7)),
        ({}, {"team": "before"}, (False, True, 7)),  # tags of data change, too
    ],
)
def test_only_deletion_protection_is_not_waited_for(
    aws: Conversation, event: dict[str, Any], tags: dict[str, str], answer: tuple[bool, bool, int]
) -> None:
    found = unprotected()._replace(tags={**unprotected().tags, **tags})
    aws.answers = {**stack("CREATE_COMPLETE", found), "GetItem": record()}
    look = handle("deploy_stack", stack="foundation", **event)
    assert (look["done"], look["is_protected"], look["wait_seconds"]) == answer


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("name", "before", "seconds"),
    [
        ("a build is begun", 0, 90),
        ("a stack is begun", 40, 7),
        ("a change set is executed", 40, 7),
        ("nodes are replaced", 8, 9),
        ("an address is removed", 20, 5),
        ("a certificate is requested", 0, 5),
        ("a certificate is validated", 20, 25),
        ("a node is configured", 15, 6),
        ("the nodes are asked, and a stale row is deleted", 0, 5),
        ("the nodes are asked, and a stale row is deleted", 39, 40),
    ],
)
def test_a_step_says_how_long_to_wait(aws: Conversation, name: str, before: int, seconds: int) -> None:
    case = CASES[name]
    aws.answers = {**case.answers(), "GetItem": record(**case.wanted), "UpdateItem": {}}
    answer = handle(case.function, **case.event, wait_seconds=before)
    assert (answer["done"], answer["wait_seconds"]) == (False, seconds)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(("state", "seconds"), [("Pending", 24), ("Pending:Wait", 24), ("InService", 6)])
def test_while_a_stack_launches_nodes_the_waits_are_long_at_once(aws: Conversation, state: str, seconds: int) -> None:
    found = group("2", "2")
    found["DescribeAutoScalingGroups"]["AutoScalingGroups"][0]["Instances"][-1]["LifecycleState"] = state  # type: ignore[index]
    launching = {**stack("UPDATE_IN_PROGRESS", nodes(), outputs=NODES), **found}
    asked = {"DescribeScalingActivities": {"Activities": []}, "GetLogEvents": {"events": []}, "GetItem": record()}
    aws.answers = {**launching, **asked}
    case = CASES["nodes are replaced"]
    answer = handle(case.function, **case.event, wait_seconds=5)
    assert (answer["done"], answer["wait_seconds"]) == (False, seconds)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("status", "ami", "waits"),
    [
        ("CREATE_IN_PROGRESS", "", [25, 75]),
        ("CREATE_IN_PROGRESS", AMI, [6, 8]),
        ("UPDATE_IN_PROGRESS", AMI, [10, 40]),
    ],
)
def test_a_foundation_is_looked_at_often_once_the_nodes_wait_for_it_alone(
    aws: Conversation, status: str, ami: str, waits: list[int]
) -> None:
    item = record()["Item"] | ({"ami": {"S": ami}} if ami else {})
    aws.answers = {**stack(status, unprotected()), "GetItem": {"Item": item}}
    looks = [handle("deploy_stack", stack="foundation", wait_seconds=before)["wait_seconds"] for before in (5, 60)]
    assert looks == waits


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("before", "status", "waited", "seconds"),
    [
        (("", 0), "PENDING", 0, 90),
        (("BUILDING", 90), "BUILDING", 810, 90),
        (("BUILDING", 90), "BUILDING", 900, 9),
        (("BUILDING", 26), "BUILDING", 2700, 27),
        (("BUILDING", 90), "DISTRIBUTING", 600, 5),
        (("DISTRIBUTING", 5), "DISTRIBUTING", 605, 6),
        (("DISTRIBUTING", 30), "INTEGRATING", 2700, 30),
        (("BUILDING", 90), "A_NEW_ONE", 600, 90),
    ],
)
def test_a_build_is_looked_at_more_often_after_a_while_and_near_its_end(
    aws: Conversation, before: tuple[str, int], status: str, waited: int, seconds: int
) -> None:
    aws.answers = {**builds({**built(""), "state": {"status": status}}), "GetItem": record()}
    answer = handle("build_image", waited=waited, build_state=before[0], wait_seconds=before[1])
    assert (answer["done"], answer["wait_seconds"]) == (False, seconds)
