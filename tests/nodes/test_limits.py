"""What an instance of the image sets at its boot, and what a node says where that is missing."""

from rehearsal.hosts.host import Host
from tests.nodes.cluster import Cluster


def test_an_instance_of_the_image_has_its_limits_from_the_boot_on(new_node: Host) -> None:
    swap = "stat -c '%a %s' /swapfile; grep -c swap /etc/fstab; systemctl show -p ActiveState --value efs-home.mount"
    assert new_node.run(swap, timeout=60).stdout == "600 4294967296\n1\nactive\n"
    new_node.reboot()
    assert new_node.run(swap, timeout=60).stdout == "600 4294967296\n1\nactive\n"


def test_a_node_that_boots_without_its_limits_is_not_configured_until_it_has_them(
    cluster: Cluster, new_node: Host
) -> None:
    cluster.publish()
    new_node.run("mv /etc/sysctl.d/60-benchwright.conf /root", timeout=60)
    new_node.reboot()
    error = cluster.fail_to_apply(new_node)
    assert "did not boot as its image wants: After the boot fs.inotify.max_user_watches is '" in error
    assert "After the boot vm.swappiness is '60' instead of '10'. Correct what changes the image" in error
    new_node.run("mv /root/60-benchwright.conf /etc/sysctl.d", timeout=60)
    new_node.reboot()
    assert cluster.apply(new_node)["error"] is None
    # A node that was configured once is not refused for what its next boot changes.
    new_node.run("rm /etc/sysctl.d/60-benchwright.conf", timeout=60)
    new_node.reboot()
    assert cluster.apply(new_node)["error"] is None
    # One whose image was made of a node that was configured is.
    new_node.run("echo i-of-another-instance >/var/lib/benchwright/boot-checked", timeout=60)
    assert "did not boot as its image wants" in cluster.fail_to_apply(new_node)
