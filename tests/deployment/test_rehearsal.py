"""The whole: `python -m rehearsal` takes the application through deployments, and its report says how."""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from rehearsal.aws import recorder
from rehearsal.judges.policies.verdict import judge
from rehearsal.own_failures import EXIT_OWN_FAILURE

ROOT = Path(__file__).parents[2]
SCHEDULES = ("monthly-rebuild:before", "nightly-verify:during", "monthly-rebuild:during", "nightly-verify:after")
NIGHTLY: Any = {"every_cluster": True}
MONTHLY: Any = {"cluster": "workbench", "image": {"rebuild": True}, "only_if_deployed": True}
SECOND: Any = {"cluster": "second", "nodes": {"count": 1}}
INPUTS: list[Any] = [{}, {}, {"nodes": {"count": 3}}, {}, {"nodes": {"count": None}}, SECOND]
BOUNDARY = "arn:aws:iam::aws:policy/AdministratorAccess"
CHANGING = ("Create", "ExecuteChangeSet", "Delete", "Put", "StartInstanceRefresh")
REPORT = {"s3:PutObject"}
"""What an execution changes that changes no cluster: it writes its report."""

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800)]  # one rehearsal of six deployments


LOOKS_AT_NODES = {
    *("Configure nodes", "Nodes configured?", "Wait for configuration"),
    *("Verify cluster", "Cluster verified?", "Wait for verification"),
}
"""How often these are entered depends on how long the real scripts take on this machine."""


@pytest.fixture(scope="module")
def report(recorded: Path) -> dict[str, Any]:
    """One local AWS with a permissions boundary and notifications of success: a verification, INPUTS one by one,
    SCHEDULES around the first. Every process is watched.
    """
    parameters = recorded / "parameters.json"
    parameters.write_text(json.dumps({"PermissionsBoundary": BOUNDARY, "NotifySuccess": "ENABLED"}))
    command = [sys.executable, "-m", "rehearsal", "--report", str(recorded), "--speed", "300", "--watch-arguments"]
    command += ["--parameters", str(parameters)]
    command += ["--state-machine", "verify"]
    for schedule in SCHEDULES:
        command += ["--schedule", schedule]
    for number, content in enumerate(INPUTS):
        file = recorded / f"input-{number}.json"
        file.write_text(json.dumps(content))
        command += ["--then", str(file)]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1700, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    written: dict[str, Any] = json.loads((recorded / "report.json").read_text())
    return written


