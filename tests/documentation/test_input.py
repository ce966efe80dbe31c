"""The schema and the reference of the input agree with the models, and every example is one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from benchwright.errors import InvalidInput
from benchwright.models import Auth, File, Image, Once, User, Wanted
from benchwright.planning.read_input import read_input, read_verify_input
from tests.documentation import input_reference
from tests.documentation.examples import examples, is_of_verify
from tests.documentation.pages import ROOT

SCHEMA = json.loads((ROOT / "docs" / "input.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
KEYS = input_reference.keys()


def accepts(content: Any) -> tuple[bool, bool]:
    """Whether the schema accepts an input, and whether the product does."""
    try:
        read_input(content, {}, input_reference.defaults(), "benchwright").whole()
    except InvalidInput:
        return VALIDATOR.is_valid(content), False
    return VALIDATOR.is_valid(content), True


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(("page", "example"), examples())
def test_every_input_in_the_documents_is_right(page: str, example: str) -> None:
    content = json.loads(example)
    if is_of_verify(content):  # it has no schema
        request = read_verify_input(content)
        assert request.every_cluster or request.sessions
    else:
        assert accepts(content) == (True, True), page


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_every_example_of_a_key_is_right_and_null_takes_it_back(key: input_reference.Key) -> None:
    example = json.loads(key.example)
    assert accepts(example) == (True, True)
    recorded = key.path not in input_reference.NEVER_NULL
    needed = key.path in input_reference.NEEDED_BY  # which a schema cannot say
    assert accepts(nulled(example, key.names)) == (recorded, recorded and not needed)


def nulled(example: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The example with null in place of the value at the path."""
    first, *rest = path
    return example | {first: nulled(example[first], rest) if rest else None}


def test_the_keys_are_those_of_the_models() -> None:
    paths = {key.path for key in KEYS}
    assert {path.split(".")[0] for path in paths} == set(Wanted.model_fields) | {
        "cluster",
        "only_if_deployed",
        "dry_run",
    }
    assert {path.split(".")[1] for path in paths if path.startswith("image.")} == {*Image.model_fields, "rebuild"}
    assert {path.split(".")[2] for path in paths if path.startswith("users.NAME.")} == set(User.model_fields)
    assert {path.split(".")[1] for path in paths if path.startswith("auth.")} == set(Auth.model_fields)
    assert {path.split(".")[2] for path in paths if path.startswith("files.NAME.")} == set(File.model_fields)
    assert set(Once.model_fields) == set(input_reference.ACTS_ONCE.values())


def test_every_key_says_what_changing_it_does() -> None:
    assert set(input_reference.EFFECTS) == {key.path for key in KEYS}


def test_the_table_of_the_readme_has_a_row_for_every_key() -> None:
    rows = input_reference.brief_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [key.path for key in KEYS if ".NAME." not in key.path]


def test_a_default_is_a_parameter_where_the_product_reads_one() -> None:
    assert input_reference.parameters() == {
        "workbench.version": "WorkbenchVersion",
        "r_versions": "RVersions",
        "python_versions": "PythonVersions",
        "nodes.count": "NodeCount",
        "nodes.instance_type": "InstanceType",
        "database.min_capacity": "DatabaseMinCapacity",
        "database.max_capacity": "DatabaseMaxCapacity",
        "database.engine_version": "DatabaseEngineVersion",
    }


WRONG: list[Any] = [
    [],
    {"node": {"count": 2}},
    {"nodes": {"size": 2}},
    {"nodes": {"count": 0}},
    {"nodes": {"count": 51}},
    {"nodes": {"count": "2"}},
    {"nodes": 2},
    {"nodes": {"instance_type": "large"}},
    {"cluster": "Big One"},
    {"cluster": None},
    {"workbench": {"version": "latest"}},
    {"r_versions": []},
    {"r_versions": ["4.5"]},
    {"r_versions": ["4.5.1", "4.5.1"]},
    {"python_versions": ["3.13.1"] * 9},
    {"image": {"ami": "ami-1"}},
    {"image": {"rebuild": "yes"}},
    {"image": {"rebuild": None}},
    {"only_if_deployed": None},
    {"database": {"min_capacity": 0.7}},
    {"database": {"max_capacity": 0.5}},
    {"license": "with a space"},
    {"users": {"Ann": {}}},
    {"users": {"root": {}}},
    {"users": {"ann": {"uid": 1000}}},
    {"users": {"ann": {"shell": "/bin/zsh"}}},
    {"config": {"www-port": "80"}},
    {"config": {"auth-timeout-minutes": 120}},
    {"config": {"auth-timeout-minutes": "1\n2"}},
    {"tags": {"a": ""}},
    {"$schema": "input.schema.json"},
]


@pytest.mark.parametrize("content", WRONG, ids=json.dumps)
def test_what_is_wrong_is_refused_by_the_schema_and_by_the_product(content: Any) -> None:
    assert accepts(content) == (False, False)


@pytest.mark.parametrize("content", [{"Comment": "started by the console"}, {"users": {"ann": None}}, {"nodes": {}}])
def test_what_is_unusual_and_right_is_accepted_by_both(content: Any) -> None:
    assert accepts(content) == (True, True)


def test_the_schema_lies_where_the_reference_says() -> None:
    assert "(input.schema.json)" in (Path(ROOT) / "docs" / "input.md").read_text(encoding="utf-8")


def test_a_pattern_is_rendered_whole() -> None:
    """A bar ends a cell of a table, and a backtick a span of code, where they are not escaped."""
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / "docs" / "input.md").read_text(encoding="utf-8"))
    spans = {span.content for token in tokens for span in token.children or () if span.type == "code_inline"}
    patterns = set(re.findall(r'"pattern": "(.*?)"[,\n]', json.dumps([key.schema for key in KEYS], indent=0)))
    shown = {json.loads(f'"{pattern}"') for pattern in patterns}
    limits = "".join(input_reference.limits_of(key.schema) for key in KEYS)
    assert {pattern for pattern in shown if pattern in limits} <= spans
    assert len(spans & shown) >= 5
    assert "``" not in "".join(spans)
