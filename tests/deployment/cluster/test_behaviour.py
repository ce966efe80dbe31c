"""How a cluster behaves over its life, from before there is one: each test goes on where the one before it ended."""

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.cloudwatch.models import cloudwatch_backends
from psycopg2.extras import wait_select

from rehearsal.aws.services import alarms
from rehearsal.aws.services.alarms import Datum, Metric
from rehearsal.aws.services.schedules import Schedules
from rehearsal.judges import secrets
from tests.deployment.account import Account, Row, RowWatch
from tests.nodes.cluster import START_SESSION
from tests.nodes.test_sessions import SUSPENDED

OLD, NEW = "2026.07.0+139.pro9", "2026.07.1+147.pro6"
TEAM = "Research _.:/=+@- 9 Größe 東京"
"""A tag with every sign that is taken, and letters of other scripts."""
ANN = "with 'quotes' $HOME & spaces"
PROBE = "systemctl start benchwright-probe"
WHEN_IT_HAPPENS = {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "TargetErrorCount"}
"""Nothing is published until one happens."""
LICENCE = "-- a licence file --\nLicensee: Rehearsal\n"

pytestmark = pytest.mark.root


# Before there is a cluster.


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ({"nodes": {"count": 0}}, ["nodes.count: 0 is refused"]),
        ({"node": {"count": 2}}, ["node: "]),
        ({"cluster": "My Cluster"}, ['cluster: "My Cluster" is refused']),
        ({"workbench": {"version": "latest"}}, ['workbench.version: "latest" is refused']),
        ([], ["The input must be a JSON object"]),
        (
            {"nodes": {"count": "two"}, "license": "elsewhere/file", "users": {"root": {}}},
            ['nodes.count: "two" is refused', 'license: "***" is refused', "users.root: {} is refused"],
        ),
        ({"license": "benchwright/license/none"}, ['license: "benchwright/license/none" is refused']),
    ],
    ids=["count", "key", "name", "version", "list", "three", "secret"],
)
def test_a_wrong_input_fails_in_the_first_state_with_every_problem(
    account: Account, content: Any, problems: list[str]
) -> None:
    execution = account.start("deploy", content)
    ended = account.end(execution)
    assert (ended.status, ended.error) == ("FAILED", "InvalidInput")
    assert [state.name for state in ended.states] == [
        "Validate input",
        "Explain failure",
        "Write failure report",
        "Notify subscribers",
        "Is the cluster known?",
        "Deployment failed",
    ]
    cause = ended.cause or ""
    lines = [line.removeprefix("- ") for line in cause.splitlines() if "Give " in line or "must be" in line]
    assert len(lines) == len(problems), cause
    assert all(any(line.startswith(problem) for line in lines) for problem in problems), cause
    report, page = account.report(cause.split()[-1])
    assert (report["execution"]["input"], report["execution"]["error"]) == (content, "InvalidInput")
    assert cause.startswith(report["execution"]["cause"])
    assert "✕ FAILED" in page
    assert account.messages()[-1] == cause
    assert account.changes(execution) == set()


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("nightly-verify", "no cluster is recorded, so there was nothing to verify"),
        ("monthly-rebuild", "workbench is not deployed: nothing to do"),
    ],
)
def test_a_schedule_leaves_a_cluster_alone_that_was_never_made(account: Account, schedule: str, message: str) -> None:
    execution = account.start_schedule(schedule)
    ended = account.succeed(execution)
    assert ended.output["message"] == message
    assert account.changes(execution) == set()


# The first deployment, with all that an input can say.


@pytest.fixture(scope="module")
def first(account: Account) -> Any:
    """Its output; meanwhile others tried to start, too."""
    account.put_secret("benchwright/license/workbench", LICENCE)
    account.put_secret("benchwright/users/ann", ANN)
    account.put_secret("benchwright/users/ben", "the first of Ben")
    execution = account.start(
        "deploy",
        {
            "workbench": {"version": OLD},
            "license": "benchwright/license/workbench",
            "users": {
                "ann": {"password": "benchwright/users/ann"},
                "ben": {"uid": 3001, "gid": 3001, "password": "benchwright/users/ben"},
            },
            "config": {"auth-timeout-minutes": "45"},
            "tags": {"team": TEAM},
        },
    )
    account.until(lambda: account.has_entered(execution, "Prepare image and foundation"), "the lock")
    second = account.start("deploy", {"nodes": {"count": 3}})
    refused = account.end(second)
    assert (refused.status, refused.error) == ("FAILED", "ClusterLocked")
    assert execution in (refused.cause or "")
    assert account.changes(second) <= {"dynamodb:UpdateItem"}  # the attempt to take the lock, and its refusal
    assert "is not deployed" in account.succeed(account.start_schedule("monthly-rebuild")).output["message"]
    (verdict,) = account.succeed(account.start_schedule("nightly-verify")).output["clusters"]
    assert (verdict["status"], verdict["message"]) == (
        "not verified",
        "workbench is not deployed: nothing to verify",
    )
    return account.succeed(execution).output


