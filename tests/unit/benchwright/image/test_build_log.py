"""The log of a build: its last lines, which explain a failure and never hide it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from benchwright.image import build_log
from tests.unit.benchwright.hostile import examples, texts


@examples(50)
@given(st.lists(texts, max_size=5))
def test_any_log_is_some_short_lines(messages: list[str]) -> None:
    logs = SimpleNamespace(
        describe_log_streams=lambda **_: {"logStreams": [{"logStreamName": "s"}]},
        get_log_events=lambda **_: {"events": [{"message": message} for message in messages]},
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(build_log, "client", lambda _: logs)
        lines = build_log.last_lines("group", 5)
    assert [len(line) <= 500 for line in lines] == [True] * len(messages)


@pytest.mark.parametrize(
    "error", [ClientError({"Error": {"Code": "AccessDenied"}}, "x"), EndpointConnectionError(endpoint_url="x")]
)
def test_a_log_that_cannot_be_read_hides_no_failure(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise error

    monkeypatch.setattr(build_log, "client", lambda _: SimpleNamespace(describe_log_streams=refuse))
    assert build_log.last_lines("group", 5) == []


def test_a_long_line_of_a_log_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = SimpleNamespace(
        describe_log_streams=lambda **_: {"logStreams": [{"logStreamName": "s"}]},
        get_log_events=lambda **_: {"events": [{"message": "x" * 40_000}, {"message": "end\n"}]},
    )
    monkeypatch.setattr(build_log, "client", lambda _: logs)
    assert [len(line) for line in build_log.last_lines("g", 2)] == [500, 3]
