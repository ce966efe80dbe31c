"""Step Functions: moto's interpreter, made to behave as the service does where the two differ.

moto leaves JSONata (`expressions`), the checks of a `definition`, the calls of a machine under its own role
(`interpreter`) and parts of an execution's description (`executions`) to others. What an execution did is read from its
history by `benchwright.report.history`.
"""

from typing import Any

from . import executions, interpreter


def install(aws: Any) -> None:
    """Into a LocalAws: machines call it with keys of their role, and its endpoint answers for executions."""

    def clients(service: str, role_arn: str, machine: str, execution: str) -> Any:
        return aws.client(service, role_arn, machine, execution, attempts=1)

    interpreter.prepare(clients)
    aws.server.serve("stepfunctions", executions.Executions(aws))
