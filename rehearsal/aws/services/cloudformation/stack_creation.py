"""Creating a stack, and what becomes of it when a resource fails."""

from typing import TYPE_CHECKING, ClassVar

from . import graph
from .model import Deployment, Resource, Stack
from .reasons import reason_of
from .stack_operation import BEGIN_SECONDS, END_SECONDS, Operation

if TYPE_CHECKING:
    from .engine import Engine

ON_FAILURE = {
    "DO_NOTHING": ("CREATE_FAILED", ""),
    "DELETE": ("DELETE_IN_PROGRESS", "Delete requested by user."),
    "ROLLBACK": ("ROLLBACK_IN_PROGRESS", "Rollback requested by user."),
}
"""What a stack becomes when its creation fails, and the end of the reason, by OnFailure."""


class Creation(Operation):
    """Creating a stack, until it is deleted."""

    called: ClassVar = "create"

    def __init__(self, engine: "Engine", stack: Stack, wanted: Deployment) -> None:
        super().__init__(engine, stack)
        self.wanted = wanted

    def is_deleted(self) -> bool:
        """Whether someone deletes the stack meanwhile."""
        return self.stack.status == "DELETE_IN_PROGRESS"

    def is_cancelled(self) -> bool:
        return self.failed or self.is_deleted()

    def run(self, on_failure: str) -> None:
        scope = self.scope(self.wanted)
        needed = graph.dependencies(scope)

        def work(name: str) -> bool:
            if self.is_deleted():
                return False
            definition = self.wanted.template.resources[name]
            resource = Resource(name, definition["Type"], definition, needed[name])
            self.stack.resources[name] = resource
            self.engine.event(self.stack, resource, "CREATE_IN_PROGRESS")
            if not self.attempt(resource, "CREATE", lambda: self.make(resource, scope, self.wanted, "CREATE")):
                return False
            self.engine.event(self.stack, resource, "CREATE_COMPLETE")
            return True

        self.pause(BEGIN_SECONDS)
        failed = graph.walk(needed, needed, work, self.clock)
        self.pause(END_SECONDS)
        status, reason = ON_FAILURE[on_failure]
        reason = f"The following resource(s) failed to create: [{', '.join(failed)}]. {reason}"
        if not failed:
            try:
                self.stack.outputs = self.outputs(scope, self.wanted)
                status, reason = "CREATE_COMPLETE", ""
            except Exception as error:
                reason = f"{reason_of(error)}. {ON_FAILURE[on_failure][1]}"
        with self.engine.lock:
            if not self.is_deleted():
                self.engine.settle(self.stack, status, reason or None)
        if self.is_deleted():
            self.delete_stack(set())
        elif status == "ROLLBACK_IN_PROGRESS":
            left = self.remove_all(self.stack.resources, self.on_creation)
            if left:
                reason = f"The following resource(s) failed to delete: [{', '.join(left)}]. "
                self.engine.settle(self.stack, "ROLLBACK_FAILED", reason)
            else:
                self.engine.settle(self.stack, "ROLLBACK_COMPLETE")
