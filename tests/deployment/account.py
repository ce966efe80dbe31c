"""An AWS account on this machine with the application installed, for tests that look at it while executions run.

The parts are those of `python -m rehearsal`, in this process instead of namespaces of their own.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from unittest import mock

import psycopg2
from psycopg2.errors import UndefinedTable

from benchwright.report import history
from rehearsal import application, launcher, run
from rehearsal.application import Application
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services import alarms
from rehearsal.aws.services.alarms import Metric
from rehearsal.aws.services.schedules import Schedules
from rehearsal.aws.services.service_metrics import ServiceMetrics
from rehearsal.faults import Faults
from rehearsal.hosts.standins.workbench.cluster import STALE_SECONDS
from rehearsal.initial_account import InitialAccount
from rehearsal.views.report import Execution
from tests import previews, shared_images, waiting
from tests.deployment.metrics import METRIC, arrived, report_answers
from tests.namespaces import visit_network_and_mounts

CLUSTER: Final = "workbench"
PATIENCE: Final = 600
"""Wall seconds that an execution, or what a test waits for, may take."""

READING: Final = ("Get", "Describe", "List", "Head", "Scan", "Query", "BatchGet")
"""How the names of calls begin that change nothing."""

OF_DRY_RUN: Final = {
    *(f"cloudformation:{name}" for name in ("CreateChangeSet", "DeleteChangeSet", "DeleteStack")),
    "s3:PutObject",
}
"""What a dry run calls that changes something: change sets, the stack of one that does not exist, and its report."""

NODE_TABLE: Final = """
    select ipv4, case when last_seen < now() - %s * interval '1 second' then 'Offline' else status end
    from node order by ipv4
"""
"""As list-nodes prints it: a node that is not heard of is Offline."""


@dataclass(frozen=True)
class Row:
    """A row of Workbench's node table, and the image of the instance that has, or last had, its address."""

    ipv4: str
    status: str
    image: str


