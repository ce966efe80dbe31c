"""The operations on groups, their instances and tags."""

import functools
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from moto.ec2.models import ec2_backends

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import work
from rehearsal.aws.services.ec2.instances import Machine

from .scaling_activities import Group, Member, new_hook, refuse_unknown_targets

# Of CreateAutoScalingGroup and UpdateAutoScalingGroup: what the rehearsal keeps and heeds, or keeps and shows.
SETTINGS = frozenset(
    (
        *("MinSize", "MaxSize", "DesiredCapacity", "LaunchTemplate", "VPCZoneIdentifier", "HealthCheckType"),
        *("DefaultInstanceWarmup", "Tags", "TargetGroupARNs"),
    )
)

type Answer = dict[str, Any]


class Groups:
    """The groups of the account."""

    def __init__(self, aws: LocalAws) -> None:
        self.lock = threading.RLock()
        self._aws = aws
        self._groups: dict[str, Group] = {}

    def notice(self, machine: Machine) -> None:
        """An instance has changed. One that goes without its group's doing is replaced."""
        if not machine.ending or machine.gone.is_set():
            return
        for group in list(self._groups.values()):
            member = group.member(machine.id)
            if member and not member.leaving:
                work.start(self._aws.clock, functools.partial(group.lost, member))

    # Groups

    def create_auto_scaling_group(self, call: Call) -> Answer:
        name = call["AutoScalingGroupName"]
        if name in self._groups:
            raise ServiceError(
                "AlreadyExists", f"AutoScalingGroup by this name already exists - A group {name} exists."
            )
        self._refuse_unknown(call)
        settings = call.given(*SETTINGS)
        settings.setdefault("DesiredCapacity", settings["MinSize"])
        settings.setdefault("HealthCheckType", "EC2")
        settings["Tags"] = [_tag(name, tag) for tag in settings.get("Tags", [])]
        self._check(settings)
        settings["TargetGroupARNs"] = list(settings.get("TargetGroupARNs") or [])
        refuse_unknown_targets(self._aws, settings["TargetGroupARNs"])
        group = Group(self._aws, name, settings)
        group.template()
        for hook in call.get("LifecycleHookSpecificationList") or []:
            group.hooks[hook["LifecycleHookName"]] = new_hook(hook)
        self._groups[name] = group
        group.reconcile(
            self._by_user("a user request created an AutoScalingGroup changing the desired capacity", group)
        )
        return {}

    def update_auto_scaling_group(self, call: Call) -> Answer:
        group = self.group(call)
        self._refuse_unknown(call)
        given = call.given(*SETTINGS)
        settings = {**group.settings, **given}
        if "DesiredCapacity" not in given:
            settings["DesiredCapacity"] = min(
                max(settings["DesiredCapacity"], settings["MinSize"]), settings["MaxSize"]
            )
        self._check(settings)
        # "The values in the launch template are only validated when an Auto Scaling group that is using the launch
        # template is created or updated" (EC2 Auto Scaling user guide): whatever is updated.
        Group(self._aws, group.name, settings).template()
        group.settings = settings
        group.reconcile(self._by_user("a user request update of AutoScalingGroup constraints", group))
        return {}

    def set_desired_capacity(self, call: Call) -> Answer:
        group = self.group(call)
        settings = {**group.settings, "DesiredCapacity": call["DesiredCapacity"]}
        self._check(settings)
        group.settings = settings
        group.reconcile(self._by_user("a user request explicitly set group desired capacity", group))
        return {}

    def delete_auto_scaling_group(self, call: Call) -> Answer:
        group = self.group(call)
        if group.members and not call.get("ForceDelete"):
            raise ServiceError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        group.deleted = True
        for member in list(group.members):
            member.leaving = True
            self._aws.machines.terminate(member.id)
        del self._groups[group.name]
        self._aws.clock.wake()
        return {}

    def describe_auto_scaling_groups(self, call: Call) -> Answer:
        names = call.get("AutoScalingGroupNames")
        groups = [group for group in self._groups.values() if not names or group.name in names]
        for item in call.get("Filters") or []:
            groups = [group for group in groups if _tagged(group, item)]
        return call.page("AutoScalingGroups", [self._shown(group) for group in groups])

    def terminate_instance_in_auto_scaling_group(self, call: Call) -> Answer:
        for group in self._groups.values():
            member = group.member(call["InstanceId"])
            if member:
                if call["ShouldDecrementDesiredCapacity"]:
                    settings = {**group.settings, "DesiredCapacity": group.desired - 1}
                    self._check(settings)
                    group.settings = settings
                group.end(member, self._by_user("an instance was taken out of service in response to a request", group))
                group.reconcile(
                    "an instance was started in response to a difference between desired and actual capacity"
                )
                return {"Activity": _activity(group, group.activities[-1])} if group.activities else {}
        raise ServiceError(
            "ValidationError", f"Instance Id not found - No managed instance found for {call['InstanceId']}"
        )

    def set_instance_health(self, call: Call) -> Answer:
        if call["HealthStatus"] not in ("Healthy", "Unhealthy"):
            raise ServiceError("ValidationError", "Valid instance health states are: [Healthy, Unhealthy].")
        for group in self._groups.values():
            member = group.member(call["InstanceId"])
            if member:
                group.judge(member, healthy=call["HealthStatus"] == "Healthy")
                return {}
        raise ServiceError("ValidationError", f"Instance Id not found - {call['InstanceId']}")

    def suspend_processes(self, call: Call) -> Answer:
        self.group(call).suspended |= set(call.get("ScalingProcesses") or ["Launch", "Terminate"])
        return {}

    def resume_processes(self, call: Call) -> Answer:
        group = self.group(call)
        group.suspended -= set(call.get("ScalingProcesses") or group.suspended)
        group.reconcile("a process was resumed")
        return {}

    def enable_metrics_collection(self, call: Call) -> Answer:
        if call["Granularity"] != "1Minute":
            raise ServiceError("ValidationError", "The only valid granularity is 1Minute.")
        self.group(call).collected |= set(call["Metrics"])
        return {}

    def disable_metrics_collection(self, call: Call) -> Answer:
        group = self.group(call)
        group.collected -= set(call.get("Metrics") or group.collected)
        return {}

    def _check(self, settings: Mapping[str, Any]) -> None:
        low, wanted, high = settings["MinSize"], settings["DesiredCapacity"], settings["MaxSize"]
        if low > high:
            raise ServiceError(
                "ValidationError", f"Max bound, {high}, must be greater than or equal to min bound, {low}"
            )
        if not low <= wanted <= high:
            raise ServiceError(
                "ValidationError",
                f"Desired capacity:{wanted} must be between the specified min size:{low} and max size:{high}",
            )
        if not settings.get("VPCZoneIdentifier") or not settings.get("LaunchTemplate"):
            raise ServiceError("ValidationError", "A group of the rehearsal has VPCZoneIdentifier and LaunchTemplate.")
        if settings["HealthCheckType"] != "EC2":
            raise ServiceError("ValidationError", "The rehearsal knows health checks of type EC2 only.")
        subnets = ec2_backends[self._aws.account][self._aws.region]
        for subnet in settings["VPCZoneIdentifier"].split(","):
            try:
                subnets.get_subnet(subnet)
            except Exception as error:
                raise ServiceError("ValidationError", f"The subnet ID '{subnet}' does not exist") from error

    def _refuse_unknown(self, call: Call) -> None:
        known = SETTINGS | {"AutoScalingGroupName", "LifecycleHookSpecificationList", "AvailabilityZones"}
        given = {key for key, value in call.parameters.items() if value not in (None, [], {})}
        if unknown := sorted(given - known):
            raise ServiceError("ValidationError", f"The rehearsal's Auto Scaling does not know {', '.join(unknown)}.")

    def group(self, call: Call) -> Group:
        group = self._groups.get(call["AutoScalingGroupName"])
        if group is None:
            raise ServiceError(
                "ValidationError", f"AutoScalingGroup name not found - no such group: {call['AutoScalingGroupName']}"
            )
        return group

    def _by_user(self, what: str, group: Group) -> str:
        return f"At {self._aws.clock.datetime():%Y-%m-%dT%H:%M:%SZ} {what} to {group.desired}."

    def _shown(self, group: Group) -> Answer:
        settings = group.settings
        backend = ec2_backends[self._aws.account][self._aws.region]
        zones = [backend.get_subnet(subnet).availability_zone for subnet in settings["VPCZoneIdentifier"].split(",")]
        return {
            "DefaultCooldown": 300,
            "HealthCheckGracePeriod": 0,
            "TerminationPolicies": ["Default"],
            "NewInstancesProtectedFromScaleIn": False,
            "LoadBalancerNames": [],
            "EnabledMetrics": [{"Metric": name, "Granularity": "1Minute"} for name in sorted(group.collected)],
            **settings,
            "LaunchTemplate": _launch_template(group),
            "AutoScalingGroupName": group.name,
            "AutoScalingGroupARN": (
                f"arn:aws:autoscaling:{self._aws.region}:{self._aws.account}:autoScalingGroup:"
                f"{uuid.uuid5(uuid.NAMESPACE_DNS, group.name)}:autoScalingGroupName/{group.name}"
            ),
            "AvailabilityZones": sorted(set(zones)),
            "CreatedTime": group.created,
            "Instances": [_instance(member) for member in list(group.members)],  # some may be leaving just now
            "SuspendedProcesses": [{"ProcessName": name} for name in sorted(group.suspended)],
            "ServiceLinkedRoleARN": (
                f"arn:aws:iam::{self._aws.account}:role/aws-service-role/autoscaling.amazonaws.com/"
                "AWSServiceRoleForAutoScaling"
            ),
        }

    def describe_scaling_activities(self, call: Call) -> Answer:
        groups = [self.group(call)] if call.get("AutoScalingGroupName") else list(self._groups.values())
        shown = [_activity(group, activity) for group in groups for activity in reversed(group.activities)]
        if wanted := call.get("ActivityIds"):
            shown = [one for one in shown if one["ActivityId"] in wanted]
        return call.page("Activities", shown, 100)

    # Tags

    def create_or_update_tags(self, call: Call) -> Answer:
        for tag in call["Tags"]:
            group = self._group_of(tag)
            others = [one for one in group.settings["Tags"] if one["Key"] != tag["Key"]]
            group.settings["Tags"] = [*others, _tag(group.name, tag)]
        return {}

    def delete_tags(self, call: Call) -> Answer:
        for tag in call["Tags"]:
            group = self._group_of(tag)
            group.settings["Tags"] = [one for one in group.settings["Tags"] if one["Key"] != tag["Key"]]
        return {}

    def _group_of(self, tag: Mapping[str, Any]) -> Group:
        group = self._groups.get(tag["ResourceId"])
        if group is None:
            raise ServiceError(
                "ValidationError", f"AutoScalingGroup name not found - no such group: {tag['ResourceId']}"
            )
        return group


