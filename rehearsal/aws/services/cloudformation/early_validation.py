"""What CloudFormation refuses before it touches any resource (user guide, "Validate stack deployments")."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import schema
from .errors import ValidationError
from .handler import HANDLERS
from .intrinsics import Scope, references
from .model import STACK, Deployment, Stack
from .template_diff import evaluated

if TYPE_CHECKING:
    from .engine import Engine


def problems(scope: Scope, wanted: Deployment) -> list[dict[str, str]]:
    """What would fail without asking any service: unknown types, properties, attributes and wrong values."""
    found: list[dict[str, str]] = []
    resources = wanted.template.resources
    for name, properties in evaluated(scope, wanted).items():
        type_ = resources[name]["Type"]
        its = schema.of(type_)
        sentences: list[str] = []
        if its is None:
            raise ValidationError(f"Template format error: Unrecognized resource types: [{type_}]")
        if type_ not in HANDLERS:
            sentences = [f"The rehearsal does not implement the resource type {type_}"]
        else:
            sentences = its.problems(properties)
            sentences += [
                problem for reference in references(properties) if (problem := _attribute(reference, resources))
            ]
        found += [{"LogicalResourceId": name, "ResourceType": type_, "Reason": sentence} for sentence in sentences]
    for output in wanted.template.section("Outputs").values():
        if scope.exists(output):
            for reference in references(scope.value(output.get("Value"))):
                if problem := _attribute(reference, resources):
                    raise ValidationError(problem)
    return found


def conflicts(stack: Stack, scope: Scope, wanted: Deployment, engine: "Engine") -> list[dict[str, str]]:
    """New resources whose name is taken already, as far as their handlers look for that."""
    found = []
    for name, properties in evaluated(scope, wanted).items():
        type_ = wanted.template.resources[name]["Type"]
        if name not in stack.resources and (taken := HANDLERS[type_].taken(engine.aws, properties)):
            reason = f"Resource of type '{type_}' with identifier '{taken}' already exists."
            problem = {"LogicalResourceId": name, "ResourceType": type_, "Reason": reason}
            found.append(problem | {"Validation": "NAME_CONFLICT_VALIDATION"})
    return found


def _attribute(reference: tuple[str, str | None], resources: Mapping[str, Any]) -> str:
    name, attribute = reference
    type_ = resources[name]["Type"]
    if attribute is None or (type_ == STACK and attribute.startswith("Outputs.")):
        return ""
    its = schema.of(type_)
    if its is None or attribute in its.attributes:
        return ""
    return f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt"
