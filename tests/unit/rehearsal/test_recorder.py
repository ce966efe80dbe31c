"""calls.jsonl says who called what, and never a secret."""

from pathlib import Path
from typing import Any

from rehearsal.aws.recorder import STRUCK_OUT, Identity, Recorder

FUNCTION = Identity("ResolvePlan", "arn:aws:iam::123456789012:role/benchwright/resolve", "arn:of:execution")


def recorder(path: Path) -> Recorder:
    return Recorder(path / "calls.jsonl", lambda: 1_800_000_000.25)


def test_a_call_is_one_line_with_caller_role_and_outcome(tmp_path: Path) -> None:
    calls = recorder(tmp_path)
    calls.record(
        FUNCTION,
        "dynamodb",
        "PutItem",
        {"TableName": "clusters"},
        "ConditionalCheckFailedException",
        named={"clusters": {"arn": "arn:of:table"}},
    )
    assert list(calls.entries()) == [
        {
            "time": "2027-01-15T08:00:00.250+00:00",
            "execution": "arn:of:execution",
            "caller": "ResolvePlan",
            "role": "arn:aws:iam::123456789012:role/benchwright/resolve",
            "service": "dynamodb",
            "operation": "PutItem",
            "parameters": {"TableName": "clusters"},
            "outcome": "ConditionalCheckFailedException",
            "named": {"clusters": {"arn": "arn:of:table"}},
        }
    ]


def test_a_line_that_is_only_half_written_is_not_read_yet(tmp_path: Path) -> None:
    calls = recorder(tmp_path)
    calls.record(FUNCTION, "ssm", "GetParameter", {"Name": "a\u2028b"}, "ok")
    with calls.path.open("a") as file:
        file.write('{"time": "2027-01-15T08:00:00.250+00:00", "exec')
    assert [entry["parameters"] for entry in calls.entries()] == [{"Name": "a\u2028b"}]


def test_a_call_that_ends_after_the_record_was_closed_is_added_to_the_others(tmp_path: Path) -> None:
    calls = recorder(tmp_path)
    calls.record(FUNCTION, "ssm", "GetParameter", {}, "ok")
    calls.close()
    calls.record(FUNCTION, "ssm", "PutParameter", {}, "ok")
    assert [entry["operation"] for entry in calls.entries()] == ["GetParameter", "PutParameter"]


def test_secret_fields_and_known_secrets_are_struck_out_wherever_they_stand(tmp_path: Path) -> None:
    calls = recorder(tmp_path)
    calls.register_secret("hunter2")
    parameters = {
        "SecretString": "anything",
        "Parameters": [
            {"ParameterKey": "MasterSecret", "ParameterValue": "x"},
            {"ParameterKey": "Cluster", "ParameterValue": "y"},
        ],
        "commands": ["echo hunter2 | chpasswd"],
        "Body": b"hunter2",
    }
    calls.record(FUNCTION, "ssm", "SendCommand", parameters, "ok")
    (entry,) = calls.entries()
    assert entry["parameters"] == {
        "SecretString": "***",
        "Parameters": [
            {"ParameterKey": "MasterSecret", "ParameterValue": "***"},
            {"ParameterKey": "Cluster", "ParameterValue": "y"},
        ],
        "commands": ["echo *** | chpasswd"],
        "Body": "<7 bytes>",
    }


def test_calls_are_counted_by_execution(tmp_path: Path) -> None:
    calls = recorder(tmp_path)
    calls.record(FUNCTION, "s3", "GetObject", {}, "ok")
    calls.record(FUNCTION, "s3", "GetObject", {}, "NoSuchKey")
    calls.record(Identity("cli"), "s3", "GetObject", {}, "ok")
    assert calls.count("arn:of:execution") == {"s3:GetObject": 2}
    assert calls.count() == {"s3:GetObject": 3}


def test_the_administrator_leaves_no_trace(tmp_path: Path) -> None:
    calls = recorder(tmp_path)
    calls.record(Identity("rehearsal", recorded=False), "iam", "CreateRole", {}, "ok")
    assert list(calls.entries()) == []


def test_a_secret_that_holds_another_is_struck_out_as_a_whole(tmp_path: Path) -> None:
    calls = recorder(tmp_path)
    for secret in ("tiger", "tiger-and-lion", "lion", "tiger"):
        calls.register_secret(secret)
    calls.record(FUNCTION, "ssm", "SendCommand", {"Comment": "a tiger-and-lion b tiger"}, "ok")
    (entry,) = calls.entries()
    assert entry["parameters"]["Comment"] == f"a {STRUCK_OUT} b {STRUCK_OUT}"


def test_a_secret_may_come_while_a_call_is_recorded(tmp_path: Path) -> None:
    calls = recorder(tmp_path)

    class Watched(str):
        __slots__ = ()

        def replace(self, old: str, *others: Any) -> str:
            calls.register_secret(f"another after {old}")
            return super().replace(old, *others)

    for secret in ("first", "second"):
        calls.register_secret(secret)
    calls.record(FUNCTION, "ssm", "SendCommand", {"Comment": Watched("first")}, "ok")
    (entry,) = calls.entries()
    assert entry["parameters"]["Comment"] == STRUCK_OUT
