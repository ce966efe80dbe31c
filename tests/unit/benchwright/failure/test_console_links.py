"""Every named error through the real handler: the whole text that the execution ends with and subscribers get."""

import json
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

from benchwright.failure.console_links import HOSTS, Failure, evidence
from benchwright.failure.explanation import NEXT_ACTIONS
from tests.templates.templates import APPLICATION
from tests.unit.benchwright.conversation import Conversation
from tests.unit.benchwright.steps import COMMAND, EXECUTION, OTHER, handle

ACCOUNT = "eu-west-1:123456789012"
BUILD = f"arn:aws:imagebuilder:{ACCOUNT}:image/wb-blue/1.2.3/4"
NODE = "i-0123456789abcdef0"

CONSOLE = "https://eu-west-1.console.aws.amazon.com"
HOME = "home?region=eu-west-1#"
GROUPS = f"{CONSOLE}/cloudwatch/{HOME}logsV2:log-groups/log-group"
STEP = "$2522arn$253Aaws$253Astates$253Aeu-west-1$253A123456789012$253Aexecution$253Awb-deploy$253Aone$2522"
SINCE = "$26start$3D1795348800000"
THIS = f"- the execution: {CONSOLE}/states/{HOME}/v2/executions/details/{EXECUTION}"


def log_of(function: str) -> str:
    return (
        f"- log of the step: {GROUPS}/$252Faws$252Flambda$252Fwb-{function}/log-events$3FfilterPattern$3D{STEP}{SINCE}"
    )


def stack(name: str) -> str:
    return f"- events of the stack {name}: {CONSOLE}/cloudformation/{HOME}/stacks/events?stackId={name}"


def node(instance: str) -> str:
    return f"- node {instance}: {CONSOLE}/ec2/{HOME}InstanceDetails:instanceId={instance}"


ACTIVITIES = (
    "- activities of the Auto Scaling group wb-blue-nodes-group: "
    f"{CONSOLE}/ec2/{HOME}AutoScalingGroupDetails:id=wb-blue-nodes-group;view=activity"
)
REPORTED = f"- what the node reported: {GROUPS}/$252Fwb$252Fnodes/log-events$3FfilterPattern$3D$2522{NODE}$2522{SINCE}"
BUILD_LOG = f"{GROUPS}/$252Faws$252Fimagebuilder$252Fwb-blue/log-events/1.2.3$252F4"


class Case(NamedTuple):
    """What a step said, and where to look."""

    step: str
    message: str
    evidence: tuple[str, ...]


