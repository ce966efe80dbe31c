"""The application is built when something to build has changed, and only then."""

from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import application


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