def test_a_second_deployment_is_refused_while_the_first_runs(first: Any) -> None:
    assert len(first["nodes"]) == 2  # what the second one wanted left no trace


def test_the_report_has_all_that_the_execution_did(account: Account, first: Any) -> None:
    report, page = account.report(first["report"]["page"])
    execution = report["execution"]
    assert execution["output"] == {key: value for key, value in first.items() if key != "report"}
    assert (execution["plan"], execution["changes"]) == (first["plan"], ["a new cluster"])
    assert execution["input"]["workbench"] == {"version": OLD}
    assert (execution["versions"]["Workbench"], execution["versions"]["Image"]) == (OLD, first["image"])
    assert execution["lambda_invocations"].keys() >= {"ResolvePlan", "BuildImage", "ConfigureNodes", "VerifyCluster"}
    assert execution["states"][-1]["name"] == "Release the lock"
    assert [node["instance"] in page for node in first["nodes"]] == [True, True]


def test_verification_finds_the_licence_and_no_way_to_the_metadata(first: Any) -> None:
    checks = {check["name"]: check["found"] for check in first["verification"]["checks"]}
    assert (first["license"], first["warnings"]) == ("Activated", [])
    assert checks["instance metadata"] == "refused"


def test_users_are_the_same_on_every_node(account: Account, first: Any) -> None:
    assert first["plan"]["wanted"]["users"]["ben"]["uid"] == 3001
    assert account.on_every_node("getent passwd ann ben; stat -c '%a %u %g' /efs/home/ann") == {
        "ann:x:20000:20000::/efs/home/ann:/bin/bash\nben:x:3001:3001::/efs/home/ben:/bin/bash\n700 20000 20000\n"
    }
    assert has_password(account, "ann", ANN)


def test_configuration_and_tags_arrive(account: Account, first: Any) -> None:
    (text,) = account.on_every_node("cat /etc/rstudio/rserver.conf")
    assert "auth-timeout-minutes=45\n" in text
    assert all(node.all_tags.get("team") == TEAM for node in account.nodes.values())
    (cluster,) = account.aws.client("rds").describe_db_clusters()["DBClusters"]
    assert {"Key": "team", "Value": TEAM} in cluster["TagList"]


def test_no_healthy_node_is_ended_to_even_out_the_zones(account: Account, first: Any) -> None:
    (group,) = account.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [process["ProcessName"] for process in group["SuspendedProcesses"]] == ["AZRebalance"]


def test_the_nightly_verification_succeeds(account: Account, first: Any) -> None:
    execution = account.start_schedule("nightly-verify")
    output = account.succeed(execution).output
    (verdict,) = output["clusters"]
    assert (output["message"], verdict["cluster"], verdict["status"]) == (
        "1 of 1 recorded clusters verified",
        "workbench",
        "verified",
    )
    assert account.changes(execution) <= {"ssm:SendCommand"}
    one = account.succeed(account.start("verify", {})).output
    assert (one["cluster"], one["verification"]["verified"]) == ("workbench", True)


def test_the_dashboards_show_what_is_there_and_the_verdicts(account: Account, first: Any) -> None:
    watch, logs = account.aws.client("cloudwatch"), account.aws.client("logs")
    dashboards = ("benchwright", "benchwright-workbench")
    bodies = [json.loads(watch.get_dashboard(DashboardName=name)["DashboardBody"]) for name in dashboards]
    shown = [widget["properties"] for body in bodies for widget in body["widgets"]]
    read = {group for each in shown for group in re.findall(r"SOURCE '([^']+)'", each.get("query", ""))}
    groups = [group for page in logs.get_paginator("describe_log_groups").paginate() for group in page["logGroups"]]
    assert read - {group["logGroupName"] for group in groups} == set()
    there = {alarm["AlarmArn"] for alarm in watch.describe_alarms()["MetricAlarms"]}
    assert {arn for each in shown for arn in each.get("alarms", [])} == there
    events = logs.filter_log_events(logGroupName="/aws/lambda/benchwright-verify-cluster")["events"]
    verdicts = [json.loads(event["message"]) for event in events if '"_aws"' in event["message"]]
    assert {
        (verdict["service"], verdict["cluster"], *verdict["ClusterVerified"])
        for verdict in verdicts
        if "ClusterVerified" in verdict
    } == {("benchwright", "workbench", 1.0)}


