"""The tables of docs/security.md: who may do what, on what, on which condition, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.documentation.pages import table
from tests.templates.templates import ACCESS, APPLICATION, FOUNDATION, NODES, TEMPLATES, policy_documents, resources
from tests.templates.test_cloudformation_role import ADDED, PERMISSIONS

REASONS: Mapping[str, Any] = yaml.load(
    (Path(__file__).parent / "reasons.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader
)
COLUMNS = ["action", "on", "only if", "why"]
# What stands for values that differ from one account to the next.
STANDS_FOR = {
    "AWS::Partition": "aws",
    "AWS::Region": "REGION",
    "AWS::AccountId": "ACCOUNT",
    "AWS::StackName": "APPLICATION",
    "Application": "APPLICATION",
    "Cluster": "CLUSTER",
    "BucketName": "BUCKET",
    "CloudFormationRoleArn": "CloudFormationRole",
    "Bucket.Arn": "arn:aws:s3:::BUCKET",
    "Network.Outputs.VpcId": "VPC",
}
OPERATORS = {
    "StringEquals": "is",
    "ForAllValues:StringEquals": "is nothing but",
    "ForAllValues:StringLike": "is nothing but what is like",
    "StringEqualsIfExists": "is, where there is one,",
    "StringLike": "is like",
    "StringNotLike": "is not like",
    "ArnLike": "is like",
    "ArnLikeIfExists": "is, where there is one, like",
    "ArnEquals": "is",
    "Bool": "is",
}
ABSENT = {
    "aws:ResourceTag/benchwright:application": "it is being made, or belongs to no application",
    "lambda:SourceFunctionArn": "Lambda itself asks, and not the function's code",
}
MANAGED_BY_AWS = {
    "AmazonSSMManagedInstanceCore": "Image Builder drives the build through Systems Manager",
    "EC2InstanceProfileForImageBuilder": "Image Builder asks for it: components are read, logs written",
}


class Grant(NamedTuple):
    """One action of one statement of an identity policy. `why` is empty where no one gave a reason."""

    policy: str
    statement: str
    action: str
    resources: tuple[str, ...]
    condition: str
    why: str


def grants() -> Iterator[Grant]:
    """Every action that any policy of the templates allows."""
    for template in TEMPLATES.values():
        for policy, document in policy_documents(template):
            for item in document["Statement"]:
                statement = _statement(item)
                yield from _of_statement(policy, statement)


def roles() -> str:
    """A section for each role: whom it trusts, and all that it may do."""
    parts = []
    every = list(grants())
    for name, role in {**resources(APPLICATION, "AWS::IAM::Role"), **resources(FOUNDATION, "AWS::IAM::Role")}.items():
        properties = role["Properties"]
        policies = [name, *_attached(properties), *({"NodeRole": ["NodePolicy"]}.get(name, []))]
        parts += [
            f"### {name}",
            "",
            f"{name_of(properties['Description'])} {_trust(properties)}{_shared(properties)}",
            "",
        ]
        rows = [row for policy in policies if not policy.endswith("Telemetry") for row in _rows(every, policy)]
        if rows:
            parts += [table(COLUMNS, rows), ""]
        parts += [
            f"From AWS, as `{arn.rpartition('/')[2]}`: {MANAGED_BY_AWS[arn.rpartition('/')[2]]}.\n"
            for arn in _managed_by_aws(properties)
        ]
    for name in ("StateMachineTelemetry", "FunctionTelemetry"):
        description = resources(APPLICATION, "AWS::IAM::ManagedPolicy")[name]["Properties"]["Description"]
        parts += [f"### {name}", "", f"{description} It stands in each role above that names it.", ""]
        parts += [table(COLUMNS, _rows(every, name)), ""]
    return "\n".join(parts)


def resource_policies() -> str:
    """The policies of keys, topic, bucket and file system."""
    rows = []
    for where, statement in resource_statements():
        rows.append(
            [
                f"`{where.split()[1]}` of the {where.split()[0]}",
                f"{statement['Effect'].lower()} {_principal(statement['Principal'])}",
                _codes(_listed(statement["Action"])),
                _condition(statement.get("Condition", {})),
                REASONS["resources"].get(where, {}).get(statement["Sid"], ""),
            ]
        )
    return table(["of", "whom", "action", "only if", "why"], rows)


def resource_statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of a policy that belongs to a resource, with `template resource`."""
    for kind, template in (
        ("application", APPLICATION),
        ("foundation", FOUNDATION),
        ("access", ACCESS),
        ("nodes", NODES),
    ):
        for name, resource in template["Resources"].items():
            properties = resource.get("Properties", {})
            found = [properties[key] for key in ("KeyPolicy", "FileSystemPolicy") if key in properties]
            if resource["Type"] in ("AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy"):
                found.append(properties["PolicyDocument"])
            for document in found:
                for statement in document["Statement"]:
                    yield f"{kind} {name}", statement


