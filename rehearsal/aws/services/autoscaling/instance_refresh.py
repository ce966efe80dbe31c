"""An instance refresh: the instances of a group are replaced, a few at a time, as its preferences say."""

import datetime
import uuid
from dataclasses import dataclass, field
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import work

from . import decisions
from .groups import Answer, Groups
from .scaling_activities import Group, Member

RUNNING = frozenset({"Pending", "InProgress", "Cancelling"})
# AWS seconds.
BEGIN_SECONDS = 10  # InProgress after 3 (DevopsArtFactory/goployer#121)
PATIENCE_SECONDS = 3600  # without progress; an assumption: the hour of Wait (API reference, RefreshPreferences)
# An assumption; about 90 were seen with a load balancer's health checks (repost.aws, QU9RKhLxhnSRGeKNlRWkP_2A).
BETWEEN_SECONDS = 10


@dataclass
class Refresh:
    """What StartInstanceRefresh began."""

    group: Group
    preferences: dict[str, Any]
    wanted: dict[str, Any] | None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "Pending"
    reason: str = ""
    started: datetime.datetime | None = None
    ended: datetime.datetime | None = None
    percentage: int = 0
    to_update: int = 0

    def run(self) -> None:
        """Replace what is to be replaced; a task of its own."""
        clock = self.group.aws.clock
        clock.sleep(BEGIN_SECONDS, lambda: self.status == "Cancelling")
        if self.status == "Pending":  # one that was cancelled before has never begun
            self.started = clock.datetime()
            self.status = "InProgress"
            self._replace()
        if self.status == "Cancelling":
            self.status, self.reason = "Cancelled", "Cancelled due to user request."
        elif self.status == "InProgress":
            self.percentage, self.to_update, self.status = 100, 0, "Successful"
            if self.wanted:
                self.group.settings["LaunchTemplate"] = self.wanted["LaunchTemplate"]
        self.ended = clock.datetime()
        clock.wake()

    def _replace(self) -> None:
        outdated = self._outdated()
        total = len(outdated)
        while outdated and self.status == "InProgress":
            self.to_update = len(outdated)
            self.percentage = (total - len(outdated)) * 100 // total
            self._until_resumed()
            surplus = decisions.surplus(self.group.desired, int(self.preferences["MaxHealthyPercentage"]))
            if surplus:
                batch = outdated[:surplus]
                fresh = self._launch_first(len(batch))
            else:
                count = decisions.removable(self.group.desired, int(self.preferences["MinHealthyPercentage"]))
                batch, fresh = outdated[:count], True
            self._until_resumed()
            if not fresh or self.status != "InProgress":
                return
            self._end(batch)
            if not surplus and not self._until_full():
                return
            self.group.aws.clock.sleep(BETWEEN_SECONDS, self._interrupted)
            outdated = [member for member in outdated if member not in batch and not member.leaving]

    def _outdated(self) -> list[Member]:
        """The instances to replace, those with the oldest template first."""
        shown, _ = self.group.template()
        members = self.group.living
        if self.preferences.get("SkipMatching"):
            members = [member for member in members if dict(member.template) != shown]
        return sorted(members, key=lambda member: (int(member.template["Version"]), member.launched))

    def _launch_first(self, count: int) -> bool:
        """Start as many new ones beside the old; False if they did not come into service."""
        with self.group.lock:
            before = self._serving()
            self.group.surplus += count
        self.group.reconcile("an instance was started in response to an instance refresh")
        clock = self.group.aws.clock
        clock.sleep(PATIENCE_SECONDS, lambda: self._serving() >= before + count or self._interrupted())
        if self._serving() < before + count:
            self._give_up(count)
            return False
        clock.sleep(self._warm_up(), self._interrupted)
        return self.status == "InProgress"

    def _give_up(self, count: int) -> None:
        if self.status == "InProgress":
            self.status = "Failed"
            self.reason = (
                f"There were no instances that came into service for {PATIENCE_SECONDS // 60} minutes. The most recent "
                f"activity: {self._newest_failure()}"
            )
        with self.group.lock:
            self.group.surplus -= count
        self.group.reconcile("an instance was taken out of service as the instance refresh has ended")

    def _end(self, batch: list[Member]) -> None:
        clock = self.group.aws.clock
        with self.group.lock:
            self.group.surplus = max(0, self.group.surplus - len(batch))
            for member in batch:
                self.group.end(member, "an instance was taken out of service in response to an instance refresh.")
        clock.sleep(PATIENCE_SECONDS, lambda: all(member.state == "Terminated" for member in batch))

    def _until_full(self) -> bool:
        clock = self.group.aws.clock
        clock.sleep(PATIENCE_SECONDS, lambda: self._serving() >= self.group.desired or self._interrupted())
        if self._serving() < self.group.desired:
            self._give_up(0)
            return False
        clock.sleep(self._warm_up(), self._interrupted)
        return True

    def _until_resumed(self) -> None:
        """Replace nothing while the process InstanceRefresh is suspended (as-suspend-resume-processes)."""
        while "InstanceRefresh" in self.group.suspended and not self._interrupted():
            self.group.aws.clock.sleep(
                PATIENCE_SECONDS, lambda: "InstanceRefresh" not in self.group.suspended or self._interrupted()
            )

    def _serving(self) -> int:
        return sum(member.state == "InService" and not member.leaving for member in list(self.group.members))

    def _warm_up(self) -> float:
        given = self.preferences.get("InstanceWarmup")
        settings = self.group.settings
        default = settings.get("DefaultInstanceWarmup", 300)
        return float(given if given is not None else default)

    def _interrupted(self) -> bool:
        return self.status != "InProgress" or self.group.deleted

    def _newest_failure(self) -> str:
        failed = [one for one in self.group.activities if one.status in ("Failed", "Cancelled")]
        return f"{failed[-1].description}: {failed[-1].message}" if failed else "none failed"