def test_every_alarm_watches_metrics_that_are_there(account: Account, first: Any) -> None:
    """Those of nodes come with the role of nodes, through the logs and metrics that their agents send; those of AWS
    from what the local AWS has.
    """
    watch = account.aws.client("cloudwatch")
    watched = {
        Metric.read(metric) for alarm in watch.describe_alarms()["MetricAlarms"] for metric in alarms.metrics_of(alarm)
    }
    there = {each for each in watched if each.name not in WHEN_IT_HAPPENS}
    assert {each.name for each in there} == {
        *(
            "ClusterVerified",
            "LicenseDaysLeft",
            "WorkbenchAnswers",
            "mem_used_percent",
            "disk_used_percent",
            "disk_inodes_free",
        ),
        *("GroupInServiceInstances", "Errors"),
        *("DatabaseConnections", "ACUUtilization", "FreeLocalStorage"),
        *("PercentIOLimit", "MeteredIOBytes", "PermittedThroughput"),
    }
    account.on_every_node(PROBE)
    account.heal()
    account.service_metrics.publish()
    account.until(lambda: there <= {each.metric for each in _published(account)}, "the metrics of nodes and of AWS")


def test_an_execution_that_fails_raises_its_alarm(account: Account, first: Any) -> None:
    account.service_metrics.publish()  # what failed before
    _forget(account, "AWS/States")
    account.succeed(account.start("verify", {}))
    assert account.state_of("benchwright-execution-failed") == "OK"
    assert account.end(account.start("verify", {"nodes": 3})).status == "FAILED"
    assert account.state_of("benchwright-execution-failed") == "ALARM"
    _forget(account, "AWS/States")  # in the next five minutes none fails
    assert account.state_of("benchwright-execution-failed") == "OK"


def test_a_schedule_whose_target_refuses_it_raises_its_alarm(account: Account, first: Any) -> None:
    assert account.state_of("benchwright-schedule-failed") == "OK"
    nightly = Schedules(account.aws.client, account.application.name).named("nightly-verify")
    with pytest.raises(ClientError, match="InvalidExecutionInput"):
        replace(nightly, input="{").start(account.aws.client)
    assert account.state_of("benchwright-schedule-failed") == "ALARM"
    _forget(account, "AWS/Scheduler")  # in the next five minutes none fails
    assert account.state_of("benchwright-schedule-failed") == "OK"


def test_healing_that_ends_with_an_error_raises_its_alarm(account: Account, first: Any) -> None:
    _forget(account, "AWS/Lambda")
    account.heal()
    assert account.state_of("benchwright-heal-failed") == "OK"
    (name,) = [physical for physical, logical in account.application.functions.items() if logical == "HealNodes"]
    answer = account.aws.client("lambda").invoke(FunctionName=name, Payload=b"[]")
    assert answer["FunctionError"] == "Unhandled"
    assert account.state_of("benchwright-heal-failed") == "ALARM"
    account.heal()
    assert account.state_of("benchwright-heal-failed") == "OK"


def test_connections_to_the_database_are_what_its_alarm_counts(account: Account, first: Any) -> None:
    """So many as raise it are too many for this machine: here their number is compared with one that is reached."""
    (server,) = account.aws.postgres.values()
    name = "benchwright-workbench-database-connections"
    assert account.state_of(name) == "OK"
    password = account.secret_of_database()
    with contextlib.ExitStack() as opened:
        for _ in range(5):
            opened.enter_context(contextlib.closing(server.connect("rstudio", password, "rstudio")))
        assert account.state_of(name, Threshold=4) == "ALARM"
    account.until(lambda: account.state_of(name, Threshold=4) == "OK", "the connections to end")


def test_statements_that_need_more_than_its_largest_capacity_raise_the_alarm_of_the_database(
    account: Account, first: Any
) -> None:
    """Eight units have two processors."""
    (server,) = account.aws.postgres.values()
    name, password = "benchwright-workbench-database-at-its-limit", account.secret_of_database()
    assert account.state_of(name) == "OK"
    with contextlib.ExitStack() as opened:
        for _ in range(3):
            connection = opened.enter_context(contextlib.closing(server.connect("rstudio", password, async_=True)))
            wait_select(connection)
            connection.cursor().execute("select count(*) from (select generate_series(1, 1e12)) as n")
            opened.callback(connection.cancel)
        account.until(lambda: account.state_of(name) == "ALARM", "the statements to take two processors")
    account.until(lambda: account.state_of(name) == "OK", "the statements to end")


def test_temporary_files_that_fill_the_local_storage_raise_the_alarm_of_the_database(
    account: Account, first: Any
) -> None:
    """Of a storage that is as large as this machine's memory permits: what is free in it is made less first."""
    (server,) = account.aws.postgres.values()
    name, disk = "benchwright-workbench-database-local-storage", os.statvfs(server.directory)
    assert account.state_of(name) == "OK"
    used = (disk.f_blocks - disk.f_bavail) * disk.f_frsize
    with _size_of_disk(server.directory, used + (2 << 30) + (128 << 20)):
        assert account.state_of(name) == "OK"
        with contextlib.closing(server.connect("rstudio", account.secret_of_database())) as connection:
            cursor = connection.cursor("sorted")  # its temporary files stay until it is closed
            cursor.execute("select repeat('x', 1000) || n from generate_series(1, 250000) n order by 1 desc")
            cursor.fetchone()
            assert account.state_of(name) == "ALARM"
        account.until(lambda: account.state_of(name) == "OK", "the temporary files to go")


