"""Targets of load balancers on the local AWS: their health, what Auto Scaling registers, and how they drain."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rehearsal.aws.services.autoscaling import scaling_activities
from rehearsal.aws.services.elbv2.targets import matches
from tests.unit.rehearsal.balanced_account import DELAY, GROUP, INTERVAL, MODULES, Account
from tests.unit.rehearsal.fake_hosts import local_aws
from tests.waiting import until


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setattr(scaling_activities, "LAST_WORK_SECONDS", 0.01)
    with local_aws(tmp_path, modules=MODULES) as local:
        yield Account(local)


def silent() -> int:
    raise TimeoutError


def refused() -> int:
    raise ConnectionRefusedError


def wrong() -> int:
    raise KeyError("eni-0")


def test_an_instance_is_a_target_when_it_gets_in_service_and_healthy_after_one_success(account: Account) -> None:
    account.create()
    account.aws.clock.sleep(5)
    assert account.health() == {}
    seen: dict[str, list[str]] = {}
    until = account.aws.clock.now() + 600
    while len(seen) < 2 or any(states[-1] != "healthy" for states in seen.values()):
        for instance, state in account.health().items():
            states = seen.setdefault(instance, [])
            if state not in states:
                states.append(state)
        account.aws.clock.sleep(0.5)
        assert account.aws.clock.now() < until, seen
    each = ["initial Elb.RegistrationInProgress", "initial Elb.InitialHealthChecking", "healthy"]
    assert seen == dict.fromkeys(account.in_service(), each)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: 503, "Target.ResponseCodeMismatch"),
        (silent, "Target.Timeout"),
        (refused, "Target.FailedHealthChecks"),
    ],
)
def test_a_target_that_fails_its_checks_is_unhealthy_until_enough_succeed(
    account: Account, answer: Callable[[], int], reason: str
) -> None:
    account.create(1)
    (instance,) = account.healthy(1)
    account.answers[instance] = answer
    account.aws.clock.sleep(INTERVAL)
    assert account.health() == {instance: "healthy"}
    account.aws.clock.sleep(INTERVAL + 1)
    assert account.health() == {instance: f"unhealthy {reason}"}
    del account.answers[instance]
    account.aws.clock.sleep(2 * INTERVAL)
    assert account.health() == {instance: f"unhealthy {reason}"}
    account.aws.clock.sleep(INTERVAL + 1)
    assert account.health() == {instance: "healthy"}
    assert account.instances() == {instance: "InService"}


def test_a_check_that_fails_for_a_fault_of_the_rehearsal_does_not_end_the_others(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.create(2)
    first, second = account.healthy(2)
    account.answers[first] = wrong
    account.answers[second] = silent
    account.aws.clock.sleep(2 * INTERVAL + 1)
    assert account.health() == {first: "healthy", second: "unhealthy Target.Timeout"}
    assert f"the health check of {first} failed" in caplog.text


def test_a_target_behind_a_closed_security_group_is_never_healthy(account: Account) -> None:
    account.ec2.revoke_security_group_ingress(GroupId=account.nodes, IpPermissions=account.rule)
    account.create(1)
    (instance,) = account.in_service(1)
    account.aws.clock.sleep(3 * INTERVAL)
    assert account.health() == {instance: "unhealthy Target.Timeout"}
    account.ec2.authorize_security_group_ingress(GroupId=account.nodes, IpPermissions=account.rule)
    account.aws.clock.sleep(4 * INTERVAL)
    assert account.health() == {instance: "healthy"}


def test_targets_of_a_group_without_a_listener_are_unused(account: Account) -> None:
    unused = account.target_group("unused")
    account.create(1, TargetGroupARNs=[unused])
    (instance,) = account.in_service(1)
    account.aws.clock.sleep(60)
    assert account.health(unused) == {instance: "unused Target.NotInUse"}
    account.listen(81, unused)
    account.aws.clock.sleep(INTERVAL + 1)
    assert account.health(unused) == {instance: "healthy"}
    assert account.health(account.targets, instance) == {instance: "unused Target.NotRegistered"}


def test_an_instance_that_leaves_drains_before_its_hook_is_asked(account: Account) -> None:
    hook = {
        "LifecycleHookName": "stop",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "DefaultResult": "CONTINUE",
        "HeartbeatTimeout": 300,
    }
    account.create(2, [hook])
    instances = account.healthy()
    account.size(1)
    account.until(lambda: "Terminating" in account.instances().values())
    (leaving,) = [each for each, state in account.instances().items() if state == "Terminating"]
    (staying,) = set(instances) - {leaving}
    began = account.aws.clock.now()
    draining = {staying: "healthy", leaving: "draining Target.DeregistrationInProgress"}
    until(lambda: account.health() == draining, "the instance to drain")
    activities = account.autoscaling.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]
    assert activities[0]["StatusCode"] == "WaitingForELBConnectionDraining"
    account.until(lambda: account.instances().get(leaving) == "Terminating:Wait")
    assert account.aws.clock.now() - began >= DELAY - 6
    assert account.health() == {staying: "healthy"}


def test_an_instance_that_someone_ends_is_no_target_any_more(account: Account) -> None:
    account.create(2)
    first, second = account.healthy()
    account.ec2.terminate_instances(InstanceIds=[first])  # answers before the shutdown begins
    leaving = {first: "draining Target.DeregistrationInProgress", second: "healthy"}
    until(lambda: account.health() == leaving, "the first instance to drain")
    account.aws.clock.sleep(DELAY + 1)
    assert first not in account.health()
    account.until(lambda: len(account.health()) == 2)


def test_target_groups_are_attached_and_detached_in_place(account: Account) -> None:
    other, client = account.target_group("second"), account.autoscaling
    account.listen(81, other)
    account.create(2)
    instances = account.healthy()

    def states() -> dict[str, str]:
        shown = client.describe_load_balancer_target_groups(AutoScalingGroupName=GROUP)["LoadBalancerTargetGroups"]
        return {each["LoadBalancerTargetGroupARN"]: each["State"] for each in shown}

    assert states() == {account.targets: "InService"}
    client.attach_load_balancer_target_groups(AutoScalingGroupName=GROUP, TargetGroupARNs=[other])
    assert states() == {account.targets: "InService", other: "Added"}
    account.until(lambda: account.health(other) == dict.fromkeys(instances, "healthy"))
    client.detach_load_balancer_target_groups(AutoScalingGroupName=GROUP, TargetGroupARNs=[account.targets])
    assert states() == {other: "InService", account.targets: "Removing"}
    assert account.health() == dict.fromkeys(instances, "draining Target.DeregistrationInProgress")
    account.aws.clock.sleep(DELAY + 1)
    assert (states(), account.health()) == ({other: "InService"}, {})
    assert account.instances() == dict.fromkeys(instances, "InService")


def test_a_stack_adds_changes_and_removes_target_groups_without_replacing_anything(account: Account) -> None:
    other, cloud = account.target_group("second"), account.aws.client("cloudformation")
    account.listen(81, other)

    def deploy(*groups: str, update: bool = True) -> None:
        properties = {
            "AutoScalingGroupName": GROUP,
            "MinSize": "1",
            "MaxSize": "1",
            "VPCZoneIdentifier": account.subnets,
            "LaunchTemplate": account.template,
            **({"TargetGroupARNs": list(groups)} if groups else {}),
        }
        body = {"Resources": {"Group": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": properties}}}
        act = cloud.update_stack if update else cloud.create_stack
        act(StackName="nodes", TemplateBody=json.dumps(body))
        done = ("UPDATE_COMPLETE", "CREATE_COMPLETE")
        account.until(lambda: cloud.describe_stacks(StackName="nodes")["Stacks"][0]["StackStatus"] in done)

    deploy(update=False)
    (instance,) = account.in_service(1)
    for groups in ([account.targets], [account.targets, other], [other], []):
        deploy(*groups)
        account.aws.clock.sleep(DELAY + 1)
        assert account.health() == ({instance: "healthy"} if account.targets in groups else {})
        assert account.health(other) == ({instance: "healthy"} if other in groups else {})
    assert account.instances() == {instance: "InService"}


def test_a_refresh_judges_by_the_checks_of_the_group_and_drains_what_it_ends(account: Account) -> None:
    """Of type EC2 they say nothing of targets: a refresh goes on although no new target gets healthy."""
    account.create(1)
    (old,) = account.healthy(1)
    account.aws.balancing.probe = lambda _group, target, _source: 200 if target.machine.id == old else 503
    account.autoscaling.start_instance_refresh(
        AutoScalingGroupName=GROUP,
        Preferences={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 60},
    )
    states: list[str] = []

    def is_over() -> bool:
        (refresh,) = account.autoscaling.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"]
        states.append(account.health(account.targets, old)[old].partition(" ")[0])
        return bool(refresh["Status"] == "Successful")

    account.until(is_over, within=1800)
    assert list(dict.fromkeys(states)) == ["healthy", "draining", "unused"]
    assert list(account.health().values()) == ["unhealthy Target.ResponseCodeMismatch"]


def test_a_group_of_no_target_group_is_refused(account: Account) -> None:
    missing = account.targets.replace("/first/", "/missing/")
    with pytest.raises(Exception, match="Provided Target Groups may not be valid"):
        account.create(1, TargetGroupARNs=[missing])


@pytest.mark.parametrize(
    ("codes", "status", "wanted"),
    [("200", 200, True), ("200", 201, False), ("200,302", 302, True), ("200-399", 399, True), ("200-399", 400, False)],
)
def test_a_matcher_has_codes_and_ranges(codes: str, status: int, wanted: bool) -> None:
    assert matches(codes, status) is wanted
