"""What the SSM document does before there is a node script: it fetches it, verifies it, and runs nothing else."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from rehearsal.hosts.host import Host
from tests.nodes.cluster import FOLDER, SCRIPT, Cluster, order_fault, report

OBJECT = f"{FOLDER}/node-{SCRIPT.sha256}.tar.gz"
FETCHED = f"GetObject node-{SCRIPT.sha256}.tar.gz"
KEPT = f"/run/benchwright/node-{SCRIPT.sha256}.tar.gz"
REMEDY = (
    "Deploy again. If that fails, too, check the instance profile, the metadata service and the clock of this node."
)
CANNOT = f"This node cannot read its script s3://{OBJECT}: "


@pytest.fixture
def node(new_node: Host, cluster: Cluster) -> Host:
    """All tests go on with this node, from which its script is gone; the first one finds it without a configuration."""
    cluster.publish()
    new_node.run(f"rm -f {KEPT}", timeout=60)
    return new_node


def test_the_script_is_fetched_once_and_again_when_it_is_not_what_the_stack_was_given(
    cluster: Cluster, node: Host
) -> None:
    for _ in range(2):
        reported = report(cluster.run(node, "report"))
        assert reported["error"] is None
        assert reported["differences"] == ["nothing is recorded of what a configuration has made"]
    assert cluster.world.aws.calls.count(FETCHED) == 1
    node.run(f"echo exit 3 >>{KEPT}", timeout=60)
    assert report(cluster.run(node, "report"))["error"] is None
    assert cluster.world.aws.calls.count(FETCHED) == 2
    assert node.run("ls /run/benchwright", timeout=60).stdout.split() == ["lock", KEPT.rpartition("/")[2]]


def test_a_script_that_someone_changed_in_the_bucket_is_not_run(cluster: Cluster, node: Host) -> None:
    cluster.world.aws.objects[OBJECT] = b"another"
    reported = cluster.fail_to_apply(node)
    assert reported == f"s3://{OBJECT} is not what was published. Deploy again, which publishes it again."
    assert node.run("ls /run/benchwright", timeout=60).stdout == "lock\n"
    cluster.publish()
    assert cluster.apply(node)["error"] is None


def test_a_script_that_is_not_there_is_named_with_what_to_do(cluster: Cluster, node: Host) -> None:
    del cluster.world.aws.objects[OBJECT]
    reported = cluster.fail_to_apply(node)
    said = "fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden"
    assert reported == f"{CANNOT}{said}. {REMEDY}"


def test_a_clock_that_is_so_far_off_that_s3_refuses_is_set(cluster: Cluster, node: Host) -> None:
    order_fault(node, "clock", "-3600")
    assert abs(cluster.apply(node)["clock_offset"]) < 1
    assert cluster.world.aws.calls.count(FETCHED) == 2


def test_a_clock_that_is_set_while_a_run_waits_does_not_take_its_files_away(cluster: Cluster, node: Host) -> None:
    """What runs that the agent ended have left is known by its age, of which a jump of the clock gives it an hour."""
    node.run("setsid flock /run/benchwright/lock sleep infinity >/dev/null 2>&1 & echo $! >/run/holder", timeout=60)
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(cluster.apply, node)
        waits = "until grep -qs 'wait for other runs' /run/benchwright/work.*/steps; do sleep 0.1; done"
        assert node.run(waits, timeout=60).returncode == 0
        jump = "touch -d '-1 hour' /run/benchwright/work.* /run/benchwright/script.* && kill -- -$(cat /run/holder)"
        assert node.run(jump, timeout=60).returncode == 0
        assert applied.result()["error"] is None
