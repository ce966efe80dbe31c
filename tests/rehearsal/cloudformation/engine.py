"""The operations on stacks: create, update, delete and their rollbacks, with the events and the waiting of AWS."""

import copy
import json
import re
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any, Protocol

from botocore.exceptions import ClientError

from tests.rehearsal.clock import Clock

from . import graph, schema
from .errors import Cancelled, ResourceFailed, ResourceGone, ValidationError
from .handler import Context, Properties, handler
from .intrinsics import Scope
from .model import Deployment, Event, Resource, Stack, Undo
from .templates import text

CANCELLED = {"CREATE": "Resource creation cancelled", "UPDATE": "Resource update cancelled"}
STACK = "AWS::CloudFormation::Stack"
_DYNAMIC = re.compile(r"\{\{resolve:(ssm|secretsmanager):([^}]+)\}\}")
_HANDLER_CODES = {
    "AlreadyExists": "AlreadyExists",
    "EntityAlreadyExists": "AlreadyExists",
    "AccessDenied": "AccessDenied",
    "NotFound": "NotFound",
    "NoSuchEntity": "NotFound",
    "Throttl": "Throttling",
}


class Aws(Protocol):
    """What the engine needs of the local AWS."""

    clock: Clock
    faults: Any
    account: str
    region: str
    endpoint: str

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
        """The AWS time, a millisecond later than the last answer at least: events are told apart by it."""
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

    def new_stack(self, name: str, status: str) -> Stack:
        """A stack without resources."""
        stack_id = f"arn:aws:cloudformation:{self.aws.region}:{self.aws.account}:stack/{name}/{uuid.uuid4()}"
        stack = Stack(stack_id, name, self.moment(), status)
        with self.lock:
            self.stacks[stack_id] = stack
        return stack

    def exports(self) -> dict[str, tuple[Stack, str]]:
        """Every exported name with its stack and value."""
        with self.lock:
            return {
                output["ExportName"]: (stack, output["OutputValue"])
                for stack in self.stacks.values()
                if stack.status != "DELETE_COMPLETE"
                for output in stack.outputs
                if "ExportName" in output
            }

    def scope(self, stack: Stack, wanted: Deployment, resource: Callable[[str, str | None], Any]) -> Scope:
        """What the functions of a template refer to when it is deployed as this stack."""

        def exported(name: str) -> str:
            found = self.exports().get(name)
            if found is None:
                raise ValidationError(f"No export named {name} found.")
            stack.imports.add(name)
            return found[1]

        def zones(_: str) -> list[str]:
            answer = self.client(stack, "ec2").describe_availability_zones()["AvailabilityZones"]
            return sorted(zone["ZoneName"] for zone in answer)

        pseudo = {
            "AWS::AccountId": self.aws.account,
            "AWS::NotificationARNs": stack.notification_arns,
            "AWS::Partition": "aws",
            "AWS::Region": self.aws.region,
            "AWS::StackId": stack.id,
            "AWS::StackName": stack.name,
            "AWS::URLSuffix": "amazonaws.com",
        }
        return Scope(wanted.template.processed, wanted.values, pseudo, resource, zones, exported)

    def settle(self, stack: Stack, status: str, reason: str | None = None) -> None:
        """Give the stack a status, and say so in its events."""
        self.event(stack, None, status, reason)
        with self.lock:
            stack.status, stack.reason = status, reason

    def event(self, stack: Stack, resource: Resource | None, status: str, reason: str | None = None) -> None:
        """Write an event of a resource, or of the stack itself."""
        with self.lock:
            moment = self.moment()
            if resource is None:
                logical_id, physical_id, type_, shown = stack.name, stack.id, STACK, None
            else:
                resource.status, resource.reason, resource.timestamp = status, reason, moment
                logical_id, physical_id, type_ = resource.logical_id, resource.physical_id, resource.type
                shown = json.dumps(resource.properties, default=str) if resource.properties else None
            stack.events.append(
                Event(stack.id, stack.name, logical_id, physical_id, type_, status, moment, reason, stack.token, shown)
            )

    # Operations; each begins in the caller's thread, so that the status is right at once, and goes on in its own

    def create(self, stack: Stack, wanted: Deployment, *, on_failure: str = "ROLLBACK") -> None:
        """Create every resource; on failure delete them (ROLLBACK), the stack too (DELETE), or stop (DO_NOTHING)."""
        self.settle(stack, "CREATE_IN_PROGRESS", "User Initiated")
        stack.deployment = wanted
        self._begin(stack, lambda: _Creation(self, stack, wanted).run(on_failure))

    def update(self, stack: Stack, wanted: Deployment) -> None:
        """Bring the stack to another deployment, or back."""
        stack.updated = self.moment()
        self.settle(stack, "UPDATE_IN_PROGRESS", "User Initiated")
        self._begin(stack, lambda: _Update(self, stack, wanted).run())

    def continue_rollback(self, stack: Stack, skipped: list[str]) -> None:
        """Try again what a failed rollback of an update left to do."""
        self.settle(stack, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        assert stack.deployment is not None
        operation = _Update(self, stack, stack.deployment)
        self._begin(stack, lambda: operation.roll_back(stack.unfinished, skipped))

    def delete(self, stack: Stack, retained: Iterable[str] = ()) -> None:
        """Delete every resource that its policy does not retain, then the stack."""
        self.settle(stack, "DELETE_IN_PROGRESS", "User Initiated")
        self._begin(stack, lambda: _Operation(self, stack).delete_stack(set(retained)))

    def wait(self, stack: Stack) -> None:
        """Wait, as a worker of the clock, for the end of the stack's operation."""
        operation = stack.operation
        if operation is not None:
            with self.aws.clock.idle():
                operation.join()

    def _begin(self, stack: Stack, run: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                run()
            except Exception as error:  # a mistake of the rehearsal must not leave a stack in progress for ever
                traceback.print_exc(file=sys.stderr)
                failed = stack.status.replace("_COMPLETE_CLEANUP", "").replace("IN_PROGRESS", "FAILED")
                self.settle(stack, failed, f"The rehearsal itself failed: {type(error).__name__}: {error}")
            finally:
                self.aws.clock.release()

        self.aws.clock.hold()
        stack.operation = threading.Thread(target=guarded, daemon=True, name=f"cloudformation {stack.name}")
        stack.operation.start()


class _Operation:
    """What creating, updating and deleting share: properties, deletion, and saying why something failed."""

    def __init__(self, engine: Engine, stack: Stack) -> None:
        self.engine, self.stack, self.clock = engine, stack, engine.aws.clock
        self.failed = False
        """Whether a resource failed: its siblings in progress are cancelled."""

    def context(self, logical_id: str, *, snapshot: bool = False, cancellable: bool = True) -> Context:
        return Context(
            self.engine, self.stack, logical_id, (lambda: self.failed) if cancellable else (lambda: False), snapshot
        )

    def fail(self) -> None:
        self.failed = True
        self.clock.wake()

    def scope(self, wanted: Deployment) -> Scope:
        """The scope in which existing resources answer with what they are."""

        def resource(name: str, attribute: str | None) -> Any:
            found = self.stack.resources[name]
            if attribute is None:
                return found.physical_id
            if attribute not in found.attributes:
                raise ResourceFailed(f"Requested attribute {attribute} does not exist in schema for {found.type}")
            return found.attributes[attribute]

        return self.engine.scope(self.stack, wanted, resource)

    def properties(self, scope: Scope, wanted: Deployment, definition: Mapping[str, Any]) -> dict[str, Any]:
        """A resource's properties with functions evaluated, dynamic references resolved, and the stack's tags."""
        values = self._resolved(scope.value(definition.get("Properties") or {}))
        return tagged(definition["Type"], values, wanted.tags)

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._resolved(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._resolved(item) for item in value]
        if isinstance(value, str) and "{{resolve:" in value:
            return _DYNAMIC.sub(self._dynamic, value)
        return value

    def _dynamic(self, hit: re.Match[str]) -> str:
        """The value of a dynamic reference (user guide, "Dynamic references")."""
        service, reference = hit[1], hit[2]
        if service == "ssm":
            answer = self.engine.client(self.stack, "ssm").get_parameter(Name=reference)
            return str(answer["Parameter"]["Value"])
        arn = re.match(r"arn:[^:]*:secretsmanager:[^:]*:[^:]*:secret:[^:]+", reference)
        secret = arn[0] if arn else reference.split(":")[0]
        kind, key, stage, version = [*reference[len(secret) :].lstrip(":").split(":"), "", "", "", ""][:4]
        if kind not in ("", "SecretString"):
            raise ResourceFailed(f"Could not parse SecretsManager reference {{{{resolve:secretsmanager:{reference}}}}}")
        chosen = {"VersionStage": stage} if stage else {"VersionId": version} if version else {}
        client = self.engine.client(self.stack, "secretsmanager")
        content = client.get_secret_value(SecretId=secret, **chosen)["SecretString"]
        return str(json.loads(content)[key]) if key else str(content)

    def attempt(self, resource: Resource, verb: str, work: Callable[[], None]) -> bool:
        """Do something to a resource; on failure write the event that says why and cancel the siblings."""
        try:
            work()
        except Cancelled:
            self.engine.event(self.stack, resource, f"{verb}_FAILED", CANCELLED[verb])
            return False
        except Exception as error:
            self.engine.event(self.stack, resource, f"{verb}_FAILED", reason_of(error))
            self.fail()
            return False
        return True

    def make(self, resource: Resource, scope: Scope, wanted: Deployment, verb: str) -> None:
        """Create a resource and wait until it is usable; `verb` is what the events call it."""
        started = self.clock.now()
        its = handler(resource.type)
        context = self.context(resource.logical_id)
        resource.properties = self.properties(scope, wanted, resource.definition)
        fault = self.engine.aws.faults.take(
            "stack", stack=self.stack.name, resource=resource.logical_id, type=resource.type
        )
        if fault is not None:
            context.wait(its.seconds)
            raise ResourceFailed(fault.get("reason") or f"The rehearsal was asked to fail {resource.logical_id}")
        properties = Properties(resource.properties)
        made = its.create(context, properties)
        resource.physical_id, resource.attributes = made.physical_id, dict(made.attributes)
        initiated = (
            "Resource creation Initiated"
            if verb == "CREATE"
            else "Requested update requires the creation of a new physical resource; hence creating one."
        )
        self.engine.event(self.stack, resource, f"{verb}_IN_PROGRESS", initiated)
        resource.attributes |= its.ready(context, resource.physical_id, properties)
        properties.check(resource.type, set(properties))
        context.wait(max(0.0, started + its.seconds - self.clock.now()))

    def remove(self, resource: Resource, policy: str) -> bool:
        """Delete one resource as its policy says, with the events; False when that failed."""
        if policy == "Retain":
            self.engine.event(self.stack, resource, "DELETE_SKIPPED")
            return True
        if not resource.physical_id:
            self.engine.event(self.stack, resource, "DELETE_COMPLETE")
            return True
        self.engine.event(self.stack, resource, "DELETE_IN_PROGRESS")
        its = handler(resource.type)
        context = self.context(resource.logical_id, snapshot=policy == "Snapshot", cancellable=False)
        properties = Properties(resource.properties)
        try:
            its.delete(context, resource.physical_id, properties)
            context.wait(1)
        except Exception as error:
            if not is_gone(error):
                self.engine.event(self.stack, resource, "DELETE_FAILED", reason_of(error))
                return False
        self.engine.event(self.stack, resource, "DELETE_COMPLETE")
        return True

    def remove_all(self, resources: Mapping[str, Resource], policy: Callable[[Resource], str]) -> list[str]:
        """Delete resources, dependents first and each although another one failed; return those that failed."""
        needed = {name: resource.dependencies & set(resources) for name, resource in resources.items()}
        failed: list[str] = []

        def work(name: str) -> bool:
            if not self.remove(resources[name], policy(resources[name])):
                failed.append(name)
            return True

        before = graph.reverse(needed)
        graph.walk(before, before, work, self.clock)
        return failed

    def on_creation(self, resource: Resource) -> str:
        """The policy when the operation that created a resource is rolled back."""
        policy = resource.policy("DeletionPolicy")
        if policy == "RetainExceptOnCreate" or (policy == "Retain" and self.stack.retain_except_on_create):
            return "Delete"
        return policy

    def delete_stack(self, retained: set[str]) -> None:
        def policy(resource: Resource) -> str:
            its = resource.policy("DeletionPolicy")
            return "Retain" if its == "RetainExceptOnCreate" or resource.logical_id in retained else its

        present = {
            name: resource for name, resource in self.stack.resources.items() if resource.status != "DELETE_COMPLETE"
        }
        failed = self.remove_all(present, policy)
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            self.engine.settle(self.stack, "DELETE_FAILED", reason)
            return
        self.stack.outputs = []
        self.stack.deleted = self.engine.moment()
        self.engine.settle(self.stack, "DELETE_COMPLETE")

    def outputs(self, scope: Scope, wanted: Deployment) -> list[dict[str, str]]:
        """The stack's outputs, evaluated."""
        shown = []
        for name, output in wanted.template.section("Outputs").items():
            if not scope.exists(output):
                continue
            value = scope.value(output["Value"])
            if isinstance(value, (dict, list)):
                raise ResourceFailed(f"Template format error: Output {name} is malformed. The value must be text.")
            entry = {"OutputKey": name, "OutputValue": text(value)}
            if "Description" in output:
                entry["Description"] = output["Description"]
            if "Export" in output:
                entry["ExportName"] = text(scope.value(output["Export"]["Name"]))
                holder = self.engine.exports().get(entry["ExportName"])
                if holder and holder[0] is not self.stack:
                    raise ResourceFailed(
                        f"Export with name {entry['ExportName']} is already exported by stack {holder[0].name}"
                    )
            shown.append(entry)
        return shown


class _Creation(_Operation):
    """Creating a stack."""

    def __init__(self, engine: Engine, stack: Stack, wanted: Deployment) -> None:
        super().__init__(engine, stack)
        self.wanted = wanted

    def run(self, on_failure: str) -> None:
        scope = self.scope(self.wanted)
        needed = graph.dependencies(scope)

        def work(name: str) -> bool:
            definition = self.wanted.template.resources[name]
            resource = Resource(name, definition["Type"], definition, needed[name])
            self.stack.resources[name] = resource
            self.engine.event(self.stack, resource, "CREATE_IN_PROGRESS")
            if not self.attempt(resource, "CREATE", lambda: self.make(resource, scope, self.wanted, "CREATE")):
                return False
            self.engine.event(self.stack, resource, "CREATE_COMPLETE")
            return True

        failed = graph.walk(needed, needed, work, self.clock)
        reason = f"The following resource(s) failed to create: [{', '.join(failed)}]. "
        if not failed:
            try:
                self.stack.outputs = self.outputs(scope, self.wanted)
                self.engine.settle(self.stack, "CREATE_COMPLETE")
                return
            except Exception as error:
                reason = reason_of(error) + ". "
        if on_failure == "DO_NOTHING":
            self.engine.settle(self.stack, "CREATE_FAILED", reason)
        elif on_failure == "DELETE":
            self.engine.settle(self.stack, "DELETE_IN_PROGRESS", f"{reason}Delete requested by user.")
            self.delete_stack(set())
        else:
            self.engine.settle(self.stack, "ROLLBACK_IN_PROGRESS", f"{reason}Rollback requested by user.")
            left = self.remove_all(self.stack.resources, self.on_creation)
            if left:
                reason = f"The following resource(s) failed to delete: [{', '.join(left)}]. "
                self.engine.settle(self.stack, "ROLLBACK_FAILED", reason)
            else:
                self.engine.settle(self.stack, "ROLLBACK_COMPLETE")


class _Update(_Operation):
    """Updating a stack, and rolling that back."""

    def __init__(self, engine: Engine, stack: Stack, wanted: Deployment) -> None:
        super().__init__(engine, stack)
        self.wanted = wanted
        self.undo: dict[str, Undo] = {}
        self.replaced: list[Resource] = []

    def run(self) -> None:
        scope = self.scope(self.wanted)
        needed = graph.dependencies(scope)
        former = {name: r for name, r in self.stack.resources.items() if r.status != "DELETE_COMPLETE"}
        failed = graph.walk(needed, needed, lambda name: self._bring(name, scope, needed[name]), self.clock)
        reason = self._failures(failed)
        if not failed:
            try:
                outputs = self.outputs(scope, self.wanted)
            except Exception as error:
                failed, reason = [self.stack.name], reason_of(error) + ". "
        if failed:
            self.engine.settle(self.stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason)
            if self.stack.disable_rollback:
                self.engine.settle(self.stack, "UPDATE_FAILED", reason)
                return
            self.roll_back(list(self.undo.values()), [])
            return
        self.stack.deployment, self.stack.outputs = self.wanted, outputs
        self.engine.settle(self.stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        removed = {name: resource for name, resource in former.items() if name not in needed}
        self._clean_up(self.replaced, removed)
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
        self.engine.event(
            self.stack,
            new,
            "UPDATE_IN_PROGRESS",
            "Requested update requires the creation of a new physical resource; hence creating one.",
        )
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
        started = self.clock.now()
        fault = (
            None
            if back
            else self.engine.aws.faults.take(
                "stack", stack=self.stack.name, resource=resource.logical_id, type=resource.type
            )
        )
        if fault is not None:
            context.wait(its.seconds)
            raise ResourceFailed(fault.get("reason") or f"The rehearsal was asked to fail {resource.logical_id}")
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
        context.wait(max(0.0, started + min(its.seconds, 30) - self.clock.now()))

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


def different(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """The names of the properties that differ."""
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def replaces(type_: str, changed: set[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a change of these properties needs a new physical resource."""
    its = schema.of(type_)
    for name in changed:
        recreation = its.replacement(name, old.get(name), new.get(name)) if its else "Never"
        if recreation == "Always":
            return True
        if recreation == "Conditionally" and handler(type_).replaces(name, old, new):
            return True
    return False


def tag_property_of(type_: str) -> str | None:
    its = schema.of(type_)
    return its.tag_property if its else None


def tags_in(value: Any) -> dict[str, str]:
    """Tags as a map, whichever of the two forms a type uses."""
    if isinstance(value, dict):
        return value
    return {tag["Key"]: tag["Value"] for tag in value or []}


def tagged(type_: str, properties: dict[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """Properties in the types of the schema, with the stack's tags where the type takes tags; its own win."""
    its = schema.of(type_)
    if its is None:
        return properties
    if tags and its.tag_property:
        own = properties.get(its.tag_property)
        if its.tags_are_pairs and isinstance(own, (list, NoneType)):
            present = {tag.get("Key") for tag in own or []}
            extra = {"PropagateAtLaunch": True} if type_ == "AWS::AutoScaling::AutoScalingGroup" else {}
            more = [{"Key": key, "Value": value, **extra} for key, value in tags.items() if key not in present]
            properties = {**properties, its.tag_property: [*(own or []), *more]}
        elif isinstance(own, (dict, NoneType)):
            properties = {**properties, its.tag_property: {**tags, **(own or {})}}
    return its.coerced(properties)


def is_gone(error: Exception) -> bool:
    """Whether a deletion failed because there is nothing to delete."""
    if isinstance(error, ResourceGone):
        return True
    if not isinstance(error, ClientError):
        return False
    code = str(error.response["Error"]["Code"])
    return any(word in code for word in ("NotFound", "NoSuch", "DoesNotExist", "NonExistent")) or code == "404"


def reason_of(error: Exception) -> str:
    """Why a resource failed, as the event says it."""
    if isinstance(error, ClientError):
        answer = error.response["Error"]
        metadata = error.response.get("ResponseMetadata", {})
        code = next(
            (its for word, its in _HANDLER_CODES.items() if word in str(answer["Code"])), "GeneralServiceException"
        )
        return (
            f'Resource handler returned message: "{answer.get("Message")} (Service: {error.operation_name}, '
            f'Status Code: {metadata.get("HTTPStatusCode")}, Request ID: {metadata.get("RequestId")})" '
            f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: {code})"
        )
    message = getattr(error, "message", None) or str(error)
    if isinstance(error, (ResourceFailed, ValidationError)) or hasattr(error, "message"):
        return str(message)
    traceback.print_exception(error, file=sys.stderr)
    return f"The rehearsal itself failed: {type(error).__name__}: {error}"
