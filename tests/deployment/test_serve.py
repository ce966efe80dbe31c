"""`make serve` as its users have it: commands typed into other shells, with nothing but build/serve.env.

The AWS CLI is the public one; its exit codes and its output are what is judged. Runs `python -m rehearsal.serve`
three times: the first instance is killed, in the second one a cluster is deployed and looked at, the last one is ended
from inside while it starts.
"""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import boto3
import psycopg2
import pytest
from pyroute2 import IPRoute

from rehearsal import local_invoke
from rehearsal.application import ROOT
from rehearsal.aws import recorder
from rehearsal.containers import BRIDGE
from rehearsal.views import invitation
from tests.waiting import PATIENCE, until

ENVIRONMENT: Final = ROOT / "build/serve.env"
LOCK: Final = ROOT / "build/serve.lock"
KEPT: Final = ROOT / "build/serve"
MOUNTS: Final = Path("/proc/self/mounts")
SHELL: Final = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", "AWS_PAGER": ""}
"""A fresh shell of a person without an AWS account."""

READY_SECONDS: Final = 240
STOP_SECONDS: Final = 120
DEPLOY_SECONDS: Final = 800
MACHINE: Final = "--state-machine-arn $DEPLOY_STATE_MACHINE_ARN"
LIST_NODES: Final = "--document-name AWS-RunShellScript --parameters commands='rstudio-server list-nodes'"
NO_EXECUTION: Final = "arn:aws:states:us-east-1:123456789012:execution:benchwright-deploy:none"
CONNECT: Final = "import psycopg2; psycopg2.connect('connect_timeout=10 user=rstudio dbname=rstudio')"
"""What psql does: everything else comes from the environment."""

pytestmark = pytest.mark.root


