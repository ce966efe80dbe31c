"""What all cases together showed: a table by kind, and `report.json`."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.faults.deployment import Outcome, compare
from tests.faults.injection import KINDS, Deployment

type Clean = Mapping[Deployment, Outcome]
"""The deployments without a fault."""


@dataclass
class Row:
    """One case as the report shows it."""

    case: str
    caller: str
    kind: str
    first: str
    second: str
    converged: bool
    lost: list[str]
    leaked: list[str]
    orphans: list[str]
    problems: list[str]
    seconds: float

    @property
    def place(self) -> str:
        """The case without the number of a last call, which differs with how often loops look."""
        name, number = self.case.rsplit(" #", 1)
        return f"{name} {'first' if number == '1' else 'last'}"

    @property
    def verdict(self) -> tuple[str, bool]:
        """What the full rehearsal must agree on: how both executions ended, and whether all is well.

        State Manager and Run Command configure a node at the same time, in either order; only a failure of the latter
        fails the deployment. So of a call by a node it must only agree that all is well.
        """
        return "" if self.caller == "node" else self.ended, self.converged

    @property
    def ended(self) -> str:
        """How both executions ended, such as `AwsCallFailed -> SUCCEEDED`."""
        return " -> ".join(filter(None, (self.first, self.second)))

    @property
    def succeeded(self) -> bool:
        """Whether the deployment with the fault succeeded; another may follow for what it put off."""
        return self.first == "SUCCEEDED"

    @classmethod
    def of(cls, outcome: Outcome, clean: Clean) -> "Row":
        world = clean[outcome.case.place.deployment].world
        found = compare(outcome, world) if outcome.world and world else {"lost": [], "leaked": [], "orphans": []}
        return cls(
            case=str(outcome.case),
            caller=outcome.case.place.caller,
            kind=outcome.case.kind,
            first=outcome.first.error or outcome.first.status,
            second=outcome.second.error or outcome.second.status if outcome.second else "",
            converged=not outcome.problems and not any(found.values()),
            problems=outcome.problems,
            seconds=outcome.seconds,
            **found,
        )


@dataclass
class Report:
    """All rows, and the agreement of the sample with the full rehearsal."""

    rows: list[Row]
    wall_s: float = 0
    full_sample: int = 0
    disagreements: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], clean: Clean) -> "Report":
        return cls([Row.of(outcome, clean) for outcome in outcomes])

    def compare_with(self, full: "Report") -> None:
        """Put beside it what the full rehearsal showed of some of the cases."""
        quick = {row.place: row for row in self.rows}
        self.full_sample = len(full.rows)
        for row in full.rows:
            here = quick[row.place]
            if row.verdict != here.verdict:
                found = [*row.problems, *row.lost, *row.leaked, *row.orphans]
                self.disagreements.append(f"{row.case}: {row.ended} on the full rehearsal, {here.ended} here; {found}")

    @property
    def good(self) -> bool:
        return all(row.converged for row in self.rows) and not self.disagreements

    def write(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        summary: dict[str, Any] = {
            "cases": len(self.rows),
            "converged": sum(row.converged for row in self.rows),
            **{name: sum(bool(getattr(row, name)) for row in self.rows) for name in ("lost", "leaked", "orphans")},
            "full_sample": self.full_sample,
            "disagreements": len(self.disagreements),
            "wall_s": self.wall_s,
            "disagreed": self.disagreements,
            "each": [dataclasses.asdict(row) for row in self.rows],
        }
        (directory / "report.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")

    def show(self, console: Console, directory: Path) -> None:
        table = Table(
            "fault", "cases", "absorbed", "failed, then recovered", "lost", "leaked", "orphans", "not converged"
        )
        for kind, meaning in KINDS.items():
            rows = [row for row in self.rows if row.kind == kind]
            if rows:
                table.add_row(f"{kind}: {meaning}", *_counted(rows))
        table.add_section()
        table.add_row("all", *_counted(self.rows))
        console.print(table)
        for row in self.rows:
            if not row.converged:
                reported = [
                    *row.problems,
                    *(f"{what}: {line}" for what in ("lost", "leaked", "orphans") for line in getattr(row, what)),
                ]
                console.print(Text(f"{row.case}\n  " + "\n  ".join(reported)))
        for disagreement in self.disagreements:
            console.print(Text(disagreement))
        errors = Counter(row.first for row in self.rows if not row.succeeded)
        if errors:
            names = ", ".join(f"{error} {count}" for error, count in errors.most_common())
            console.print(f"failed first with: {names}")
        console.print(f"{self.wall_s:.0f} s; report: {directory / 'report.json'}")


def _counted(rows: list[Row]) -> list[str]:
    return [
        str(count)
        for count in (
            len(rows),
            sum(row.converged and row.succeeded for row in rows),
            sum(row.converged and not row.succeeded for row in rows),
            sum(bool(row.lost) for row in rows),
            sum(bool(row.leaked) for row in rows),
            sum(bool(row.orphans) for row in rows),
            sum(not row.converged for row in rows),
        )
    ]


def show_progress(console: Console, outcome: Outcome, clean: Clean, number: int, total: int) -> None:
    row = Row.of(outcome, clean)
    sign = "ok" if row.converged else "NOT CONVERGED"
    console.print(Text(f"{number}/{total} {sign}  {row.case}  {row.ended}  {row.seconds:.1f} s"))
