"""The state machines as graphs: what no run of them can show."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchwright import errors
from benchwright.failure.console_links import FUNCTIONS
from benchwright.report.diagram import branches_of
from benchwright.waits import CREATION, WAITS, WHILE_DISTRIBUTING, wait_for_build
from functions.resolve_plan.app import MOST_CLUSTERS
from tests.templates.templates import APPLICATION, resources
from tests.workflow.workflow import STATEMACHINE, definition_of

MACHINES = sorted(path.name.removesuffix(".asl.yaml") for path in STATEMACHINE.glob("*.asl.yaml"))
ROOT = Path(__file__).parents[2]
LIMIT = re.compile(r"waited >= (\d+)")
OURS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.BenchwrightError) and value is not errors.BenchwrightError
}

# What befalls a call of Lambda, not what the function says: https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
INVOCATION = {
    "ErrorEquals": [
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Lambda.CodeArtifactUserPendingException",
        "Lambda.EC2ThrottledException",
        "Lambda.SubnetIPAddressLimitReachedException",
        "Sandbox.Timedout",
        "Runtime.ExitError",
        "States.Timeout",  # every step can be asked again: it looks first
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 6,
    "BackoffRate": 2,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}
TRANSIENT = {
    "ErrorEquals": ["TransientError"],
    "IntervalSeconds": 10,
    "MaxAttempts": 5,
    "BackoffRate": 2,
    "MaxDelaySeconds": 120,
    "JitterStrategy": "FULL",
}
AT_REST = {
    "ErrorEquals": [
        "Lambda.ENINotReadyException",
        "Lambda.ResourceConflictException",
        "Lambda.ResourceNotReadyException",
    ],
    "IntervalSeconds": 20,
    "MaxAttempts": 15,
    "BackoffRate": 1,
}
PUBLISHING = {
    "ErrorEquals": ["States.TaskFailed"],
    "IntervalSeconds": 2,
    "MaxAttempts": 3,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}
# The cluster was verified before: what could not be tidied up in time is a warning, and a lost message is none.
FORGIVEN = [
    ("Retire old images", ["States.Timeout", "Sandbox.Timedout"]),
    ("Describe success", ["States.ALL"]),
    ("Notify of success", ["States.ALL"]),
    ("Write report", ["States.ALL"]),
    ("Report nothing to do", ["States.ALL"]),
    ("Write preview report", ["States.ALL"]),
]
OTHER_RETRIES = {
    "Create database": [AT_REST, INVOCATION, TRANSIENT],  # the one function that lives in a network
    "Notify subscribers": [PUBLISHING],
    "Notify of success": [PUBLISHING],
}

EVENTS_OF_A_LOOK = 9  # of its task, its choice and its wait, about


def graphs(machine: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each graph of a machine: the outer one, one for each branch, and what a Map does with each item, by its name."""

    def walk(name: str, graph: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        yield name, graph
        for state_name, state in graph["States"].items():
            for branch in branches_of(state):
                yield from walk(f"{name} / {state_name}", branch)

    return walk(machine, definition_of(machine))


def states(machine: str) -> list[tuple[str, dict[str, Any]]]:
    return [item for _, graph in graphs(machine) for item in graph["States"].items()]


def limits(machine: str) -> dict[str, int]:
    """The seconds that each loop of a machine waits before it gives up, by the state that it repeats."""
    return {
        graph["States"][state["Default"]]["Next"]: int(found[1])
        for _, graph in graphs(machine)
        for state in graph["States"].values()
        for choice in state.get("Choices", [])
        if (found := LIMIT.search(choice["Condition"]))
    }


def most_looks(step: str, seconds: int) -> int:
    """How often a step looks that is never done."""
    if step == "Build image":
        return max(looks_at_build(built, seconds - built) for built in range(0, seconds + 1, 60))
    every = [WAITS[step], CREATION] if step == "Deploy foundation" else [WAITS[step]]
    return max(looks_of(waits.after, seconds) for waits in every)


def looks_at_build(building: int, distributing: int) -> int:
    """How often a build is looked at that takes so many seconds until its last state, and in it."""
    return looks_of(lambda _, waited: wait_for_build("BUILDING", waited), building) + looks_of(
        WHILE_DISTRIBUTING.after, distributing
    )


def looks_of(after: Callable[[int, int], int], seconds: int) -> int:
    """How often is looked in so many seconds. after: the next wait, from the one before it and all waits before it."""
    looks, waited, wait = 1, 0, 0
    while waited < seconds:
        wait = after(wait, waited)
        looks, waited = looks + 1, waited + wait
    return looks


def targets(state: dict[str, Any]) -> set[str]:
    found = {state[key] for key in ("Next", "Default") if key in state}
    return found | {item["Next"] for key in ("Choices", "Catch") for item in state.get(key, [])}


@pytest.mark.parametrize("machine", MACHINES)
def test_every_target_exists_and_every_state_is_reachable(machine: str) -> None:
    for name, graph in graphs(machine):
        known = set(graph["States"])
        seen: set[str] = set()
        todo = {graph["StartAt"]}
        while todo:
            state = todo.pop()
            assert state in known, f"{name}: {state} does not exist"
            seen.add(state)
            todo |= targets(graph["States"][state]) - seen
        assert known - seen == set(), f"{name}: unreachable"


@pytest.mark.parametrize("machine", MACHINES)
def test_the_console_says_how_to_start_it_and_what_each_state_is_for(machine: str) -> None:
    example = '{"cluster": "its name"}' if machine == "destroy" else "{}"
    assert f"Start it with {example}" in definition_of(machine)["Comment"]
    plain = {"Wait", "Succeed"}  # a wait is named for what it waits for; inside a branch, the end for what is there
    for name, state in states(machine):
        assert re.fullmatch(r"[A-Z][a-z]+( [a-z]+)+\??", name), name
        assert (state["Type"] == "Choice") == name.endswith("?"), name
        comment = state.get("Comment", "")
        assert comment.endswith((".", "?")) or (not comment and state["Type"] in plain), name


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_goes_on_or_ends(machine: str) -> None:
    for name, state in states(machine):
        ends = state["Type"] in ("Succeed", "Fail") or state.get("End") is True
        assert ends != bool(targets(state)), name


@pytest.mark.parametrize("machine", MACHINES)
def test_every_task_is_tried_again_alike(machine: str) -> None:
    tried = {name: state["Retry"] for name, state in states(machine) if state["Type"] == "Task"}
    assert tried == {name: OTHER_RETRIES.get(name, [INVOCATION, TRANSIENT]) for name in tried}


@pytest.mark.parametrize("machine", MACHINES)
def test_every_task_has_timeout_and_catch(machine: str) -> None:
    for name, state in states(machine):
        if state["Type"] == "Task":
            assert state.get("TimeoutSeconds"), name
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        if state["Type"] in ("Parallel", "Map"):
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name


@pytest.mark.parametrize("machine", MACHINES)
def test_the_timeout_of_a_task_is_its_functions_timeout_and_half_a_minute(machine: str) -> None:
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader=_loader())
    default = template["Globals"]["Function"]["Timeout"]
    for name, state in states(machine):
        function = str(state.get("Arguments", {}).get("FunctionName", "")).rsplit(":", 1)[-1]
        if function:
            timeout = template["Resources"][function]["Properties"].get("Timeout", default)
            assert state["TimeoutSeconds"] == timeout + 30, name


