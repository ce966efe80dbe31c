"""What IAM is asked: one action on one resource by one principal, with the facts that conditions can ask for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

UNKNOWN_ID: Final = "0" * 17
"""Stands for the part of an ARN that no one knows before the resource exists."""

type Value = str | tuple[str, ...]


class UnjudgedError(Exception):
    """A call that no one can translate into what IAM is asked; the message names what is missing."""


@dataclass(frozen=True)
class Authorization:
    """What is asked. `principal` is the ARN of a role or the name of a service; `context` is sorted by key; `policy` is
    the ARN of the resource whose own policy is asked too, or that policy's text where the resource is about to be.
    """

    principal: str
    action: str
    resource: str
    context: tuple[tuple[str, Value], ...] = ()
    policy: str = ""

    def knowing(self, facts: Mapping[str, Value]) -> "Authorization":
        """The same with more context."""
        return replace(self, context=tuple(sorted({**dict(self.context), **facts}.items())))

    def with_tags(self, tags: Mapping[str, str]) -> "Authorization":
        """The same, asked for a request that carries these tags."""
        requested: dict[str, Value] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        return self.knowing({**requested, "aws:TagKeys": tuple(tags)}) if tags else self

    def on_tagged(self, tags: Mapping[str, str], prefix: str = "aws:ResourceTag") -> "Authorization":
        """The same, asked for a resource that has these tags."""
        return self.knowing({f"{prefix}/{key}": value for key, value in tags.items()})


class Call:
    """A line of calls.jsonl, and how its authorizations are asked for."""

    def __init__(self, line: Mapping[str, Any], region: str) -> None:
        self.caller: str = line["caller"]
        self.role: str = line["role"]
        self.service: str = line["service"]
        self.operation: str = line["operation"]
        self.account = self.role.split(":")[4]
        self.region = region
        self._parameters: Mapping[str, Any] = line["parameters"]
        self._named: Mapping[str, Mapping[str, Any]] = line["named"]

    def __getitem__(self, name: str) -> Any:
        if name not in self._parameters:
            raise UnjudgedError(f"it came without {name}")
        return self._parameters[name]

    def get(self, name: str) -> Any:
        return self._parameters.get(name)

    def known(self, name: str) -> Mapping[str, Any]:
        """What was known of a name or id before the call; nothing where it did not exist."""
        return self._named.get(name, {})

    def tags(self, name: str) -> dict[str, str]:
        """The tags that a name or id had before the call; none where it did not exist."""
        return dict(self.known(name).get("tags", {}))

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def ask(
        self, action: str, resource: str = "*", context: Mapping[str, Value] | None = None, *, policy: str = ""
    ) -> Authorization:
        return Authorization(self.role, action, resource, policy=policy).knowing(context or {})

    def ask_tagged(self, action: str, resource: str = "*", *, policy: str = "") -> Authorization:
        """With the tags that the call gives to what it creates."""
        return self.ask(action, resource, policy=policy).with_tags(self.requested_tags())

    def ask_tagging(
        self, action: str, resource: str, context: Mapping[str, Value] | None = None
    ) -> Iterator[Authorization]:
        """The right to tag what is being created, which is asked where the call has tags."""
        if tags := self.requested_tags():
            yield self.ask(action, resource, context).with_tags(tags)

    def ask_key(self, key: Mapping[str, Any] | None, service: str, *actions: str) -> Iterator[Authorization]:
        """What a service does with a customer's key on behalf of who calls it; of a key of AWS, nothing is asked.

        https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
        """
        if key is None:
            return
        via = {"kms:ViaService": f"{service}.{self.region}.amazonaws.com", "kms:CallerAccount": self.account}
        for action in actions:
            yield self.ask(f"kms:{action}", key["arn"], via, policy=key["arn"]).on_tagged(key["tags"])

    def ask_service_role(self, service: str, name: str) -> Authorization:
        """The first use of a service in an account makes its service-linked role with the permissions of the caller."""
        arn = f"arn:aws:iam::{self.account}:role/aws-service-role/{service}/{name}"
        return self.ask("iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": service})

    def ask_pass_role(self, role: str, service: str) -> Authorization:
        return self.ask("iam:PassRole", role, {"iam:PassedToService": service})

    def requested_tags(self) -> dict[str, str]:
        """The tags that the call gives to what it creates, in whichever of AWS's spellings."""
        given = self.get("Tags") or self.get("tags") or []
        for specification in self.get("TagSpecifications") or []:
            given = [*given, *specification["Tags"]]
        if isinstance(given, Mapping):
            return dict(given)
        return {tag.get("Key", tag.get("TagKey")): tag.get("Value", tag.get("TagValue")) for tag in given}
