"""What every operation on a stack does with its resources: create, delete, and report why one failed."""

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from . import graph
from .context import Context, Properties
from .errors import Cancelled, ResourceFailed
from .handler import handler
from .intrinsics import Scope
from .model import Deployment, Resource, Stack
from .properties import tagged
from .reasons import is_gone, reason_of
from .templates import text

if TYPE_CHECKING:
    from .engine import Engine

CANCELLED = {"CREATE": "Resource creation cancelled", "UPDATE": "Resource update cancelled"}
REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."
# AWS seconds of CloudFormation's own, the medians of public logs of CDK. Until the first resource begins: 2, 2, 2 and 4
# in a new stack, 5 in an updated one, 2 in a deleted one. Until it calls the service for a resource whose needs are
# there: 0 to 3, mostly 0 or 1. Until the stack has ended after its last resource: 0 to 2.
BEGIN_SECONDS = 2
NEXT_SECONDS = 1
END_SECONDS = 1
_DYNAMIC = re.compile(r"\{\{resolve:(ssm|secretsmanager):([^}]+)\}\}")


class Operation:
    """What creating, updating and deleting share: properties, deletion, and saying why something failed."""

    called: ClassVar = "delete"
    """What `--fault stack:during=…` calls it."""

    def __init__(self, engine: "Engine", stack: Stack) -> None:
        self.engine, self.stack, self.clock = engine, stack, engine.aws.clock
        self.failed = False
        """Whether a resource failed: its siblings in progress are cancelled."""

    def context(self, logical_id: str, *, snapshot: bool = False, cancellable: bool = True) -> Context:
        return Context(
            self.engine, self.stack, logical_id, self.is_cancelled if cancellable else (lambda: False), snapshot
        )

    def is_cancelled(self) -> bool:
        """Whether what is in progress gives up."""
        return self.failed

    def pause(self, seconds: float) -> None:
        """Let CloudFormation's own time pass; what is given up is not waited for."""
        self.clock.sleep(seconds, self.is_cancelled)

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
        its = handler(resource.type)
        context = self.context(resource.logical_id)
        if resource.dependencies:
            context.wait(NEXT_SECONDS)
        started = self.clock.now()
        context.identify = functools.partial(setattr, resource, "physical_id")
        resource.properties = self.properties(scope, wanted, resource.definition)
        self.fail_as_ordered(resource, context)
        properties = Properties(resource.properties)
        made = its.create(context, properties)
        resource.physical_id, resource.attributes = made.physical_id, dict(made.attributes)
        initiated = "Resource creation Initiated" if verb == "CREATE" else REPLACING
        self.engine.event(self.stack, resource, f"{verb}_IN_PROGRESS", initiated)
        resource.attributes |= its.ready(context, resource.physical_id, properties)
        properties.check(resource.type, set(properties))
        context.wait(max(0.0, started + its.seconds - self.clock.now()))

    def fail_as_ordered(self, resource: Resource, context: Context) -> None:
        """Fail, after some time, when someone ordered it with `--fault stack:…`."""
        name = resource.logical_id
        fault = self.engine.aws.faults.take(
            "stack", stack=self.stack.name, resource=name, type=resource.type, during=self.called
        )
        if fault is not None:
            context.wait(handler(resource.type).seconds)
            raise ResourceFailed(fault.get("reason") or f"The rehearsal was asked to fail {name}")

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
        properties, started = Properties(resource.properties), self.clock.now()
        try:
            its.delete(context, resource.physical_id, properties)
            context.wait(max(0.0, started + its.delete_seconds - self.clock.now()))
        except Exception as error:
            if not is_gone(error):
                self.engine.event(self.stack, resource, "DELETE_FAILED", reason_of(error))
                return False
        self.engine.event(self.stack, resource, "DELETE_COMPLETE")
        return True

    def remove_all(self, resources: Mapping[str, Resource], policy: Callable[[Resource], str]) -> list[str]:
        """Delete resources, dependents first; return those that failed.

        What a resource needs is deleted although that resource could not be. Sources: the issues 852 and 1508 of
        aws-cloudformation/cloudformation-coverage-roadmap.
        """
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
        self.clock.sleep(BEGIN_SECONDS)
        failed = self.remove_all(present, policy)
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            self.engine.settle(self.stack, "DELETE_FAILED", reason)
            return
        self.clock.sleep(END_SECONDS)
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
                raise ResourceFailed("The rehearsal does not implement exports of a stack")
            shown.append(entry)
        return shown