class NodeTable:
    """Workbench's node table, over one connection as long as that lasts."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._connection: Any = None

    def rows(self) -> list[Row]:
        """Return it as it is now; empty while there is none."""
        images = {machine.address: machine.image_id for machine in list(self._aws.machines.by_id.values())}
        (server,) = self._aws.postgres.values()
        for _ in range(4):  # where the connection of before was lost, or a busy machine took too long, over a new one
            with contextlib.suppress(psycopg2.OperationalError, psycopg2.InterfaceError, UndefinedTable):
                self._connection = self._connection or server.administer("rstudio")
                with self._connection.cursor() as cursor:
                    cursor.execute(NODE_TABLE, (STALE_SECONDS,))
                    return [Row(ipv4, status, images.get(ipv4, "")) for ipv4, status in cursor]
            self.close()
        return []

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


class Account:
    """One account in one region; what happens in it is asked of it, not of a report."""

    def __init__(self, aws: LocalAws, installed: Application) -> None:
        self.aws = aws
        self.application = installed
        self.service_metrics = ServiceMetrics(aws)

    @property
    def nodes(self) -> dict[str, Any]:
        """The running instances of the cluster by id; each has a `host`."""
        return {
            machine.id: machine
            for machine in list(self.aws.machines.by_id.values())
            if machine.host and machine.all_tags.get("benchwright:cluster") == CLUSTER
        }

    def put_secret(self, name: str, value: str) -> None:
        run.put_secret(self.aws, name, value)

    def install(self, release: Path = application.ROOT) -> None:
        """What a person does to upgrade: `sam deploy` of a release that is built."""
        environment = self.aws.environment("sam")
        self.application = application.deploy(self.aws.client, environment, {}, release=release)

    def start(self, kind: str, content: Any) -> str:
        """Begin an execution of the machine `deploy` or `verify`."""
        states = self.aws.client("stepfunctions")
        arn = self.application.machine(kind)
        return str(states.start_execution(stateMachineArn=arn, input=json.dumps(content))["executionArn"])

    def start_schedule(self, name: str) -> str:
        """Do what EventBridge Scheduler does when the time has come."""
        return Schedules(self.aws.client, self.application.name).named(name).start(self.aws.client)

    def heal(self) -> Any:
        """Call the function that heals nodes, and wait for its answer."""
        (name,) = [physical for physical, logical in self.application.functions.items() if logical == "HealNodes"]
        answer = self.aws.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()
        return json.loads(answer["Payload"].read())

    def state_of(self, alarm: str, **changed: Any) -> str:
        """The state of an alarm, if the newest that was published of each of its metrics is what is published for as
        long as it looks: in each minute, where values are added up, else in each period. Of a metric whose data are
        counted, all of them are. What AWS's services publish is asked first.

        changed: of what DescribeAlarms says of it.
        """
        self.service_metrics.publish()
        (described,) = self.aws.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        now, found = datetime.now(UTC), alarms.published(self.aws.account, self.aws.region)
        lasting = []
        for asked in alarms.metrics_of(described):
            of_metric = [each for each in found if each.metric == Metric.read(asked)]
            if asked["Stat"] != "SampleCount":
                of_metric = sorted(of_metric, key=lambda each: each.at)[-1:]
            span = asked["Period"] * (described["EvaluationPeriods"] + alarms.EXTRA_PERIODS + 1)
            ages = [timedelta(seconds=age) for age in range(0, span, 60 if asked["Stat"] == "Sum" else asked["Period"])]
            lasting += [dataclasses.replace(each, at=now - age) for age in ages for each in of_metric]
        return alarms.state({**described, **changed}, lasting, now)

    def secret_of_database(self) -> str:
        """The password of Workbench's role in the database."""
        secret = self.aws.client("secretsmanager").get_secret_value(
            SecretId=f"{self.application.name}/{CLUSTER}/database"
        )
        return str(json.loads(secret["SecretString"])["password"])

    def let_nodes_report(self) -> None:
        """Run the probe of each node, which no timer starts here. Then let what it says have been so for a quarter of
        an hour.
        """
        probe = "systemctl start benchwright-probe.service && tail -n 1 /var/log/benchwright/workbench.log"
        answers = {}
        for name, node in self.nodes.items():
            said = json.loads(node.host.run(probe, timeout=60).stdout)
            assert said["instance"] == name
            self.until(partial(arrived, self.aws, said), f"CloudWatch to have what {name} reports")
            answers[name] = said[METRIC] == 1
        report_answers(self.aws, self.application.name, answers, CLUSTER)

    def published(self) -> list[str]:
        """The subjects of all messages to the topic."""
        lines = self.aws.recorder.entries()
        return [line["parameters"]["Subject"] for line in lines if line["operation"] == "Publish"]

    def end(self, execution: str) -> Execution:
        """Wait until an execution has ended."""
        running = run.execution_of(execution)
        self.until(lambda: running.status != "RUNNING", execution)
        states = self.aws.client("stepfunctions")
        events = [event for page in run.pages(states, execution) for event in page]
        crashes = run.unexpected_errors(events)
        assert not crashes, crashes
        described = states.describe_execution(executionArn=execution)
        kind = execution.split(":")[6].rpartition("-")[2]
        return Execution.read(
            kind,
            described,
            history.read(events),
            self.application.functions,
            aws_calls=self.aws.recorder.count(execution),
        )

    def deploy(self, content: Any) -> Execution:
        """A deployment that must succeed."""
        return self.succeed(self.start("deploy", content))

    def deploy_as_previewed(self, content: Any) -> Execution:
        """A deployment that must succeed, and do exactly what a dry run of the same input has said."""
        execution = self.start("deploy", {**content, "dry_run": True})
        previewed = self.succeed(execution)
        changed = self.changes(execution)
        assert changed <= OF_DRY_RUN, changed
        before = self._seen()
        ended = self.deploy(content)
        differing = previews.differences(self.aws, self.application.name, previewed.output, before, self._seen())
        assert not differing, differing
        return ended

    def _seen(self) -> previews.Seen:
        script, nodes = previews.ON_NODE, self.nodes
        on_nodes = {
            name: frozenset(node.host.run(script, timeout=60).stdout.splitlines()) for name, node in nodes.items()
        }
        return previews.Seen.of(self.aws, self.application.name, on_nodes)

    def succeed(self, execution: str) -> Execution:
        ended = self.end(execution)
        assert ended.status == "SUCCEEDED", ended.cause
        return ended

    @staticmethod
    def has_entered(execution: str, state: str) -> bool:
        entered = (event.get("stateEnteredEventDetails") or {} for event in run.live_history(execution)())
        return any(details.get("name") == state for details in entered)

    @staticmethod
    def until(condition: Callable[[], bool], what: str, *, pause: float = 0.1) -> None:
        """Wait in wall time, since what is waited for is real."""
        waiting.until(condition, what, seconds=PATIENCE, pause=pause)

    def in_aws_time_until(self, condition: Callable[[], bool], what: str) -> None:
        """Let AWS time pass, which has the speed of the wall while no one waits for it, and look now and then."""

        def look() -> bool:
            return condition() or self.aws.clock.wait(5)

        self.until(look, what)

    def changes(self, execution: str) -> set[str]:
        """The calls of an execution that change something, beside functions being invoked, subscribers notified and its
        report written.
        """
        return {
            f"{line['service']}:{line['operation']}"
            for line in self.aws.recorder.entries()
            if line["execution"] == execution
            and not line["operation"].startswith(READING)
            and (line["service"], line["operation"]) not in {("lambda", "Invoke"), ("sns", "Publish")}
            and not str(line["parameters"].get("Key", "")).startswith("reports/")
        }

    def report(self, address: str) -> tuple[dict[str, Any], str]:
        """What the bucket holds where an execution says that its report is: report.json and the page."""
        bucket, _, key = address.removeprefix("s3://").partition("/")
        s3 = self.aws.client("s3")
        found = s3.get_object(Bucket=bucket, Key=key)
        assert found["ContentType"] == "text/html; charset=utf-8"
        data = s3.get_object(Bucket=bucket, Key=key.replace("report.html", "report.json"))
        return json.loads(data["Body"].read()), found["Body"].read().decode()

    def messages(self) -> list[str]:
        """The texts of all messages to the topic."""
        lines = self.aws.recorder.entries()
        return [line["parameters"]["Message"] for line in lines if line["operation"] == "Publish"]

    def on_every_node(self, script: str) -> set[str]:
        """What a script prints on the nodes: one text where all agree."""
        return {node.host.run(script, timeout=60).stdout for node in self.nodes.values()}

    def rows(self) -> list[Row]:
        """Workbench's node table as it is now; empty while there is none."""
        with contextlib.closing(NodeTable(self.aws)) as table:
            return table.rows()

    def images(self) -> set[str]:
        """The AMIs that were built here and still exist."""
        return {image["ImageId"] for image in self.aws.client("ec2").describe_images(Owners=["self"])["Images"]}


