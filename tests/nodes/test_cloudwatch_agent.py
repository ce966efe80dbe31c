"""The CloudWatch agent of a node: its configuration, and what arrives of its logs and metrics."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from rehearsal.aws.services.embedded_metrics import metrics_of
from rehearsal.hosts.host import Host
from tests.nodes.cluster import Cluster, report
from tests.nodes.conftest import World
from tests.templates.test_alarms import NODE_METRICS
from tests.waiting import until

SCHEMA = json.loads((Path(__file__).parents[1] / "templates/data/cloudwatch-agent-schema.json").read_text())
CONFIGURATION = "/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json"
LOG_GROUP, GROUP = "/benchwright/workbench/nodes", "benchwright-workbench-nodes-group"
INSTANCE = "i-0000000000000000a"
FILES = "__var_log_benchwright_configure.log", "__var_log_rstudio_rstudio-server_rserver.log", "_journal"
STREAMS = {(LOG_GROUP, f"{INSTANCE}{file}") for file in FILES}


@pytest.fixture(scope="module")
def node(cluster_of_file: Cluster) -> Host:
    """All tests of this file go on with this node, in this order: it is configured in the middle of them."""
    cluster_of_file.world.aws.group = GROUP
    return cluster_of_file.add_node()


def test_its_configuration_is_what_the_agent_accepts(node: Host) -> None:
    configuration = json.loads(_run(node, f"cat {CONFIGURATION}"))
    assert list(Draft4Validator(SCHEMA).iter_errors(configuration)) == []
    assert {entry["log_group_name"] for entry in _collected(configuration)} == {LOG_GROUP}


def test_how_full_a_node_is_arrives_by_node_and_for_the_group(cluster: Cluster, node: Host) -> None:
    aws = cluster.world.aws
    group, instance = ("AutoScalingGroupName", GROUP), ("InstanceId", INSTANCE)
    root = (("fstype", "ext4"), ("path", "/"))
    names = {"mem_used_percent": (), "swap_used_percent": (), "disk_used_percent": root, "disk_inodes_free": root}
    assert names.keys() == {name for namespace, name, _ in NODE_METRICS if namespace == "CWAgent"}
    expected = {(name, (group,)) for name in names} | {(name, (group, instance, *own)) for name, own in names.items()}
    until(lambda: aws.metrics.keys() >= expected, "all metrics")
    assert aws.metrics.keys() == expected
    assert 0 < aws.metrics["mem_used_percent", (group,)] < 100


def test_a_node_publishes_each_minute_whether_workbench_answers(cluster: Cluster, node: Host) -> None:
    """Not before it was configured, and not while it leaves."""
    cluster.publish()
    assert _probed(node) == ""
    cluster.apply(node)
    renamed = {"wb": "benchwright", "one": "workbench", "i-0": INSTANCE}
    expected = {
        (name, *(renamed[value] for value in own.values()))
        for namespace, name, own in NODE_METRICS
        if namespace == "Benchwright"
    }
    found = [datum for _, datum in metrics_of(_probed(node))]
    values = {(each["MetricName"], *(own["Value"] for own in each["Dimensions"])): each["Value"] for each in found}
    assert values == {each: 1 if each[0] == "WorkbenchAnswers" else 0 for each in expected}
    _run(node, "systemctl stop rstudio-server")
    line = _probed(node)
    assert [datum["Value"] for _, datum in metrics_of(line)] == [0, 0]
    assert json.loads(line)["reason"].startswith("curl: (7) ")
    assert _probed(node, "touch /run/benchwright/terminating") == ""
    _run(node, "rm /run/benchwright/terminating")


def test_what_a_node_logs_arrives_and_outlives_it(cluster: Cluster, node: Host) -> None:
    cluster.publish()
    cluster.apply(node)
    events = cluster.world.aws.log_events
    until(lambda: events.keys() >= STREAMS, f"the streams {STREAMS}")
    _run(node, "echo the last line >>/var/log/benchwright/configure.log && systemctl stop amazon-cloudwatch-agent")
    configured, served, journal = ("\n".join(events[LOG_GROUP, f"{INSTANCE}{file}"]) for file in FILES)
    assert configured.startswith("=== ")
    assert configured.endswith("done\nthe last line")
    assert _run(node, "cat /var/log/rstudio/rstudio-server/rserver.log").strip().startswith(served[:40])
    assert "Started rstudio-server.service." in journal


def test_an_agent_that_has_ended_is_reported_and_the_next_configuration_starts_it(cluster: Cluster, node: Host) -> None:
    def is_active() -> bool:  # soon after a configuration, which does not wait for it
        return bool(report(cluster.run(node, "report"))["agent"] == "active")

    cluster.publish()
    cluster.apply(node)
    until(is_active, "the agent to be active")
    _run(node, "systemctl stop amazon-cloudwatch-agent")
    assert report(cluster.run(node, "report"))["agent"] == "inactive"
    cluster.apply(node)
    until(is_active, "the agent to be active again")


def test_a_package_that_was_changed_is_not_installed(world: World, host: Host) -> None:
    """The signature is what keeps a changed package out, so it must fail for one."""
    host.run_boot()
    address = "https://amazoncloudwatch-agent.s3.amazonaws.com"
    package = f"{address}/ubuntu/amd64/1.300072.0b1766/amazon-cloudwatch-agent.deb"
    for name, url in {
        "key": f"{address}/assets/amazon-cloudwatch-agent.gpg",
        "deb": package,
        "sig": f"{package}.sig",
    }.items():
        _run(host, f"curl -fsS -o /tmp/{name} {url}")
    _run(host, "gpg --import /tmp/key && gpg --verify /tmp/sig /tmp/deb")
    done = host.run("echo x >>/tmp/deb && gpg --verify /tmp/sig /tmp/deb", timeout=30)
    assert (done.returncode, done.stderr) == (1, "gpg: BAD signature\n")


def _probed(node: Host, before: str = "true") -> str:
    """What the probe adds to its log, when its timer starts it."""
    log = "/var/log/benchwright/workbench.log"
    start = f"{before}; mkdir -p /var/log/benchwright; touch {log}; size=$(stat -c %s {log})"
    return _run(node, f"{start}; systemctl start benchwright-probe; tail -c +$((size + 1)) {log}")


def _run(node: Host, script: str) -> str:
    done = node.run(script, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _collected(configuration: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for kind in configuration["logs"]["logs_collected"].values() for entry in kind["collect_list"]]
