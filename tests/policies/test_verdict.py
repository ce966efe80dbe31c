"""The verdict: a missing permission is named with who, what, where and why; an unused one is named, too."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rehearsal.judges.policies.authorization import Call
from rehearsal.judges.policies.implied import NETWORK_INTERFACES, TRACES, assumption
from rehearsal.judges.policies.simulator import NoSimulatorError
from rehearsal.judges.policies.verdict import Verdict, complaints, judge, unknown_conditions
from tests.policies.lines import ACCOUNT, REGION, ROLE, allow, line, role

INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"
DOCUMENT = f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/app-doc"
RUN = allow("RunTheScript", "ssm:SendCommand", DOCUMENT)
NODES = allow(
    "OnNodes",
    ["ssm:SendCommand", "ec2:GetConsoleOutput"],
    f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*",
    Condition={"StringEquals": {"aws:ResourceTag/app": "mine"}},
)
SENT = line(
    "ssm",
    "SendCommand",
    {"DocumentName": "app-doc", "InstanceIds": ["i-1"]},
    {"i-1": {"tags": {"app": "mine"}}},
)


def recorded(directory: Path, policies: Mapping[str, Any], *lines: Mapping[str, Any]) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "policies.json").write_text(json.dumps(policies))
    (directory / "calls.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    return directory


@pytest.mark.judge
def test_what_is_allowed_is_used_and_the_rest_is_in_vain(tmp_path: Path) -> None:
    policies = {ROLE: role("lambda.amazonaws.com", RUN, NODES)}
    person = line("s3", "DeleteBucket", {"Bucket": "mine"}, caller="sam", role=None)
    assert judge([recorded(tmp_path / "one", policies, SENT, SENT, person)]) == Verdict(
        judged=2, denied=[], unused={"VerifyClusterRole": ["OnNodes: ec2:GetConsoleOutput"]}
    )


@pytest.mark.judge
def test_a_call_of_a_function_without_a_role_is_reported(tmp_path: Path) -> None:
    unknown = line("s3", "DeleteBucket", {"Bucket": "mine"}, caller="VerifyCluster", role=None)
    verdict = judge([recorded(tmp_path / "one", {ROLE: role("lambda.amazonaws.com", RUN, NODES)}, SENT, unknown)])
    assert (verdict.judged, verdict.denied) == (1, ["VerifyCluster called s3:DeleteBucket without a role"])


@pytest.mark.judge
@pytest.mark.parametrize(
    ("policies", "named"),
    [
        ({ROLE: role("lambda.amazonaws.com", NODES)}, ("ssm:SendCommand", DOCUMENT)),
        ({ROLE: role("lambda.amazonaws.com", RUN)}, ("ssm:SendCommand", INSTANCE)),
        ({ROLE: role("states.amazonaws.com", RUN, NODES)}, ("sts:AssumeRole", ROLE)),
    ],
    ids=["no document", "no instance", "trusts another"],
)
def test_a_missing_statement_is_reported_with_caller_action_resource_and_why(
    tmp_path: Path, policies: dict[str, Any], named: tuple[str, str]
) -> None:
    (reported,) = judge([recorded(tmp_path / "one", policies, SENT)]).denied
    action, resource = named
    assert f"may not {action} on {resource}, and VerifyCluster called ssm:SendCommand: ImplicitlyDenied" in reported


@pytest.mark.parametrize(
    ("caller", "service"), [("app-verify", "states.amazonaws.com"), ("HealNodes", "lambda.amazonaws.com")]
)
def test_a_message_is_published_by_a_state_machine_or_by_a_function(caller: str, service: str) -> None:
    sent = Call(line("sns", "Publish", {"TopicArn": "arn", "Message": "x"}, caller=caller), REGION)
    assert assumption(sent).principal == service


@pytest.mark.judge
def test_what_lambda_alone_may_do_with_the_role_the_functions_code_may_not(tmp_path: Path) -> None:
    """Lambda makes the network interfaces of a function; the same right does not let its code look at them."""
    by_lambda = {"Null": {"lambda:SourceFunctionArn": "true"}}
    network = allow("Network", [*NETWORK_INTERFACES, "ec2:DescribeInstances"], "*", Condition=by_lambda)
    telemetry = allow("Telemetry", ["logs:CreateLogStream", "logs:PutLogEvents", *TRACES], "*")
    machine = ROLE.replace("VerifyClusterRole", "VerifyRole")
    policies = {
        ROLE: role("lambda.amazonaws.com", network, telemetry),
        machine: role("states.amazonaws.com", allow("Invoke", "lambda:InvokeFunction", "*")),
    }
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:app"
    function = {"arn": arn, "role": ROLE, "log_group": "/aws/lambda/app", "in_vpc": True, "log_key": None}
    invoked = line("lambda", "Invoke", {"FunctionName": "app"}, {"app": function}, caller="app-verify", role=machine)
    looked = line("ec2", "DescribeInstances", {})
    verdict = judge([recorded(tmp_path / "one", policies, invoked, looked)])
    (reported,) = verdict.denied
    assert "may not ec2:DescribeInstances on *, and VerifyCluster called ec2:DescribeInstances" in reported
    assert verdict.unused == {"VerifyClusterRole": ["Network: ec2:DescribeInstances"]}


@pytest.mark.judge
def test_what_another_rehearsal_uses_is_not_in_vain(tmp_path: Path) -> None:
    policies = {ROLE: role("lambda.amazonaws.com", RUN, NODES)}
    looked = line("ec2", "GetConsoleOutput", {"InstanceId": "i-1"}, {"i-1": {"tags": {"app": "mine"}}})
    verdict = judge([recorded(tmp_path / "one", policies, SENT), recorded(tmp_path / "two", policies, looked)])
    assert verdict == Verdict(judged=2)


@pytest.mark.judge
def test_a_call_that_no_one_can_judge_is_not_allowed(tmp_path: Path) -> None:
    unmapped = line("s3", "DeleteBucket", {"Bucket": "mine"})
    incomplete = line("ec2", "GetConsoleOutput", {})
    policies = {ROLE: role("lambda.amazonaws.com", RUN)}
    first, second = judge([recorded(tmp_path / "one", policies, unmapped, incomplete)]).denied
    assert "VerifyCluster called s3:DeleteBucket, which cannot be judged" in first
    assert "VerifyCluster called ec2:GetConsoleOutput, which cannot be judged: UnjudgedError('it came without" in second


@pytest.mark.judge
def test_a_role_that_is_gone_cannot_be_judged(tmp_path: Path) -> None:
    reported = judge([recorded(tmp_path / "one", {}, SENT)]).denied
    assert f"VerifyCluster called ssm:SendCommand with a role that policies.json does not know: {ROLE}" in reported


def test_a_condition_that_no_one_has_thought_of_is_reported() -> None:
    odd = allow("Odd", "s3:GetObject", "*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    assert unknown_conditions({ROLE: role("lambda.amazonaws.com", RUN, odd)}) == [
        "no authorization carries aws:SourceIp, which Odd asks for"
    ]


def test_without_the_simulator_the_verdict_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = recorded(tmp_path / "one", {ROLE: role("lambda.amazonaws.com", RUN)}, SENT)
    verdict = judge([directory], tools=tmp_path)
    assert (verdict.judged, verdict.denied) == (0, [])
    assert "make tools" in verdict.not_judged
    assert issubclass(NoSimulatorError, Exception)


def test_what_is_kept_without_use_needs_a_reason_that_still_holds(tmp_path: Path) -> None:
    kept = tmp_path / "kept.toml"
    kept.write_text('[[kept]]\nroles = ["A"]\nstatement = "S"\nactions = ["x:One", "x:Two"]\nreason = "because"\n')
    assert complaints({"A": ["S: x:Two", "S: x:Three"]}, kept) == [
        "A never uses S: x:Three: take it away, or say why it stays",
        "kept.toml keeps S: x:One of A, which is used, or not granted",
    ]
