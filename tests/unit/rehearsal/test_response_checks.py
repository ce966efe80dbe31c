"""Answers before botocore's models: whatever is not in their form is no answer of AWS."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.cloudwatch.models import cloudwatch_backends

from rehearsal.aws.calls import Call
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws

pytestmark = pytest.mark.judge

GIVEN = {"stateMachineArn": "arn", "name": "deploy", "definition": "{}", "roleArn": "arn", "type": "STANDARD"}
GOOD = GIVEN | {"creationDate": 1_700_000_000}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    local = LocalAws(Clock(7200), tmp_path_factory.mktemp("aws"), modules=())
    local.start()
    yield local
    local.stop()


def describe(aws: LocalAws, answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a client gets of DescribeStateMachine when we answer so."""
    aws.server.add("stepfunctions", "DescribeStateMachine", lambda _: answer)
    client = aws.client("stepfunctions", attempts=1)
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:deploy"
    described: dict[str, Any] = client.describe_state_machine(stateMachineArn=arn)
    return described


def test_an_answer_in_the_form_of_its_model_arrives(aws: LocalAws) -> None:
    assert describe(aws, GOOD)["name"] == "deploy"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (GIVEN, "creationDate: it is missing"),
        (GOOD | {"type": "QUICK"}, "type: 'QUICK' is none of STANDARD, EXPRESS"),
        (GOOD | {"loggingConfiguration": {"level": "LOUD"}}, "loggingConfiguration.level: 'LOUD' is none of ALL"),
    ],
)
def test_an_answer_of_ours_in_another_form_is_none(
    aws: LocalAws, caplog: pytest.LogCaptureFixture, answer: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ClientError, match="InternalFailure") as refused:
        describe(aws, answer)
    verdict = f"stepfunctions:DescribeStateMachine AWS would not: {problem}"
    assert verdict in str(refused.value)
    assert [verdict in record.message for record in caplog.records if record.levelname == "ERROR"] == [True]


def test_an_answer_of_moto_in_another_form_is_none(aws: LocalAws) -> None:
    watch = aws.client("cloudwatch", attempts=1)
    alarm = {"MetricName": "m", "Namespace": "n", "Period": 60, "EvaluationPeriods": 1, "Statistic": "Sum"}
    watch.put_metric_alarm(AlarmName="a", Threshold=1, ComparisonOperator="GreaterThanThreshold", **alarm)
    assert [alarm["AlarmName"] for alarm in watch.describe_alarms()["MetricAlarms"]] == ["a"]
    cloudwatch_backends[aws.account][aws.region].alarms["a"].state_value = "BUSY"
    problem = (
        r"DescribeAlarms AWS would not: MetricAlarms\[\]\.StateValue: 'BUSY' is none of OK, ALARM, INSUFFICIENT_DATA"
    )
    with pytest.raises(ClientError, match=problem) as refused:
        watch.describe_alarms()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_an_event_has_a_status_of_a_resource_or_of_a_stack_and_no_other(aws: LocalAws) -> None:
    client = aws.client("cloudformation", attempts=1)
    shapes = (client.meta.service_model.shape_for(name) for name in ("ResourceStatus", "StackStatus"))
    statuses = {status for shape in shapes for status in shape.enum}

    def events(call: Call) -> dict[str, Any]:
        wanted = statuses if call["StackName"] == "known" else {"PAUSE_IN_PROGRESS"}
        common = {"StackId": "id", "StackName": call["StackName"], "Timestamp": 1_700_000_000}
        return {"StackEvents": [{**common, "EventId": status, "ResourceStatus": status} for status in wanted]}

    aws.server.add("cloudformation", "DescribeStackEvents", events)
    reported = client.describe_stack_events(StackName="known")["StackEvents"]
    assert {event["ResourceStatus"] for event in reported} == statuses
    with pytest.raises(ClientError, match="ResourceStatus: 'PAUSE_IN_PROGRESS' is none of CREATE_IN_PROGRESS"):
        client.describe_stack_events(StackName="unknown")


def test_a_refusal_arrives_as_it_is(aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="NotFound"):
        aws.client("sns", attempts=1).publish(Message="lost", TopicArn="arn:aws:sns:us-east-1:123456789012:no")
