"""Requests that AWS refuses whatever the operation is: signed at another time, or beyond the limits of its model."""

import datetime
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.request import determine_request_protocol
from moto.core.utils import get_service_model

from rehearsal.aws.calls import Call, ServiceError

SIGNED_AT = "%Y%m%dT%H%M%SZ"

# Services whose own checks differ from their model (S3: elsewhere; EC2: codes of its own, no lengths).
UNCHECKED = frozenset({"s3", "s3control", "ec2", "sts"})

# Where the code of a violated constraint is not the usual one of the protocol.
INVALID_CODES = {
    "imagebuilder": "InvalidParameterValueException",
    "logs": "InvalidParameterException",
    "sns": "InvalidParameter",
}


def refuse_skew(call: Call, model: Any) -> None:
    """Raises when a request was signed too far from now. Who signs knows the time of the wall only.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html, and the error responses of Amazon S3.
    The code follows the protocol: that of STS stands in github.com/aws/aws-cli/issues/6676, those of DynamoDB and
    Lambda in github.com/aws/aws-sdk-js/issues/2565 and 2598.
    """
    signed = call.headers.get("X-Amz-Date")
    if not signed:
        return
    moment = datetime.datetime.strptime(signed, SIGNED_AT).replace(tzinfo=datetime.UTC)
    now = datetime.datetime.now(datetime.UTC)
    minutes = 15 if call.service == "s3" else 5
    if abs(now - moment) <= datetime.timedelta(minutes=minutes):
        return
    if call.service == "s3":
        message = "The difference between the request time and the current time is too large."
        raise ServiceError("RequestTimeTooSkewed", message, 403)
    expired = moment < now
    limit = now + datetime.timedelta(minutes=-minutes if expired else minutes)
    protocol = determine_request_protocol(model.service_model, call.headers.get("Content-Type", ""))
    raise ServiceError(
        "InvalidSignatureException" if protocol in {"json", "rest-json"} else "SignatureDoesNotMatch",
        f"Signature {'expired' if expired else 'not yet current'}: {signed} is "
        f"{'now earlier' if expired else 'still later'} than {limit.strftime(SIGNED_AT)} "
        f"({now.strftime(SIGNED_AT)} {'-' if expired else '+'} {minutes} min.)",
        403,
    )


def refuse_violations(call: Call, shape: Any) -> None:
    """Raises as AWS does when a parameter is missing, too long, too short, out of range, no enum value or no match."""
    found = list(_violations(shape, call.parameters, "")) if shape is not None else []
    if not found:
        return
    protocol = str(get_service_model(call.service).protocol)
    code = INVALID_CODES.get(call.service, "ValidationError" if protocol == "query" else "ValidationException")
    if len(found) == 1:
        raise ServiceError(code, f"1 validation error detected: {found[0]}")
    raise ServiceError(code, f"{len(found)} validation errors detected: {'; '.join(found)}")


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"Value null at '{_below(path, name)}' failed to satisfy constraint: Member must not be null"
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _violations(member, value[name], _below(path, name))
    elif shape.type_name == "list" and isinstance(value, list):
        yield from _out_of_bounds(shape, len(value), value, path, "length")
        for index, item in enumerate(value):
            yield from _violations(shape.member, item, f"{path}.{index + 1}.member")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        yield from _out_of_bounds(shape, len(value), dict(value), path, "length")
        for key, item in value.items():
            yield from _violations(shape.value, item, _below(path, str(key)))
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _text_violations(shape, value, path)
    elif shape.type_name in {"integer", "long", "float", "double"} and isinstance(value, int | float):
        yield from _out_of_bounds(shape, value, value, path, "value")


def _text_violations(shape: Any, value: str, path: str) -> Iterator[str]:
    failed = f"Value '{_short(value)}' at '{path}' failed to satisfy constraint: Member must satisfy"
    yield from _out_of_bounds(shape, len(value), value, path, "length")
    if shape.enum and value not in shape.enum:
        yield f"{failed} enum value set: [{', '.join(shape.enum)}]"
    if (pattern := shape.metadata.get("pattern")) and not _matches(pattern, value):
        yield f"{failed} regular expression pattern: {pattern}"


def _out_of_bounds(shape: Any, size: float, value: Any, path: str, what: str) -> Iterator[str]:
    for bound, beyond, words in (
        ("max", size.__gt__, "less than or equal to"),
        ("min", size.__lt__, "greater than or equal to"),
    ):
        limit = shape.metadata.get(bound)
        if limit is not None and beyond(limit) is True:
            yield (
                f"Value '{_short(value)}' at '{path}' failed to satisfy constraint: "
                f"Member must have {what} {words} {limit}"
            )


def _below(path: str, name: str) -> str:
    name = name[:1].lower() + name[1:]
    return f"{path}.{name}" if path else name


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


@functools.lru_cache(maxsize=1000)
def _pattern(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:  # the models are written for Java
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _pattern(pattern)
    return compiled is None or compiled.fullmatch(value) is not None
