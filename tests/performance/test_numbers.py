"""Goals, the numbers of the last release, and those that reports of rehearsals give."""

import dataclasses
from typing import Any

import pytest

from rehearsal.application import BUILT
from rehearsal.aws.services.imagebuilder.build import TESTING_SECONDS
from tests.performance import cold_starts, deployments
from tests.performance.deployments import Rehearsed
from tests.performance.numbers import Number, change, document, last_release, shown, verdict
from tests.performance.test_critical_path import ALL, entered

AT_MOST = Number("calls", 310, "", "rehearsal", 320)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (AT_MOST, "met"),
        (dataclasses.replace(AT_MOST, value=321), "missed"),
        (dataclasses.replace(AT_MOST, at_least=True), "missed"),
        (dataclasses.replace(AT_MOST, value=320, at_least=True), "met"),
        (dataclasses.replace(AT_MOST, value=float("nan")), "missed"),
        (dataclasses.replace(AT_MOST, goal=None), ""),
    ],
)
def test_a_goal_is_met_or_missed(number: Number, said: str) -> None:
    assert verdict(number) == said


@pytest.mark.parametrize(
    ("value", "text"),
    [(21978, "21,978"), (2190.4, "2,190"), (242.0, "242"), (175.04, "175.0"), (1.853, "1.85"), (0.0351, "0.0351")],
)
def test_a_value_is_shown_with_as_many_digits_as_it_is_worth(value: float, text: str) -> None:
    assert shown(value) == text


def test_a_number_is_compared_with_that_of_the_last_release() -> None:
    changes = [change(AT_MOST, {"calls": before}) for before in (310, 620, 155)]
    assert [*changes, change(AT_MOST, {})] == ["+0 %", "-50 %", "+100 %", ""]


def test_the_file_of_a_release_says_the_same_as_the_table() -> None:
    said = {"value": 310, "unit": "", "goal": "≤ 320", "verdict": "met", "source": "rehearsal"}
    assert document([AT_MOST], "1.0.0") == {"release": "1.0.0", "numbers": {"calls": said}}
    assert all(set(number) == set(said) for number in last_release()["numbers"].values())


def report() -> dict[str, Any]:
    """Of two clusters that take equally long: AWS is done 8.5 s before the machine goes on."""
    states = [
        *entered("Build image", 1, 1002),
        *entered("Deploy nodes", 1002, 1008),
        *entered("Configure nodes", 1051, 1091, 1097),
        *entered("Verify cluster", 1097, 1106.5),
    ]
    first = {"started": entered("", 0)[0]["entered"], "makespan_s": 1110, "states": states, "transitions": 200}
    operations = [dataclasses.asdict(each) for each in ALL]
    return {"executions": [first, first], "operations": operations}


def test_a_makespan_is_awss_work_what_the_machine_waited_and_its_own() -> None:
    found = {number.name.removeprefix("first cluster: "): number.value for number in deployments.of_clusters(report())}
    serial = 1000 + 726 + 91 + TESTING_SECONDS
    assert found["serial path by hand"] == serial
    assert found["serial path / makespan"] == serial / 1110
    assert found["critical path of AWS's work"] == 1091
    assert found["AWS was done, and the machine still waited"] == pytest.approx(1 + 2 + 1 + 4.5)
    assert found["functions and transitions on the critical path"] == pytest.approx(1110 - 1091 - 8.5)


def test_a_look_has_the_calls_that_are_made_while_its_state_is_entered() -> None:
    refresh = "Auto Scaling: instance refresh 1 is InProgress"
    looks = [
        {**entered("Deploy nodes", begin)[0], "exited": entered("", begin + 1)[0]["entered"], "waiting_for": said}
        for begin, said in ((10, "a change set"), (20, refresh), (30, refresh))
    ]
    moments = [10.1, 10.2, 10.3, 10.4, 20.1, 30.1, 30.2, 30.3, 31.5]
    calls = [{"caller": "DeployStack", "time": entered("", each)[0]["entered"]} for each in moments]
    calls.append({"caller": "BuildImage", "time": entered("", 30.5)[0]["entered"]})
    (number,) = deployments.of_refresh(Rehearsed({"executions": [{"states": looks}]}, calls, 1))
    assert number.value == 3


def test_calls_are_those_that_functions_make() -> None:
    assert deployments.calls({"aws_calls": {"lambda:Invoke": 80, "ec2:RunInstances": 2, "s3:PutObject": 3}}) == 5


def test_every_function_is_imported_from_its_code_and_its_layers() -> None:
    names = {
        name: [path.relative_to(BUILT).parts[0] for path in cold_starts.folders(name)] for name in cold_starts.FUNCTIONS
    }
    assert names["BuildImage"] == ["BuildImage", "BenchwrightLayer"]
    assert names["CreateDatabase"] == ["CreateDatabase", "BenchwrightLayer", "Psycopg2Layer"]
    assert all(found[:2] == [name, "BenchwrightLayer"] for name, found in names.items())


def test_an_import_that_fails_is_no_measurement() -> None:
    with cold_starts.boto3() as folder:
        assert cold_starts.cpu_seconds("import boto3", "ResolvePlan", folder) > 0
    with pytest.raises(RuntimeError, match="`import boto3` ended with 1"):
        cold_starts.cpu_seconds("import boto3", "ResolvePlan")  # the layer does without
    with pytest.raises(RuntimeError, match="ResolvePlan: `import nothing_at_all` ended with 1"):
        cold_starts.cpu_seconds("import nothing_at_all", "ResolvePlan")
