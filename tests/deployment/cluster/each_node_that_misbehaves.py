"""One of four nodes misbehaves, each fault alone. Takes its minutes, so `make test` has several at once instead:

pytest tests/deployment/cluster/each_node_that_misbehaves.py [-k WORD]
"""

import pytest

from tests.deployment.account import Account
from tests.deployment.cluster.misbehaviour import (
    CLOCK,
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
    is_locked,
    misbehave,
    replace,
)

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("four_nodes")]


@pytest.mark.parametrize("place", [1, 3], ids=["first", "other"])
@pytest.mark.parametrize(
    "fault",
    [HANG, NETWORK, TERMINATED, DISK, CLOCK, TIME_SOURCE, KEY, METADATA, WORKBENCH, MOUNTS],
    ids=lambda fault: fault.word,
)
def test_one_node_that_misbehaves_is_named_and_the_next_run_heals_it(
    account: Account, fault: Fault, place: int
) -> None:
    misbehave(account, {place: fault})


def test_a_node_that_never_comes_online_is_named_and_replaced(account: Account) -> None:
    before = set(account.nodes)
    faults_of(account).order("node:ssm-offline,times=1")
    faults_of(account).begin()
    replace(account, max(before))
    ended = account.end(account.start("deploy", {}))
    assert faults_of(account).end() == []
    (silent,) = set(account.nodes) - before
    assert (ended.status, ended.error, is_locked(account)) == ("FAILED", "NodesNotReady", False)
    assert f"Systems Manager did not hear of {silent} in time. Auto Scaling now replaces" in (ended.cause or "")
    assert ended.makespan_s <= 45 * 60
    assert_whole(account, account.deploy({}))
    assert silent not in account.nodes
