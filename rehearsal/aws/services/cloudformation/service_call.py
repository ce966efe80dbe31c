"""From the properties of a resource to the request of an API call.

CloudFormation's properties and the service's request mostly share their names but for the first letter, and differ in
how they write tags and JSON text. What finds no place in the request is an error that names it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape

from .context import Properties
from .errors import NotRehearsed
from .templates import text


def call(client: Any, operation: str, properties: Mapping[str, Any] | None = None, **fixed: Any) -> dict[str, Any]:
    """Call an operation with those properties that it takes, and with `fixed` members; None leaves a member out."""
    model = client.meta.service_model.operation_model(operation)
    request = members(model.input_shape, properties or {}, fixed) if model.input_shape else {}
    answer: dict[str, Any] = getattr(client, xform_name(operation))(**request)
    return answer


def members(shape: StructureShape, properties: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level members of a request."""
    names = {name.lower(): name for name in shape.members}
    request: dict[str, Any] = {}
    for name in list(properties):
        member = names.get(name.lower())
        if member is not None and member not in fixed:
            request[member] = converted(shape.members[member], properties[name], name)
        elif member is not None and isinstance(properties, Properties):
            properties.read.add(name)
    for name, value in fixed.items():
        if value is not None:
            request[name] = converted(shape.members[name], value, name)
    return request


def converted(shape: Shape, value: Any, path: str) -> Any:
    """A value in the form of a shape of the service's model."""
    if isinstance(shape, StructureShape):
        names = {name.lower(): name for name in shape.members}
        if not isinstance(value, Mapping):
            raise NotRehearsed(f"The rehearsal cannot read {path}: {value!r}")
        unknown = [name for name in value if name.lower() not in names]
        if unknown:
            raise NotRehearsed(f"The rehearsal does not implement {path}.{unknown[0]}")
        return {
            names[name.lower()]: converted(shape.members[names[name.lower()]], item, f"{path}.{name}")
            for name, item in value.items()
        }
    if isinstance(shape, ListShape):
        return [converted(shape.member, _pair(shape.member, item), path) for item in _items(value)]
    if isinstance(shape, MapShape):
        if isinstance(value, list):
            value = {item["Key"]: item["Value"] for item in value}
        return {key: converted(shape.value, item, f"{path}.{key}") for key, item in value.items()}
    if shape.type_name == "string":
        return json.dumps(value) if isinstance(value, (Mapping, list)) else text(value)
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name in ("float", "double"):
        return float(value)
    if shape.type_name == "boolean":
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if shape.type_name == "blob" and isinstance(value, str):
        return value.encode()
    return value


def _items(value: Any) -> Iterable[Any]:
    """The items of a list, also where tags are a map, or the one item stands by itself."""
    if isinstance(value, Mapping):
        return [{"Key": key, "Value": item} for key, item in value.items()]
    return [value] if isinstance(value, str) else value


def _pair(shape: Shape, item: Any) -> Any:
    """A tag in the spelling of services that say TagKey and TagValue."""
    if isinstance(shape, StructureShape) and set(shape.members) == {"TagKey", "TagValue"} and "Key" in item:
        return {"TagKey": item["Key"], "TagValue": item["Value"]}
    return item