@contextlib.contextmanager
def _size_of_disk(directory: Path, size: int) -> Iterator[None]:
    """Let the file system of a directory, one in memory, be this large meanwhile."""
    before = os.statvfs(directory)
    place = next(each for each in (directory, *directory.parents) if each.is_mount())
    resize = ["mount", "-o", f"remount,size={size}", str(place)]
    subprocess.run(resize, check=True, timeout=10)
    try:
        yield
    finally:
        resize[2] = f"remount,size={before.f_blocks * before.f_frsize}"
        subprocess.run(resize, check=True, timeout=10)


def test_what_people_move_raises_the_alarm_of_the_files_throughput(account: Account, first: Any) -> None:
    """Of a file system that someone made a provisioned one: what an elastic one moves is too much for this machine."""
    name, client = "benchwright-workbench-files-throughput", account.aws.client("efs")
    (files,) = client.describe_file_systems()["FileSystems"]
    writer, reader = account.nodes.values()
    assert account.state_of(name) == "OK"
    client.update_file_system(
        FileSystemId=files["FileSystemId"], ThroughputMode="provisioned", ProvisionedThroughputInMibps=1
    )
    _as_ann(writer, "head -c 50M /dev/zero >first; head -c 50M /dev/zero >second; head -c 50M /dev/zero >third")
    assert account.state_of(name) == "ALARM"
    assert account.state_of(name) == "OK"
    _as_ann(reader, "cat first second >/dev/null")
    assert account.state_of(name) == "OK"  # two thirds of what it may
    _as_ann(reader, "cat first second third >/dev/null")
    assert account.state_of(name) == "ALARM"
    _as_ann(writer, "rm first second third")
    assert account.state_of(name) == "OK"
    client.update_file_system(FileSystemId=files["FileSystemId"], ThroughputMode="elastic")


def _as_ann(node: Any, script: str) -> None:
    done = node.host.run(f"runuser -u ann -- bash -c 'cd && {script}'", timeout=60)
    assert done.returncode == 0, done.stderr


def test_operations_on_files_are_what_their_alarm_compares(account: Account, first: Any) -> None:
    """So many as raise it are too many for this machine: the limit is moved instead."""
    name = "benchwright-workbench-files-at-their-limit"
    account.service_metrics.publish()
    assert account.state_of(name, Threshold=0.001) == "OK"
    node, *_ = account.nodes.values()
    _as_ann(node, "touch file{1..500}")
    assert account.state_of(name, Threshold=0.001) == "ALARM"
    _as_ann(node, "rm file{1..500}")
    assert account.state_of(name, Threshold=0.001) == "OK"


def test_a_cluster_that_no_one_verifies_raises_its_alarm(account: Account, first: Any) -> None:
    """By the nodes in service, and the verdicts that the function of the verification logs."""
    name = "benchwright-workbench-verification-missing"
    account.succeed(account.start("verify", {}))
    assert account.state_of(name) == "OK"
    _forget(account, "Benchwright", "ClusterVerified")
    assert account.state_of(name) == "ALARM"
    account.succeed(account.start("verify", {}))
    assert account.state_of(name) == "OK"


def test_how_full_nodes_are_is_what_their_alarms_compare(account: Account, first: Any) -> None:
    """Nodes have the memory and the disk of this machine, which no test fills: the limits are moved instead."""
    for name, limit in {"memory": 0, "disk": 0, "inodes": 1e15}.items():
        alarm = f"benchwright-workbench-node-{name}"
        assert (account.state_of(alarm), account.state_of(alarm, Threshold=limit)) == ("OK", "ALARM")


def test_an_agent_that_has_ended_is_found_by_an_alarm_and_by_a_verification(account: Account, first: Any) -> None:
    silent, verdict = (f"benchwright-workbench-{name}" for name in ("node-silent", "not-verified"))
    one, *others = account.nodes.values()
    assert _with_agents(account, one, *others) == "OK"
    assert _with_agents(account, *others) == "ALARM"
    ended = account.end(account.start("verify", {}))
    assert (ended.status, ended.error) == ("FAILED", "VerificationFailed")
    assert f"- agent: {one.id}: inactive. Start a deployment with {{}}" in (ended.cause or "")
    assert account.state_of(verdict) == "ALARM"
    account.deploy({})
    account.until(lambda: account.state_of(silent) == "OK", "the agent that the deployment started")
    assert account.state_of(verdict) == "OK"