CASES = {
    "InvalidInput": Case("Validate input", "The input has 1 problem; nothing was changed.\n- nodes.count: 0", (THIS,)),
    "ClusterLocked": Case(
        "Take the lock",
        f"The cluster blue is locked by the execution {OTHER}, which still runs.",
        (f"- the other execution: {CONSOLE}/states/{HOME}/v2/executions/details/{OTHER}", THIS),
    ),
    "RecordUnreadable": Case("Take the lock", "The record of the cluster blue is damaged", (THIS,)),
    "LockLost": Case(
        "Deploy nodes",
        f"The cluster blue is locked by {OTHER}, not by this execution ({EXECUTION}): nothing more was changed.",
        (f"- the other execution: {CONSOLE}/states/{HOME}/v2/executions/details/{OTHER}", THIS),
    ),
    "ImageBuildFailed": Case(
        "Build image",
        f"The image build {BUILD} ended FAILED: no R\nIts log is the CloudWatch log group /aws/imagebuilder/wb-blue.",
        (
            f"- log of the build wb-blue/1.2.3/4: {BUILD_LOG}",
            f"- images of Image Builder: {CONSOLE}/imagebuilder/{HOME}/images",
            log_of("build-image"),
            THIS,
        ),
    ),
    "StackFailed": Case(
        "Deploy foundation",
        "The stack wb-blue-foundation ended ROLLBACK_COMPLETE: Key (AWS::KMS::Key) is CREATE_FAILED: no quota "
        f"(Request ID: {COMMAND})",
        (
            stack("wb-blue-foundation"),
            log_of("deploy-stack"),
            THIS,
        ),
    ),
    "StackRefused": Case(
        "Deploy nodes",
        "The stack wb-blue-nodes is UPDATE_ROLLBACK_FAILED (no reason given), which needs a person.",
        (
            stack("wb-blue-nodes"),
            log_of("deploy-stack"),
            THIS,
        ),
    ),
    "DatabaseFailed": Case(
        "Create database",
        f"The secret arn:aws:secretsmanager:{ACCOUNT}:secret:wb/blue/database-AbCdEf is not JSON.",
        (
            f"- databases: {CONSOLE}/rds/{HOME}databases:",
            f"- secret wb/blue/database: {CONSOLE}/secretsmanager/secret?name=wb%2Fblue%2Fdatabase&region=eu-west-1",
            log_of("create-database"),
            THIS,
        ),
    ),
    "NodesNotReady": Case(
        "Deploy nodes",
        "The nodes of wb-blue-nodes-group were not replaced: the instance refresh ended Failed.",
        (
            ACTIVITIES,
            log_of("deploy-stack"),
            THIS,
        ),
    ),
    "NodeConfigurationFailed": Case(
        "Configure nodes",
        f"{NODE}: no mount\nIts command in Run Command: {COMMAND}\nTo look at the node: aws ssm --target {NODE}",
        (
            f"- command {COMMAND}: {CONSOLE}/systems-manager/run-command/{COMMAND}?region=eu-west-1",
            node(NODE),
            REPORTED,
            log_of("configure-nodes"),
            THIS,
        ),
    ),
    "CertificateNotIssued": Case(
        "Request certificate", "ACM does not find the record _x.wb.example.com", (log_of("request-certificate"), THIS)
    ),
    "VerificationFailed": Case(
        "Verify cluster",
        "The cluster blue is not what its plan says:\n"
        + "\n".join(f"- mounts: i-0000000{number}: none." for number in range(5)),
        (
            node("i-00000000"),
            node("i-00000001"),
            node("i-00000002"),
            log_of("verify-cluster"),
            THIS,
        ),
    ),
    "DeadlineExceeded": Case(
        "Deploy nodes",
        f"Gave up after 1080 looks: still waiting for Auto Scaling: {NODE} Pending",
        (
            ACTIVITIES,
            node(NODE),
            log_of("deploy-stack"),
            THIS,
        ),
    ),
    "AwsCallFailed": Case(
        "Build image",
        "CreateImage answered AccessDenied: no. Grant this action to the role of this function.",
        (
            f"- calls of CreateImage in CloudTrail: {CONSOLE}/cloudtrailv2/{HOME}/events?EventName=CreateImage",
            log_of("build-image"),
            THIS,
        ),
    ),
    "TransientError": Case(
        "Publish configuration", "PutObject answered SlowDown: no", (log_of("configure-nodes"), THIS)
    ),
    "States.Timeout": Case("Retire old images", "", (log_of("build-image"), THIS)),
}


def event_of(error: str, case: Case) -> dict[str, Any]:
    """What the state machine passes: Step Functions packs the message, and a branch of a Parallel packs it again."""
    message = json.dumps({"errorType": error, "errorMessage": case.message, "stackTrace": ["  File app.py"]})
    packed = json.dumps({"step": case.step, "cause": message})
    return {
        "cluster": "blue",
        "execution": EXECUTION,
        "began": "2026-11-22T12:00:00.000Z",
        "step": "Prepare image and foundation" if case.step == "Build image" else case.step,
        "error": error,
        "cause": packed if case.step == "Build image" else message,
    }


@pytest.fixture
def empty_record(aws: Conversation) -> None:
    """A cluster without a recorded value that could be the cause."""
    aws.answers = {"GetItem": {}}


def test_every_named_error_is_tried() -> None:
    assert CASES.keys() - {"States.Timeout"} == NEXT_ACTIONS.keys()


@pytest.mark.parametrize(("error", "case"), CASES.items(), ids=list(CASES))
@pytest.mark.usefixtures("empty_record")
def test_an_error_is_reported_with_step_cause_evidence_and_next_action(error: str, case: Case) -> None:
    following = NEXT_ACTIONS.get(
        error, "Look at the log of the step's function, and start again with the same input: finished steps are kept."
    )
    assert handle("explain_failure", **event_of(error, case)) == {
        "done": True,
        "error": error,
        "subject": f"Benchwright: blue: {error} in {case.step}",
        "brief": f"{error} in step '{case.step}': {case.message or 'no cause was given'}",
        "text": "\n".join(
            [
                f"{error} in step '{case.step}'",
                "",
                case.message or "No cause was given.",
                "",
                "Evidence:",
                *case.evidence,
                "",
                f"Next: {following}",
                f"Execution: {EXECUTION}",
            ]
        ),
    }


@pytest.mark.usefixtures("empty_record")
def test_a_subject_is_what_sns_takes() -> None:
    """ASCII without line breaks, less than 100 characters (docs.aws.amazon.com/sns/latest/api/API_Publish.html)."""
    answer = handle("explain_failure", **event_of("Grün\n" * 40, Case("Verify cluster", "why", ())))
    assert answer["subject"] == f"Benchwright: blue: {'Gr?n?' * 16}"
    assert len(answer["subject"]) == 99


