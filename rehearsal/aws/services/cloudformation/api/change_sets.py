"""The operations on change sets."""

import functools
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from rehearsal.aws.calls import Call
from rehearsal.aws.services import work

from .. import early_validation, graph, template_diff, templates
from ..engine import Engine
from ..errors import AlreadyExists, ChangeSetNotFound, InvalidChangeSetStatus, NotRehearsed, ValidationError
from ..model import ChangeSet, Stack
from .requests import Requests, check_name, check_rules, check_token, check_updatable, only
from .responses import Pages, shown_change_set

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
CHANGE_SET_SECONDS = 6
"""How long computing a change set takes in an account. Public logs of CDK have 6 for 7, 16 and 36 resources, 11 for 19
and for 71 (the log of Handler.seconds), the median 6; acquia/moonshot#213 has more than 30, cloudtools/stacker#389 says
"up to a minute".
"""
EXECUTION_SECONDS = 5
"""How long an execution takes that fails before it begins. An assumption: a few seconds."""


class ChangeSets:
    """Methods have the names of boto3."""

    def __init__(self, engine: Engine, requests: Requests, pages: Pages) -> None:
        self.engine, self.requests, self.pages = engine, requests, pages

    def create_change_set(self, call: Call) -> Mapping[str, Any]:
        only(
            call,
            "StackName ChangeSetName ChangeSetType TemplateBody TemplateURL UsePreviousTemplate Parameters Tags "
            "RoleARN Capabilities ClientToken Description OnStackFailure",
        )
        check_name(call["ChangeSetName"], "changeSetName")
        check_name(call["StackName"], "stackName")
        type_ = call.get("ChangeSetType", "UPDATE")
        with self.engine.lock:
            present = self.engine.find(call["StackName"])
            repeated = [its for its in present.change_sets if its.name == call["ChangeSetName"]] if present else []
            if repeated and repeated[0].token and repeated[0].token == call.get("ClientToken"):
                return {"Id": repeated[0].id, "StackId": repeated[0].stack.id}
            if repeated:
                raise AlreadyExists(f"ChangeSet {repeated[0].name} already exists")
            _check_type(type_, present, call)
            wanted = self.requests.wanted(call, present if type_ == "UPDATE" else None)
            templates.check_capabilities(wanted.template.processed, call.get("Capabilities", []), transforms=False)
            stack = present or self.engine.new_stack(call["StackName"], "REVIEW_IN_PROGRESS")
            change_set = ChangeSet(
                f"arn:aws:cloudformation:{self.engine.aws.region}:{self.engine.aws.account}:changeSet/"
                f"{call['ChangeSetName']}/{uuid.uuid4()}",
                call["ChangeSetName"],
                stack,
                type_,
                self.engine.moment(),
                wanted,
                call.get("RoleARN") or stack.role_arn,
                call.get("ClientToken"),
                call.get("Description"),
                call.get("OnStackFailure"),
            )
            stack.caller_role = call.identity.role_arn
            if type_ == "CREATE":
                stack.role_arn = change_set.role_arn
            scope = self.requests.scope(stack, wanted)
            check_rules(scope)
            graph.dependencies(scope)
            if present is None:
                self.engine.add(stack, "User Initiated")
            stack.change_sets.append(change_set)
        self.engine.aws.clock.hold()
        threading.Thread(
            target=self._compute, args=(change_set,), daemon=True, name="cloudformation change set"
        ).start()
        return {"Id": change_set.id, "StackId": stack.id}

    def _compute(self, change_set: ChangeSet) -> None:
        """Find the changes, as AWS does after CreateChangeSet has answered."""
        try:
            change_set.status = "CREATE_IN_PROGRESS"
            with self.engine.aws.operations.during("change set", change_set.stack.name):
                self.engine.aws.clock.sleep(CHANGE_SET_SECONDS)
                with self.engine.lock:
                    self._decide(change_set)
        except Exception as error:
            change_set.reason = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            change_set.status = "FAILED"
        finally:
            self.engine.aws.clock.release()

    def _decide(self, change_set: ChangeSet) -> None:
        stack, wanted = change_set.stack, change_set.wanted
        self._note_hooks(stack)
        scope = self.requests.scope(stack, wanted)
        check, found = "PropertyValidation", early_validation.problems(scope, wanted)
        if not found:
            check, found = "ResourceExistenceCheck", early_validation.conflicts(stack, scope, wanted, self.engine)
        if found:
            change_set.status, change_set.problems = "FAILED", found
            change_set.reason = (
                f"The following hook(s)/validation failed: [AWS::EarlyValidation::{check}]. "
                "To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
            )
            return
        current = stack.deployment if change_set.type == "UPDATE" else None
        old = (current, self.requests.scope(stack, current)) if current else None
        change_set.changes = template_diff.between(stack, old, (wanted, scope))
        if current and not change_set.changes and not template_diff.nothing_but_properties(current, wanted):
            change_set.status, change_set.reason = "FAILED", NO_CHANGES
            return
        change_set.status, change_set.execution_status = "CREATE_COMPLETE", "AVAILABLE"

    def describe_change_set(self, call: Call) -> Mapping[str, Any]:
        change_set = self.requests.change_set(call)
        self._note_hooks(change_set.stack)
        return {
            **shown_change_set(change_set),
            "Parameters": [parameter.shown(name) for name, parameter in change_set.wanted.parameters.items()],
            "Capabilities": list(change_set.wanted.capabilities),
            "Tags": [{"Key": key, "Value": value} for key, value in change_set.wanted.tags.items()],
            "OnStackFailure": change_set.on_failure,
            **self.pages.page(call, "Changes", change_set.changes),
        }

    def list_change_sets(self, call: Call) -> Mapping[str, Any]:
        stack = self.engine.existing(call["StackName"])
        return self.pages.page(call, "Summaries", [shown_change_set(change_set) for change_set in stack.change_sets])

    def execute_change_set(self, call: Call) -> Mapping[str, Any]:
        only(call, "ChangeSetName StackName ClientRequestToken DisableRollback RetainExceptOnCreate")
        token = call.get("ClientRequestToken")
        check_token(token)
        with self.engine.lock:
            change_set = self.requests.change_set(call)
            stack = change_set.stack
            if token and stack.token == token and change_set.execution_status.startswith("EXECUTE_"):
                return {}
            if change_set.execution_status != "AVAILABLE":
                raise InvalidChangeSetStatus(
                    f"ChangeSet [{change_set.id}] cannot be executed in its current "
                    + (
                        f"execution status of [{change_set.execution_status}]"
                        if change_set.status == "CREATE_COMPLETE"
                        else f"status of [{change_set.status}]"
                    )
                )
            if stack.in_progress:
                raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
            if call.get("DisableRollback") and change_set.on_failure:
                raise ValidationError("Cannot specify DisableRollback when the change set specifies OnStackFailure")
            change_set.execution_status = "EXECUTE_IN_PROGRESS"
            for other in stack.change_sets:
                if other is not change_set and other.execution_status == "AVAILABLE":
                    other.execution_status = "OBSOLETE"
            self.engine.start(stack, change_set.role_arn, call.identity.role_arn, token)
            stack.disable_rollback = bool(call.get("DisableRollback", False))
            stack.retain_except_on_create = bool(call.get("RetainExceptOnCreate", False))
            take, clock = self.engine.aws.faults.take, self.engine.aws.clock
            if (fails := take("change-set:fails", stack=stack.name)) is not None:
                change_set.reason = fails.get("reason") or "The rehearsal was asked to fail this execution"
                work.start(clock, functools.partial(self._fail, change_set))
            elif (slow := take("change-set:slow", stack=stack.name)) is not None:
                work.start(clock, functools.partial(self._begin_late, change_set, int(slow.get("seconds", 90))))
            else:
                self._begin(change_set)
        return {}

    def _begin(self, change_set: ChangeSet) -> None:
        stack = change_set.stack
        if change_set.type == "CREATE":
            on_failure = "DO_NOTHING" if stack.disable_rollback else change_set.on_failure or "ROLLBACK"
            self.engine.create(stack, change_set.wanted, on_failure=on_failure)
        else:
            self.engine.update(stack, change_set.wanted)
        threading.Thread(target=_note_execution, args=(change_set,), daemon=True).start()

    def _begin_late(self, change_set: ChangeSet, seconds: int) -> None:
        self.engine.aws.clock.sleep(seconds)
        with self.engine.lock:
            self._begin(change_set)

    def _fail(self, change_set: ChangeSet) -> None:
        self.engine.aws.clock.sleep(EXECUTION_SECONDS)
        change_set.execution_status = "EXECUTE_FAILED"

    def _note_hooks(self, stack: Stack) -> None:
        """The events of a hook of the account, at whose invocation the stack itself does not change."""
        if self.engine.aws.faults.take("change-set:hooks", stack=stack.name) is not None:
            self.engine.event(stack, None, stack.status, "Hook invocations complete.", hook="Private::Guard::Hook")

    def delete_change_set(self, call: Call) -> Mapping[str, Any]:
        with self.engine.lock:
            try:
                change_set = self.requests.change_set(call)
            except ChangeSetNotFound:
                return {}
            if change_set.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                raise InvalidChangeSetStatus(
                    f"ChangeSet [{change_set.id}] cannot be deleted in status [{change_set.status}]"
                )
            change_set.stack.change_sets.remove(change_set)
            return {}

    def describe_events(self, call: Call) -> Mapping[str, Any]:
        """The failed validations of a change set, and the events of a stack (no operations in between)."""
        if call.get("ChangeSetName"):
            change_set = self.requests.change_set(call)
            stack = change_set.stack
            shown = [
                {
                    "EventId": f"{change_set.id}-{index}",
                    "StackId": stack.id,
                    "EventType": "VALIDATION_ERROR",
                    "LogicalResourceId": problem["LogicalResourceId"],
                    "ResourceType": problem["ResourceType"],
                    "Timestamp": change_set.created,
                    "ValidationFailureMode": "FAIL",
                    "ValidationName": problem.get("Validation", "PROPERTY_VALIDATION"),
                    "ValidationStatus": "FAILED",
                    "ValidationStatusReason": problem["Reason"],
                    "ValidationPath": f"/Resources/{problem['LogicalResourceId']}/Properties",
                }
                for index, problem in enumerate(change_set.problems)
            ]
        else:
            stack = self.engine.existing(call["StackName"])
            only_failed = (call.get("Filters") or {}).get("FailedEvents", False)
            shown = [
                {key: value for key, value in event.shown().items() if key not in ("StackName", "ResourceProperties")}
                | {"EventType": "PROVISIONING_ERROR" if event.status.endswith("FAILED") else "STACK_EVENT"}
                for event in reversed(stack.events)
                if not only_failed or event.status.endswith("FAILED")
            ]
        return self.pages.page(call, "OperationEvents", shown)


def _check_type(type_: str, stack: Stack | None, call: Call) -> None:
    """Refuse a change set that does not fit what is there."""
    if type_ == "CREATE":
        if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise ValidationError(
                f"Stack [{stack.name}] already exists and cannot be created again with the changeSet "
                f"[{call['ChangeSetName']}]"
            )
    elif type_ == "UPDATE":
        if stack is None:
            raise ValidationError(f"Stack [{call['StackName']}] does not exist")
        check_updatable(stack)
    else:
        raise NotRehearsed(f"The rehearsal does not implement change sets of type {type_}")


def _note_execution(change_set: ChangeSet) -> None:
    """Write into a change set how its execution ended."""
    operation = change_set.stack.operation
    if operation is not None:
        operation.join()
    succeeded = change_set.stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    change_set.execution_status = "EXECUTE_COMPLETE" if succeeded else "EXECUTE_FAILED"
