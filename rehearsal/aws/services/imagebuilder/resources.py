"""The resources of one account, and what their operations share."""

import functools
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

from . import component_document
from .build import Image

ARN = re.compile(
    r"arn:aws[^:]*:imagebuilder:[^:]+:(?P<owner>[^:]+):(?P<kind>[a-z-]+)/(?P<name>[^/]+)"
    r"(?:/(?P<version>[0-9x.]+))?(?:/(?P<build>\d+))?"
)

type Answer = dict[str, Any]


@dataclass
class Resources:
    """Each as the service shows it, by ARN."""

    aws: LocalAws
    lock: threading.RLock = field(default_factory=threading.RLock)
    components: dict[str, Answer] = field(default_factory=dict)
    recipes: dict[str, Answer] = field(default_factory=dict)
    infrastructures: dict[str, Answer] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    answers: dict[tuple[str, str], tuple[str, Answer]] = field(default_factory=dict)

    def once(self, call: Call, create: Callable[[Call], Answer]) -> Answer:
        """The same token gets the original answer, and with other parameters a refusal."""
        token = call["clientToken"]
        parameters = {key: value for key, value in call.parameters.items() if key != "clientToken"}
        fingerprint = json.dumps(parameters, sort_keys=True, default=str)
        known = self.answers.get((call.operation, token))
        if known is None:
            answer = {"clientToken": token, **create(call)}
            known = self.answers[call.operation, token] = (fingerprint, answer)
        if known[0] != fingerprint:
            raise ServiceError(
                "IdempotentParameterMismatchException",
                f"You have specified a client token '{token}' that was used with other parameters.",
            )
        return known[1]

    def page(self, call: Call, key: str, summaries: Iterable[Answer]) -> Answer:
        """The page of a list that is asked for: of the summaries that fit all filters."""
        wanted = call.get("filters") or []
        fit = [one for one in summaries if all(str(one.get(item["name"])) in item["values"] for item in wanted)]
        return call.page(key, fit, 25)

    def refuse_foreign_owner(self, call: Call) -> None:
        if call.get("owner", "Self") != "Self":
            raise ServiceError("InvalidRequestException", f"The rehearsal has no resources of owner {call['owner']}.")

    def component(self, arn: str) -> Answer | None:
        """The newest component that an ARN means: exact, without a build, or with `x` in its version."""
        found = [component for key, component in self.components.items() if matches(arn, key)]
        return max(found, key=lambda component: order(component["arn"]), default=None)

    def arn(self, kind: str, name: str) -> str:
        normalized = name.lower().replace(" ", "-")
        return f"arn:aws:imagebuilder:{self.aws.region}:{self.aws.account}:{kind}/{normalized}"

    def now(self) -> str:
        return timestamp(self.aws.clock.datetime())


def idempotent(operation: Callable[[Any, Call], Answer]) -> Callable[[Any, Call], Answer]:
    """An operation with a client token, of a class with `resources`."""

    @functools.wraps(operation)
    def run(self: Any, call: Call) -> Answer:
        answer: Answer = self.resources.once(call, functools.partial(operation, self))
        return answer

    return run


def timestamp(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def parsed(data: str) -> dict[str, Any]:
    try:
        return component_document.parse(data)
    except component_document.DocumentError as error:
        raise invalid("data", str(error)) from error


def refuse_dry_run(call: Call) -> None:
    if call.get("dryRun"):
        raise ServiceError("DryRunOperationException", "Request would have succeeded, but the dryRun flag is set.", 412)


def found(resources: Mapping[str, Answer], arn: str) -> Answer:
    if arn not in resources:
        raise absent(arn)
    return resources[arn]


def absent(arn: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"The resource with ARN '{arn}' cannot be found.", 404)


def dependency(arn: str, used_by: str) -> ServiceError:
    return ServiceError(
        "ResourceDependencyException", f"Resource '{arn}' is used by '{used_by}' and cannot be deleted."
    )


def invalid(parameter: str, why: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValueException", f"The value supplied for parameter '{parameter}' is not valid. {why}"
    )


def matches(wanted: str, arn: str) -> bool:
    """Whether a reference (exact, without a build, or with `x` in its version) means the resource with this ARN."""
    reference, resource = ARN.fullmatch(wanted), ARN.fullmatch(arn)
    if not reference or not resource:
        return False
    if any(reference[part] != resource[part] for part in ("owner", "kind", "name")):
        return False
    if reference["build"] not in (None, resource["build"]):
        return False
    numbers = zip((reference["version"] or "").split("."), (resource["version"] or "").split("."), strict=False)
    return all(one in ("x", "", other) for one, other in numbers)


def order(arn: str) -> tuple[int, ...]:
    parts = ARN.fullmatch(arn)
    assert parts
    return (*map(int, (parts["version"] or "0").split(".")), int(parts["build"] or 0))


def references(version_arn: str) -> Answer:
    name, _, version = version_arn.rpartition("/")
    major, minor, _ = version.split(".")
    return {
        "latestVersionArn": f"{name}/x.x.x",
        "latestMajorVersionArn": f"{name}/{major}.x.x",
        "latestMinorVersionArn": f"{name}/{major}.{minor}.x",
        "latestPatchVersionArn": f"{name}/{version}",
    }
