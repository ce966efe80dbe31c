"""The API of executions, over what moto keeps of them."""

import datetime
import importlib
import json
from collections.abc import Mapping
from typing import Any

from rehearsal.aws.calls import Call


def backend(account: str, region: str) -> Any:
    return importlib.import_module("moto.stepfunctions.parser.models").stepfunctions_parser_backends[account][region]


def create(name: str, definition: Mapping[str, Any], role_arn: str, account: str, region: str) -> str:
    """A state machine; returns its ARN. Raises InvalidDefinition as AWS does."""
    return backend(account, region).create_state_machine(name, json.dumps(definition), role_arn).arn


def start(arn: str, payload: Any, name: str | None = None) -> Any:
    """Starts an execution of the machine and returns moto's object of it."""
    _, _, _, region, account, _, _ = arn.split(":")
    return backend(account, region).start_execution(arn, name, json.dumps(payload))


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


def _start_execution(aws: Any, call: Call) -> dict[str, Any]:
    execution = backend(aws.account, call.region).start_execution(
        call["stateMachineArn"], call.get("name"), call.get("input")
    )
    return {"executionArn": execution.execution_arn, "startDate": execution.start_date}


def _stop_execution(aws: Any, call: Call) -> dict[str, Any]:
    execution = backend(aws.account, call.region).describe_execution(call["executionArn"])
    now = aws.clock.datetime()
    execution.stop(stop_date=now, error=call.get("error"), cause=call.get("cause"))
    return {"stopDate": now}


def _describe_execution(aws: Any, call: Call) -> dict[str, Any]:
    execution = backend(aws.account, call.region).describe_execution(call["executionArn"])
    return _without_none(
        executionArn=execution.exec_arn,
        stateMachineArn=execution.state_machine_arn,
        name=execution.name,
        status=execution.status,
        startDate=execution.start_date,
        stopDate=execution.stop_date,
        input=execution.execution_input,
        inputDetails={"included": True},
        output=json.dumps(execution.output, ensure_ascii=False) if execution.status == "SUCCEEDED" else None,
        error=execution.error,
        cause=execution.cause,
        redriveCount=0,
        redriveStatus="NOT_REDRIVABLE",
    )


def _list_executions(aws: Any, call: Call) -> dict[str, Any]:
    machine = backend(aws.account, call.region).describe_state_machine(call["stateMachineArn"])
    executions = sorted(machine.executions, key=lambda execution: execution.start_date, reverse=True)
    listed = [
        _without_none(
            executionArn=execution.exec_arn,
            stateMachineArn=machine.arn,
            name=execution.name,
            status=execution.status,
            startDate=execution.start_date,
            stopDate=execution.stop_date,
        )
        for execution in executions
        if call.get("statusFilter") in {None, execution.status}
    ]
    page, token = _page(listed, call)
    return _without_none(executions=page, nextToken=token)


def _get_execution_history(aws: Any, call: Call) -> dict[str, Any]:
    events = events_of(backend(aws.account, call.region).describe_execution(call["executionArn"]))
    page, token = _page(events[::-1] if call.get("reverseOrder") else events, call)
    return _without_none(events=page, nextToken=token)


def _page(items: list[Any], call: Call) -> tuple[list[Any], str | None]:
    first = int(call.get("nextToken") or 0)
    size = call.get("maxResults") or 100
    following = first + size
    return items[first:following], str(following) if following < len(items) else None


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
