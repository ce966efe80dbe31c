"""The one place of logger, tracer and metrics, and the frame that every handler shares."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from benchwright.errors import BenchwrightError, from_client_error, from_connection_error, printable, tellable
from benchwright.settings import settings

logger = Logger()  # service name: POWERTOOLS_SERVICE_NAME, level: POWERTOOLS_LOG_LEVEL
tracer = Tracer()  # off where X-Ray is absent: POWERTOOLS_TRACE_DISABLED
metrics = Metrics()  # namespace: POWERTOOLS_METRICS_NAMESPACE

_clients: dict[str, Any] = {}


def client(service: str) -> Any:
    """Return the client of an AWS service, made once per process; botocore retries what is safe to retry."""
    if service not in _clients:
        config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 4})
        _clients[service] = boto3.client(service, config=config)  # type: ignore[call-overload]
    return _clients[service]


def tell_verdict(cluster: str, verified: bool, **reason: str) -> None:
    """Tell the dashboard and its alarm: as the metric `ClusterVerified` of the cluster, 1 or 0, and in the log.

    Powertools gives every metric the dimension `service`, the function's name unless it has a value: the application
    stands there, so that both functions that tell speak of one metric.
    """
    with single_metric(name="ClusterVerified", unit=MetricUnit.Count, value=int(verified)) as metric:
        metric.add_dimension("service", settings().application)
        metric.add_dimension("cluster", cluster)
    logger.info("cluster is verified" if verified else "cluster is not verified", extra=reason)


class StepEvent(BaseModel):
    """What every step is told: whose cluster, and on behalf of which execution."""

    cluster: str
    execution: str


class Step[Event: BaseModel](Protocol):
    """A step: takes a parsed event and returns its result."""

    def __call__(self, event: Event) -> BaseModel: ...


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
                result = function(parse(event=event, model=model))
            except ClientError as error:
                raise _failed(from_client_error(error)) from error
            except BotoCoreError as error:
                raise _failed(from_connection_error(error)) from error
            except BenchwrightError as error:
                raise _failed(error) from error.__cause__
            metrics.add_metric(name="StepSucceeded", unit=MetricUnit.Count, value=1)
            answer: dict[str, Any] = result.model_dump(mode="json")
            logger.info("step", done=answer.get("done"), waiting_for=answer.get("waiting_for"))
            return answer

        framed = tracer.capture_lambda_handler(handle, capture_response=False)
        framed = metrics.log_metrics(framed)
        return logger.inject_lambda_context(framed, clear_state=True)

    return decorate


def _failed(error: BenchwrightError) -> BenchwrightError:
    metrics.add_metric(name="StepFailed", unit=MetricUnit.Count, value=1)
    message = tellable(str(error))
    logger.error("step failed", error=type(error).__name__, cause=printable(str(error)))
    return error if message == str(error) else type(error)(message)
