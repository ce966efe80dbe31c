"""Executions of `destroy` at bad moments, and the end of the application, on the quick rehearsal of `make faults`.

One account lives through all of it. At its end it must be as it was before the application came, but for what the
outputs listed.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from rehearsal import application
from rehearsal.run import execution_of, live_history
from tests.faults import account, world
from tests.faults.account import Account
from tests.faults.dry_runs import PATIENCE, SETTLING_SECONDS
from tests.faults.world import World
from watch.removal import Removal

FIRST: Final = {"cluster": "a"}
OTHER: Final = {"cluster": "a-b"}
"""Its name begins with that of the first, and a hyphen: so do its stacks, images and objects."""
NO_SNAPSHOT: Final = {"final_snapshot": False}
LISTED: Final = ("secret ", "database snapshot of ", "key Enabled Database, file system")
"""What outputs list where data was deleted."""
NOT_OURS: Final = ("key Enabled Default master key", "snapshot completed")
"""The key of EBS, which EC2 makes at the first volume; and what a build leaves that is cancelled late."""


def check(it: Account) -> int:
    """Live through it; print what is wrong. The exit code is 1 where something is."""
    wrong = [*clusters(it), *the_application(it)]
    print(*wrong, f"{len(wrong)} problems, {time.process_time():.0f} s of a processor", sep="\n")
    return 1 if wrong else 0


def clusters(it: Account) -> Iterator[str]:
    """Two clusters, of which one is stopped in everything that it begins."""
    empty = world.look(it)
    yield from dry_runs(it, empty)
    # A creation that was stopped goes on in CloudFormation.
    stop(it, "deploy", FIRST, "Wait for foundation", lambda: "-foundation CREATE_IN_PROGRESS" in stacks(it))
    dry = threading.Thread(target=execute, args=(it, "deploy", OTHER | {"dry_run": True}))
    dry.start()  # the stacks of the other do not exist yet when it begins
    yield from succeeded(execute(it, "deploy", OTHER))
    dry.join()
    other = of_other(world.look(it))
    kept = execute(it, "destroy", FIRST)
    if "AWS::RDS::DBCluster" not in {each["what"] for each in kept.get("stays", [])}:
        yield f"a creation that went on is not listed: {kept}"

    # A snapshot that a stopped execution took is not the last one where people have used the cluster since.
    yield from succeeded(execute(it, "deploy", FIRST))
    delete = FIRST | {"delete_data": "a"}
    stop(it, "destroy", delete, "Delete data")
    first = snapshots(it)
    rebuilt = execute(it, "deploy", FIRST | {"image": {"rebuild": True}, "only_if_deployed": True})
    if rebuilt.get("message") != "a is not deployed: nothing to do":
        yield f"a schedule deploys what someone destroys: {rebuilt}"
    yield from succeeded(execute(it, "deploy", FIRST))
    stop(it, "destroy", delete, "Delete configuration")
    refused = execute(it, "deploy", FIRST)
    if "an execution began to delete its data, and did not end" not in refused.get("cause", ""):
        yield f"a cluster without its data is deployed: {refused}"
    deleted = execute(it, "destroy", delete)
    listed = {each["id"] for each in deleted.get("stays", []) if each["what"].endswith("Snapshot")}
    if len(first) != 1 or not first < snapshots(it) or listed != snapshots(it):
        yield f"snapshots: {first}, then {snapshots(it)}, listed are {listed}"
    if gone := other - of_other(world.look(it)):
        yield f"of the other cluster went: {sorted(gone)}"

    yield from succeeded(execute(it, "verify", OTHER))
    yield from succeeded(execute(it, "destroy", OTHER | NO_SNAPSHOT | {"delete_data": "a-b"}))
    yield from differences(it, empty)


def dry_runs(it: Account, empty: World) -> Iterator[str]:
    """One is stopped between two looks; then there are three at once, which remove what it left."""
    content = FIRST | {"dry_run": True}
    stop(it, "deploy", content, "Wait for change sets")
    ended: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: ended.append(execute(it, "deploy", content))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in ended:
        yield from succeeded(each)
    yield from differences(it, empty)
    stop(it, "deploy", content, "Wait for change sets")  # what this one leaves, the destroy of the cluster removes


def the_application(it: Account) -> Iterator[str]:
    """`sam delete`, then `make remove-application` for what it keeps, twice."""
    stop(it, "deploy", {"cluster": "never", "dry_run": True}, "Wait for change sets")
    name = it.application.name
    application.delete(it.aws.environment("sam"), name)
    os.environ.update(it.aws.environment())
    for _ in range(2):
        Removal(name, sleep=it.aws.clock.wait).run()
    left = [stack["StackName"] for stack in it.aws.client("cloudformation").describe_stacks()["Stacks"]]
    if left != [application.MANAGED_STACK]:
        yield f"stacks stay: {left}"
    buckets = [bucket["Name"] for bucket in it.aws.client("s3").list_buckets()["Buckets"]]
    yield from (f"the bucket {bucket} stays" for bucket in buckets if bucket.startswith(name))


def differences(it: Account, empty: World) -> Iterator[str]:
    now = world.look(it)
    yield from (f"lost: {thing}" for thing in now.lost(empty))
    yield from (f"left: {thing}" for thing in now.orphans(empty) if not thing.startswith((*LISTED, *NOT_OURS)))


def of_other(seen: World) -> set[str]:
    """What is of the other cluster, but for what its own tasks may change at any time."""
    return {thing for thing in seen.things if OTHER["cluster"] in thing and not thing.startswith("association ")}


def stacks(it: Account) -> str:
    found = it.aws.client("cloudformation").describe_stacks()["Stacks"]
    return "\n".join(f"{stack['StackName']} {stack['StackStatus']}" for stack in found)


def snapshots(it: Account) -> set[str]:
    found = it.aws.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
    return {snapshot["DBClusterSnapshotIdentifier"] for snapshot in found}


def succeeded(output: dict[str, Any]) -> Iterator[str]:
    if "error" in output:
        yield f"failed: {output['error']}: {output['cause']}"


def execute(it: Account, kind: str, content: Any) -> dict[str, Any]:
    """The output of an execution; of one that failed, its error and its cause."""
    execution = execution_of(_start(it, kind, content))
    _until(lambda: execution.status != "RUNNING")
    if execution.status == "SUCCEEDED":
        return dict(execution.output or {})
    return {"error": execution.error, "cause": execution.cause}


def stop(it: Account, kind: str, content: Any, state: str, condition: Any = lambda: True) -> None:
    """Stop an execution, as a person does in the console, once it was in a state and a condition holds."""
    arn = _start(it, kind, content)
    execution = execution_of(arn)
    _until(lambda: execution.status != "RUNNING" or (_has_entered(arn, state) and condition()))
    if execution.status != "RUNNING":
        raise RuntimeError(f"{arn} ended {execution.status} before it could be stopped: {execution.cause}")
    execution.stop(it.aws.clock.datetime(), error="Stopped", cause="by a person")
    it.aws.clock.wait(SETTLING_SECONDS)


def _start(it: Account, kind: str, content: Any) -> str:
    states, machine = it.aws.client("stepfunctions"), it.application.machine(kind)
    return str(states.start_execution(stateMachineArn=machine, input=json.dumps(content))["executionArn"])


def _has_entered(execution: str, state: str) -> bool:
    return any((each.get("stateEnteredEventDetails") or {}).get("name") == state for each in live_history(execution)())


def _until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("an execution does not come so far")
        time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(account.alone(check))
