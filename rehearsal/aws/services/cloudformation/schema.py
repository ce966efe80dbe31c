"""The registry schemas of resource types, as cfn-lint ships them: what a type accepts and what replaces it."""

import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .intrinsics import Later
from .templates import text

_SPEC = importlib.util.find_spec("cfnlint")  # importing it would import sympy and networkx, for a second
assert _SPEC and _SPEC.origin
_DATA = Path(_SPEC.origin).parent / "data" / "schemas"


@functools.cache
def _index() -> dict[str, str]:
    found: dict[str, str] = json.loads((_DATA / "providers" / "us-east-1.json").read_text())
    return found


@functools.cache
def of(type_: str) -> "Schema | None":
    """The schema of a resource type, None when CloudFormation has no such type."""
    name = _index().get(type_)
    if name is None:
        return None
    return Schema(json.loads((_DATA / "resources" / f"{name}.json").read_text()))


class Schema:
    """What the registry says about one type."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.type: str = document["typeName"]
        self.attributes = {
            path.removeprefix("/properties/").replace("/", ".") for path in document.get("readOnlyProperties", [])
        }
        tagging = document.get("tagging") or {}
        top = str(tagging.get("tagProperty", "/properties/Tags")).removeprefix("/properties/")
        self.tag_property = (
            top if tagging.get("taggable", document.get("taggable", True)) and top in document["properties"] else None
        )

    @property
    def tags_are_pairs(self) -> bool:
        """Whether the tag property is a list of Key and Value; otherwise it is a map."""
        return bool(self._resolved(self._document["properties"][self.tag_property or ""]).get("type") == "array")

    def replacement(self, name: str, old: Any, new: Any) -> str:
        """Whether a change of a top-level property recreates the resource: Never, Conditionally or Always.

        What identifies a resource cannot change either, though the schema of a record set lists only some of it.
        """
        read_only = self._document.get("readOnlyProperties", [])
        identifying = [path for path in self._document.get("primaryIdentifier", []) if path not in read_only]
        for paths, answer in (
            ([*self._document.get("createOnlyProperties", []), *identifying], "Always"),
            (self._document.get("conditionalCreateOnlyProperties", []), "Conditionally"),
        ):
            for path in paths:
                first, *rest = path.removeprefix("/properties/").split("/")
                if first == name and list(_at(old, rest)) != list(_at(new, rest)):
                    return answer
        return "Never"

    def problems(self, properties: dict[str, Any]) -> list[str]:
        """What CloudFormation's validation of properties finds, one sentence each, with the property's path."""
        return list(self._problems(properties, self._document, "#"))

    def coerced(self, properties: dict[str, Any]) -> dict[str, Any]:
        """The properties with scalars in the type of the schema: a Number parameter arrives as text."""
        result: dict[str, Any] = self._coerced(properties, self._document)
        return result

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            target: Any = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            schema = target
        return schema

    def _problems(self, value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
        if isinstance(value, Later) or value is None:
            return
        schema = self._resolved(schema)
        wanted = schema.get("type")
        if wanted and not _fits(value, wanted if isinstance(wanted, list) else [wanted]):
            yield f"{path}: expected type: {wanted}, found: {_kind(value)}"
            return
        if isinstance(value, dict):
            yield from self._object_problems(value, schema, path)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._problems(item, schema.get("items") or {}, f"{path}/{index}")
        else:
            yield from _scalar_problems(value, schema, path)

    def _object_problems(self, value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
        known = schema.get("properties") or {}
        patterns = schema.get("patternProperties") or {}
        for name in schema.get("required") or []:
            if name not in value:
                yield f"{path}: required key [{name}] not found"
        for name, item in value.items():
            if name in known:
                yield from self._problems(item, known[name], f"{path}/{name}")
                continue
            matching = [inner for pattern, inner in patterns.items() if re.search(pattern, name)]
            if matching:
                yield from self._problems(item, matching[0], f"{path}/{name}")
            elif schema.get("additionalProperties") is False:
                yield f"{path}: extraneous key [{name}] is not permitted"

    def _coerced(self, value: Any, schema: dict[str, Any]) -> Any:
        schema = self._resolved(schema)
        if isinstance(value, dict):
            known = schema.get("properties") or {}
            other: dict[str, Any] = next(iter((schema.get("patternProperties") or {}).values()), {})
            return {name: self._coerced(item, known.get(name, other)) for name, item in value.items()}
        if isinstance(value, list):
            return [self._coerced(item, schema.get("items") or {}) for item in value]
        wanted = schema.get("type")
        if wanted == "string" and isinstance(value, (bool, int, float)):
            return text(value)
        if isinstance(value, str):
            if wanted == "boolean" and value.lower() in ("true", "false"):
                return value.lower() == "true"
            if wanted == "integer" and re.fullmatch(r"-?\d+", value):
                return int(value)
            if wanted == "number" and re.fullmatch(r"-?\d+(\.\d+)?", value):
                return float(value) if "." in value else int(value)
        return value


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    """The values at a pointer, whose `*` goes through a list."""
    if not path:
        yield value
    elif path[0] == "*" and isinstance(value, list):
        for item in value:
            yield from _at(item, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])
    elif isinstance(value, Later):
        yield value


def _kind(value: Any) -> str:
    return {dict: "JSONObject", list: "JSONArray", bool: "Boolean", int: "Integer", float: "Number"}.get(
        type(value), "String"
    )


def _fits(value: Any, wanted: list[str]) -> bool:
    """Scalars convert into each other when their text allows it, as CloudFormation does."""
    if isinstance(value, dict):
        return "object" in wanted
    if isinstance(value, list):
        return "array" in wanted
    written = text(value)
    return (
        "string" in wanted
        or ("boolean" in wanted and written.lower() in ("true", "false"))
        or ("integer" in wanted and bool(re.fullmatch(r"-?\d+", written)))
        or ("number" in wanted and bool(re.fullmatch(r"-?\d+(\.\d+)?", written)))
    )


def _scalar_problems(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    written = text(value)
    if "{{resolve:" in written:
        return
    if "enum" in schema and written not in {text(choice) for choice in schema["enum"]}:
        yield f"{path}: {written} is not a valid enum value"
    pattern = schema.get("pattern")
    if pattern and schema.get("type") == "string" and not _matches(pattern, written):
        yield f"{path}: string [{written}] does not match pattern {pattern}"
    if schema.get("type") == "string":
        if "minLength" in schema and len(written) < schema["minLength"]:
            yield f"{path}: expected minLength: {schema['minLength']}, actual: {len(written)}"
        if "maxLength" in schema and len(written) > schema["maxLength"]:
            yield f"{path}: expected maxLength: {schema['maxLength']}, actual: {len(written)}"
    elif schema.get("type") in ("integer", "number"):
        if "minimum" in schema and float(written) < schema["minimum"]:
            yield f"{path}: {written} is not greater or equal to {schema['minimum']}"
        if "maximum" in schema and float(written) > schema["maximum"]:
            yield f"{path}: {written} is not less or equal to {schema['maximum']}"


def _matches(pattern: str, written: str) -> bool:
    try:
        return re.search(pattern, written) is not None
    except re.error:  # the registry's patterns are ECMA-262 and a few have no Python reading
        return True