def _with_agents(account: Account, *nodes: Any) -> str:
    """The state of the alarm of silent nodes, when the agents of these alone run and have sent once."""
    for node in account.nodes.values():
        node.host.run("systemctl stop amazon-cloudwatch-agent", timeout=60)
    _forget(account, "CWAgent")
    for node in nodes:
        node.host.run("systemctl start amazon-cloudwatch-agent", timeout=60)

    def sent() -> int:
        own = [each for each in _published(account) if each.metric.name == "mem_used_percent"]
        return sum(len(each.metric.dimensions) == 1 for each in own)

    account.until(lambda: sent() == len(nodes), "what the agents send first")
    return account.state_of("benchwright-workbench-node-silent")


def test_a_licence_that_expires_soon_raises_its_alarm(account: Account, first: Any) -> None:
    name, soon = "benchwright-workbench-license-expires", datetime.now(UTC) + timedelta(days=4)
    assert account.state_of(name) == "OK"
    account.put_secret("benchwright/license/workbench", f"{LICENCE}Expiration: {soon:%Y-%m-%d}\n")
    account.deploy({})
    assert account.state_of(name) == "ALARM"
    account.put_secret("benchwright/license/workbench", LICENCE)
    account.deploy({})
    assert account.state_of(name) == "OK"


def _forget(account: Account, namespace: str, name: str = "") -> None:
    """Take away what was published of a namespace, or of one metric of it: it is over."""
    backend = cloudwatch_backends[account.aws.account][account.aws.region]
    backend.metric_data = [
        each for each in backend.metric_data if each.namespace != namespace or name not in ("", each.name)
    ]


def test_a_server_that_is_killed_raises_its_alarm(account: Account, first: Any) -> None:
    """From the probe of its node, through the agent and the log group, to the metric that the alarm asks for."""
    watch = account.aws.client("cloudwatch")
    (alarm,) = watch.describe_alarms(AlarmNames=["benchwright-workbench-node-without-workbench"])["MetricAlarms"]
    node, *_ = account.nodes.values()
    node.host.run("systemctl stop rstudio-server", timeout=60)
    assert _state(account, alarm, 0) == "ALARM"
    node.host.run("systemctl start rstudio-server", timeout=60)
    ask = "curl -fsS http://localhost:8787/health-check"
    account.until(lambda: not node.host.run(ask, timeout=60).returncode, "Workbench")
    assert _state(account, alarm, 1) == "OK"


def _state(account: Account, alarm: dict[str, Any], lowest: int) -> str:
    """The state of an alarm, if what the nodes publish now is what they publish for as long as it looks.

    lowest: of the answers that must arrive.
    """
    (answers,) = map(Metric.read, alarms.metrics_of(alarm))
    began = datetime.now(UTC)

    def new() -> list[Datum]:
        """Not what an earlier probe found, which the agents may send only now."""
        return [each for each in _published(account) if each.metric == answers and each.at > began]

    def arrived() -> bool:
        account.on_every_node(PROBE)  # again: the time of a probe is its second, which may have begun before
        values = [each.value for each in new()]
        return len(values) >= len(account.nodes) and min(values) == lowest

    account.until(arrived, f"an answer of each node, of which the lowest is {lowest}", pause=1)
    minutes = [timedelta(minutes=minute) for minute in range(alarm["EvaluationPeriods"])]
    lasting = [replace(each, at=each.at + minute) for each in new() for minute in minutes]
    return alarms.state(alarm, lasting, max(each.at for each in lasting) + timedelta(minutes=1))


def _published(account: Account) -> list[Datum]:
    return alarms.published(account.aws.account, account.aws.region)


# What changes in place: no node is replaced.


@pytest.fixture(scope="module")
def changed(account: Account, first: Any) -> Any:
    """The output of a deployment without ann, with another password of ben, and with more for the database."""
    account.on_every_node("su ann -c 'echo kept >~/work'")
    account.put_secret("benchwright/users/ben", "the second of Ben")
    return account.deploy_as_previewed({"users": {"ann": None}, "database": {"max_capacity": 8}}).output


def test_nothing_is_replaced_for_what_can_be_changed_in_place(account: Account, first: Any, changed: Any) -> None:
    assert [node["instance"] for node in changed["nodes"]] == [node["instance"] for node in first["nodes"]]
    (cluster,) = account.aws.client("rds").describe_db_clusters()["DBClusters"]
    assert cluster["ServerlessV2ScalingConfiguration"]["MaxCapacity"] == 8
    assert changed["endpoints"] == first["endpoints"]


def test_a_new_version_of_a_secret_is_the_new_password(account: Account, changed: Any) -> None:
    assert has_password(account, "ben", "the second of Ben")


def test_a_removed_user_is_locked_and_keeps_the_home(account: Account, changed: Any) -> None:
    assert not has_password(account, "ann", ANN)
    assert account.on_every_node("passwd -S ann | cut -d' ' -f2; cat /efs/home/ann/work") == {"L\nkept\n"}


