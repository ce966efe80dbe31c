"""What fails ends with a named error, a cause to act on and a free lock; the same input succeeds afterwards.

Each rehearsal goes on after every failure with the same input, so a later step's failure also shows that the step which
failed before it recovered.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from rehearsal.aws import recorder

ROOT = Path(__file__).parents[2]
SPEED = "300"
CONSOLE = "https://us-east-1.console.aws.amazon.com"

pytestmark = pytest.mark.root


class Failure(NamedTuple):
    """A fault, and what the execution says of it: `reported` stands in the cause, in this order. beside: a fault that
    the same execution does not report.
    """

    fault: str
    error: str
    step: str
    reported: tuple[str, ...]
    beside: str = ""


FILE_SYSTEM = Failure(
    "stack:resource=FileSystem,reason=No quota for file systems",
    "StackFailed",
    "Deploy foundation",
    (
        "The stack benchwright-workbench-foundation ended ROLLBACK_COMPLETE: ",
        "FileSystem (AWS::EFS::FileSystem) is CREATE_FAILED: No quota for file systems\n",
        "the next execution removes what is left of it and starts again",
        "Evidence:\n",
        f"- events of the stack benchwright-workbench-foundation: {CONSOLE}/cloudformation/home?",
        f"- log of the step: {CONSOLE}/cloudwatch/home?",
        f"- the execution: {CONSOLE}/states/home?",
        "Next: Fix what this event names",
    ),
)
IMAGE = Failure(
    "image:step=AddTheRepository,reason=The repository is not there",
    "ImageBuildFailed",
    "Build image",
    (
        "ended FAILED in step AddTheRepository of component benchwright-workbench (build): The repository is not",
        "Fix what the log says of the component of image/",
        "log group /aws/imagebuilder/benchwright-image. The last lines:\n",
        "Step AddTheRepository failed: The repository is not there\n",
        "- log of the build benchwright-image/",
        "Next: Do what the message says, and start again with the same input: a new build begins.",
    ),
)
POSTGRES = Failure(
    "postgres:refuse",
    "DatabaseFailed",
    "Create database",
    (
        'does not let "postgres" log in: FATAL: pg_hba.conf rejects connection',
        "Allow this user over TLS",
        "Next: Fix the database as the message says",
    ),
)
GROUP = Failure(
    "stack:type=AWS::AutoScaling::AutoScalingGroup,reason=No instances of this type",
    "StackFailed",
    "Deploy nodes",
    (
        "The stack benchwright-workbench-nodes ended ROLLBACK_COMPLETE: ",
        "AutoScalingGroup (AWS::AutoScaling::AutoScalingGroup) is CREATE_FAILED: No instances of this type\n",
        "Next: Fix what this event names",
    ),
)
NO_CAPACITY = Failure(
    "launch:capacity,zone=us-east-1b",
    "NodesNotReady",
    "Deploy nodes",
    (
        "Auto Scaling cannot launch nodes of benchwright-workbench-nodes-group. Since ",
        "We currently do not have sufficient m7i.xlarge capacity in the Availability Zone you requested (us-east-1b)",
        "Choose another instance type (nodes.instance_type), or wait",
        "- activities of the Auto Scaling group benchwright-workbench-nodes-group: ",
        "Next: Fix what kept the nodes away",
    ),
)
NOT_BEGUN = Failure(
    "change-set:fails,stack=*-nodes,reason=The role of CloudFormation cannot be assumed",
    "StackFailed",
    "Deploy nodes",
    (
        "CloudFormation could not begin the change of benchwright-workbench-nodes: The role of CloudFormation cannot",
        "The stack is as it was before: REVIEW_IN_PROGRESS.",
        "Next: Fix what this event names",
    ),
    # Deletion protection, for which no node waits: a later execution has it made again.
    beside="stack:resource=DatabaseCluster,during=update,reason=The cluster is being backed up",
)
OFFLINE = Failure(
    "node:ssm-offline,times=1",
    "NodesNotReady",
    "Configure nodes",
    (
        "Systems Manager did not hear of i-",
        "Auto Scaling now replaces what never registered: i-",
        "The system log",
        "Last lines of the system log of i-",
        " has booted\n",
        "- activities of the Auto Scaling group benchwright-workbench-nodes-group: ",
        "- node i-",
        "Next: Fix what kept the nodes away",
    ),
)
VERIFY_INSTALLATION = Failure(
    "node:verify-installation",
    "NodeConfigurationFailed",
    "Configure nodes",
    (
        "i-",
        ": rstudio-server verify-installation failed.",
        "Last lines of its log:\n",
        "  --- verify the installation\n",
        "  ERROR system error",
        "Its command in Run Command: ",
        "To look at the node: aws ssm start-session --target i-",
        "- command ",
        "- node i-",
        "- what the node reported: ",
        "Next: Fix the cause, or replace the node",
    ),
)


class Setting(NamedTuple):
    """In which account, under which name and with which input an application is rehearsed."""

    input: Mapping[str, Any] = MappingProxyType({})
    account: Mapping[str, Any] = MappingProxyType({})
    parameters: Mapping[str, Any] = MappingProxyType({})
    name: str = "benchwright"


# Six zones, of which one has no instances of the default type; the longest name; and no service was used before.
NETWORK_OF_ONES_OWN = Setting(
    input=MappingProxyType({"nodes": {"instance_type": "m4.xlarge"}}),
    account=MappingProxyType({"subnets": 6, "own_ebs_key": True, "vcpus": 8, "new": True}),
    name="b123456789012345678901234567-9",
)
THREE_ZONES = Setting(
    account=MappingProxyType({"service_roles": False}),
    parameters=MappingProxyType({"AvailabilityZones": "us-east-1a,us-east-1b,us-east-1d"}),
)
ORDINARY = Setting()


def rehearsal_of(name: str, *failures: Failure, setting: Setting = ORDINARY) -> Any:
    """A case that has nothing in common with the others."""
    return pytest.param(failures, setting, id=name)


@pytest.mark.parametrize(
    ("failures", "setting"),
    [
        rehearsal_of(
            "stacks and a node that never appears",
            FILE_SYSTEM,
            NOT_BEGUN,
            GROUP,
            OFFLINE,
            setting=NETWORK_OF_ONES_OWN,
        ),
        rehearsal_of(
            "image, database, capacity and installation",
            IMAGE,
            POSTGRES,
            NO_CAPACITY,
            VERIFY_INSTALLATION,
            setting=THREE_ZONES,
        ),
    ],
)
def test_a_failure_is_explained_and_the_same_input_succeeds_afterwards(
    recorded: Path, failures: tuple[Failure, ...], setting: Setting
) -> None:
    directory = recorded / setting.name
    directory.mkdir()
    *failed, last = rehearse(directory, failures, setting)
    assert locks_given_back(directory) == [execution["name"] for execution in (*failed, last)]
    assert last["status"] == "SUCCEEDED", last["cause"]
    assert [node["status"] for node in last["output"]["nodes"]] == ["Online", "Online"]
    if NOT_BEGUN in failures:  # the foundation lacks nothing any more
        assert "cloudformation:ExecuteChangeSet" not in last["aws_calls"]
    assert [(execution["status"], execution["error"]) for execution in failed] == [
        ("FAILED", failure.error) for failure in failures
    ]
    for execution, failure in zip(failed, failures, strict=True):
        cause = execution["cause"]
        assert cause.startswith(f"{failure.error} in step '{failure.step}'\n"), cause
        position = 0
        for text in failure.reported:
            position = cause.find(remedy(text.replace("benchwright-", f"{setting.name}-"), setting), position)
            assert position >= 0, f"{text!r} is not where it should be in\n{cause}"
        assert "cancelled" not in cause
        states = [state["name"] for state in execution["states"]]
        assert states[-4:] == ["Notify subscribers", "Is the cluster known?", "Give the lock back", "Deployment failed"]


def remedy(text: str, setting: Setting) -> str:
    """Where the input holds values that no verified execution has used yet, their remedy comes before the usual one."""
    return text.replace("Next: ", "If none is: ") if setting.input else text


def rehearse(directory: Path, failures: tuple[Failure, ...], setting: Setting) -> list[dict[str, Any]]:
    """One execution for each failure and one without, all with the same input: what the report says of them."""
    same = directory / "input.json"
    same.write_text(json.dumps(dict(setting.input)))
    command = [sys.executable, "-m", "rehearsal", "--report", str(directory), "--speed", SPEED]
    command += ["--input", str(same), "--name", setting.name, "--account", json.dumps(dict(setting.account))]
    command += ["--parameters", json.dumps(dict(setting.parameters))]
    for number, failure in enumerate(failures, 1):
        for fault in filter(None, (failure.fault, failure.beside)):
            command += ["--fault", f"{fault},execution={number}"]
        command += ["--then", str(same)]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=880, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    report = json.loads((directory / "report.json").read_text())
    assert report["secrets"]["found"] == 0
    executions: list[dict[str, Any]] = report["executions"]
    return executions


def locks_given_back(directory: Path) -> list[str]:
    """The executions that gave back the lock which they held, in order."""
    return [
        call["execution"].rpartition(":")[2]
        for call in recorder.read(directory / "calls.jsonl")
        if call["operation"] == "UpdateItem"
        and call["parameters"]["UpdateExpression"] == "REMOVE holder"
        and call["outcome"] == "ok"
    ]