class Served:
    """An instance of `make serve`, and the shells that were opened beside it."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.output = directory / "output"
        with self.output.open("w") as output:
            self.process = start(*options, stdout=output)
        until(lambda: self.ready or self.process.poll() is not None, "the local AWS", seconds=READY_SECONDS)
        assert self.process.poll() is None, self.output.read_text()

    @property
    def ready(self) -> bool:
        """A file that a killed predecessor has left is cleared away before the lock names its successor."""
        return LOCK.exists() and LOCK.read_text() == str(self.process.pid) and ENVIRONMENT.exists()

    def type(self, command: str, seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Type a line into a fresh shell of another folder, which knows neither sam nor aws."""
        line = f"source {shlex.quote(str(ENVIRONMENT))}; {command}"
        return subprocess.run(
            ["bash", "-c", line], cwd="/", env=SHELL, capture_output=True, text=True, timeout=seconds, check=False
        )

    def aws(self, command: str) -> Any:
        """What the AWS CLI answers, as JSON; it must succeed."""
        done = self.type(f"aws {command} --output json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    @property
    def states(self) -> Any:
        """boto3's client of Step Functions: the CLI takes more of a processor than what it asks about."""
        settings = self.variables()
        return boto3.client(
            "stepfunctions",
            endpoint_url=settings["AWS_ENDPOINT_URL"],
            region_name=settings["AWS_DEFAULT_REGION"],
            aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        )

    def end(self, execution: str) -> dict[str, Any]:
        """The description of an execution when it has ended."""
        states = self.states
        until(
            lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING",
            execution,
            seconds=DEPLOY_SECONDS,
            pause=0.2,
        )
        described: dict[str, Any] = self.aws(f"stepfunctions describe-execution --execution-arn {execution}")
        return described

    def variables(self) -> dict[str, str]:
        return dict(re.findall(r"^export (\w+)=(.*)$", ENVIRONMENT.read_text(), re.MULTILINE))

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(STOP_SECONDS)


def start(*options: str, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE"))}
    command = [sys.executable, "-m", "rehearsal.serve", *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=stdout, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False


class Process(NamedTuple):
    """A process and the moment of its start, in ticks: another may have its number afterwards."""

    number: int
    start: str

    @property
    def lives(self) -> bool:
        return started(self.number) == self.start


def started(process: int) -> str:
    """When a process was started; empty when there is none of this number, or it has ended (proc_pid_stat(5))."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state in "ZX" else fields[18]


def descendants(process: int) -> set[Process]:
    """All that a process has started and that lives: namespaces live as long as they do."""
    found: set[Process] = set()
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            for child in map(int, children.read_text().split()):
                if moment := started(child):
                    found |= {Process(child, moment), *descendants(child)}
    return found


def have_ended(processes: set[Process]) -> bool:
    return not any(process.lives for process in processes)


@pytest.fixture(scope="module")
def mounts() -> str:
    """The mounts of this test run before anything is served."""
    return MOUNTS.read_text()


@pytest.fixture(scope="module")
def killed(mounts: str, tmp_path_factory: pytest.TempPathFactory) -> set[Process]:
    """All that an instance had started which was killed while a deployment ran."""
    with contextlib.closing(Served(tmp_path_factory.mktemp("killed"))) as instance:
        instance.aws(f"stepfunctions start-execution {MACHINE}")
        until(lambda: len(descendants(instance.process.pid)) > 5, "functions that run", seconds=DEPLOY_SECONDS)
        begun = descendants(instance.process.pid)
    assert ENVIRONMENT.exists()
    return begun


@pytest.fixture(scope="module")
def served(killed: set[Process], docker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The next instance, on a machine that has Docker."""
    with contextlib.closing(Served(tmp_path_factory.mktemp("serve"))) as instance:
        yield instance


@pytest.fixture(scope="module")
def docker() -> Iterator[str]:
    """A bridge as Docker makes one, in the network of this test run; its address."""
    address = "172.17.0.1"
    with IPRoute() as netlink:
        netlink.link("add", ifname=BRIDGE, kind="bridge")
        (bridge,) = netlink.link_lookup(ifname=BRIDGE)
        netlink.addr("add", index=bridge, address=address, prefixlen=16)
        netlink.link("set", index=bridge, state="up")
        yield address
        netlink.link("del", index=bridge)


@pytest.fixture(scope="module")
def deployed(served: Served) -> dict[str, Any]:
    """A deployment that the AWS CLI started, without an input, and that was watched from another shell."""
    refused = served.type(f'{sys.executable} -c "{CONNECT}"')
    assert "FATAL:  no cluster has a database yet: start an execution" in refused.stderr
    execution = served.aws(f"stepfunctions start-execution {MACHINE}")["executionArn"]
    watched = served.type(f"cd {shlex.quote(str(ROOT))}; {sys.executable} -m watch", DEPLOY_SECONDS)
    return {**served.end(execution), "watched": watched}


def test_after_a_kill_nothing_is_left_and_the_next_start_works(
    killed: set[Process], served: Served, docker: str
) -> None:
    until(lambda: have_ended(killed), "the end of all that the killed one had started")
    listed = served.aws("stepfunctions list-executions --state-machine-arn $VERIFY_STATE_MACHINE_ARN")
    assert listed == {"executions": []}
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        port = local_invoke.database_port()
        psycopg2.connect(host=docker, port=port, user="rstudio", dbname="postgres", password="wrong")
    containers = served.variables()["AWS_ENDPOINT_URL"].replace("localhost", docker)
    stacks = served.aws(f"--endpoint-url {containers} cloudformation list-stacks")["StackSummaries"]
    assert {"benchwright-local-foundation", "benchwright-local-nodes"} <= {stack["StackName"] for stack in stacks}


def test_a_deployment_started_by_the_cli_succeeds(served: Served, deployed: dict[str, Any]) -> None:
    assert (deployed["status"], deployed["input"]) == ("SUCCEEDED", "{}")
    assert len(json.loads(deployed["output"])["nodes"]) == 2
    listed = served.aws(f"stepfunctions list-executions {MACHINE}")["executions"]
    # The events of events/ name another one, whose report a function can write.
    ended = [(each["executionArn"], each["status"]) for each in listed if each["name"] != "sam-local-invoke"]
    assert ended == [(deployed["executionArn"], "SUCCEEDED")]
    history = served.aws(
        f"stepfunctions get-execution-history --reverse-order --max-items 1 --execution-arn {deployed['executionArn']}"
    )
    assert [event["type"] for event in history["events"]] == ["ExecutionSucceeded"]


def test_who_watches_it_sees_each_step_and_how_to_connect(deployed: dict[str, Any]) -> None:
    watched = deployed["watched"]
    first, *lines = watched.stdout.splitlines()
    assert (watched.returncode, watched.stderr, first) == (0, "", "benchwright-deploy {}")
    steps = [line.split("  ")[-1] for line in lines if re.fullmatch(r" +\d+:\d\d(:\d\d)?  [^:]*", line)]
    assert steps[0] == "Validate input"
    assert {"Build image", "Deploy foundation", "Create database", "Deploy nodes", "Configure nodes"} <= set(steps)
    assert any("Build image: waits for " in line for line in lines)
    assert any(re.fullmatch(r"  SUCCEEDED after \d+:\d\d", line) for line in lines)
    assert json.loads(deployed["output"])["connection"]["port_forwarding"] in watched.stdout


def test_of_another_execution_it_shows_the_failure_and_how_long_the_last_ones_took(
    served: Served, deployed: dict[str, Any]
) -> None:
    refused = served.aws(f'stepfunctions start-execution {MACHINE} --input \'{{"nodes": {{"count": 0}}}}\'')
    watched = served.type(f"make --silent -C {shlex.quote(str(ROOT))} watch EXECUTION={refused['executionArn']}")
    assert watched.returncode != 0
    assert 'benchwright-deploy {"nodes": {"count": 0}}  the last one of this cluster took ' in watched.stdout
    assert "  FAILED InvalidInput after 0:" in watched.stdout
    assert "nodes.count: 0 is refused" in watched.stdout


def test_stacks_events_images_and_secrets_are_listed(served: Served, deployed: dict[str, Any]) -> None:
    stacks = served.aws("cloudformation describe-stacks --query 'Stacks[].[StackName,StackStatus]'")
    assert {name: status for name, status in stacks if name.startswith("benchwright-workbench-")} == {
        "benchwright-workbench-foundation": "UPDATE_COMPLETE",
        "benchwright-workbench-nodes": "CREATE_COMPLETE",
    }
    events = served.aws("cloudformation describe-stack-events --stack-name benchwright-workbench-nodes")["StackEvents"]
    assert (events[0]["ResourceType"], events[0]["ResourceStatus"]) == ("AWS::CloudFormation::Stack", "CREATE_COMPLETE")
    images = served.aws("imagebuilder list-images")["imageVersionList"]
    assert [image["name"] for image in images] == ["benchwright-image"]
    secrets = served.aws("secretsmanager list-secrets --query 'SecretList[].Name'")
    assert {"benchwright/workbench/database", "benchwright/workbench/secure-cookie-key"} <= set(secrets)


def test_logs_of_a_function_are_read(served: Served, deployed: dict[str, Any]) -> None:
    """With the call that `aws logs tail` is made of: the package on PyPI is version 1 of the CLI, which has no tail."""
    group = "/aws/lambda/benchwright-create-database"
    found = served.aws(f"logs filter-log-events --interleaved --log-group-name {group}")["events"]
    kinds = [event["message"].split(" ", 1)[0] for event in found if not event["message"].startswith("{")]
    assert kinds[0] == "START"
    assert kinds[-1].startswith("REPORT")


def test_commands_run_on_nodes(served: Served, deployed: dict[str, Any]) -> None:
    command = served.aws(
        f"ssm send-command {LIST_NODES} --targets Key=tag:benchwright:cluster,Values=workbench"
    )["Command"]["CommandId"]  # fmt: skip
    outputs: list[str] = []

    def answered() -> bool:
        listed = served.aws(f"ssm list-command-invocations --details --command-id {command}")["CommandInvocations"]
        outputs[:] = [plugin["Output"] for each in listed for plugin in each["CommandPlugins"]]
        return {each["Status"] for each in listed} == {"Success"}

    until(answered, "the command", seconds=DEPLOY_SECONDS)
    assert [output.count("Online") for output in outputs] == [2, 2]


def test_the_way_in_that_the_output_shows_is_a_document_of_the_application(
    served: Served, deployed: dict[str, Any]
) -> None:
    """Both answers are of a document that exists: another name is InvalidDocument."""
    reported = json.loads(deployed["output"])["connection"]["port_forwarding"]
    assert "An error occurred (TargetNotConnected) when calling the StartSession " in served.type(reported).stderr
    wider = served.type(f"{reported},portNumber=20049").stderr
    assert "An error occurred (InvalidParameters) when calling the StartSession " in wider


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("ssm start-session --target i-0123456789abcdef0", "TargetNotConnected"),
        (f"stepfunctions start-execution {MACHINE} --input nonsense", "InvalidExecutionInput"),
        (f"stepfunctions describe-execution --execution-arn {NO_EXECUTION}", "ExecutionDoesNotExist"),
        ("lambda invoke --function-name absent /dev/null", "ResourceNotFoundException"),
        ("cloudformation describe-stacks --stack-name nothing", "ValidationError"),
    ],
)
def test_mistakes_are_answered_as_aws_answers_them(served: Served, command: str, error: str) -> None:
    refused = served.type(f"aws {command}")
    assert f"An error occurred ({error}) when calling the " in refused.stderr


def test_the_database_answers_over_tls(served: Served, deployed: dict[str, Any]) -> None:
    secret = json.loads(
        served.aws("secretsmanager get-secret-value --secret-id benchwright/workbench/database")["SecretString"]
    )
    ask = (
        "import psycopg2; cursor = psycopg2.connect('user=rstudio dbname=rstudio').cursor();"
        "cursor.execute('select ssl, (select count(*) from node) from pg_stat_ssl where pid = pg_backend_pid()');"
        "print(*cursor.fetchone())"
    )
    done = served.type(f'PGPASSWORD={secret["password"]} {sys.executable} -c "{ask}"')
    assert (done.stdout, done.stderr) == ("True 2\n", "")
    plain = served.type(f'PGPASSWORD={secret["password"]} PGSSLMODE=disable {sys.executable} -c "{ask}"')
    assert "no encryption" in plain.stderr
    psql = served.type("; ".join(invitation.chapters("benchwright", "build/serve.env")["When there is a cluster"][-2:]))
    assert (psql.stdout.count("Online"), psql.stderr) == (2, "")


def test_an_execution_that_was_stopped_leaves_a_lock_that_the_next_one_takes(
    served: Served, deployed: dict[str, Any]
) -> None:
    begun = served.aws(f"stepfunctions start-execution {MACHINE} --input '{{}}'")["executionArn"]
    served.states.stop_execution(executionArn=begun, error="ByHand", cause="not now")  # before it can end
    stopped = served.end(begun)
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "ByHand", "not now")
    assert served.end(served.aws(f"stepfunctions start-execution {MACHINE}")["executionArn"])["status"] == "SUCCEEDED"


