"""How the modules of the layer depend on one another: a package for each step, above what all of them share."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tests.templates.templates import ROOT

LAYER = ROOT / "layers" / "benchwright" / "benchwright"
FUNCTIONS = ROOT / "functions"


def imported(file: Path) -> Iterator[str]:
    """The modules of the layer that a file imports, such as "nodes.bundle", also for the type checker alone."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchwright"):
            package = (node.module or "").removeprefix("benchwright").removeprefix(".")
            for name in node.names:
                below = f"{package}.{name.name}" if package else name.name
                yield below if (LAYER / below.replace(".", "/")).with_suffix(".py").exists() else package
        assert not (isinstance(node, ast.Import) and any(name.name.startswith("benchwright") for name in node.names))


def graph() -> dict[str, set[str]]:
    """Which modules each module of the layer imports."""
    files = [file for file in LAYER.rglob("*.py") if file.name != "__init__.py"]
    return {".".join(file.relative_to(LAYER).with_suffix("").parts): set(imported(file)) for file in files}


def packages() -> set[str]:
    return {folder.parent.name for folder in LAYER.glob("*/__init__.py")}


def test_no_module_needs_what_needs_it() -> None:
    assert list(TopologicalSorter(graph()).static_order())


def test_no_package_needs_what_needs_it() -> None:
    between: dict[str, set[str]] = {}
    for module, needed in graph().items():
        between.setdefault(module.split(".")[0], set()).update(name.split(".")[0] for name in needed)
    assert list(TopologicalSorter({name: needed - {name} for name, needed in between.items()}).static_order())


def test_what_all_share_needs_no_package() -> None:
    shared = {module: needed for module, needed in graph().items() if "." not in module}
    assert not {f"{module}: {name}" for module, needed in shared.items() for name in needed if "." in name}


def test_every_function_has_its_package() -> None:
    used = {
        folder.parent.name: {name.split(".")[0] for name in imported(folder) if "." in name}
        for folder in FUNCTIONS.glob("*/app.py")
    }
    own = {
        "resolve_plan": "planning",
        "build_image": "image",
        "deploy_stack": "stacks",
        "create_database": "database",
        "request_certificate": "access",
        "configure_nodes": "nodes",
        "verify_cluster": "verification",
        "explain_failure": "failure",
        "heal_nodes": "healing",
        "destroy_cluster": "destruction",
        "write_report": "report",
    }
    assert set(own) == set(used)
    assert set(own.values()) == packages()
    assert all(package in used[function] for function, package in own.items())


def test_fields_have_types_and_no_text_that_each_cold_start_compiles() -> None:
    """Under `from __future__ import annotations` pydantic and typing compile the type of each field again; see
    docs/performance.md.
    """

    def has_fields(file: Path) -> bool:
        classes = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef) and node.bases]
        return any(isinstance(part, ast.AnnAssign) for found in classes for part in found.body)

    files = [file for folder in (LAYER, FUNCTIONS) for file in folder.rglob("*.py") if has_fields(file)]
    assert len(files) > 30
    assert [file for file in files if "from __future__ import annotations" in file.read_text()] == []


def test_every_module_has_a_test_of_its_name_beside_the_tests_of_its_package() -> None:
    """Of a package within a package, one test has the name of the package."""
    tests = Path(__file__).parent

    def named(module: str) -> Path:
        *package, name = module.split(".")[:2]
        return tests.joinpath(*package, f"test_{name}.py")

    assert [module for module in graph() if not named(module).exists()] == []
