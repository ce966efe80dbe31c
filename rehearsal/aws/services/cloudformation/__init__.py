"""CloudFormation of the rehearsal: our own engine in place of moto's.

moto's engine is synchronous, knows no failed resource, no rollback, no replacement and no limits, so nothing that
depends on those could be rehearsed with it. The API (`api`) answers in its place; `engine` walks the resources on the
rehearsal's clock; a `handler` per resource type makes ordinary API calls with the stack's role, so that they stand in
calls.jsonl as they would stand in CloudTrail.
"""

from botocore import xform_name
from moto.core.utils import get_service_model

from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.server import Operation

from . import handlers
from .api import Api
from .engine import Engine

__all__ = ["Engine", "install"]


def install(aws: LocalAws) -> Engine:
    """Answer every CloudFormation operation of the server of `aws` with an engine, which is returned."""
    handlers.load()
    engine = Engine(aws)
    api = Api(engine)
    for operation in get_service_model("cloudformation").operation_names:
        aws.server.add("cloudformation", operation, _responder(api, xform_name(operation)))
    return engine


def _responder(api: Api, operation: str) -> Operation:
    return lambda call: api.answer(operation, dict(call.parameters), call.identity.role_arn)