def test_an_option_that_workbench_does_not_know_is_a_clear_failure(account: Account, changed: Any) -> None:
    execution = account.start("deploy", {"config": {"no-such-option": "1"}})
    ended = account.end(execution)
    assert (ended.status, ended.error) == ("FAILED", "NodeConfigurationFailed")
    assert "no-such-option" in (ended.cause or "")
    assert "Correct config in the input" in (ended.cause or "")
    back = '{"config": {"no-such-option": null}}'
    value = f'- config.no-such-option: "1", from the input of this execution. To take it back: {back}\n'
    assert value in (ended.cause or "")
    again = account.end(account.start("deploy", {}))
    value = value.replace("this execution", f"an earlier execution, {execution}")
    assert (again.error, value in (again.cause or "")) == (ended.error, True), again.cause


def test_a_node_that_appears_after_it_takes_the_configuration_before(account: Account, changed: Any) -> None:
    lost = min(serving(account))
    account.aws.machines.terminate(lost)
    account.until(lambda: len(serving(account) - {lost}) == 2, "Auto Scaling to replace the node")
    assert account.on_every_node("cat /var/lib/benchwright/configuration") == {changed["configuration"]}


@pytest.fixture(scope="module")
def returned(account: Account, changed: Any) -> Any:
    """The output of a deployment that takes the unknown option back, and ann in again."""
    back = {"config": {"no-such-option": None}, "users": {"ann": {"password": "benchwright/users/ann"}}}
    return account.deploy(back).output


def test_what_a_verified_deployment_has_used_is_proven(account: Account, returned: Any) -> None:
    (item,) = account.aws.client("dynamodb").scan(TableName=account.application.outputs["TableName"])["Items"]
    assert json.loads(item["proven"]["S"]) == json.loads(item["input"]["S"])
    assert item["origins"] == {"S": "{}"}


def test_a_user_who_returns_is_unlocked_and_finds_everything(account: Account, returned: Any) -> None:
    assert has_password(account, "ann", ANN)
    assert account.on_every_node("id -u ann; cat /efs/home/ann/work") == {"20000\nkept\n"}


def test_a_verification_names_the_file_that_was_edited_and_a_deployment_restores_it(
    account: Account, returned: Any
) -> None:
    edited = min(account.nodes)
    done = account.nodes[edited].host.run("echo audit-r-sessions=1 >>/etc/rstudio/rserver.conf", timeout=60)
    assert done.returncode == 0
    table = account.application.outputs["TableName"]
    damaged = {"cluster": {"S": "damaged"}}
    account.aws.client("dynamodb").put_item(TableName=table, Item={**damaged, "version": {"N": "99"}})
    ended = account.end(account.start_schedule("nightly-verify"))
    account.aws.client("dynamodb").delete_item(TableName=table, Key=damaged)
    lines = (ended.cause or "").splitlines()
    assert (ended.status, ended.error, lines[0]) == (
        "FAILED",
        "VerificationFailed",
        "2 of 2 recorded clusters failed verification: damaged, workbench.",
    )
    assert any(line.startswith("damaged: RecordUnreadable in step 'Look at the record': ") for line in lines)
    failing = [line for line in lines if line.startswith("- ") and "://" not in line]
    assert [line.partition(". Start a deployment with {}")[0] for line in failing] == [
        f"- files and accounts: {edited}: /etc/rstudio/rserver.conf: content"
    ]
    assert account.deploy({}).output["nodes"] == returned["nodes"]
    verified = account.succeed(account.start("verify", {})).output
    assert (verified["verification"]["verified"], len(verified["nodes"])) == (True, 2)
    applied = account.on_every_node("cat /var/lib/benchwright/configuration")
    assert applied == {returned["configuration"]}


# Nodes come and go.


def test_verification_removes_the_row_of_a_node_that_died(account: Account, returned: Any) -> None:
    lost = returned["nodes"][0]
    account.aws.machines.terminate(lost["instance"])
    account.until(lambda: row_of(account, lost["ipv4"]) == "Offline", "the node to be missed")
    account.until(lambda: len(serving(account) - {lost["instance"]}) == 2, "Auto Scaling to replace the node")
    # Until it has left the group, it may come back to life for all that a verification knows.
    account.until(lambda: lost["instance"] not in states(account), "the lost node to leave the group")
    assert row_of(account, lost["ipv4"]) == "Offline"
    execution = account.start_schedule("nightly-verify")
    ended = account.succeed(execution)
    assert row_of(account, lost["ipv4"]) is None
    assert [verdict["status"] for verdict in ended.output["clusters"]] == ["verified"]
    assert account.changes(execution) == {"ssm:SendCommand", "dynamodb:UpdateItem"}  # under the lock
    assert account.deploy({}).status == "SUCCEEDED"  # which is free again


