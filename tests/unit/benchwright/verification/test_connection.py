"""What a person pastes to reach a cluster, word by word, and as OpenSSH understands it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from benchwright.verification.connection import Connection, connect

NODE = "i-0123456789abcdef0"
DOCUMENT = "benchwright-workbench"
TARGETED = f"aws ssm start-session --region eu-west-1 --target {NODE}"
PROXY = (
    "aws ec2-instance-connect send-ssh-public-key --region eu-west-1 --instance-id {node} --instance-os-user {user} "
    "--ssh-public-key file://~/.ssh/id_ed25519.pub >&2 && "
    "aws ssm start-session --region eu-west-1 --target {node} --document-name AWS-StartSSHSession "
    "--parameters portNumber={port}"
)


def test_the_first_node_is_reached_by_two_ways() -> None:
    assert connect("eu-west-1", DOCUMENT, [NODE, "i-0123456789abcdef1"]) == Connection(
        url="http://localhost:8787",
        port_forwarding=f"{TARGETED} --document-name {DOCUMENT} --parameters localPortNumber=8787",
        ssh_config="Host i-*\n  User ubuntu\n  LocalForward 8787 localhost:8787\n"
        f'  ProxyCommand sh -c "{PROXY.format(node="%h", user="%r", port="%p")}"',
    )


def test_a_cluster_without_nodes_leaves_the_place_of_one() -> None:
    assert " --target INSTANCE --document-name " in connect("eu-west-1", DOCUMENT, []).port_forwarding


@pytest.mark.judge
@pytest.mark.skipif(not shutil.which("ssh"), reason="OpenSSH is not installed")
def test_openssh_reads_the_block_as_meant(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(connect("eu-west-1", DOCUMENT, [NODE]).ssh_config)
    run = subprocess.run(
        ["ssh", "-G", "-F", file, NODE],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"HOME": "/nowhere"},
    )
    read = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    assert {name: read[name] for name in ("hostname", "user", "port", "localforward", "proxycommand")} == {
        "hostname": NODE,
        "user": "ubuntu",
        "port": "22",
        "localforward": "8787 [localhost]:8787",
        "proxycommand": f'sh -c "{PROXY.format(node="%h", user="%r", port="%p")}"',
    }
