"""The targets of target groups and their health, which real requests find out, at the pace of the target group.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

import functools
import http.client
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.services import work
from rehearsal.aws.services.ec2.firewall import Party, allows

from .model import Balancing

logger = logging.getLogger(__name__)

# An assumption; the first health check comes "immediately" (kubernetes-sigs/aws-load-balancer-controller#1834).
REGISTRATION_SECONDS = 5
"""AWS seconds for which a new target shows that it is being registered."""

DESCRIPTIONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.InvalidState": "Target is in the terminated state",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.Timeout": "Request timed out",
}
UNUSED = "Target group is not configured to receive traffic from the load balancer"
OTHER_ZONE = "Target is in an Availability Zone that is not enabled for the load balancer"


@dataclass(eq=False)
class Target:
    """One registered target; the states are those of DescribeTargetHealth."""

    machine: Any
    port: int
    registered: float
    next_check: float
    state: str = "initial"
    reason: str = ""
    description: str = ""
    successes: int = 0
    failures: int = 0
    drained_at: float = math.inf
    """When deregistration ends (AWS time), for one that is draining."""

    @property
    def leaving(self) -> bool:
        return self.state == "draining"

    def note(self, failure: tuple[str, str] | None, healthy: int, unhealthy: int) -> bool:
        """Count a check, which failed for a reason with a description or not; whether the state changed."""
        before = self.state
        if failure is None:
            self.successes, self.failures = self.successes + 1, 0
            if self.state == "initial" or (self.state == "unhealthy" and self.successes >= healthy):
                self.state, self.reason, self.description = "healthy", "", ""
        else:
            self.successes, self.failures = 0, self.failures + 1
            if self.failures >= unhealthy and self.state in ("initial", "healthy"):
                self.state = "unhealthy"
            if self.state == "unhealthy":
                self.reason, self.description = failure
        return self.state != before


@dataclass(eq=False)
class Targets:
    """The operations on targets, and their health checks."""

    balancing: Balancing
    _by_group: dict[str, dict[str, Target]] = field(default_factory=dict)
    _checking: bool = False
    _changes: int = 0

    def __post_init__(self) -> None:
        self.balancing.aws.machines.watchers.append(self._notice)

    # The API

    def register_targets(self, call: Call) -> Mapping[str, Any]:
        group = self.balancing.group(call["TargetGroupArn"])
        machines = [self._machine(group, each["Id"]) for each in call["Targets"]]
        for machine, each in zip(machines, call["Targets"], strict=True):
            self.register(group.arn, machine, each.get("Port"))
        return {}

    def deregister_targets(self, call: Call) -> Mapping[str, Any]:
        group = self.balancing.group(call["TargetGroupArn"])
        known = self._by_group.get(group.arn, {})
        if missing := [each["Id"] for each in call["Targets"] if each["Id"] not in known]:
            raise ServiceError("InvalidTarget", f"The following targets are not registered: {', '.join(missing)}")
        for each in call["Targets"]:
            self.deregister(group.arn, each["Id"])
        return {}

    def describe_target_health(self, call: Call) -> Mapping[str, Any]:
        group = self.balancing.group(call["TargetGroupArn"])
        known = {target.machine.id: target for target in self.of(group.arn)}
        asked = [each["Id"] for each in call.get("Targets") or []] or list(known)
        return {"TargetHealthDescriptions": [self._shown(group, each, known.get(each)) for each in asked]}

    def stop(self) -> None:
        """End the health checks."""
        with self.balancing.lock:
            self._by_group.clear()
            self._changes += 1
        self.balancing.aws.clock.wake()

    # What Auto Scaling and the load balancers themselves ask

    def of(self, arn: str) -> list[Target]:
        """The targets of a group; those whose deregistration has ended are gone."""
        now, targets = self.balancing.aws.clock.now(), self._by_group.setdefault(arn, {})
        for identifier, target in list(targets.items()):
            if now >= target.drained_at:
                targets.pop(identifier, None)  # Auto Scaling asks at the same moment
                if self.balancing.proxy:
                    self.balancing.proxy.cut(target)
        return list(targets.values())

    def register(self, arn: str, machine: Any, port: int | None = None) -> None:
        """Begin to check a target. Raises ServiceError where the group is gone."""
        group, now = self.balancing.group(arn), self.balancing.aws.clock.now()
        with self.balancing.lock:
            first_check = now + int(group.health_check_interval_seconds)
            self._by_group.setdefault(arn, {})[machine.id] = Target(machine, int(port or group.port), now, first_check)
            self._changes += 1
            if not self._checking:
                self._checking = True
                work.start(self.balancing.aws.clock, self._check_all)
        self.balancing.aws.clock.wake()

    def deregister(self, arn: str, instance_id: str) -> float:
        """Send no new requests to a target; the moment at which its deregistration has ended (AWS time)."""
        group, now = self.balancing.backend.target_groups.get(arn), self.balancing.aws.clock.now()
        target = self._by_group.get(arn, {}).get(instance_id)
        if group is None or target is None:
            return now
        if target.state != "draining":
            delay = int(group.attributes["deregistration_delay.timeout_seconds"])
            target.state, target.reason, target.drained_at = "draining", "Target.DeregistrationInProgress", now + delay
            target.description = DESCRIPTIONS[target.reason]
            self.balancing.aws.clock.wake()
        return target.drained_at

    def shown_state(self, group: Any, target: Target) -> tuple[str, str, str]:
        """State, reason and description as DescribeTargetHealth has them."""
        if target.state == "draining":
            return target.state, target.reason, target.description
        if not group.load_balancer_arns:
            return "unused", "Target.NotInUse", UNUSED
        if target.machine.availability_zone not in self._zones(group):
            return "unused", "Target.NotInUse", OTHER_ZONE
        if target.state != "initial":
            return target.state, target.reason, target.description
        recent = self.balancing.aws.clock.now() < target.registered + REGISTRATION_SECONDS
        reason = "Elb.RegistrationInProgress" if recent else "Elb.InitialHealthChecking"
        return "initial", reason, DESCRIPTIONS[reason]

    def source(self, group: Any, target: Target) -> Party | None:
        """The load balancer's end of a connection to a target: its interface in the target's zone."""
        for arn in group.load_balancer_arns:
            for identifier in self.balancing.interfaces.get(arn, []):
                interface = self.balancing.ec2.enis.get(identifier)  # its load balancer may go meanwhile
                if interface and interface.subnet.availability_zone == target.machine.availability_zone:
                    return Party(interface.private_ip_address, frozenset(each.id for each in interface.group_set))
        return None

    def reachable(self, group: Any, target: Target) -> bool:
        """Whether the load balancer gets to a target, by the security groups of both and by its cable."""
        source, machine = self.source(group, target), target.machine
        if source is None or machine.host is None or not machine.connected:
            return False
        groups = frozenset(each.id for each in machine.instance.security_groups)
        return allows(self.balancing.ec2, source, Party(machine.address, groups), target.port)

    # Health checks

    def _check_all(self) -> None:
        """Check each target at its moment for as long as there are any. A task of its own."""
        clock = self.balancing.aws.clock
        while True:
            with self.balancing.lock:
                self.balancing.settle()
                due = [(group, target) for group, target in self._checked() if clock.now() >= target.next_check]
                changes, upcoming = self._changes, [target.next_check for _, target in self._checked()]
                upcoming += [
                    target.drained_at for arn in list(self._by_group) for target in self.of(arn) if target.leaving
                ]
                if not upcoming:
                    self._checking = False
                    return
            for group, target in due:
                try:
                    self._check(group, target)
                except Exception:  # the others are checked all the same
                    logger.exception("the health check of %s failed", target.machine.id)
            if not due:
                changed = functools.partial(self._changed_since, changes)
                clock.sleep(max(0.0, min(upcoming) - clock.now()), changed, patient=True)

    def _changed_since(self, changes: int) -> bool:
        return self._changes != changes

    def _checked(self) -> Iterator[tuple[Any, Target]]:
        for arn in list(self._by_group):
            group = self.balancing.backend.target_groups.get(arn)
            if group is None:
                del self._by_group[arn]
                continue
            yield from ((group, target) for target in self.of(arn) if not target.leaving)

    def _check(self, group: Any, target: Target) -> None:
        clock = self.balancing.aws.clock
        target.next_check = clock.now() + int(group.health_check_interval_seconds)
        if self.shown_state(group, target)[0] == "unused":
            return
        failure = self._failure(group, target)
        if target.note(failure, int(group.healthy_threshold_count), int(group.unhealthy_threshold_count)):
            clock.wake()

    def _failure(self, group: Any, target: Target) -> tuple[str, str] | None:
        """Reason and description of a failed health check; None when it succeeds."""
        if not self.reachable(group, target):  # no one answers, and nothing here is worth the wait
            return "Target.Timeout", DESCRIPTIONS["Target.Timeout"]
        try:
            status = self.balancing.probe(group, target, self.source(group, target))
        except TimeoutError:
            return "Target.Timeout", DESCRIPTIONS["Target.Timeout"]
        except (OSError, http.client.HTTPException):
            return "Target.FailedHealthChecks", DESCRIPTIONS["Target.FailedHealthChecks"]
        if matches(group.matcher["HttpCode"], status):
            return None
        return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"

    def _zones(self, group: Any) -> set[str]:
        balancers = map(self.balancing.backend.load_balancers.get, group.load_balancer_arns)
        return {subnet.availability_zone for balancer in balancers if balancer for subnet in balancer.subnets}

    def _notice(self, machine: Any) -> None:
        """An instance that ends is no target any more."""
        if machine.ending:
            for arn in list(self._by_group):
                self.deregister(arn, machine.id)

    def _machine(self, group: Any, identifier: str) -> Any:
        machine = self.balancing.aws.machines.by_id.get(identifier)
        if machine is None or machine.instance.vpc_id != group.vpc_id:
            raise ServiceError(
                "InvalidTarget",
                f"The following targets are not valid instances, or are not in the target group's VPC: '{identifier}'",
            )
        if machine.instance.state != "running":
            raise ServiceError(
                "InvalidTarget",
                f"The following targets are not in a running state and cannot be registered: '{identifier}'",
            )
        return machine

    def _shown(self, group: Any, identifier: str, target: Target | None) -> dict[str, Any]:
        reason = "Target.NotRegistered"
        state = self.shown_state(group, target) if target else ("unused", reason, DESCRIPTIONS[reason])
        health = {key: value for key, value in zip(("State", "Reason", "Description"), state, strict=True) if value}
        port = target.port if target else int(group.port)
        return {"Target": {"Id": identifier, "Port": port}, "HealthCheckPort": str(port), "TargetHealth": health}


def matches(codes: str, status: int) -> bool:
    """Whether a status is among the codes of a matcher: 200, 200,302 or 200-399."""
    ranges = (part.partition("-") for part in codes.split(","))
    return any(int(first) <= status <= int(last or first) for first, _, last in ranges)


type Probe = Callable[[Any, Target, Party | None], int]


def probe(group: Any, target: Target, source: Party | None) -> int:
    """The status with which a target answers a health check. Raises OSError or HTTPException where it does not."""
    bound = (source.address, 0) if source else None
    connection = http.client.HTTPConnection(
        target.machine.address,
        target.port,
        timeout=float(group.health_check_timeout_seconds),
        source_address=bound,
    )
    try:
        connection.request("GET", group.health_check_path, headers={"User-Agent": "ELB-HealthChecker/2.0"})
        return connection.getresponse().status
    finally:
        connection.close()
