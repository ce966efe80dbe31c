"""Hosts without namespaces, for tests of the services that use hosts: scripts run here, in a directory of their own."""

import contextlib
import itertools
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from rehearsal.aws.clock import Clock
from rehearsal.aws.local_aws import LocalAws
from rehearsal.faults import Faults
from rehearsal.hosts.host import PLACE_AND_RUN, Completed

SERVICES = tuple(f"rehearsal.aws.services.{name}" for name in ("ec2", "imagebuilder", "autoscaling", "ssm"))
TRUST = '{"Version": "2012-10-17", "Statement": []}'


@dataclass
class FakeHost:
    """Remembers what it was made of, runs scripts with `files` as its working directory."""

    name: str
    address: str
    image: Path | None
    metadata: Any
    files: Path
    booted: bool = False
    stopped: bool = False
    _runs: Iterator[int] = field(default_factory=itertools.count)

    def run(
        self,
        script: str,
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float,
        user: str = "root",
        directory: str = "",
        clock: Clock | None = None,
    ) -> Completed:
        assert user == "root"
        path = self.files / f".script-{next(self._runs)}"
        search = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", PLACE_AND_RUN, str(path), "0700", "/bin/sh", "-c", str(path)],
                input=script,
                cwd=directory or self.files,
                env={**search, **(environment or {})},
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as ended:
            stdout, stderr = ((text or b"").decode() for text in (ended.stdout, ended.stderr))
            return Completed(-9, stdout, stderr, timed_out=True)
        finally:
            path.unlink(missing_ok=True)
        return Completed(done.returncode, done.stdout, done.stderr)

    def run_boot(self) -> None:
        self.booted = True

    def capture(self, target: Path) -> None:
        shutil.copytree(self.files, target, dirs_exist_ok=True)

    def connect(self, *, connected: bool) -> None:
        """Its scripts need no network."""

    def stop(self) -> None:
        self.stopped = True


@dataclass
class FakeHosts:
    directory: Path
    booted: list[FakeHost] = field(default_factory=list)

    def boot(self, name: str, address: str, *, image: Path | None, metadata: Any, file_systems: Any) -> FakeHost:
        assert file_systems.access_points == {}
        files = self.directory / name
        files.mkdir(parents=True)
        if image:
            shutil.copytree(image, files, dirs_exist_ok=True)
        host = FakeHost(name, address, image, metadata, files)
        self.booted.append(host)
        return host


@contextlib.contextmanager
def local_aws(directory: Path, *faults: str, modules: Sequence[str] = ()) -> Iterator[LocalAws]:
    """An empty account with instances on fake hosts. Time passes only where a test lets it: `aws.clock.sleep`.

    modules: of further services.
    """
    with mock.patch.dict(os.environ):
        ordered = Faults(faults)
        ordered.begin()
        aws = LocalAws(
            clock=Clock(math.inf),
            directory=directory,
            modules=(*SERVICES, *modules),
            hosts=FakeHosts(directory / "hosts"),
            faults=ordered,
        )
        aws.start()
        try:
            with aws.clock.busy():
                yield aws
        finally:
            aws.stop()


def instance_profile(aws: LocalAws, name: str = "node") -> str:
    """A role in an instance profile, both of this name; returns the profile's ARN."""
    iam = aws.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    arn = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return str(arn)


def subnets(aws: LocalAws, zones: str = "a") -> list[str]:
    """A network with one subnet in each of these zones."""
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for number, zone in enumerate(zones)
    ]
