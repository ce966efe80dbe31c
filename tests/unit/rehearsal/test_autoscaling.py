"""Auto Scaling of the local AWS: groups that keep their size, hooks that hold instances, refreshes."""

import base64
import functools
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.autoscaling import decisions, scaling_activities
from rehearsal.aws.services.autoscaling.decisions import Candidate
from rehearsal.aws.services.autoscaling.launch_failures import REFUSALS
from rehearsal.aws.services.cloudformation.reasons import is_gone
from rehearsal.faults import Faults
from rehearsal.initial_account import InitialAccount
from tests.unit.rehearsal.fake_hosts import instance_profile, local_aws, subnets
from tests.waiting import until

GROUP = "workbench-nodes"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    monkeypatch.setattr(scaling_activities, "LAST_WORK_SECONDS", 0.01)
    with local_aws(tmp_path) as local:
        yield local


@pytest.fixture
def client(aws: LocalAws) -> Any:
    return aws.client("autoscaling")


@pytest.fixture
def template(aws: LocalAws) -> str:
    profile = instance_profile(aws)
    ec2 = aws.client("ec2")
    (image,) = ec2.describe_images()["Images"]
    made = ec2.create_launch_template(
        LaunchTemplateName="node",
        LaunchTemplateData={
            "ImageId": image["ImageId"],
            "InstanceType": "m6i.large",
            "IamInstanceProfile": {"Arn": profile},
            "UserData": base64.b64encode(b"#!/bin/sh\necho hello > greeting\n").decode(),
            "MetadataOptions": {"HttpTokens": "required"},
        },
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def create(aws: LocalAws, template: str, count: int = 2, hooks: Any = (), **more: Any) -> None:
    aws.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=count,
        VPCZoneIdentifier=",".join(subnets(aws, "ab")),
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        HealthCheckType="EC2",
        LifecycleHookSpecificationList=list(hooks),
        Tags=[{"Key": "Name", "Value": "node", "PropagateAtLaunch": True}],
        **more,
    )


def hook(transition: str, result: str = "CONTINUE", timeout: int = 900) -> dict[str, Any]:
    return {
        "LifecycleHookName": transition.lower(),
        "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
        "DefaultResult": result,
        "HeartbeatTimeout": timeout,
    }


def instances(aws: LocalAws) -> dict[str, str]:
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])[
        "AutoScalingGroups"
    ]
    return {one["InstanceId"]: one["LifecycleState"] for one in group["Instances"]}


def complete(client: Any, name: str, instance_id: str, result: str = "CONTINUE") -> None:
    client.complete_lifecycle_action(
        AutoScalingGroupName=GROUP, LifecycleHookName=name, InstanceId=instance_id, LifecycleActionResult=result
    )


def refuses(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    error = refused.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def new_version(aws: LocalAws, client: Any, template: str) -> None:
    data = aws.client("ec2").describe_launch_template_versions(LaunchTemplateId=template, Versions=["1"])
    old = data["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    aws.client("ec2").create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={**old, "InstanceType": "m6i.xlarge"}
    )
    client.update_auto_scaling_group(
        AutoScalingGroupName=GROUP, LaunchTemplate={"LaunchTemplateId": template, "Version": "2"}
    )


def refresh(client: Any, **more: Any) -> str:
    wanted = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150, "SkipMatching": True, "InstanceWarmup": 60}
    answer = client.start_instance_refresh(
        AutoScalingGroupName=GROUP, Strategy="Rolling", Preferences={**wanted, **more}
    )
    return str(answer["InstanceRefreshId"])


def refreshed(client: Any) -> dict[str, Any]:
    return dict(client.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"][0])


def launch_version(aws: LocalAws, template: str, size: int) -> None:
    """The second version of a launch template: with a root volume of a size in GiB."""
    ec2 = aws.client("ec2")
    data = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["1"])
    devices = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": size, "VolumeType": "gp3"}}]
    old = data["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={**old, "BlockDeviceMappings": devices}
    )


def test_a_root_volume_below_that_of_the_image_is_refused(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template, count=0)
    launch_version(aws, template, 7)
    second = {"LaunchTemplateId": template, "Version": "2"}
    refused = refuses(client.update_auto_scaling_group, AutoScalingGroupName=GROUP, LaunchTemplate=second)
    assert re.fullmatch(
        r"ValidationError: You must use a valid fully-formed launch template\. "
        r"Volume of size 7GB is smaller than snapshot 'snap-[0-9a-f]+', expect size>= 8GB",
        refused,
    )


