"""Hosts in namespaces for the tests of this folder: they need root, and say so instead of being skipped."""

import os
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
import yaml

from benchwright.image.recipe import component_data
from rehearsal.aws.postgres import Postgres
from rehearsal.hosts import awstoe
from rehearsal.hosts.host import FileSystems, Host, Hosts
from rehearsal.hosts.network import GATEWAY
from tests import shared_images
from tests.namespaces import visit_network_and_mounts
from tests.nodes.aws_of_nodes import AwsOfNodes

if TYPE_CHECKING:
    from tests.nodes.cluster import Cluster

DATABASE = "workbench.cluster-c0ffee.us-east-1.rds.amazonaws.com"
IMAGE = Path(__file__).parents[2] / "image"
WORKBENCH, R_VERSIONS, PYTHON_VERSIONS = "2026.07.1+147.pro6", "4.5.2 4.4.3", "3.13.9"
VALUES = {
    "{workbench_version}": WORKBENCH,
    "{r_versions}": R_VERSIONS,
    "{python_versions}": PYTHON_VERSIONS,
    "{jupyter_versions}": PYTHON_VERSIONS,
    "{packages}": "default-jdk",
    "{pro_drivers}": "2026.07.0",
    "{tinytex}": "2026.10",
    "{nvidia}": "580",
}


@dataclass
class Metadata:
    """What the metadata service says about a host of a test."""

    instance_id: str
    address: str
    image_id: str = "ami-0123456789abcdef0"
    availability_zone: str = "us-east-1a"
    role_name: str = "node"
    user_data: str = ""
    state: str = "InService"
    tags: dict[str, str] = field(default_factory=dict)

    def credentials(self) -> dict[str, str]:
        return {"AccessKeyId": "AKIAREHEARSAL", "SecretAccessKey": "not-a-secret", "Token": "token"}

    def lifecycle_state(self) -> str:
        return self.state


@dataclass
class World:
    """The network, the mirror and the hosts of a test session."""

    hosts: Hosts
    aws: AwsOfNodes

    def boot(
        self,
        number: int,
        *,
        image: Path | None = None,
        file_systems: FileSystems | None = None,
        tags: dict[str, str] | None = None,
    ) -> Host:
        """A host with the address 10.0.1.NUMBER."""
        address = f"10.0.1.{number}"
        metadata = Metadata(f"i-{number:017x}", address, tags=tags or {})
        name = f"ip-{address.replace('.', '-')}"
        return self.hosts.boot(
            name, address, image=image, metadata=metadata, file_systems=file_systems or FileSystems()
        )


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all processes of this test run."""
    return shared_images.of_run(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def authority(shared: Path) -> trustme.CA:
    return shared_images.authority(shared)


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[World]:
    """The tests of this folder run in a network and mount namespace of their own."""
    if os.geteuid():
        pytest.fail(
            "The tests of nodes make namespaces and mounts, so they need root: run them with sudo.", pytrace=False
        )
    with visit_network_and_mounts():
        aws = AwsOfNodes()
        directory = tmp_path_factory.mktemp("world") / "hosts"
        hosts = Hosts(directory, endpoint=f"http://{GATEWAY}:{aws.port}", authority=authority)
        hosts.start()
        try:
            yield World(hosts, aws)
        finally:
            hosts.stop()
            aws.stop()


@pytest.fixture
def host(world: World) -> Iterator[Host]:
    """One host of the parent image."""
    made = world.boot(200)
    yield made
    made.stop()


def run_components(host: Host, *phases: str) -> list[str]:
    """Run phases of all components of the recipe; gives the build log, and fails the test at the first failed step."""
    log: list[str] = []
    for phase in phases:
        for use in tomllib.loads((IMAGE / "recipe.toml").read_text())["components"]:
            document = yaml.load(component_data(IMAGE, use["name"]), yaml.CSafeLoader)
            parameters = {name: VALUES.get(value, value) for name, value in use.get("parameters", {}).items()}
            failure = awstoe.run_phase(host, document, phase, parameters, log=log.append)
            assert failure is None, f"{use['name']}: {failure}\n" + "\n".join(log[-30:])
    return log


@pytest.fixture(scope="package")
def image(world: World, shared: Path) -> Iterator[Path]:
    """The AMI that the components make, as Image Builder makes it: once in a test run, as AWS keeps it."""
    layer = world.hosts.directory / "images" / "ami"
    layer.mkdir(parents=True)
    kept = shared / "ami.tar"
    with shared_images.alone(kept) as there:
        if not there:
            builder = world.boot(250)
            builder.run_boot()
            run_components(builder, "build", "validate")
            builder.capture(layer)
            builder.stop()
            shared_images.keep(layer, kept)
    if there:
        shared_images.unpack(kept, layer)
    yield layer
    shutil.rmtree(layer)


@pytest.fixture(scope="package")
def postgres(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server whose certificate the image trusts as Amazon's, at an address that nodes reach."""
    address = world.hosts.add_name(DATABASE)
    directory = tmp_path_factory.mktemp("postgres")
    authority = world.hosts.mirror.authority
    with Postgres(directory, names=[DATABASE], addresses=[address], authority=authority) as server:
        yield server


@pytest.fixture(scope="module")
def cluster_of_file(
    world: World, image: Path, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Cluster"]:
    """For fixtures that make nodes with which several tests of a file go on: a node that has a configuration costs two
    seconds of a processor.
    """
    from tests.nodes.cluster import Cluster

    made = Cluster(world, image, postgres, DATABASE, tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def node(cluster_of_file: "Cluster") -> Host:
    """A node with Anna's account, with which the tests of a file go on, in their order."""
    from tests.nodes.cluster import ANNA

    cluster_of_file.publish(accounts=[ANNA])
    made = cluster_of_file.add_node()
    cluster_of_file.apply(made)
    return made


@pytest.fixture(scope="module")
def new_node(cluster_of_file: "Cluster") -> Host:
    """The same without a configuration."""
    return cluster_of_file.add_node()


@pytest.fixture
def cluster(cluster_of_file: "Cluster") -> Iterator["Cluster"]:
    """The cluster of the file, with no nodes but those of the file's fixtures; where it has none, it is empty."""
    kept = len(cluster_of_file.nodes)
    yield cluster_of_file
    cluster_of_file.stop(kept)
    aws = cluster_of_file.world.aws
    aws.calls.clear()
    cluster_of_file.world.hosts.metadata.silent.clear()
    if not kept:
        cluster_of_file.reset()
        aws.log_events.clear()
        aws.metrics.clear()
