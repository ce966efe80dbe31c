"""What EC2 says of instances."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchwright.nodes import instances
from tests.unit.benchwright.conversation import Conversation, refusal


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["i-1", "i-2"], "i-1, i-2"),
        ([f"i-{number}" for number in range(5)], "i-0, i-1, i-2, i-3, i-4"),
        ([f"i-{number}" for number in range(50)], "i-0, i-1, i-2, i-3, i-4 and 45 more"),
    ],
)
def test_many_instances_are_counted_in_a_sentence(names: list[str], said: str) -> None:
    assert instances.listed(names) == said


def test_the_system_log_is_its_last_lines_without_what_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    output = "one\r\n\n\x1b[0;32m  OK  \x1b[0m two\r\nthree\r\n"
    monkeypatch.setattr(
        instances, "client", lambda _: SimpleNamespace(get_console_output=lambda **_: {"Output": output})
    )
    assert instances.console_lines("i-1", 2) == ["  OK   two", "three"]


@pytest.mark.parametrize("latest", [{"Output": "now"}, {}, refusal("UnsupportedOperation")])
def test_the_system_log_is_the_latest_one_where_there_is_one(aws: Conversation, latest: dict[str, Any]) -> None:
    aws.answers = {"GetConsoleOutput": lambda asked: latest if asked["Latest"] else {"Output": "of the boot"}}
    assert instances.console_lines("i-1", 2) == (["now"] if "Output" in latest else ["of the boot"])


def test_a_system_log_that_may_not_be_read_hides_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: str) -> None:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "GetConsoleOutput")

    monkeypatch.setattr(instances, "client", lambda _: SimpleNamespace(get_console_output=refuse))
    assert instances.console_lines("i-1", 2) == []