def _launch_template(group: Group) -> dict[str, str]:
    """Id, name and the version as it was given; a template that is gone is shown as it was given."""
    given = group.settings["LaunchTemplate"]
    try:
        shown, _ = group.template()
    except ServiceError:
        return dict(given)
    version = {"Version": given["Version"]} if given.get("Version") else {}
    return {key: shown[key] for key in ("LaunchTemplateId", "LaunchTemplateName")} | version


def _tag(group: str, tag: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ResourceId": group,
        "ResourceType": "auto-scaling-group",
        "Key": tag["Key"],
        "Value": tag.get("Value") or "",
        "PropagateAtLaunch": bool(tag.get("PropagateAtLaunch", True)),
    }


def _tagged(group: Group, item: Mapping[str, Any]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in group.settings["Tags"]}
    if item["Name"].startswith("tag:"):
        return tags.get(item["Name"][4:]) in item["Values"]
    if item["Name"] == "tag-key":
        return any(key in item["Values"] for key in tags)
    return any(value in item["Values"] for value in tags.values())


def _health(member: Member) -> str:
    return "Healthy" if member.healthy else "Unhealthy"


def _instance(member: Member) -> Answer:
    return {
        "InstanceId": member.id,
        "InstanceType": member.machine.instance_type,
        "AvailabilityZone": member.machine.availability_zone,
        "LifecycleState": member.state,
        "HealthStatus": _health(member),
        "LaunchTemplate": dict(member.template),
        "ProtectedFromScaleIn": False,
    }


def _activity(group: Group, activity: Any) -> Answer:
    return {
        "ActivityId": activity.id,
        "AutoScalingGroupName": group.name,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started,
        "EndTime": activity.ended,
        "StatusCode": activity.status,
        "StatusMessage": activity.message or None,
        "Progress": 100 if activity.ended else 50,
        "Details": "{}",
    }