def test_a_node_whose_workbench_was_killed_is_replaced_and_the_files_of_people_are_as_they_were(
    account: Account, returned: Any
) -> None:
    files = "find /efs/home /efs/shared-storage -type f | sort | xargs sha256sum"
    before, kept = serving(account), account.on_every_node(files)
    account.let_nodes_report()
    assert account.heal()["replaced"] == {}  # all answer
    killed = min(before)
    kill_workbench(account, killed)
    account.let_nodes_report()
    verification = account.start("verify", {})  # goes on looking for ten minutes
    account.until(lambda: account.has_entered(verification, "Verify cluster"), "the verification to look at nodes")
    hold_the_lock(account, verification)
    assert account.heal()["replaced"] == {}
    assert account.end(verification).status == "FAILED"  # and has given the lock back
    account.let_nodes_report()  # what they reported before is some minutes of this machine old
    account.start_schedule("heal-nodes")
    account.until(lambda: killed not in states(account), "the node to leave the group")
    account.until(lambda: len(serving(account)) == 2, "Auto Scaling to replace the node")
    assert serving(account) & before == before - {killed}
    assert account.published()[-1] == f"Benchwright: workbench: node {killed} is replaced"
    account.succeed(account.start("verify", {}))
    assert account.on_every_node(files) == kept
    assert len(kept) == 1


def test_where_no_node_answers_none_is_replaced_and_people_read_that(account: Account, returned: Any) -> None:
    before = serving(account)
    for instance in before:
        kill_workbench(account, instance)
    account.let_nodes_report()
    assert account.heal()["replaced"] == {}
    assert account.published()[-1] == "Benchwright: workbench: no node answers, and none is replaced"
    assert account.deploy({}).status == "SUCCEEDED"
    assert serving(account) == before


def test_another_instance_type_replaces_two_nodes_at_a_time_while_as_many_serve_and_sessions_are_suspended(
    account: Account, returned: Any
) -> None:
    before = set(account.nodes)
    session = START_SESSION.format(user="ann")
    sessions = [account.nodes[node].host.run(session, timeout=60).stdout.strip() for node in before]
    with RowWatch(account) as watch:
        output = account.deploy_as_previewed({"nodes": {"instance_type": "m7i.2xlarge", "replace_at_once": 2}}).output
    assert {node.instance_type for node in account.nodes.values()} == {"m7i.2xlarge"}
    assert not before & set(account.nodes)
    serving = [len(online(table)) for table in watch.tables]
    assert (min(serving), max(serving)) == (2, 4), watch.tables
    suspended = " ".join(SUSPENDED.format(each).replace("/anna/", "/ann/") for each in sessions)
    assert account.on_every_node(f"stat -c %U {suspended}") == {"ann\nann\n"}
    assert output["verification"]["verified"]


@pytest.fixture(scope="module")
def upgraded(account: Account, returned: Any) -> Any:
    """The output of a deployment of another Workbench with another R, and every table of nodes meanwhile."""
    before = account.images()
    with RowWatch(account) as watch:
        versions = {"workbench": {"version": None}, "r_versions": ["4.4.3", "4.5.2"], "python_versions": ["3.12.12"]}
        output = account.deploy_as_previewed({**versions, "nodes": {"replace_at_once": None}}).output
    return output, watch.tables, account.images() - before


def test_two_versions_of_workbench_never_meet(account: Account, returned: Any, upgraded: Any) -> None:
    output, tables, _ = upgraded
    assert output["workbench"] == NEW
    assert [table for table in tables if len({row.image for row in table}) > 1] == []
    images = [image for table in tables for image in dict.fromkeys(row.image for row in table)]
    assert list(dict.fromkeys(images)) == [returned["image"], output["image"]]
    assert [] in tables


def test_other_versions_of_r_and_python_are_another_image(account: Account, upgraded: Any) -> None:
    output, _, images = upgraded
    assert images == {output["image"]}
    assert account.on_every_node("ls /opt/R /opt/python") == {
        "/opt/R:\n4.4.3\n4.5.2\n\n/opt/python:\n3.12.12\njupyter\n"
    }


# Images come and go.


@pytest.fixture(scope="module")
def rebuilt(account: Account, upgraded: Any) -> Any:
    """The output of the monthly rebuild, every table of nodes meanwhile, and the new images; the schedules have their
    time again before it has ended.
    """
    before = account.images()
    with RowWatch(account) as watch:
        execution = account.start_schedule("monthly-rebuild")
        account.until(lambda: account.has_entered(execution, "Prepare image and foundation"), "the lock")
        assert "deployment in progress" in account.succeed(account.start_schedule("monthly-rebuild")).output["message"]
        (verdict,) = account.succeed(account.start_schedule("nightly-verify")).output["clusters"]
        assert verdict["status"] == "not verified"
        assert "deployment in progress" in verdict["message"]
        warnings = account.deploy({"dry_run": True}).output["warnings"]
        assert [text for text in warnings if text.startswith(f"{execution} deploys workbench now: ")]
        output = account.succeed(execution).output
    return output, watch.tables, account.images() - before


