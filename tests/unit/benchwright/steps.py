"""The steps as Lambda calls them, of a cluster whose record the test gives."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3

from tests.unit.benchwright.verification.test_checks import a_plan

ROOT = Path(__file__).parents[3]
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:wb-deploy:one"
OTHER = "arn:aws:states:eu-west-1:123456789012:execution:wb-deploy:two"
COMMAND = "4d1ff1ac-4f2a-4c09-bd8b-6c1b5a6b1c2d"
CONTEXT = SimpleNamespace(
    function_name="step", memory_limit_in_mb=512, invoked_function_arn="arn:aws:lambda:step", aws_request_id="1"
)

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(ROOT / "layers" / "benchwright"),
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "APPLICATION": "wb",
    "POWERTOOLS_METRICS_NAMESPACE": "Benchwright",
}
HANDLE = """
import json, sys, types
from app import handler
context = types.SimpleNamespace(
    function_name="f", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="1", log_stream_name="s"
)
answers = [handler(event, context) for event in json.load(sys.stdin)]
print("\\n" + json.dumps(answers))
"""
"""A script: events in standard input, a list; the answers are the last line."""


def app(function: str) -> ModuleType:
    """The module of a function."""
    return importlib.import_module(f"functions.{function}.app")


def handle(function: str, **event: Any) -> dict[str, Any]:
    """What a step answers to the execution EXECUTION of the cluster blue."""
    reported = {"cluster": "blue", "execution": EXECUTION, **event}
    answer: dict[str, Any] = app(function).handler(reported, CONTEXT)
    return answer


def written_by(script: str, function: str, standard_input: object = None) -> list[str]:
    """The lines that a script writes in the folder of a function, in a process of its own as Lambda starts it."""
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "functions" / function,
        env=ENVIRONMENT | {"POWERTOOLS_SERVICE_NAME": function},
        input=json.dumps(standard_input),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout.splitlines()


def make_table() -> Any:
    """The table of clusters, on moto's DynamoDB."""
    return boto3.resource("dynamodb").create_table(
        TableName="clusters",
        KeySchema=[{"AttributeName": "cluster", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "cluster", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def record(holder: str = EXECUTION, verified_images: Sequence[str] | None = None, **wanted: Any) -> dict[str, Any]:
    """What DynamoDB answers of the cluster blue, planned by this input; without images as of an earlier release."""
    item = {"cluster": {"S": "blue"}, "plan": {"S": a_plan({"cluster": "blue", **wanted}).model_dump_json()}}
    if verified_images is not None:
        item["verified_images"] = {"S": json.dumps(verified_images)}
    return {"Item": item | {"holder": {"S": holder}}}
