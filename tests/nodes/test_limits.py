"""What an instance of the image sets at its boot, and what the checks of the image say of it."""

import yaml

from benchwright.image.recipe import component_data
from rehearsal.hosts import awstoe
from tests.nodes.cluster import Cluster
from tests.nodes.conftest import IMAGE


def test_an_instance_of_the_image_has_its_limits_from_the_boot_on(cluster: Cluster) -> None:
    node = cluster.add_node()
    validate = yaml.load(component_data(IMAGE, "validate.yaml"), yaml.CSafeLoader)
    assert awstoe.run_phase(node, validate, "test", {}) is None
    swap = "stat -c '%a %s' /swapfile; grep -c swap /etc/fstab; systemctl show -p ActiveState --value efs-home.mount"
    assert node.run(swap, timeout=60).stdout == "600 4294967296\n1\nactive\n"
    node.reboot()
    assert node.run(swap, timeout=60).stdout == "600 4294967296\n1\nactive\n"
    node.run("rm /etc/sysctl.d/60-benchwright.conf", timeout=60)
    node.reboot()
    assert "fs.inotify.max_user_watches is" in str(awstoe.run_phase(node, validate, "test", {}))
