"""What a request asks for: the deployment that it describes, or why it is refused."""

import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from rehearsal.aws.calls import Call

from .. import early_validation, template_diff, templates
from ..engine import Engine
from ..errors import ChangeSetNotFound, NotRehearsed, ValidationError
from ..intrinsics import Scope
from ..model import ChangeSet, Deployment, Stack
from ..parameters import Parameter, resolve

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_TOKEN = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,127}")
_UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED"}
_EXISTING = {
    "AWS::EC2::Image::Id": ("describe_images", "ImageIds"),
    "AWS::EC2::SecurityGroup::Id": ("describe_security_groups", "GroupIds"),
    "AWS::EC2::Subnet::Id": ("describe_subnets", "SubnetIds"),
    "AWS::EC2::VPC::Id": ("describe_vpcs", "VpcIds"),
}
"""Parameter types whose values are looked up, each with the operation and its argument."""


class Requests:
    """Reads requests with the keys of whoever sent them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def body(self, call: Call) -> str:
        """The template's text, from the request or from S3."""
        if call.get("TemplateBody"):
            body = str(call["TemplateBody"])
            templates.check_size(body, templates.BODY_LIMIT, "templateBody")
            return body
        url = call.get("TemplateURL")
        if not url:
            raise ValidationError("Either Template URL or Template Body must be specified.")
        bucket, key, version = _s3_location(url)
        chosen = {"VersionId": version} if version else {}
        try:
            role = call.get("RoleARN") or call.identity.role_arn
            s3 = self.engine.aws.client("s3", role_arn=role, caller="cloudformation")
            body = s3.get_object(Bucket=bucket, Key=key, **chosen)["Body"].read().decode()
        except ClientError as error:
            raise ValidationError(f"S3 error: {error.response['Error'].get('Message')} ({url})") from error
        templates.check_size(body, templates.URL_LIMIT, "templateURL")
        return body

    def wanted(self, call: Call, stack: Stack | None) -> Deployment:
        """The deployment that a request asks for; `stack` is what it updates."""
        current = stack.deployment if stack else None
        if call.get("UsePreviousTemplate"):
            if current is None:
                raise ValidationError("UsePreviousTemplate cannot be used for a stack that has no template yet")
            body = current.template.body
        else:
            body = self.body(call)
        declared = templates.parse(body).get("Parameters") or {}
        parameters = self._parameters(declared, call, current)
        values = {name: parameter.value for name, parameter in parameters.items()}
        template = templates.expand(body, values, self.engine.aws.region)
        extra = template.section("Parameters")
        if extra.keys() - declared.keys():
            parameters = self._parameters(extra, call, current)
        tags = call.get("Tags")
        if tags is None:
            chosen = dict(current.tags) if current else {}
        else:
            chosen = {tag["Key"]: tag["Value"] for tag in tags}
            if len(chosen) > 50 or any(not value for value in chosen.values()):
                raise ValidationError("A stack has at most 50 tags, each with a value of 1 to 256 characters")
        return Deployment(template, parameters, chosen, tuple(call.get("Capabilities", [])))

    def change_set(self, call: Call) -> ChangeSet:
        """The change set that a request names, by its ARN or by its name and its stack's."""
        name = call["ChangeSetName"]
        if name.startswith("arn:"):
            stacks: list[Stack] = list(self.engine.stacks.values())
        else:
            if not call.get("StackName"):
                raise ValidationError("StackName must be specified if ChangeSetName is not specified as an ARN.")
            stack = self.engine.find(call["StackName"])
            if stack is None:
                raise ValidationError(f"Stack [{call['StackName']}] does not exist")
            stacks = [stack]
        for stack in stacks:
            for change_set in list(stack.change_sets):
                if name in (change_set.name, change_set.id):
                    return change_set
        raise ChangeSetNotFound(f"ChangeSet [{name}] does not exist")

    def _parameters(self, declared: Mapping[str, Any], call: Call, current: Deployment | None) -> dict[str, Parameter]:
        previous = current.parameters if current else None
        return resolve(declared, list(call.get("Parameters", [])), previous, self._exists)

    def _exists(self, type_: str, value: str) -> bool:
        """Whether an id of an AWS-specific parameter type is known; types not listed are taken for known."""
        if type_ not in _EXISTING:
            return True
        operation, argument = _EXISTING[type_]
        try:
            getattr(self.engine.aws.client("ec2"), operation)(**{argument: [value]})
        except ClientError:
            return False
        return True

    def scope(self, stack: Stack, wanted: Deployment) -> Scope:
        return self.engine.scope(stack, wanted, template_diff.later)

    def check(self, stack: Stack, wanted: Deployment) -> None:
        """Refuse what validation finds; CreateStack and UpdateStack answer it at once."""
        scope = self.scope(stack, wanted)
        check_rules(scope)
        found = early_validation.problems(scope, wanted)
        if found:
            sentences = "; ".join(f"{problem['LogicalResourceId']}: {problem['Reason']}" for problem in found)
            raise ValidationError(f"Properties validation failed: {sentences}")


def only(call: Call, known: str) -> None:
    """Refuse parameters that nothing here looks at."""
    given = {name for name, value in call.parameters.items() if value not in (None, False)}
    unknown = sorted(given - set(known.split()))
    if unknown:
        raise NotRehearsed(f"The rehearsal does not implement the parameter {', '.join(unknown)} of this operation")


def check_name(name: str, parameter: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValidationError(
            f"1 validation error detected: Value '{name}' at '{parameter}' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


def check_token(token: str | None) -> None:
    if token is not None and not _TOKEN.fullmatch(token):
        raise ValidationError(
            f"1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*"
        )


def check_rules(scope: Scope) -> None:
    broken = scope.broken_rules()
    if broken:
        raise ValidationError(f"Template validation error: Rule {'; '.join(broken)}")


def check_updatable(stack: Stack) -> None:
    if stack.status not in _UPDATABLE:
        raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def _s3_location(url: str) -> tuple[str, str, str | None]:
    """Bucket, key and version of a TemplateURL, in path style or virtual-hosted style."""
    parsed = urllib.parse.urlparse(url)
    version = urllib.parse.parse_qs(parsed.query).get("versionId", [None])[0]
    path = urllib.parse.unquote(parsed.path.lstrip("/"))
    host = parsed.hostname or ""
    virtual = re.fullmatch(r"(.+)\.s3[.-]([a-z0-9-]+\.)?amazonaws\.com", host)
    bucket, _, key = (virtual[1], "", path) if virtual else path.partition("/")
    if not bucket or not key or parsed.scheme not in ("http", "https"):
        raise ValidationError("TemplateURL must be a supported URL.")
    return bucket, key, version
