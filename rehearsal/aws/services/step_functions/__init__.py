"""Step Functions: moto's interpreter, made to behave as the service does where the two differ.

moto leaves JSONata (`expressions`), the checks of a `definition`, the calls of a machine under its own role
(`interpreter`) and parts of an execution's description (`executions`) to others. What an execution did is read from its
history by `rehearsal.views.history`.
"""

import functools
from typing import Any

from . import executions, interpreter


def install(aws: Any) -> None:
    """Into a LocalAws: machines call it with keys of their role, and its endpoint answers for executions."""

    def clients(service: str, role_arn: str, machine: str, execution: str) -> Any:
        return aws.client(service, role_arn, machine, execution, attempts=1)

    interpreter.prepare(clients)
    aws.server.add("stepfunctions", "StartExecution", functools.partial(executions._start_execution, aws))
    aws.server.add("stepfunctions", "StopExecution", functools.partial(executions._stop_execution, aws))
    aws.server.add("stepfunctions", "DescribeExecution", functools.partial(executions._describe_execution, aws))
    aws.server.add("stepfunctions", "ListExecutions", functools.partial(executions._list_executions, aws))
    aws.server.add("stepfunctions", "GetExecutionHistory", functools.partial(executions._get_execution_history, aws))
