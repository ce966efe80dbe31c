"""Auto Scaling groups at work: instances that come, wait in their hooks, and go, until the group is as it should be."""

import datetime
import functools
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends

from rehearsal.aws.calls import ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import account, work
from rehearsal.aws.services.ec2.instances import GROUP_TAG, Machine

from . import decisions
from .launch_failures import FAILED, REFUSALS, REFUSED

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
# AWS seconds. Assumptions: the user guide says only "periodically". The heartbeat: API reference, PutLifecycleHook.
# Three launches without a hook took 32 or 33 (awslabs/amazon-eks-ami#66), of which the instance itself takes 15.
SEEN_SECONDS = 15
PROCEED_SECONDS = 2
HEALTH_CHECK_SECONDS = 30
RETRY_SECONDS = 60
GONE_SECONDS = 600
DEFAULT_HEARTBEAT = 3600
# Wall seconds for which time does not run fast while a node that is to go does its last work.
LAST_WORK_SECONDS = 30.0


@dataclass
class Action:
    """A lifecycle action that waits for its result."""

    hook: str
    token: str
    deadline: float
    result: str = ""
    answered: threading.Event = field(default_factory=threading.Event)


@dataclass
class Activity:
    """A scaling activity, as DescribeScalingActivities shows it."""

    description: str
    cause: str
    started: datetime.datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "InProgress"
    message: str = ""
    ended: datetime.datetime | None = None


@dataclass
class Member:
    """An instance of a group."""

    machine: Machine
    template: Mapping[str, str]
    launched: float
    state: str = "Pending"
    healthy: bool = True
    leaving: bool = False
    action: Action | None = None

    @property
    def id(self) -> str:
        return self.machine.id


