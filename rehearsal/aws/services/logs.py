"""CloudWatch Logs: the saved queries of Logs Insights, which moto lacks."""

import uuid
from typing import Any

from rehearsal.aws.calls import Call, ServiceError
from rehearsal.aws.local_aws import LocalAws

KEPT = ("queryLanguage", "name", "queryString", "logGroupNames", "parameters")


def install(aws: LocalAws) -> None:
    """Add to the server what moto lacks."""
    definitions: dict[str, dict[str, Any]] = {}

    def known(identifier: str) -> str:
        if identifier not in definitions:
            raise ServiceError("ResourceNotFoundException", "The specified query definition does not exist.")
        return identifier

    @aws.server.operation("logs", "PutQueryDefinition")
    def put_query_definition(call: Call) -> dict[str, Any]:
        given = call.get("queryDefinitionId")
        identifier = known(given) if given else str(uuid.uuid4())
        content = {name: call[name] for name in KEPT if call.get(name)}
        definitions[identifier] = {
            "queryDefinitionId": identifier,
            "lastModified": int(aws.clock.now() * 1000),
            **content,
        }
        return {"queryDefinitionId": identifier}

    @aws.server.operation("logs", "DescribeQueryDefinitions")
    def describe_query_definitions(call: Call) -> dict[str, Any]:
        prefix = call.get("queryDefinitionNamePrefix") or ""
        return {"queryDefinitions": [each for each in definitions.values() if each["name"].startswith(prefix)]}

    @aws.server.operation("logs", "DeleteQueryDefinition")
    def delete_query_definition(call: Call) -> dict[str, Any]:
        del definitions[known(call["queryDefinitionId"])]
        return {"success": True}
