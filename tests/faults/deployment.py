"""Deployments of one case: with a fault, then again without, and what became of them."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from rehearsal.initial_account import ZONE_ID, ZONE_NAME
from rehearsal.own_failures import Failures
from rehearsal.run import execution_of, live_history
from tests.faults import healing, world
from tests.faults.account import Account
from tests.faults.ended import Ended
from tests.faults.injection import Case, Deployment, Injection, OnEntering, Place, kill_in
from tests.faults.world import World

PATIENCE: Final = 150
"""Wall seconds that one execution may take."""
SETTLING_SECONDS: Final = 120
"""AWS seconds in which what goes on in the background comes to its end: nodes that leave, associations that run."""
THIEF: Final = "arn:aws:states:us-east-1:123456789012:execution:benchwright-deploy:another"
BEFORE: Final[dict[Deployment, tuple[Any, ...]]] = {
    "first": (),
    "change": ({}, {"r_versions": ["4.5.1"]}),
    "new address": ({},),
    "failing": (),
    "healing": ({},),
    "destroy": ({"access": {"hostname": f"workbench.{ZONE_NAME}", "hosted_zone_id": ZONE_ID}},),
    "data deletion": ({"cluster": "another"}, {}),
}
"""The inputs of the deployments that come before the one with the fault."""
INPUT: Final[dict[Deployment, Any]] = {
    "first": {},
    "change": {"r_versions": ["4.4.3"], "database": {"max_capacity": 9}},
    "new address": {"access": {"hostname": f"workbench.{ZONE_NAME}", "hosted_zone_id": ZONE_ID}},
    "failing": {},
    "healing": {},
    "destroy": {"cluster": "workbench"},
    "data deletion": {"cluster": "workbench", "delete_data": "workbench"},
}
GONE: Final = "there is no such cluster"
"""What a destroy says of a cluster whose record an earlier one, which was stopped at its very end, deleted."""
FAILS: Final = Case("denied", Place("BuildImage", "imagebuilder:CreateImage"))
"""Why the deployment `failing` fails; another fault befalls it then."""
PUT_OFF: Final = "The next deployment tries again."
FITTING: Final[Mapping[str, frozenset[str]]] = {
    "cloudformation": frozenset({"StackFailed", "AwsCallFailed"}),  # the latter where it cannot read a template
    "node": frozenset({"NodeConfigurationFailed", "NodesNotReady", "VerificationFailed"}),
}
"""What a deployment may fail with when a call of this caller goes wrong."""
CALLS: Final = frozenset({"AwsCallFailed", "TransientError"})
"""And of any other: of a function, or of the state machine."""
STOPPED: Final = ("aborted", "one of two")
"""The kinds in which an execution is stopped by hand."""
LOCKED: Final = "Resolve plan"
"""The first state that needs the lock."""


@dataclass
class Outcome:
    """What one case showed. `problems` is empty where every deployment ended as it should."""

    case: Case
    first: Ended
    second: Ended | None = None
    happened: bool = True
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    states: list[tuple[str, bool]] = field(default_factory=list)
    """Each state that the first execution entered, and whether it is a task."""
    before: World | None = None
    """The account after the first execution."""
    world: World | None = None
    expected: World | None = None
    """What the world should be, where that is not the one of a clean deployment."""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0

    @property
    def last(self) -> Ended:
        return self.second or self.first

    @property
    def regenerated(self) -> list[str]:
        """Secrets of a foundation that was complete, and that are not what they were then."""
        deletes = self.case.place.deployment == "data deletion"
        if deletes or self.before is None or self.world is None or not self.before.has_foundation:
            return []
        now = self.world.secrets
        return sorted(f"{arn} was recreated" for arn, version in self.before.secrets.items() if now.get(arn) != version)


def run(account: Account, case: Case, clean: World | None) -> Outcome:
    """Deploy with the fault of a case; where that fails, is stopped or puts something off, deploy again likewise."""
    began, own = time.monotonic(), Failures()
    functions = frozenset(account.application.functions.values())
    called = FAILS if case.place.deployment == "failing" else case
    injection = Injection(called, functions, kill_in(account.aws.functions))
    account.aws.server.faults = account.aws.faults = injection
    if case.kind in ("two at once", "one of two") and clean:
        outcome = _two_at_once(account, case, clean)
    else:
        outcome = _with_fault(account, case, injection)
    account.aws.clock.wait(SETTLING_SECONDS)
    if case.place.deployment == "healing":
        outcome.problems += healing.problems(account)
    outcome.world = world.look(account)
    outcome.problems += [*_problems(outcome), *(f"the rehearsal itself failed: {cause}" for cause in own.causes)]
    outcome.seconds = round(time.monotonic() - began, 2)
    return outcome


def _with_fault(account: Account, case: Case, injection: Injection) -> Outcome:
    for content in BEFORE[case.place.deployment]:
        deploy(account, content, [])
    content, started = INPUT[case.place.deployment], list[str]()
    hook = None
    if case.kind == "aborted":
        hook = OnEntering(case.place.operation, lambda: _stop(account, started))
    if case.kind == "lock lost":
        hook = OnEntering(case.place.operation, lambda: _steal(account, injection))
    perform = deploy
    if case.place.deployment == "healing":
        healing.let_one_be_silent(account)
        perform = healing.heal
    if case.place.deployment in ("destroy", "data deletion"):
        perform = destroy
    injection.begin()
    first = perform(account, content, started)
    injection.end()
    outcome = Outcome(case, first, happened=hook.happened if hook else injection.happened or case.kind == "none")
    outcome.counts, outcome.states = dict(injection.counts), _states(started[0]) if started else []
    outcome.before = world.glance(account)
    if injection.changes:
        outcome.problems.append(f"changed without the lock: {', '.join(injection.changes)}")
    if case.kind == "lock lost" and outcome.before.held != (THIEF,):
        outcome.problems.append(f"the lock was taken from who held it: {outcome.before.held}")
    if first.status != "SUCCEEDED" or first.put_off or case.kind == "lock lost":
        outcome.second = perform(account, content, started)
    return outcome


def _two_at_once(account: Account, case: Case, clean: World) -> Outcome:
    """Two clusters in one account, at the same time. What befalls the first is nothing to the second."""
    base = world.look(account)
    ended: dict[str, Ended] = {}
    started: dict[str, list[str]] = {"one": [], "two": []}
    hook = None
    if case.kind == "one of two":
        of_one = partial(_is_history_of, started["one"])
        hook = OnEntering(case.place.operation, lambda: _stop(account, started["one"]), of_one)

    def one(cluster: str) -> None:
        ended[cluster] = deploy(account, {"cluster": cluster}, started[cluster])

    threads = [threading.Thread(target=one, args=(cluster,)) for cluster in started]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome = Outcome(case, ended["one"], happened=hook is None or ended["one"].status == "ABORTED")
    if ended["two"].status != "SUCCEEDED":
        outcome.problems.append(f"the second cluster's deployment ended {ended['two'].status}: {ended['two'].cause}")
    if hook:
        outcome.before = world.glance(account)
        outcome.second = deploy(account, {"cluster": "one"}, [])
    outcome.expected = base.with_clusters(clean, "workbench", ["one", "two"])
    return outcome


def deploy(account: Account, content: Any, started: list[str]) -> Ended:
    """One deployment from its start to its end; the ARN of its execution is added to `started` at once."""
    return _execute(account, "deploy", content, started)


def destroy(account: Account, content: Any, started: list[str]) -> Ended:
    """The same, of a destroy."""
    return _execute(account, "destroy", content, started)


def _execute(account: Account, kind: str, content: Any, started: list[str]) -> Ended:
    states = account.aws.client("stepfunctions")
    machine = account.application.machine(kind)
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(content))["executionArn"]
    started.append(arn)
    execution, deadline = execution_of(arn), time.monotonic() + PATIENCE
    while execution.status == "RUNNING":
        if time.monotonic() > deadline:
            return Ended("HANGS", cause=f"after {PATIENCE} s still in {_states(arn)[-3:]}")
        time.sleep(0.02)
    put_off = any(PUT_OFF in warning for warning in (execution.output or {}).get("warnings", []))
    return Ended(execution.status, execution.error or "", execution.cause or "", put_off)


def _is_history_of(started: list[str], manager: Any) -> bool:
    """Whether moto writes the history of this execution there; before the first is known, of another."""
    return bool(started) and execution_of(started[0]).exec_worker.env.event_manager is manager


def _stop(account: Account, started: list[str]) -> None:
    """What a person does in the console. A thread of its own, since this one is the execution's."""
    while not started:
        time.sleep(0.001)
    moment = account.aws.clock.datetime()
    stopper = threading.Thread(
        target=lambda: execution_of(started[0]).stop(moment, error="Stopped", cause="by a person")
    )
    stopper.start()
    stopper.join(2)


