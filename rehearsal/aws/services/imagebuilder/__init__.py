"""EC2 Image Builder, which moto lacks: components, recipes, infrastructure configurations and images.

Limits of single parameters are checked by the server, from botocore's service model; here is what spans more than one.
The work of a build is in `build`.
"""

from rehearsal.aws.local_aws import LocalAws

from .components import Components
from .image_recipes import ImageRecipes
from .images import Images
from .infrastructure_configurations import InfrastructureConfigurations
from .resources import Resources
from .tags import Tags


def install(aws: LocalAws) -> None:
    """Answer the calls of Image Builder on this local AWS."""
    resources = Resources(aws)
    owners = (Components, ImageRecipes, InfrastructureConfigurations, Images, Tags)
    aws.server.serve("imagebuilder", *(owner(aws, resources) for owner in owners), within=lambda: resources.lock)
