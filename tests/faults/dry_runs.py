"""What dry runs announce against what deployments then do, in one account, on the quick rehearsal of `make faults`.

Before each deployment of `CHANGES` stands a dry run of the same input. It must change nothing; and what it says of
stacks, nodes and images must be exactly what the deployment does.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rehearsal import application, launcher
from rehearsal.initial_account import ZONE_ID, ZONE_NAME
from rehearsal.run import execution_of
from tests.faults import account, world
from tests.faults.account import Account

PATIENCE: Final = 150
"""Wall seconds that one execution may take."""
SETTLING_SECONDS: Final = 120

CHANGES: Final[Mapping[str, Any]] = {
    "a new cluster": {},
    "the same again": {},
    "one node more": {"nodes": {"count": 3}},
    "another size of the database": {"database": {"max_capacity": 9}},
    "two nodes less": {"nodes": {"count": 1}},
    "another image": {"r_versions": ["4.4.3"], "nodes": {"count": 2}},
    "another kind of instance": {"nodes": {"instance_type": "m7i.2xlarge"}},
    "a new address": {"access": {"hostname": f"workbench.{ZONE_NAME}", "hosted_zone_id": ZONE_ID}},
    "a rebuild": {"image": {"rebuild": True}},
    "no address any more": {"access": None},
}


@dataclass(frozen=True)
class Seen:
    """What a deployment can change, by name: resources of stacks as change sets name them, nodes, images."""

    change_sets: frozenset[str]
    stacks: frozenset[str]
    resources: Mapping[tuple[str, str], str]
    """The physical ids of resources, by the id of their stack and their logical id."""
    nodes: frozenset[str]
    images: frozenset[str]

    @classmethod
    def of(cls, it: Account) -> "Seen":
        stacks = _stacks(it)
        instances = it.aws.client("ec2").describe_instances(
            Filters=[{"Name": "tag-key", "Values": ["benchwright:cluster"]}]
        )["Reservations"]
        alive = {
            instance["InstanceId"]
            for reservation in instances
            for instance in reservation["Instances"]
            if instance["State"]["Name"] in ("pending", "running")
            and any(tag["Key"] == "aws:autoscaling:groupName" for tag in instance["Tags"])
        }
        return cls(
            frozenset(each.id for stack in stacks for each in stack.change_sets),
            frozenset(stack.id for stack in stacks if stack.status != "DELETE_COMPLETE"),
            {(stack.id, name): each.physical_id for stack in stacks for name, each in stack.resources.items()},
            frozenset(alive),
            frozenset(image["ImageId"] for image in it.aws.client("ec2").describe_images(Owners=["self"])["Images"]),
        )


def main() -> int:
    application.build()
    return launcher.isolated(compare)


def compare(scratch: Path) -> int:
    """Run each dry run and each deployment; print what differs. The exit code is 1 where something does."""
    it = account.install(scratch, full=False)
    it.wake()
    wrong = [f"{name}: {problem}" for name, content in CHANGES.items() for problem in compare_one(it, name, content)]
    for line in wrong:
        print(line)
    print(f"{len(CHANGES)} dry runs, {len(wrong)} differences, {time.process_time():.0f} s of a processor")
    return 1 if wrong else 0


def compare_one(it: Account, name: str, content: Any) -> Iterator[str]:
    """Say in what a dry run differs from the deployment of the same input, and what it changed."""
    before = world.look(it)
    announced = execute(it, {**content, "dry_run": True})
    print(f"--- {name}: {json.dumps(content)}", *announced.get("would", [announced]), sep="\n", flush=True)
    after = world.look(it)
    yield from (f"the dry run removed: {thing}" for thing in after.lost(before))
    yield from (f"the dry run left: {thing}" for thing in after.orphans(before))
    if (before.secrets, before.held) != (after.secrets, after.held):
        yield "the dry run changed secrets or a lock"
    if announced != (again := execute(it, {**content, "dry_run": True})):
        yield f"the same dry run says something else: {again}"
    seen = Seen.of(it)
    deployed = execute(it, content)
    if "error" in deployed:
        yield f"the deployment failed: {deployed}"
    it.aws.clock.wait(SETTLING_SECONDS)
    yield from _differences(announced, happened(it, seen, Seen.of(it)))


def happened(it: Account, before: Seen, after: Seen) -> dict[str, Any]:
    """What a deployment did."""
    changes: set[tuple[str, str]] = set()
    for stack in _stacks(it):
        if stack.id in before.stacks and stack.id not in after.stacks:
            changes |= {("remove", name) for name in stack.resources}
        for each in stack.change_sets:
            if each.id in before.change_sets or not each.execution_status.startswith("EXECUTE_"):
                continue
            for change in (item["ResourceChange"] for item in each.changes):
                name = change["LogicalResourceId"]
                was, now = before.resources.get((stack.id, name)), after.resources.get((stack.id, name))
                modified = "change" if was == now else "replace"
                action = {"Add": "create", "Remove": "remove"}.get(change["Action"], modified)
                changes.add((action, name))
    others = {name for action, name in changes if action != "change"}
    gone, new = before.nodes - after.nodes, after.nodes - before.nodes
    return {
        # What was just made, and what goes, also changes: its deletion protection is switched on, and off.
        "changes": {(action, name) for action, name in changes if action != "change" or not others & {name}},
        "nodes": {"now": len(before.nodes), "then": len(after.nodes), "gone": len(gone), "new": len(new)},
        "image": bool(after.images - before.images),
        "retired": before.images - after.images,
    }


def _differences(announced: Mapping[str, Any], done: Mapping[str, Any]) -> Iterator[str]:
    steps = {step["step"]: step for step in announced.get("steps", [])}
    listed = {
        (change["action"], change["name"])
        for step in steps.values()
        for change in step["changes"]
        if change["kind"].startswith("AWS::")
    }
    for what, difference in (("announced", listed - done["changes"]), ("not announced", done["changes"] - listed)):
        yield from (f"{what} alone: {action} {name}" for action, name in sorted(difference))
    nodes = announced.get("nodes", {})
    goes = nodes.get("removed", 0) + nodes.get("replaced", 0)
    comes = nodes.get("created", 0) + nodes.get("replaced", 0)
    said = {"now": nodes.get("now"), "then": nodes.get("then"), "gone": goes, "new": comes}
    if said != done["nodes"]:
        yield f"nodes: announced {said}, done {done['nodes']}"
    builds = any(change["kind"] == "image" for change in steps.get("Build image", {}).get("changes", []))
    if builds != done["image"]:
        yield f"an image is built: announced {builds}, done {done['image']}"
    retired = {change["name"] for change in steps.get("Retire old images", {}).get("changes", [])}
    if retired != done["retired"]:
        yield f"images that go: announced {sorted(retired)}, done {sorted(done['retired'])}"


def execute(it: Account, content: Any) -> dict[str, Any]:
    """The output of a deployment; of one that failed, its error."""
    states = it.aws.client("stepfunctions")
    machine = it.application.machine("deploy")
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(content))["executionArn"]
    execution, deadline = execution_of(arn), time.monotonic() + PATIENCE
    while execution.status == "RUNNING":
        if time.monotonic() > deadline:
            return {"error": f"{arn} does not end"}
        time.sleep(0.02)
    if execution.status == "SUCCEEDED":
        output: dict[str, Any] = execution.output
        return output
    return {"error": execution.error, "cause": execution.cause}


def _stacks(it: Account) -> list[Any]:
    """The stacks of clusters, of the engine itself, which keeps what change sets held."""
    return [stack for stack in it.aws.stacks.stacks.values() if stack.name.startswith(f"{it.application.name}-")]


if __name__ == "__main__":
    sys.exit(main())
