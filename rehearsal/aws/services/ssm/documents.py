"""Command documents of Systems Manager: what a schema 2.2 document may say, and what it says with given parameters.

docs.aws.amazon.com/systems-manager/latest/userguide/documents-schemas-features.html
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from rehearsal.aws.calls import ServiceError

MAXIMUM_BYTES = 64 * 1024
DEFAULT_STEP_SECONDS = 3600  # plugin reference, aws:runShellScript, timeoutSeconds
TYPES = frozenset({"String", "StringList", "Boolean", "Integer", "MapList", "StringMap"})
DOCUMENT_KEYS = frozenset({"schemaVersion", "description", "parameters", "mainSteps", "files"})
STEP_KEYS = frozenset({"action", "name", "precondition", "inputs", "onFailure", "onSuccess", "finallyStep"})
PARAMETER_KEYS = frozenset(
    [
        "type",
        "description",
        "default",
        "allowedValues",
        "allowedPattern",
        "displayType",
        "minItems",
        "maxItems",
        "minChars",
        "maxChars",
        "interpolationType",
    ]
)
NAME = re.compile(r"[a-zA-Z0-9_]+")
REFERENCE = re.compile(r"\{\{\s*(?P<name>[A-Za-z0-9_]+)\s*\}\}")

# Amazon's own document for scripts without a document.
RUN_SHELL_SCRIPT = {
    "schemaVersion": "1.2",
    "description": "Run a shell script or specify the commands to run.",
    "parameters": {
        "commands": {"type": "StringList"},
        "workingDirectory": {"type": "String", "default": ""},
        "executionTimeout": {"type": "String", "default": "3600", "allowedPattern": "[1-9][0-9]{0,5}"},
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "aws:runShellScript",
            "inputs": {
                "runCommand": "{{ commands }}",
                "workingDirectory": "{{ workingDirectory }}",
                "timeoutSeconds": "{{ executionTimeout }}",
            },
        }
    ],
}


@dataclass(frozen=True)
class Step:
    """One step of a document, with its parameters filled in."""

    name: str
    script: str
    timeout: int
    directory: str
    environment: Mapping[str, str]


def parse(content: str, document_format: str) -> dict[str, Any]:
    """Read and check a command document. Raises InvalidDocumentContent, as CreateDocument does."""
    try:
        document = yaml.load(content, yaml.CSafeLoader) if document_format == "YAML" else json.loads(content)
    except (yaml.YAMLError, ValueError) as error:
        raise _invalid(f"{document_format} not well-formed. {' '.join(str(error).split())}") from error
    if len(content.encode()) > MAXIMUM_BYTES:
        raise ServiceError("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
    for problem in _problems(document):
        raise _invalid(problem)
    return document


def steps(document: Mapping[str, Any], given: Mapping[str, Sequence[str]]) -> list[Step]:
    """The document's steps with these parameters. Raises InvalidParameters, as SendCommand does."""
    values = parameter_values(document, given)
    definitions = document.get("parameters") or {}
    environment = {
        f"SSM_{name}": "\n".join(value) if isinstance(value, list) else value
        for name, value in values.items()
        if definitions[name].get("interpolationType") == "ENV_VAR"
    }
    found = []
    for step in document["mainSteps"]:
        inputs = {key: _filled(value, values) for key, value in step["inputs"].items()}
        lines = inputs["runCommand"]
        found.append(
            Step(
                name=step["name"],
                script="\n".join(lines) if isinstance(lines, list) else str(lines),
                timeout=int(inputs.get("timeoutSeconds") or DEFAULT_STEP_SECONDS),
                directory=str(inputs.get("workingDirectory") or ""),
                environment=environment,
            )
        )
    if sum(len(step.script.encode()) for step in found) > MAXIMUM_BYTES:
        raise ServiceError("MaxDocumentSizeExceeded", "The document with its parameters is larger than 64 KB.")
    return found