def _steal(account: Account, injection: Injection) -> None:
    """Another execution takes over, at a moment when no function is at work: one that is has confirmed the lock."""
    while any(pool._running for pool in list(account.aws.functions._pools.values())):
        time.sleep(0.001)
    injection.changes = []
    account.aws.client("dynamodb").update_item(
        TableName=account.table,
        Key={"cluster": {"S": "workbench"}},
        UpdateExpression="SET holder = :thief, held_since = :long_ago",
        ExpressionAttributeValues={":thief": {"S": THIEF}, ":long_ago": {"N": "0"}},
    )


def _states(execution: str) -> list[tuple[str, bool]]:
    return [
        (event["stateEnteredEventDetails"]["name"], str(event["type"]).endswith("TaskStateEntered"))
        for event in live_history(execution)()
        if event.get("stateEnteredEventDetails")
    ]


def _problems(outcome: Outcome) -> Iterator[str]:
    """Why the deployments of a case are not what they should be; what the world lacks or has too much is apart."""
    kind = outcome.case.kind
    if not outcome.happened:
        yield "the fault never happened"
    if outcome.first.status not in ("SUCCEEDED", "FAILED", *(("ABORTED",) if kind in STOPPED else ())):
        yield f"the deployment with the fault ended {outcome.first.status}: {outcome.first.cause}"
    fitting = {"LockLost"} if kind == "lock lost" else FITTING.get(outcome.case.place.caller, CALLS)
    if outcome.first.status == "FAILED" and outcome.first.error not in fitting:
        yield f"the deployment failed with {outcome.first.error or 'no name'}: {outcome.first.cause[:600]}"
    is_gone = outcome.case.place.deployment == "data deletion" and GONE in outcome.last.cause
    if outcome.last.status != "SUCCEEDED" and not is_gone:
        yield f"the last deployment ended {outcome.last.status} {outcome.last.error}: {outcome.last.cause[:600]}"


def compare(outcome: Outcome, clean: World) -> dict[str, list[str]]:
    """What a case lost, what it leaked (a lock that is held, a secret recreated or shown), and what it left behind."""
    expected = outcome.expected or clean
    assert outcome.world
    return {
        "lost": outcome.world.lost(expected),
        "leaked": [
            *(f"lock held by {holder}" for holder in outcome.world.held),
            *outcome.regenerated,
            *outcome.world.found,
        ],
        "orphans": outcome.world.orphans(expected),
    }
