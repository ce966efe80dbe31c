"""The executions of a local AWS that is in use: when one begins and how it ends, each as a line for people."""

import textwrap
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from benchwright.report.history import clock_face
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.step_functions.executions import backend


class Executions:
    """Looks into moto: a poll over HTTP would cost time, and would be a call."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._status: dict[str, str] = {}

    def news(self) -> Iterator[Text]:
        """What has changed since it was last asked."""
        for machine in backend(self._aws.account, self._aws.region).state_machines:
            for execution in list(machine.executions):
                before, now = self._status.get(execution.exec_arn), execution.status
                if before == now:
                    continue
                self._status[execution.exec_arn] = now
                name = Text.assemble((f"{machine.name} ", "bold"), execution.name)
                if before is None:
                    yield Text.assemble("  ", name, " started with ", (execution.execution_input, "dim"))
                if now != "RUNNING":
                    yield self._ended(name, execution)

    def _ended(self, name: Text, execution: Any) -> Text:
        good = execution.status == "SUCCEEDED"
        elapsed = (execution.stop_date - execution.start_date).total_seconds()
        status = (f"{execution.status} {execution.error or ''}".rstrip(), "green" if good else "red")
        line = Text.assemble("  ", name, " ", status, f" after {clock_face(elapsed).strip()} of AWS time")
        if not good and execution.cause:
            line.append("\n" + textwrap.indent(execution.cause, "    "))
        return line
