"""What AWS limits, and what its services must be given so that they do no more than was meant."""

from types import SimpleNamespace

import pytest

from benchwright import step
from benchwright.errors import StackFailed
from benchwright.image import build_log
from benchwright.stacks import change_sets
from benchwright.stacks.change_sets import ChangeSet, Desired, Stack


def test_a_long_message_is_cut_and_stays_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "metrics", SimpleNamespace(add_metric=lambda **_: None))
    cut = step._failed(StackFailed("x" * 40_000))
    assert (type(cut), len(str(cut)) < 10_000) == (StackFailed, True)
    assert str(step._failed(StackFailed("short"))) == "short"


def test_a_long_line_of_a_log_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = SimpleNamespace(
        describe_log_streams=lambda **_: {"logStreams": [{"logStreamName": "s"}]},
        get_log_events=lambda **_: {"events": [{"message": "x" * 40_000}, {"message": "end\n"}]},
    )
    monkeypatch.setattr(build_log, "client", lambda _: logs)
    assert [len(line) for line in build_log.last_lines("g", 2)] == [500, 3]


def test_the_same_change_of_a_stack_made_again_has_another_token(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = []
    execute = SimpleNamespace(execute_change_set=lambda **given: tokens.append(given["ClientRequestToken"]))
    monkeypatch.setattr(change_sets, "client", lambda _: execute)
    desired = Desired("wb", "", {}, {})
    for arn in ("stack/wb/1", "stack/wb/1", "stack/wb/2"):
        change_sets.act(
            "execute", desired, Stack("REVIEW_IN_PROGRESS", arn), ChangeSet("name", "CREATE_COMPLETE"), "name"
        )
    assert (tokens[0] == tokens[1], tokens[0] == tokens[2], {len(token) for token in tokens}) == (True, False, {64})
