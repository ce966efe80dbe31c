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


def test_a_node_that_stays_away_is_named_with_what_becomes_of_it_and_its_system_log() -> None:
    text = str(offline.not_online(["i-1", "i-2"], ["i-2"], {"i-1": [], "i-2": ["no route"]}))
    assert text.startswith(
        "Systems Manager did not hear of i-1, i-2 in time. Auto Scaling now replaces what never registered: i-2. "
    )
    assert text.endswith("SSM agent.\nLast lines of the system log of i-2:\n  no route")
    alone = str(offline.not_online(["i-1"], [], {}))
    assert "Terminate a node that stays away" in alone
    assert alone.endswith("--no-should-decrement-desired-capacity --instance-id i-1")
