"""What only AWS can tell of an input: whether the secrets and the AMI that it names exist, and the parent image of
today.
"""

from __future__ import annotations

from typing import Any

from benchwright.image_builder import existing_images
from benchwright.models import Wanted
from benchwright.observability import client
from benchwright.plan import Looked, named_secrets, refuse
from benchwright.secrets import describe_secret
from benchwright.settings import settings


def look_up(wanted: Wanted) -> Looked:
    """Look everything up, changing nothing; raises InvalidInput that lists all that does not exist."""
    found = {name: describe_secret(name) for name in named_secrets(wanted)}
    problems: list[tuple[str, Any, str, str]] = [
        (path, name, "there is no such secret, or it has no current value", "the name of a secret that exists")
        for name, path in named_secrets(wanted).items()
        if found[name] is None
    ]
    ami = wanted.image.ami
    if ami and not existing_images([ami]):
        problems.append(
            (
                "image.ami",
                ami,
                "there is no such image here, or it is not available",
                "an AMI of this account and region",
            )
        )
    refuse(problems)
    return Looked({name: secret for name, secret in found.items() if secret}, _parent_image())


def _parent_image() -> str:
    """Resolve the public parameter of the vendor's newest image to an AMI id."""
    return str(client("ssm").get_parameter(Name=settings().parent_image)["Parameter"]["Value"])
