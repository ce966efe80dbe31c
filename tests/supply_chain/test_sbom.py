"""The SBOM of the layers that `sam build` has made: all that is in them, and nothing else."""

import json
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from tests.supply_chain import sbom
from tests.supply_chain.requirements import NotPinnedError, pins
from tests.templates.templates import APPLICATION, resources

METADATA = "Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense-Expression: MIT\n{more}\n"
PIN = "{name}==1.0 --hash=sha256:{hash}\n"


LAYERS = [
    name
    for name, layer in resources(APPLICATION, "AWS::Serverless::LayerVersion").items()
    if "BuildMethod" in layer.get("Metadata", {})
]


def libraries(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in document["components"] if each["type"] == "library"}


def distribution(folder: Path, name: str, *files: str, more: str = "") -> None:
    """An installed distribution with its metadata, and files that belong to it."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(METADATA.format(name=name, more=more))
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(file)
    listed = [f"{name}-1.0.dist-info/METADATA", f"{name}-1.0.dist-info/RECORD", *files]
    (information / "RECORD").write_text("".join(f"{file},,\n" for file in listed))


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """Two distributions, one of which needs the other, and a file of no one."""
    folder = tmp_path / "SomeLayer" / "python"
    distribution(folder, "left", "left.py", "left.libs/libx.so", more="Requires-Dist: Right>=1\nRequires-Dist: absent")
    distribution(folder, "Right", "right.py")
    (folder / "stray.py").write_text("stray")
    (folder / "requirements.txt").write_text(
        PIN.format(name="left", hash="1" * 64) + PIN.format(name="right", hash="2" * 64)
    )
    return folder.parent


@pytest.mark.parametrize("name", LAYERS)
def test_each_distribution_of_a_built_layer_is_in_its_document(name: str) -> None:
    (built,) = [layer for layer in sbom.layers() if layer.name == name]
    text = sbom.document(built)
    assert sbom.problem_of(text) == ""
    found = libraries(json.loads(text))
    installed = {
        canonicalize_name(each.metadata["Name"]): each.version for each in distributions(path=[str(built / "python")])
    }
    assert {name: each["version"] for name, each in found.items()} == installed
    assert {name: each["purl"] for name, each in found.items()} == {
        name: f"pkg:pypi/{name}@{version}" for name, version in installed.items()
    }
    assert [name for name, each in found.items() if not each["licenses"]] == []
    hashes = {pin.name: set(pin.hashes) for pin in pins(built / "python" / "requirements.txt") if pin.name in installed}
    assert hashes == {
        name: {one["content"] for one in each["externalReferences"][0]["hashes"]} for name, each in found.items()
    }
    assert sbom.document(built) == text


def test_a_reference_that_is_no_uri_is_not_cyclonedx(layer: Path) -> None:
    text = sbom.document(layer)
    assert sbom.problem_of(text) == ""
    assert "'pkg:pypi/ left@1.0' is not valid under any of the given schemas" in sbom.problem_of(
        text.replace('"url": "pkg:pypi/left@1.0"', '"url": "pkg:pypi/ left@1.0"')
    )


def test_every_layer_of_python_has_a_document() -> None:
    assert [layer.name for layer in sbom.layers()] == sorted(LAYERS)


def test_the_libraries_in_binaries_are_reported() -> None:
    (psycopg2,) = [layer for layer in sbom.layers() if layer.name == "Psycopg2Layer"]
    parts = libraries(json.loads(sbom.document(psycopg2)))["psycopg2-binary"]["components"]
    names = {each["name"].rpartition("/")[2].partition("-")[0].partition(".")[0] for each in parts}
    assert {"libpq", "libssl", "libcrypto"} <= names


def test_every_file_of_a_layer_belongs_to_something(layer: Path) -> None:
    document = json.loads(sbom.document(layer))
    assert [each["name"] for each in document["components"] if each["type"] == "file"] == [
        "python/requirements.txt",
        "python/stray.py",
    ]
    found = libraries(document)
    assert [each["name"] for each in found["left"]["components"]] == ["python/left.libs/libx.so"]
    assert {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"] if "pypi" in each["ref"]} == {
        "pkg:pypi/left@1.0": ["pkg:pypi/right@1.0"],
        "pkg:pypi/right@1.0": [],
    }


def test_another_file_is_another_document(layer: Path) -> None:
    before = json.loads(sbom.document(layer))
    assert "timestamp" not in before["metadata"]
    (layer / "python" / "stray.py").write_text("changed")
    after = json.loads(sbom.document(layer))
    assert before["serialNumber"] != after["serialNumber"]


def test_what_was_never_pinned_is_refused(layer: Path) -> None:
    distribution(layer / "python", "stranger")
    with pytest.raises(NotPinnedError, match=r"SomeLayer holds what its requirements do not pin: stranger 1.0$"):
        sbom.document(layer)


def test_without_a_build_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(sbom.NotBuiltError, match="`make build` makes them"):
        sbom.layers(tmp_path)
