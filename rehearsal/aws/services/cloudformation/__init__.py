"""CloudFormation of the rehearsal: our own engine in place of moto's.

moto's engine is synchronous, knows no failed resource, no rollback, no replacement and no limits, so nothing that
depends on those could be rehearsed with it.

A request enters through `api`, which reads it (`api.requests`), answers it (`api.stacks`, `api.change_sets`) and shows
what there is (`api.responses`). What it asks for is a `model.Deployment`: a template (`templates`, `intrinsics`) with
its `parameters`. It is checked (`early_validation`, by the `schema` of each resource type) and compared with the stack
(`template_diff`). The `engine` holds all stacks and begins each operation in a thread: `stack_creation`,
`stack_update`, or the deletion in `stack_operation`, which all three share. An operation walks the resources in the
order of the `graph`, on the rehearsal's clock. For each one, the `handler` of its type (in `handlers`) gets a `context`
and makes ordinary API calls with the stack's role (`service_call` builds them from the resource's `properties`), so
that they stand in calls.jsonl as they would stand in CloudTrail. `reasons` turns a failure into the text of its event.
"""

from rehearsal.aws.local_aws import LocalAws

from . import handlers
from .api.change_sets import ChangeSets
from .api.requests import Requests
from .api.responses import Pages
from .api.stacks import Stacks
from .engine import Engine

__all__ = ["Engine", "install"]


def install(aws: LocalAws) -> Engine:
    """Answer every CloudFormation operation of the server of `aws` with an engine, which is returned."""
    handlers.load()
    engine = aws.stacks = Engine(aws)
    requests, pages = Requests(engine), Pages()
    owners = Stacks(engine, requests, pages), ChangeSets(engine, requests, pages)
    aws.server.serve("cloudformation", *owners, whole=True)
    return engine
