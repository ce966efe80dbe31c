"""AMIs of the local AWS: each is a layer of files that a host left behind, registered in moto's EC2."""

import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moto.ec2.models.amis import Ami
from moto.ec2.utils import random_ami_id
from moto.ssm.models import Parameter, ssm_backends

from rehearsal.aws.calls import Call, ServiceError

PARENT_PARAMETER = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
CANONICAL = "099720109477"
ROOT_DEVICE = "/dev/sda1"


class LayeredAmi(Ami):
    """An AMI whose block devices are those of its recipe."""

    root_volume: Mapping[str, Any] = {}

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        ebs = {"VolumeSize": 8, "VolumeType": "gp3", "DeleteOnTermination": True, **self.root_volume}
        return [{"DeviceName": self.root_device_name, "Ebs": {"SnapshotId": self.ebs_snapshot.id, **ebs}}]


class Images:
    """Which AMI is which layer. The parent image, Canonical's Ubuntu, is the empty layer."""

    def __init__(self, aws: Any, backend: Any) -> None:
        self._aws = aws
        self._backend = backend
        self._layers: dict[str, Path | None] = {}
        self._unused: set[str] = set()
        self._lock = threading.Lock()
        self._builds = 0
        aws.server.add("ec2", "DeregisterImage", self.deregister_image)
        deregister = backend.deregister_image

        def deregister_image(ami_id: str) -> None:
            deregister(ami_id)
            with self._lock:
                self._unused.add(ami_id)
            self._aws.machines.drop_unused_layers()

        backend.deregister_image = deregister_image
        backend.copy_image = self._copy
        backend.create_image = _refuse_create_image

    def sized(self, device: Mapping[str, Any], image_id: str) -> dict[str, Any]:
        """A device whose volume has a size: without one, that of the image's, which moto does not look up.

        Raises where the volume would be smaller than the image's, in the words that
        github.com/aws-samples/amazon-autoscaling-mac1metal-ec2-with-terraform/issues/6 has from EC2.
        """
        given = device.get("Ebs")
        if given is None:
            return dict(device)
        own = self._backend.amis[image_id].block_device_mappings
        volume = next((each["Ebs"] for each in own if each["DeviceName"] == device["DeviceName"]), own[0]["Ebs"])
        size, smallest = int(given.get("VolumeSize") or volume["VolumeSize"]), int(volume["VolumeSize"])
        if size < smallest:
            snapshot = volume["SnapshotId"]
            wrong = f"Volume of size {size}GB is smaller than snapshot '{snapshot}', expect size>= {smallest}GB"
            raise ServiceError("InvalidBlockDeviceMapping", wrong)
        return {**device, "Ebs": {**given, "VolumeSize": size}}

    def publish_parent(self) -> str:
        """A new Ubuntu image of Canonical, which the public parameter names from now on; returns its id."""
        self._builds += 1
        serial = f"202611{self._builds:02}"
        ami = self._register(
            None,
            name=f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-{serial}",
            description="Canonical, Ubuntu, 24.04, amd64 noble image",
            owner_id=CANONICAL,
            public=True,
        )
        versions = ssm_backends[self._aws.account][self._aws.region]._parameters[PARENT_PARAMETER]
        versions.append(
            Parameter(
                account_id=self._aws.account,
                name=PARENT_PARAMETER,
                value=ami.id,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=self._aws.clock.datetime(),
                version=len(versions) + 1,
                data_type="aws:ec2:image",
            )
        )
        return str(ami.id)

    def capture(
        self,
        host: Any,
        *,
        name: str,
        description: str,
        tags: Mapping[str, str],
        block_devices: Sequence[Mapping[str, Any]] = (),
    ) -> Any:
        """Make an AMI of what was changed on the host; returns moto's AMI, whose `id` it is."""
        layer = self._aws.hosts.directory / "images" / random_ami_id()
        layer.mkdir(parents=True)
        host.capture(layer)
        volume = {}
        for device in block_devices:
            if device.get("deviceName") == ROOT_DEVICE:
                volume = {key[:1].upper() + key[1:]: value for key, value in device.get("ebs", {}).items()}
        return self._register(layer, name=name, description=description, tags=dict(tags), volume=volume)

    def layer(self, ami_id: str) -> Path | None:
        """The files of an AMI; None is the parent image. Refuses as RunInstances does."""
        ami = self._backend.amis.get(ami_id)
        if ami is None:
            raise ServiceError("InvalidAMIID.NotFound", f"The image id '[{ami_id}]' does not exist")
        if ami.state != "available":
            raise ServiceError("InvalidAMIID.Unavailable", f"The image ID '{ami_id}' is not available")
        return self._layers[ami_id]

    def resolve(self, reference: str) -> str:
        """The AMI that a recipe's parentImage means: an AMI id, `ssm:PARAMETER`, or Amazon's managed Ubuntu 24.04."""
        parameters = ssm_backends[self._aws.account][self._aws.region]._parameters
        if "image/ubuntu-server-24-lts-x86/" in reference:
            reference = f"ssm:{PARENT_PARAMETER}"
        if reference.startswith("ssm:"):
            name = reference.removeprefix("ssm:")
            name = name.partition(":parameter")[2] if name.startswith("arn:") else name
            if name not in parameters or not parameters[name]:
                raise _invalid_parent(f"The parameter '{name}' does not exist.")
            reference = parameters[name][-1].value
        if reference not in self._backend.amis:
            raise _invalid_parent(f"The AMI '{reference}' does not exist.")
        return reference

    def deregister_image(self, call: Call) -> dict[str, Any]:
        """DeregisterImage: the AMI, and where that is wanted its snapshots, but for those that another AMI uses."""
        ami = self._backend.amis.get(call["ImageId"])
        self._backend.deregister_image(call["ImageId"])  # refuses an AMI that is not there
        if not call.get("DeleteAssociatedSnapshots"):
            return {"Return": True}
        snapshot = ami.ebs_snapshot.id
        if any(other.ebs_snapshot.id == snapshot for other in list(self._backend.amis.values())):
            return {"Return": True, "DeleteSnapshotResults": [{"SnapshotId": snapshot, "ReturnCode": "skipped"}]}
        self._backend.delete_snapshot(snapshot)
        return {"Return": True, "DeleteSnapshotResults": [{"SnapshotId": snapshot, "ReturnCode": "success"}]}

    def deregister(self, ami_id: str) -> None:
        if ami_id in self._backend.amis:
            self._backend.deregister_image(ami_id)

    def drop_unused(self, in_use: set[str]) -> None:
        """Remove the files of deregistered AMIs from which no instance runs any more."""
        with self._lock:
            gone = self._unused - in_use
            self._unused -= gone
        for ami_id in gone:
            layer = self._layers.pop(ami_id, None)
            if layer is not None:
                shutil.rmtree(layer, ignore_errors=True)

    def _copy(self, source_image_id: str, source_region: str, name: str, description: str | None = None) -> Any:
        """CopyImage: the same content under an id of its own. Tags stay behind, as CopyImage leaves them by default."""
        if source_region != self._aws.region:
            raise ServiceError("InvalidRequest", f"The rehearsal has no AMIs in {source_region}.")
        source = self.layer(source_image_id)
        copied = source and source.with_name(random_ami_id())
        if source and copied:  # with owners, and with what overlays keep in attributes and devices
            subprocess.run(["cp", "-a", str(source), str(copied)], check=True, timeout=60)
        volume = self._backend.amis[source_image_id].root_volume
        return self._register(copied, name=name, description=description, volume=volume)

    def _register(self, layer: Path | None, *, volume: Mapping[str, Any] | None = None, **attributes: Any) -> Any:
        ami = LayeredAmi(
            self._backend,
            layer.name if layer else random_ami_id(),
            state="available",
            virtualization_type="hvm",
            architecture="x86_64",
            root_device_type="ebs",
            root_device_name=ROOT_DEVICE,
            hypervisor="xen",
            boot_mode="uefi-preferred",
            **attributes,
        )
        ami.root_volume = volume or {}
        if attributes.get("tags"):
            self._backend.create_tags([ami.ebs_snapshot.id], attributes["tags"])
        self._layers[ami.id] = layer
        self._backend.amis[ami.id] = ami
        return ami


def _refuse_create_image(*_: Any, **__: Any) -> Any:
    raise ServiceError("UnsupportedOperation", "The rehearsal makes AMIs by Image Builder and by CopyImage.")


def _invalid_parent(why: str) -> ServiceError:
    return ServiceError(
        "InvalidParameterValueException", f"The value supplied for parameter 'parentImage' is not valid. {why}"
    )
