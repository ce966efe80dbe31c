"""What becomes of a node whose agent does not answer in time."""

from benchwright.nodes import offline
from tests.unit.benchwright.conversation import Conversation, refusal


def test_a_node_is_replaced_at_once(aws: Conversation) -> None:
    aws.answers = {"SetInstanceHealth": {}}
    assert offline.replace("i-1")
    unhealthy = {"InstanceId": "i-1", "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
    assert aws.calls == [("SetInstanceHealth", unhealthy)]


def test_a_node_that_left_the_group_meanwhile_hides_no_failure(aws: Conversation) -> None:
    aws.answers = {"SetInstanceHealth": refusal("ValidationError", "Instance Id not found - i-1")}
    assert not offline.replace("i-1")
