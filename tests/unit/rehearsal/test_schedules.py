"""The grammar of `--schedule`, the schedules of an account, and the order in which executions start."""

import json
from pathlib import Path
from typing import Any

import pytest

from rehearsal.__main__ import options
from rehearsal.application import ROOT, Application
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.cloudformation.templates import load
from rehearsal.aws.services.schedules import (
    NAMES,
    NoSuchScheduleError,
    Order,
    Schedule,
    ScheduleGrammarError,
    Schedules,
)
from rehearsal.starts import Start, in_order

DEPLOY, VERIFY = (f"arn:aws:states:us-east-1:123456789012:stateMachine:app-{kind}" for kind in ("deploy", "verify"))
APPLICATION = Application("app", {"DeployStateMachineArn": DEPLOY, "VerifyStateMachineArn": VERIFY}, {})
NIGHTLY = Schedule(
    "nightly-verify", VERIFY, '{"cluster": "c"}', "arn:aws:iam::123456789012:role/app/nightly-verify", enabled=True
)
MONTHLY = Schedule(
    "monthly-rebuild", DEPLOY, '{"again": 1}', "arn:aws:iam::123456789012:role/app/monthly-rebuild", enabled=False
)


@pytest.fixture
def schedules(aws: LocalAws) -> Schedules:
    """NIGHTLY and MONTHLY as the API of the account knows them, and someone else's."""
    for prefix, schedule in (("app-", NIGHTLY), ("app-", MONTHLY), ("apple-", NIGHTLY)):
        aws.client("scheduler").create_schedule(
            Name=f"{prefix}{schedule.name}",
            ScheduleExpression="cron(0 3 * * ? *)",
            FlexibleTimeWindow={"Mode": "OFF"},
            State="ENABLED" if schedule.enabled else "DISABLED",
            Target={"Arn": schedule.machine, "RoleArn": schedule.role, "Input": schedule.input},
        )
    return Schedules(aws.client, "app")


@pytest.mark.parametrize(
    ("spec", "order"),
    [
        ("nightly-verify", Order("nightly-verify", "after")),
        ("nightly-verify:before", Order("nightly-verify", "before")),
        ("monthly-rebuild:during", Order("monthly-rebuild", "during")),
        ("monthly-rebuild:after", Order("monthly-rebuild", "after")),
    ],
)
def test_a_spec_reads_as_its_order(spec: str, order: Order) -> None:
    assert Order.parse(spec) == order


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (":after", "--schedule ':after' names no schedule, such as nightly-verify"),
        ("x:", "--schedule 'x:': '' is none of before, during, after"),
        ("weekly", "--schedule 'weekly': 'weekly' is none of nightly-verify, monthly-rebuild, heal-nodes"),
        ("x:soon", "--schedule 'x:soon': 'soon' is none of before, during, after"),
    ],
)
def test_a_wrong_spec_is_refused_with_what_is_right(spec: str, sentence: str) -> None:
    with pytest.raises(ScheduleGrammarError) as refused:
        Order.parse(spec)
    assert str(refused.value) == sentence


def test_a_schedule_without_a_deployment_is_a_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options(["--state-machine", "verify", "--schedule", "monthly-rebuild"])
    assert (ended.value.code, "order one with --then" in capsys.readouterr().err) == (2, True)


def test_schedules_are_what_the_account_says(schedules: Schedules) -> None:
    assert schedules.named("nightly-verify") == NIGHTLY
    assert schedules.starting(DEPLOY) == MONTHLY
    with pytest.raises(NoSuchScheduleError) as refused:
        schedules.named("weekly")
    assert str(refused.value) == (
        "There must be one schedule named weekly; the account has monthly-rebuild, nightly-verify."
    )


def person(machine: str, content: Any) -> Start:
    return Start(machine, json.dumps(content))


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [
        ([], [person(DEPLOY, {})]),
        (["--input", "three"], [person(DEPLOY, 3)]),
        (["--state-machine", "verify", "--input", "three"], [person(VERIFY, 3)]),
        (["--state-machine", "verify"], [Start(VERIFY, NIGHTLY.input, NIGHTLY, ordered=True)]),
        (
            [
                *("--schedule", "nightly-verify:before", "--schedule", "monthly-rebuild:before"),
                *("--schedule", "nightly-verify:during", "--schedule", "monthly-rebuild", "--then", "three"),
            ],
            [
                Start.of(NIGHTLY),
                Start.of(MONTHLY),
                Start(DEPLOY, "{}", during=(Start.of(NIGHTLY),)),
                Start.of(MONTHLY),
                person(DEPLOY, 3),
            ],
        ),
        (
            ["--state-machine", "verify", "--schedule", "monthly-rebuild:during", "--then", "three", "--then", "three"],
            [
                Start(VERIFY, NIGHTLY.input, NIGHTLY, ordered=True),
                Start(DEPLOY, "3", during=(Start.of(MONTHLY),)),
                person(DEPLOY, 3),
            ],
        ),
    ],
    ids=["nothing", "input", "verify with input", "verify", "schedules", "verify and schedules"],
)
def test_executions_start_in_the_order_that_the_options_say(
    schedules: Schedules,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    starts: list[Start],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("three").write_text("3")
    assert in_order(options(arguments), APPLICATION, schedules) == starts


HEAL = Schedule(
    "heal-nodes",
    "arn:aws:lambda:us-east-1:123456789012:function:app-HealNodes-1",
    "{}",
    "arn:aws:iam::123456789012:role/app/heal",
    enabled=True,
)


def test_a_schedule_of_a_function_calls_it_under_its_role_and_waits_for_no_answer() -> None:
    asked: list[tuple[Any, ...]] = []

    class Functions:
        def invoke(self, **parameters: Any) -> dict[str, Any]:
            asked.append(tuple(parameters.items()))
            return {"StatusCode": 202}

    def client(service: str, role: str, caller: str, *, attempts: int) -> Functions:
        asked.append((service, role, caller, attempts))
        return Functions()

    assert HEAL.start(client) == ""
    assert asked == [
        ("lambda", HEAL.role, "schedule heal-nodes", 1),
        (("FunctionName", HEAL.machine), ("InvocationType", "Event"), ("Payload", "{}")),
    ]
    assert not NIGHTLY.calls_a_function


def test_a_schedule_that_calls_a_function_is_ordered_like_another(aws: LocalAws) -> None:
    aws.client("scheduler").create_schedule(
        Name=f"app-{HEAL.name}",
        ScheduleExpression="rate(5 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": HEAL.machine, "RoleArn": HEAL.role, "Input": HEAL.input},
    )
    started = in_order(options(["--schedule", "heal-nodes"]), APPLICATION, Schedules(aws.client, "app"))
    assert [start.by for start in started] == ["", "heal-nodes, by its schedule"]


def test_the_schedules_that_can_be_ordered_are_those_of_the_template() -> None:
    resources = load((ROOT / "template.yaml").read_text())["Resources"].values()
    events = [event for each in resources for event in each.get("Properties", {}).get("Events", {}).values()]
    names = [event["Properties"]["Name"]["Fn::Sub"] for event in events if event["Type"] == "ScheduleV2"]
    assert sorted(names) == sorted(f"${{AWS::StackName}}-{name}" for name in NAMES)


def test_an_unknown_schedule_is_refused_before_anything_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options(["--schedule", "nightly"])
    assert (ended.value.code, "'nightly' is none of nightly-verify" in capsys.readouterr().err) == (2, True)
