"""What an instance of the image sets at its boot, and what a node says where that is missing."""

import pytest

from rehearsal.hosts.host import Host
from tests.nodes.cluster import Cluster


@pytest.fixture(scope="module")
def node(cluster_of_file: Cluster) -> Host:
    """Both tests go on with this node, which has no configuration before the second one."""
    return cluster_of_file.add_node()


def test_an_instance_of_the_image_has_its_limits_from_the_boot_on(node: Host) -> None:
    swap = "stat -c '%a %s' /swapfile; grep -c swap /etc/fstab; systemctl show -p ActiveState --value efs-home.mount"
    assert node.run(swap, timeout=60).stdout == "600 4294967296\n1\nactive\n"
    node.reboot()
    assert node.run(swap, timeout=60).stdout == "600 4294967296\n1\nactive\n"


def test_a_node_that_boots_without_its_limits_is_not_configured_until_it_has_them(cluster: Cluster, node: Host) -> None:
    cluster.publish()
    node.run("mv /etc/sysctl.d/60-benchwright.conf /root", timeout=60)
    node.reboot()
    error = cluster.fail_to_apply(node)
    assert "did not boot as its image wants: After the boot fs.inotify.max_user_watches is '" in error
    assert "After the boot vm.swappiness is '60' instead of '10'. Correct what changes the image" in error
    node.run("mv /root/60-benchwright.conf /etc/sysctl.d", timeout=60)
    node.reboot()
    assert cluster.apply(node)["error"] is None
    # A node that was configured once is not refused for what its next boot changes.
    node.run("rm /etc/sysctl.d/60-benchwright.conf", timeout=60)
    node.reboot()
    assert cluster.apply(node)["error"] is None
    # One whose image was made of a node that was configured is.
    node.run("echo i-of-another-instance >/var/lib/benchwright/boot-checked", timeout=60)
    assert "did not boot as its image wants" in cluster.fail_to_apply(node)
