"""What every test has: no AWS account, a network and mounts of its own where root can make them, no accounts of people,
and examples that are the same in every run.
"""

import contextlib
import gc
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

import rehearsal.aws  # noqa: F401 -- so that sessions share the models of services
from rehearsal import launcher

gc.disable()  # until all tests are collected
settings.register_profile("tests", deadline=None, derandomize=True, database=None)
settings.load_profile("tests")

PREPARED: Final = {
    "tests/database": (".tools/node_modules/postgresql-14",),
    "tests/deployment": (".aws-sam/build/template.yaml", ".tools/node_modules/@cloud-copilot/iam-simulate"),
    "tests/deployment/test_serve.py": (".venv-watch/bin/python",),
    "tests/faults": (".aws-sam/build/template.yaml",),
    "tests/judges": (".tools/node_modules/asl-validator",),
    "tests/judges/test_security_rules.py": (".tools/node_modules/cdk-nag",),
    "tests/judges/test_vip.py": (".venv-vip/bin/python",),
    "tests/policies": (".tools/node_modules/@cloud-copilot/iam-simulate",),
    "tests/workflow/test_expressions.py": (".tools/node_modules/jsonata",),
    "tests/templates/test_layers.py": (".aws-sam/build/template.yaml",),
    "tests/supply_chain/test_audit.py": (".venv-audit/bin/pip-audit", ".tools/bin/npm"),
}
"""What tests need beside `.venv`, by folder or file: what `make prepare` makes."""

ROOT: Final = Path(__file__).parents[1]


def missing(paths: Iterable[Path], root: Path = ROOT) -> str:
    """One sentence on what the tests in these files need and is not there; empty where nothing is missing."""
    lacking = {
        needed: place
        for place, all_needed in PREPARED.items()
        for needed in all_needed
        if not (root / needed).exists() and any(path.is_relative_to(root / place) for path in paths)
    }
    if not lacking:
        return ""
    needs = ", ".join(f"{place} needs {needed}" for needed, place in sorted(lacking.items()))
    return f"Run `make prepare` first, which needs the network once: {needs}."


class ByWhatIsShared(LoadFileScheduling):  # type: ignore[misc]
    """One process takes all tests of a file, and all files that go on with the same cluster. The longest of these takes
    as long as all others together, so it has a process, and a cluster, of its own.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(super()._split_scope(nodeid))
        goes_on = file.parent == Path("tests/deployment/cluster") and file.name != "test_behaviour.py"
        return str(file.parent if goes_on else file)


@pytest.hookimpl(optionalhook=True)  # of xdist, which a run may leave out
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return ByWhatIsShared(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)  # after -k and -m have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin no test where one that was chosen is bound to fail. A worker of xdist can only fail tests."""
    if not hasattr(config, "workerinput") and (sentence := missing({item.path for item in items})):
        raise pytest.UsageError(sentence)


def pytest_collection_finish() -> None:
    """What was imported stays: no collection of garbage needs to go through it."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if sentence := missing({item.path}):
        pytest.fail(sentence, pytrace=False)


def pytest_configure() -> None:
    """Move the whole test run into network and mount namespaces: bridges and mounts of nodes end with it."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError, subprocess.SubprocessError):  # a test that needs them says so itself
            launcher.own_network_and_mounts()
            _leave_only_accounts_of_the_system()


def _leave_only_accounts_of_the_system() -> None:
    """Show every process of the test run an /etc/passwd such as a bare server or a container has.

    Debian gives 0 to 99 and 65534 to the same accounts everywhere: Debian Policy Manual, 9.2.2 UID and GID classes.
    """
    lines = Path("/etc/passwd").read_text().splitlines(keepends=True)
    kept = [line for line in lines if (number := int(line.split(":")[2])) < 100 or number == 65534]
    with tempfile.NamedTemporaryFile("w") as file:
        file.writelines(kept)
        file.flush()
        Path(file.name).chmod(0o644)
        subprocess.run(["mount", "--bind", file.name, "/etc/passwd"], check=True, capture_output=True, timeout=10)


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's AWS settings are out of reach; a client without a local endpoint finds no account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
