"""report.json and report.html: what happened in a rehearsal, in AWS time, and whether every check held."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchwright.report.execution import Execution as ReportedExecution
from rehearsal.aws.operations import Operation
from rehearsal.aws.services.step_functions.quotas import HISTORY_EVENTS, PAYLOAD_BYTES
from rehearsal.judges.policies.verdict import Verdict
from rehearsal.judges.secrets import Findings
from rehearsal.views import page


@dataclass(kw_only=True)
class Execution(ReportedExecution):
    """One execution, as the rehearsal's contract in the design wants it."""

    aws_calls: dict[str, int] = field(default_factory=dict)
    started_by: str = "rehearsal"
    """The caller of StartExecution, as calls.jsonl names callers."""

    @property
    def schedule(self) -> str:
        """The name of the schedule that started it, if one did."""
        caller, _, name = self.started_by.partition(" ")
        return name if caller == "schedule" else ""


@dataclass
class Report:
    """The whole of report.json. `checks` are sentences of what does not hold; empty when all is well.

    `itself` is what failed of the rehearsal itself: with it, executions say nothing about the account.

    `speed` is how many times faster than this machine's AWS time ran at most. `machines` are the definitions of the
    state machines that ran, as deployed, reduced to what leads where. `operations` are those of AWS, by their ends.
    """

    executions: list[Execution] = field(default_factory=list)
    wall_s: float = 0.0
    secrets: Findings = field(default_factory=Findings)
    policies: Verdict = field(default_factory=Verdict)
    checks: list[str] = field(default_factory=list)
    itself: list[str] = field(default_factory=list)
    speed: float = 1.0
    machines: dict[str, Any] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def judge(self) -> None:
        """Fill `checks` with what does not hold, beside the status of the last execution."""
        if self.secrets.found:
            self.checks.extend(f"a secret stands where it must not: {where}" for where in self.secrets.where)
        self.checks.extend(f"a call would be denied: {denied}" for denied in self.policies.denied)
        for execution in self.executions:
            if execution.max_payload_bytes > PAYLOAD_BYTES:
                self.checks.append(
                    f"a payload of {execution.state_machine} has {execution.max_payload_bytes} bytes;"
                    f" Step Functions carries {PAYLOAD_BYTES}"
                )
            if execution.history_events > HISTORY_EVENTS:
                self.checks.append(
                    f"the history of {execution.state_machine} has {execution.history_events} events;"
                    f" Step Functions ends an execution at {HISTORY_EVENTS}"
                )

    @property
    def succeeded(self) -> bool:
        """The last execution that a person started, and what schedules started since, SUCCEEDED; every check held."""
        persons = [number for number, execution in enumerate(self.executions) if not execution.schedule]
        last = self.executions[persons[-1] if persons else -1 :]
        return (
            bool(last)
            and all(execution.status == "SUCCEEDED" for execution in last)
            and not (self.itself or self.checks)
        )

    def data(self) -> dict[str, Any]:
        """What report.json holds."""
        document: dict[str, Any] = json.loads(json.dumps({"succeeded": self.succeeded, **asdict(self)}, default=str))
        return document

    def write(self, directory: Path) -> None:
        """report.json, and report.html made from it."""
        directory.mkdir(parents=True, exist_ok=True)
        data = self.data()
        text = json.dumps(data, indent=2, ensure_ascii=False)
        (directory / "report.json").write_text(text + "\n", encoding="utf-8")
        (directory / "report.html").write_text(page.html(data), encoding="utf-8")
