"""EC2 of the local AWS: instances are hosts, with an image below them and a role to act with."""

import math
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.kms.models import KmsBackend

from rehearsal import launcher
from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.aws.services.ec2.images import PARENT_PARAMETER
from rehearsal.hosts.host import Hosts
from rehearsal.hosts.network import GATEWAY
from tests.unit.rehearsal.fake_hosts import SERVICES, instance_profile, local_aws, subnets

METADATA = "http://169.254.169.254/latest"
ROLE = "iam/security-credentials/"
USER_DATA = '#!/bin/bash\nset -o pipefail\necho "$BASH" > greeting\necho done\n'


def run_instance(aws: LocalAws, **more: Any) -> str:
    ec2 = aws.client("ec2")
    image = aws.client("ssm").get_parameter(Name=PARENT_PARAMETER)["Parameter"]["Value"]
    wanted = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "UserData": USER_DATA, **more}
    return str(ec2.run_instances(**wanted)["Instances"][0]["InstanceId"])


def state(aws: LocalAws, instance_id: str) -> str:
    (reservation,) = aws.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
    return str(reservation["Instances"][0]["State"]["Name"])


def online(aws: LocalAws) -> list[str]:
    return [one["InstanceId"] for one in aws.client("ssm").describe_instance_information()["InstanceInformationList"]]


def code(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return str(refused.value.response["Error"]["Code"])


def test_volumes_that_are_made_at_once_have_one_key_of_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias_exists = KmsBackend.alias_exists

    def looks_and_dawdles(backend: KmsBackend, name: str) -> bool:
        found: bool = alias_exists(backend, name)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(KmsBackend, "alias_exists", looks_and_dawdles)
    with local_aws(tmp_path) as aws, ThreadPoolExecutor(4) as pool:
        ec2 = aws.client("ec2")
        made = [pool.submit(ec2.create_volume, AvailabilityZone="us-east-1a", Size=1, Encrypted=True) for _ in range(4)]
        assert len({volume.result()["KmsKeyId"] for volume in made}) == 1
        assert len(aws.client("kms").list_keys()["Keys"]) == 1


def test_an_instance_boots_runs_its_user_data_and_ends(tmp_path: Path) -> None:
    with local_aws(tmp_path) as aws:
        profile = instance_profile(aws)
        instance_id = run_instance(aws, SubnetId=subnets(aws)[0], IamInstanceProfile={"Arn": profile})
        assert (state(aws, instance_id), aws.hosts.booted) == ("pending", [])
        aws.clock.sleep(20)
        (host,) = aws.hosts.booted
        assert (state(aws, instance_id), host.name, host.address) == ("running", "ip-10-0-0-4", "10.0.0.4")
        aws.clock.sleep(60)
        assert (host.booted, (host.files / "greeting").read_text(), online(aws)) == (True, "/bin/bash\n", [instance_id])
        assert not aws.client("ec2").get_console_output(InstanceId=instance_id)["Output"]  # not posted yet
        console = aws.client("ec2").get_console_output(InstanceId=instance_id, Latest=True)["Output"]
        assert console.splitlines()[-1] == "ip-10-0-0-4 has booted"
        aws.client("ec2").terminate_instances(InstanceIds=[instance_id])
        assert state(aws, instance_id) == "shutting-down"
        aws.clock.sleep(40)
        assert (state(aws, instance_id), host.stopped, online(aws)) == ("terminated", True, [])


def test_an_instance_acts_with_its_role(tmp_path: Path) -> None:
    with local_aws(tmp_path) as aws:
        instance_profile(aws)
        instance_id = run_instance(aws, SubnetId=subnets(aws)[0], IamInstanceProfile={"Name": "node"})
        aws.clock.sleep(20)
        metadata = aws.hosts.booted[0].metadata
        assert (metadata.role_name, metadata.availability_zone) == ("node", "us-east-1a")
        identity = aws.identity_of(metadata.credentials()["AccessKeyId"])
        assert identity
        assert (identity.caller, identity.role_arn) == (instance_id, "arn:aws:iam::123456789012:role/node")


def test_an_agent_without_a_role_does_not_register(tmp_path: Path) -> None:
    with local_aws(tmp_path) as aws:
        run_instance(aws, SubnetId=subnets(aws)[0])
        aws.clock.sleep(300)
        assert online(aws) == []


def test_only_images_that_exist_can_be_started(tmp_path: Path) -> None:
    with local_aws(tmp_path) as aws:
        subnet = subnets(aws)[0]
        for image in ("ami-0123456789abcdef0", "ami-03cf127a"):  # the second is a sample of moto's
            assert code(run_instance, aws=aws, SubnetId=subnet, ImageId=image) == "InvalidAMIID.NotFound"
        assert code(aws.client("ec2").terminate_instances, InstanceIds=["i-0123456789abcdef0"]) == (
            "InvalidInstanceID.NotFound"
        )


def test_a_newer_parent_image_is_published(tmp_path: Path) -> None:
    with local_aws(tmp_path) as aws:
        ssm = aws.client("ssm")
        old = ssm.get_parameter(Name=PARENT_PARAMETER)["Parameter"]
        new = aws.machines.images.publish_parent()
        assert (ssm.get_parameter(Name=PARENT_PARAMETER)["Parameter"]["Value"], old["Version"]) == (new, 1)
        assert new != old["Value"]


@pytest.mark.root
def test_a_real_host_runs_an_image_that_was_made_of_another(tmp_path: Path) -> None:
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    hosts = Hosts(tmp_path / "hosts", endpoint=f"http://{GATEWAY}:{port}")
    hosts.start()
    aws = LocalAws(
        clock=Clock(math.inf),
        directory=tmp_path / "aws",
        port=port,
        listeners=[launcher.listening(GATEWAY, port)],
        modules=SERVICES,
        hosts=hosts,
    )
    aws.start()
    try:
        with aws.clock.busy():
            profile, subnet = instance_profile(aws), subnets(aws)[0]
            first = run_instance(aws, SubnetId=subnet, IamInstanceProfile={"Arn": profile})
            aws.clock.sleep(80)
            machine = aws.machines.by_id[first]
            machine.run("mkdir -p /opt/product && echo 1.2 > /opt/product/version && rm /etc/services", timeout=60)
            image = aws.machines.images.capture(machine.host, name="product", description="", tags={})
            second = run_instance(aws, SubnetId=subnet, IamInstanceProfile={"Arn": profile}, ImageId=image.id)
            aws.clock.sleep(80)
            command = aws.client("ssm").send_command(
                DocumentName="AWS-RunShellScript",
                InstanceIds=[second],
                Parameters={
                    "commands": [
                        "#!/bin/bash",
                        "cat /opt/product/version; test -e /etc/services || echo gone; hostname",
                        f"token=$(curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {METADATA}/api/token)",
                        f'curl -fsS -H "X-aws-ec2-metadata-token: $token" {METADATA}/meta-data/{ROLE}; echo',
                        "cat /var/log/cloud-init-output.log",
                    ]
                },
            )["Command"]["CommandId"]
            answer = {"Status": "Pending"}
            while answer["Status"] in ("Pending", "InProgress"):
                aws.clock.sleep(20)
                answer = aws.client("ssm").get_command_invocation(CommandId=command, InstanceId=second)
            assert (answer["Status"], answer["StandardErrorContent"]) == ("Success", "")
            assert answer["StandardOutputContent"].split() == [
                "1.2",
                "gone",
                aws.machines.by_id[second].name,
                "node",
                "done",
            ]
    finally:
        aws.stop()
        hosts.stop()
