"""CloudWatch Logs: the saved queries of Logs Insights, which moto lacks."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws

KEPT = ("queryLanguage", "name", "queryString", "logGroupNames", "parameters")


def install(aws: LocalAws) -> None:
    """Add to the server what moto lacks."""
    aws.server.serve("logs", QueryDefinitions(aws.clock))


@dataclass
class QueryDefinitions:
    clock: Clock
    _definitions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put_query_definition(self, call: Call) -> dict[str, Any]:
        given = call.get("queryDefinitionId")
        identifier = self._known(given) if given else str(uuid.uuid4())
        self._definitions[identifier] = {
            "queryDefinitionId": identifier,
            "lastModified": int(self.clock.now() * 1000),
            **{name: call[name] for name in KEPT if call.get(name)},
        }
        return {"queryDefinitionId": identifier}

    def describe_query_definitions(self, call: Call) -> dict[str, Any]:
        prefix = call.get("queryDefinitionNamePrefix") or ""
        return {"queryDefinitions": [each for each in self._definitions.values() if each["name"].startswith(prefix)]}

    def delete_query_definition(self, call: Call) -> dict[str, Any]:
        del self._definitions[self._known(call["queryDefinitionId"])]
        return {"success": True}

    def _known(self, identifier: str) -> str:
        if identifier not in self._definitions:
            raise ServiceError("ResourceNotFoundException", "The specified query definition does not exist.")
        return identifier