@dataclass
class RowWatch:
    """A context that looks at the node table over and over: `tables` holds every different state of it, in order."""

    account: Account
    tables: list[list[Row]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        with contextlib.closing(NodeTable(self.account.aws)) as table:
            while not self._over.wait(0.1):
                rows = table.rows()
                if not self.tables or self.tables[-1] != rows:
                    self.tables.append(rows)


@contextlib.contextmanager
def new_account(
    directory: Path,
    speed: float,
    recorded: Path | None = None,
    *,
    release: Path = application.ROOT,
    initial_account: InitialAccount | None = None,
    invoked: bool = True,
) -> Iterator[Account]:
    """The application in an account of its own, in a network of its own; what it did stays in the folder `recorded`.

    release: the one that is installed; this one is built, too. invoked: whether the functions are; else none is
    initialised ahead of time.
    """
    application.build(release)
    application.build()
    listener = launcher.listening("127.0.0.1")  # where this process was: it is its port that the local AWS takes
    shared = shared_images.of_run(directory.parent)
    with shared_images.shared_by_accounts(shared), mock.patch.dict(os.environ), visit_network_and_mounts():
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "account", str(directory)], check=True, timeout=10)
        try:
            aws = run.local_aws(directory, Clock(speed), Faults(), listener, initial_account)
            if not invoked:
                aws.functions.prepare = lambda _function: None
            try:
                yield Account(aws, application.deploy(aws.client, aws.environment("sam"), {}, release=release))
            finally:
                aws.stop()
                aws.hosts.stop()
                if recorded:
                    for name in ("calls.jsonl", "policies.json"):
                        shutil.copyfile(aws.directory / name, recorded / name)
        finally:  # threads that last keep the namespace, and with it the mount
            subprocess.run(["umount", "--lazy", str(directory)], check=False, timeout=10)
