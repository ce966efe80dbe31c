"""The metadata service answers an instance about itself, by version 2 of its protocol, until the guard is there for
ordinary users. Where it does not answer at first, a node asks again.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal.hosts.host import Host
from tests.nodes.cluster import Cluster
from tests.nodes.conftest import World
from tests.waiting import until

ASK = """#!/bin/bash
set -euo pipefail
token=$(curl -fsS --max-time 30 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
for path in "$@"; do
  curl -fsS --max-time 30 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/$path"; echo
done
"""
USERS_OF_AN_IMAGE = ("root", "ec2-instance-connect", "nobody", "ubuntu", "rstudio-server")
STATUS = "curl -s -o /dev/null -w '%{http_code}' --max-time 30"


def ask(host: Host, *paths: str) -> str:
    done = host.run(ASK.replace('"$@"', " ".join(paths)), timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_instance_learns_who_it_is(world: World) -> None:
    host = world.boot(202, tags={"benchwright:cluster": "workbench"})
    try:
        reported = ask(
            host,
            "meta-data/instance-id",
            "meta-data/local-ipv4",
            "meta-data/placement/region",
            "meta-data/iam/security-credentials/",
            "meta-data/autoscaling/target-lifecycle-state",
            "meta-data/tags/instance/benchwright:cluster",
        )
        assert reported.split() == ["i-000000000000000ca", "10.0.1.202", "us-east-1", "node", "InService", "workbench"]
        document = json.loads(ask(host, "dynamic/instance-identity/document"))
        assert (document["instanceId"], document["region"], document["accountId"]) == (
            "i-000000000000000ca",
            "us-east-1",
            "123456789012",
        )
        credentials = json.loads(ask(host, "meta-data/iam/security-credentials/node"))
        assert {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"} <= credentials.keys()
    finally:
        host.stop()


def test_without_a_token_nothing_is_reported(host: Host) -> None:
    assert host.run(f"{STATUS} http://169.254.169.254/latest/meta-data/instance-id", timeout=60).stdout == "401"
    stolen = "-H 'X-aws-ec2-metadata-token: made-up'"
    assert (
        host.run(f"{STATUS} {stolen} http://169.254.169.254/latest/meta-data/instance-id", timeout=60).stdout == "401"
    )
    too_long = "-X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21601'"
    assert host.run(f"{STATUS} {too_long} http://169.254.169.254/latest/api/token", timeout=60).stdout == "400"


def test_a_token_of_one_instance_is_none_of_another(world: World, host: Host) -> None:
    other = world.boot(203)
    try:
        put = "curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
        token = host.run(put, timeout=60).stdout
        asked = f"{STATUS} -H 'X-aws-ec2-metadata-token: {token}' http://169.254.169.254/latest/meta-data/instance-id"
        assert (host.run(asked, timeout=60).stdout, other.run(asked, timeout=60).stdout) == ("200", "401")
    finally:
        other.stop()


def test_the_guard_of_the_image_lets_root_and_instance_connect_through_and_no_one_else(
    world: World, image: Path
) -> None:
    host = world.boot(204, image=image)
    try:
        put = "curl -s -o /dev/null --max-time 30 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
        assert (
            host.run(put, timeout=60, user="nobody").returncode == 0
        )  # without the guard everyone would own the node's role
        host.run("useradd --system ec2-instance-connect", timeout=60)  # as Ubuntu's images have it, and Benchwright's
        host.run_boot()
        reached = {user: host.run(put, timeout=60, user=user).returncode for user in USERS_OF_AN_IMAGE}
        assert reached == {"root": 0, "ec2-instance-connect": 0, "nobody": 7, "ubuntu": 7, "rstudio-server": 7}
        # For a socket that is bound to a device the kernel passes over rules that prohibit.
        reached = {user: host.run(f"{put} --interface eth0", timeout=60, user=user).returncode for user in reached}
        assert reached == {"root": 0, "ec2-instance-connect": 0, "nobody": 7, "ubuntu": 7, "rstudio-server": 7}
    finally:
        host.stop()


TOKEN, ROLE, STATE = "/api/token", "/security-credentials/node", "/target-lifecycle-state"
"""Ends of paths that are asked for by curl, by the AWS CLI and the mount helper alone, and by the lifecycle watcher."""


def ignore(asked: list[str], times: int, end: str) -> Callable[[str], bool]:
    """Leave the next requests whose path ends so without an answer, and note each."""

    def ignored(path: str) -> bool:
        if not path.endswith(end) or len(asked) >= times:
            return False
        asked.append(path)
        return True

    return ignored


@pytest.mark.parametrize("end", [TOKEN, ROLE])
def test_a_node_asks_again_where_the_metadata_service_does_not_answer(cluster: Cluster, node: Host, end: str) -> None:
    asked: list[str] = []
    cluster.world.hosts.metadata.silent[node.address] = ignore(asked, 2, end)
    assert cluster.apply(node)["error"] is None
    assert len(asked) == 2


CURL = """#!/bin/bash
echo "$*" >>/run/asked
exec /usr/bin/curl "$@"
"""


def test_without_metadata_a_node_fails_once_and_names_the_reason(cluster: Cluster, node: Host) -> None:
    node.run(f"cat >/usr/local/bin/curl <<'END'\n{CURL}END\nchmod 755 /usr/local/bin/curl", timeout=60)
    instances = cluster.world.hosts.metadata.instances
    instance = instances.pop(node.address)
    reported = cluster.fail_to_apply(node)
    assert reported.startswith(
        "The instance metadata service gives this node no credentials: curl: (22) The requested URL"
    )
    assert reported.endswith(
        "Check that the launch template enables the service and names the instance profile, or replace the node, and "
        "deploy again."
    )
    instances[node.address] = instance
    asked = [line for line in node.run("cat /run/asked", timeout=60).stdout.splitlines() if "/work." in line]
    assert ["--retry" in line for line in asked] == [True] + [False] * (len(asked) - 1)  # asked again in one place only
    assert len(asked) > 1


def test_a_node_that_leaves_asks_again_where_the_metadata_service_does_not_answer(cluster: Cluster, node: Host) -> None:
    asked: list[str] = []
    metadata = cluster.world.hosts.metadata
    metadata.silent[node.address] = lambda path: ignore(asked, 1, STATE)(path) or ignore(asked, 3, ROLE)(path)
    metadata.instances[node.address].state = "Terminated"  # type: ignore[attr-defined]
    leaves = (metadata.instances[node.address].instance_id, "stop-services")
    cluster.world.aws.waiting.add(leaves)
    until(lambda: not cluster.world.aws.waiting, "the node to complete the action of its hook", seconds=300)
    assert len(asked) == 3
    assert "could not be notified" not in node.run("journalctl -u benchwright-lifecycle", timeout=60).stdout