@pytest.fixture(scope="module")
def deployments(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The executions with INPUTS."""
    return [execution for execution in report["executions"] if execution["started_by"] == "rehearsal"]


def test_schedules_start_executions_with_their_input_under_their_role(recorded: Path, report: dict[str, Any]) -> None:
    started = [(e["started_by"], e["state_machine"], e["input"], e["status"]) for e in report["executions"]]
    assert started[:6] == [
        ("schedule nightly-verify", "verify", NIGHTLY, "SUCCEEDED"),
        ("schedule monthly-rebuild", "deploy", MONTHLY, "SUCCEEDED"),
        ("rehearsal", "deploy", {}, "SUCCEEDED"),
        ("schedule nightly-verify", "verify", NIGHTLY, "SUCCEEDED"),
        ("schedule monthly-rebuild", "deploy", MONTHLY, "SUCCEEDED"),
        ("schedule nightly-verify", "verify", NIGHTLY, "SUCCEEDED"),
    ]
    assert [starter for starter, *_ in started[6:]] == ["rehearsal"] * 5
    roles = {
        (call["caller"], re.sub("-[A-Z0-9]+$", "", call["role"]))
        for call in recorder.read(recorded / "calls.jsonl")
        if call["operation"] == "StartExecution"
    }
    assert roles == {
        ("schedule nightly-verify", "arn:aws:iam::123456789012:role/benchwright/benchwright-VerifyScheduleRole"),
        ("schedule monthly-rebuild", "arn:aws:iam::123456789012:role/benchwright/benchwright-RebuildScheduleRole"),
    }


def test_schedules_leave_alone_what_is_not_deployed_yet_and_verify_what_is(report: dict[str, Any]) -> None:
    *early, verified = [execution for execution in report["executions"] if execution["started_by"] != "rehearsal"]
    assert [(execution["output"]["message"], changes(execution)) for execution in early] == [
        ("no cluster is recorded, so there was nothing to verify", REPORT),
        ("workbench is not deployed: nothing to do", REPORT),
        ("0 of 1 recorded clusters verified", REPORT),
        ("workbench is not deployed: nothing to do", REPORT),
    ]
    assert (verified["output"]["message"], changes(verified)) == ("1 of 1 recorded clusters verified", REPORT)


@pytest.mark.usefixtures("report")
def test_success_is_notified_with_what_changed(recorded: Path) -> None:
    published = [
        call["parameters"] for call in recorder.read(recorded / "calls.jsonl") if call["operation"] == "Publish"
    ]
    deployed = "Benchwright: the cluster workbench is deployed and verified"
    of_deployments = [each for each in published if each["Subject"] == deployed]
    paragraphs = [each["Message"].split("\n\n") for each in of_deployments]
    changed = [[part for part in parts if part.startswith(("Changed", "Nothing"))] for parts in paragraphs]
    same = "Nothing changed since it was last verified."
    began, more, fewer = (
        f"Changed since it was last verified:\n- {change}"
        for change in ("a new cluster", "nodes.count: 3 (was 2)", "nodes.count: 2 (was 3)")
    )
    assert changed == [[began], [same], [more], [same], [fewer]]
    assert [each["Subject"].removeprefix("Benchwright: ") for each in published if each not in of_deployments] == [
        "no cluster is recorded, so there was nothing to verify",
        "0 of 1 recorded clusters verified",
        "1 of 1 recorded clusters verified",
        "the cluster second is deployed and verified",
    ]


def test_every_message_ends_with_the_address_of_its_report(recorded: Path, report: dict[str, Any]) -> None:
    calls = list(recorder.read(recorded / "calls.jsonl"))
    written = {
        f"s3://{call['parameters']['Bucket']}/{call['parameters']['Key']}"
        for call in calls
        if call["operation"] == "PutObject" and call["parameters"]["Key"].startswith("reports/")
    }
    addresses = [execution["output"]["report"] for execution in report["executions"]]
    assert written == {each[kind] for each in addresses for kind in ("page", "data")}
    whole = [
        call["parameters"]["Message"].splitlines()
        for call in calls
        if call["operation"] == "Publish" and not call["parameters"]["Message"].endswith(" characters)")  # cut there
    ]
    assert len(whole) >= 3  # those of the nightly verifications
    known = [[f"- {each['console']}", f"- {each['page']}"] for each in addresses]
    assert [lines for lines in whole if lines[-2:] not in known] == []


def test_every_deployment_ends_with_the_nodes_that_were_asked_for(deployments: list[dict[str, Any]]) -> None:
    assert [(e["status"], len(e["output"]["nodes"])) for e in deployments] == [
        ("SUCCEEDED", 2),
        ("SUCCEEDED", 2),
        ("SUCCEEDED", 3),
        ("SUCCEEDED", 3),
        ("SUCCEEDED", 2),
        ("SUCCEEDED", 1),
    ]
    assert all({node["status"] for node in execution["output"]["nodes"]} == {"Online"} for execution in deployments)


def test_a_missing_licence_is_a_warning(deployments: list[dict[str, Any]]) -> None:
    output = deployments[0]["output"]
    assert output["license"] == "missing"
    assert [warning.partition(":")[0] for warning in output["warnings"]] == ["license", "users"]


def transitions_beside_looks(execution: dict[str, Any]) -> int:
    looks = sum(state["name"] in LOOKS_AT_NODES for state in execution["states"])
    return int(execution["transitions"]) - looks


def test_the_same_input_again_changes_nothing(deployments: list[dict[str, Any]]) -> None:
    assert transitions_beside_looks(deployments[1]) <= 24
    entered = collections.Counter(state["name"] for state in deployments[1]["states"])
    assert {name for name, times in entered.items() if times > 1} <= LOOKS_AT_NODES
    # A change set without changes is how CloudFormation says that there are none.
    assert changes(deployments[1]) - REPORT <= {"cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet"}
    assert deployments[1]["aws_calls"]["s3:PutObject"] == 2  # page and data


def test_a_first_deployment_takes_fewer_transitions_and_calls_than_with_one_wait_for_all(
    recorded: Path, deployments: list[dict[str, Any]]
) -> None:
    """Those took 286 and 340, some 10 and 43 of them to look at nodes, which are left out here: how many those are
    depends on this machine. Without them it takes 207 and 256 (docs/decisions/0001-polling.md has it with them).
    """
    first = deployments[0]
    assert transitions_beside_looks(first) < 276
    callers = [
        call["caller"]
        for call in recorder.read(recorded / "calls.jsonl")
        if str(call["execution"]).endswith(f":{first['name']}") and call["operation"] != "Invoke"
    ]
    assert 200 < sum(caller not in ("ConfigureNodes", "VerifyCluster") for caller in callers) < 297


def test_a_second_cluster_with_the_same_versions_builds_no_image(deployments: list[dict[str, Any]]) -> None:
    """Its makespan is that of the database then (docs/decisions/0030-shared-images.md)."""
    first, *_, second = deployments
    assert second["output"]["image"] == first["output"]["image"]
    built = ["imagebuilder:CreateImage" in each["aws_calls"] for each in deployments]
    assert built == [True, False, False, False, False, False]
    assert second["makespan_s"] < 0.9 * first["makespan_s"]


def test_no_secret_stands_where_a_stranger_could_read_it(report: dict[str, Any]) -> None:
    assert (report["secrets"]["checked"], report["secrets"]["found"]) == (11, 0)
    assert report["secrets"]["places"] > 100  # arguments of processes among them


def test_the_timeline_is_the_critical_path(deployments: list[dict[str, Any]]) -> None:
    first = deployments[0]
    assert 1020 <= first["critical_path_s"] <= first["makespan_s"] <= 2400  # the image alone takes 1,020 s


def test_every_call_was_judged_by_the_policies_and_none_denied(report: dict[str, Any]) -> None:
    policies = report["policies"]
    assert (policies["not_judged"], policies["denied"]) == ("", [])
    assert policies["judged"] > 1000


def test_the_boundary_reaches_every_role_also_that_of_the_nodes(report: dict[str, Any], recorded: Path) -> None:
    policies = json.loads((recorded / "policies.json").read_text())
    bounded = {each["name"]: each["boundary"] is not None for each in policies.values() if "trust" in each}
    assert any("NodeRole" in name for name in bounded)
    assert [name for name, has_boundary in bounded.items() if not has_boundary] == []


def test_a_role_that_lost_a_statement_is_caught(report: dict[str, Any], recorded: Path) -> None:
    """Without the right to run the script on nodes of this application, the very same calls are denied."""
    lost = "OnNodesOfThisApplication"
    policies = json.loads((recorded / "policies.json").read_text())
    for arn in policies:
        for document in policies[arn]["inline"].values() if "VerifyClusterRole" in arn else ():
            document["Statement"] = [each for each in document["Statement"] if each["Sid"] != lost]
    with tempfile.TemporaryDirectory() as folder:  # not where make looks for what was recorded
        shutil.copyfile(recorded / "calls.jsonl", Path(folder, "calls.jsonl"))
        Path(folder, "policies.json").write_text(json.dumps(policies))
        denied = judge([Path(folder)]).denied
    assert {reported.partition(" on ")[0] for reported in denied} == {"VerifyClusterRole may not ssm:SendCommand"}


def test_a_postgresql_that_does_not_start_is_no_failure_of_the_account(tmp_path: Path) -> None:
    """`unshare` lets the check of the machine pass, and makes initdb fail as on a machine without its account."""
    program = tmp_path / "bin/unshare"
    program.parent.mkdir()
    refused = "initdb: could not look up effective user ID"
    program.write_text(
        f'#!/bin/bash\n[[ $* != */initdb\\ * ]] || {{ echo "{refused}" >&2; exit 1; }}\n'
        f'exec {shutil.which("unshare")} "$@"\n'
    )
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", "--report", str(tmp_path), "--speed", "300"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    cause = f"rds:CreateDBInstance failed: PostgresNotStarted: initdb failed: {refused}"
    assert (done.returncode, done.stderr) == (EXIT_OWN_FAILURE, "")
    assert f"  the rehearsal itself failed: {cause}\n  its log: {tmp_path}/logs/rehearsal.log\n" in done.stdout
    assert "Next:" not in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())["itself"] == [cause]
    assert refused in (tmp_path / "logs/rehearsal.log").read_text()


def changes(execution: dict[str, Any]) -> set[str]:
    """Its calls that make, change or remove something beside records and commands."""
    return {call for call in execution["aws_calls"] if call.partition(":")[2].startswith(CHANGING)}
