"""AWS as a script: each call is held against botocore's model of its service, noted, and answered as the test says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import BotoCoreError
from botocore.model import OperationModel

type Answer = Mapping[str, Any] | BotoCoreError | Callable[[Mapping[str, Any]], Mapping[str, Any]]

READING = re.compile(r"(Describe|Get|List|Scan|Query|Head)[A-Z]|Scan$")


@dataclass
class Conversation:
    """answers: by operation, what AWS says; a call that has none there ends the test. calls: what was asked, in
    order.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def writes(self) -> list[tuple[str, dict[str, Any]]]:
        """The calls that change something."""
        return [call for call in self.calls if not READING.match(call[0])]

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The parameters of each call of an operation."""
        return [parameters for name, parameters in self.calls if name == operation]

    def note(self, *, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        """Botocore's event provide-client-params, before a call is validated."""
        context["asked"] = dict(params)

    def answer(self, *, model: OperationModel, context: dict[str, Any], **_: Any) -> tuple[SimpleNamespace, Any]:
        """Botocore's event before-call: what it gets here, it takes for what came over the network."""
        assert model.name in self.answers, f"AWS has no answer to {model.name}({context['asked']})"
        self.calls.append((model.name, context["asked"]))
        answer = self.answers[model.name]
        if isinstance(answer, BotoCoreError):
            raise answer
        reported = answer(context["asked"]) if callable(answer) else answer
        return SimpleNamespace(status_code=400 if "Error" in reported else 200), dict(reported)


def refusal(code: str, message: str = "no") -> dict[str, Any]:
    """What AWS answers where it refuses a call."""
    return {"Error": {"Code": code, "Message": message}}
