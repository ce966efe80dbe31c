"""What the group of the nodes is asked about one of them."""

import pytest
from botocore.exceptions import ClientError

from benchwright.nodes import auto_scaling
from tests.unit.benchwright.conversation import Answer, Conversation, refusal

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


@pytest.mark.parametrize("code", ["ResourceInUse", "ScalingActivityInProgress", "ValidationError"])
def test_a_group_that_has_instances_or_is_gone_is_left_to_cloudformation(aws: Conversation, code: str) -> None:
    aws.answers = {"DeleteAutoScalingGroup": refusal(code)}
    auto_scaling.delete_empty_group(GROUP)
    assert aws.writes == [("DeleteAutoScalingGroup", {"AutoScalingGroupName": GROUP})]  # not by force


def test_a_group_that_may_not_be_deleted_is_an_error(aws: Conversation) -> None:
    aws.answers = {"DeleteAutoScalingGroup": refusal("AccessDenied")}
    with pytest.raises(ClientError, match="AccessDenied"):
        auto_scaling.delete_empty_group(GROUP)