def test_a_root_volume_has_the_size_of_the_launch_template(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template, count=0)
    launch_version(aws, template, 200)
    client.update_auto_scaling_group(
        AutoScalingGroupName=GROUP, LaunchTemplate={"LaunchTemplateId": template, "Version": "2"}, DesiredCapacity=1
    )
    aws.clock.sleep(300)
    volumes = aws.client("ec2").describe_volumes()["Volumes"]
    assert [volume["Size"] for volume in volumes if volume["Attachments"]] == [200]


def test_a_group_fills_itself_over_its_zones(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template)
    aws.clock.sleep(5)
    assert list(instances(aws).values()) == ["Pending", "Pending"]
    aws.clock.sleep(45)
    assert list(instances(aws).values()) == ["InService", "InService"]
    (group,) = client.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [one["AvailabilityZone"] for one in group["Instances"]] == ["us-east-1a", "us-east-1b"]
    (reservation, _) = aws.client("ec2").describe_instances()["Reservations"]
    tags = {tag["Key"]: tag["Value"] for tag in reservation["Instances"][0]["Tags"]}
    assert (tags["Name"], tags["aws:autoscaling:groupName"], tags["aws:ec2launchtemplate:version"]) == (
        "node",
        GROUP,
        "1",
    )
    aws.clock.sleep(60)
    assert [(host.files / "greeting").read_text() for host in aws.hosts.booted] == ["hello\n", "hello\n"]
    activities = client.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]
    assert [one["StatusCode"] for one in activities] == ["Successful", "Successful"]


def test_no_time_is_skipped_for_what_goes_on_when_an_account_has_ended(tmp_path: Path) -> None:
    """Launches that fail are tried again without end: with a clock that skips their pauses, all the time."""
    with local_aws(tmp_path) as aws:
        ended = aws.clock.now()
    pause = threading.Thread(target=aws.clock.wait, args=(3600,), daemon=True)
    pause.start()
    pause.join(0.2)
    assert aws.clock.now() - ended < 3600


@pytest.mark.parametrize("word", REFUSALS)
def test_a_launch_fails_on_order_and_succeeds_when_it_is_tried_again(
    aws: LocalAws, client: Any, template: str, word: str
) -> None:
    aws.faults = Faults([f"launch:{word},times=1"])
    aws.faults.begin()
    create(aws, template, count=1)
    aws.clock.sleep(scaling_activities.RETRY_SECONDS // 2)
    (failed,) = client.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]
    (image,) = aws.client("ec2").describe_images()["Images"]
    (group,) = client.describe_auto_scaling_groups()["AutoScalingGroups"]
    message = REFUSALS[word].format(
        type="m6i.large",
        zone="us-east-1a",
        subnet=group["VPCZoneIdentifier"].partition(",")[0],
        image=image["ImageId"],
        limit=256,
    )
    assert (failed["StatusCode"], failed["StatusMessage"]) == ("Cancelled" if word == "key" else "Failed", message)
    aws.clock.sleep(scaling_activities.RETRY_SECONDS * 2)
    assert [*instances(aws).values()] == ["InService"]


def test_no_more_vcpus_run_than_the_quota_allows(aws: LocalAws, client: Any, template: str) -> None:
    aws.initial_account = InitialAccount(vcpus=3)
    create(aws, template, count=2)
    aws.clock.sleep(scaling_activities.RETRY_SECONDS * 2 // 3)
    activities = client.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]
    assert sorted(activity["StatusCode"] for activity in activities) == ["Failed", "Successful"]
    (failed,) = (activity for activity in activities if activity["StatusCode"] == "Failed")
    assert "more vCPU capacity than your current vCPU limit of 3 allows" in failed["StatusMessage"]


def test_cloudformation_knows_what_is_gone_by_what_services_answer(aws: LocalAws, client: Any, template: str) -> None:
    ec2, ssm = aws.client("ec2"), aws.client("ssm")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    create(aws, template, count=0)
    for call in (
        functools.partial(client.delete_lifecycle_hook, AutoScalingGroupName="gone", LifecycleHookName="gone"),
        functools.partial(client.delete_lifecycle_hook, AutoScalingGroupName=GROUP, LifecycleHookName="gone"),
        functools.partial(client.update_auto_scaling_group, AutoScalingGroupName="gone", MinSize=0),
        functools.partial(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc),
        functools.partial(ssm.delete_document, Name="gone"),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert is_gone(caught.value), caught.value


def test_a_group_whose_launch_template_is_gone_can_only_be_deleted(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template, count=0)
    aws.client("ec2").delete_launch_template(LaunchTemplateId=template)
    with pytest.raises(ClientError, match="must use a valid fully-formed launch template") as caught:
        client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=0, MaxSize=0)
    assert not is_gone(caught.value)
    client.delete_auto_scaling_group(AutoScalingGroupName=GROUP)
    assert not client.describe_auto_scaling_groups()["AutoScalingGroups"]


