"""CloudWatch Logs: the saved queries of Logs Insights, which moto lacks, and streams that services write to."""

import contextlib
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.exceptions import ResourceAlreadyExistsException
from moto.logs.models import logs_backends

from rehearsal.aws.calls import PROCEED, Call, Proceed, ServiceError
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import embedded_metrics

KEPT = ("queryLanguage", "name", "queryString", "logGroupNames", "parameters")


def install(aws: LocalAws) -> None:
    """Add to the server what moto lacks."""
    aws.server.serve("logs", QueryDefinitions(aws.clock), LogEvents(aws))


@dataclass(frozen=True)
class LogEvents:
    """Events that arrive by PutLogEvents. CloudWatch makes metrics of those in the embedded metric format."""

    aws: LocalAws

    def put_log_events(self, call: Call) -> Proceed:
        group = logs_backends[self.aws.account][call.region].groups.get(call["logGroupName"])
        if group and call["logStreamName"] in group.streams:  # moto refuses any other
            for event in call["logEvents"]:
                embedded_metrics.extract(self.aws.moto_backend(cloudwatch_backends, call.region), event["message"])
        return PROCEED


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


class LogStream:
    """A stream to which a service writes itself; group and stream are made where they are missing."""

    def __init__(self, aws: LocalAws, group: str, name: str) -> None:
        self.name = name
        self._logs, self._clock, self._group = aws.moto_backend(logs_backends), aws.clock, group
        self._metrics = aws.moto_backend(cloudwatch_backends)
        self._lock = threading.Lock()
        self._logs.ensure_log_group(group)
        with contextlib.suppress(ResourceAlreadyExistsException):  # an image that was deleted is built again
            self._logs.create_log_stream(group, name)

    def write(self, line: str) -> None:
        event = {"timestamp": round(self._clock.now() * 1000), "message": line}
        with self._lock:
            try:
                self._logs.put_log_events(self._group, self.name, [event])
                embedded_metrics.extract(self._metrics, line)
            except Exception:  # the group was deleted: then there is nothing to write to, as on AWS
                self._logs.ensure_log_group(self._group)