def test_the_monthly_rebuild_makes_one_image_and_replaces_the_nodes_one_at_a_time(
    account: Account, upgraded: Any, rebuilt: Any
) -> None:
    output, tables, images = rebuilt
    assert images == {output["image"]}
    assert {node.image_id for node in account.nodes.values()} == {output["image"]}
    assert output["workbench"] == upgraded[0]["workbench"]
    assert {len(online(table)) for table in tables} == {2, 3}  # one comes before one goes


def test_after_a_rebuild_the_same_image_is_used(account: Account, rebuilt: Any) -> None:
    images = account.images()
    assert account.deploy({}).output["image"] == rebuilt[0]["image"]
    assert account.images() == images


def test_the_image_in_use_and_the_one_before_are_kept(
    account: Account, first: Any, upgraded: Any, rebuilt: Any
) -> None:
    assert rebuilt[0]["retired_images"] == [first["image"]]
    assert account.images() == {upgraded[0]["image"], rebuilt[0]["image"]}


def test_an_image_of_one_s_own_is_used_as_it_is(account: Account, upgraded: Any, rebuilt: Any) -> None:
    earlier = upgraded[0]["image"]
    copied = account.aws.client("ec2").copy_image(Name="golden", SourceImageId=earlier, SourceRegion=account.aws.region)
    own = copied["ImageId"]
    ended = account.deploy_as_previewed({"image": {"ami": own}, "license": None})
    assert {node.image_id for node in account.nodes.values()} == {own}
    assert account.images() == {own, rebuilt[0]["image"]}  # of what was built, the one before is kept
    assert (ended.output["license"], len(ended.output["warnings"])) == ("missing", 1)


def test_new_nodes_that_cannot_apply_their_configuration_say_why_and_the_next_ones_get_what_is_corrected(
    account: Account, first: Any
) -> None:
    """Of a new image, whose nodes are the first to have the wrong value. The group would wait 45 minutes for each."""
    before, began = serving(account), account.aws.clock.now()
    wrong = {"image": {"ami": None, "rebuild": True}, "config": {"no-such-option": "1"}}
    ended = account.end(account.start("deploy", wrong))
    assert (ended.status, ended.error) == ("FAILED", "NodesNotReady")
    assert "unrecognized option(s): - no-such-option" in (ended.cause or "").partition("Unproven values")[0]
    assert account.aws.clock.now() - began < 45 * 60  # with the image
    assert serving(account) == before
    output = account.deploy({"config": {"no-such-option": None}}).output
    assert output["verification"]["verified"]
    assert not serving(account) & before


def test_no_secret_that_people_brought_stands_where_a_stranger_could_read_it(account: Account, changed: Any) -> None:
    aws = account.aws
    stored = secrets.stored(aws.client)
    assert {ANN, LICENCE.strip(), "the first of Ben", "the second of Ben"} <= {secret.value for secret in stored}
    logs = [*aws.directory.rglob("*.log"), aws.recorder.path]
    assert secrets.search(stored, secrets.places(aws.client, logs, aws.hosts.directory)).where == []


def row_of(account: Account, address: str) -> str | None:
    """The status that the node table gives an address."""
    return next((row.status for row in account.rows() if row.ipv4 == address), None)


def kill_workbench(account: Account, instance: str) -> None:
    killing = "kill -9 $(systemctl show --property MainPID --value rstudio-server)"
    done = account.nodes[instance].host.run(killing, timeout=60)
    assert done.returncode == 0, done.stderr


def hold_the_lock(account: Account, execution: str) -> None:
    account.aws.client("dynamodb").update_item(
        TableName=account.application.outputs["TableName"],
        Key={"cluster": {"S": "workbench"}},
        UpdateExpression="SET holder = :holder",
        ExpressionAttributeValues={":holder": {"S": execution}},
    )


def serving(account: Account) -> set[str]:
    """The instances that Auto Scaling has in service."""
    return {instance for instance, state in states(account).items() if state == "InService"}


def states(account: Account) -> dict[str, str]:
    """The state of each instance of the group."""
    (group,) = account.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {member["InstanceId"]: member["LifecycleState"] for member in group["Instances"]}


def online(table: list[Row]) -> list[Row]:
    return [row for row in table if row.status == "Online"]


def has_password(account: Account, name: str, password: str) -> bool:
    """Whether the name logs in with the password on every node, by the hash in /etc/shadow."""
    script = f"""
python3 - <<'END'
import ctypes, pathlib
crypt = ctypes.CDLL("libcrypt.so.1").crypt
crypt.restype = ctypes.c_char_p
entry = next(line for line in pathlib.Path("/etc/shadow").read_text().splitlines() if line.startswith("{name}:"))
hashed = entry.split(":")[1]
print(crypt({password!r}.encode(), hashed.encode()) == hashed.encode())
END
"""
    return account.on_every_node(script) == {"True\n"}
