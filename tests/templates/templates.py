"""The templates as data, with CloudFormation's functions in their long form, and what several tests ask of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from samtranslator.translator.transform import transform

from benchwright.values import LONGEST_APPLICATION
from rehearsal.aws.services.cloudformation.templates import load

ROOT = Path(__file__).parents[2]
PATHS = {
    "application": ROOT / "template.yaml",
    "network": ROOT / "infra" / "network.yaml",
    "foundation": ROOT / "infra" / "foundation.yaml",
    "access": ROOT / "infra" / "access.yaml",
    "nodes": ROOT / "infra" / "nodes.yaml",
}
TEMPLATES: dict[str, dict[str, Any]] = {name: load(path.read_text()) for name, path in PATHS.items()}
APPLICATION, NETWORK, FOUNDATION, ACCESS, NODES = TEMPLATES.values()

# The longest values that these have in any account: policies are measured with them.
PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-southeast-2",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "a" * LONGEST_APPLICATION,
}
POLICY_TYPES = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy")


class Statement(NamedTuple):
    """A statement of an identity policy: where it stands, and what it says."""

    where: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[Any, ...]
    condition: dict[str, Any]
    sid: str


def resources(template: dict[str, Any], *types: str) -> dict[str, dict[str, Any]]:
    """Return the resources of the types, by logical id."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] in types}


def policy_documents(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every identity policy with the logical id of its resource."""
    for name, resource in resources(template, *POLICY_TYPES).items():
        properties = resource["Properties"]
        if "PolicyDocument" in properties:
            yield name, properties["PolicyDocument"]
        for policy in properties.get("Policies", []):
            yield name, policy["PolicyDocument"]


def statements(template: dict[str, Any]) -> Iterator[Statement]:
    """Yield every statement of every identity policy; of a conditional statement, the one that is not NoValue."""
    for where, document in policy_documents(template):
        for item in document["Statement"]:
            statement = (
                next(branch for branch in item["Fn::If"][1:] if "Effect" in branch) if "Fn::If" in item else item
            )
            yield Statement(
                where,
                statement["Effect"],
                _listed(statement["Action"]),
                _listed(statement["Resource"]),
                statement.get("Condition", {}),
                statement.get("Sid", ""),
            )


def render(value: Any, pseudo: Mapping[str, str] = PSEUDO_PARAMETERS) -> Any:
    """Give pseudo parameters their longest values, take the first branch of every condition, and name what remains."""
    match value:
        case {"Ref": name}:
            return pseudo.get(name, name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)}", lambda found: pseudo.get(found[1], found[1]), text)
        case {"Fn::If": [_, first, _]}:
            return render(first, pseudo)
        case dict():
            return {key: render(item, pseudo) for key, item in value.items()}
        case list():
            return [render(item, pseudo) for item in value]
        case _:
            return value


def folder_of(function: str) -> str:
    """The folder of a function's code in functions/, as functions/Makefile finds it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", function).lower()


def translated() -> dict[str, Any]:
    """Return the application as CloudFormation sees it after the transform of SAM."""
    packaged = deepcopy(APPLICATION)  # the transform accepts no local paths, and writes into what it is given
    for resource in packaged["Resources"].values():
        for key in {"CodeUri", "ContentUri", "DefinitionUri"} & set(resource.get("Properties", {})):
            resource["Properties"][key] = "s3://bucket/key"
    answer: dict[str, Any] = transform(packaged, {"AWS::Region": "us-east-1"}, _NoPolicies())
    return answer


class _NoPolicies:
    """Stands for the list of AWS's managed policies, of which the template names none without its ARN."""

    def load(self) -> dict[str, str]:
        return {}


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)
