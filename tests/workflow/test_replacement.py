"""The time and the history that a deployment has for the replacement of its nodes, at its slowest (decision 31)."""

import math

from benchwright.models import MOST_TURNS, Nodes
from benchwright.nodes.replacement import WARM_UP
from benchwright.waits import WAITS
from rehearsal.aws.durations import SLOW
from rehearsal.aws.services.autoscaling import instance_refresh, scaling_activities
from rehearsal.aws.services.ec2 import instances
from rehearsal.aws.services.ssm import associations
from tests.templates.templates import ACCESS, NODES, resources
from tests.workflow.test_graph import EVENTS_OF_A_LOOK, limits, looks_at_build, looks_of, most_looks
from tests.workflow.workflow import definition_of

CONFIGURING_SECONDS = 300
"""Of a new node, whose script waits up to five minutes for its mounts; usually a minute."""
MOST_EVENTS = 15_000
TASK_SECONDS = 4
"""Of a look: its function, with the calls that it makes."""


def slowest_turn() -> int:
    """Seconds from the launch of new nodes to the end of as many old ones, where each part takes as long as it may."""
    (group,) = resources(NODES, "AWS::AutoScaling::AutoScalingGroup").values()
    (hook,) = group["Properties"]["LifecycleHookSpecificationList"]
    (targets,) = resources(ACCESS, "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    delay = {each["Key"]: each["Value"] for each in targets["Properties"]["TargetGroupAttributes"]}
    of_instances = SLOW["rehearsal.aws.services.ec2.instances"]
    comes = instances.RUNNING_SECONDS + of_instances["ONLINE_SECONDS"]
    configured = associations.BEGIN_SECONDS + CONFIGURING_SECONDS + scaling_activities.PROCEED_SECONDS
    serves = WARM_UP + WAITS["Deploy nodes"].longest
    leaves = int(delay["deregistration_delay.timeout_seconds"]) + int(hook["HeartbeatTimeout"])
    ends = of_instances["TERMINATING_SECONDS"] + instance_refresh.BEGIN_SECONDS + instance_refresh.BETWEEN_SECONDS
    return math.ceil(comes + configured + serves + leaves + ends)


def test_any_number_of_nodes_is_replaced_in_time_however_slow_each_turn_is() -> None:
    seconds = limits("deploy")["Deploy nodes"]
    for count in range(1, 51):
        turns = math.ceil(count / Nodes(count=count, instance_type="m7i.xlarge").at_once)
        assert turns <= MOST_TURNS
        assert turns * slowest_turn() <= seconds, count


def test_a_look_comes_twice_before_an_old_node_leaves() -> None:
    """The refresh is paused where the load balancer does not find a new node healthy."""
    assert 2 * (WAITS["Deploy nodes"].longest + TASK_SECONDS) <= WARM_UP


def longest_looks() -> dict[str, int]:
    """How often each step of a deployment looks that makes an address and replaces nodes, at its slowest."""
    of_image = SLOW["rehearsal.aws.services.imagebuilder.build"]
    image = looks_at_build(int(of_image["BUILDING_SECONDS"]), int(of_image["DISTRIBUTING_SECONDS"]))
    others = ("Build image", "Preview stacks", "Remove access", "Retire certificate")  # where there is an address, none
    looks = {step: most_looks(step, seconds) for step, seconds in limits("deploy").items() if step not in others}
    # Where nodes are replaced, the foundation is not created.
    update = looks_of(WAITS["Deploy foundation"].after, limits("deploy")["Deploy foundation"])
    return {**looks, "Deploy foundation": update, "Build image": image}


def test_the_history_of_a_replacement_stays_short_however_slow_all_steps_are() -> None:
    assert sum(longest_looks().values()) * EVENTS_OF_A_LOOK < MOST_EVENTS


def test_the_machine_has_time_for_the_slowest_of_all_its_steps() -> None:
    looks = longest_looks()
    waits = sum(seconds for step, seconds in limits("deploy").items() if step in looks and step != "Build image")
    assert waits > limits("deploy")["Build image"]  # which is beside the foundation
    assert waits + sum(looks.values()) * TASK_SECONDS < definition_of("deploy")["TimeoutSeconds"]
