"""The program of a node that opens sessions: whatever fails, what it has opened is ended."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from rehearsal.application import ROOT

SOURCE = ROOT / "infra/node/sessions.py"
program: Any = ModuleType("sessions_of_a_node")
exec(compile(SOURCE.read_text(), SOURCE, "exec"), program.__dict__)  # an import would leave bytecode in infra/


class Workbench:
    """Two nodes. refuses: the session that Workbench does not open; loses: the one of which no answer comes; starts:
    how many of the others begin to run; stops: whether it accepts that they are to end, and ends: whether they do.
    """

    def __init__(
        self, refuses: int = 0, starts: int = 99, loses: int = 0, *, stops: bool = True, ends: bool = True
    ) -> None:
        self.refuses, self.starts, self.loses, self.stops, self.ends = refuses, starts, loses, stops, ends
        self.sessions: dict[str, str] = {}
        self.stopped: list[str] = []

    def call(self, method: str, parameters: dict[str, Any]) -> Any:
        if method == "stop_session":
            assert parameters["force_quit"] is True
            if not self.stops:
                raise program.FailedError("Workbench answers stop_session with HTTP 401")
            self.stopped = parameters["session_ids"].split(",")
            if self.ends:
                self.sessions = {each: node for each, node in self.sessions.items() if each not in self.stopped}
            return True
        number = len(self.sessions) + 1
        if number == self.refuses:
            raise program.FailedError("Workbench refuses launch_session: no seat")
        self.sessions[f"s-{number}"] = f"10.0.0.{number % 2 + 1}"
        if number == self.loses:
            raise program.FailedError("Workbench does not answer launch_session: timed out")
        return {"id": f"s-{number}", "url": "/s/", "project_id": ""}

    def running(self, account: str) -> dict[str, int]:
        assert account == "probe"
        shown = list(self.sessions.values())[: self.starts]
        return {address: shown.count(address) for address in ("10.0.0.1", "10.0.0.2")}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Workbench], None]:
    def start(workbench: Workbench) -> None:
        monkeypatch.setattr(program, "call", workbench.call)
        monkeypatch.setattr(program, "running", workbench.running)
        monkeypatch.setattr(program, "SECONDS_TO_START", 0)
        monkeypatch.setattr(program, "SECONDS_TO_END", 0)
        monkeypatch.setattr(program.time, "sleep", lambda _: None)
        program.main(5, "probe")

    return start


def test_sessions_are_counted_by_node_and_ended(
    run: Callable[[Workbench], None], capsys: pytest.CaptureFixture[str]
) -> None:
    workbench = Workbench()
    run(workbench)
    assert json.loads(capsys.readouterr().out) == {"opened": 5, "sessions": {"10.0.0.1": 2, "10.0.0.2": 3}}
    assert workbench.stopped == [f"s-{number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("workbench", "wrong", "stopped"),
    [
        (Workbench(refuses=1), "Workbench refuses launch_session: no seat", 0),
        (Workbench(refuses=4), "Workbench refuses launch_session: no seat", 3),
        (Workbench(starts=4), "of 5 sessions that Workbench opened for probe, 4 run after 0 seconds. Look at", 5),
        (Workbench(ends=False), "5 sessions of probe did not end. Sign in as probe, and quit those named", 5),
        (Workbench(loses=1), "1 sessions of probe did not end. Sign in as probe, and quit those named", 0),
        (Workbench(loses=3), "1 sessions of probe did not end. Sign in as probe, and quit those named", 2),
        (
            Workbench(stops=False),
            "5 sessions of probe did not end: Workbench answers stop_session with HTTP 401. Sign",
            0,
        ),
    ],
    ids=[
        *("none opens", "one does not open", "one does not start", "they do not end"),
        *("no answer of the first", "no answer of another", "they may not be ended"),
    ],
)
def test_what_was_opened_is_ended_when_it_fails(
    run: Callable[[Workbench], None], workbench: Workbench, wrong: str, stopped: int
) -> None:
    with pytest.raises(program.FailedError) as caught:
        run(workbench)
    assert str(caught.value).startswith(wrong)
    assert workbench.stopped == [f"s-{number}" for number in range(1, stopped + 1)]


def test_sessions_that_the_account_has_are_left_alone(run: Callable[[Workbench], None]) -> None:
    workbench = Workbench()
    workbench.sessions = {"own": "10.0.0.1"}
    with pytest.raises(program.FailedError, match=r"probe already has sessions \(1\)"):
        run(workbench)
    assert (workbench.sessions, workbench.stopped) == ({"own": "10.0.0.1"}, [])