def name_of(value: Any) -> str:
    """What a reader sees of a value of the templates."""
    match value:
        case {"Ref": str(name)}:
            return STANDS_FOR.get(name, name)
        case {"Fn::GetAtt": [str(name), *_]}:
            return name
        case {"Fn::If": ["MakesNetwork", dict(made), _]}:
            return name_of(made)
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)}", lambda found: STANDS_FOR.get(found[1], found[1]), text).strip()
        case _:
            return str(value)


def _of_statement(policy: str, statement: Mapping[str, Any]) -> Iterator[Grant]:
    for action in _listed(statement["Action"]):
        yield Grant(
            policy,
            statement["Sid"],
            action,
            tuple(_short(name_of(resource)) for resource in _listed(statement["Resource"])),
            _condition(statement.get("Condition", {})),
            _reason(policy, statement["Sid"], action),
        )


def _statement(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A statement; of a conditional one the branch that is not NoValue, with what it depends on as a condition."""
    if "Fn::If" not in item:
        return item
    statement: Mapping[str, Any] = next(branch for branch in item["Fn::If"][1:] if "Effect" in branch)
    return {**statement, "Condition": "the stack has no `PermissionsBoundary`"}


def _reason(policy: str, statement: str, action: str) -> str:
    if policy.startswith("CloudFormation"):
        return _handlers(action)
    reasons: Mapping[str, Any] = REASONS.get(policy, {}).get(statement, {})
    return str(reasons.get(action, ""))


def _handlers(action: str) -> str:
    """Which resource types of the clusters' templates need an action, and of which of their handlers."""
    types = dict.fromkeys(
        item["Type"] for template in (FOUNDATION, ACCESS, NODES) for item in template["Resources"].values()
    )
    needed = []
    for kind in types:
        handlers = [
            handler
            for handler, actions in PERMISSIONS[kind].items()
            if any(fnmatchcase(needs, action) for needs in actions)
        ]
        if handlers:
            needed.append(f"{kind.removeprefix('AWS::')} ({', '.join(handlers)})")
    for reason, actions in ADDED.items():
        if action in actions:
            needed.append(reason)
    return "; ".join(needed)


def _rows(every: list[Grant], policy: str) -> list[list[str]]:
    """The rows of a policy; actions that share everything share a row."""
    rows: dict[tuple[tuple[str, ...], str, str], list[str]] = {}
    for grant in every:
        if grant.policy == policy:
            rows.setdefault((grant.resources, grant.condition, grant.why), []).append(grant.action)
    found, before = [], ("", "")
    for (resources_, condition, why), actions in rows.items():
        where = (_codes(resources_), condition)
        found.append(
            [_codes(actions), *(where if where != before else ("the same", "the same" if condition else "")), why]
        )
        before = where
    return found


def _codes(names: list[str] | tuple[str, ...]) -> str:
    return "<br>".join(f"`{name}`" if name != "*" else "everything" for name in names)


def _short(arn: str) -> str:
    """Leave out what every ARN here has: partition, region and account."""
    parts = arn.split(":", 5)
    return f"{parts[2]}:{parts[5]}" if len(parts) == 6 and parts[0] == "arn" else arn


def _condition(condition: Any) -> str:
    match condition:
        case str(text):
            return text
        case {"Fn::If": [str(_), dict(bounded), {"Ref": "AWS::NoValue"}]}:
            return f"{_condition(bounded)}, where the stack has one"
    return " and ".join(
        _asked(operator, key, values) for operator, tests in condition.items() for key, values in tests.items()
    )


def _asked(operator: str, key: str, values: Any) -> str:
    if (operator, values) == ("Null", "true"):
        return f"there is no `{key}`: {ABSENT[key]}"
    if (operator, values) == ("Null", "false"):
        return f"there is a `{key}`"
    return f"`{key}` {OPERATORS[operator]} {' or '.join(f'`{_short(name_of(value))}`' for value in _listed(values))}"


def _trust(properties: Mapping[str, Any]) -> str:
    (statement,) = properties["AssumeRolePolicyDocument"]["Statement"]
    condition = f", only if {_condition(statement['Condition'])}" if "Condition" in statement else ""
    return f"Assumed by `{statement['Principal']['Service']}`{condition}."


def _shared(properties: Mapping[str, Any]) -> str:
    shared = [policy for policy in _attached(properties) if policy.endswith("Telemetry")]
    return f" Also [{shared[0]}](#{shared[0].lower()})." if shared else ""


def _attached(properties: Mapping[str, Any]) -> list[str]:
    return [policy["Ref"] for policy in properties.get("ManagedPolicyArns", []) if "Ref" in policy]


def _managed_by_aws(properties: Mapping[str, Any]) -> list[str]:
    return [name_of(policy) for policy in properties.get("ManagedPolicyArns", []) if "Fn::Sub" in policy]


def _principal(principal: Any) -> str:
    if isinstance(principal, str):
        return "everyone" if principal == "*" else principal
    (who,) = principal.values()
    names = [name_of(item) for item in _listed(who)]
    return " and ".join(
        "everyone" if name == "*" else "this account" if name.endswith(":root") else f"`{name}`" for name in names
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
