"""What Elastic Load Balancing says of the nodes."""

from benchwright.nodes.target_health import target_health
from tests.unit.benchwright.conversation import Conversation


def test_each_target_has_its_state_and_the_reason_where_there_is_one(aws: Conversation) -> None:
    states = {
        "i-1": {"State": "healthy"},
        "i-2": {"State": "unhealthy", "Reason": "Target.Timeout"},
        "i-3": {},
    }
    described = [{"Target": {"Id": name, "Port": 8787}, "TargetHealth": state} for name, state in states.items()]
    aws.answers = {"DescribeTargetHealth": {"TargetHealthDescriptions": described}}
    assert target_health("arn:group") == {"i-1": "healthy", "i-2": "unhealthy (Target.Timeout)", "i-3": "unknown"}
    assert aws.asked("DescribeTargetHealth") == [{"TargetGroupArn": "arn:group"}]