def test_a_group_refuses_what_cannot_be(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template)
    resize = functools.partial(client.update_auto_scaling_group, AutoScalingGroupName=GROUP)
    assert refuses(resize, DesiredCapacity=9) == (
        "ValidationError: Desired capacity:9 must be between the specified min size:0 and max size:4"
    )
    assert refuses(resize, LaunchTemplate={"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "1"}).startswith(
        "ValidationError: You must use a valid fully-formed launch template."
    )
    until(lambda: instances(aws), "the first launch")
    assert refuses(client.delete_auto_scaling_group, AutoScalingGroupName=GROUP).startswith("ResourceInUse: ")
    assert refuses(client.update_auto_scaling_group, AutoScalingGroupName="another").startswith("ValidationError: ")


def test_an_instance_waits_in_its_hook_until_it_is_completed(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template, 1, [hook("LAUNCHING", "ABANDON")])
    aws.clock.sleep(100)
    ((instance_id, state),) = instances(aws).items()
    assert state == "Pending:Wait"
    assert aws.machines.by_id[instance_id].lifecycle_state() == "InService"
    assert aws.machines.by_id[instance_id].online
    complete(client, "launching", instance_id)
    aws.clock.sleep(5)
    assert instances(aws) == {instance_id: "InService"}
    assert refuses(functools.partial(complete, client), name="launching", instance_id=instance_id) == (
        f"ValidationError: No active Lifecycle Action found with instance ID {instance_id}"
    )


def test_an_abandoned_launch_is_tried_again(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template, 1, [hook("LAUNCHING", "ABANDON", 300)])
    aws.clock.sleep(100)
    (first,) = instances(aws)
    aws.clock.sleep(400)
    (second,) = instances(aws)
    assert second != first
    cancelled = client.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"][-1]
    assert cancelled["StatusCode"] == "Cancelled"
    assert cancelled["StatusMessage"].endswith("was abandoned: Heartbeat Timeout")


def test_a_smaller_group_ends_instances_through_their_hook(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template, 2, [hook("TERMINATING")])
    aws.clock.sleep(100)
    before = set(instances(aws))
    client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    aws.clock.sleep(20)
    states = instances(aws)
    (going,) = [instance_id for instance_id, state in states.items() if state == "Terminating:Wait"]
    machine = aws.machines.by_id[going]
    assert (machine.lifecycle_state(), machine.host.stopped) == ("Terminated", False)
    complete(client, "terminating", going)
    aws.clock.sleep(40)
    assert instances(aws) == dict.fromkeys(before - {going}, "InService")
    assert machine.host is None
    assert machine.instance.state == "terminated"


def test_an_instance_that_someone_ends_is_replaced(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template)
    aws.clock.sleep(100)
    before = set(instances(aws))
    lost = min(before)
    aws.client("ec2").terminate_instances(InstanceIds=[lost])
    aws.clock.sleep(120)
    after = instances(aws)
    assert (len(after), lost in after, set(after.values())) == (2, False, {"InService"})


def test_an_instance_that_someone_calls_unhealthy_is_replaced(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template)
    aws.clock.sleep(100)
    ill = min(instances(aws))
    wrong = functools.partial(client.set_instance_health, HealthStatus="Unhealthy")
    assert refuses(functools.partial(wrong, InstanceId="i-0")) == "ValidationError: Instance Id not found - i-0"
    client.set_instance_health(InstanceId=ill, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    aws.clock.sleep(120)
    after = instances(aws)
    assert (len(after), ill in after, set(after.values())) == (2, False, {"InService"})


def test_a_refresh_launches_before_it_ends_one_at_a_time(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template, 2, [hook("TERMINATING")])
    aws.clock.sleep(100)
    old = set(instances(aws))
    client.put_lifecycle_hook(AutoScalingGroupName=GROUP, **hook("LAUNCHING", "ABANDON"))
    new_version(aws, client, template)
    refresh(client)
    assert refuses(functools.partial(refresh, client)).startswith("InstanceRefreshInProgress: ")
    serving = []
    while refreshed(client)["Status"] in ("Pending", "InProgress"):
        states = instances(aws)
        serving.append(sum(state == "InService" for state in states.values()))
        assert len(states) <= 3
        for instance_id, state in states.items():
            if state.endswith(":Wait"):
                complete(client, "launching" if state.startswith("Pending") else "terminating", instance_id)
        aws.clock.sleep(5)
    assert (refreshed(client)["Status"], refreshed(client)["PercentageComplete"], min(serving)) == (
        "Successful",
        100,
        2,
    )
    assert not old & set(instances(aws))
    assert [host.stopped for host in aws.hosts.booted] == [True, True, False, False]
    refresh(client)
    aws.clock.sleep(30)
    assert (refreshed(client)["Status"], len(aws.hosts.booted)) == ("Successful", 4)  # all match


def test_a_refresh_whose_launches_are_abandoned_replaces_nothing(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template)
    aws.clock.sleep(100)
    old = instances(aws)
    client.put_lifecycle_hook(AutoScalingGroupName=GROUP, **hook("LAUNCHING", "ABANDON", 1800))
    new_version(aws, client, template)
    refresh(client)
    aws.clock.sleep(3700)
    assert refreshed(client)["Status"] == "Failed"
    assert "was abandoned: Heartbeat Timeout" in refreshed(client)["StatusReason"]
    aws.clock.sleep(60)
    assert instances(aws) == old


def test_a_refresh_pauses_while_its_process_is_suspended(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template, 1)
    aws.clock.sleep(100)
    old = set(instances(aws))
    new_version(aws, client, template)
    client.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["InstanceRefresh"])
    refresh(client)
    aws.clock.sleep(600)
    assert (refreshed(client)["Status"], set(instances(aws))) == ("InProgress", old)
    client.resume_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["InstanceRefresh"])
    for _ in range(100):
        if list(instances(aws).values()) == ["InService"] * 2:
            break
        aws.clock.sleep(5)
    client.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["InstanceRefresh"])
    aws.clock.sleep(7200)
    assert (refreshed(client)["Status"], list(instances(aws).values())) == ("InProgress", ["InService"] * 2)
    client.resume_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["InstanceRefresh"])
    aws.clock.sleep(300)
    assert (refreshed(client)["Status"], len(set(instances(aws)) - old)) == ("Successful", 1)


