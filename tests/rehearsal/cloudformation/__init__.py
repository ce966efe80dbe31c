"""CloudFormation of the rehearsal: our own engine behind moto's endpoint.

moto's engine is synchronous, knows no failed resource, no rollback, no replacement and no limits, so nothing that
depends on those could be rehearsed with it. The API (`api`) answers in its place; `engine` walks the resources on the
rehearsal's clock; a `handler` per resource type makes ordinary API calls with the stack's role, so that they stand in
calls.jsonl as they would stand in CloudTrail.
"""

from typing import Any

from botocore import xform_name
from botocore.loaders import Loader
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult

from . import handlers
from .api import Api
from .engine import Engine

__all__ = ["Engine", "install"]


def install(aws: Any) -> Engine:
    """Answer every CloudFormation operation of the server of `aws` with an engine, which is returned."""
    handlers.load()
    engine = Engine(aws)
    api = Api(engine)
    CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER = {}  # those fit moto's own classes, not botocore's shapes
    for operation in Loader().load_service_model("cloudformation", "service-2")["operations"]:
        setattr(CloudFormationResponse, xform_name(operation), _responder(aws, api, xform_name(operation)))
    return engine


def _responder(aws: Any, api: Api, operation: str) -> Any:
    def respond(self: CloudFormationResponse) -> ActionResult:
        request = {key: value for key, value in self.params.items() if value is not None}
        return ActionResult(api.answer(operation, request, _caller_role(aws, self)))

    return respond


def _caller_role(aws: Any, response: CloudFormationResponse) -> str | None:
    """The role whose keys signed the request, None for a person."""
    identity = aws.identity_of(response.access_key)
    return identity.role_arn if identity else None
