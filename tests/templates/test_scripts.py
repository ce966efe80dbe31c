"""The scripts of nodes, those inside templates and component documents, and the documents themselves.

ShellCheck reads every script as it runs: with what CloudFormation, the SSM agent and Image Builder put in filled in.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchwright.image.recipe import component_data
from rehearsal.aws.services.cloudformation.templates import load
from rehearsal.aws.services.imagebuilder import component_document

ROOT = Path(__file__).parents[2]
IMAGE, NODES, NODE_SCRIPT = ROOT / "image", ROOT / "infra" / "nodes.yaml", ROOT / "infra" / "node"
TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "infra").glob("*.yaml"))]
COMPONENTS = sorted((IMAGE / "components").glob("*.yaml"))

DOCUMENT_LIMIT = 64 * 1024  # bytes of an SSM document's content: CreateDocument
USER_DATA_LIMIT = 16 * 1024  # bytes before base64: EC2 user guide, user data
COMPONENT_LIMIT = 16_000  # characters of a component's inline data: service model of CreateComponent
RECIPE_LIMIT = 20  # components of a recipe: Image Builder quotas
LONGEST_BLOCK = 40  # lines of bash inside YAML; what is longer is a file


@dataclass(frozen=True)
class Script:
    """A script and where it stands."""

    where: str
    text: str


def substituted(node: Any) -> str:
    """Render a string, !Sub or !Join of these, with each CloudFormation variable as a plain word."""
    if isinstance(node, str):
        return node
    if "Fn::Sub" in node:
        text = node["Fn::Sub"] if isinstance(node["Fn::Sub"], str) else node["Fn::Sub"][0]
        text = re.sub(r"\$\{([A-Za-z][A-Za-z0-9:.]*)\}", lambda match: re.sub(r"\W+", "-", match[1]), text)
        return str(text.replace("${!", "${"))
    separator, parts = node["Fn::Join"]
    return str(separator).join(substituted(part) for part in parts)


def scripts_of_templates() -> Iterator[Script]:
    """User data and the scripts of SSM documents, whole, as they run."""
    for path in TEMPLATES:
        resources = load(path.read_text())["Resources"] if path.exists() else {}
        for name, resource in resources.items():
            properties = resource.get("Properties") or {}
            if user_data := properties.get("LaunchTemplateData", properties).get("UserData"):
                yield Script(f"{path.name}:{name}:UserData", substituted(user_data["Fn::Base64"]))
            if resource["Type"] == "AWS::SSM::Document" and properties["DocumentType"] == "Command":
                for step in properties["Content"]["mainSteps"]:
                    lines = [substituted(part) for part in step["inputs"].get("runCommand", [])]
                    yield Script(f"{path.name}:{name}:{step['name']}", "\n".join(lines))


def scripts_of_components() -> Iterator[Script]:
    """What ExecuteBash runs, and each file with a shebang that CreateFile writes."""
    for path in COMPONENTS:
        for phase in yaml.load(component_data(IMAGE, path.stem), yaml.CSafeLoader)["phases"]:
            for step in phase["steps"]:
                where = f"{path.name}:{phase['name']}:{step['name']}"
                if step["action"] == "ExecuteBash":
                    commands = "\n".join(step["inputs"]["commands"])
                    yield Script(
                        where, "#!/bin/bash\n" + re.sub(r"\{\{ *([A-Za-z0-9_-]+) *\}\}", r"1.2.3-\1", commands)
                    )
                elif step["action"] == "CreateFile":
                    for file in step["inputs"]:
                        if file["content"].startswith("#!"):
                            yield Script(f"{where}:{file['path']}", file["content"])


SCRIPTS = [*scripts_of_templates(), *scripts_of_components()]


def shellcheck(*options: str, text: str = "") -> str:
    """What ShellCheck says."""
    program = shutil.which(
        "shellcheck", path=f"{ROOT / '.venv' / 'bin'}:{Path(shutil.which('python') or '/').parent}:/usr/bin"
    )
    assert program, "shellcheck is in tests/requirements.txt"
    found = subprocess.run(
        [program, "--shell=bash", "--format=gcc", *options],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return found.stdout


@pytest.mark.judge
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.where)
def test_scripts_pass_shellcheck_and_stop_at_the_first_failure(script: Script) -> None:
    assert script.text.startswith("#!/bin/bash\n"), "the agent's default shell is sh"
    assert shellcheck("-", text=script.text).replace("-:", f"{script.where}:") == ""
    if "\n" in script.text.strip().removeprefix("#!/bin/bash\n"):
        assert "set -euo pipefail" in script.text


@pytest.mark.judge
def test_the_node_script_passes_shellcheck_with_all_its_files_and_runs_each_of_them() -> None:
    main = NODE_SCRIPT / "main.sh"
    assert shellcheck("--external-sources", "--check-sourced", str(main)) == ""
    sourced = re.findall(r'^\. "\$FOLDER/(\w+\.sh)"$', main.read_text(), re.MULTILINE)
    assert {*sourced, main.name} == {path.name for path in NODE_SCRIPT.glob("*.sh")}
    script = "".join(path.read_text() for path in NODE_SCRIPT.glob("*.sh"))
    assert {*re.findall(r"\$FOLDER/([\w.]+)", script), main.name} == {path.name for path in NODE_SCRIPT.iterdir()}


def test_what_is_installed_on_a_node_is_a_file_and_bash_inside_yaml_is_short() -> None:
    """In every YAML file of the application, whatever it is for: a program in it would have a shebang and be long."""
    found = {}
    for folder in ("image", "infra", "statemachine", "events"):
        for path in [*sorted((ROOT / folder).rglob("*.yaml")), ROOT / "template.yaml"]:
            for where, text in blocks(load(path.read_text()), path.name):
                lines = len(text.splitlines())
                if "set -euo pipefail" in text or text.startswith("#!"):
                    found[where] = lines
    assert len(found) > 20
    assert {where: lines for where, lines in found.items() if lines > LONGEST_BLOCK} == {}
    created = [
        (path.name, file["path"])
        for path in COMPONENTS
        for phase in yaml.load(path.read_text(), yaml.CSafeLoader)["phases"]
        for step in phase["steps"]
        if step["action"] == "CreateFile"
        for file in step["inputs"]
        if file.get("content", "").startswith("#!")
    ]
    assert created == []


def blocks(node: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text of a document with the keys that lead to it."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from blocks(value, f"{where}:{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from blocks(value, f"{where}:{number}")
    elif isinstance(node, str):
        yield where, node


def test_every_file_of_the_image_is_one_that_a_component_creates() -> None:
    created = {
        file["path"]
        for path in COMPONENTS
        for phase in yaml.load(path.read_text(), yaml.CSafeLoader)["phases"]
        for step in phase["steps"]
        if step["action"] == "CreateFile"
        for file in step["inputs"]
        if file["content"] == "$FILE"
    }
    files = {f"/{path.relative_to(IMAGE / 'files')}" for path in (IMAGE / "files").rglob("*") if path.is_file()}
    assert created == files


def test_there_are_scripts_of_every_kind() -> None:
    kinds = {script.where.split(":")[0] for script in SCRIPTS}
    assert {"nodes.yaml", "node.yaml", "workbench.yaml", "validate.yaml"} <= kinds


def test_no_script_traces_itself_or_passes_a_secret_as_an_argument() -> None:
    scripts = [Script(path.name, path.read_text()) for path in NODE_SCRIPT.glob("*.sh")]
    for script in [*SCRIPTS, *scripts]:
        assert not re.search(r"\bset -[a-z]*x|\bbash -[a-z]*x", script.text), script.where
        for line in script.text.splitlines():
            if re.search(r"\$\{?(password|secret)\b", line):
                # Builtins only: printf, [ and assignments make no process, so nothing shows in ps.
                assert re.match(r"\s*(printf|if|\[|encrypted=\$\(printf|password=\$\(printf)", line), (
                    f"{script.where}: {line}"
                )


def test_the_nodes_template_and_its_document_are_small_enough() -> None:
    document = load(NODES.read_text())["Resources"]["ConfigurationDocument"]["Properties"]["Content"]
    user_data = next(script for script in SCRIPTS if script.where.endswith("UserData"))
    assert len(yaml.safe_dump(document).encode()) < DOCUMENT_LIMIT
    assert len(user_data.text.encode()) < USER_DATA_LIMIT


def test_the_document_says_which_parameters_it_takes_and_the_script_reads_them_all() -> None:
    document = load(NODES.read_text())["Resources"]["ConfigurationDocument"]["Properties"]["Content"]
    script = "\n".join(substituted(part) for part in document["mainSteps"][0]["inputs"]["runCommand"])
    assert document["parameters"]["Mode"]["allowedValues"] == ["apply", "report", "cluster", "sessions"]
    of_the_agent = {"ExecutionTimeout"}
    assert document["mainSteps"][0]["inputs"]["timeoutSeconds"] == "{{ ExecutionTimeout }}"
    parameters = {name: value for name, value in document["parameters"].items() if name not in of_the_agent}
    for name, parameter in parameters.items():
        assert parameter["interpolationType"] == "ENV_VAR"
        assert f"SSM_{name}='{{{{ {name} }}}}'" in script, "agents before 3.3.2746.0 put the text in place"
        assert "allowedValues" in parameter or "allowedPattern" in parameter, (
            "what replaces text in a script must be harmless"
        )
    assert set(re.findall(r"\{\{ *(\w+) *\}\}", script)) == set(parameters)


# What AWSTOE takes as the inputs of the actions that are used here; True: required.
# docs.aws.amazon.com/imagebuilder/latest/userguide/toe-action-modules.html
INPUTS: dict[str, dict[str, bool]] = {
    "WebDownload": {"source": True, "destination": True, "checksum": False, "algorithm": False, "overwrite": False},
    "CreateFile": {"path": True, "content": True, "owner": True, "group": True, "permissions": True, "overwrite": True},
    "Reboot": {"delaySeconds": False},
}


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_component_documents_are_ones_and_use_only_actions_that_were_thought_through(path: Path) -> None:
    text = component_data(IMAGE, path.stem)
    document = component_document.parse(text)
    assert document["name"] == path.stem
    assert document["description"]
    assert len(text) < COMPONENT_LIMIT
    for phase in document["phases"]:
        for step in phase["steps"]:
            where = f"{path.name}:{phase['name']}:{step['name']}"
            if step["action"] == "ExecuteBash":
                assert set(step["inputs"]) == {"commands"}, where
                continue
            known = INPUTS[step["action"]]
            for given in step["inputs"] if isinstance(step["inputs"], list) else [step["inputs"]]:
                assert set(given) <= set(known), where
                assert {key for key, required in known.items() if required} <= set(given), where
                assert ("checksum" in given) == ("algorithm" in given), where
                file = IMAGE / "files" / given.get("path", "/").lstrip("/")
                assert not file.is_file() or given["content"] == file.read_text(), where
                if "permissions" in given:
                    assert re.fullmatch(r"0[0-7]{3}", given["permissions"]), f"{where}: octal, and quoted in YAML"
                if "source" in given:
                    assert given["source"].startswith("https://"), where


def test_the_recipe_uses_each_document_once_with_all_its_parameters() -> None:
    recipe = tomllib.loads((ROOT / "image" / "recipe.toml").read_text())
    assert set(recipe) == {"block_devices", "components"}
    assert sorted(entry["name"] for entry in recipe["components"]) == [path.stem for path in COMPONENTS]
    assert len(recipe["components"]) <= RECIPE_LIMIT
    for entry in recipe["components"]:
        document = component_document.parse(component_data(IMAGE, entry["name"]))
        assert entry["name"] == document["name"]
        assert set(entry.get("parameters", {})) == set(component_document.parameters(document))
        for value in entry.get("parameters", {}).values():
            assert re.fullmatch(
                r"\{(workbench_version|pro_drivers|tinytex|nvidia|packages|(r|python|jupyter)_versions)\}", value
            )
    assert all(device["ebs"]["encrypted"] for device in recipe["block_devices"])
