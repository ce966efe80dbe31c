"""The CloudFormation API: what a caller sends and gets back."""

from collections.abc import Callable, Mapping
from typing import Any

from ..engine import Engine
from ..errors import NotRehearsed
from .change_sets import ChangeSets
from .requests import Request, Requests
from .responses import Pages
from .stacks import Stacks


class Api:
    """Every operation over one engine; what is missing is refused by name."""

    def __init__(self, engine: Engine) -> None:
        requests, pages = Requests(engine), Pages()
        self._operations = (Stacks(engine, requests, pages), ChangeSets(engine, requests, pages))

    def answer(self, operation: str, request: Request, caller_role: str | None) -> Mapping[str, Any]:
        """The answer to a request for an operation, by the name that boto3 gives it."""
        for operations in self._operations:
            method: Callable[[Request, str | None], Mapping[str, Any]] | None = getattr(operations, operation, None)
            if method is not None:
                return method(request, caller_role)
        raise NotRehearsed(f"The rehearsal does not implement CloudFormation's operation {operation}")
