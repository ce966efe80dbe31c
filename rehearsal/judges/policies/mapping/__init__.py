"""From a call to what IAM is asked for it. What no one has mapped is an error by name, so nothing passes unjudged.

Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/ (actions, resource types, dependent
actions), and where that is silent, the page that is named beside the mapping.
"""

from collections.abc import Iterator

from rehearsal.judges.policies.authorization import Authorization, Call, UnjudgedError
from rehearsal.judges.policies.mapping import balancing, data, deployment, nodes
from rehearsal.judges.policies.mapping.registry import MAPPINGS

__all__ = ["authorizations", "balancing", "data", "deployment", "nodes"]


def authorizations(call: Call) -> Iterator[Authorization]:
    """Everything that AWS asks of IAM for this call; raises UnjudgedError."""
    mapping = MAPPINGS.get((call.service, call.operation))
    if mapping is None:
        raise UnjudgedError(f"rehearsal/judges/policies/mapping says nothing of {call.service}:{call.operation}")
    yield from mapping(call)