@pytest.mark.parametrize("machine", MACHINES)
def test_every_loop_has_a_bound(machine: str) -> None:
    for name, graph in graphs(machine):
        for state_name, state in graph["States"].items():
            if state["Type"] != "Wait":
                continue
            choices = [item for item in graph["States"].values() if item.get("Default") == state_name]
            assert choices, f"{name}: {state_name} is reached otherwise than by the default of a choice"
            for choice in choices:
                conditions = " ".join(item["Condition"] for item in choice["Choices"])
                assert LIMIT.search(conditions), f"{name}: {state_name}"


@pytest.mark.parametrize("machine", MACHINES)
def test_every_failure_ends_in_fail(machine: str) -> None:
    """The failure of an item of a Map is collected: it ends in the verdict that the cluster failed."""
    for name, graph in graphs(machine):
        failed = {"Pass"} if name == "verify / Verify clusters" else {"Fail"}
        for state_name, state in graph["States"].items():
            for catch in state.get("Catch", []):
                if (state_name, catch["ErrorEquals"]) in FORGIVEN:
                    continue
                todo, seen = {catch["Next"]}, set[str]()
                while todo:
                    current = todo.pop()
                    seen.add(current)
                    todo |= targets(graph["States"][current]) - seen
                ends = [graph["States"][item] for item in seen if not targets(graph["States"][item])]
                assert {end["Type"] for end in ends} == failed, f"{name}: {state_name}"
                assert all(end["Type"] == "Fail" or end["Output"]["status"] == "failed" for end in ends)


