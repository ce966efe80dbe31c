"""The frame of a handler: what becomes of an error."""

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from benchwright import step
from benchwright.errors import StackFailed


def test_a_long_message_is_cut_and_stays_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "metrics", SimpleNamespace(add_metric=lambda **_: None))
    cut = step._failed(StackFailed("x" * 40_000))
    assert (type(cut), len(str(cut)) < 10_000) == (StackFailed, True)
    assert str(step._failed(StackFailed("short"))) == "short"


EVENT = {"cluster": "blue", "execution": "arn"}
CONTEXT: Any = SimpleNamespace(
    function_name="step", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="1"
)


@pytest.mark.usefixtures("environment")
def test_an_event_that_lacks_something_ends_in_an_error_that_names_it() -> None:
    handler = step.step(step.LoopEvent)(lambda _: step.StepResult())
    with pytest.raises(ValidationError) as refused:
        handler({"cluster": "blue", "wait_seconds": "soon"}, CONTEXT)
    assert [(error["loc"], error["type"]) for error in refused.value.errors()] == [
        (("execution",), "missing"),
        (("wait_seconds",), "int_parsing"),
    ]


@pytest.mark.usefixtures("environment")
def test_a_step_that_is_not_done_says_how_long_to_wait() -> None:
    """Else its loop would neither wait nor end."""

    def answer(**result: Any) -> Any:
        return step.step(step.StepEvent)(lambda _: step.LoopResult(waiting_for="a stack", **result))(EVENT, CONTEXT)

    assert answer(done=False, wait_seconds=5)["wait_seconds"] == 5
    assert answer(done=True)["done"]
    with pytest.raises(ValueError, match=r"not done says for how long to wait: .*a stack"):
        answer(done=False)
    with pytest.raises(ValueError, match="not done says for how long to wait"):
        step.step(step.StepEvent)(lambda _: step.StepResult(done=False))(EVENT, CONTEXT)
