"""What is baked into the AMI: reads image/ and turns it, with a plan, into content-addressed components and a recipe.

Versions derive from a hash of the content (docs/decisions/0011), so an unchanged image is found again, never rebuilt,
and a changed one never collides with an immutable version that exists. All clusters of an application have the same
recipe name, so they share what has the same content (docs/decisions/0030).
"""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from benchwright.errors import ImageBuildFailed
from benchwright.models import Plan

IMAGE_DIRECTORY = Path("/opt")  # where Lambda unpacks the layer made of image/


class Component(NamedTuple):
    """One component document in one version."""

    name: str
    version: str
    data: str


class ComponentUse(NamedTuple):
    """A component in a recipe, with the parameters of this use."""

    component: Component
    parameters: tuple[tuple[str, str], ...]


class Recipe(NamedTuple):
    """A recipe in one version: the components in their order on a parent image. names: as `recipe_names` has them."""

    names: tuple[str, ...]
    version: str
    parent_image: str
    uses: tuple[ComponentUse, ...]
    block_devices: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The name under which it is made."""
        return self.names[-1]

    @property
    def components(self) -> list[Component]:
        """Each component once, in the order of its first use."""
        return list(dict.fromkeys(use.component for use in self.uses))


def content_version(*content: object) -> str:
    """Return a semantic version that names the content.

    A node of an Image Builder version is at most 2**30 - 1 (service model of CreateComponent), so the 64 bits of the
    hash are spread over the two last nodes.
    """
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
    return f"1.{int.from_bytes(digest[:4]) >> 2}.{int.from_bytes(digest[4:8]) >> 2}"


def component_data(directory: Path, name: str) -> str:
    """Return a component document. `$FILE` is the content of the same path in image/files, as a string of JSON, which
    is one of YAML. Raises ImageBuildFailed where it stands elsewhere: the image would have a file of five characters.
    """

    def with_content(created: re.Match[str]) -> str:
        content = (directory / "files" / created[1].lstrip("/")).read_text()
        return f"path: {created[1]}, content: {json.dumps(content, ensure_ascii=False)}"

    document = (directory / "components" / f"{name}.yaml").read_text()
    filled, count = re.subn(r"path: (\S+), content: \$FILE\b", with_content, document)
    if count != len(re.findall(r"content:\s*[\"']?\$FILE\b", document)):
        raise ImageBuildFailed(
            f"image/components/{name}.yaml has a $FILE that stands for no file. Write it right behind the path, as in "
            "{path: /etc/example, content: $FILE, owner: root}; then run `sam build` and `sam deploy`."
        )
    return filled


def component_names(application: str, directory: Path = IMAGE_DIRECTORY) -> list[str]:
    """Return the names of all components that a recipe of this release can have."""
    described = tomllib.loads((directory / "recipe.toml").read_text())
    return [f"{application}-{entry['name']}" for entry in described["components"]]


def recipe_names(application: str, cluster: str) -> tuple[str, ...]:
    """Return the names of the recipes whose images a cluster may use, the application's last.

    Before release 0.2 each cluster had recipes of its own, except that `wb-dev-image` are now those of the application
    wb-dev, and not of the cluster dev-image of wb.
    """
    shared, own = f"{application}-image", f"{application}-{cluster}"
    return (shared,) if own.endswith("-image") else (own, shared)


def load_recipe(application: str, plan: Plan, directory: Path = IMAGE_DIRECTORY) -> Recipe:
    """Read recipe.toml and the component documents, and fill in what the plan wants."""
    described = tomllib.loads((directory / "recipe.toml").read_text())
    values = plan.wanted.baked
    uses = []
    for entry in described["components"]:
        if "when" in entry and not entry["when"].format_map(values):
            continue
        data = component_data(directory, entry["name"])
        component = Component(f"{application}-{entry['name']}", content_version(data), data)
        parameters = tuple((name, text.format_map(values)) for name, text in entry.get("parameters", {}).items())
        uses.append(ComponentUse(component, parameters))
    block_devices = tuple(described["block_devices"])
    content = (
        [(use.component.name, use.component.version, use.parameters) for use in uses],
        block_devices,
        plan.image.parent_image,
        plan.image.generation,
    )
    names = recipe_names(application, plan.cluster)
    return Recipe(names, content_version(content), plan.image.parent_image, tuple(uses), block_devices)
