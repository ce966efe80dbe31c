"""The steps as Lambda calls them, of a cluster whose record the test gives."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.unit.benchwright.test_verification import a_plan

ROOT = Path(__file__).parents[3]
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:wb-deploy:one"
OTHER = "arn:aws:states:eu-west-1:123456789012:execution:wb-deploy:two"
CONTEXT = SimpleNamespace(
    function_name="step", memory_limit_in_mb=512, invoked_function_arn="arn:aws:lambda:step", aws_request_id="1"
)


@cache
def app(function: str) -> ModuleType:
    """The module of a function."""
    name = f"{function}_app"
    specification = importlib.util.spec_from_file_location(name, ROOT / "functions" / function / "app.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # where pydantic looks for what annotations name
    specification.loader.exec_module(module)
    return module


def handle(function: str, **event: Any) -> dict[str, Any]:
    """What a step answers to the execution EXECUTION of the cluster blue."""
    told = {"cluster": "blue", "execution": EXECUTION, **event}
    answer: dict[str, Any] = app(function).handler(told, CONTEXT)
    return answer


def record(holder: str = EXECUTION, **wanted: Any) -> dict[str, Any]:
    """What DynamoDB answers of the cluster blue, planned by this input."""
    item = {"cluster": {"S": "blue"}, "plan": {"S": a_plan({"cluster": "blue", **wanted}).model_dump_json()}}
    return {"Item": item | {"holder": {"S": holder}}}
