"""`make serve` before it starts anything: one at a time, on a port that is free, for those who may."""

import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from rich.console import Console

from rehearsal import launcher, serve
from rehearsal.aws.postgres import PINNED
from rehearsal.hosts import identity_provider
from rehearsal.machine import EXIT_MISUSE
from rehearsal.views import invitation

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import os, pathlib, sys, time
from rehearsal import serve
serve.BUILD, serve.LOCK, serve.ENVIRONMENT = (pathlib.Path(name) for name in sys.argv[1:])
with serve.only_instance():
    serve.write_environment({"A": "1"}, pathlib.Path("/programs"))
    if os.fork() == 0:
        time.sleep(1.5)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, path in (("BUILD", ""), ("LOCK", "serve.lock"), ("ENVIRONMENT", "serve.env")):
        monkeypatch.setattr(serve, name, tmp_path / path)
    return tmp_path


@pytest.fixture
def holder(build: Path) -> subprocess.Popen[str]:
    """Another instance, with a process of its own that outlives it by a second and a half."""
    command = [sys.executable, "-c", HOLDER, str(build), str(serve.LOCK), str(serve.ENVIRONMENT)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_instance_is_refused_without_waiting_and_the_first_is_named(
    holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: pytest.fail("it waits for an instance that lives"))
    sentence = f"`make serve` already runs here, as process {holder.pid}: `kill {holder.pid}` ends it."
    with pytest.raises(serve.NotServedError) as refused, serve.only_instance():
        pass
    assert str(refused.value) == sentence
    assert serve.ENVIRONMENT.exists()
    holder.kill()
    holder.communicate()


def test_after_a_kill_the_next_waits_for_the_last_process_and_clears_away(holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert serve.ENVIRONMENT.exists()
    with serve.only_instance():
        assert serve.LOCK.read_text() == str(os.getpid())
        assert not serve.ENVIRONMENT.exists()
    holder.communicate()


def test_a_port_that_is_taken_is_refused_in_one_sentence() -> None:
    with launcher.listening("127.0.0.1") as other:
        taken = other.getsockname()[1]
        with pytest.raises(serve.NotServedError) as refused:
            serve.Sockets.open(taken)
    assert str(refused.value) == f"Port {taken} of 127.0.0.1 is in use by another program."


def test_what_a_shell_sources_is_what_was_written(build: Path) -> None:
    values = {"PGSSLROOTCERT": "/a folder/ca.pem", "AWS_ENDPOINT_URL": "http://localhost:1", "QUOTE": "it's $HOME"}
    serve.write_environment(values, Path("/their tools/bin"), Path("/their programs/bin"))
    shown = f"source {shlex.quote(str(serve.ENVIRONMENT))}; exec env -0"
    own = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", shown], env=own, capture_output=True, text=True, timeout=60, check=True)
    variables = dict(line.partition("=")[::2] for line in done.stdout.strip("\0").split("\0"))
    wanted = values | {"PATH": "/usr/bin:/bin:/their tools/bin:/their programs/bin"}
    assert {name: variables.get(name) for name in wanted} == wanted
    assert [path.name for path in build.iterdir()] == ["serve.env"]


@pytest.mark.parametrize("wanted", ["--port 0", "--port 65536", "--port x", "--speed 0", "--parameters nowhere.json"])
def test_misuse_is_refused(wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        serve.options(wanted.split())
    assert ended.value.code == EXIT_MISUSE
    assert f"error: argument {wanted.split(maxsplit=1)[0]}: " in capsys.readouterr().err


def test_without_root_one_sentence_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    assert serve.main([]) == EXIT_MISUSE
    for number, handler in zip((signal.SIGTERM, signal.SIGHUP), handlers, strict=True):
        signal.signal(number, handler)
    reported = capsys.readouterr().err
    assert (reported.count("\n"), "sudo make serve" in reported) == (1, True)


def test_what_to_type_begins_with_the_environment_and_an_execution() -> None:
    (*first, _watch), *_ = invitation.chapters("benchwright", "build/serve.env").values()
    assert first == [
        "source build/serve.env",
        "aws stepfunctions start-execution --state-machine-arn $DEPLOY_STATE_MACHINE_ARN",
    ]


def test_the_password_and_psql_come_from_what_every_machine_has() -> None:
    """A shell with nothing but build/serve.env, where `aws` answers with the secret as Secrets Manager keeps it."""
    export, ask = invitation.chapters("benchwright", "build/serve.env")["When there is a cluster"][-2:]
    aws = """aws() { printf '%s\\n' '{"username": "rstudio", "password": "a \\"b\\" $HOME"}'; }"""
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin:{PINNED}"}
    typed = f"{aws}; {export}; printf '%s' \"$PGPASSWORD\"; {ask.partition(' ')[0]} --version"
    done = subprocess.run(["bash", "-ec", typed], env=path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith('a "b" $HOMEpsql (PostgreSQL) ')


def test_each_command_of_aws_is_one_of_the_cli_that_is_there() -> None:
    """The package on PyPI is version 1, which lacks what botocore's models lack, such as `logs tail`."""
    typed = itertools.chain(*invitation.chapters("benchwright", "build/serve.env").values())
    asked = re.findall(r"aws (\S+) (\S+)", "\n".join(typed))
    session = botocore.session.get_session()
    known = {name: session.get_service_model(name).operation_names for name, _ in asked}
    spelled = {name: {xform_name(each, "-") for each in operations} for name, operations in known.items()}
    assert [(name, operation) for name, operation in asked if operation not in spelled[name]] == []
    assert len(asked) >= 6


@pytest.mark.parametrize("port", [443, 40_443])
def test_a_person_reads_where_workbench_is_and_who_signs_in(port: int) -> None:
    console = Console(record=True, width=40)
    places = {"workbench.example.com": ("127.0.0.1", port), "idp.example.com": ("127.0.0.2", 443)}
    invitation.show_address(console, places, Path("build/serve/rds-ca.pem"), identity_provider.ADMITTED)
    rules = f"MAP workbench.example.com 127.0.0.1:{port}, MAP idp.example.com 127.0.0.2:443"
    assert console.export_text().splitlines() == [
        "",
        "Workbench will be at https://workbench.example.com/ when the execution has ended.",
        "  Open it in a browser of this machine:",
        f"    chromium --host-resolver-rules='{rules}' https://workbench.example.com/",
        "  The browser warns of the certificate: it does not know the authority build/serve/rds-ca.pem. Continue.",
        "  With auth.method oidc, choose ann, bob or jane.doe on the page of idp.example.com: no password.",
        "  Without auth, sign in with a name of `users` and the password in its secret.",
        *(["  https://localhost/ leads there, too, but for passwords alone."] if port == 443 else []),
        "",
    ]
