"""The function that heals nodes, on an AWS that says what a test wants."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from benchwright.errors import AwsCallFailed
from tests.unit.benchwright.conversation import Answer, Conversation, refusal
from tests.unit.benchwright.steps import OTHER, handle, record

A, B = "i-0123456789abcdefa", "i-0123456789abcdefb"
GROUP = "wb-blue-nodes-group"


def answers_of(values: Mapping[str, float]) -> Answer:
    """What CloudWatch answers where each node reports this value in every minute."""

    def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
        begin: datetime = asked["StartTime"]
        results = []
        for query in asked["MetricDataQueries"]:
            dimensions = {each["Name"]: each["Value"] for each in query["MetricStat"]["Metric"]["Dimensions"]}
            minutes = range(20) if dimensions["instance"] in values else range(0)
            results.append(
                {
                    "Id": query["Id"],
                    "Timestamps": [begin + timedelta(minutes=minute) for minute in minutes],
                    "Values": [values[dimensions["instance"]] for _ in minutes],
                }
            )
        return {"MetricDataResults": results}

    return answer


@pytest.fixture
def cluster(aws: Conversation) -> Conversation:
    """Two nodes in service, of which B does not answer; no one works on the cluster."""
    nodes = [{"InstanceId": each, "LifecycleState": "InService", "HealthStatus": "Healthy"} for each in (A, B)]
    group = {"AutoScalingGroupName": GROUP, "Instances": nodes, "DesiredCapacity": 2}
    aws.answers = {
        "Scan": {"Items": [{"cluster": {"S": "blue"}}]},
        "DescribeAutoScalingGroups": {"AutoScalingGroups": [group]},
        "GetMetricData": answers_of({A: 1, B: 0}),
        "DescribeInstanceRefreshes": {"InstanceRefreshes": []},
        "GetItem": record(holder=""),
        "SetInstanceHealth": {},
        "Publish": {"MessageId": "m"},
    }
    return aws


def heal() -> dict[str, Any]:
    return handle("heal_nodes")


def test_a_node_that_does_not_answer_is_replaced_by_its_group_and_people_read_it(cluster: Conversation) -> None:
    assert heal() == {"done": True, "replaced": {"blue": B}}
    (health, published) = cluster.writes
    assert health == (
        "SetInstanceHealth",
        {"InstanceId": B, "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": True},
    )
    assert (published[0], published[1]["Subject"]) == ("Publish", f"Benchwright: blue: node {B} is replaced")


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param({"GetMetricData": answers_of({A: 1, B: 1})}, id="all answer"),
        pytest.param({"GetMetricData": answers_of({})}, id="none has been configured"),
        pytest.param({"GetMetricData": answers_of({A: 0, B: 0})}, id="none answers, as five minutes ago"),
        pytest.param({"GetItem": record(holder=OTHER), "DescribeExecution": {"status": "RUNNING"}}, id="locked"),
        pytest.param(
            {"DescribeInstanceRefreshes": {"InstanceRefreshes": [{"InstanceRefreshId": "r", "Status": "InProgress"}]}},
            id="an instance refresh runs",
        ),
        pytest.param({"DescribeAutoScalingGroups": {"AutoScalingGroups": []}}, id="no nodes"),
        pytest.param({"Scan": {"Items": []}}, id="no cluster"),
    ],
)
def test_else_none_is_replaced(cluster: Conversation, shown: Mapping[str, Answer]) -> None:
    cluster.answers |= shown
    assert heal() == {"done": True, "replaced": {}}
    assert cluster.writes == []


def test_a_holder_that_no_longer_runs_keeps_no_node_from_being_replaced(cluster: Conversation) -> None:
    cluster.answers |= {"GetItem": record(holder=OTHER), "DescribeExecution": {"status": "ABORTED"}}
    assert heal()["replaced"] == {"blue": B}


def test_the_record_is_read_last_so_that_an_execution_that_has_just_begun_counts(cluster: Conversation) -> None:
    heal()
    asked = [name for name, _ in cluster.calls]
    assert asked[-3:] == ["GetItem", "SetInstanceHealth", "Publish"]


CALLS = ("DescribeAutoScalingGroups", "GetMetricData", "DescribeInstanceRefreshes", "GetItem", "SetInstanceHealth")


@pytest.mark.parametrize("answer", [refusal("AccessDenied"), EndpointConnectionError(endpoint_url="https://aws")])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_replaces_nothing_and_hinders_no_other_cluster(
    cluster: Conversation, call: str, answer: Any
) -> None:
    """The first cluster's calls fail; those of the second do not."""
    failed: list[str] = []
    original = cluster.answers[call]

    def once(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        if not failed:
            failed.append(call)
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)
        assert not isinstance(original, Exception)
        return original(asked) if callable(original) else original

    cluster.answers |= {"Scan": {"Items": [{"cluster": {"S": name}} for name in ("blue", "green")]}, call: once}
    with pytest.raises(AwsCallFailed, match=r"^Not every cluster could be healed:\nblue: ") as caught:
        heal()
    assert "green" not in str(caught.value)
    replaced = [name for name, _ in cluster.writes if name == "SetInstanceHealth"]
    assert len(replaced) == (2 if call == "SetInstanceHealth" else 1)
    assert len(cluster.asked("Publish")) == 1


def test_a_message_that_cannot_be_sent_is_an_error_of_the_run(cluster: Conversation) -> None:
    cluster.answers["Publish"] = refusal("AuthorizationError")
    with pytest.raises(
        AwsCallFailed, match="blue: An error occurred \\(AuthorizationError\\) when calling the Publish"
    ):
        heal()
    assert [name for name, _ in cluster.writes] == ["SetInstanceHealth", "Publish"]


def test_the_log_says_what_was_decided_and_why(cluster: Conversation, caplog: pytest.LogCaptureFixture) -> None:
    cluster.answers |= {"GetItem": record(holder=OTHER), "DescribeExecution": {"status": "RUNNING"}}
    heal()
    (line,) = [vars(each) for each in caplog.records if each.message == "Workbench does not answer"]
    assert (line["cluster"], line["action"], line["silent"], line["reason"]) == (
        "blue",
        "wait",
        (B,),
        f"the execution {OTHER} runs",
    )
