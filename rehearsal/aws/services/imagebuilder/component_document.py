"""Component documents of Image Builder (AWSTOE, schema 1.0), checked as CreateComponent checks them.

docs.aws.amazon.com/imagebuilder/latest/userguide/toe-use-documents.html
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

# botocore does not list them; the names are those of the AWSTOE action modules reference.
ACTIONS = frozenset(
    [
        "AppendFile",
        "Assert",
        "CopyFile",
        "CopyFolder",
        "CreateFile",
        "CreateFolder",
        "CreateSymlink",
        "DeleteFile",
        "DeleteFolder",
        "ExecuteBash",
        "ExecuteBinary",
        "ExecuteDocument",
        "ExecutePowerShell",
        "InstallMSI",
        "ListFiles",
        "MoveFile",
        "MoveFolder",
        "ReadFile",
        "Reboot",
        "SetFileEncoding",
        "SetFileOwner",
        "SetFolderOwner",
        "SetFilePermissions",
        "SetFolderPermissions",
        "SetRegistry",
        "S3Download",
        "S3Upload",
        "UninstallMSI",
        "UpdateOS",
        "WebDownload",
    ]
)
WITHOUT_INPUTS = frozenset({"Reboot", "UpdateOS"})
PHASES = ("build", "validate", "test")
DOCUMENT_KEYS = frozenset({"name", "description", "schemaVersion", "parameters", "constants", "phases"})
STEP_KEYS = frozenset({"name", "action", "timeoutSeconds", "onFailure", "maxAttempts", "inputs", "loop", "if"})
NAME = re.compile(r"[A-Za-z0-9_-]{3,128}")
REFERENCE = re.compile(r"\{\{\s*([A-Za-z0-9_.\[\]-]+)\s*\}\}")


class DocumentError(Exception):
    """A component document is not one; the message says where and why."""


def parse(data: str) -> dict[str, Any]:
    """Read and check a component document. Raises DocumentError for the first thing that is wrong."""
    try:
        document = yaml.load(data, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise DocumentError(f"the document is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise DocumentError("the document is not a mapping")
    for problem in _problems(document):
        raise DocumentError(problem)
    return document


def kind(document: Mapping[str, Any]) -> str:
    """TEST if the only phase is `test`, else BUILD (botocore, imagebuilder, ComponentType)."""
    return "TEST" if [phase["name"] for phase in document["phases"]] == ["test"] else "BUILD"


def parameters(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The document's parameters by name; one without `default` must be given by the recipe."""
    return {name: attributes for entry in document.get("parameters") or [] for name, attributes in entry.items()}


def _problems(document: Mapping[Any, Any]) -> Iterator[str]:
    if unknown := sorted(set(map(str, document)) - DOCUMENT_KEYS):
        yield f"unknown key {unknown[0]!r}"
    if str(document.get("schemaVersion")) != "1.0":
        yield f"schemaVersion is {document.get('schemaVersion')!r}; the only one is 1.0"
    known: set[str] = set()
    for section in ("parameters", "constants"):
        for entry in document.get(section) or []:
            yield from _variable_problems(section, entry, known)
    phases = document.get("phases")
    if not isinstance(phases, list) or not phases:
        yield "there are no phases"
        return
    names = [phase.get("name") if isinstance(phase, dict) else None for phase in phases]
    if len(set(names)) != len(names):
        yield f"phase names repeat: {names}"
    for phase in phases:
        if not isinstance(phase, dict) or phase.get("name") not in PHASES:
            yield f"a phase is named one of {', '.join(PHASES)}, not {phase!r}"
        yield from _phase_problems(phase, known)


def _variable_problems(section: str, entry: Any, known: set[str]) -> Iterator[str]:
    if not isinstance(entry, dict) or len(entry) != 1:
        yield f"each entry of {section} is a mapping of one name, not {entry!r}"
    (name, attributes), *_ = entry.items()
    if not NAME.fullmatch(str(name)):
        yield f"{section}: {name!r} is no name (3 to 128 letters, digits, - and _)"
    if name in known:
        yield f"{section}: {name!r} is there twice"
    known.add(name)
    if not isinstance(attributes, dict) or attributes.get("type") != "string":
        yield f"{section}: {name} must have type string"
    value = attributes.get("default" if section == "parameters" else "value")
    if (section == "constants" or value is not None) and not isinstance(value, str):
        yield f"{section}: the value of {name} is {value!r}, not a string"


def _phase_problems(phase: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    steps = phase.get("steps")
    if not isinstance(steps, list) or not steps:
        yield f"phase {phase['name']} has no steps"
        return
    seen = set()
    for step in steps:
        where = f"phase {phase['name']}, step {step.get('name')!r}" if isinstance(step, dict) else repr(step)
        if not isinstance(step, dict) or not NAME.fullmatch(str(step.get("name"))):
            yield f"{where}: a step has a name of 3 to 128 letters, digits, - and _"
        if step["name"] in seen:
            yield f"{where} is there twice"
        seen.add(step["name"])
        if unknown := sorted(set(map(str, step)) - STEP_KEYS):
            yield f"{where}: unknown key {unknown[0]!r}"
        if step.get("action") not in ACTIONS:
            yield f"{where}: there is no action {step.get('action')!r}"
        if not step.get("inputs") and step["action"] not in WITHOUT_INPUTS:
            yield f"{where}: action {step['action']} has no inputs; it requires an 'inputs'"
        if step.get("onFailure", "Abort") not in ("Abort", "Continue", "Ignore"):
            yield f"{where}: onFailure is {step['onFailure']!r}, not Abort, Continue or Ignore"
        for key in ("timeoutSeconds", "maxAttempts"):
            if key in step and (not isinstance(step[key], int) or step[key] == 0 or step[key] < -1):
                yield f"{where}: {key} is {step[key]!r}, not a number from 1"
        if step["action"] == "ExecuteBash" and not (
            isinstance(step["inputs"], dict)
            and isinstance(step["inputs"].get("commands"), list)
            and all(isinstance(command, str) for command in step["inputs"]["commands"])
        ):
            yield f"{where}: the inputs of ExecuteBash are a list of strings, `commands`"
        yield from _reference_problems(step, where, known | {(step.get("loop") or {}).get("name", "loop")})


def _reference_problems(step: Mapping[str, Any], where: str, known: set[str]) -> Iterator[str]:
    for text in _texts(step):
        for reference in REFERENCE.findall(text):
            first = reference.split(".")[0]
            if first not in known and first not in (*PHASES, "loop"):
                yield f"{where}: {{{{ {reference} }}}} is neither a parameter nor a constant nor the output of a step"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for member in node.values():
            yield from _texts(member)
    elif isinstance(node, list):
        for member in node:
            yield from _texts(member)
