"""Answers that AWS would not give, whoever answered, moto or the rehearsal: read by the model of their operation.

An answer that AWS would not give leads a function astray, or lets it pass where AWS would not.
"""

import functools
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from botocore.awsrequest import HeadersDict
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.utils import parse_timestamp
from moto.core.request import determine_request_protocol

from rehearsal.aws.calls import Call, ServiceError

logger = logging.getLogger(__name__)

# What botocore's parsers make of each type of a model.
PYTHON: Final[dict[str, Any]] = {
    "blob": (bytes,),
    "boolean": (bool,),
    "double": (float, int),
    "float": (float, int),
    "integer": (int,),
    "list": (list,),
    "long": (int,),
    "map": (dict,),
    "string": (str,),
    "structure": (dict,),
    "timestamp": (datetime,),
}
# Lengths and patterns are no matter of answers: AWS itself answers '' where a model wants three characters. What else
# may differ, by operation and path, and the values that may stand there; None: it may be missing.
ALLOWED: Final[dict[str, str]] = {
    # AWS gives stacks among the resources of their events, with statuses of stacks: three are none of a resource.
    "cloudformation:DescribeStackEvents StackEvents[].ResourceStatus": (
        "REVIEW_IN_PROGRESS|UPDATE_(ROLLBACK_)?COMPLETE_CLEANUP_IN_PROGRESS"
    ),
    # EC2 writes these states in lower case, whatever its model says.
    "ec2:CreateVpcEndpoint VpcEndpoint.State": "available",
    "ec2:DescribeVpcEndpoints VpcEndpoints[].State": "available",
    # AWS says so of the gateway of a network, and of recent types, where its models do not: moto has recorded both.
    "ec2:DescribeInternetGateways InternetGateways[].Attachments[].State": "available",
    "ec2:DescribeInstanceTypes InstanceTypes[].ProcessorInfo.SupportedFeatures[]": "metal-compatibility",
    # moto does not know for which systems a document is, nor when a machine was changed; no one asks.
    "ssm:CreateDocument DocumentDescription.PlatformTypes[]": r"Not Implemented \(moto\)",
    "ssm:DescribeDocument Document.PlatformTypes[]": r"Not Implemented \(moto\)",
    "ssm:ListDocuments DocumentIdentifiers[].PlatformTypes[]": r"Not Implemented \(moto\)",
    "ssm:UpdateDocument DocumentDescription.PlatformTypes[]": r"Not Implemented \(moto\)",
    "stepfunctions:DescribeStateMachineForExecution updateDate": "None",
}

PARSERS: Final = ResponseParserFactory()
# What is described again and again has the same times in each answer.
PARSERS.set_parser_defaults(timestamp_parser=functools.lru_cache(maxsize=4096)(parse_timestamp))


def refuse_answer(call: Call, model: Any, status: int, headers: Mapping[str, str], content: bytes) -> None:
    """Raises when a successful answer is not in the form of its model. `headers` are in lower case.

    It is logged, too: who calls may take the refusal for one of AWS, and swallow it.
    """
    if status >= 300 or model.output_shape is None or model.has_streaming_output:
        return
    protocol = determine_request_protocol(model.service_model, call.headers.get("Content-Type", ""))
    if found := problems(model, protocol, status, headers, content):
        message = f"What the rehearsal answers to {call.service}:{call.operation} AWS would not: {'; '.join(found)}"
        logger.error(message)
        raise ServiceError("InternalFailure", message, 501)


def problems(
    model: OperationModel, protocol: str, status: int, headers: Mapping[str, str], content: bytes
) -> list[str]:
    """Say what of a successful answer is not as the model of its operation has it, each with its path.

    The operation answers something, and no stream; `headers` are in lower case.
    """
    shape: Any = model.output_shape
    response = {"status_code": status, "headers": HeadersDict(headers), "body": content}
    try:
        parsed = PARSERS.create_parser(protocol).parse(response, shape)
    except ResponseParserError as error:
        return [f"it cannot be parsed: {error}"]
    del parsed["ResponseMetadata"]
    operation = f"{model.service_model.service_name}:{model.name}"
    return [
        problem
        for path, value, problem in _found(shape, parsed, "")
        if not re.fullmatch(ALLOWED.get(f"{operation} {path}", "(?!)"), str(value))
    ]


def _found(shape: Any, value: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    """Path, value and problem of all that is missing, of another type, or none of the enumerated values."""
    if not isinstance(value, PYTHON[shape.type_name]) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield path, value, f"{path}: {value!r} is no {shape.type_name}"
    elif shape.type_name == "structure":
        for name, member in shape.members.items():
            below = f"{path}.{name}".removeprefix(".")
            if value.get(name) is not None:
                yield from _found(member, value[name], below)
            elif name in shape.required_members:
                yield below, None, f"{below}: it is missing"
    elif shape.type_name == "list":
        for item in value:
            yield from _found(shape.member, item, f"{path}[]")
    elif shape.type_name == "map":
        for item in value.values():
            yield from _found(shape.value, item, f"{path}{{}}")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield path, value, f"{path}: {value!r} is none of {', '.join(shape.enum)}"
