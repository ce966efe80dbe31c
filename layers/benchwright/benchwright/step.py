"""The frame that every handler shares: from an event to a result, with its log, its metrics and its errors."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from benchwright.errors import BenchwrightError, from_client_error, from_connection_error, printable, shorten
from benchwright.observability import logger, metrics


class StepEvent(BaseModel):
    """What every step gets: whose cluster, and on behalf of which execution."""

    cluster: str
    execution: str


class LoopEvent(StepEvent):
    """What a step gets that is repeated. wait_seconds: how long its previous look had the state machine wait."""

    wait_seconds: int = 0


class StepResult(BaseModel):
    """What every step answers: whether the state machine can go on."""

    done: bool = True


class LoopResult(StepResult):
    """What a step answers that is repeated: until it is done, what for and how long the state machine waits."""

    done: bool
    waiting_for: str = ""
    wait_seconds: int = 0


class Step[Event: BaseModel](Protocol):
    """A step: takes a parsed event and returns its result."""

    def __call__(self, event: Event) -> StepResult: ...


def step[Event: BaseModel](
    model: type[Event],
) -> Callable[[Step[Event]], Callable[[Any, LambdaContext], dict[str, Any]]]:
    """Make a Lambda handler of a step.

    The handler parses the event into `model`, logs under the execution as correlation id, counts the outcome as the
    metrics `StepSucceeded` and `StepFailed`, and turns errors of AWS into ours, so that the state machine sees their
    names.
    """

    def decorate(function: Step[Event]) -> Callable[[Any, LambdaContext], dict[str, Any]]:
        @wraps(function)
        def handle(event: Any, context: LambdaContext) -> dict[str, Any]:
            logger.set_correlation_id(str(event.get("execution", "")))
            logger.append_keys(cluster=event.get("cluster", ""))
            try:
                result = function(model.model_validate(event))
            except ClientError as error:
                raise _failed(from_client_error(error)) from error
            except BotoCoreError as error:
                raise _failed(from_connection_error(error)) from error
            except BenchwrightError as error:
                raise _failed(error) from error.__cause__
            metrics.add_metric(name="StepSucceeded", unit=MetricUnit.Count, value=1)
            answer: dict[str, Any] = result.model_dump(mode="json")
            logger.info("step", done=result.done, waiting_for=answer.get("waiting_for"))
            if not result.done and not answer.get("wait_seconds"):
                # The loop would have no wait, and so no limit.
                raise ValueError(f"a result that is not done says for how long to wait: {answer}")
            return answer

        return logger.inject_lambda_context(metrics.log_metrics(handle), clear_state=True)

    return decorate


def _failed(error: BenchwrightError) -> BenchwrightError:
    metrics.add_metric(name="StepFailed", unit=MetricUnit.Count, value=1)
    message = shorten(str(error))
    logger.error("step failed", error=type(error).__name__, cause=printable(str(error)))
    return error if message == str(error) else type(error)(message)