@pytest.mark.parametrize("machine", MACHINES)
def test_no_variable_of_a_branch_has_the_name_of_one_outside(machine: str) -> None:
    """docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html, "Variable scope"."""
    (_, outer), *inner = graphs(machine)

    def assigned(graph: dict[str, Any]) -> set[str]:
        rules = [
            rule for state in graph["States"].values() for key in ("Catch", "Choices") for rule in state.get(key, [])
        ]
        return {name for item in (*graph["States"].values(), *rules) for name in item.get("Assign", {})}

    assert assigned(outer)
    assert [name for name, graph in inner if assigned(outer) & assigned(graph)] == []


@pytest.mark.parametrize("machine", MACHINES)
def test_waits_fit_in_the_machines_timeout_and_its_history(machine: str) -> None:
    """A Standard execution's history holds 25,000 events; a look writes some, and other states of an item 60.

    A verification looks as often again under the lock, and an execution has room for so many clusters.
    """
    looks = sum(most_looks(step, seconds) for step, seconds in limits(machine).items()) * EVENTS_OF_A_LOOK
    assert (looks if machine != "verify" else (2 * looks + 60) * MOST_CLUSTERS) < 25_000
    assert definition_of(machine)["TimeoutSeconds"]


@pytest.mark.parametrize("machine", MACHINES)
def test_errors_of_the_machine_are_errors_of_the_code(machine: str) -> None:
    named = {
        name
        for _, state in states(machine)
        for clause in (*state.get("Retry", []), *state.get("Catch", []))
        for name in clause["ErrorEquals"]
    }
    named |= set(re.findall(r"error: (\w+)$", (STATEMACHINE / f"{machine}.asl.yaml").read_text(), re.MULTILINE))
    ours = {name for name in named if not name.startswith(("States.", "Lambda.", "Sandbox.", "Runtime."))}
    assert ours <= OURS
    assert "TransientError" in ours


@pytest.mark.judge
def test_wrapped_in_a_plain_template_the_machines_pass_cfn_lint(tmp_path: Path) -> None:
    """cfn-lint looks into ASL only in the plain resource type; no false alarm is known for what we write."""
    from cfnlint.api import lint_file

    resources = {
        machine.title(): {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"RoleArn": "arn:aws:iam::123456789012:role/states", "Definition": definition_of(machine)},
        }
        for machine in MACHINES
    }
    template = tmp_path / "machines.json"
    template.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    assert [str(match) for match in lint_file(template)] == []


def _loader() -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms as their values."""

    def plain(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return loader.construct_scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node)
        assert isinstance(node, yaml.MappingNode)
        return loader.construct_mapping(node)

    Loader.add_multi_constructor("!", plain)
    return Loader


@pytest.mark.parametrize("machine", MACHINES)
def test_the_log_of_every_step_that_may_fail_is_known(machine: str) -> None:
    """The names of log groups are those of template.yaml."""
    groups = {
        name.removesuffix("LogGroup"): resource["Properties"]["LogGroupName"]["Fn::Sub"]
        for name, resource in resources(APPLICATION, "AWS::Logs::LogGroup").items()
    }
    reported = set(re.findall(r"'step': '([A-Z][a-z ]+)'", str(definition_of(machine))))
    logs = {
        name: groups[state["Arguments"]["FunctionName"].rpartition(":")[2]]
        for name, state in states(machine)
        if name in reported and state["Type"] == "Task"
    }
    assert logs.keys() == reported - {"Prepare image and foundation", "Verify clusters"}
    assert {name: f"/aws/lambda/${{AWS::StackName}}-{FUNCTIONS.get(name)}" for name in logs} == logs
