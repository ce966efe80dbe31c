"""Which function maps which operation."""

from collections.abc import Callable, Iterator

from rehearsal.judges.policies.authorization import Authorization, Call

type Mapping = Callable[[Call], Iterator[Authorization]]

MAPPINGS: dict[tuple[str, str], Mapping] = {}
"""By service and operation, as botocore names them."""


def on(service: str, *operations: str) -> Callable[[Mapping], Mapping]:
    """The decorated function maps these operations."""

    def register(mapping: Mapping) -> Mapping:
        for operation in operations:
            assert (service, operation) not in MAPPINGS, f"{service}:{operation} is mapped twice"
            MAPPINGS[service, operation] = mapping
        return mapping

    return register


def without_resource(service: str, prefix: str, *operations: str) -> None:
    """Operations whose action has no resource level, and needs no other."""

    @on(service, *operations)
    def everything(call: Call) -> Iterator[Authorization]:
        yield call.ask(f"{prefix}:{call.operation}")
