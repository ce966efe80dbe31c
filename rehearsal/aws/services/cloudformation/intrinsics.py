"""Evaluation of a template's functions and conditions.

What only a resource says, once it exists, evaluates to a `Later`: change sets compare those. The engine, which asks
for a resource after its dependencies, never meets one.
"""

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ValidationError
from .templates import text

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_NOTHING = object()
"""The value of AWS::NoValue: the property or list item that has it does not exist."""

CONDITION_FUNCTIONS = {"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Condition"}


@dataclass(frozen=True)
class Later:
    """A value that depends on a resource: a `Ref`, a `Fn::GetAtt`, or a function with such an argument."""

    function: str
    argument: Any


def references(value: Any) -> Iterator[tuple[str, str | None]]:
    """The resources, each with the attribute or None for `Ref`, that an evaluated value waits for."""
    if isinstance(value, Later):
        if value.function == "Ref":
            yield value.argument, None
        elif value.function == "Fn::GetAtt":
            yield value.argument[0], value.argument[1]
        else:
            yield from references(value.argument)
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


def mentioned(node: Any, others: Container[str]) -> Iterator[str]:
    """The resources that an unevaluated node of a template names; `others` are names of something else.

    CloudFormation orders resources by what is written: an untaken branch of Fn::If counts when its resource exists.
    """
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref" and isinstance(value, str):
                if value not in others and not value.startswith("AWS::"):
                    yield value
            elif key == "Fn::GetAtt":
                yield str(value[0] if isinstance(value, list) else value.split(".")[0])
                if isinstance(value, list):
                    yield from mentioned(value[1:], others)
            elif key == "Fn::Sub":
                names, body = ({}, value) if isinstance(value, str) else (value[1], value[0])
                for name in map(str.strip, _PLACEHOLDER.findall(body)):
                    if name not in names and name not in others and not name.startswith(("AWS::", "!")):
                        yield name.split(".")[0]
                yield from mentioned(names, others)
            else:
                yield from mentioned(value, others)
    elif isinstance(node, list):
        for item in node:
            yield from mentioned(item, others)


@dataclass
class Scope:
    """Everything that the functions of one template can refer to."""

    template: Mapping[str, Any]
    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    resource: Callable[[str, str | None], Any]
    """Answers `Ref` (attribute None) and `Fn::GetAtt` of a resource, possibly with a Later."""
    zones: Callable[[str], list[str]]
    _conditions: dict[str, bool] = field(default_factory=dict)

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        if name not in self._conditions:
            declared = self.template.get("Conditions") or {}
            if name not in declared:
                raise ValidationError(
                    f"Template format error: Unresolved condition dependency {name} in the Resources block"
                )
            self._conditions[name] = self._holds(declared[name])
        return self._conditions[name]

    def exists(self, definition: Mapping[str, Any]) -> bool:
        """Whether a resource's or an output's condition holds."""
        return "Condition" not in definition or self.condition(definition["Condition"])

    def value(self, node: Any) -> Any:
        """The value of a node of the template."""
        result = self._value(node)
        return None if result is _NOTHING else result

    def _value(self, node: Any) -> Any:
        if isinstance(node, dict):
            if len(node) == 1:
                ((name, argument),) = node.items()
                if name == "Ref":
                    return self._ref(argument)
                if name in CONDITION_FUNCTIONS and name != "Condition":
                    return self._holds(node)
                if name.startswith("Fn::"):
                    return self._call(name, argument)
            return {key: value for key, item in node.items() if (value := self._value(item)) is not _NOTHING}
        if isinstance(node, list):
            return [value for item in node if (value := self._value(item)) is not _NOTHING]
        return node

    def _ref(self, name: Any) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        self._known(name)
        return self.resource(name, None)

    def _known(self, name: Any) -> None:
        definition = (self.template.get("Resources") or {}).get(name)
        if definition is None or not self.exists(definition):
            raise ValidationError(
                f"Template format error: Unresolved resource dependencies [{name}] in the Resources block "
                "of the template"
            )

    def _holds(self, node: Any) -> bool:
        name: str
        argument: Any
        name, argument = next(iter(node.items())) if isinstance(node, dict) and len(node) == 1 else ("", None)
        if name == "Condition":
            return self.condition(argument)
        if name == "Fn::Equals":
            left, right = (self._value(item) for item in argument)
            return bool(_plain(left) == _plain(right))
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::And":
            return all(self._holds(item) for item in argument)
        if name == "Fn::Or":
            return any(self._holds(item) for item in argument)
        raise ValidationError(f"Template error: a condition can only compare parameters, unlike {json.dumps(node)}")

    def broken_rules(self) -> list[str]:
        """What the template's rules say about these parameters (user guide, "Rules")."""
        return [
            f"{name}: {assertion.get('AssertDescription', 'assertion failed')}"
            for name, rule in (self.template.get("Rules") or {}).items()
            if "RuleCondition" not in rule or self._holds(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._holds(assertion["Assert"])
        ]

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Fn::If":
            return self._value(argument[1] if self.condition(argument[0]) else argument[2])
        if name == "Fn::GetAtt":
            resource, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
            self._known(resource)
            return self.resource(resource, self._value(attribute))
        if name == "Fn::Sub":
            return self._sub(argument)
        function = _FUNCTIONS.get(name)
        if function is None:
            raise ValidationError(f"Template error: the rehearsal does not know the function {name}")
        evaluated = self._value(argument)
        if next(references(evaluated), None):
            return Later(name, evaluated)
        return function(self, evaluated)

    def _sub(self, argument: Any) -> Any:
        body, given = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])
        parts: list[Any] = []
        end = 0
        for hit in _PLACEHOLDER.finditer(body):
            parts.append(body[end : hit.start()])
            name = hit[1].strip()
            if name.startswith("!"):
                parts.append("${" + name[1:] + "}")
            elif name in given:
                parts.append(self._value(given[name]))
            elif "." in name:
                parts.append(self._call("Fn::GetAtt", name))
            else:
                parts.append(self._ref(name))
            end = hit.end()
        parts.append(body[end:])
        if any(isinstance(part, Later) for part in parts):
            return Later("Fn::Sub", parts)
        if any(isinstance(part, (list, dict)) for part in parts):
            raise ValidationError(f"Template error: every value of Fn::Sub must be text: {body}")
        return "".join(map(text, parts))