def test_a_refresh_can_be_cancelled(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template)
    aws.clock.sleep(100)
    assert refuses(client.cancel_instance_refresh, AutoScalingGroupName=GROUP).startswith(
        "ActiveInstanceRefreshNotFound"
    )
    new_version(aws, client, template)
    refresh(client)
    aws.clock.sleep(20)
    client.cancel_instance_refresh(AutoScalingGroupName=GROUP)
    aws.clock.sleep(100)
    assert refreshed(client)["Status"] == "Cancelled"
    assert list(instances(aws).values()) == ["InService", "InService"]


def test_an_operation_that_is_not_there_is_refused_by_name(client: Any) -> None:
    with pytest.raises(ClientError, match="does not implement autoscaling:DescribePolicies"):
        client.describe_policies()


def test_an_empty_group_can_be_deleted(aws: LocalAws, client: Any, template: str) -> None:
    create(aws, template)
    aws.clock.sleep(100)
    client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=0, MaxSize=0, DesiredCapacity=0)
    aws.clock.sleep(60)
    assert instances(aws) == {}
    client.delete_auto_scaling_group(AutoScalingGroupName=GROUP)
    assert client.describe_auto_scaling_groups()["AutoScalingGroups"] == []


@pytest.mark.parametrize(
    ("candidates", "count", "chosen"),
    [
        ([Candidate("i-1", "a", 1, 1), Candidate("i-2", "a", 1, 2), Candidate("i-3", "b", 1, 0)], 1, ["i-1"]),
        ([Candidate("i-1", "a", 2, 1), Candidate("i-2", "b", 1, 2)], 1, ["i-2"]),
        ([Candidate("i-1", "a", 1, 5), Candidate("i-2", "b", 1, 4)], 2, ["i-2", "i-1"]),
    ],
)
def test_the_default_termination_policy(candidates: list[Candidate], count: int, chosen: list[str]) -> None:
    assert decisions.choose_to_end(candidates, count) == chosen


@pytest.mark.parametrize(
    ("desired", "maximum", "more"), [(2, 150, 1), (3, 150, 1), (4, 150, 2), (1, 110, 1), (2, 100, 0), (2, 200, 2)]
)
def test_how_many_a_refresh_launches_first(desired: int, maximum: int, more: int) -> None:
    assert decisions.surplus(desired, maximum) == more
