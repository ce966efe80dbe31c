"""Template text: reading it, its size limits, the SAM transform, and what GetTemplateSummary says about it."""

import functools
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from .errors import InsufficientCapabilities, NotRehearsed, ValidationError

BODY_LIMIT = 51_200
"""Bytes of a TemplateBody (CloudFormation user guide, "Understand CloudFormation quotas")."""

URL_LIMIT = 1_048_576
"""Bytes of a template behind a TemplateURL (same page)."""

SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
}
NAMED_IAM = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}
IAM = {*NAMED_IAM, "AWS::IAM::AccessKey", "AWS::IAM::Policy", "AWS::IAM::UserToGroupAddition"}


@dataclass(frozen=True)
class Template:
    """A template as it was given and as it is after its transforms."""

    body: str
    original: dict[str, Any]
    processed: dict[str, Any]

    def section(self, name: str) -> dict[str, Any]:
        """A section of the processed template, empty when it is missing."""
        return self.processed.get(name) or {}

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        return self.section("Resources")


class _Loader(yaml.CSafeLoader):
    """YAML as CloudFormation reads it: short function names, dates stay text, a key stands once."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the shape of PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ValidationError(f"Template format error: YAML not well-formed. Duplicate key {key}")
        return super().construct_mapping(node, deep)


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {name: value}


_Loader.add_multi_constructor("!", _short_form)


def load(text: str) -> Any:
    """What YAML holds, with short function names written out; raises YAMLError, or ValidationError for a double key."""
    return pickle.loads(_loaded(text))


@functools.lru_cache(maxsize=32)  # of the same few templates, which every change set reads twice
def _loaded(text: str) -> bytes:
    return pickle.dumps(yaml.load(text, _Loader))


def parse(body: str) -> dict[str, Any]:
    """The document of a template in JSON or YAML."""
    try:
        document = load(body)
    except yaml.YAMLError as error:
        raise ValidationError(f"Template format error: YAML not well-formed. {error}") from error
    if not isinstance(document, dict):
        raise ValidationError("Template format error: unsupported structure.")
    unknown = [key for key in document if key not in SECTIONS]
    if unknown:
        raise ValidationError(f"Invalid template property or properties [{', '.join(map(str, unknown))}]")
    resources = document.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise ValidationError("Template format error: At least one Resources member must be defined.")
    for name, resource in resources.items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise ValidationError(
                f"Template format error: [/Resources/{name}] Every Resources object must contain a Type"
            )
        if not re.fullmatch(r"[a-zA-Z0-9]+", name):
            raise ValidationError(
                f"Template format error: Resource name {name} is non alphanumeric.",
            )
    return document


def check_size(body: str, limit: int, parameter: str) -> None:
    """Refuse a template over a limit, in the words of the API."""
    if len(body.encode()) <= limit:
        return
    if parameter == "templateBody":
        raise ValidationError(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limit}"
        )
    raise ValidationError(f"Template may not exceed {limit} bytes in size.")


def expand(body: str, parameters: Mapping[str, Any], region: str) -> Template:
    """The template with `AWS::Serverless` expanded by the SAM translator itself, which is what CloudFormation runs."""
    original = parse(body)
    transforms = original.get("Transform") or []
    transforms = [transforms] if isinstance(transforms, str) else transforms
    if not transforms:
        return Template(body, original, original)
    unknown = [name for name in transforms if name not in ("AWS::Serverless-2016-10-31", "AWS::LanguageExtensions")]
    if unknown:
        raise NotRehearsed(f"The rehearsal does not expand the transform {', '.join(map(str, unknown))}")
    processed = parse(body)
    if "AWS::Serverless-2016-10-31" in transforms:
        processed = _serverless(processed, parameters, region)
    processed.pop("Transform", None)
    return Template(body, original, processed)


def _serverless(document: dict[str, Any], parameters: Mapping[str, Any], region: str) -> dict[str, Any]:
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.region_configuration import RegionConfiguration  # noqa: F401 - fails early without the package
    from samtranslator.translator.arn_generator import ArnGenerator
    from samtranslator.translator.transform import transform

    ArnGenerator.BOTO_SESSION_REGION_NAME = region
    try:
        expanded = transform(document, {**parameters, "AWS::Region": region}, _ManagedPolicies())
    except InvalidDocumentException as error:
        causes = "; ".join(str(cause.message) for cause in error.causes) or str(error)
        raise ValidationError(f"Transform AWS::Serverless-2016-10-31 failed with: {causes}") from error
    result: dict[str, Any] = json.loads(json.dumps(expanded, default=str))
    return result


class _ManagedPolicies:
    """Stands for the SAM translator's ManagedPolicyLoader, which would ask IAM."""

    def load(self) -> dict[str, str]:
        return _managed_policies()


@functools.cache
def _managed_policies() -> dict[str, str]:
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    return {name: policy["Arn"] for name, policy in json.loads(aws_managed_policies_data).items()}


def required_capabilities(document: Mapping[str, Any]) -> tuple[str, str]:
    """The capability that a template needs ('' for none), and the reason as ValidateTemplate puts it."""
    types = {name: resource["Type"] for name, resource in (document.get("Resources") or {}).items()}
    found = [type_ for type_ in types.values() if type_ in IAM]
    if not found:
        return "", ""
    reason = f"The following resource(s) require capabilities: [{', '.join(dict.fromkeys(found))}]"
    for name, type_ in types.items():
        if NAMED_IAM.get(type_) in (document["Resources"][name].get("Properties") or {}):
            return "CAPABILITY_NAMED_IAM", reason
    return "CAPABILITY_IAM", reason


def check_capabilities(document: Mapping[str, Any], given: list[str], *, transforms: bool) -> None:
    """Refuse a template whose IAM resources, or transforms outside a change set, are not acknowledged."""
    needed, _ = required_capabilities(document)
    if needed and not ({needed, "CAPABILITY_NAMED_IAM"} & set(given)):
        raise InsufficientCapabilities(f"Requires capabilities : [{needed}]")
    if transforms and document.get("Transform") and "CAPABILITY_AUTO_EXPAND" not in given:
        raise InsufficientCapabilities("Requires capabilities : [CAPABILITY_AUTO_EXPAND]")


def summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """What GetTemplateSummary and ValidateTemplate say about a template."""
    capability, reason = required_capabilities(document)
    transforms = document.get("Transform") or []
    resources = document.get("Resources") or {}
    answer: dict[str, Any] = {
        "Parameters": [
            {
                "ParameterKey": name,
                "ParameterType": declared.get("Type", "String"),
                "NoEcho": str(declared.get("NoEcho", False)).lower() == "true",
                "ParameterConstraints": (
                    {"AllowedValues": [text(value) for value in declared["AllowedValues"]]}
                    if "AllowedValues" in declared
                    else {}
                ),
            }
            | ({"DefaultValue": text(declared["Default"])} if "Default" in declared else {})
            | ({"Description": declared["Description"]} if "Description" in declared else {})
            for name, declared in (document.get("Parameters") or {}).items()
        ],
        "ResourceTypes": list(dict.fromkeys(resource["Type"] for resource in resources.values())),
        "DeclaredTransforms": [transforms] if isinstance(transforms, str) else list(transforms),
    }
    if capability:
        answer |= {"Capabilities": [capability], "CapabilitiesReason": reason}
    for key, name in (("Description", "Description"), ("Version", "AWSTemplateFormatVersion")):
        if name in document:
            answer[key] = document[name]
    if "Metadata" in document:
        answer["Metadata"] = json.dumps(document["Metadata"])
    return answer


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it into text: booleans are true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
