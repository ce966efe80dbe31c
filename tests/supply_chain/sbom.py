"""`make sbom`: what is in the built layers, as CycloneDX documents, so that no one needs to unpack them to know.

Read from the layers as they are built, not from what was asked for: the metadata of each distribution, what it says
itself of the libraries that are compiled into it (PEP 770), and every file that belongs to no distribution. There is no
time and no random number in a document: the same layer gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft7Validator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rfc3986_validator import validate_rfc3986

from tests.supply_chain.requirements import ROOT, NotPinnedError, pins

BUILT = ROOT / ".aws-sam" / "build"
TARGET = ROOT / "build" / "sbom"
NO_RANDOM_NUMBER = uuid.UUID("00000000-0000-4000-8000-000000000000")

licences = LicenseFactory()


class NotBuiltError(Exception):
    """There is no built layer to look at."""


@Draft7Validator.FORMAT_CHECKER.checks("iri-reference")  # type: ignore[untyped-decorator]
def _is_reference(value: object) -> bool:
    """Whether it is a URI reference, which every IRI reference of ASCII is.

    The checker of IRIs that jsonschema looks for costs a second in each process that imports it, as sam does.
    """
    return not isinstance(value, str) or bool(validate_rfc3986(value, rule="URI_reference"))


def problem_of(text: str) -> str:
    """Why a document is not CycloneDX; empty where it is."""
    return str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) or "")


def main() -> int:
    TARGET.mkdir(parents=True, exist_ok=True)
    for layer in layers():
        text = document(layer)
        if problem := problem_of(text):
            print(f"The document of {layer.name} is not CycloneDX: {problem}", file=sys.stderr)
            return 1
        path = TARGET / f"{layer.name}.cdx.json"
        path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {len(json.loads(text)['components'])} components")
    return 0


def layers(built: Path = BUILT) -> list[Path]:
    """The built layers that hold Python; raises NotBuiltError where there is none."""
    found = sorted(path.parent for path in built.glob("*/python"))
    if not found:
        raise NotBuiltError(f"no layer in {built}: `make build` makes them")
    return found


def document(layer: Path) -> str:
    """The CycloneDX document of a layer, as JSON; raises NotPinnedError where the layer holds something else."""
    folder = layer / "python"
    found = sorted(distributions(path=[str(folder)]), key=_name)
    pinned = {(pin.name, pin.version): pin.hashes for pin in pins(folder / "requirements.txt")}
    if unknown := [f"{_name(each)} {each.version}" for each in found if (_name(each), each.version) not in pinned]:
        raise NotPinnedError(f"{layer.name} holds what its requirements do not pin: {', '.join(unknown)}")
    components = {_name(each): _component(each, folder, pinned[_name(each), each.version]) for each in found}
    owned = {path for each in found for path in _files(each, folder)}
    sources = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    others = sorted(path for path in sources if path not in owned)
    root = Component(name=layer.name, type=ComponentType.APPLICATION, bom_ref=layer.name)
    bom = Bom(components=[*components.values(), *(_file(path, folder) for path in others)])
    bom.metadata.component = root
    bom.register_dependency(root, components.values())
    for each in found:
        bom.register_dependency(
            components[_name(each)], (components[name] for name in _needs(each) & components.keys())
        )
    text = JsonV1Dot6(bom).output_as_string()
    data: dict[str, Any] = json.loads(text)
    del data["metadata"]["timestamp"]
    content = json.dumps({**data, "serialNumber": ""}, sort_keys=True)
    data["serialNumber"] = f"urn:uuid:{uuid.uuid5(NO_RANDOM_NUMBER, content)}"
    return json.dumps(data, indent=2, sort_keys=True) + "\n"


def _component(found: Distribution, folder: Path, hashes: Iterable[str]) -> Component:
    """A distribution; hashes: of the files that could have been installed as it, of which pip took one."""
    return Component(
        name=_name(found),
        version=found.version,
        type=ComponentType.LIBRARY,
        purl=_purl(found),
        bom_ref=str(_purl(found)),
        licenses=list(_licences(found)),
        components=list(_compiled_in(found, folder)),
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(_purl(found))),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in hashes],
            )
        ],
    )


def _licences(found: Distribution) -> Iterator[License]:
    """What the metadata says: an SPDX expression, or the older field, or classifiers."""
    metadata = found.metadata
    if expression := metadata.get("License-Expression"):
        yield licences.make_from_string(expression)
        return
    reported = metadata.get("License", "")
    if reported and "\n" not in reported and reported != "Dual License":
        yield licences.make_from_string(reported)
        return
    for classifier in metadata.get_all("Classifier", []):
        if classifier.startswith("License :: "):
            yield licences.make_with_name(classifier.rpartition(" :: ")[2])


def _compiled_in(found: Distribution, folder: Path) -> Iterator[Component]:
    """The libraries in a distribution's binaries: by the SBOMs that its builders put into it, and those beside it."""
    reported: dict[PackageURL, dict[str, Any]] = {}
    for path in sorted(found.files or (), key=str):
        if path.parent.name == "sboms" and path.suffix == ".json":
            listed = json.loads(path.read_text())["components"]
            others = [each for each in listed if each.get("purl") and canonicalize_name(each["name"]) != _name(found)]
            reported |= {PackageURL.from_string(each["purl"]): each for each in others}
        elif path.parent.name.endswith(".libs"):
            yield _file(folder / path, folder)
    for purl, each in reported.items():
        yield _library(purl, each, _purl(found))


def _library(purl: PackageURL, reported: Mapping[str, Any], within: PackageURL) -> Component:
    expressions = [each.get("expression") or each["license"].get("id") for each in reported.get("licenses", [])]
    return Component(
        name=reported["name"],
        version=reported["version"],
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=f"{within}#{purl}",
        licenses=[licences.make_from_string(each) for each in expressions if each],
        hashes=[
            HashType(alg=HashAlgorithm(each["alg"]), content=each["content"]) for each in reported.get("hashes", [])
        ],
    )


def _file(path: Path, folder: Path) -> Component:
    name = path.relative_to(folder.parent).as_posix()
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=content)]
    return Component(name=name, type=ComponentType.FILE, bom_ref=name, hashes=hashes)


def _files(found: Distribution, folder: Path) -> Iterator[Path]:
    """The files of a distribution, as its RECORD lists them, and what the wheel's data holds."""
    for path in found.files or ():
        yield folder / path
    yield from folder.glob(f"{_name_in_metadata(found)}-{found.version}.data/**/*")


def _needs(found: Distribution) -> set[str]:
    """The names of what a distribution may use, also for extras."""
    return {canonicalize_name(Requirement(line).name) for line in found.requires or ()}


def _purl(found: Distribution) -> PackageURL:
    return PackageURL("pypi", name=_name(found), version=found.version)


def _name(found: Distribution) -> str:
    return canonicalize_name(_name_in_metadata(found))


def _name_in_metadata(found: Distribution) -> str:
    return str(found.metadata["Name"])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NotBuiltError, NotPinnedError) as error:
        sys.exit(str(error))
