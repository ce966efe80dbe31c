"""What the group of the nodes is asked about one of them."""

import pytest

from benchwright.nodes import auto_scaling
from tests.unit.benchwright.conversation import Answer, Conversation

GROUP = "wb-blue-nodes-group"


@pytest.mark.parametrize(("suspended", "asked"), [([], 1), (["Launch"], 1), (["AZRebalance"], 0)])
def test_no_healthy_node_ends_to_even_out_the_zones(aws: Conversation, suspended: list[str], asked: int) -> None:
    processes = [{"ProcessName": name} for name in suspended]
    group: Answer = {"AutoScalingGroups": [{"Instances": [], "SuspendedProcesses": processes}]}
    aws.answers = {"DescribeAutoScalingGroups": group, "SuspendProcesses": {}}
    auto_scaling.stop_rebalancing(auto_scaling.describe_group(GROUP))
    assert (
        aws.writes
        == [("SuspendProcesses", {"AutoScalingGroupName": GROUP, "ScalingProcesses": ["AZRebalance"]})] * asked
    )
