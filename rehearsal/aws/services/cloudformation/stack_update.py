"""Updating a stack, and rolling back to what it was."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from . import graph
from .context import Properties
from .handler import handler
from .intrinsics import Scope
from .model import Deployment, Resource, Stack, Undo
from .properties import different, replaces, tag_property_of, tags_in
from .reasons import reason_of
from .stack_operation import BEGIN_SECONDS, END_SECONDS, NEXT_SECONDS, REPLACING, Operation

if TYPE_CHECKING:
    from .engine import Engine


CLEANING_UP = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"


class Update(Operation):
    """Updating a stack, and rolling that back."""

    called: ClassVar = "update"

    def __init__(self, engine: "Engine", stack: Stack, wanted: Deployment) -> None:
        super().__init__(engine, stack)
        self.wanted = wanted
        self.undo: dict[str, Undo] = {}
        self.replaced: list[Resource] = []

    def is_taken_back(self) -> bool:
        """Whether someone cancels the update meanwhile."""
        return self.stack.status == "UPDATE_ROLLBACK_IN_PROGRESS"

    def is_cancelled(self) -> bool:
        return self.failed or self.is_taken_back()

    def run(self) -> None:
        scope = self.scope(self.wanted)
        needed = graph.dependencies(scope)
        former = {name: r for name, r in self.stack.resources.items() if r.status != "DELETE_COMPLETE"}
        self.pause(BEGIN_SECONDS)
        failed = graph.walk(
            needed,
            needed,
            lambda name: not self.is_taken_back() and self._bring(name, scope, needed[name]),
            self.clock,
        )
        reason = self._failures(failed)
        if not failed:
            try:
                outputs = self.outputs(scope, self.wanted)
            except Exception as error:
                failed, reason = [self.stack.name], reason_of(error) + ". "
        with self.engine.lock:
            is_taken_back = self.is_taken_back()
            if not is_taken_back:
                self.engine.settle(
                    self.stack, *(("UPDATE_ROLLBACK_IN_PROGRESS", reason) if failed else (CLEANING_UP, None))
                )
        if is_taken_back:
            self.roll_back(list(self.undo.values()), [])
            return
        if failed:
            if self.stack.disable_rollback:
                self.engine.settle(self.stack, "UPDATE_FAILED", reason)
                return
            self.roll_back(list(self.undo.values()), [])
            return
        self.stack.deployment, self.stack.outputs = self.wanted, outputs
        removed = {name: resource for name, resource in former.items() if name not in needed}
        self._clean_up(self.replaced, removed)
        self.clock.sleep(END_SECONDS)
        self.engine.settle(self.stack, "UPDATE_COMPLETE")

    def _failures(self, failed: list[str]) -> str:
        created = [name for name in failed if self.undo.get(name) is None or self.undo[name].before is None]
        updated = [name for name in failed if name not in created]
        sentences = [
            f"The following resource(s) failed to {verb}: [{', '.join(names)}]. "
            for verb, names in (("create", created), ("update", updated))
            if names
        ]
        return "".join(sentences)

    def _bring(self, name: str, scope: Scope, dependencies: frozenset[str]) -> bool:
        """Create, change, replace or leave one resource."""
        definition = self.wanted.template.resources[name]
        old = self.stack.resources.get(name)
        if old is None or old.status == "DELETE_COMPLETE":
            new = Resource(name, definition["Type"], definition, dependencies)
            self.stack.resources[name] = new
            self.undo[name] = Undo(name, None, new)
            self.engine.event(self.stack, new, "CREATE_IN_PROGRESS")
            if not self.attempt(new, "CREATE", lambda: self.make(new, scope, self.wanted, "CREATE")):
                return False
            self.engine.event(self.stack, new, "CREATE_COMPLETE")
            return True
        try:
            properties = self.properties(scope, self.wanted, definition)
        except Exception as error:
            new = copy.copy(old)
            self.stack.resources[name] = new
            self.undo[name] = Undo(name, old, new, called=False)
            self.engine.event(self.stack, new, "UPDATE_FAILED", reason_of(error))
            self.fail()
            return False
        changed = different(old.properties, properties)
        metadata = old.definition.get("Metadata") != definition.get("Metadata")
        if not changed and not metadata and not handler(old.type).always_updates:
            old.definition, old.dependencies = definition, dependencies
            return True
        new = replace(old, definition=definition, dependencies=dependencies, attributes=dict(old.attributes))
        self.stack.resources[name] = new
        self.undo[name] = Undo(name, old, new)
        if replaces(old.type, changed, old.properties, properties):
            return self._replace(old, new, scope)
        return self._change(old, new, properties, changed)

    def _replace(self, old: Resource, new: Resource, scope: Scope) -> bool:
        self.engine.event(self.stack, new, "UPDATE_IN_PROGRESS", REPLACING)
        new.physical_id = ""
        if not self.attempt(new, "UPDATE", lambda: self.make(new, scope, self.wanted, "UPDATE")):
            return False
        self.replaced.append(old)
        self.engine.event(self.stack, new, "UPDATE_COMPLETE")
        return True

    def _change(self, old: Resource, new: Resource, properties: dict[str, Any], changed: set[str]) -> bool:
        new.properties = properties
        self.engine.event(self.stack, new, "UPDATE_IN_PROGRESS")
        if not self.attempt(new, "UPDATE", lambda: self.call_update(new, old.properties, changed)):
            return False
        self.engine.event(self.stack, new, "UPDATE_COMPLETE")
        return True

    def call_update(self, resource: Resource, former: dict[str, Any], changed: set[str], *, back: bool = False) -> None:
        """Change the properties of a resource from the former ones to those that it has now."""
        its = handler(resource.type)
        context = self.context(resource.logical_id, cancellable=not back)
        if resource.dependencies:
            context.wait(NEXT_SECONDS)
        started = self.clock.now()
        if not back:
            self.fail_as_ordered(resource, context)
        old, new = Properties(former), Properties(resource.properties)
        rest = set(changed)
        tag_property = tag_property_of(resource.type)
        if tag_property in rest:
            rest.discard(tag_property)
            before, after = tags_in(former.get(tag_property)), tags_in(resource.properties.get(tag_property))
            removed = sorted(set(before) - set(after))
            its.retag(context, resource.physical_id, {k: v for k, v in after.items() if before.get(k) != v}, removed)
        if rest or its.always_updates:
            resource.attributes |= its.update(context, resource.physical_id, old, new)
            new.read |= old.read
            resource.attributes |= its.ready(context, resource.physical_id, new)
            new.check(resource.type, rest)
        least = min(its.seconds, 30) if its.update_seconds is None else its.update_seconds
        context.wait(max(0.0, started + least - self.clock.now()))

    def _clean_up(self, replaced: list[Resource], removed: Mapping[str, Resource]) -> None:
        """Delete what the update left behind; failures stand in the events and do not fail the update."""
        policies = {id(resource): "UpdateReplacePolicy" for resource in replaced}
        leftover = {f"{resource.logical_id} (replaced)": resource for resource in replaced} | dict(removed)

        def policy(resource: Resource) -> str:
            its = resource.policy(policies.get(id(resource), "DeletionPolicy"))
            return "Retain" if its == "RetainExceptOnCreate" else its

        self.remove_all(leftover, policy)
        for name in removed:
            del self.stack.resources[name]

    def roll_back(self, undo: list[Undo], skipped: list[str]) -> None:
        """Return every touched resource to what it was, then delete what the update had created."""
        self.failed = False
        created = [step for step in undo if step.before is None]
        steps = {step.logical_id: step for step in undo if step.before is not None}
        needed = {name: step.before.dependencies for name, step in steps.items() if step.before is not None}
        left: list[str] = []

        def work(name: str) -> bool:
            if not self._return(steps[name], skip=name in skipped):
                left.append(name)
            return True

        graph.walk(graph.order({name: its & set(steps) for name, its in needed.items()}), needed, work, self.clock)
        if left:
            self.stack.unfinished = [step for step in undo if step.before is None or step.logical_id in left]
            reason = f"The following resource(s) failed to update: [{', '.join(left)}]. "
            self.engine.settle(self.stack, "UPDATE_ROLLBACK_FAILED", reason)
            return
        self.stack.unfinished = []
        self.engine.settle(self.stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        for step in created:
            self.stack.resources.pop(step.logical_id, None)
        fresh = {step.logical_id: step.after for step in created}
        fresh |= {
            f"{name} (replacement)": step.after
            for name, step in steps.items()
            if step.before is not None and step.after.physical_id not in ("", step.before.physical_id)
        }
        self.remove_all(fresh, self.on_creation)
        self.engine.settle(self.stack, "UPDATE_ROLLBACK_COMPLETE")

    def _return(self, step: Undo, *, skip: bool) -> bool:
        before, after = step.before, step.after
        assert before is not None
        back = replace(before, attributes=dict(before.attributes))
        self.stack.resources[step.logical_id] = back
        if skip or not step.called:
            self.engine.event(self.stack, back, "UPDATE_COMPLETE")
            return True
        self.engine.event(self.stack, back, "UPDATE_IN_PROGRESS")
        if after.physical_id == before.physical_id:
            changed = different(after.properties, before.properties)
            try:
                if changed or handler(back.type).always_updates:
                    self.call_update(back, after.properties, changed, back=True)
            except Exception as error:
                self.engine.event(self.stack, back, "UPDATE_FAILED", reason_of(error))
                return False
        self.engine.event(self.stack, back, "UPDATE_COMPLETE")
        return True
