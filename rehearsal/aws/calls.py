"""What an operation of the local AWS gets and returns."""

from collections.abc import Callable, Mapping
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


type Operation = Callable[[Call], Mapping[str, Any] | Proceed | None]
