"""What `sam build` makes: bytecode that is used as it is, and of botocore the services that are called."""

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from rehearsal.application import BUILT, ROOT
from tests.templates.templates import APPLICATION, folder_of, resources

FUNCTIONS: Final = sorted(resources(APPLICATION, "AWS::Serverless::Function"))

UNCHECKED: Final = (1).to_bytes(4, "little")
"""Flags of a file that is used without a look at its source: https://peps.python.org/pep-0552/."""
CLIENTS: Final = (
    "import sys, botocore.session as botocore; "
    "[botocore.get_session().create_client(name, region_name='us-east-1') for name in sys.argv[1:]]"
)


@pytest.mark.parametrize("built", ["BenchwrightLayer", "Psycopg2Layer", *FUNCTIONS])
def test_all_code_has_bytecode_that_is_used_as_it_is(built: str) -> None:
    sources = list((BUILT / built).rglob("*.py"))
    compiled = [Path(importlib.util.cache_from_source(str(path))).read_bytes()[:8] for path in sources]
    assert sources
    assert compiled == [importlib.util.MAGIC_NUMBER + UNCHECKED] * len(sources)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_all_of_its_folder(function: str) -> None:
    def files(folder: Path) -> set[Path]:
        return {path.relative_to(folder) for path in folder.rglob("*") if "__pycache__" not in path.parts}

    assert files(BUILT / function) == files(ROOT / "functions" / folder_of(function))


def test_there_is_a_model_of_each_service_for_which_a_client_is_made_and_no_other() -> None:
    code = BUILT / "BenchwrightLayer/python"
    there = {path.name for path in (code / "botocore/data").iterdir() if path.is_dir()}
    used = {name for folder in ("layers", "functions") for name in _clients(ROOT / folder)}
    assert there == used
    environment = {"PYTHONPATH": str(code), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-S", "-c", CLIENTS, *there], env=environment, check=True, timeout=60)


def _clients(folder: Path) -> Iterator[str]:
    """The services in `client("…")`, wherever it stands but in the function of that name."""
    for path in set(folder.rglob("*.py")) - {ROOT / "layers/benchwright/benchwright/aws.py"}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "client":
                (service, *_) = node.args
                assert isinstance(service, ast.Constant), (
                    f"{path}:{node.lineno} makes a client of a service by a variable"
                )
                yield str(service.value)
