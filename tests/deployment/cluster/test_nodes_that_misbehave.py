"""Nodes misbehave: the run ends within its bound and says which and what to do, the others are as they were or
configured, no one holds the cluster, and the next run heals it.

Several do so at once here; each fault alone, as the first node and as another, is in each_node_that_misbehaves.py.
"""

import pytest

from tests.deployment.account import Account
from tests.deployment.cluster.misbehaviour import (
    CLOCK,
    COUNT,
    DISK,
    HANG,
    KEY,
    METADATA,
    MOUNTS,
    NETWORK,
    TERMINATED,
    TIME_SOURCE,
    WORKBENCH,
    Fault,
    assert_whole,
    faults_of,
    in_service,
    is_locked,
    misbehave,
)

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("four_nodes")]


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({1: HANG}, id="the first hangs"),
        pytest.param({2: HANG, 3: NETWORK, 4: DISK}, id="others hang, lose their network, have a full disk"),
        pytest.param(
            {1: METADATA, 2: CLOCK, 3: KEY, 4: TERMINATED},
            id="they get no metadata for a while, are five minutes slow, have another key, are terminated",
        ),
        pytest.param(
            {2: TIME_SOURCE, 3: MOUNTS, 4: WORKBENCH},
            id="others have no time source, boot without their mounts, have an old Workbench",
        ),
    ],
)
def test_what_misbehaves_is_named_and_the_next_run_heals_it(account: Account, faults: dict[int, Fault]) -> None:
    misbehave(account, faults)


def test_a_verification_names_a_node_that_does_not_answer(account: Account) -> None:
    silent = min(account.nodes)
    faults_of(account).order(f"node:hang,instance={silent}")
    faults_of(account).begin()
    ended = account.end(account.start("verify", {}))
    assert faults_of(account).end() == []
    assert (ended.status, ended.error, is_locked(account)) == ("FAILED", "VerificationFailed", False)
    failing = [line for line in (ended.cause or "").splitlines() if line.startswith("- ") and "://" not in line]
    assert [line.partition(". ")[0] for line in failing] == [f"- reports: {silent}: no report"]
    assert ended.makespan_s <= 20 * 60
    assert_whole(account, account.succeed(account.start("verify", {})))


def test_a_deployment_that_begins_in_the_middle_of_a_verification_is_no_failure_of_it(account: Account) -> None:
    """A cluster that is being deployed is left alone; a node that does not answer holds the verification."""
    silent = min(account.nodes)
    faults_of(account).order(f"node:hang,instance={silent}")
    faults_of(account).begin()
    with account.aws.clock.busy():  # or the node's command could time out first
        verification = account.start("verify", {})
        account.until(lambda: hangs(account, silent), "the node to hang")
        faults_of(account).end()
        deployment = account.start("deploy", {"config": {"auth-timeout-minutes": "29"}})
        account.until(lambda: account.has_entered(deployment, "Prepare image and foundation"), "the lock")
    ended = account.succeed(verification)
    assert ended.output["message"].startswith(
        f"deployment in progress: The cluster workbench is locked by the execution {deployment}, which still runs."
    )
    names = [state.name for state in ended.states]
    assert names[names.index("Take the lock") + 1 :][:2] == ["Is the lock ours?", "Nothing to verify"]
    assert_whole(account, account.succeed(deployment))


def hangs(account: Account, node: str) -> bool:
    """Whether a report has come to where it hangs on this node."""
    return bool(account.nodes[node].host.run("grep -lsz license-manage[r] /proc/[0-9]*/cmdline", timeout=60).stdout)


def test_a_node_that_appears_later_configures_itself_though_its_mounts_come_late(account: Account) -> None:
    lost = min(account.nodes)
    faults_of(account).order("node:mounts,seconds=150,times=1")
    faults_of(account).begin()
    account.aws.machines.terminate(lost)
    account.until(lambda: len(in_service(account) - {lost}) == COUNT, "the new node to serve")
    assert faults_of(account).end() == []
    execution = account.start("verify", {})
    assert_whole(account, account.succeed(execution))
    assert account.changes(execution) <= {"ssm:SendCommand", "dynamodb:UpdateItem"}  # the row of the old one is deleted