class Group:
    """One group: what is wanted (`settings`, in the shape of the API) and what is there."""

    def __init__(self, aws: LocalAws, name: str, settings: dict[str, Any]) -> None:
        self.aws = aws
        self.name = name
        self.settings = settings
        self.created = aws.clock.datetime()
        self.members: list[Member] = []
        self.hooks: dict[str, dict[str, Any]] = {}
        self.activities: list[Activity] = []
        self.suspended: set[str] = set()
        self.collected: set[str] = set()
        self.surplus = 0  # instances more than desired, while an instance refresh replaces some
        self.pending_launches = 0
        self.deleted = False
        self.lock = threading.RLock()

    @property
    def desired(self) -> int:
        return int(self.settings["DesiredCapacity"])

    @property
    def living(self) -> list[Member]:
        return [member for member in list(self.members) if not member.leaving]

    def member(self, instance_id: str) -> Member | None:
        return next((member for member in list(self.members) if member.id == instance_id), None)

    def template(self) -> tuple[dict[str, str], dict[str, Any]]:
        """The launch template's id, name and version that are meant now, and its data. Refuses as AWS does."""
        wanted = self.settings["LaunchTemplate"]
        backend = ec2_backends[self.aws.account][self.aws.region]
        try:
            if wanted.get("LaunchTemplateId"):
                template = backend.get_launch_template(wanted["LaunchTemplateId"])
            else:
                template = backend.get_launch_template_by_name(wanted["LaunchTemplateName"])
            version = template.get_version(wanted.get("Version") or "$Default")
            image = version.data.get("ImageId", "")
            self.aws.machines.images.layer(image)
            for device in version.data.get("BlockDeviceMappings") or []:
                self.aws.machines.images.sized(device, image)
        except Exception as error:
            reason = getattr(error, "message", str(error))
            raise ServiceError(
                "ValidationError", f"You must use a valid fully-formed launch template. {reason}"
            ) from error
        shown = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "Version": str(version.number),
        }
        return shown, version.data

    def reconcile(self, cause: str) -> None:
        """Begin what makes the number of instances the wanted one."""
        with self.lock:
            if self.deleted:
                return
            more_than_wanted = len(self.living) - self.desired - self.surplus
            missing = -more_than_wanted - self.pending_launches
            if missing > 0 and "Launch" not in self.suspended:
                self.pending_launches += missing
                for _ in range(missing):
                    work.start(self.aws.clock, functools.partial(self._launch, cause))
            if (
                more_than_wanted > 0 and "Terminate" not in self.suspended
            ):  # a launch that may fail replaces no instance
                self._scale_in(more_than_wanted, cause)

    def end(self, member: Member, cause: str) -> None:
        """Begin to take an instance out, through the terminating hooks."""
        with self.lock:
            if member.leaving:
                return
            member.leaving = True
            member.state = "Terminating"
        work.start(self.aws.clock, functools.partial(self._end, member, cause))

    def complete(self, hook: str, result: str, *, token: str | None, instance_id: str | None) -> None:
        """CompleteLifecycleAction."""
        for member in list(self.members):
            action = member.action
            if (
                action
                and action.hook == hook
                and not action.result
                and (action.token == token or member.id == instance_id)
            ):
                action.result = result
                action.answered.set()
                self.aws.clock.wake()
                return
        wanted = f"token {token}" if token else f"instance ID {instance_id}"
        raise ServiceError("ValidationError", f"No active Lifecycle Action found with {wanted}")

    def heartbeat(self, hook: str, *, token: str | None, instance_id: str | None) -> None:
        """RecordLifecycleActionHeartbeat: the time-out starts again."""
        for member in list(self.members):
            action = member.action
            if action and action.hook == hook and (action.token == token or member.id == instance_id):
                action.deadline = self.aws.clock.now() + int(self.hooks[hook]["HeartbeatTimeout"])
                return
        wanted = f"token {token}" if token else f"instance ID {instance_id}"
        raise ServiceError("ValidationError", f"No active Lifecycle Action found with {wanted}")

    def lost(self, member: Member) -> None:
        """An instance was ended by someone else: the EC2 health check finds it, and it is replaced."""
        self.aws.clock.sleep(HEALTH_CHECK_SECONDS)
        member.healthy = False
        self._replace(member, "an EC2 health check indicating it has been terminated or stopped.")

    def judge(self, member: Member, *, healthy: bool) -> None:
        """SetInstanceHealth: an instance that someone calls unhealthy is replaced."""
        member.healthy = healthy
        if not healthy:
            work.start(self.aws.clock, functools.partial(self._replace_unhealthy, member))

    def _replace_unhealthy(self, member: Member) -> None:
        self.aws.clock.sleep(HEALTH_CHECK_SECONDS)
        if not member.healthy and "ReplaceUnhealthy" not in self.suspended:
            self._replace(member, "a user health-check.")

    def _replace(self, member: Member, answer_to: str) -> None:
        moment = self.aws.clock.datetime()
        cause = f"At {moment:%Y-%m-%dT%H:%M:%SZ} an instance was taken out of service in response to {answer_to}"
        self.end(member, cause)
        self.reconcile(cause)

    def _scale_in(self, count: int, cause: str) -> None:
        # An instance that is not in service yet is no loss.
        waiting = [member for member in self.living if member.state != "InService"][:count]
        serving = [member for member in self.living if member.state == "InService"]
        candidates = [
            decisions.Candidate(
                member.id,
                member.machine.availability_zone,
                int(member.template["Version"]),
                member.launched,
            )
            for member in serving
        ]
        chosen = decisions.choose_to_end(candidates, count - len(waiting))
        for member in [*waiting, *(member for member in serving if member.id in chosen)]:
            self.end(member, cause)

    def _launch(self, cause: str) -> None:
        clock = self.aws.clock
        activity = self._begin("Launching a new EC2 instance", cause)
        try:
            member, refusal = self._start_instance()
        except ServiceError as error:
            message = error.message if error.code == REFUSED else FAILED.format(error.message)
            self._finish(activity, "Failed", message)
            clock.sleep(RETRY_SECONDS, lambda: self.deleted)
            with self.lock:
                self.pending_launches -= 1
            self.reconcile(cause)
            return
        activity.description = f"Launching a new EC2 instance: {member.id}"
        if refusal:
            clock.sleep(PROCEED_SECONDS)
            self._finish(activity, "Cancelled", refusal)
            member.leaving = True  # it never ran: no hook is asked
            self.aws.machines.terminate(member.id)
            clock.sleep(RETRY_SECONDS, lambda: self.deleted)
            with self.lock:
                self.members.remove(member)
            self.reconcile(cause)
            return
        machine = member.machine
        clock.sleep(GONE_SECONDS, lambda: machine.ending or machine.instance.state == "running")
        clock.sleep(SEEN_SECONDS, lambda: machine.ending)
        for hook in [hook for hook in list(self.hooks.values()) if hook["LifecycleTransition"] == LAUNCHING]:
            result, why = self._wait_in(member, hook, "Pending:Wait")
            if machine.ending or member.leaving:
                break
            if result == "ABANDON":
                message = (
                    "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token "
                    f"{why[0]} was abandoned: {why[1]}"
                )
                self._finish(activity, "Cancelled", message)
                self.end(member, f"{member.id} was abandoned by the lifecycle hook {hook['LifecycleHookName']}.")
                self.reconcile(
                    "an instance was started in response to a difference between desired and actual capacity"
                )
                return
        if machine.ending or member.leaving:
            self._finish(activity, "Failed", "The instance was ended before it was in service.")
            return
        member.state = "Pending:Proceed"
        clock.sleep(PROCEED_SECONDS)
        if member.leaving:
            return
        try:
            for arn in self.settings["TargetGroupARNs"]:  # before it is in service (user guide, lifecycle hooks)
                self.aws.balancing.targets.register(arn, machine)
        except ServiceError as error:
            self._finish(activity, "Failed", FAILED.format(error.message))
            clock.sleep(RETRY_SECONDS, lambda: self.deleted)
            self.end(member, cause)
            self.reconcile(cause)
            return
        member.state = "InService"
        self._finish(activity, "Successful")
        self.reconcile(cause)  # fewer may be wanted by now
        clock.wake()

    def _start_instance(self) -> tuple[Member, str]:
        """Launch an instance; returned with why it ends at once, if it does. Refuses as AWS does."""
        shown, data = self.template()
        backend = ec2_backends[self.aws.account][self.aws.region]
        with self.lock:
            subnets = {
                backend.get_subnet(subnet).availability_zone: subnet
                for subnet in self.settings["VPCZoneIdentifier"].split(",")
            }
            occupied = [member.machine.availability_zone for member in self.living]
            zone = decisions.zone_for_launch(list(subnets), occupied)
            interface = (data.get("NetworkInterfaces") or [{}])[0]
            profile = data.get("IamInstanceProfile") or {}
            refusal = self._refusal(zone, subnets[zone], data)
            tags = {tag["Key"]: tag["Value"] for tag in self.settings.get("Tags") or [] if tag.get("PropagateAtLaunch")}
            machine = self.aws.machines.launch(
                image_id=data["ImageId"],
                instance_type=data.get("InstanceType", "m5.large"),
                subnet_id=subnets[zone],
                security_group_ids=data.get("SecurityGroupIds") or interface.get("Groups") or [],
                profile=profile.get("Arn") or profile.get("Name"),
                user_data=data.get("UserData"),
                tags={GROUP_TAG: self.name, **tags},
                metadata_options=data.get("MetadataOptions") or {},
                launch_template={"LaunchTemplateId": shown["LaunchTemplateId"], "Version": shown["Version"]},
            )
            member = Member(machine, shown, self.aws.clock.now())
            machine.lifecycle_state = lambda: "Terminated" if member.leaving else "InService"
            self.members.append(member)
            self.pending_launches -= 1
        return member, refusal

    def _refusal(self, zone: str, subnet: str, data: Mapping[str, Any]) -> str:
        """Why an instance that is launched ends at once; raises where none is launched."""
        if not account.role_works(self.aws, "autoscaling"):
            raise ServiceError(REFUSED, "Authentication Failure. Launching EC2 instance failed.")
        fault = self.aws.faults.take("launch", group=self.name, zone=zone, type=data.get("InstanceType"))
        over_quota = account.is_over_quota(self.aws, str(data.get("InstanceType")))
        word = fault["word"] if fault else "quota" if over_quota else None
        if word is None:
            return ""
        text = REFUSALS[word].format(
            type=data.get("InstanceType"),
            zone=zone,
            subnet=subnet,
            image=data["ImageId"],
            limit=int(self.aws.initial_account.vcpus),
        )
        if word == "key":
            return text
        raise ServiceError(REFUSED, text)

    def _end(self, member: Member, cause: str) -> None:
        clock = self.aws.clock
        activity = self._begin(f"Terminating EC2 instance: {member.id}", cause)
        self._drain(member, activity)
        for hook in [hook for hook in list(self.hooks.values()) if hook["LifecycleTransition"] == TERMINATING]:
            result, _ = self._wait_in(member, hook, "Terminating:Wait")
            if result == "ABANDON":
                break  # the instance goes all the same, other hooks are not asked
        member.state = "Terminating:Proceed"
        self.aws.machines.terminate(member.id)
        clock.sleep(GONE_SECONDS, member.machine.gone.is_set)
        member.state = "Terminated"
        with self.lock:
            self.members.remove(member)
        self._finish(activity, "Successful")
        clock.wake()
        self.reconcile("an instance was started in response to a difference between desired and actual capacity")

    def _drain(self, member: Member, activity: Activity) -> None:
        """Deregister an instance, and wait until that has ended: before its hooks are asked (user guide, "How lifecycle
        hooks work").
        """
        arns = self.settings["TargetGroupARNs"]
        if not arns:
            return
        clock = self.aws.clock
        activity.status = "WaitingForELBConnectionDraining"
        until = max(self.aws.balancing.targets.deregister(arn, member.id) for arn in arns)
        clock.sleep(max(0.0, until - clock.now()), lambda: self.deleted or member.machine.ending)
        activity.status = "InProgress"

    def _wait_in(self, member: Member, hook: Mapping[str, Any], state: str) -> tuple[str, tuple[str, str]]:
        """Until someone completes the action or its time is over: the result, and token and reason."""
        clock = self.aws.clock
        action = Action(hook["LifecycleHookName"], str(uuid.uuid4()), clock.now() + int(hook["HeartbeatTimeout"]))
        member.action = action
        member.state = state
        if member.leaving and member.machine.host:
            action.answered.wait(LAST_WORK_SECONDS)  # the node works, at the speed of the wall
        launching = not member.leaving

        def over() -> bool:
            return bool(action.result) or self.deleted or (launching and (member.machine.ending or member.leaving))

        while not over() and (left := action.deadline - clock.now()) > 0:
            clock.sleep(left, over)
        member.action = None
        reason = f"Lifecycle Action Completed with {action.result} Result" if action.result else "Heartbeat Timeout"
        return action.result or hook["DefaultResult"], (action.token, reason)

    def _begin(self, description: str, cause: str) -> Activity:
        activity = Activity(description, cause, self.aws.clock.datetime())
        self.activities.append(activity)
        return activity

    def _finish(self, activity: Activity, status: str, message: str = "") -> None:
        activity.status, activity.message, activity.ended = status, message, self.aws.clock.datetime()


def refuse_unknown_targets(aws: LocalAws, arns: Iterable[str]) -> None:
    """Raise as AWS does where one of the target groups is not there."""
    known = aws.balancing.backend.target_groups if aws.balancing else {}
    if missing := [arn for arn in arns if arn not in known]:
        raise ServiceError(
            "ValidationError",
            f"Provided Target Groups may not be valid. Please ensure they exist and try again. ({', '.join(missing)})",
        )


def new_hook(given: Mapping[str, Any]) -> dict[str, Any]:
    kept = (
        "LifecycleHookName",
        "LifecycleTransition",
        "NotificationMetadata",
        "NotificationTargetARN",
        "RoleARN",
        "HeartbeatTimeout",
        "DefaultResult",
    )
    hook = {"HeartbeatTimeout": DEFAULT_HEARTBEAT, "DefaultResult": "ABANDON", "GlobalTimeout": 172_800}
    return {**hook, **{key: given[key] for key in kept if given.get(key) is not None}}