PREFERENCES = frozenset({"MinHealthyPercentage", "MaxHealthyPercentage", "InstanceWarmup", "SkipMatching"})


@dataclass(frozen=True)
class InstanceRefreshes:
    """The operations on instance refreshes."""

    aws: LocalAws
    groups: Groups
    refreshes: list[Refresh] = field(default_factory=list)

    def start_instance_refresh(self, call: Call) -> Answer:
        group = self.groups.group(call)
        if any(refresh.group is group and refresh.status in RUNNING for refresh in self.refreshes):
            raise ServiceError(
                "InstanceRefreshInProgress",
                "An Instance Refresh is already in progress and blocks the execution of this.",
            )
        if call.get("Strategy", "Rolling") != "Rolling":
            raise ServiceError("ValidationError", "The rehearsal knows instance refreshes of strategy Rolling only.")
        given = {key: value for key, value in (call.get("Preferences") or {}).items() if value not in (None, [], False)}
        if unknown := sorted(set(given) - PREFERENCES):
            raise ServiceError("ValidationError", f"The rehearsal does not know the preference {', '.join(unknown)}.")
        low, high = given.get("MinHealthyPercentage", 90), given.get("MaxHealthyPercentage", 100)
        if "MaxHealthyPercentage" in given and "MinHealthyPercentage" not in given:
            raise ServiceError("ValidationError", "You must specify MinHealthyPercentage with MaxHealthyPercentage.")
        if high - low > 100 or not 100 <= high <= 200:
            raise ServiceError(
                "ValidationError", "MaxHealthyPercentage is 100 to 200, and at most 100 above MinHealthyPercentage."
            )
        preferences = {**given, "MinHealthyPercentage": low, "MaxHealthyPercentage": high}
        wanted = call.get("DesiredConfiguration")
        if wanted:
            group.settings = {**group.settings, "LaunchTemplate": wanted["LaunchTemplate"]}
        group.template()
        refresh = Refresh(group, preferences, wanted)
        self.refreshes.append(refresh)
        work.start(self.aws.clock, refresh.run)
        return {"InstanceRefreshId": refresh.id}

    def describe_instance_refreshes(self, call: Call) -> Answer:
        group = self.groups.group(call)
        wanted = call.get("InstanceRefreshIds")
        shown = [
            _refresh(refresh)
            for refresh in reversed(self.refreshes)
            if refresh.group is group and (not wanted or refresh.id in wanted)
        ]
        return call.page("InstanceRefreshes", shown)

    def cancel_instance_refresh(self, call: Call) -> Answer:
        group = self.groups.group(call)
        for refresh in self.refreshes:
            if refresh.group is group and refresh.status in RUNNING:
                refresh.status = "Cancelling"
                self.aws.clock.wake()
                return {"InstanceRefreshId": refresh.id}
        raise ServiceError("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found.")


def _refresh(refresh: Refresh) -> Answer:
    return {
        "InstanceRefreshId": refresh.id,
        "AutoScalingGroupName": refresh.group.name,
        "Status": refresh.status,
        "StatusReason": refresh.reason or None,
        "StartTime": refresh.started,
        "EndTime": refresh.ended,
        "PercentageComplete": refresh.percentage,
        "InstancesToUpdate": refresh.to_update,
        "Preferences": refresh.preferences,
        "DesiredConfiguration": refresh.wanted,
        "Strategy": "Rolling",
    }
