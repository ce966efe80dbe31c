"""The frame of a handler: what becomes of an error."""

from types import SimpleNamespace

import pytest

from benchwright import step
from benchwright.errors import StackFailed


def test_a_long_message_is_cut_and_stays_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "metrics", SimpleNamespace(add_metric=lambda **_: None))
    cut = step._failed(StackFailed("x" * 40_000))
    assert (type(cut), len(str(cut)) < 10_000) == (StackFailed, True)
    assert str(step._failed(StackFailed("short"))) == "short"