def _plain(value: Any) -> Any:
    return text(value) if isinstance(value, (bool, int, float)) else value


def _join(_: Scope, argument: Any) -> str:
    separator, items = argument
    if not isinstance(items, list) or any(isinstance(item, (list, dict)) for item in items):
        raise ValidationError(
            "Template error: every Fn::Join object requires two parameters, the second a list of text"
        )
    return str(separator).join(map(text, items))


def _select(_: Scope, argument: Any) -> Any:
    index, items = int(argument[0]), argument[1]
    if not 0 <= index < len(items):
        raise ValidationError(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return items[index]


def _split(_: Scope, argument: Any) -> list[str]:
    return str(argument[1]).split(argument[0])


def _find_in_map(scope: Scope, argument: Any) -> Any:
    map_name, top, second = argument
    found: Any = scope.template.get("Mappings") or {}
    for key in (map_name, top, second):
        if not isinstance(found, dict) or text(key) not in {text(name) for name in found}:
            raise ValidationError(f"Template error: Unable to get mapping for {map_name}::{top}::{second}")
        found = next(value for name, value in found.items() if text(name) == text(key))
    return found


def _cidr(_: Scope, argument: Any) -> list[str]:
    block, count, bits = [*argument, 8][:3]
    network = ipaddress.ip_network(block)
    prefix = network.max_prefixlen - int(bits)
    available = 2 ** (prefix - network.prefixlen) if prefix >= network.prefixlen else 0
    if int(count) > available:
        raise ValidationError(f"Template error: Fn::Cidr cannot make {count} blocks of {bits} bits from {block}")
    subnets = network.subnets(new_prefix=prefix)
    return [str(next(subnets)) for _ in range(int(count))]


def _zones(scope: Scope, region: Any) -> list[str]:
    return scope.zones(region or scope.pseudo["AWS::Region"])


def _base64(_: Scope, value: Any) -> str:
    return base64.b64encode(str(value).encode()).decode()


_FUNCTIONS: dict[str, Callable[[Scope, Any], Any]] = {
    "Fn::Base64": _base64,
    "Fn::Cidr": _cidr,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAZs": _zones,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
}