def parameter_values(document: Mapping[str, Any], given: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Each parameter's value, given or default. Raises InvalidParameters, as SendCommand does, and
    StartSession, whose model does not say so (transcripts of people who met it)."""
    definitions = document.get("parameters") or {}
    if unknown := sorted(set(given) - set(definitions)):
        raise ServiceError("InvalidParameters", f"Parameters are not defined in the document: {', '.join(unknown)}.")
    values: dict[str, Any] = {}
    for name, definition in definitions.items():
        if name in given:
            value: Any = list(given[name]) if definition["type"] == "StringList" else "".join(given[name])
        elif "default" in definition:
            value = definition["default"]
        else:
            raise ServiceError("InvalidParameters", f"The parameter {name} is required, and has no value.")
        for text in value if isinstance(value, list) else [value]:
            _check_value(name, definition, str(text))
        values[name] = value
    return values


def _check_value(name: str, definition: Mapping[str, Any], text: str) -> None:
    allowed = definition.get("allowedValues")
    if allowed and text not in allowed:
        raise ServiceError(
            "InvalidParameters", f"The value '{text}' of parameter {name} is not one of {', '.join(allowed)}."
        )
    pattern = definition.get("allowedPattern")
    if pattern and not re.search(pattern, text):
        raise ServiceError("InvalidParameters", f"The value '{text}' of parameter {name} does not match {pattern}.")


def _filled(node: Any, values: Mapping[str, Any]) -> Any:
    """Text with its references replaced: a list in the place of a whole text, text in the middle of one."""
    if isinstance(node, list):
        return [_filled(member, values) for member in node]
    if not isinstance(node, str):
        return node
    whole = REFERENCE.fullmatch(node.strip())
    if whole and isinstance(values.get(whole["name"]), list):
        return values[whole["name"]]
    return REFERENCE.sub(lambda hit: str(values.get(hit["name"], hit[0])), node)


def _problems(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "The document is not an object."
        return
    if str(document.get("schemaVersion")) != "2.2":
        yield f"A command document of the rehearsal has schemaVersion 2.2, not {document.get('schemaVersion')!r}."
    if unknown := sorted(set(map(str, document)) - DOCUMENT_KEYS):
        yield f"Unknown key {unknown[0]!r}."
    parameters = document.get("parameters") or {}
    for name, definition in parameters.items():
        if not NAME.fullmatch(str(name)):
            yield f"The parameter name {name!r} must match {NAME.pattern}."
        if unknown := sorted(set(definition) - PARAMETER_KEYS):
            yield f"Parameter {name}: unknown key {unknown[0]!r}."
        if definition.get("type") not in TYPES:
            yield f"Parameter {name}: type {definition.get('type')!r} is none."
        if definition.get("interpolationType", "ENV_VAR") not in ("ENV_VAR", "RAW"):
            yield f"Parameter {name}: interpolationType is ENV_VAR or RAW."
        if definition.get("interpolationType") == "ENV_VAR" and definition.get("type") != "String":
            yield f"Parameter {name}: interpolationType ENV_VAR is for parameters of type String."
        default = definition.get("default")
        allowed = definition.get("allowedValues")
        if default is not None and allowed and default not in allowed:
            yield f"Parameter {name}: the default {default!r} is not one of allowedValues."
        pattern = definition.get("allowedPattern")
        if isinstance(default, str) and pattern and not re.search(pattern, default):
            yield f"Parameter {name}: the default {default!r} does not match allowedPattern {pattern}."
    yield from _step_problems(document.get("mainSteps"), parameters)


def _step_problems(main_steps: Any, parameters: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(main_steps, list) or not main_steps:
        yield "The document has no mainSteps."
        return
    seen = set()
    for step in main_steps:
        if not isinstance(step, dict) or not step.get("action") or not step.get("name"):
            yield f"A step has an action and a name: {step!r}."
        if not re.fullmatch(r"[a-zA-Z0-9_.:-]+", step["name"]) or step["name"] in seen:
            yield f"Step name {step['name']!r} repeats, or has other signs than letters, digits, _, - and dot."
        seen.add(step["name"])
        if unknown := sorted(set(step) - STEP_KEYS):
            yield f"Step {step['name']}: unknown key {unknown[0]!r}."
        if step["action"] != "aws:runShellScript":
            yield f"Step {step['name']}: the rehearsal runs aws:runShellScript, not {step['action']}."
        inputs = step.get("inputs")
        if not isinstance(inputs, dict) or "runCommand" not in inputs:
            yield f"Step {step['name']}: inputs.runCommand is missing."
        elif unknown := sorted(set(inputs) - {"runCommand", "timeoutSeconds", "workingDirectory"}):
            yield f"Step {step['name']}: unknown input {unknown[0]!r}."
        for reference in REFERENCE.finditer(json.dumps(inputs)):
            if reference["name"] not in parameters:
                yield f"Step {step['name']}: parameter {reference['name']} is not defined in the document."


def _invalid(why: str) -> ServiceError:
    return ServiceError("InvalidDocumentContent", why)
