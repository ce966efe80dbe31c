"""EC2 Image Builder, which moto lacks: components, recipes, infrastructure configurations and images.

Limits of single parameters are checked by the server, from botocore's service model; here is what spans more than one.
The work of a build is in `build`.
"""

from rehearsal.aws.local_aws import LocalAws

from .operations import ImageBuilder


def install(aws: LocalAws) -> None:
    """Answer the calls of Image Builder on this local AWS."""
    service = ImageBuilder(aws)
    aws.server.serve("imagebuilder", service, within=lambda: service.lock)
