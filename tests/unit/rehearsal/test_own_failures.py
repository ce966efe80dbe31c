"""What fails of the rehearsal itself is separated from what fails in the account: its cause, its log and its code."""

import argparse
import contextlib
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from rehearsal import run
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.postgres import PostgresNotStarted
from rehearsal.aws.services import work
from rehearsal.aws.services.cloudformation.reasons import reason_of
from rehearsal.faults import Faults
from rehearsal.hosts.base_image import launcher
from rehearsal.hosts.standins import crashes
from rehearsal.initial_account import InitialAccount
from rehearsal.launcher import listening
from rehearsal.own_failures import EXIT_OWN_FAILURE, Failures
from tests.waiting import until
from watch.progress import Progress


@pytest.fixture
def failures(tmp_path: Path) -> Iterator[Failures]:
    kept = Failures()
    yield kept
    kept.write(tmp_path / "logs")


def test_a_rehearsal_that_cannot_start_ends_with_its_own_code_cause_and_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PostgresNotStarted("initdb failed: no room")

    monkeypatch.setattr(run, "local_aws", fail)
    wanted = argparse.Namespace(report=tmp_path, slow=False, speed=120.0, faults=Faults([]), account=InitialAccount())
    text = io.StringIO()
    with contextlib.closing(listening("127.0.0.1")) as listener:
        code = run.Rehearsal(wanted, tmp_path, Progress(Console(file=text, width=200)), listener).run()
    cause = "the rehearsal could not go on: PostgresNotStarted: initdb failed: no room"
    assert code == EXIT_OWN_FAILURE
    assert text.getvalue().splitlines()[-3:] == [
        f"  the rehearsal itself failed: {cause}",
        f"  its log: {tmp_path / 'logs/rehearsal.log'}",
        f"  report: {tmp_path / 'report.html'}",
    ]
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["succeeded"], report["itself"], report["checks"]) == (False, [cause], [])
    assert "<h2>The rehearsal itself failed</h2>" in (tmp_path / "report.html").read_text()
    assert "Traceback" in (tmp_path / "logs/rehearsal.log").read_text()


def test_a_call_without_an_answer_is_the_rehearsals_failure(tmp_path: Path, failures: Failures) -> None:
    """One of an operation of ours that raises, one that moto does not implement; a refusal of AWS's is none."""
    aws = LocalAws(Clock(120), tmp_path / "aws", modules=())
    aws.start()
    try:

        def create(_call: object) -> None:
            raise PostgresNotStarted("no answer within 30 s")

        aws.server.add("sqs", "CreateQueue", create)

        for service, operation, parameters in (
            ("sqs", "create_queue", {"QueueName": "q"}),
            ("sns", "get_data_protection_policy", {"ResourceArn": "arn:aws:sns:us-east-1:123456789012:topic"}),
            ("s3", "head_bucket", {"Bucket": "there-is-no-such-bucket"}),
        ):
            with pytest.raises(ClientError):
                getattr(aws.client(service, attempts=1), operation)(**parameters)
    finally:
        aws.stop()
    assert [cause.partition(":")[0] for cause in failures.causes] == ["sqs", "moto failed in sns"]
    assert failures.causes[0] == "sqs:CreateQueue failed: PostgresNotStarted: no answer within 30 s"


def test_work_in_the_background_and_resources_that_fail_unexpectedly_are_its_own(failures: Failures) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake")

    work.start(Clock(120), fail)
    until(lambda: failures.causes, "the failure of the work to be noted")
    assert reason_of(KeyError("Name")) == "The rehearsal itself failed: KeyError: 'Name'"
    logging.getLogger("rehearsal.aws.services.ec2").warning("user data ended with 1")
    assert sorted(failures.causes) == [
        "a resource failed: KeyError: 'Name'",
        "work in the background of the local AWS failed: RuntimeError: a mistake",
    ]


def test_a_stand_in_that_crashes_is_its_own_failure_unless_a_real_program_would_fail(
    tmp_path: Path, failures: Failures
) -> None:
    folder, left = tmp_path / "standins", tmp_path / "crashes"
    folder.mkdir()
    left.mkdir()
    source = Path(crashes.__file__).read_text().replace(str(crashes.CRASHES), str(left))
    (folder / "crashes.py").write_text(source)
    (folder / "__init__.py").touch()
    ends = {}
    for name, error in (("rskey", "KeyError('port')"), ("snap", "OSError(28, 'No space left on device')")):
        (folder / f"{name}.py").write_text(f"def main(argv):\n    raise {error}\n")
        program = launcher(name).replace("/opt/rehearsal", str(tmp_path))
        ends[name] = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode
    failures.read_crashes(left)
    failures.read_crashes(left)
    assert ends == {"rskey": 1, "snap": 1}
    assert failures.causes == ["the stand-in rskey on a node crashed: KeyError: 'port'"]
