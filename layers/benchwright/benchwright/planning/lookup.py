"""What only AWS knows of an input: whether the secrets and the AMI that it names exist, and the parent image of
today.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from benchwright.aws import client
from benchwright.image.builder import existing_images
from benchwright.planning import address, engine
from benchwright.planning.plan import LookupResult
from benchwright.planning.problems import Problem
from benchwright.planning.read_input import Reading
from benchwright.secrets import describe_secrets
from benchwright.settings import settings

# Who writes a version of a secret may choose its id (PutSecretValue, ClientRequestToken), which goes to nodes and there
# into a command.
VERSION_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
# What the launch template of the nodes sets: infra/nodes.yaml. A volume under another name would be a second one.
ROOT_DEVICE, ARCHITECTURE = "/dev/sda1", "x86_64"


def look_up(reading: Reading, more: Iterable[Problem] = ()) -> LookupResult:
    """Look up all that an input names, changing nothing. more: problems that were found elsewhere.

    Raises InvalidInput that lists what does not exist together with all else that is wrong with the input.
    """
    named = reading.named
    found = describe_secrets(set(named.secrets.values()))
    problems: list[Problem] = [
        (path, name, "there is no such secret, or it has no current value", "the name of a secret that exists")
        for path, name in named.secrets.items()
        if found[name] is None
    ]
    problems += [
        (
            path,
            name,
            "the id of its current version is not of letters, digits, dots and hyphens alone",
            "it a new version without a ClientRequestToken of your own",
        )
        for path, name in named.secrets.items()
        if (secret := found[name]) and not re.fullmatch(VERSION_ID, secret.version)
    ]
    if named.ami:
        problems += _problems_of_image(reading, named.ami)
    if named.access:
        problems += address.problems(named.access)
    engines = engine.look_up(reading.request.cluster)
    wanted = reading.wanted.database.engine_version if reading.wanted else None
    if refused := engine.refusal(wanted, engines):
        problems.append(("database.engine_version", wanted, *refused))
    reading.whole([*problems, *more])
    return LookupResult({name: secret for name, secret in found.items() if secret}, _parent_image(), engines)


def _problems_of_image(reading: Reading, ami: str) -> list[Problem]:
    image = existing_images([ami]).get(ami)
    if not image:
        wrong, give = "there is no such image here, or it is not available", "an AMI of this account and region"
        return [("image.ami", ami, wrong, give)]
    if (device := image["RootDeviceName"]) != ROOT_DEVICE or image["Architecture"] != ARCHITECTURE:
        wrong = f"its architecture is {image['Architecture']}, and its root device {device}"
        return [("image.ami", ami, wrong, f"an AMI for {ARCHITECTURE} with {ROOT_DEVICE}, as Ubuntu's have")]
    size = reading.wanted.nodes.root_volume_size if reading.wanted else None
    devices = [device for device in image["BlockDeviceMappings"] if device["DeviceName"] == image["RootDeviceName"]]
    smallest = max((device.get("Ebs", {}).get("VolumeSize", 0) for device in devices), default=0)
    if not size or size >= smallest:
        return []
    return [("nodes.root_volume_size", size, f"the root volume of {ami} has {smallest} GiB", "at least that, or null")]


def _parent_image() -> str:
    """Resolve the public parameter of the vendor's newest image to an AMI id."""
    return str(client("ssm").get_parameter(Name=settings().parent_image)["Parameter"]["Value"])
