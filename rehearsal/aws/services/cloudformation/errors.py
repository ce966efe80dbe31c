"""The errors that CloudFormation's API answers with, and the ones that end a resource's operation."""

from moto.core.exceptions import ServiceException


class ValidationError(ServiceException):
    """When a request, a template or a parameter is refused; CloudFormation has no finer code for these."""

    code = "ValidationError"


class AlreadyExists(ServiceException):
    """When a stack, or a change set of this name on this stack, exists already."""

    code = "AlreadyExistsException"


class ChangeSetNotFound(ServiceException):
    """When no change set has this name or ARN."""

    code = "ChangeSetNotFound"


class InvalidChangeSetStatus(ServiceException):
    """When a change set is executed or deleted in a status that does not allow it."""

    code = "InvalidChangeSetStatus"


class InsufficientCapabilities(ServiceException):
    """When the template makes IAM resources and the request does not acknowledge it."""

    code = "InsufficientCapabilitiesException"


class TokenAlreadyExists(ServiceException):
    """When a client request token is used again for another operation."""

    code = "TokenAlreadyExistsException"


class NotRehearsed(ServiceException):
    """When the rehearsal does not implement something that AWS does: it says so instead of pretending."""

    code = "ValidationError"


class ResourceFailed(Exception):
    """When a resource cannot be created, updated or deleted; the message is the event's ResourceStatusReason."""


class ResourceGone(Exception):
    """When a resource that is to be deleted does not exist any more, which CloudFormation takes for deleted."""


class Cancelled(Exception):
    """When a resource's operation is broken off because a sibling failed."""