def test_a_second_instance_is_refused(served: Served) -> None:
    with start() as second:
        output, _ = second.communicate(timeout=READY_SECONDS)
    sentence = (
        f"`make serve` already runs here, as process {served.process.pid}: `kill {served.process.pid}` ends it.\n"
    )
    assert (second.returncode, output) == (2, sentence)
    assert ENVIRONMENT.exists()


def test_ctrl_c_ends_it_in_order(served: Served, deployed: dict[str, Any]) -> None:
    ports = [int(served.variables()["PGPORT"]), int(served.variables()["AWS_ENDPOINT_URL"].rpartition(":")[2])]
    begun = descendants(served.process.pid)
    assert all(map(answers, ports))
    assert len(begun) > 10
    reported = served.output.read_text()
    assert served.stop(signal.SIGINT) == 0
    assert served.output.read_text().removeprefix(reported) == "Stopped. Every call is in build/serve/calls.jsonl.\n"
    assert not any(map(answers, ports))
    until(lambda: have_ended(begun), "the end of all that it had started")
    assert not ENVIRONMENT.exists()
    callers = {call["caller"] for call in recorder.read(KEPT / "calls.jsonl")}
    assert {"cli", "DeployStack", "ConfigureNodes"} <= callers
    assert json.loads((KEPT / "policies.json").read_text())
    assert sorted(path.name for path in KEPT.iterdir()) == ["calls.jsonl", "policies.json", "serve.log"]


def test_an_instance_whose_first_process_is_ended_says_so_and_leaves_nothing(mounts: str, tmp_path: Path) -> None:
    """The file that its users source goes, too, whoever wrote it."""
    output = tmp_path / "output"
    with output.open("w") as written:
        process = start(stdout=written)
    try:
        until(lambda: "Installing the application" in output.read_text(), "the local AWS", seconds=READY_SECONDS)
        ENVIRONMENT.touch()
        (init,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(init), signal.SIGKILL)
        assert process.wait(STOP_SECONDS) == 128 + signal.SIGKILL
    finally:
        process.kill()
        process.wait(STOP_SECONDS)
    assert output.read_text().endswith("The local AWS was ended by SIGKILL.\n")
    assert not ENVIRONMENT.exists()
    assert MOUNTS.read_text() == mounts
