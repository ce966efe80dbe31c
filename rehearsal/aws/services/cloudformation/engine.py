"""All stacks of the account: their events, their clients, and the operations that run on them, each in a thread."""

import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from rehearsal.aws.clock import Clock
from rehearsal.aws.operations import Operations

from .errors import TokenAlreadyExists, ValidationError
from .intrinsics import Scope
from .model import STACK, Deployment, Event, Resource, Stack
from .stack_creation import Creation
from .stack_operation import Operation
from .stack_update import Update

logger = logging.getLogger(__name__)


class Aws(Protocol):
    """What the engine needs of the local AWS."""

    clock: Clock
    faults: Any
    account: str
    region: str
    operations: Operations

    @property
    def endpoint(self) -> str: ...
    def remember_policies(self) -> None: ...
    def client(self, service: str, role_arn: str | None = None, caller: str = ...) -> Any: ...


class Engine:
    """All stacks of the account, and what happens to them."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.stacks: dict[str, Stack] = {}
        self.lock = threading.RLock()
        self._last_moment = datetime.min.replace(tzinfo=UTC)

    # What everything else asks

    def client(self, stack: Stack, service: str) -> Any:
        """A client with the keys of the stack's service role, of who began the operation, or of the administrator."""
        return self.aws.client(service, role_arn=stack.role_arn or stack.caller_role, caller="cloudformation")

    def moment(self) -> datetime:
        """The AWS time, a millisecond later than the last answer at least: events are distinguished by it."""
        with self.lock:
            now = datetime.fromtimestamp(self.aws.clock.now(), UTC)
            self._last_moment = max(now, self._last_moment + timedelta(milliseconds=1))
            return self._last_moment

    def find(self, name_or_id: str) -> Stack | None:
        """A stack by its name, while it exists, or by its id, for ever."""
        with self.lock:
            if name_or_id in self.stacks:
                return self.stacks[name_or_id]
            return next(
                (s for s in self.stacks.values() if s.name == name_or_id and s.status != "DELETE_COMPLETE"), None
            )

    def existing(self, name_or_id: str, *, deleted: bool = False) -> Stack:
        """A stack, or the API's error when there is none."""
        stack = self.find(name_or_id)
        if stack is None or (stack.status == "DELETE_COMPLETE" and not deleted):
            raise ValidationError(f"Stack with id {name_or_id} does not exist")
        return stack

    def new_stack(self, name: str, status: str) -> Stack:
        """A stack without resources, which exists when it is added."""
        stack_id = f"arn:aws:cloudformation:{self.aws.region}:{self.aws.account}:stack/{name}/{uuid.uuid4()}"
        return Stack(stack_id, name, self.moment(), status)

    def add(self, stack: Stack, reason: str | None = None) -> None:
        """Let a new stack exist, with the event of its status when there is a reason for one."""
        with self.lock:
            self.stacks[stack.id] = stack
            if reason:
                self.event(stack, None, stack.status, reason)

    def scope(self, stack: Stack, wanted: Deployment, resource: Callable[[str, str | None], Any]) -> Scope:
        """What the functions of a template refer to when it is deployed as this stack."""

        def zones(_: str) -> list[str]:
            answer = self.client(stack, "ec2").describe_availability_zones()["AvailabilityZones"]
            return sorted(zone["ZoneName"] for zone in answer)

        pseudo = {
            "AWS::AccountId": self.aws.account,
            "AWS::NotificationARNs": [],
            "AWS::Partition": "aws",
            "AWS::Region": self.aws.region,
            "AWS::StackId": stack.id,
            "AWS::StackName": stack.name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        return Scope(wanted.template.processed, wanted.values, pseudo, resource, zones)

    def settle(self, stack: Stack, status: str, reason: str | None = None) -> None:
        """Give the stack a status, and say so in its events."""
        self.event(stack, None, status, reason)
        with self.lock:
            stack.status, stack.reason = status, reason

    def event(
        self, stack: Stack, resource: Resource | None, status: str, reason: str | None = None, *, hook: str = ""
    ) -> None:
        """Write an event of a resource, or of the stack itself; `hook` is the type of the hook that it reports."""
        with self.lock:
            moment = self.moment()
            if resource is None:
                logical_id, physical_id, type_, shown = stack.name, stack.id, STACK, None
            else:
                resource.status, resource.reason, resource.timestamp = status, reason, moment
                logical_id, physical_id, type_ = resource.logical_id, resource.physical_id, resource.type
                shown = json.dumps(resource.properties, default=str) if resource.properties else None
            stack.events.append(
                Event(
                    stack.id,
                    stack.name,
                    logical_id,
                    physical_id,
                    type_,
                    status,
                    moment,
                    reason,
                    stack.token,
                    shown,
                    hook or None,
                )
            )

    def start(self, stack: Stack, role_arn: str | None, caller: str | None, token: str | None) -> None:
        """Note on whose behalf the operation that begins runs."""
        if token and any(event.token == token for event in stack.events):
            raise TokenAlreadyExists(f"Token {token} already exists for stack {stack.name}")
        stack.role_arn, stack.caller_role, stack.token = role_arn, caller, token

    # Operations; each begins in the caller's thread, so that the status is right at once, and goes on in its own

    def create(self, stack: Stack, wanted: Deployment, *, on_failure: str = "ROLLBACK") -> None:
        """Create every resource; on failure delete them (ROLLBACK), the stack too (DELETE), or stop (DO_NOTHING)."""
        self.settle(stack, "CREATE_IN_PROGRESS", "User Initiated")
        stack.deployment = wanted
        self._begin(stack, lambda: Creation(self, stack, wanted).run(on_failure))

    def update(self, stack: Stack, wanted: Deployment) -> None:
        """Bring the stack to another deployment, or back."""
        stack.updated = self.moment()
        self.settle(stack, "UPDATE_IN_PROGRESS", "User Initiated")
        self._begin(stack, lambda: Update(self, stack, wanted).run())

    def cancel_update(self, stack: Stack) -> None:
        """Let the update in progress give up what it waits for, and roll back."""
        self.settle(stack, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        self.aws.clock.wake()

    def continue_rollback(self, stack: Stack, skipped: list[str]) -> None:
        """Try again what a failed rollback of an update left to do."""
        self.settle(stack, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        assert stack.deployment is not None
        operation = Update(self, stack, stack.deployment)
        self._begin(stack, lambda: operation.roll_back(stack.unfinished, skipped))

    def delete(self, stack: Stack, retained: Iterable[str] = ()) -> None:
        """Delete every resource that its policy does not retain, then the stack.

        A creation in progress gives up what it waits for, and then deletes.
        """
        is_created = stack.status == "CREATE_IN_PROGRESS"
        self.aws.remember_policies()
        self.settle(stack, "DELETE_IN_PROGRESS", "User Initiated")
        if is_created:
            self.aws.clock.wake()
            return
        self._begin(stack, lambda: Operation(self, stack).delete_stack(set(retained)))

    def wait(self, stack: Stack) -> None:
        """Wait, as a worker of the clock, for the end of the stack's operation."""
        operation = stack.operation
        if operation is not None:
            with self.aws.clock.idle():
                operation.join()

    def _begin(self, stack: Stack, run: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                with self.aws.operations.during("stack", stack.name, stack.status.partition("_")[0]):
                    run()
            except Exception as error:  # a mistake of the rehearsal must not leave a stack in progress for ever
                logger.exception("the operation on the stack %s failed", stack.name)
                failed = stack.status.replace("_COMPLETE_CLEANUP", "").replace("IN_PROGRESS", "FAILED")
                self.settle(stack, failed, f"The rehearsal itself failed: {type(error).__name__}: {error}")
            finally:
                self.aws.clock.release()

        self.aws.clock.hold()
        stack.operation = threading.Thread(target=guarded, daemon=True, name=f"cloudformation {stack.name}")
        stack.operation.start()
