"""Properties of resources: in the types of their schema, with the stack's tags, and what it means that they changed."""

from collections.abc import Mapping
from types import NoneType
from typing import Any

from . import schema
from .handler import handler


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
