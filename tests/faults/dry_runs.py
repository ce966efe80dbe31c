"""What dry runs say against what deployments then do, in one account, on the quick rehearsal of `make faults`.

Before each deployment of `CHANGES` stands a dry run of the same input. It must change nothing; and what it says of
stacks, nodes and images must be exactly what the deployment does.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rehearsal.initial_account import ZONE_ID, ZONE_NAME
from rehearsal.run import execution_of
from tests.faults import account, world
from tests.faults.account import Account
from tests.previews import Seen, differences

PATIENCE: Final = 150
"""Wall seconds that one execution may take."""
SETTLING_SECONDS: Final = 120

CHANGES: Final[Mapping[str, Any]] = {
    "a new cluster": {},
    "the same again": {},
    "one node more and a larger database": {"nodes": {"count": 3}, "database": {"max_capacity": 9}},
    "two nodes less": {"nodes": {"count": 1}},
    "another image": {"r_versions": ["4.4.3"], "nodes": {"count": 2}},
    "a new address": {"access": {"hostname": f"workbench.{ZONE_NAME}", "hosted_zone_id": ZONE_ID}},
    "a rebuild": {"image": {"rebuild": True}},
    "no address any more": {"access": None},
}


def compare(it: Account) -> int:
    """Run each dry run and each deployment; print what differs. The exit code is 1 where something does."""
    wrong = [f"{name}: {problem}" for name, content in CHANGES.items() for problem in compare_one(it, name, content)]
    for line in wrong:
        print(line)
    print(f"{len(CHANGES)} dry runs, {len(wrong)} differences, {time.process_time():.0f} s of a processor")
    return 1 if wrong else 0


def compare_one(it: Account, what: str, content: Any) -> Iterator[str]:
    """Say in what a dry run differs from the deployment of the same input, and what it changed."""
    before = world.look(it)
    previewed = execute(it, {**content, "dry_run": True})
    print(f"--- {what}: {json.dumps(content)}", *previewed.get("would", [previewed]), sep="\n", flush=True)
    after = world.look(it)
    yield from (f"the dry run removed: {thing}" for thing in after.lost(before))
    yield from (f"the dry run left: {thing}" for thing in after.orphans(before))
    if (before.secrets, before.held) != (after.secrets, after.held):
        yield "the dry run changed secrets or a lock"
    again = execute(it, {**content, "dry_run": True})
    if previewed | {"report": None} != again | {"report": None}:  # its address has the name of the execution
        yield f"the same dry run says something else: {again}"
    name = it.application.name
    seen = Seen.of(it.aws, name, {})
    deployed = execute(it, content)
    if error := previewed.get("error", deployed.get("error")):
        yield f"failed: {error} {previewed} {deployed}"
        return
    it.aws.clock.wait(SETTLING_SECONDS)
    yield from differences(it.aws, name, previewed, seen, Seen.of(it.aws, name, {}))


def execute(it: Account, content: Any) -> dict[str, Any]:
    """The output of a deployment, without the address of its report; of one that failed, its error."""
    states = it.aws.client("stepfunctions")
    machine = it.application.machine("deploy")
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(content))["executionArn"]
    execution, deadline = execution_of(arn), time.monotonic() + PATIENCE
    while execution.status == "RUNNING":
        if time.monotonic() > deadline:
            return {"error": f"{arn} does not end"}
        time.sleep(0.02)
    if execution.status == "SUCCEEDED":
        return {key: value for key, value in execution.output.items() if key != "report"}
    return {"error": execution.error, "cause": execution.cause}


if __name__ == "__main__":
    sys.exit(account.alone(compare))
