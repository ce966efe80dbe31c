"""State Manager: documents that run on every instance that matches, now and when it appears."""

import datetime
import functools
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import work
from rehearsal.aws.services.ec2.instances import Machine

from .run_command import Prepare, Select, StepRun, run_steps, share

BEGIN_SECONDS = 5  # an assumption: a few seconds, as for a command
# Of an association that are not shown as they were given.
OWN = frozenset({"AssociationId", "AssociationVersion", "Tags"})


@dataclass
class Execution:
    """One run of an association; `statuses` are by instance."""

    id: str
    created: datetime.datetime
    statuses: dict[str, str] = field(default_factory=dict)


@dataclass
class Association:
    id: str
    given: dict[str, Any]
    created: datetime.datetime
    updated: datetime.datetime
    version: int = 1
    executions: list[Execution] = field(default_factory=list)
    turn: threading.Condition = field(default_factory=threading.Condition)
    running: int = 0
    deleted: bool = False


class Associations:
    """The associations of the account."""

    def __init__(self, aws: LocalAws, prepare: Prepare, select: Select) -> None:
        self._aws = aws
        self._prepare = prepare
        self._select = select
        self._associations: dict[str, Association] = {}

    def create_association(self, call: Call) -> dict[str, Any]:
        given = {key: value for key, value in call.given().items() if key not in OWN}
        self._check(given)
        if name := given.get("AssociationName"):
            for other in list(self._associations.values()):
                if other.given.get("AssociationName") == name:
                    raise ServiceError("AssociationAlreadyExists", f"The association {name} exists already.")
        given["_tags"] = {tag["Key"]: tag["Value"] for tag in call.get("Tags") or []}
        now = self._aws.clock.datetime()
        association = Association(str(uuid.uuid4()), given, now, now)
        self._associations[association.id] = association
        self._begin(association, self._select(given.get("Targets") or []))
        return {"AssociationDescription": self._description(association)}

    def update_association(self, call: Call) -> dict[str, Any]:
        association = self._found(call)
        given = {key: value for key, value in call.given().items() if key not in OWN}
        merged = {**association.given, **given}
        self._check(merged)
        association.given = merged
        association.version += 1
        association.updated = self._aws.clock.datetime()
        self._begin(association, self._select(merged.get("Targets") or []))
        return {"AssociationDescription": self._description(association)}

    def delete_association(self, call: Call) -> dict[str, Any]:
        association = self._found(call)
        association.deleted = True
        del self._associations[association.id]
        return {}

    def describe_association(self, call: Call) -> dict[str, Any]:
        return {"AssociationDescription": self._description(self._found(call))}

    def list_associations(self, call: Call) -> dict[str, Any]:
        shown = [self._shown(association) for association in list(self._associations.values())]
        keys = {"AssociationId": "AssociationId", "AssociationName": "AssociationName", "Name": "Name"}
        for item in call.get("AssociationFilterList") or []:
            key = keys.get(item["key"])
            if key is None:
                raise ServiceError("ValidationException", f"The rehearsal knows no association filter {item['key']}.")
            shown = [one for one in shown if one.get(key) == item["value"]]
        return call.page("Associations", shown)

    def known(self, association_id: str) -> dict[str, Any] | None:
        """The tags that IAM's conditions can ask for; None where there is no such association."""
        return {"tags": dict(self.tags(association_id))} if association_id in self._associations else None

    def tags(self, association_id: str) -> dict[str, str]:
        if association_id not in self._associations:
            raise ServiceError("InvalidResourceId", f"There is no association {association_id}.")
        return self._associations[association_id].given.setdefault("_tags", {})

    def appeared(self, machine: Machine) -> None:
        """An agent has registered: what targets it runs on it."""
        for association in list(self._associations.values()):
            if machine in self._select(association.given.get("Targets") or []):
                self._begin(association, [machine], is_new=True)

    def document_changed(self, name: str) -> None:
        """A new version of a document: associations that follow it run again."""
        for association in list(self._associations.values()):
            if association.given["Name"] == name and association.given.get("DocumentVersion") == "$LATEST":
                self._begin(association, self._select(association.given.get("Targets") or []))

    def _check(self, given: Mapping[str, Any]) -> None:
        self._prepare(given["Name"], given.get("DocumentVersion"), given.get("Parameters") or {})
        if given.get("ScheduleExpression"):
            raise ServiceError("InvalidSchedule", "The rehearsal runs associations without a schedule only.")

    def _begin(self, association: Association, machines: Sequence[Machine], *, is_new: bool = False) -> None:
        """is_new: one that has just appeared runs it at once, however many others do (Systems Manager API reference,
        CreateAssociation, MaxConcurrency).
        """
        if not machines:
            return
        execution = Execution(str(uuid.uuid4()), self._aws.clock.datetime())
        association.executions.append(execution)
        for machine in machines:
            execution.statuses[machine.id] = "Pending"
            work.start(self._aws.clock, functools.partial(self._apply, association, execution, machine, is_new=is_new))

    def _apply(self, association: Association, execution: Execution, machine: Machine, *, is_new: bool) -> None:
        self._aws.clock.sleep(BEGIN_SECONDS)
        limit = max(1, share(association.given.get("MaxConcurrency") or "50", len(execution.statuses)))
        limit = sys.maxsize if is_new else limit
        with self._aws.clock.idle(), association.turn:
            association.turn.wait_for(lambda: association.running < limit)
            association.running += 1
        ended = "Failed"
        try:
            if association.deleted or machine.ending:
                return
            _, steps = self._prepare(
                association.given["Name"],
                association.given.get("DocumentVersion"),
                association.given.get("Parameters") or {},
            )
            runs = [StepRun(step) for step in steps]
            run_steps(self._aws, machine, runs, execution.id)
            ended = "Success" if all(run.status == "Success" for run in runs) else "Failed"
        finally:
            execution.statuses[machine.id] = ended
            with association.turn:
                association.running -= 1
                association.turn.notify_all()
            self._aws.clock.wake()

    def _found(self, call: Call) -> Association:
        association = self._associations.get(call.get("AssociationId") or "")
        if association is None:
            raise ServiceError("AssociationDoesNotExist", "The specified association does not exist.")
        return association

    def _shown(self, association: Association) -> dict[str, Any]:
        latest: dict[str, str] = {}
        for execution in association.executions:
            latest.update(execution.statuses)
        counted = Counter(latest.values())
        status = next((status for status in ("Failed", "Pending") if status in counted), "Success")
        return {
            **{key: value for key, value in association.given.items() if not key.startswith("_")},
            "AssociationId": association.id,
            "AssociationVersion": str(association.version),
            "LastExecutionDate": association.executions[-1].created if association.executions else None,
            "Overview": {
                "Status": status if counted else "Pending",
                "DetailedStatus": status if counted else "Creating",
                "AssociationStatusAggregatedCount": counted,
            },
        }

    def _description(self, association: Association) -> dict[str, Any]:
        return {
            **self._shown(association),
            "Date": association.created,
            "LastUpdateAssociationDate": association.updated,
        }
