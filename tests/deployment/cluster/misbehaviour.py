"""What tests of nodes that misbehave have in common: four nodes, what goes wrong on some, and how the run ends."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rehearsal.faults import Faults
from rehearsal.views.report import Execution
from tests.deployment.account import Account

COUNT: Final = 4
BOUND: Final = 30 * 60
"""AWS seconds that a deployment may take whose only work is on nodes."""

FILES: Final = """
    find /etc/rstudio /var/lib/benchwright -type f | sort | xargs stat -c '%n %a %U %G'
    find /etc/rstudio /var/lib/benchwright -type f | sort | xargs sha256sum
    systemctl is-active rstudio-server rstudio-launcher
"""
"""Every file that Benchwright has on a node, byte for byte, and whether Workbench runs."""

_minutes = itertools.count(31)


@dataclass(frozen=True)
class Fault:
    """What goes wrong on one node.

    reported: what the cause of the failure says of the node, in this order; empty where the run fixes it. replaced: the
    node is gone in the end, by itself or because a person follows the remedy.
    """

    word: str
    reported: tuple[str, ...] = ()
    replaced: bool = False


HANG: Final = Fault(
    "hang",
    (
        "the command ended Execution Timed Out, so the script hangs, or the node has lost its network meanwhile. ",
        "It said last: ",
        "--- verify the installation\n",
    ),
)
NETWORK: Final = Fault(
    "network", ("the command ended Execution Timed Out, so the script hangs, or the node has lost its network",)
)
TERMINATED: Final = Fault("terminated", replaced=True)
DISK: Final = Fault("disk", ("The disk of this node is full: 0 MB of the root volume are free", "Delete what fills it"))
CLOCK: Final = Fault("clock")
TIME_SOURCE: Final = Fault(
    "time-source",
    ("The clock of this node is off by an unknown number of seconds", "Give it 169.254.169.123", "replace the node"),
)
KEY: Final = Fault("key")
METADATA: Final = Fault("metadata")
WORKBENCH: Final = Fault(
    "workbench",
    ("This node has Workbench 2026.07.0+139.pro9", "If someone installed it here, replace the node"),
    replaced=True,
)
MOUNTS: Final = Fault("mounts", ("/efs/home cannot be mounted", "Check /etc/fstab, the mount targets"))


def misbehave(account: Account, faults: Mapping[int, Fault]) -> None:
    """Deploy another configuration while nodes misbehave, chosen by their place from 1; deploy it again if that failed.

    The first node is configured alone, before all others.
    """
    ids = sorted(account.nodes)
    wrong = {ids[place - 1]: fault for place, fault in faults.items()}
    failing = {node: fault for node, fault in wrong.items() if fault.reported}
    wanted = {"config": {"auth-timeout-minutes": str(next(_minutes))}}
    before = files(account)
    faults_of_nodes = faults_of(account)
    for node, fault in wrong.items():
        faults_of_nodes.order(f"node:{fault.word},instance={node}")
    faults_of_nodes.begin()
    ended = account.end(account.start("deploy", wanted))

    expected = ("FAILED", "NodeConfigurationFailed") if failing else ("SUCCEEDED", None)
    assert (ended.status, ended.error) == expected, ended.cause
    assert ended.makespan_s <= BOUND
    assert not is_locked(account)
    after = files(account)
    others = set(ids) - set(wrong)
    untouched = others if ids[0] in failing else set()
    assert {node for node in others if after[node] == before[node]} == untouched
    if not failing:
        assert faults_of_nodes.end() == []
        assert_whole(account, ended)
    else:
        assert_reported(ended, failing)
        assert not [node for node in others if node in (ended.cause or "")]
        for node, fault in failing.items():
            if fault.replaced:
                replace(account, node)
        assert faults_of_nodes.end() == []
        assert_whole(account, account.deploy(wanted))
    assert set(wrong) & set(account.nodes) == {node for node, fault in wrong.items() if not fault.replaced}
    if not untouched:  # what was configured already stays as it is
        assert {node: text for node, text in files(account).items() if node in others} == {
            node: after[node] for node in others
        }


def faults_of(account: Account) -> Faults:
    assert isinstance(account.aws.faults, Faults)
    return account.aws.faults


def assert_reported(ended: Execution, failing: Mapping[str, Fault]) -> None:
    """The cause says of each node what is wrong and what to do, and how to look at it and to replace it."""
    cause = ended.cause or ""
    for node, fault in failing.items():
        position = 0
        for text in (f"\n{node}: ", *fault.reported):
            position = cause.find(text, position)
            assert position >= 0, f"{text!r} is not where it should be in\n{cause}"
    assert "To look at the node: aws ssm start-session --target i-" in cause
    assert "To have a new one in its place: aws autoscaling terminate-instance-in-auto-scaling-group " in cause


def assert_whole(account: Account, ended: Execution) -> None:
    """Four nodes run one configuration, and list-nodes shows exactly them, Online."""
    assert ended.output["verification"]["verified"]
    assert {node["instance"]: node["status"] for node in ended.output["nodes"]} == dict.fromkeys(
        account.nodes, "Online"
    )
    assert len(account.nodes) == COUNT
    applied = account.on_every_node("cat /var/lib/benchwright/configuration; ls /var/lib/benchwright/verified")
    assert applied == {f"{ended.output['configuration']}/var/lib/benchwright/verified\n"}


def files(account: Account) -> dict[str, str]:
    return {name: machine.host.run(FILES, timeout=60).stdout for name, machine in account.nodes.items()}


def is_locked(account: Account) -> bool:
    dynamodb = account.aws.client("dynamodb")
    (table,) = dynamodb.list_tables()["TableNames"]
    (item,) = dynamodb.scan(TableName=table)["Items"]
    return "holder" in item


def replace(account: Account, node: str) -> None:
    """What the remedy says: the command of the AWS command line."""
    account.aws.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=node, ShouldDecrementDesiredCapacity=False
    )


def in_service(account: Account) -> set[str]:
    (group,) = account.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {node["InstanceId"] for node in group["Instances"] if node["LifecycleState"] == "InService"}
