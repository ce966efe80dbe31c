"""Parameters of a template: which value each has, and whether the template accepts it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import NotRehearsed, ValidationError
from .templates import text

SCALARS = {"String", "Number", "AWS::SSM::Parameter::Name"}
LISTS = {"CommaDelimitedList", "List<Number>", "List<String>"}
_AWS = re.compile(r"(List<)?AWS::[A-Za-z0-9]+::[A-Za-z0-9]+(::[A-Za-z]+)?>?")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a stack: the text that was given and what `Ref` answers, a list for the list types."""

    given: str
    value: Any
    hidden: bool = False

    def shown(self, name: str) -> dict[str, str]:
        """The parameter as DescribeStacks shows it."""
        return {"ParameterKey": name, "ParameterValue": "****" if self.hidden else self.given}


def resolve(
    declared: Mapping[str, Mapping[str, Any]],
    given: list[dict[str, Any]],
    previous: Mapping[str, Parameter] | None,
    exists: Callable[[str, str], bool],
) -> dict[str, Parameter]:
    """The value of every declared parameter.

    `previous` are the parameters of the stack that is updated, None when it is created; `exists` answers whether an
    AWS-specific type (`AWS::EC2::VPC::Id`) knows a value.
    Source: CloudFormation user guide, "CloudFormation template Parameters syntax".
    """
    unknown = [entry["ParameterKey"] for entry in given if entry["ParameterKey"] not in declared]
    if unknown:
        raise ValidationError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    texts: dict[str, str] = {}
    for entry in given:
        name = entry["ParameterKey"]
        if name in texts:
            raise ValidationError(f"Parameter '{name}' is defined more than once")
        if entry.get("UsePreviousValue"):
            if entry.get("ParameterValue") is not None:
                raise ValidationError(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true "
                    "and non empty value for a parameter"
                )
            if previous is None:
                raise ValidationError(
                    f"Invalid input for parameter key {name}. Cannot use previous value for a new stack"
                )
            if name not in previous:
                raise ValidationError(f"Invalid input for parameter key {name}. There is no previous value")
            texts[name] = previous[name].given
        else:
            texts[name] = entry.get("ParameterValue") or ""
    for name, parameter in declared.items():
        if name not in texts and "Default" in parameter:
            texts[name] = text(parameter["Default"])
    missing = [name for name in declared if name not in texts]
    if missing:
        raise ValidationError(f"Parameters: [{', '.join(missing)}] must have values")
    return {name: _parameter(name, parameter, texts[name], exists) for name, parameter in declared.items()}


def _parameter(
    name: str,
    declared: Mapping[str, Any],
    given: str,
    exists: Callable[[str, str], bool],
) -> Parameter:
    type_ = declared.get("Type", "String")
    hidden = str(declared.get("NoEcho", False)).lower() == "true"
    _check(name, declared, given, type_)
    value = _typed(type_, given)
    if type_ in SCALARS | LISTS:
        return Parameter(given, value, hidden)
    if not _AWS.fullmatch(type_):
        raise NotRehearsed(f"The rehearsal does not implement the parameter type {type_}")
    kind = type_.removeprefix("List<").removesuffix(">")
    for one in value if isinstance(value, list) else [value]:
        if not exists(kind, one):
            raise ValidationError(
                f"Parameter validation failed: parameter value {one} for parameter name {name} does not exist"
            )
    return Parameter(given, value, hidden)


def _typed(type_: str, given: str) -> Any:
    if type_ in LISTS or type_.startswith("List<"):
        return [item.strip() for item in given.split(",")] if given else []
    return given


def _check(name: str, declared: Mapping[str, Any], given: str, type_: str) -> None:
    explained = declared.get("ConstraintDescription")

    def refuse(message: str) -> ValidationError:
        if explained:
            return ValidationError(f"Parameter {name} failed to satisfy constraint: {explained}")
        return ValidationError(message)

    items = [item.strip() for item in given.split(",")] if type_ in LISTS and given else [given]
    if "AllowedValues" in declared:
        allowed = [text(value) for value in declared["AllowedValues"]]
        if any(item not in allowed for item in items):
            raise refuse(f"Parameter '{name}' must be one of AllowedValues")
    if "AllowedPattern" in declared and any(not re.fullmatch(declared["AllowedPattern"], item) for item in items):
        raise refuse(f"Parameter '{name}' must match pattern {declared['AllowedPattern']}")
    if "MinLength" in declared and len(given) < int(declared["MinLength"]):
        raise refuse(f"Parameter '{name}' must contain at least {declared['MinLength']} characters")
    if "MaxLength" in declared and len(given) > int(declared["MaxLength"]):
        raise refuse(f"Parameter '{name}' must contain at most {declared['MaxLength']} characters")
    if type_ in ("Number", "List<Number>"):
        for item in items:
            try:
                number = float(item)
            except ValueError:
                raise ValidationError(f"Parameter '{name}' must be a number.") from None
            if "MinValue" in declared and number < float(declared["MinValue"]):
                raise refuse(f"Parameter '{name}' must be a number not less than {declared['MinValue']}")
            if "MaxValue" in declared and number > float(declared["MaxValue"]):
                raise refuse(f"Parameter '{name}' must be a number not greater than {declared['MaxValue']}")
    if len(given.encode()) > 4096:
        raise ValidationError(f"Parameter '{name}' has a value longer than 4,096 bytes")
