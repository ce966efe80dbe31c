"""The application is built when something to build has changed, and only then."""

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from rehearsal import application
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from tests.waiting import PATIENCE


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """An application of two files; each `sam` that is run appends its arguments, and builds into an empty folder."""
    ran: list[Any] = []

    def sam(arguments: list[str], *_: Any) -> None:
        ran.append(arguments)
        built = tmp_path / ".aws-sam/build"
        for file in built.glob("*"):
            file.unlink()
        built.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(application, "_sam", sam)
    (tmp_path / "functions/step").mkdir(parents=True)
    (tmp_path / "functions/step/app.py").write_text("one = 1\n")
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    application.build(tmp_path)
    return ran


def test_what_is_built_is_not_built_again(builds: list[Any], tmp_path: Path) -> None:
    (tmp_path / "functions/step/__pycache__").mkdir()
    (tmp_path / "functions/step/__pycache__/app.pyc").touch()
    application.build(tmp_path)
    assert builds == [["build"]]


def test_every_change_is_built(builds: list[Any], tmp_path: Path) -> None:
    step = tmp_path / "functions/step/app.py"
    for change in (
        lambda: step.write_text("one = 2\n"),
        lambda: step.rename(step.with_name("application.py")),
        lambda: (tmp_path / "template.yaml").write_text("Resources: {A: {}}\n"),
        lambda: step.with_name("application.py").chmod(0o755),
        (tmp_path / ".aws-sam/build/rehearsal.sha256").unlink,  # as another `sam build` does
    ):
        change()
        application.build(tmp_path)
        application.build(tmp_path)
    assert len(builds) == 1 + 5


def test_a_build_that_failed_is_tried_again(builds: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        builds.append("failed")
        raise application.CommandFailedError

    with monkeypatch.context() as broken:
        broken.setattr(application, "_sam", fail)
        (tmp_path / "template.yaml").write_text("Resources: []\n")
        with pytest.raises(application.CommandFailedError):
            application.build(tmp_path)
    application.build(tmp_path)
    assert builds == [["build"], "failed", ["build"]]


def test_what_failed_is_named_however_much_was_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of the rollback fill the first page alone."""
    aws = LocalAws(clock=Clock(math.inf), directory=tmp_path, modules=("rehearsal.aws.services.cloudformation",))
    aws.start()
    try:
        groups = {f"G{index}": {"Type": "AWS::Logs::LogGroup"} for index in range(60)}
        topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "not a name"}, "DependsOn": [*groups]}
        template = json.dumps({"Resources": groups | {"Topic": topic}})

        def sam(*_: Any) -> None:
            stacks = aws.client("cloudformation")
            stacks.create_stack(StackName="application", TemplateBody=template)
            often = {"Delay": 0.1, "MaxAttempts": 10 * PATIENCE}
            with contextlib.suppress(WaiterError):
                stacks.get_waiter("stack_create_complete").wait(StackName="application", WaiterConfig=often)
            raise application.CommandFailedError("the tables of sam")

        monkeypatch.setattr(application, "_sam", sam)
        with pytest.raises(application.CommandFailedError, match=r"(?s)the tables of sam.*Topic: .*name"):
            application.deploy(aws.client, {}, {}, "application")
    finally:
        aws.stop()
