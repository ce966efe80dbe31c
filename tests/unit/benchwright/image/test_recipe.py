"""How the component documents of image/ become what Image Builder is given."""

from pathlib import Path

import pytest
import yaml

from benchwright.errors import ImageBuildFailed
from benchwright.image.recipe import component_data, recipe_names

CREATES = """\
name: node
schemaVersion: 1.0
phases:
  - name: build
    steps:
      - name: Programs
        action: CreateFile
        inputs:
          - {path: /usr/local/sbin/program, content: $FILE, permissions: "0755", overwrite: true}
          - {path: /etc/inline, content: "kept", permissions: "0644", overwrite: true}
"""
RUNS = """\
name: base # kept as it is
phases: [{name: build, steps: [{action: ExecuteBash, inputs: {commands: ["true"]}}]}]
"""
PROGRAM = "#!/bin/bash\n# A comment: with a colon, and 'quotes'.\necho \"$1\"\n\n  indented\n"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "components").mkdir()
    (tmp_path / "components/node.yaml").write_text(CREATES)
    (tmp_path / "components/base.yaml").write_text(RUNS)
    (tmp_path / "files/usr/local/sbin").mkdir(parents=True)
    (tmp_path / "files/usr/local/sbin/program").write_text(PROGRAM)
    return tmp_path


def test_a_file_has_the_content_of_its_path_in_files(image: Path) -> None:
    given = yaml.safe_load(component_data(image, "node"))
    wanted = yaml.safe_load(CREATES)
    program, inline = wanted["phases"][0]["steps"][0]["inputs"]
    program["content"] = PROGRAM
    assert given == wanted
    assert inline["content"] == "kept"


def test_a_document_that_creates_no_such_file_is_given_as_it_was_written(image: Path) -> None:
    assert component_data(image, "base") == RUNS


@pytest.mark.parametrize("entry", ["{content: $FILE, path: /etc/x}", '{path: /etc/x, content: "$FILE"}'])
def test_a_file_that_would_not_be_filled_in_is_refused(image: Path, entry: str) -> None:
    (image / "components/base.yaml").write_text(f"- {entry}\n")
    with pytest.raises(ImageBuildFailed, match=r"image/components/base.yaml has a \$FILE that stands for no file"):
        component_data(image, "base")


def test_another_program_is_another_document(image: Path) -> None:
    before = component_data(image, "node")
    (image / "files/usr/local/sbin/program").write_text(f"{PROGRAM}# changed\n")
    assert component_data(image, "node") != before


def test_no_name_of_a_cluster_means_the_images_of_another_application() -> None:
    """A destroy would cancel their builds, and delete their recipes and their log."""
    (shared,) = set(recipe_names("wb-dev", "blue")) & set(recipe_names("wb-dev", "green"))
    assert shared not in recipe_names("wb", "dev-image")
    assert recipe_names("wb-dev", "image") == (shared,)
