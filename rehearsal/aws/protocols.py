"""Requests and answers as bytes, in the protocol of their service: read and written with botocore's models."""

import io
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from rehearsal.aws.calls import Call
from rehearsal.aws.recorder import Identity

UNKNOWN = Identity(caller="unknown")

# Signing names (what stands in the credential scope) that are not botocore's name of the service.
SERVICE_OF_SIGNING_NAME = {
    "elasticfilesystem": "efs",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}


class Picker(XFormedAttributePicker):
    """Finds members of an answer: in a mapping by the names of AWS, in moto's objects by any that they may have."""

    def __call__(self, context: AttributePickerContext) -> Any:
        return context.obj.get(context.key) if isinstance(context.obj, Mapping) else super().__call__(context)


PICKER = Picker()


class Answer(NamedTuple):
    """What goes back: `outcome` is "ok" or the error's code, as it is recorded."""

    outcome: str
    status: int
    headers: dict[str, str]
    content: bytes


def in_lower_case(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def read_body(environ: dict[str, Any]) -> bytes:
    """Takes the body off the connection and puts it back, so that it can be read twice."""
    stream = environ["wsgi.input"]
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body = stream.read()
        del environ["HTTP_TRANSFER_ENCODING"]
    else:
        body = stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def read_request(environ: dict[str, Any], body: bytes) -> tuple[Call, Any] | None:
    """The request as a call, with the model of its operation; None if it is no AWS request that can be identified."""
    scope = re.search(
        r"Credential=[^/&]+(?:/|%2F)\d+(?:/|%2F)([^/%]+)(?:/|%2F)([^/%]+)(?:/|%2F)aws4_request",
        f"{environ.get('HTTP_AUTHORIZATION', '')} {environ.get('QUERY_STRING', '')}",
    )
    if scope is None:
        return None
    region, signing_name = scope[1], scope[2].lower()
    if signing_name == "elasticloadbalancing":
        service = "elb" if b"Version=2012-06-01" in body else "elbv2"
    elif signing_name == "s3" and environ["PATH_INFO"].startswith("/v20180820/"):
        service = "s3control"
    else:
        service = SERVICE_OF_SIGNING_NAME.get(signing_name, signing_name)
    request = Request({**environ, "wsgi.input": io.BytesIO(body)})
    try:
        model = get_service_model(service)
        operation, path_parameters = get_service_router(service).match(request)
        parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)]
        parameters = parser(operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": body,
                "url_path": request.path,
                "url_params": path_parameters,
            }
        )
    # No such operation; a content type that the service does not speak; a protocol that moto does not parse, as CBOR.
    except (HTTPException, NotImplementedError, KeyError):
        return None
    return Call(service, operation.name, parameters or {}, UNKNOWN, region, dict(request.headers)), operation


def serialize(call: Call, model: Any, result: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and content of an answer, in which objects of moto may stand for what they show."""
    content_type = call.headers.get("Content-Type", "")
    protocol = determine_request_protocol(model.service_model, content_type)
    response = get_serializer_class(call.service, protocol)(model, value_picker=PICKER).serialize(result)
    body = response["body"] or b""
    content = body.encode() if isinstance(body, str) else bytes(body)
    headers = {str(name): str(value) for name, value in response["headers"].items()}
    headers.setdefault("x-amzn-RequestId", str(uuid.uuid4()))
    headers["Content-Length"] = str(len(content))
    return int(response["status_code"]), headers, content


def error_answer(call: Call, model: Any, error: ServiceException) -> Answer:
    status, headers, content = serialize(call, model, error)
    return Answer(error.code, getattr(error, "status", None) or status, headers, content)


def error_code(status: int, headers: Mapping[str, str], content: bytes) -> str:
    if name := headers.get("x-amzn-errortype"):
        return name.split(":")[0]
    text = content[:20000].decode("utf-8", "replace")
    found = re.search(r'"(?:__type|Code|code)"\s*:\s*"(?:[^"#]*#)?([^"]+)"', text) or re.search(
        r"<Code>([^<]+)</Code>", text
    )
    return found[1] if found else f"HTTP {status}"
