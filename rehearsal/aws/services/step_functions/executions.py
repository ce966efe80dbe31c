"""The API of executions, over what moto keeps of them."""

import datetime
import importlib
import json
from typing import Any

from rehearsal.aws.calls import Call


def backend(account: str, region: str) -> Any:
    return importlib.import_module("moto.stepfunctions.parser.models").stepfunctions_parser_backends[account][region]


def events_of(execution: Any) -> list[dict[str, Any]]:
    """The history of one of moto's executions, also while it runs, in the form of GetExecutionHistory."""
    environment = execution.exec_worker.env
    events = environment.event_manager.get_event_history() if environment is not None else []
    return [
        {
            **event,
            "type": str(getattr(event["type"], "value", event["type"])),
            "timestamp": datetime.datetime.fromisoformat(event["timestamp"]),
        }
        for event in events
    ]


class Executions:
    """The operations on executions; moto has those on state machines."""

    def __init__(self, aws: Any) -> None:
        self._aws = aws

    def start_execution(self, call: Call) -> dict[str, Any]:
        execution = self._backend(call).start_execution(call["stateMachineArn"], call.get("name"), call.get("input"))
        return {"executionArn": execution.execution_arn, "startDate": execution.start_date}

    def stop_execution(self, call: Call) -> dict[str, Any]:
        execution = self._backend(call).describe_execution(call["executionArn"])
        now = self._aws.clock.datetime()
        execution.stop(stop_date=now, error=call.get("error"), cause=call.get("cause"))
        return {"stopDate": now}

    def describe_execution(self, call: Call) -> dict[str, Any]:
        execution = self._backend(call).describe_execution(call["executionArn"])
        succeeded = execution.status == "SUCCEEDED"
        return {
            **_summary(execution),
            "input": execution.execution_input,
            "inputDetails": {"included": True},
            "output": json.dumps(execution.output, ensure_ascii=False) if succeeded else None,
            "error": execution.error,
            "cause": execution.cause,
            "redriveCount": 0,
            "redriveStatus": "NOT_REDRIVABLE",
        }

    def list_executions(self, call: Call) -> dict[str, Any]:
        machine = self._backend(call).describe_state_machine(call["stateMachineArn"])
        executions = sorted(machine.executions, key=lambda execution: execution.start_date, reverse=True)
        wanted = call.get("statusFilter")
        listed = [_summary(execution) for execution in executions if wanted in (None, execution.status)]
        return call.page("executions", listed, 100)

    def get_execution_history(self, call: Call) -> dict[str, Any]:
        events = events_of(self._backend(call).describe_execution(call["executionArn"]))
        return call.page("events", events[::-1] if call.get("reverseOrder") else events, 100)

    def _backend(self, call: Call) -> Any:
        return backend(self._aws.account, call.region)


def _summary(execution: Any) -> dict[str, Any]:
    """What a list of executions shows of each."""
    return {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.start_date,
        "stopDate": execution.stop_date,
    }
