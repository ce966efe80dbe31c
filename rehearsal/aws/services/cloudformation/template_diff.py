"""The changes between a stack and a deployment, as a change set lists them.

Source: API reference, `ResourceChange`, `ResourceChangeDetail` and `ResourceTargetDefinition`.
"""

from collections.abc import Mapping
from typing import Any

from . import graph, schema
from .errors import ValidationError
from .intrinsics import Later, Scope, references
from .model import STACK, Deployment, Resource, Stack
from .properties import different, tag_property_of, tagged

Detail = tuple[dict[str, Any], str]
"""A ResourceChangeDetail, with the Replacement that it alone would mean."""

_WEIGHT = {"False": 0, "Conditional": 1, "True": 2}


def later(name: str, attribute: str | None) -> Later:
    """What a resource answers as long as no one asks it."""
    return Later("Ref", name) if attribute is None else Later("Fn::GetAtt", [name, attribute])


def evaluated(scope: Scope, wanted: Deployment) -> dict[str, dict[str, Any]]:
    """The properties of every resource, in dependency order, where references to resources stay open."""
    return {
        name: tagged(
            wanted.template.resources[name]["Type"],
            scope.value(wanted.template.resources[name].get("Properties") or {}),
            wanted.tags,
        )
        for name in graph.dependencies(scope)
    }


def between(stack: Stack, old: tuple[Deployment, Scope] | None, new: tuple[Deployment, Scope]) -> list[dict[str, Any]]:
    """The changes of a change set, in the order in which they would be made.

    A reference to an attribute of a resource that is itself modified counts as a change whose outcome is not known
    (Evaluation Dynamic): CloudFormation does not look ahead, and so reports `Conditional` where such a property would
    replace.
    """
    wanted, scope = new
    target = evaluated(scope, wanted)
    former = evaluated(old[1], old[0]) if old else {}
    present = {name for name, resource in list(stack.resources.items()) if resource.status != "DELETE_COMPLETE"}
    modified: dict[str, str] = {}
    changes = []
    for name, properties in target.items():
        definition = wanted.template.resources[name]
        if name not in present:
            modified[name] = "True"
            changes.append(_change("Add", name, definition["Type"]))
            continue
        resource = stack.resources[name]
        if resource.type != definition["Type"]:
            raise ValidationError(
                "Update of resource type is not permitted. The new template modifies resource type of the following "
                f"resources: [{name}]"
            )
        details = _details(resource, former.get(name, {}), properties, definition, modified)
        if not details:
            continue
        replacement = max((detail[1] for detail in details), key=_WEIGHT.__getitem__)
        modified[name] = replacement
        changes.append(_modification(resource, definition, replacement, [detail[0] for detail in details]))
    for name in reversed(graph.order({name: stack.resources[name].dependencies & present for name in present})):
        if name not in target:
            resource = stack.resources[name]
            policy = resource.policy("DeletionPolicy")
            change = _change("Remove", name, resource.type, resource.physical_id)
            change["ResourceChange"]["PolicyAction"] = policy if policy in ("Delete", "Snapshot") else "Retain"
            changes.append(change)
    return changes


def nothing_but_properties(old: Deployment, new: Deployment) -> bool:
    """Whether the outputs differ, which is a change although no resource has one."""
    return old.template.section("Outputs") != new.template.section("Outputs")


def _change(action: str, name: str, type_: str, physical_id: str | None = None) -> dict[str, Any]:
    change = {"Action": action, "LogicalResourceId": name, "ResourceType": type_, "Scope": [], "Details": []}
    if physical_id:
        change["PhysicalResourceId"] = physical_id
    return {"Type": "Resource", "ResourceChange": change}


def _modification(
    resource: Resource, definition: Mapping[str, Any], replacement: str, details: list[dict[str, Any]]
) -> dict[str, Any]:
    change = _change("Modify", resource.logical_id, resource.type, resource.physical_id)
    inner = change["ResourceChange"]
    inner["Replacement"] = replacement
    inner["Scope"] = list(dict.fromkeys(detail["Target"]["Attribute"] for detail in details))
    inner["Details"] = details
    if replacement != "False":
        policy = definition.get("UpdateReplacePolicy", "Delete")
        inner["PolicyAction"] = {"Retain": "ReplaceAndRetain", "Snapshot": "ReplaceAndSnapshot"}.get(
            policy, "ReplaceAndDelete"
        )
    return change


def _details(
    resource: Resource,
    former: Mapping[str, Any],
    properties: Mapping[str, Any],
    definition: Mapping[str, Any],
    modified: Mapping[str, str],
) -> list[Detail]:
    """Each changed property with the replacement it alone would mean."""
    its = schema.of(resource.type)
    tags = tag_property_of(resource.type)
    found = []
    changed = different(former, properties)
    for name in sorted(changed):
        recreation = its.replacement(name, former.get(name), properties.get(name)) if its else "Never"
        found.append(_detail(name, tags, recreation, "DirectModification"))
    for name in sorted(set(properties) - changed):
        for other, attribute in sorted(set(references(properties[name])), key=str):
            if modified.get(other) is None or (attribute is None and modified[other] == "False"):
                continue
            recreation = its.replacement(name, None, properties[name]) if its else "Never"
            source = "ResourceReference" if attribute is None else "ResourceAttribute"
            entity = other if attribute is None else f"{other}.{attribute}"
            found.append(_detail(name, tags, recreation, source, entity))
    if resource.definition.get("Metadata") != definition.get("Metadata"):
        target = {"Attribute": "Metadata", "RequiresRecreation": "Never"}
        found.append(({"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}, "False"))
    if resource.type == STACK and not found:
        target = {"Attribute": "Properties", "RequiresRecreation": "Never"}
        found.append(({"Target": target, "Evaluation": "Dynamic", "ChangeSource": "Automatic"}, "False"))
    return found


def _detail(name: str, tags: str | None, recreation: str, source: str, entity: str | None = None) -> Detail:
    """A detail of one property; an `entity` that causes it makes it Dynamic."""
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation}
    if name == tags:
        target, recreation = {"Attribute": "Tags", "RequiresRecreation": "Never"}, "Never"
    detail: dict[str, Any] = {"Target": target, "Evaluation": "Static", "ChangeSource": source}
    if entity:
        detail |= {"Evaluation": "Dynamic", "CausingEntity": entity}
    if recreation == "Never":
        return detail, "False"
    return detail, "True" if recreation == "Always" and not entity else "Conditional"
