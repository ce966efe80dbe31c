"""Why a resource failed, in the words of CloudFormation's events."""

import logging
import uuid

from botocore.exceptions import ClientError

from .errors import ResourceFailed, ResourceGone, ValidationError

logger = logging.getLogger(__name__)

_HANDLER_CODES = {
    "AlreadyExists": "AlreadyExists",
    "EntityAlreadyExists": "AlreadyExists",
    "AccessDenied": "AccessDenied",
    "NotFound": "NotFound",
    "NoSuchEntity": "NotFound",
    "Throttl": "Throttling",
}
# Where the code of a service has none of the usual words, or nothing but the message says it, as of Auto Scaling.
_GONE_CODES = ("404", "InvalidDocument", "Gateway.NotAttached")
_GONE_MESSAGES = ("AutoScalingGroup name not found", "No Lifecycle Hook found")


def is_gone(error: Exception) -> bool:
    """Whether a deletion failed because there is nothing to delete, which handlers answer as NotFound.

    Source: CloudFormation CLI user guide, "Resource type handler contract".
    """
    if isinstance(error, ResourceGone):
        return True
    if not isinstance(error, ClientError):
        return False
    code, message = str(error.response["Error"]["Code"]), error.response["Error"].get("Message", "")
    if code == "ValidationError":
        return message.startswith(_GONE_MESSAGES)
    return any(word in code for word in ("NotFound", "NoSuch", "DoesNotExist", "NonExistent")) or code in _GONE_CODES


def reason_of(error: Exception) -> str:
    """Why a resource failed, as the event says it."""
    if isinstance(error, ClientError):
        answer = error.response["Error"]
        metadata = error.response.get("ResponseMetadata", {})
        code = next(
            (its for word, its in _HANDLER_CODES.items() if word in str(answer["Code"])), "GeneralServiceException"
        )
        return (
            f'Resource handler returned message: "{answer.get("Message")} (Service: {error.operation_name}, '
            f'Status Code: {metadata.get("HTTPStatusCode")}, Request ID: {metadata.get("RequestId")})" '
            f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: {code})"
        )
    message = getattr(error, "message", None) or str(error)
    if isinstance(error, (ResourceFailed, ValidationError)) or hasattr(error, "message"):
        return str(message)
    logger.error("a resource failed", exc_info=error)
    return f"The rehearsal itself failed: {type(error).__name__}: {error}"
