"""Where an execution environment writes its log."""

import threading
import uuid
from typing import Any


class LogStream:
    """A stream of the function's CloudWatch log group; Lambda makes the group if no one has."""

    def __init__(self, aws: Any, group: str) -> None:
        from moto.logs.models import logs_backends

        self._logs = logs_backends[aws.account][aws.region]
        self._aws, self._group = aws, group
        self._lock = threading.Lock()
        self.name = f"{aws.clock.datetime():%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        self._logs.ensure_log_group(group)
        self._logs.create_log_stream(group, self.name)

    def write(self, line: str) -> None:
        event = {"timestamp": round(self._aws.clock.now() * 1000), "message": line}
        with self._lock:
            try:
                self._logs.put_log_events(self._group, self.name, [event])
            except Exception:  # the group was deleted: then there is nothing to write to, as on AWS
                self._logs.ensure_log_group(self._group)
