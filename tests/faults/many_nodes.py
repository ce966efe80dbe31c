"""A cluster of as many nodes as there may be is deployed and replaced, on the quick rehearsal of `make faults`.

AWS takes as long as in any rehearsal, or as the slowest that is published; each node takes its time to configure itself
and to leave. Nodes are records, so that fifty cost no more than two: everything else is real, from the state machine to
Auto Scaling's decisions. What is counted: looks, transitions, events of the history, and at each look how many nodes
serve.
"""

import argparse
import contextlib
import functools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final
from unittest import mock

from benchwright.report import history
from rehearsal.aws import durations
from rehearsal.aws.calls import Call
from rehearsal.aws.protocols import UNKNOWN
from rehearsal.aws.services.autoscaling import scaling_activities
from rehearsal.run import execution_of, live_history
from tests.faults import account, nodes
from tests.faults.account import Account

PATIENCE: Final = 1200
"""Wall seconds that one execution may take."""
MOST_EVENTS: Final = 15_000
"""Of an execution's history, of which Step Functions keeps 25,000."""
CONFIGURING_SECONDS: Final = 90
LEAVING_SECONDS: Final = {"usual": 60, "slow": 900}
"""Of a node that leaves: stopping Workbench and suspending sessions; at most what its hook has."""
NOTICING_SECONDS: Final = 0.5
"""Wall seconds in which a node notices that it is to leave; AWS time stands still meanwhile."""
LOOK_SECONDS: Final = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.many_nodes", description=__doc__)
    parser.add_argument("--count", type=int, default=50, metavar="N", help="nodes")
    parser.add_argument("--slow", action="store_true", help="the slowest durations, and nodes that use up their hooks")
    wanted = parser.parse_args()
    return account.alone(functools.partial(replace, count=wanted.count, slow=wanted.slow))


def replace(it: Account, count: int = 50, *, slow: bool = False) -> int:
    """Deploy, and replace all nodes; print what that took, and what is not as it must be."""
    durations.change(it.usual)
    if slow:
        durations.change(durations.SLOW)
    problems = [*execute(it, {"nodes": {"count": count}}, 0)]
    with nodes_that_take(it, LEAVING_SECONDS["slow" if slow else "usual"]):
        problems += execute(it, {"r_versions": ["4.4.3"]}, count)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems, {time.process_time():.0f} s of a processor")
    return 1 if problems else 0


def execute(it: Account, content: Mapping[str, Any], least: int) -> Iterator[str]:
    """Say what is wrong with a deployment, and print its numbers. least: how many nodes must serve all the time."""
    states = it.aws.client("stepfunctions")
    machine = it.application.machine("deploy")
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(content))["executionArn"]
    execution, deadline = execution_of(arn), time.monotonic() + PATIENCE
    seen = set[tuple[int, int]]()
    while execution.status == "RUNNING" and time.monotonic() < deadline:
        in_service, all_of_them = serving(it)
        if in_service < least and (in_service, all_of_them) not in seen:
            yield f"{in_service} of {all_of_them} nodes serve at {it.aws.clock.datetime():%T}"
        seen.add((in_service, all_of_them))
        time.sleep(LOOK_SECONDS)
    events = live_history(arn)()
    looks = Counter(state.name for state in history.visits(events))
    print(f"{json.dumps(content)}: {execution.status} {execution.cause or ''}")
    print(
        f"{history.makespan(events) / 60:.0f} minutes, {looks['Deploy nodes']} looks, "
        f"{history.transitions(events)} transitions, {len(events)} events, {history.max_payload(events)} bytes; "
        f"{min(seen)[0]} to {max(seen)[0]} in service, at most {max(each for _, each in seen)} instances",
        flush=True,
    )
    if execution.status != "SUCCEEDED":
        yield f"{execution.status}: {execution.error} {execution.cause}"
    if len(events) >= MOST_EVENTS:
        yield f"the history has {len(events)} events"


def serving(it: Account) -> tuple[int, int]:
    """How many nodes are in service, and how many instances the group has, as an answer says before it is written.

    This asks so often that to write and read answers about fifty instances would be most of the work.
    """
    call = Call("autoscaling", "DescribeAutoScalingGroups", {}, UNKNOWN, it.aws.region, {})
    for group in it.aws.server._operations[call.service, call.operation](call)["AutoScalingGroups"]:
        states = [each["LifecycleState"] for each in group["Instances"]]
        return states.count("InService"), len(states)
    return 0, 0


@contextlib.contextmanager
def nodes_that_take(it: Account, leaving: int) -> Iterator[None]:
    """Let each node take its time to configure itself, and so many seconds to leave."""
    apply, leave, clock = nodes.Node._apply, nodes.Hosts.leave, it.aws.clock

    def slowly(node: nodes.Node, configuration: str) -> None:
        if not node.launched:
            clock.sleep(CONFIGURING_SECONDS)
        apply(node, configuration)

    def late(hosts: nodes.Hosts, node: nodes.Node) -> None:
        clock.wait(leaving)
        leave(hosts, node)

    with (
        mock.patch.object(nodes.Node, "_apply", slowly),
        mock.patch.object(nodes.Hosts, "leave", late),
        mock.patch.object(scaling_activities, "LAST_WORK_SECONDS", NOTICING_SECONDS),
    ):
        yield


if __name__ == "__main__":
    sys.exit(main())