@pytest.mark.parametrize(
    ("step", "error", "subject"),
    [
        ("Validate input", "InvalidInput", "deployment refused: InvalidInput in Validate input"),
        ("Validate input", "AwsCallFailed", "deployment failed: AwsCallFailed in Validate input"),
        ("Find clusters", "InvalidInput", "verification refused: InvalidInput in Find clusters"),
    ],
)
@pytest.mark.usefixtures("empty_record")
def test_a_failure_before_the_cluster_is_known_names_what_failed(step: str, error: str, subject: str) -> None:
    answer = handle("explain_failure", **{**event_of(error, Case(step, "why", ())), "cluster": ""})
    assert answer["subject"] == f"Benchwright: {subject}"


@pytest.mark.usefixtures("empty_record")
def test_warnings_of_the_first_state_are_in_the_text_of_a_later_failure() -> None:
    event = event_of("NodeConfigurationFailed", Case("Configure nodes", "why", ()))
    answer = handle("explain_failure", **event, warnings=["config: a: unknown", "license: missing"])
    lines = ["", "why", "", "Warnings of the first state:", "- config: a: unknown", "- license: missing", ""]
    assert answer["text"].splitlines()[1:8] == lines


def failure(message: str = "", execution: str = EXECUTION, error: str = "StackFailed") -> Failure:
    return Failure("Deploy foundation", error, message, execution, "wb", "blue")


@pytest.mark.parametrize(("partition", "host"), HOSTS.items())
def test_addresses_are_of_the_console_of_the_partition(partition: str, host: str) -> None:
    execution = EXECUTION.replace("arn:aws:", f"arn:{partition}:")
    lines = evidence(failure("The stack wb-blue-foundation ended", execution))
    assert len(lines) == 3
    assert all(f": https://eu-west-1.{host}/" in line for line in lines)


def test_the_application_can_be_deployed_in_the_partitions_whose_console_is_known() -> None:
    assert {name: each["Host"] for name, each in APPLICATION["Mappings"]["Console"].items()} == HOSTS


@pytest.mark.parametrize("execution", ["", "arn", "arn:aws-iso:states:us-iso-east-1:123456789012:execution:wb:1"])
def test_where_the_console_is_not_known_no_address_is_made_up(execution: str) -> None:
    assert evidence(failure(execution=execution)) == []


def test_an_execution_may_have_any_name() -> None:
    own, other = f"{EXECUTION}.größer!", f"{OTHER}.2+3@home"
    lines = evidence(failure(f"The cluster is locked by {other}. Wait until it ends.", own, "ClusterLocked"))
    details = f"{CONSOLE}/states/{HOME}/v2/executions/details"
    assert lines == [
        f"- the other execution: {details}/{OTHER}.2%2B3%40home",
        f"- the execution: {details}/{EXECUTION}.gr%C3%B6%C3%9Fer%21",
    ]


def test_a_build_that_was_still_waited_for_is_evidence() -> None:
    """As build_image reports it, and the state machine repeats it when it gives up."""
    waited = failure("Gave up: still waiting for Image Builder: wb-blue/1.2.3/4 is BUILDING", error="DeadlineExceeded")
    assert evidence(waited)[0] == f"- log of the build wb-blue/1.2.3/4: {BUILD_LOG}"


def test_names_that_only_begin_alike_are_not_evidence() -> None:
    lines = evidence(failure("wb-blue-foundation-two and wb-bluer-nodes and ami-0123456789abcdef0 failed"))
    assert [line.split(": ")[0] for line in lines] == ["- log of the step", "- the execution"]


def test_what_is_named_twice_is_reported_once() -> None:
    lines = evidence(failure(f"{NODE} and {NODE} of {BUILD} and {BUILD.partition(':image')[2]}", error="NodesNotReady"))
    assert len(lines) == len(set(lines)) == 6


def test_the_console_reads_a_log_group_and_a_filter_as_they_are() -> None:
    """It decodes what follows the # once with $ for %, then each part once more."""
    (line,) = [line for line in evidence(failure()) if line.startswith("- log of the step")]
    fragment = unquote(line.partition("#")[2].replace("$", "%"))
    place, _, query = fragment.partition("?")
    assert unquote(place) == "logsV2:log-groups/log-group//aws/lambda/wb-deploy-stack/log-events"
    assert unquote(query) == f'filterPattern="{EXECUTION}"'
