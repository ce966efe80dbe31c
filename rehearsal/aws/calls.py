"""What an operation of the local AWS gets and returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import ServiceException

from rehearsal.aws.recorder import Identity


class Proceed:
    """What an added operation returns to let moto answer after all."""


PROCEED = Proceed()


class ServiceError(ServiceException):
    """An error answer: the code as the service's model names it, and a message."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(code, message)
        self.status = status


@dataclass(frozen=True)
class Call:
    """One request, as parsed by the service's model."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    identity: Identity
    region: str
    headers: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.parameters.get(name, default)

    def given(self, *names: str) -> dict[str, Any]:
        """The parameters that have a value; with names, those of them."""
        return {name: self.parameters[name] for name in names or self.parameters if self.get(name) is not None}

    def page(self, key: str, items: Sequence[Any], size: int = 50) -> dict[str, Any]:
        """The page of a list that is asked for, under its key; `size` is how many the service shows by default."""
        token = "nextToken" if key[0].islower() else "NextToken"
        limit = next(filter(None, map(self.get, ("maxResults", "MaxResults", "MaxRecords"))), size)
        start = int(self.get(token) or 0)
        more = {token: str(start + limit)} if len(items) > start + limit else {}
        return {key: items[start : start + limit], **more}


type Operation = Callable[[Call], Mapping[str, Any] | Proceed | None]
