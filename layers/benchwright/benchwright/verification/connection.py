"""How a person reaches a cluster whose nodes have no public address: through Session Manager, ready to paste."""

from collections.abc import Sequence

from pydantic import BaseModel


class Connection(BaseModel):
    """url: the link for people; http://localhost:8787 where a tunnel is the only way. port_forwarding: a command that
    brings Workbench to that. ssh_config: one block for every node.
    """

    url: str
    port_forwarding: str
    ssh_config: str


def connect(region: str, document: str, instances: Sequence[str], hostname: str = "") -> Connection:
    """Write the commands.

    hostname: of the address, if the cluster has one. document: name of the Session document that leads to Workbench.
    The SSH block sends a key that lives 60 seconds (EC2 Instance Connect) and needs none on the node.
    """
    instance = instances[0] if instances else "INSTANCE"
    start = f"aws ssm start-session --region {region}"
    send_key = (
        f"aws ec2-instance-connect send-ssh-public-key --region {region} --instance-id %h --instance-os-user %r "
        "--ssh-public-key file://~/.ssh/id_ed25519.pub"
    )
    tunnel = f"{start} --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p"
    return Connection(
        url=f"https://{hostname}" if hostname else "http://localhost:8787",
        port_forwarding=f"{start} --target {instance} --document-name {document} --parameters localPortNumber=8787",
        ssh_config="\n".join(
            [
                "Host i-*",
                "  User ubuntu",
                "  LocalForward 8787 localhost:8787",
                f'  ProxyCommand sh -c "{send_key} >&2 && {tunnel}"',
            ]
        ),
    )
