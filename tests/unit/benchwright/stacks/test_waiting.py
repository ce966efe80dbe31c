"""The first nodes of a cluster cannot be launched: the remedy works, while CloudFormation still waits for them.

The real step, on the CloudFormation and the Auto Scaling of the rehearsal.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchwright.errors import NodesNotReady
from benchwright.nodes import refusals
from benchwright.settings import settings
from benchwright.stacks import desired_state
from benchwright.stacks.decision import Desired
from functions.deploy_stack import app
from rehearsal.aws.local_aws import LocalAws
from rehearsal.faults import Faults
from tests.unit.benchwright.steps import handle
from tests.unit.rehearsal import fake_hosts

STACK, GROUP, BUCKET = "wb-blue-nodes", "wb-blue-nodes-group", "wb-bucket"
OLD, NEW = "m7i.xlarge", "m6i.large"
NO_CAPACITY = f"launch:capacity,type={OLD}"
BETWEEN_LOOKS = 30
"""Seconds of AWS time."""


def template(image: str, profile: str, subnets: list[str]) -> str:
    names = ("Application", "Cluster", "InstanceType", "NodeCount")
    launch = {"ImageId": image, "InstanceType": {"Ref": "InstanceType"}, "IamInstanceProfile": {"Arn": profile}}
    version = {"Fn::GetAtt": ["LaunchTemplate", "LatestVersionNumber"]}
    group = {
        "AutoScalingGroupName": GROUP,
        "MinSize": {"Ref": "NodeCount"},
        "DesiredCapacity": {"Ref": "NodeCount"},
        "MaxSize": {"Ref": "NodeCount"},
        "VPCZoneIdentifier": subnets,
        "LaunchTemplate": {"LaunchTemplateId": {"Ref": "LaunchTemplate"}, "Version": version},
    }
    resources = {
        "LaunchTemplate": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": launch}},
        "AutoScalingGroup": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": group},
    }
    outputs = {"AutoScalingGroupName": {"Ref": "AutoScalingGroup"}}
    return json.dumps(
        {
            "Parameters": {name: {"Type": "String"} for name in names},
            "Resources": resources,
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
    )


@dataclass
class World:
    """An account, the step in it, and what the nodes of the cluster must be."""

    aws: LocalAws
    template: str
    instance_type: str = OLD
    count: int = 1
    at_once: int = 1
    looks: list[str] = field(default_factory=list)
    """What each look of the last execution waited for."""

    def desired(self) -> Desired:
        owner = {"Application": "wb", "Cluster": "blue"}
        nodes = {"InstanceType": self.instance_type, "NodeCount": str(self.count)}
        return Desired(STACK, self.template, {**owner, **nodes}, {})

    def deploy(self, before: float = 0) -> None:
        """One execution: the step until it is done. before: seconds of AWS time that earlier steps take."""
        began, answer = self.now(), dict[str, Any]()
        self.looks.clear()
        self.aws.clock.sleep(before)
        while not answer.get("done") and len(self.looks) < 5400 / BETWEEN_LOOKS:
            reported = {name: answer.get(name, "") for name in ("change_set", "refresh")}
            event = {"stack": "nodes", "began": began.isoformat(), "node_script": "0" * 64, **reported}
            answer = handle("deploy_stack", execution="arn:e", **event)
            self.looks.append(answer["waiting_for"])
            self.aws.clock.sleep(BETWEEN_LOOKS)
        assert answer["done"], answer

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.aws.clock.now(), UTC)

    def stack(self) -> dict[str, Any]:
        return dict(self.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0])

    def nodes(self) -> list[str]:
        """The instance type of each node in service."""
        groups = self.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return [one["InstanceType"] for group in groups for one in group["Instances"]]

    def deletions(self) -> int:
        return self.calls("DeleteStack")

    def calls(self, operation: str) -> int:
        return sum(line["operation"] == operation for line in self.aws.recorder.entries())


@pytest.fixture
def world(environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with fake_hosts.local_aws(tmp_path, NO_CAPACITY, modules=["rehearsal.aws.services.cloudformation"]) as aws:
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = aws.client("iam").create_role(RoleName="service", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        os.environ |= aws.environment() | {"APPLICATION": "wb", "CLOUDFORMATION_ROLE_ARN": role, "BUCKET_NAME": BUCKET}
        aws.client("s3").create_bucket(Bucket=BUCKET)
        (image,) = aws.client("ec2").describe_images()["Images"]
        profile, subnets = fake_hosts.instance_profile(aws), fake_hosts.subnets(aws, "ab")
        made = World(aws, template(image["ImageId"], profile, subnets))
        plan = SimpleNamespace(cluster="blue", wanted=SimpleNamespace(nodes=made))
        monkeypatch.setattr(desired_state, "nodes", lambda *_, **__: made.desired())
        monkeypatch.setattr(desired_state, "must_go_offline", lambda *_: False)
        monkeypatch.setattr(app, "confirm_lock", lambda *_: SimpleNamespace(ami=""))
        monkeypatch.setattr(app, "plan_of", lambda *_: plan)
        settings.cache_clear()
        yield made


def fail_to_grow(world: World) -> None:
    """Deploy one node more, whose launches fail."""
    world.aws.faults = Faults([NO_CAPACITY])
    world.aws.faults.begin()
    world.count = 2
    with pytest.raises(NodesNotReady):
        world.deploy()


def lift(world: World) -> None:
    """From now on each launch succeeds."""
    world.aws.faults = Faults()


def test_another_instance_type_is_tried_at_once_while_the_stack_still_waits_for_the_first(world: World) -> None:
    with pytest.raises(NodesNotReady, match=f"not have sufficient {OLD} capacity(.|\n)*Choose another instance type"):
        world.deploy()
    assert (world.stack()["StackStatus"], world.deletions()) == ("CREATE_IN_PROGRESS", 0)
    world.instance_type = NEW
    world.deploy()
    assert (world.stack()["StackStatus"], world.nodes(), world.deletions()) == ("CREATE_COMPLETE", [NEW], 1)
    assert len(world.looks) * BETWEEN_LOOKS < 600


def test_the_same_input_waits_for_the_stack_that_is_being_created(world: World) -> None:
    with pytest.raises(NodesNotReady):
        world.deploy()
    began = world.stack()["StackId"]
    lift(world)
    world.deploy()
    assert (world.stack()["StackId"], world.nodes(), world.deletions()) == (began, [OLD], 0)


def test_a_creation_whose_launches_do_not_fail_goes_on_and_is_changed_afterwards(world: World) -> None:
    with pytest.raises(NodesNotReady):
        world.deploy()
    began = world.stack()["StackId"]
    lift(world)
    world.aws.clock.sleep(80)  # the launch has succeeded, and CloudFormation may not know it yet
    world.count = 2
    world.deploy()
    assert (world.stack()["StackId"], world.nodes(), world.deletions()) == (began, [OLD, OLD], 0)


def test_launches_of_the_nodes_before_a_change_do_not_end_it(world: World) -> None:
    lift(world)
    world.deploy()
    world.aws.faults = Faults([NO_CAPACITY])
    world.aws.faults.begin()
    (group,) = world.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    (lost,) = group["Instances"]
    world.aws.client("ec2").terminate_instances(InstanceIds=[lost["InstanceId"]])
    world.instance_type = NEW
    world.deploy(before=900)
    assert (world.stack()["StackStatus"], world.nodes(), world.deletions()) == ("UPDATE_COMPLETE", [NEW], 0)


def test_an_update_whose_launches_fail_is_cancelled_for_the_remedy(world: World) -> None:
    lift(world)
    world.deploy()
    fail_to_grow(world)
    assert world.stack()["StackStatus"] == "UPDATE_IN_PROGRESS"
    world.instance_type = NEW
    world.deploy()
    assert (world.stack()["StackStatus"], world.nodes(), world.deletions()) == ("UPDATE_COMPLETE", [NEW, NEW], 0)
    assert world.calls("CancelUpdateStack") == 1
    assert (
        f"{STACK} is returned to what it was before, and then changed. The newest launch failed: We currently do not "
        f"have sufficient {OLD}" in world.looks[0]
    )
    assert len(world.looks) * BETWEEN_LOOKS < 900


def test_the_same_input_succeeds_once_launches_do(world: World) -> None:
    lift(world)
    world.deploy()
    fail_to_grow(world)
    lift(world)
    world.deploy()
    assert (world.stack()["StackStatus"], world.nodes()) == ("UPDATE_COMPLETE", [OLD, OLD])


def test_what_new_nodes_say_that_cannot_be_configured_ends_an_update_that_waits_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when no node of a new image boots well: the nodes of the version before have left."""
    lift(world)
    world.deploy()
    hook = {"LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "HeartbeatTimeout": 2700}
    world.aws.client("autoscaling").put_lifecycle_hook(
        AutoScalingGroupName=GROUP, LifecycleHookName=refusals.HOOK, DefaultResult="ABANDON", **hook
    )
    world.count = 2

    def last_words(_: str, instance: str) -> refusals.Refusal:
        return refusals.Refusal(instance, "It did not boot as its image wants.", world.now())

    monkeypatch.setattr(refusals, "_last_words", last_words)
    with pytest.raises(NodesNotReady, match=r"cannot apply the configuration.* says: It did not boot as its image"):
        world.deploy()
    assert len(world.looks) * BETWEEN_LOOKS < 900
    assert any("another node in the place of i-" in look for look in world.looks)
